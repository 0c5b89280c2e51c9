"""Chess openings for matches: the most frequent first moves of the master games that ship.

Each line is `PLIES` plies long, and stands only once however its moves are ordered: lines that lead to one
position (transpositions) count together, and the most frequent order is kept. What masters of the 1980s and
90s played again and again is balanced enough to begin a match from: Stockfish 15.1 at 20,000 nodes puts
every line within 1.3 pawns, half of them below 0.4. A pair of games plays both sides of a line.
"""

from __future__ import annotations

import lzma
from collections import Counter
from functools import cache

import numpy as np

from supervised.data.sources.chess_games.master_games import SAMPLE

PLIES = 8
LINES = 300  # of 5,000 games: the rarest of them were played in 3


@cache
def opening_book() -> tuple[tuple[str, ...], ...]:
    """The lines as UCI moves, the most frequent first.

    >>> len(opening_book()), opening_book()[0][:2]
    (300, ('e2e4', 'c7c5'))
    """
    import chess

    games = lzma.decompress(SAMPLE.read_bytes()).decode().splitlines()
    counts = Counter(tuple(game.split()[:PLIES]) for game in games if len(game.split()) > PLIES)
    lines: dict[str, tuple[str, ...]] = {}
    frequency = Counter[str]()
    # Sorted, for lines that are equally frequent would otherwise stand in the order of the games.
    for words, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if count < 2 and len(lines) >= LINES:
            break
        board = chess.Board()
        moves = [board.push_san(word).uci() for word in words]
        lines.setdefault(board.epd(), tuple(moves))
        frequency[board.epd()] += count
    return tuple(lines[epd] for epd, _ in frequency.most_common(LINES))


def drawn_openings(count: int, seed: int) -> tuple[tuple[str, ...], ...]:
    """`count` lines of the book in random order, all different as far as there are so many.

    >>> len(set(drawn_openings(300, seed=0))), drawn_openings(2, seed=0) == drawn_openings(2, seed=0)
    (300, True)
    """
    book = opening_book()
    generator = np.random.default_rng(seed)
    rounds = [generator.permutation(len(book)) for _ in range(-(-count // len(book)))]
    return tuple(book[i] for i in np.concatenate([*rounds, np.zeros(0, np.int64)])[:count])

"""Chess games by masters as move sequences: a sample that ships, or a user's PGN or file of SAN lines.

| name | games | where |
|---|---|---|
| ``master-games`` | 5,000 | ``supervised/data/samples``: public domain, of Debian's gnuchess-book |

A path may be a PGN, or a text file with a game a line, moves in SAN and the result last, also compressed
(`chess_games`). All moves are replayed with python-chess; a game with an illegal one is left out and counted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sim.catalog import MissingPackageError, install_hint
from sim.records import Array
from supervised.data.sources.chess_games.game_records import GameSyntaxError, records, sections
from supervised.data.sources.splits import DataError, Source, sha256

if TYPE_CHECKING:
    import chess

SAMPLE = Path(__file__).parent.parent.parent / "samples" / "master-games.san.xz"
RESULTS = ("1-0", "0-1", "1/2-1/2")
FILES, RANKS = "abcdefgh", "12345678"
BOARD_BYTES = 98
CORNERS = (1 << 7, 1, 1 << 63, 1 << 56)  # bits of h1, a1, h8 and a8, whose rooks can castle
NUMBER = re.compile(r"^\d+\.+")  # of a move, as in "12." or "3...Nf6"


def uci_moves() -> tuple[str, ...]:
    """The 1,968 moves that some piece can make on an empty board, in UCI notation, in a fixed order.

    >>> len(uci_moves()), uci_moves()[:2], uci_moves()[-1]
    (1968, ('a1a2', 'a1a3'), 'h7h8n')
    """
    steps = [(dx * k, dy * k) for dx, dy in _around() for k in range(1, 8)]
    steps += [(dx, dy) for dx in (-2, -1, 1, 2) for dy in (-2, -1, 1, 2) if abs(dx) != abs(dy)]
    squares = [(x, y) for x in range(8) for y in range(8)]
    plain = [
        f"{FILES[x]}{RANKS[y]}{FILES[x + dx]}{RANKS[y + dy]}"
        for x, y in squares
        for dx, dy in sorted(steps)
        if 0 <= x + dx < 8 and 0 <= y + dy < 8
    ]
    promotions = [
        f"{FILES[x]}{start}{FILES[x + dx]}{end}{piece}"
        for x in range(8)
        for start, end in ("21", "78")
        for dx in (-1, 0, 1)
        if 0 <= x + dx < 8
        for piece in "qrbn"
    ]
    return tuple(sorted(plain) + promotions)


def _around() -> list[tuple[int, int]]:
    return [(dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1) if dx or dy]


@dataclass(frozen=True)
class MasterGame:
    """One replayed game of P plies.

    Attributes:
        san: the moves in standard algebraic notation.
        moves: (P,) int16 numbers of the moves in `uci_moves`.
        result: one of `RESULTS`; "" where it is unknown.
        legal: the numbers of all legal moves before each ply, P arrays (L,) int16.
        boards: (P + 1, `BOARD_BYTES`) uint8, the position before each ply and the last one; see `board_bits`.
    """

    san: tuple[str, ...]
    moves: Array
    result: str
    legal: tuple[Array, ...]
    boards: Array


def board_bits(board: chess.Board) -> Array:
    """A position as FEN tells it, in packed bits (`BOARD_BYTES`,) uint8.

    Twelve planes of 64 squares, pawns, knights, bishops, rooks, queens and king of the side to move, then of
    the other; a byte with the side to move and four rights to castle; a byte with the file of an en passant
    square.
    """
    sides = (board.turn, not board.turn)
    planes = [int(board.pieces_mask(kind, color)) for color in sides for kind in range(1, 7)]
    rights = [board.turn, *(bool(board.castling_rights & corner) for corner in CORNERS)]
    state = sum(bool(bit) << place for place, bit in enumerate(rights))
    passant = 0 if board.ep_square is None else 1 << board.ep_square % 8
    return np.concatenate([np.array(planes, "<u8").view(np.uint8), np.array([state, passant], np.uint8)])


def replayed(text: str, numbers: dict[str, int] | None = None, *, canonical: bool = True) -> MasterGame:
    """Replay the moves of a text such as ``1. e4 e5 2. Nf3`` or ``e4 e5 Nf3 1-0``, from the start of a game.

    Args:
        text: moves in SAN, with or without move numbers, and at its end the result, if any.
        numbers: of the moves in `uci_moves`; made where they are not given.
        canonical: write the moves anew, such as Nf3+ where the text has Nf3; it takes twice the time.

    Raises:
        ValueError: naming the first word that is no legal move.
        MissingPackageError: without python-chess.
    """
    try:
        import chess
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"chess games need {install_hint(error.name or 'chess')}") from error
    numbers = numbers or {move: i for i, move in enumerate(uci_moves())}
    words = [NUMBER.sub("", word) for word in text.split()]
    words = [word for word in words if word and word != "*"]
    result = words.pop() if words and words[-1] in RESULTS else ""
    board, san, moves, legal = chess.Board(), [], [], []
    boards = [board_bits(board)]
    for ply, word in enumerate(words):
        legal.append(np.array([numbers[move.uci()] for move in board.legal_moves], np.int16))
        try:
            move = board.parse_san(word)
        except ValueError:
            raise ValueError(f"move {ply // 2 + 1}, {word}, is not legal there") from None
        san.append(board.san(move) if canonical else word)
        moves.append(numbers[move.uci()])
        board.push(move)
        boards.append(board_bits(board))
    return MasterGame(tuple(san), np.array(moves, np.int16), result, tuple(legal), np.stack(boards))


def master_games(
    path: Path | None, *, most: int, seed: int
) -> tuple[list[MasterGame], Source, tuple[str, ...]]:
    """Replay the games of the sample, or of a user's file.

    Args:
        path: of the file; None for the sample.
        most: games at most; of more, as many are drawn at random.
        seed: of that draw.

    Returns:
        The games, where they come from, and what was left out, in words.

    Raises:
        DataError: if a file cannot be read, or holds no game.
        MissingPackageError: without python-chess.
    """
    file = path or SAMPLE
    read, unreadable = _lines(file)
    lines = list(dict.fromkeys(read))
    if len(lines) > most:
        lines = [lines[i] for i in np.sort(np.random.default_rng(seed).permutation(len(lines))[:most])]
    numbers = {move: i for i, move in enumerate(uci_moves())}
    games, illegal, short = [], 0, 0
    for line in lines:
        try:
            game = replayed(line, numbers, canonical=path is not None)
        except ValueError:
            illegal += 1
            continue
        short += len(game.san) < 2
        games += [game] if len(game.san) >= 2 else []
    if not games:
        raise DataError(f"{file} holds no chess game: a PGN is wanted, or a game a line, moves in SAN")
    skipped = [f"{illegal} games with a move that is not legal"] * bool(illegal)
    skipped += [f"{unreadable} games that cannot be read"] * bool(unreadable)
    skipped += [f"{short} games of less than two moves"] * bool(short)
    if path is None:
        source = Source("master games", "gnuchess-book 1.02, sample", "public domain", sha256(file))
    else:
        source = Source(path.name, str(path), "", sha256(path))
    return games, source, tuple(skipped)


def _lines(file: Path) -> tuple[list[str], int]:
    """Games as lines of SAN with the result last, and how many cannot be read."""
    found, unreadable = list[str](), 0
    for section, _ in sections(file):
        try:
            found += [" ".join((*record.moves, record.result)) for record in records(section)]
        except GameSyntaxError:
            unreadable += 1
    return found, unreadable

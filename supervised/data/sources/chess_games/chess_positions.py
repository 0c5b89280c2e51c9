"""Pictures of chess positions with their commentary: games of random moves, or a user's games in PGN.

A picture shows the whole board from White's side, in one of many styles and lights; a king in check glows.
Positions of one game stay together in the split.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sim.catalog import MissingPackageError, install_hint
from sim.progress import advance
from sim.records import Array, Percept
from supervised.captions.chess_commentary import LANGUAGES, NONE, facts_of_board, vocabulary, write
from supervised.data.columns import ArrayColumn
from supervised.data.dataset import Dataset
from supervised.data.dataset_cache import Request, cached
from supervised.data.sources.splits import DataError, Source, Splits, sha256, three_parts, version

if TYPE_CHECKING:
    import chess

NAME = "random-games"
SIDE = 128  # pixels of a picture
A_GAME = 4  # positions of one game
LONGEST = 160  # plies
CAPTURES = 0.35  # chance that a capture is preferred: without it boards stay full
HELD_OUT = 200  # pictures in colours that training never sees
PIECES = ".PNBRQKpnbrqk"
BETWEEN = "\n"  # the languages of a caption
MODULES = ("supervised.data.sources.chess_games.chess_positions",)


def position_splits(name: str, path: Path | None, *, language: str, pictures: int, seed: int) -> Splits:
    """Pictures of positions, with a truth in one language, or in all of them a line each.

    Args:
        name: ``random-games``.
        path: of a user's games in PGN; None for random ones.
        language: one of `LANGUAGES`, or ``both``.
        pictures: to learn from; an eighth as many validate, as many again test.
        seed: of the games, the split and the drawing.

    Raises:
        DataError: for an unknown name, or a file with too few games.
        MissingPackageError: without python-chess.
    """
    if path is None and name != NAME:
        raise DataError(f'there are no data "{name}"; there is "{NAME}", or name a .pgn file')
    try:
        import chess  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"chess positions need {install_hint('chess')}") from error
    if path is None:
        source = Source("random chess games", f"chess {version('chess')}")
    else:
        source = Source(path.name, str(path), "", sha256(path))

    def drawn(part: str, count: int) -> Dataset:
        told = {"seed": seed, "part": part, "count": count, "games": source.sha256}
        request = Request("commentary", told, MODULES)
        return said(cached(request, lambda: _drawn(path, part, count, seed)), language)

    eighth = max(1, pictures // 8)
    counts = {"train": pictures, "validation": eighth, "test": eighth}
    train, validation, test = (drawn(part, count) for part, count in counts.items())
    other = {"unseen colours": drawn("unseen", HELD_OUT)} if path is None else {}
    skipped = () if path is None else _unreadable(path)
    return Splits(train, validation, test, "game", source, vocabulary(), skipped, other)


def said(data: Dataset, language: str) -> Dataset:
    """The data set with truths in a language, or in `LANGUAGES`, a line each, for ``both``."""
    truths = tuple(Percept("truth", caption=caption(row, language)) for row in data["boards"])
    return data.assign(truths=truths)


def caption(board: Array, language: str) -> str:
    """Commentary of a board (65,) uint8 as `encoded` gives it."""
    facts = facts_of_board(*decoded(board))
    chosen = LANGUAGES if language == "both" else (language,)
    return BETWEEN.join(write(facts, one) for one in chosen)


def encoded(squares: str, check: str = NONE) -> Array:
    """(65,) uint8: the number in `PIECES` of each square from a8 to h1; then the side in check, or 0."""
    sides = (NONE, "white", "black")
    return np.array([*(PIECES.index(piece) for piece in squares), sides.index(check)], np.uint8)


def decoded(board: Array) -> tuple[str, str]:
    """The inverse of `encoded`."""
    return "".join(PIECES[number] for number in board[:64]), (NONE, "white", "black")[board[64]]


def encoded_fen(fen: str) -> Array:
    """A board (65,) uint8 of a FEN; the side to move, White where it is not told, may be in check.

    Raises:
        DataError: for what is no position with one king a side.
    """
    import chess

    try:
        fields = fen.split()
        board = chess.Board(" ".join([fields[0], fields[1] if len(fields) > 1 else "w", "- - 0 1"]))
        encoded_board = _encoded(board)
        facts_of_board(*decoded(encoded_board))
    except (ValueError, IndexError) as error:
        raise DataError(f'"{fen}" is neither a picture nor a position in FEN: {error}') from error
    return encoded_board


def _encoded(board: chess.Board) -> Array:
    import chess

    squares = "".join(
        piece.symbol() if (piece := board.piece_at(chess.square(file, rank))) else "."
        for rank in range(7, -1, -1)
        for file in range(8)
    )
    return encoded(squares, ("white" if board.turn else "black") if board.is_check() else NONE)


def _drawn(path: Path | None, part: str, count: int, seed: int) -> Dataset:
    """Pictures of one part: one of `FIRST`; those of ``unseen`` have colours that no other part has."""
    from sim.chess.diagrams.pictures import Variation, picture
    from sim.chess.diagrams.themes import HELD_OUT as UNSEEN
    from sim.chess.diagrams.themes import TRAINING, styles

    looks = styles(UNSEEN if part == "unseen" else TRAINING)
    light = Variation(
        bare=0.5, marked=1.0, blur=0.1, contrast=0.2, brightness=20, tint=0.06, slope=0.1, noise=6
    )
    generator = np.random.default_rng((seed, *part.encode()))
    rgb, boards, games = list[Array](), list[Array](), list[int]()
    for game, positions in _games(path, part, seed, generator):
        taken = generator.choice(len(positions), min(A_GAME, len(positions)), replace=False)
        for at in sorted(taken.tolist()):
            board = positions[at]
            look = looks[int(generator.integers(len(looks)))]
            rgb.append(picture(board, look, generator, SIDE, light)[0])
            boards.append(_encoded(board))
            games.append(game)
            advance(1)
        if len(rgb) >= count:
            break
    n = min(count, len(rgb))
    return Dataset(
        values=np.stack(rgb[:n]), boards=ArrayColumn(np.stack(boards[:n])), episodes=np.array(games[:n])
    )


#: First number of the games of each part, so that none is in two of them.
FIRST = {"train": 0, "validation": 1_000_000, "test": 2_000_000, "unseen": 3_000_000}


def _games(
    path: Path | None, part: str, seed: int, generator: np.random.Generator
) -> Iterator[tuple[int, Sequence[chess.Board]]]:
    """Positions by game: endless random ones, or those of a user's file that belong to the part."""
    if path is None:
        number = FIRST[part]
        while True:
            yield number, _random_game(np.random.default_rng((seed, number)))
            number += 1
    games = _read_games(path)
    rows = three_parts(np.arange(len(games)), seed)[("train", "validation", "test").index(part)]
    for number in rows.tolist():
        yield number, games[number]


def _random_game(generator: np.random.Generator) -> list[chess.Board]:
    """Every position after the first move of a game of random moves that ends by rule or by its length."""
    import chess

    board, positions = chess.Board(), list[Any]()
    for _ in range(int(generator.integers(8, LONGEST))):
        moves = list(board.legal_moves)
        taking = [move for move in moves if board.is_capture(move)]
        if not moves:
            break
        chosen = taking if taking and generator.random() < CAPTURES else moves
        board.push(chosen[int(generator.integers(len(chosen)))])
        positions.append(board.copy(stack=1))
    return positions


def _read_games(path: Path) -> list[list[chess.Board]]:
    """Positions after each move, by game, of the games of a file that can be played through.

    Raises:
        DataError: if there are fewer than three.
    """
    games = [positions for positions in _played(path) if positions]
    if len(games) < 3:
        raise DataError(f"{path} has {len(games)} games that can be played through: at least 3 are needed")
    return games


def _played(path: Path) -> Iterator[list[chess.Board]]:
    """The positions of each game; none where there is no move, or one that is illegal."""
    from supervised.data.sources.chess_games.game_records import GameSyntaxError, records, sections
    from supervised.data.sources.chess_games.replay import ReplayError, played

    for section, _ in sections(path):
        try:
            for record in records(section):
                try:
                    yield [board.copy(stack=1) for board in played(record)][1:]
                except ReplayError:
                    yield []
        except GameSyntaxError:
            yield []


def _unreadable(path: Path) -> tuple[str, ...]:
    """How many games of a file cannot be played through."""
    bad = sum(not positions for positions in _played(path))
    return (f"{bad} games with an illegal move or none",) if bad else ()

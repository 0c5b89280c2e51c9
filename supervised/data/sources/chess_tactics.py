"""Chess tactics: positions with a mate in one or in two, as tests of a network and of a search.

The set that ships, ``supervised/data/samples/chess-tactics.epd.xz``, is made by `write`, which reproduces it,
from the 5,000 games of `supervised.data.sources.master_games`: from their last plies first, then from games
that two greedy players go on with where a master resigned, since masters rarely let themselves be mated.
It is in Extended Position Description: position, ``dm`` (moves to mate), ``bm`` (all first moves to it).

    python -c "from supervised.data.sources.chess_tactics import write; write()"
"""

from __future__ import annotations

import lzma
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sim.catalog import MissingPackageError, install_hint
from supervised.data.sources.master_games import SAMPLE

if TYPE_CHECKING:
    import chess

TACTICS = SAMPLE.parent / "chess-tactics.epd.xz"
WANTED = {1: 200, 2: 100}  # positions by moves to mate
LAST_PLIES = 16  # of a master game that are searched
FURTHER_PLIES = 20  # of a game that is played on
WINNERS = {"1-0": True, "0-1": False}


@dataclass(frozen=True)
class Tactic:
    """A position with a forced mate.

    Attributes:
        fen: the side to move mates.
        moves: 1 or 2, to mate.
        solutions: all first moves that mate in so many, in UCI.
    """

    fen: str
    moves: int
    solutions: tuple[str, ...]


def tactics(moves: int, path: Path = TACTICS) -> list[Tactic]:
    """Read the positions with a mate in so many moves.

    Raises:
        MissingPackageError: without python-chess.
    """
    try:
        import chess
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"chess tactics need {install_hint(error.name or 'chess')}") from error
    found = []
    for line in lzma.decompress(path.read_bytes()).decode("ascii").splitlines():
        board = chess.Board()
        operations = board.set_epd(line)
        if operations["dm"] == moves:
            solutions = operations["bm"]
            assert isinstance(solutions, list)
            found.append(Tactic(board.fen(), moves, tuple(move.uci() for move in solutions)))
    return found


def find_tactics(games: Sequence[str], *, seed: int = 0) -> dict[int, list[str]]:
    """Find positions with a mate in one or two, at most one of each kind a game.

    Args:
        games: moves in SAN, and the result last.
        seed: of the games that are played on.

    Returns:
        EPD lines by moves to mate, at most `WANTED` of each; of mates in two only those with one solution, a
        check: those are found in a tenth of the time.
    """
    found: dict[int, list[str]] = {moves: [] for moves in WANTED}
    for ends in (_last_plies, _played_on):
        for number, game in enumerate(games):
            *sans, result = game.split()
            if result in WINNERS and any(len(found[moves]) < most for moves, most in WANTED.items()):
                _collect(ends(sans, np.random.default_rng([seed, number])), WINNERS[result], found)
    return found


def _collect(boards: Iterator[chess.Board], winner: bool, found: dict[int, list[str]]) -> None:
    """Append the first position of each kind of one game, where it is wanted and new."""
    from sim.chess.mates import mates_in_one, mates_in_two

    missing = {moves for moves, most in WANTED.items() if len(found[moves]) < most}
    for board in boards:
        if board.turn != winner or not missing:
            continue
        best = mates_in_one(board)
        moves = 1
        if not best and 2 in missing and mates_in_two(board, checks_only=True):
            best, moves = mates_in_two(board), 2
        if best and moves in missing and (moves == 1 or len(best) == 1):
            line = board.epd(dm=moves, bm=best)
            if line not in found[moves]:
                found[moves].append(line)
                missing.remove(moves)


def _last_plies(sans: Sequence[str], generator: np.random.Generator) -> Iterator[chess.Board]:
    """The last positions of a game, the first of them first."""
    import chess

    board = chess.Board()
    for ply, san in enumerate(sans):
        if ply >= len(sans) - LAST_PLIES:
            yield board
        board.push_san(san)
    yield board


def _played_on(sans: Sequence[str], generator: np.random.Generator) -> Iterator[chess.Board]:
    """Positions after the end of a game, as two players go on who take what they can."""
    import chess

    from sim.chess.opponents import OPPONENTS
    from sim.chess.rules import ChessGame

    board = chess.Board()
    for san in sans:
        board.push_san(san)
    game = ChessGame(board.fen(), 1)
    for _ in range(FURTHER_PLIES):
        if game.reason is not None:
            return
        game = game.play(OPPONENTS["greedy"](game, generator))
        yield game.board


def write(path: Path = TACTICS, *, most_games: int | None = None) -> None:
    """Make the file that ships; it takes about two minutes."""
    games = lzma.decompress(SAMPLE.read_bytes()).decode("utf-8").splitlines()[:most_games]
    found = find_tactics(games)
    text = "".join(f"{line}\n" for moves in sorted(found) for line in found[moves])
    path.write_bytes(lzma.compress(text.encode("ascii"), preset=9 | lzma.PRESET_EXTREME))

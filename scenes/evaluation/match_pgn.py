"""PGN of matches: every game appended to a file as it ends, with names, opening, result and termination."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import chess
import chess.pgn

from agents.evaluation.paired_match import ADJUDICATED, RESIGNATION, PairedGame
from sim.chess.endgames import STANDARD
from sim.chess.world import Chess
from sim.errors import RequestError, WorkError
from sim.storage.files import reason, special_file_kind

#: Tag Termination by how a game ended (PGN standard, section 9.8.1); else the rules ended it.
TERMINATIONS = {ADJUDICATED: "adjudication", RESIGNATION: "normal"}
UNTERMINATED = "unterminated"
COLUMNS = 80  # of the moves, as the PGN standard exports them


class PgnError(WorkError, OSError):
    """A PGN file that could not be written to its end."""

    def __str__(self) -> str:
        """The message alone."""
        return str(self.args[0])


@dataclass
class PgnFile:
    """A PGN file that grows game by game: what stands in it is whole whenever the work is stopped.

    Attributes:
        path: of the file.
        games: how many were written.
    """

    path: Path
    games: int = 0

    @classmethod
    def at(cls, path: Path, *, overwrite: bool) -> PgnFile:
        """Check that there can be a file; what stood there is replaced when the first game ends.

        Raises:
            RequestError: naming what is in the way.
        """
        kind = special_file_kind(path)
        if kind:
            raise RequestError(f"--pgn {path} is {kind}, not a file")
        if path.exists() and not overwrite:
            raise RequestError(f"--pgn {path} exists: --overwrite replaces it")
        if not path.absolute().parent.is_dir():
            raise RequestError(f"--pgn {path}: there is no folder {path.absolute().parent}")
        return cls(path)

    def append(self, game: chess.pgn.Game) -> None:
        """Write one more game.

        Raises:
            PgnError: with how many are in the file.
        """
        text = game.accept(chess.pgn.StringExporter(columns=COLUMNS))
        try:
            with self.path.open("a" if self.games else "w", encoding="utf-8") as file:
                file.write(f"{text}\n\n")
        except OSError as error:
            raise PgnError(
                f"{self.path} cannot be written: {reason(error)}; it has {self.games} games"
            ) from error
        self.games += 1


def pgn_game(game: PairedGame, config: Chess, event: str, player: str, rival: str) -> chess.pgn.Game:
    """A game of a match as PGN.

    Args:
        game: ended, or in progress when the match was stopped.
        config: the world, which says where games begin.
        event: of the match.
        player: title of the first player.
        rival: title of the second one.
    """
    start: Any = game.opening.start
    board: chess.Board = start.board
    record = chess.pgn.Game()
    if config.start != STANDARD or config.fen is not None:
        record.setup(board)
    white, black = (player, rival) if game.side == 0 else (rival, player)
    result = _result(game)
    headers = {
        "Event": event,
        "Date": f"{date.today():%Y.%m.%d}",
        "Round": f"{game.pair + 1}.{game.side + 1}",
        "White": white,
        "Black": black,
        "Result": result,
        "PlyCount": str(len(game.actions)),
        "Termination": _termination(game),
    }
    for tag, text in headers.items():
        record.headers[tag] = text
    node: chess.pgn.GameNode = record
    position = start
    for ply, action in enumerate(game.actions, 1):
        node = node.add_variation(position.moves[action])
        position = position.play(action)
        if ply == len(game.opening.actions):
            node.comment = "end of the opening"
    node.comment = _ending(game)
    return record


def _result(game: PairedGame) -> str:
    if game.points is None:
        return "*"
    if game.points == 0.5:
        return "1/2-1/2"
    return "1-0" if (game.points == 1) == (game.side == 0) else "0-1"


def _termination(game: PairedGame) -> str:
    if not game.over:
        return UNTERMINATED
    if game.failed is not None:
        return "rules infraction" if game.reason.startswith("illegal move") else "abandoned"
    return TERMINATIONS.get(game.reason, "normal")


def _ending(game: PairedGame) -> str:
    """How the game ended, in words."""
    if not game.over:
        return "in progress when the match was stopped"
    if game.reason == ADJUDICATED:
        return f"cut after {len(game.actions)} plies: half a point each"
    if game.failed is not None:
        return f"no result, {'the agent' if game.failed == 0 else 'the opponent'} failed: {game.reason}"
    return game.reason

"""Chess games from text: Portable Game Notation and FEN, as people paste them."""

from __future__ import annotations

import io
import re
from typing import NamedTuple

import chess
import chess.pgn

from sim.chess.rules.game import ChessGame, PositionError
from sim.errors import RequestError

LONGEST = 200_000  # characters of a text that is read
MOST_PLIES = 1_200

_FEN = re.compile(r"\s*[1-8pnbrqkPNBRQK]+(/[1-8pnbrqkPNBRQK]+)+(\s|$)")


class NotationError(RequestError, ValueError):
    """A text that is neither a FEN nor a PGN."""


class ReadGame(NamedTuple):
    """A game that was read: its first FEN, its actions, the names of White and Black, "" where unknown."""

    fen: str
    actions: tuple[int, ...]
    names: tuple[str, str]


class _Builder(chess.pgn.GameBuilder[chess.pgn.Game]):
    """Keeps errors in the game; python-chess would also log them."""

    def handle_error(self, error: Exception) -> None:
        self.game.errors.append(error)


def read_game(text: str) -> ReadGame:
    """Read a FEN, or the first game of a PGN: its main line.

    Raises:
        NotationError: naming what cannot be read, with the line of the PGN's first illegal move.
    """
    if not text.strip():
        raise NotationError("there is nothing to read: copy a FEN or a PGN first")
    if len(text) > LONGEST:
        raise NotationError(f"a text of {len(text):,} characters is too long for a game")
    if _FEN.match(text):
        fen = " ".join(text.split())
        return ReadGame(_checked(fen), (), ("", ""))
    return _read_pgn(text)


def _checked(fen: str) -> str:
    try:
        ChessGame(fen)
    except PositionError as error:
        raise NotationError(str(error)) from error
    return fen


def _read_pgn(text: str) -> ReadGame:
    lines = re.sub(r'("\s*\])\s*(?=\[)', r"\1\n", text.strip())  # tags that were typed in one line
    lines = re.sub(r'("\s*\])[ \t]+(?=[^\s\[])', r"\1\n\n", lines)
    found = chess.pgn.read_game(io.StringIO(lines), Visitor=_Builder)
    if found is None or (not found.variations and "FEN" not in found.headers and not found.errors):
        raise NotationError(f'"{_excerpt(text)}" is neither a FEN nor a PGN')
    if found.errors:
        raise NotationError(f"the PGN cannot be read: {_excerpt(str(found.errors[0]), 110)}")
    if type(found.board()) is not chess.Board or found.board().chess960:
        raise NotationError("the PGN is of a chess variant; only standard chess is played here")
    fen = _checked(found.board().fen())
    game, actions = ChessGame(fen), list[int]()
    for move in found.mainline_moves():
        if game.reason is not None:
            break  # claimed draws are played on in some records; here they end the game
        if len(actions) >= MOST_PLIES:
            raise NotationError(f"a game of more than {MOST_PLIES:,} plies is not read")
        action = game.action(move.uci())
        game = game.play(action)
        actions.append(action)
    white, black = (_excerpt(found.headers.get(side, "?").strip("?")) for side in ("White", "Black"))
    return ReadGame(fen, tuple(actions), (white, black))


def _excerpt(text: str, most: int = 40) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"

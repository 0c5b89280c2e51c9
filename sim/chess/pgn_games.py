"""Portable Game Notation: the games of a text, read one at a time with their positions.

Only the main line is read, without comments, variations and annotations. A game that cannot be read to its
end keeps the moves before the error.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass

import chess
import chess.pgn

from sim.chess.rules import FIFTY, HISTORY, THREEFOLD, ChessGame, PositionError
from sim.errors import RequestError

#: What the tag "Variant" may say of orthodox chess.
ORTHODOX = ("", "chess", "standard", "normal", "orthodox", "from position")
CHESS960 = ("chess960", "chess 960", "fischerandom", "fischerrandom", "fischer random")

_FAULTS = {
    "ambiguous san": "is ambiguous: more than one piece can go there",
    "illegal san": "is not legal there",
}


class PgnError(RequestError, ValueError):
    """A text without chess games, or a game that cannot be shown."""


@dataclass(frozen=True)
class RecordedGame:
    """A game of P moves.

    Attributes:
        headers: its tags, such as ``"White"``.
        positions: P + 1, the first one included. Where players went on after a draw by repetition or fifty
            moves, which nobody claimed, counting begins anew.
        moves: P moves.
        sans: the same in standard algebraic notation.
        result: ``"1-0"``, ``"0-1"``, ``"1/2-1/2"`` or ``"*"``.
        goes_on: whether the players did so.
        fault: why the moves after these could not be read, in words; "" if there are none.
    """

    headers: Mapping[str, str]
    positions: tuple[ChessGame, ...]
    moves: tuple[chess.Move, ...]
    sans: tuple[str, ...]
    result: str
    goes_on: bool = False
    fault: str = ""

    @property
    def actions(self) -> tuple[int, ...]:
        """The moves as actions."""
        return tuple(
            position.action(move.uci())
            for position, move in zip(self.positions[:-1], self.moves, strict=True)
        )

    def player(self, colour: chess.Color) -> str:
        """Name of a player; "White" or "Black" where it is unknown."""
        side = "White" if colour else "Black"
        name = self.headers.get(side, "").strip()
        return side if name in ("", "?", "??") else name

    def number(self, ply: int) -> str:
        """Number of the move that leads to position `ply`, such as ``"12."`` or, of Black, ``"12…"``."""
        board = self.positions[ply - 1].board
        return f"{board.fullmove_number}{'.' if board.turn else '…'}"


class PgnFile:
    """The games of one text, by number from 1.

    Args:
        name: of the file, for error messages.
        text: its content.
    """

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self._text = io.StringIO(text, newline=None)
        self._starts = [0]  # of the games found so far
        self._ended = False

    @property
    def count(self) -> int | None:
        """How many games there are; None until the last one has been found."""
        return len(self._starts) - 1 if self._ended else None

    def game(self, number: int, history: int = HISTORY) -> RecordedGame:
        """Read a game.

        Args:
            number: from 1.
            history: positions in an observation, see `ChessGame`.

        Raises:
            PgnError: if there is no such game, or it has no moves, or is not orthodox chess.
        """
        if number < 1:
            raise PgnError(f"games count from 1, and there is no game {number}")
        self._find(number + 1)  # the one after it, so as to know whether there is one
        if number > (self.count or number):
            held = "one game" if self.count == 1 else f"{self.count} games"
            raise PgnError(f"{self.name} holds {held}: there is no game {number}")
        if self.count == 0:
            raise PgnError(f"{self.name} holds no chess game: a PGN is wanted, moves in SAN")
        self._text.seek(self._starts[number - 1])
        reader = chess.pgn.read_game(self._text, Visitor=_Reader)
        assert reader is not None
        where = f"{self.name}, game {number}"
        if reader.refusal:
            raise PgnError(f"{where}: {reader.refusal}")
        try:
            return reader.game(history)
        except ValueError as error:
            raise PgnError(f"{where} {error}") from error

    def _find(self, number: int) -> None:
        """Find where game `number` begins, if there is one."""
        while not self._ended and len(self._starts) <= number:
            self._text.seek(self._starts[-1])
            found = chess.pgn.read_game(self._text, Visitor=_Skimmer)
            if found is None:
                self._ended = True
            elif found or len(self._starts) > 1:
                self._starts.append(self._text.tell())
            else:  # text before the first game
                self._starts[0] = self._text.tell()


class _Skimmer(chess.pgn.BaseVisitor[bool]):
    """Whether there is a game at all: it has a tag, or a move."""

    def begin_game(self) -> None:
        self._found = False

    def visit_header(self, tagname: str, tagvalue: str) -> None:
        self._found = True

    def end_headers(self) -> chess.pgn.SkipType | None:
        return chess.pgn.SKIP if self._found else None

    def begin_variation(self) -> chess.pgn.SkipType:
        return chess.pgn.SKIP

    def visit_move(self, board: chess.Board, move: chess.Move) -> None:
        self._found = True

    def handle_error(self, error: Exception) -> None:
        self._found |= str(error).startswith("illegal san")  # written as moves are

    def result(self) -> bool:
        return self._found


class _Reader(chess.pgn.BaseVisitor["_Reader"]):
    """Reads the main line of one game up to its first fault."""

    def begin_game(self) -> None:
        self._headers: dict[str, str] = {}
        self._first = chess.Board()
        self._moves: list[chess.Move] = []
        self._token = ""
        self._result = ""
        self.fault = self.refusal = ""

    def visit_header(self, tagname: str, tagvalue: str) -> None:
        self._headers[tagname] = tagvalue

    def end_headers(self) -> chess.pgn.SkipType | None:
        variant = self._headers.get("Variant", "").strip()
        if variant.lower() in CHESS960:
            self.refusal = "Chess960 is not played here: its castling is not that of orthodox chess"
        elif variant.lower() not in ORTHODOX:
            self.refusal = f'the variant "{variant}" is not played here, only orthodox chess'
        elif "FEN" in self._headers:
            try:
                self._first = ChessGame(self._headers["FEN"]).board
            except PositionError as error:
                self.refusal = str(error)
        return chess.pgn.SKIP if self.refusal else None

    def begin_variation(self) -> chess.pgn.SkipType:
        return chess.pgn.SKIP

    def begin_parse_san(self, board: chess.Board, san: str) -> chess.pgn.SkipType | None:
        self._token = f"move {board.fullmove_number}{'' if board.turn else '…'}, {san},"
        return chess.pgn.SKIP if self.fault else None

    def visit_move(self, board: chess.Board, move: chess.Move) -> None:
        if not move:
            self.fault = f"{self._token} is a null move, which chess has not"
        else:
            self._moves.append(move)

    def visit_result(self, result: str) -> None:
        self._result = self._result or result

    def handle_error(self, error: Exception) -> None:
        kind = str(error).partition(":")[0]
        self.fault = self.fault or f"{self._token} {_FAULTS.get(kind, 'is no move')}"

    def result(self) -> _Reader:
        return self

    def game(self, history: int) -> RecordedGame:
        """The game that was read.

        Raises:
            ValueError: if it has no moves.
        """
        position = ChessGame(self._first.fen(), history)
        positions, sans, goes_on = [position], [], False
        for move in self._moves:
            goes_on |= position.reason in (THREEFOLD, FIFTY)
            position = playable(position, history)
            action = position.action(move.uci())
            if action not in position.moves:
                over = f"comes after the game's end by {position.reason}"
                self.fault = f"move {position.board.fullmove_number}, {move.uci()}, {over}"
                break
            positions[-1] = position
            sans.append(position.san(action))
            position = position.play(action)
            positions.append(position)
        if not sans:
            raise ValueError(f"has no moves{self.fault and f': {self.fault}'}")
        result = self._result or self._headers.get("Result", "*")
        moves = tuple(self._moves[: len(sans)])
        return RecordedGame(self._headers, tuple(positions), moves, tuple(sans), result, goes_on, self.fault)


def playable(position: ChessGame, history: int) -> ChessGame:
    """The position without draws by repetition or fifty moves, after which players may go on."""
    if position.reason not in (THREEFOLD, FIFTY):
        return position
    board = position.board
    board.halfmove_clock = 0
    return ChessGame(board.fen(), history)

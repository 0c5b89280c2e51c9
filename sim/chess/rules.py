"""Immutable chess positions with the rules of play and of draws, for worlds and for tree search.

The moves are python-chess's. The draws are FIDE's (Laws of Chess 2023), and none has to be claimed:

* stalemate (5.2.1) and insufficient material (5.2.2, where no sequence of legal moves mates because of the
  pieces alone: K–K, K+B–K, K+N–K, or only bishops that all stand on one colour);
* threefold repetition (9.2): the game is a draw at once when a position stands for the third time with
  the same side to move, castling rights and possible en-passant captures, counted from where the game began;
* fifty moves (9.3): a draw at once after 100 plies without a capture or a pawn move, unless the last mates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

import chess
import numpy as np

from sim.chess import encoding
from sim.chess.encoding import Snapshot
from sim.errors import RequestError
from sim.records import Array

FIFTY_MOVES = 100  # plies
HISTORY = 8  # positions in an observation; Silver et al. 2018, table S1

#: Pawns' worth of a captured piece, by python-chess's piece type.
WORTH = {chess.PAWN: 1, chess.KNIGHT: 3, chess.BISHOP: 3, chess.ROOK: 5, chess.QUEEN: 9}

#: How a game can end by the rules.
CHECKMATE, STALEMATE, INSUFFICIENT = "checkmate", "stalemate", "insufficient material"
THREEFOLD, FIFTY = "threefold repetition", "fifty moves"

_Key = tuple[bytes, bool, int, int | None]


class IllegalMoveError(ValueError):
    """A move that the rules forbid in the position where it was played."""


class PositionError(RequestError, ValueError):
    """A FEN that cannot be read or is no legal position."""


class ChessGame:
    """An immutable chess position with the history that the rules need; a `sim.protocols.Game`.

    >>> game = ChessGame()
    >>> len(game.legal_actions()), game.to_play(), game.planes().shape
    (20, 0, (119, 8, 8))
    >>> game.play(game.action("e2e4")).fen
    'rnbqkbnr/pppppppp/8/8/4P3/8/PPPP1PPP/RNBQKBNR b KQkq - 0 1'
    """

    __slots__ = ("_board", "_castling", "_ending", "_history", "_keys", "_length", "_moves", "turn")

    def __init__(self, fen: str = chess.STARTING_FEN, history: int = HISTORY) -> None:
        """Begin at `fen`; `history` is how many positions `planes` shows.

        Raises:
            PositionError: naming what is wrong with `fen`.
        """
        self._place(checked_board(fen), (), (), history)

    def _place(
        self, board: chess.Board, keys: tuple[_Key, ...], history: tuple[Snapshot, ...], length: int
    ) -> None:
        self.turn = board.turn
        self._board = board
        self._length = length
        self._moves: dict[int, chess.Move] | None = None
        self._ending: str | None = None
        en_passant = board.ep_square if board.ep_square and board.has_legal_en_passant() else None
        first = encoding.snapshot(board, 0)
        key = (first.white, self.turn, board.castling_rights, en_passant)
        occurred = keys.count(key)
        self._keys = (*keys, key)
        newest = encoding.snapshot(board, occurred) if occurred else first
        self._history = (*history, newest)[-length:]

    def play(self, action: int) -> ChessGame:
        """The position after `action`, one of `legal_actions`.

        Raises:
            IllegalMoveError: naming the move.
        """
        move = self._legal().get(int(action))
        if move is None or self.reason is not None:
            raise IllegalMoveError(self.refusal(int(action)))
        board = self._board.copy(stack=False)
        board.push(move)
        after: ChessGame = object.__new__(ChessGame)
        # What came before a capture or a pawn move can never stand on the board again.
        after._place(board, self._keys if board.halfmove_clock else (), self._history, self._length)
        return after

    def legal_actions(self) -> Array:
        """(K,) int64 indices of the legal actions, ascending; none when the game is over."""
        actions = np.fromiter(self.moves, np.int64)
        actions.sort()
        return actions

    @property
    def moves(self) -> Mapping[int, chess.Move]:
        """The legal moves by action; none when the game is over."""
        return MappingProxyType({} if self.reason is not None else self._legal())

    def outcome(self) -> float | None:
        """−1 if the player to move is mated, 0 for a draw, None while the game goes on."""
        reason = self.reason
        if reason is None:
            return None
        return -1.0 if reason == CHECKMATE else 0.0

    @property
    def reason(self) -> str | None:
        """Reason of the game's end, such as ``"stalemate"``; None while it goes on."""
        if self._ending is None:
            self._ending = self._find_ending()
        return self._ending or None

    def to_play(self) -> int:
        """0: White moves, 1: Black."""
        return 0 if self.turn else 1

    def planes(self) -> Array:
        """(C, 8, 8) float32 in [0, 1] from the mover's side; `sim.chess.encoding` has the table."""
        bits = encoding.unpacked([self.packed(self.turn)], [self._board])
        planes: Array = bits[0].astype(np.float32) / np.float32(255)
        return planes

    @staticmethod
    def observe(games: Sequence[ChessGame]) -> Array:
        """(N, C, 8, 8) uint8 planes of N positions, each from its mover's side."""
        return observations([game.packed(game.turn) for game in games], games)

    def packed(self, view: chess.Color) -> bytes:
        """The planes seen from the side `view`, as bits for `observations`."""
        return encoding.packed_planes(self._history, self._board, view, self._length)

    def action(self, uci: str) -> int:
        """The action of a move in UCI, such as ``"e7e8q"``; it need not be legal.

        Raises:
            ValueError: for text that is no move.
        """
        return encoding.action_of(chess.Move.from_uci(uci), self.turn)

    def san(self, action: int) -> str:
        """A legal action as players write it, such as ``"Nf3"``."""
        return self._board.san(self._legal()[int(action)])

    def refusal(self, action: int) -> str:
        """Why `action` cannot be played, in words."""
        move = encoding.move_of(action, self._board) if 0 <= action < encoding.ACTIONS else None
        what = f"action {action}" if move is None else f"action {action}, {move.uci()},"
        if self.reason is not None:
            return f"{what} comes after the game's end by {self.reason}"
        why = "leaves the board" if move is None else "is not legal here"
        return f"{what} {why}: {self.fen}"

    def taken(self, action: int) -> int:
        """Material that a legal action captures, in pawns; 0 for none."""
        move, board = self._legal()[action], self._board
        piece = board.piece_type_at(move.to_square)
        if piece is not None:
            return WORTH[piece]
        return WORTH[chess.PAWN] if board.is_en_passant(move) else 0

    @property
    def board(self) -> chess.Board:
        """A copy of the position for python-chess's own tools; it knows the last move and no more."""
        return self._board.copy()

    @property
    def last_move(self) -> chess.Move | None:
        """The move that led here; None at the start."""
        return self._board.move_stack[-1] if self._board.move_stack else None

    @property
    def fen(self) -> str:
        """The position in Forsyth–Edwards notation, en passant only where it can be played."""
        board = self._board
        placement, turn, rights, square = self._keys[-1]
        rows = "/".join(_fen_row(placement[row:96:8]) for row in range(7, -1, -1))
        target = "-" if square is None else chess.SQUARE_NAMES[square]
        clocks = f"{board.halfmove_clock} {board.fullmove_number}"
        return f"{rows} {'w' if turn else 'b'} {_fen_castling(rights)} {target} {clocks}"

    def passed(self) -> ChessGame:
        """The same position with the other side to move; only for the value of a truncated game."""
        board = self._board.copy(stack=False)
        board.push(chess.Move.null())
        after: ChessGame = object.__new__(ChessGame)
        after._place(board, (), self._history[:-1], self._length)
        king = board.king(board.turn ^ True)
        after._moves = {a: m for a, m in encoding.legal_moves(board).items() if m.to_square != king}
        after._ending = ""
        return after

    def _legal(self) -> dict[int, chess.Move]:
        if self._moves is None:
            self._moves = encoding.legal_moves(self._board)
        return self._moves

    def _find_ending(self) -> str:
        """Reason of the game's end, or "" if it goes on; the moves are needed for everything but one draw."""
        board = self._board
        if board.is_insufficient_material():
            return INSUFFICIENT
        if not self._legal():
            return CHECKMATE if board.is_check() else STALEMATE
        if board.halfmove_clock >= FIFTY_MOVES:
            return FIFTY
        return THREEFOLD if self._keys.count(self._keys[-1]) >= 3 else ""


def observations(packed: Sequence[bytes], games: Sequence[ChessGame]) -> Array:
    """(N, C, 8, 8) uint8 planes of N games from their `ChessGame.packed` bits, in one call."""
    return encoding.unpacked(packed, [game._board for game in games])


def checked_board(fen: str) -> chess.Board:
    """Parse a FEN into a board, checked to be a legal position.

    Raises:
        PositionError: naming what is wrong.
    """
    try:
        board = chess.Board(fen)
    except ValueError as error:
        raise PositionError(f'the FEN "{fen}" cannot be read: {error}') from error
    status = board.status()
    if status != chess.STATUS_VALID:
        names = [flag.name for flag in chess.Status if flag & status and flag.name]
        faults = ", ".join(name.lower().replace("_", " ") for name in names)
        raise PositionError(f'the FEN "{fen}" is no legal position: {faults}')
    return board


@lru_cache(maxsize=1 << 16)
def _fen_row(pieces: bytes) -> str:
    """One row from its 12 bytes: White's pawn to king, then Black's."""
    text = ""
    empty = 0
    for column in range(8):
        letter = next((s for s, bits in zip("PNBRQKpnbrqk", pieces, strict=True) if bits >> column & 1), "")
        if not letter:
            empty += 1
            continue
        text += f"{empty or ''}{letter}"
        empty = 0
    return f"{text}{empty or ''}"


@lru_cache(maxsize=16)
def _fen_castling(rights: int) -> str:
    corners = zip("KQkq", (chess.BB_H1, chess.BB_A1, chess.BB_H8, chess.BB_A8), strict=True)
    return "".join(letter for letter, corner in corners if rights & corner) or "-"

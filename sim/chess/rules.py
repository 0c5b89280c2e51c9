"""Immutable chess positions with the rules of play and of draws, for worlds and for tree search.

The moves are python-chess's. The draws are FIDE's (Laws of Chess 2023), and none has to be claimed:

* stalemate (5.2.1) and insufficient material (5.2.2, where no sequence of legal moves mates because of the
  pieces alone: K–K, K+B–K, K+N–K, or only bishops that all stand on one colour);
* threefold repetition (9.2): the game is a draw at once when a position stands for the third time with
  the same side to move, castling rights and possible en-passant captures, counted from where the game began;
* fifty moves (9.3): a draw at once after 100 plies without a capture or a pawn move, unless the last mates.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import metadata
from types import ModuleType

import chess
import numpy as np

from sim.chess import encoding
from sim.chess.bitboards import Bitboards
from sim.chess.encoding import Snapshot
from sim.chess.fen import PositionError, RepetitionKey, checked_board, fen_of
from sim.chess.move_generator import in_check, legal_actions, playable_en_passant
from sim.chess.termination import (
    CHECKMATE,
    FIFTY,
    FIFTY_MOVES,
    INSUFFICIENT,
    STALEMATE,
    THREEFOLD,
    THREEFOLD_BEFORE,
    IllegalMoveError,
    insufficient_material,
    refusal,
)
from sim.protocols import Game
from sim.records import Array

__all__ = [
    "CHECKMATE",
    "FIFTY",
    "FIFTY_MOVES",
    "HISTORY",
    "INSUFFICIENT",
    "STALEMATE",
    "THREEFOLD",
    "WORTH",
    "ChessGame",
    "IllegalMoveError",
    "PositionError",
    "checked_board",
    "fast_core_missing",
    "observations",
]

FAST_CORE = "0.4."  # versions of rust-chess whose interface `sim.chess.fast_rules` knows
HISTORY = 8  # positions in an observation; Silver et al. 2018, table S1

#: Pawns' worth of a captured piece, by python-chess's piece type.
WORTH = {chess.PAWN: 1, chess.KNIGHT: 3, chess.BISHOP: 3, chess.ROOK: 5, chess.QUEEN: 9}


_Squares = tuple[int, int, int | None]  # from, to, and python-chess's type of the piece that a pawn becomes
_NULL_MOVE: _Squares = (0, 0, None)


class ChessGame:
    """An immutable chess position with the history that the rules need; a `sim.protocols.Game`.

    >>> game = ChessGame()
    >>> len(game.legal_actions()), game.to_play(), game.planes().shape
    (20, 0, (119, 8, 8))
    >>> game.play(game.action("e2e4")).fen
    'rnbqkbnr/pppppppp/8/8/4P3/8/PPPP1PPP/RNBQKBNR b KQkq - 0 1'
    """

    __slots__ = (
        "_actions",
        "_before",
        "_board",
        "_ending",
        "_history",
        "_keys",
        "_last",
        "_length",
        "_occurred",
        "turn",
    )

    def __init__(self, fen: str = chess.STARTING_FEN, history: int = HISTORY) -> None:
        """Begin at `fen`; `history` is how many positions `planes` shows.

        Raises:
            PositionError: naming what is wrong with `fen`.
        """
        self._last: _Squares | None = None  # of the move that led here
        self._before: Bitboards | None = None  # the position before it
        self._place(Bitboards.of(checked_board(fen)), (), (), history)

    def _place(
        self, board: Bitboards, keys: tuple[RepetitionKey, ...], history: tuple[Snapshot, ...], length: int
    ) -> None:
        self.turn = board.turn
        self._board = board
        self._length = length
        self._actions: list[int] | None = None  # ascending, whether or not the game is over
        self._ending: str | None = None
        first = encoding.snapshot(board.kinds, board.occupied_co, 0)
        key = (first.white, self.turn, board.castling_rights, playable_en_passant(board))
        # A position recurs after four plies at the earliest.
        self._occurred = keys.count(key) if len(keys) >= 4 else 0
        self._keys = (*keys, key)
        if self._occurred:
            first = encoding.snapshot(board.kinds, board.occupied_co, self._occurred)
        self._history = (*history, first)[-length:]

    def play(self, action: int) -> ChessGame:
        """The position after `action`, one of `legal_actions`.

        Raises:
            IllegalMoveError: naming the move.
        """
        action = int(action)
        move = self._squares(action) if action in self._legal() else None
        if move is None or self.reason is not None:
            raise IllegalMoveError(self.refusal(action))
        board = self._board.after(*move)
        after: ChessGame = object.__new__(ChessGame)
        after._last = move
        after._before = self._board
        # What came before a capture or a pawn move can never stand on the board again.
        after._place(board, self._keys if board.halfmove_clock else (), self._history, self._length)
        return after

    def legal_actions(self) -> Array:
        """(K,) int64 indices of the legal actions, ascending; none when the game is over."""
        return np.array([] if self.reason is not None else self._legal(), np.int64)

    @property
    def moves(self) -> Mapping[int, chess.Move]:
        """The legal moves by action, in ascending order; none when the game is over."""
        return _Moves(self._move, [] if self.reason is not None else self._legal())

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
        return encoding.unpacked(
            [game.packed(game.turn) for game in games], [game.counters for game in games]
        )

    def packed(self, view: chess.Color) -> bytes:
        """The planes seen from the side `view`, as bits for `observations`."""
        return encoding.packed_planes(self._history, self._board, view, self._length)

    @property
    def counters(self) -> Bitboards:
        """What the planes tell of the position beside its pieces."""
        return self._board

    def action(self, uci: str) -> int:
        """The action of a move in UCI, such as ``"e7e8q"``; it need not be legal.

        Raises:
            ValueError: for text that is no move.
        """
        return encoding.action_of(chess.Move.from_uci(uci), self.turn)

    def san(self, action: int) -> str:
        """A legal action as players write it, such as ``"Nf3"``."""
        return self._board.board().san(_Moves(self._move, self._legal())[int(action)])

    def refusal(self, action: int) -> str:
        """Why `action` cannot be played, in words."""
        move = self._move(action) if 0 <= action < encoding.ACTIONS else None
        return refusal(action, move, self.reason, self.fen)

    def taken(self, action: int) -> int:
        """Material that a legal action captures, in pawns; 0 for none."""
        move = _Moves(self._move, self._legal())[action]
        captured = self._board.kind_at(move.to_square)
        if captured is not None:
            return WORTH[captured]
        sideways = (move.to_square - move.from_square) & 7
        pawn = self._board.kind_at(move.from_square) == chess.PAWN
        return WORTH[chess.PAWN] if pawn and sideways else 0

    @property
    def board(self) -> chess.Board:
        """A copy of the position for python-chess's own tools; it knows the last move and no more."""
        if self._before is None or self._last is None:
            return self._board.board()
        board = self._before.board()
        board.push(chess.Move(*self._last))
        return board

    @property
    def last_move(self) -> chess.Move | None:
        """The move that led here; None at the start."""
        return None if self._last is None else chess.Move(*self._last)

    @property
    def fen(self) -> str:
        """The position in Forsyth–Edwards notation, en passant only where it can be played."""
        return fen_of(self._keys[-1], self._board.halfmove_clock, self._board.fullmove_number)

    def passed(self) -> ChessGame:
        """The same position with the other side to move; only for the value of a truncated game."""
        board = self._board.passed()
        after: ChessGame = object.__new__(ChessGame)
        after._last = _NULL_MOVE
        after._before = self._board
        after._place(board, (), self._history[:-1], self._length)
        theirs = board.kinds[5] & board.occupied_co[not board.turn]
        king = theirs.bit_length() - 1
        after._actions = [
            a for a, move in _Moves(after._move, legal_actions(board)).items() if move.to_square != king
        ]
        after._ending = ""
        return after

    @property
    def repetitions(self) -> int:
        """How often this position occurred before, counted as for threefold repetition."""
        return self._occurred

    def for_search(self) -> Game:
        """The same position on the rules core that is fastest here; see `sim.chess.fast_rules`."""
        fast_rules = _fast_rules()
        passed = self._last == _NULL_MOVE
        if fast_rules is None or passed:
            return self
        board = self._board
        game: Game = fast_rules.FastChessGame(
            self._keys, self._history, self._length, board.halfmove_clock, board.fullmove_number
        )
        return game

    def _legal(self) -> list[int]:
        if self._actions is None:
            self._actions = legal_actions(self._board)
        return self._actions

    def _squares(self, action: int) -> _Squares | None:
        own_pawns = self._board.kinds[0] & self._board.occupied_co[self.turn]
        return encoding.squares_of(action, self.turn, own_pawns)

    def _move(self, action: int) -> chess.Move | None:
        squares = self._squares(action)
        return None if squares is None else chess.Move(*squares)

    def _find_ending(self) -> str:
        """Reason of the game's end, or "" if it goes on; the moves are needed for everything but one draw."""
        board = self._board
        if insufficient_material(board.kinds):
            return INSUFFICIENT
        if not self._legal():
            return CHECKMATE if in_check(board) else STALEMATE
        if board.halfmove_clock >= FIFTY_MOVES:
            return FIFTY
        return THREEFOLD if self._occurred >= THREEFOLD_BEFORE else ""


class _Moves(Mapping[int, chess.Move]):
    """Legal moves by action, each made when it is asked for."""

    def __init__(self, move_of: Callable[[int], chess.Move | None], actions: list[int]) -> None:
        self._move_of, self._actions = move_of, actions

    def __getitem__(self, action: int) -> chess.Move:
        move = self._move_of(action) if action in self._actions else None
        if move is None:
            raise KeyError(action)
        return move

    def __contains__(self, action: object) -> bool:
        return action in self._actions

    def __iter__(self) -> Iterator[int]:
        return iter(self._actions)

    def __len__(self) -> int:
        return len(self._actions)


@lru_cache(maxsize=1)
def fast_core_missing() -> str | None:
    """Why `ChessGame.for_search` stays with python-chess; None where the faster core is installed."""
    try:
        version = metadata.version("rust-chess")
    except metadata.PackageNotFoundError:
        return "not installed"
    if not version.startswith(FAST_CORE):
        return f"version {version} is installed, which is not {FAST_CORE}x"
    try:
        importlib.import_module("rust_chess")
    except ImportError as error:
        return f"installed, but it cannot be imported: {error}"
    return None


@lru_cache(maxsize=1)
def _fast_rules() -> ModuleType | None:
    if fast_core_missing():
        return None
    from sim.chess import fast_rules

    return fast_rules


def observations(packed: Sequence[bytes], games: Sequence[ChessGame]) -> Array:
    """(N, C, 8, 8) uint8 planes of N games from their `ChessGame.packed` bits, in one call."""
    return encoding.unpacked(packed, [game.counters for game in games])

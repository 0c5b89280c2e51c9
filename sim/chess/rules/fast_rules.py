"""Chess positions on rust-chess's rules core: what tree search needs of `sim.chess.rules.game`, several times as fast.

A `FastChessGame` equals the `ChessGame` that it was made of, and so do all positions after it, in everything a
`sim.protocols.Game` has: actions and their order, ends and their reasons, planes to the bit. Only the core knows how
pieces move; repetitions, draws and planes are counted here as there. `sim.chess.rules.game.ChessGame.for_search` makes one
where the extra ``chess-fast`` is installed.

Why rust-chess, of the two cores tried. CPU time of one ply of random play, legal actions in order and a new position; the
smallest network takes 200 µs a position:

| core | µs a ply | memory a position | wheels for 3.11–3.14 |
|---|---|---|---|
| python-chess 1.11, GPL-3 | 64 | | pure Python |
| `sim.chess.rules.bitboards` and `sim.chess.rules.move_generator` | 29 | | |
| rust-chess 0.4.3, MIT | 11 | 0.2 kB | Linux, macOS, Windows, each on x86-64 and ARM |
| spooky-chess 1.1.0, MIT | 6 | 8.6 kB | Linux on x86-64, macOS on ARM |

spooky-chess keeps boards of up to 16×16, so that trees of positions take forty times the memory, and its wheel puts folders
called ``game``, ``bin``, ``python`` and ``uci`` among all packages.
A board of rust-chess is not changed by a move (`make_move_new`) and gives bitboards. Its clocks have eight bits, its FEN a
wrong en-passant square, and it counts repetitions by hash: none of these is used here.
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import chess
import numpy as np
import rust_chess

from sim.chess.rules import encoding
from sim.chess.rules.bitboards import RIGHTS_KEPT
from sim.chess.rules.encoding import Snapshot
from sim.chess.rules.fen import RepetitionKey, fen_of
from sim.chess.rules.termination import (
    CHECKMATE,
    FIFTY,
    FIFTY_MOVES,
    INSUFFICIENT,
    STALEMATE,
    THREEFOLD,
    THREEFOLD_BEFORE,
    IllegalMoveError,
    Terminates,
    insufficient_material,
    refusal,
)
from sim.records import Array

_UCI: Callable[[Any], str] = rust_chess.Move.get_uci
_COUNT_NO_REPETITIONS = rust_chess.RepetitionDetectionMode.NONE


class _CoreMove(NamedTuple):
    """An action as the core's move; a pawn that gets to the last row becomes a queen."""

    move: rust_chess.Move
    queening: rust_chess.Move | None
    kept_rights: int  # castling rights that survive it


def _core_moves() -> tuple[list[dict[int, _CoreMove]], list[dict[str, int]]]:
    """By side to move: the core's move of each action, and the action of each UCI text."""
    moves: list[dict[int, _CoreMove]] = []
    actions: list[dict[str, int]] = []
    for turn in chess.COLORS[::-1]:  # indexed by colour: Black is False
        moves.append({})
        actions.append({})
        for action, start, end, promotion in encoding.all_moves(turn):
            kept = RIGHTS_KEPT[start] & RIGHTS_KEPT[end]
            plain, queen = chess.Move(start, end, promotion), chess.Move(start, end, chess.QUEEN)
            queening = (
                promotion is None and start >> 3 == (6 if turn else 1) and end >> 3 == (7 if turn else 0)
            )
            moves[turn][action] = _CoreMove(
                rust_chess.Move(plain.uci()), rust_chess.Move(queen.uci()) if queening else None, kept
            )
            actions[turn][plain.uci()] = action
            if queening:
                actions[turn][queen.uci()] = action
    return moves, actions


_MOVES, _ACTIONS = _core_moves()


class FastChessGame(Terminates):
    """An immutable chess position for search; a `sim.protocols.Game` equal to the `ChessGame` it comes from.

    One thread at a time may ask a position: the core's move generator has a state.

    >>> from sim.chess.rules.game import ChessGame
    >>> game = ChessGame().for_search()
    >>> type(game).__name__, len(game.legal_actions()), game.play(76).outcome()
    ('FastChessGame', 20, None)
    """

    __slots__ = (
        "_actions",
        "_core",
        "_history",
        "_keys",
        "_kinds",
        "_length",
        "_occurred",
        "castling_rights",
        "fullmove_number",
        "halfmove_clock",
    )

    def __init__(
        self,
        keys: tuple[RepetitionKey, ...],
        history: tuple[Snapshot, ...],
        length: int,
        halfmove_clock: int,
        fullmove_number: int,
    ) -> None:
        """Stand where a game stands after `keys`.

        Args:
            keys: of the positions since the last capture or pawn move, the present one last.
            history: the last positions for the planes, the present one last.
            length: how many positions the planes show.
            halfmove_clock: plies without capture or pawn move.
            fullmove_number: as in FEN.

        Raises:
            ValueError: if the core cannot have the position.
        """
        core = rust_chess.Board(fen_of(keys[-1], 0, 1), _COUNT_NO_REPETITIONS)
        self.turn, self.castling_rights = keys[-1][1:3]
        self.halfmove_clock, self.fullmove_number = halfmove_clock, fullmove_number
        self._place(core, keys[:-1], history[:-1], length)

    def _place(
        self,
        core: rust_chess.Board,
        keys: tuple[RepetitionKey, ...],
        history: tuple[Snapshot, ...],
        length: int,
    ) -> None:
        self._core = core
        self._length = length
        self._actions: Array | None = None
        self._ending: str | None = None
        bitboard = core.get_piece_type_bitboard
        self._kinds = (
            bitboard(rust_chess.PAWN).to_uint(),
            bitboard(rust_chess.KNIGHT).to_uint(),
            bitboard(rust_chess.BISHOP).to_uint(),
            bitboard(rust_chess.ROOK).to_uint(),
            bitboard(rust_chess.QUEEN).to_uint(),
            bitboard(rust_chess.KING).to_uint(),
        )
        sides = (
            core.get_color_bitboard(rust_chess.BLACK).to_uint(),
            core.get_color_bitboard(rust_chess.WHITE).to_uint(),
        )
        first = encoding.snapshot(self._kinds, sides, 0)
        key = (first.white, self.turn, self.castling_rights, _en_passant(core, self.turn))
        # A position recurs after four plies at the earliest.
        self._occurred = keys.count(key) if len(keys) >= 4 else 0
        self._keys = (*keys, key)
        if self._occurred:
            first = encoding.snapshot(self._kinds, sides, self._occurred)
        self._history = (*history, first)[-length:]

    def play(self, action: int) -> FastChessGame:
        """The position after `action`, one of `legal_actions`.

        Raises:
            IllegalMoveError: naming the move.
        """
        core = self._core
        entry = _MOVES[self.turn].get(int(action))
        move = entry.move if entry is not None else None
        if move is not None and not core.is_legal_move(move):
            move = entry.queening if entry is not None else None
            if move is not None and not core.is_legal_move(move):
                move = None
        if entry is None or move is None or self.reason is not None:
            raise IllegalMoveError(self._refusal(int(action)))
        after: FastChessGame = object.__new__(FastChessGame)
        after.turn = not self.turn
        after.castling_rights = self.castling_rights & entry.kept_rights
        after.fullmove_number = self.fullmove_number + (not self.turn)
        after.halfmove_clock = 0 if core.is_zeroing(move) else self.halfmove_clock + 1
        keys = self._keys if after.halfmove_clock else ()
        after._place(core.make_move_new(move, False), keys, self._history, self._length)
        return after

    def legal_actions(self) -> Array:
        """(K,) int64 indices of the legal actions, ascending; none when the game is over."""
        if self.reason is not None:
            return np.empty(0, np.int64)
        return self._legal().copy()

    @staticmethod
    def observe(games: Sequence[FastChessGame]) -> Array:
        """(N, C, 8, 8) uint8 planes of N positions, each from its mover's side."""
        return encoding.unpacked(
            [game.packed(game.turn) for game in games], [game.counters for game in games]
        )

    def packed(self, view: chess.Color) -> bytes:
        """The planes seen from the side `view`, as `sim.chess.rules.game.ChessGame.packed`."""
        return encoding.packed_planes(self._history, self, view, self._length)

    @property
    def repetitions(self) -> int:
        """How often this position occurred before, counted as for threefold repetition."""
        return self._occurred

    @property
    def counters(self) -> FastChessGame:
        """What the planes tell of the position beside its pieces."""
        return self

    def for_search(self) -> FastChessGame:
        """The position itself: search plays it as it is."""
        return self

    @property
    def fen(self) -> str:
        """The position in Forsyth–Edwards notation, en passant only where it can be played."""
        return fen_of(self._keys[-1], self.halfmove_clock, self.fullmove_number)

    def _legal(self) -> Array:
        if self._actions is None:
            core = self._core
            core.reset_move_generator()  # an interrupted turn of it would go on where it stopped
            names = map(_UCI, core.generate_legal_moves())
            actions = np.fromiter(map(_ACTIONS[self.turn].__getitem__, names), np.int64)
            actions.sort()
            self._actions = actions
        return self._actions

    def _refusal(self, action: int) -> str:
        own = self._core.get_color_bitboard(rust_chess.WHITE if self.turn else rust_chess.BLACK).to_uint()
        known = 0 <= action < encoding.ACTIONS
        squares = encoding.squares_of(action, self.turn, self._kinds[0] & own) if known else None
        move = None if squares is None else chess.Move(*squares)
        return refusal(action, move, self.reason, self.fen)

    def _find_ending(self) -> str:
        """Reason of the game's end, or "" if it goes on."""
        if insufficient_material(self._kinds):
            return INSUFFICIENT
        if not len(self._legal()):
            return CHECKMATE if self._core.is_check() else STALEMATE
        if self.halfmove_clock >= FIFTY_MOVES:
            return FIFTY
        return THREEFOLD if self._occurred >= THREEFOLD_BEFORE else ""


def _en_passant(core: rust_chess.Board, turn: chess.Color) -> int | None:
    """The square where a pawn can capture in passing, None where none can."""
    target = core.en_passant
    if target is None:
        return None
    square = target.get_index()
    behind = square - 8 if turn else square + 8
    for neighbour in (behind - 1, behind + 1):
        if neighbour >> 3 == behind >> 3:
            move = rust_chess.Move(rust_chess.SQUARES[neighbour], target)
            if core.is_en_passant(move) and core.is_legal_move(move):
                return square
    return None

"""AlphaZero's encoding of chess: moves as 4,672 actions, positions as planes, both from the mover's side.

The encoding is that of Silver et al. 2018, "A general reinforcement learning algorithm that masters
chess, shogi, and Go through self-play", tables S1 and S2. Squares count from the mover's own left
corner: square = 8·row + column, row 0 is the mover's first rank, column 0 the a-file. For Black the
board is flipped top to bottom, never left to right.

Actions, ``64 · plane + from-square``, so that a (73, 8, 8) output flattens to them:

| plane | move |
|---|---|
| 0–55 | 7·direction + distance − 1; directions clockwise from straight ahead: N NE E SE S SW W NW. Castling is the king's move of two squares, a pawn that gets to the last row becomes a queen |
| 56–63 | knight moves, clockwise from (one right, two ahead) |
| 64–72 | 64 + 3·piece + side: underpromotion to knight, bishop, rook; capturing left, ahead, capturing right |

Observation planes, uint8, in 1/255 as all pictures here: 255 means 1. With a history of H positions
(8 in the paper) there are 14·H + 7; 119 for H = 8. The last H positions, newest first, all seen from
the side that moves now, zero before the start of the game:

| plane | 1 where | plane | 1 where |
|---|---|---|---|
| 0–5 | mover's pawns, knights, bishops, rooks, queens, king | 12 | everywhere, if the position occurred before |
| 6–11 | the same of the other side | 13 | everywhere, if it occurred twice before |

and seven that are the same everywhere:

| plane | value |
|---|---|
| 14H | 1 if the mover is Black |
| 14H + 1 | number of the full move, as in FEN, /255 |
| 14H + 2, 3 | mover may still castle on the king's side, queen's side |
| 14H + 4, 5 | the other side may |
| 14H + 6 | plies without capture or pawn move, /100 |
"""  # noqa: E501

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

import chess
import numpy as np

from sim.records import Array

ACTIONS = 64 * 73
PLANES_PER_POSITION = 14
CONSTANT_PLANES = 7

DIRECTIONS = ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1))  # (files, ranks)
KNIGHT_JUMPS = ((1, 2), (2, 1), (2, -1), (1, -2), (-1, -2), (-2, -1), (-2, 1), (-1, 2))
UNDERPROMOTIONS = (chess.KNIGHT, chess.BISHOP, chess.ROOK)

_ONES, _NONE = b"\xff" * 8, bytes(8)
_LITTLE, _BIG = struct.Struct("<12Q").pack, struct.Struct(">12Q").pack
_NO_POSITION = bytes(8 * PLANES_PER_POSITION)
_CLOCKS = [(plies * 51 + 10) // 20 for plies in range(101)]  # 255/100 a ply, rounded
_REPETITIONS = (_NONE + _NONE, _ONES + _NONE, _ONES + _ONES)


class Snapshot(NamedTuple):
    """Bit-packed planes of a position: 14 × 8 bytes a side, one byte a row, the a-file in the lowest bit."""

    black: bytes  # as Black sees it; indexed by chess.BLACK == False
    white: bytes


class Counters(Protocol):
    """What planes tell of a position beside its pieces, as `chess.Board` names it."""

    castling_rights: int  # bitboard of the rooks that may still castle
    fullmove_number: int
    halfmove_clock: int


def plane_count(history: int) -> int:
    """Number of planes of an observation with `history` positions.

    >>> plane_count(8)
    119
    """
    return PLANES_PER_POSITION * history + CONSTANT_PLANES


def _tables() -> tuple[list[int], list[int], list[tuple[int, int, int | None] | None]]:
    """White's from·to → action, the same for underpromotions, and action → (from, to, promotion)."""
    plain = [-1] * 4096
    under = [-1] * (4096 * 8)
    moves: list[tuple[int, int, int | None] | None] = [None] * ACTIONS
    steps = [(dx * n, dy * n) for dx, dy in DIRECTIONS for n in range(1, 8)] + list(KNIGHT_JUMPS)
    for square in range(64):
        row, column = divmod(square, 8)
        for plane, (dx, dy) in enumerate(steps):
            if 0 <= column + dx < 8 and 0 <= row + dy < 8:
                to = square + 8 * dy + dx
                plain[64 * square + to] = action = 64 * plane + square
                moves[action] = (square, to, None)
        for i, piece in enumerate(UNDERPROMOTIONS):
            for side in (-1, 0, 1):
                if row == 6 and 0 <= column + side < 8:
                    to = square + 8 + side
                    action = 64 * (64 + 3 * i + side + 1) + square
                    under[4096 * piece + 64 * square + to] = action
                    moves[action] = (square, to, piece)
    return plain, under, moves


_WHITE_PLAIN, _WHITE_UNDER, _MOVES = _tables()
_FLIPPED = [(key ^ (56 << 6) ^ 56) for key in range(4096)]
_PLAIN = ([_WHITE_PLAIN[key] for key in _FLIPPED], _WHITE_PLAIN)  # by colour, from·64 + to as they are
_UNDER = ([_WHITE_UNDER[(key & ~4095) | _FLIPPED[key & 4095]] for key in range(4096 * 8)], _WHITE_UNDER)


@lru_cache
def symmetries() -> tuple[Array, Array]:
    """The eight symmetries of the board, which leave the game unchanged without pawns and castling.

    Returns:
        (8, 64) which square each square takes its pieces from, and (8, 4672) what each action becomes; the
        first of them is the identity.
    """
    rows, columns = np.divmod(np.arange(64), 8)
    moved = []  # where each square goes
    for k in range(8):
        x, y = (7 - columns if k & 1 else columns), (7 - rows if k & 2 else rows)
        moved.append(8 * x + y if k & 4 else 8 * y + x)
    actions = np.tile(np.arange(ACTIONS), (8, 1))
    for squares, row in zip(moved, actions, strict=True):
        for action, entry in enumerate(_MOVES):
            if entry is not None and entry[2] is None:
                row[action] = _WHITE_PLAIN[64 * squares[entry[0]] + squares[entry[1]]]
    return np.argsort(moved, axis=1), actions


def action_of(move: chess.Move, turn: chess.Color) -> int:
    """The action in 0…4671 that stands for `move` of the side `turn`.

    >>> action_of(chess.Move.from_uci("e2e4"), chess.WHITE)  # N by two, from square 12
    76
    >>> action_of(chess.Move.from_uci("e7e5"), chess.BLACK)
    76

    Raises:
        ValueError: for the null move, which is no action.
    """
    key = move.from_square << 6 | move.to_square
    if move.promotion and move.promotion != chess.QUEEN:
        action = _UNDER[turn][move.promotion << 12 | key]
    else:
        action = _PLAIN[turn][key]
    if action < 0:
        raise ValueError(f"{move.uci()} is no chess move")
    return action


def plain_action(turn: chess.Color, start: int, end: int) -> int:
    """The action of the side `turn` from square to square, without underpromotion; −1 for no chess move."""
    return _PLAIN[turn][start << 6 | end]


def move_of(action: int, board: chess.Board) -> chess.Move | None:
    """The move that `action` stands for on `board`, legal or not; None where it leaves the board.

    The board says who moves, and whether it is a pawn that becomes a queen.

    >>> move_of(76, chess.Board()).uci()
    'e2e4'
    """
    squares = squares_of(action, board.turn, board.pawns & board.occupied_co[board.turn])
    return None if squares is None else chess.Move(*squares)


def squares_of(action: int, turn: chess.Color, own_pawns: int) -> tuple[int, int, int | None] | None:
    """From-square, to-square and promotion of an action of the side `turn`; None where it leaves the board.

    Args:
        action: 0…4671.
        turn: who moves.
        own_pawns: bitboard of that side's pawns, which become queens where the action names no other piece.
    """
    entry = _MOVES[action]
    if entry is None:
        return None
    start, end, promotion = entry
    if not turn:
        start, end = start ^ 56, end ^ 56
    if promotion is None and end >> 3 in (0, 7) and own_pawns & 1 << start:
        promotion = chess.QUEEN
    return start, end, promotion


def all_moves(turn: chess.Color) -> Iterator[tuple[int, int, int, int | None]]:
    """Every action with from-square, to-square and underpromotion (None for others) of the side `turn`."""
    flip = 0 if turn else 56
    for action, entry in enumerate(_MOVES):
        if entry is not None:
            start, end, promotion = entry
            yield action, start ^ flip, end ^ flip, promotion


def snapshot(kinds: Sequence[int], occupied_co: Sequence[int], occurred: int) -> Snapshot:
    """Bit-packed planes, from both sides, of a position that occurred `occurred` times before.

    Args:
        kinds: bitboards of both sides' pawns, knights, bishops, rooks, queens, kings.
        occupied_co: bitboards of each side's pieces, by colour.
        occurred: how often.
    """
    black, white = occupied_co
    p, n, b, r, q, k = kinds
    ours = (p & white, n & white, b & white, r & white, q & white, k & white)
    theirs = (p & black, n & black, b & black, r & black, q & black, k & black)
    repetitions = _REPETITIONS[min(occurred, 2)]
    # Big-endian writes the ranks from the eighth down: that is Black's view.
    return Snapshot(_BIG(*theirs, *ours) + repetitions, _LITTLE(*ours, *theirs) + repetitions)


def packed_planes(history: Sequence[Snapshot], board: Counters, view: chess.Color, length: int) -> bytes:
    """Bit-packed observation of one position, 8 bytes a plane; `unpacked` expands it.

    Args:
        history: the positions so far, oldest first, the present one last.
        board: the present position, for its castling rights.
        view: whose side it is seen from, and called the mover's.
        length: how many positions to show.
    """
    seen = [position[view] for position in history[: -length - 1 : -1]]
    seen.extend([_NO_POSITION] * (length - len(seen)))
    rights = board.castling_rights
    mine, other = (0, 56) if view else (56, 0)
    seen += [
        _NONE if view else _ONES,
        _NONE,
        _ONES if rights & 1 << mine + 7 else _NONE,
        _ONES if rights & 1 << mine else _NONE,
        _ONES if rights & 1 << other + 7 else _NONE,
        _ONES if rights & 1 << other else _NONE,
        _NONE,
    ]
    return b"".join(seen)


def unpacked(packed: Sequence[bytes], boards: Sequence[Counters]) -> Array:
    """Expand the `packed_planes` of N positions into observations (N, C, 8, 8) uint8 in 1/255."""
    bits = np.unpackbits(np.frombuffer(b"".join(packed), np.uint8), bitorder="little")
    planes = np.negative(bits, out=bits).reshape(len(packed), -1, 8, 8)  # uint8: −1 is 255
    numbers = bytes([min(board.fullmove_number, 255) for board in boards])
    clocks = bytes([_CLOCKS[min(board.halfmove_clock, 100)] for board in boards])
    planes[:, -6] = np.frombuffer(numbers, np.uint8)[:, None, None]
    planes[:, -1] = np.frombuffer(clocks, np.uint8)[:, None, None]
    return planes

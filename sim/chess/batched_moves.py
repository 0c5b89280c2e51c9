"""Legal moves of many chess positions at once: bitboards (B,) in NumPy, one for each of the 73 action planes.

Positions are seen from the side to move, whose pawns go up (`sim.chess.encoding`); a bit is a square, its
number 8·row + column. Rays are followed square by square for all positions together, so that a thousand take
little longer than ten. `sim.chess.encoding.legal_moves` is the same for one position, by python-chess.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim.chess.encoding import ACTIONS, DIRECTIONS, KNIGHT_JUMPS
from sim.records import Array

PAWNS, KNIGHTS, BISHOPS, ROOKS, QUEENS, KING = range(6)
PLANES = ACTIONS // 64
KNIGHT_PLANES, UNDERPROMOTION_PLANES = 56, 64
NORTH, EAST, WEST = 0, 2, 6  # of DIRECTIONS
ALL = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
NOTHING = np.uint64(0)
ROW_2, ROW_7 = np.uint64(0xFF << 8), np.uint64(0xFF << 48)
#: Columns from which a step of dx columns stays on the board, by dx + 7.
_KEEP = [
    np.uint64(sum(1 << 8 * row + column for row in range(8) for column in range(8) if 0 <= column + dx < 8))
    for dx in range(-7, 8)
]
#: Castling by the king's direction: squares that must be empty, and those that must not be attacked.
_CASTLING = {EAST: (0b1100000, 0b1110000), WEST: (0b0001110, 0b0011100)}
_KING_AT_HOME = np.uint64(1 << 4)


class Sides(NamedTuple):
    """Bitboards (B, 6) uint64 of pawns, knights, bishops, rooks, queens and king.

    Attributes:
        mine: of the side to move.
        theirs: of the other side.
    """

    mine: Array
    theirs: Array


def legal_planes(sides: Sides, castling: Array, en_passant: Array) -> Array:
    """Squares from which each of the 73 kinds of moves is legal, (B, 73) uint64.

    Args:
        sides: the pieces; a king a side, and the side that does not move is not in check.
        castling: (B, 2) bool, whether the mover may still castle to the king's and to the queen's side.
        en_passant: (B,) uint64, the square behind a pawn that has just moved by two; 0 for none.
    """
    mine, theirs = sides.mine.T, sides.theirs.T  # (6, B)
    own, other = np.bitwise_or.reduce(mine), np.bitwise_or.reduce(theirs)
    occupied = own | other
    attacked = _attacked(theirs, occupied & ~mine[KING])
    evasions, pinned = _checks_and_pins(mine, theirs, own, occupied)
    free = [~(pinned[0] | pinned[1] | pinned[2] | pinned[3]) | pinned[line] for line in range(4)]
    planes = np.zeros((PLANES, sides.mine.shape[0]), np.uint64)
    targets = ~own & evasions
    for number, (dx, dy) in enumerate(DIRECTIONS):
        movers = mine[QUEENS] | mine[ROOKS if number % 2 == 0 else BISHOPS]
        movers &= free[number % 4]
        for distance in range(1, 8):
            x, y = dx * distance, dy * distance
            planes[7 * number + distance - 1] = movers & _shift(targets, -x, -y)
            movers = movers & _shift(~occupied, -x, -y)
        planes[7 * number] |= mine[KING] & _shift(~own & ~attacked, -dx, -dy)
    unpinned = mine[KNIGHTS] & ~(pinned[0] | pinned[1] | pinned[2] | pinned[3])
    for number, (dx, dy) in enumerate(KNIGHT_JUMPS, KNIGHT_PLANES):
        planes[number] = unpinned & _shift(targets, -dx, -dy)
    _add_castling(planes, mine[KING], occupied, attacked, castling)
    _add_pawns(planes, mine[PAWNS], occupied, other & evasions, evasions, free)
    _add_en_passant(planes, mine, theirs, occupied, en_passant)
    return planes.T


def padded_actions(planes: Array, multiple: int) -> tuple[Array, Array]:
    """Actions (B, K) int64 of `legal_planes`, ascending and padded by 0, and their mask (B, K) bool.

    K is the least multiple of `multiple` that holds all.
    """
    bits = np.unpackbits(np.ascontiguousarray(planes, "<u8").view(np.uint8), bitorder="little")
    row, action = np.divmod(np.flatnonzero(bits), ACTIONS)
    counts = np.bincount(row, minlength=len(planes))
    width = -(-max(1, int(counts.max(initial=0))) // multiple) * multiple
    legal = np.zeros((len(planes), width), np.int64)
    mask = np.arange(width) < counts[:, None]
    legal[mask] = action  # both are in order of row, then action
    return legal, mask


def _shift(squares: Array, dx: int, dy: int) -> Array:
    """Squares moved by dx columns and dy rows; what leaves the board is gone."""
    kept = squares & _KEEP[dx + 7]
    by = 8 * dy + dx
    moved: Array = kept << np.uint64(by) if by >= 0 else kept >> np.uint64(-by)
    return moved


def _ray(start: Array, dx: int, dy: int, occupied: Array) -> Array:
    """Squares seen from `start` in a direction, up to and with the first piece."""
    seen, front = np.zeros_like(start), start
    for _ in range(7):
        front = _shift(front, dx, dy)
        seen |= front
        front = front & ~occupied
    return seen


def _attacked(pieces: Array, occupied: Array) -> Array:
    """(B,) squares that the other side's `pieces` (6, B) attack."""
    found = np.zeros_like(occupied)
    for number, (dx, dy) in enumerate(DIRECTIONS):
        found |= _ray(pieces[QUEENS] | pieces[ROOKS if number % 2 == 0 else BISHOPS], dx, dy, occupied)
        found |= _shift(pieces[KING], dx, dy)
    for dx, dy in KNIGHT_JUMPS:
        found |= _shift(pieces[KNIGHTS], dx, dy)
    return found | _shift(pieces[PAWNS], -1, -1) | _shift(pieces[PAWNS], 1, -1)


def _checks_and_pins(mine: Array, theirs: Array, own: Array, occupied: Array) -> tuple[Array, list[Array]]:
    """Where moves but the king's must go (B,), and which pieces may only move along each of four lines.

    The lines are those of `DIRECTIONS`: 0 a column, 1 a rising diagonal, 2 a row, 3 a falling diagonal.
    """
    king = mine[KING]
    checkers, between = np.zeros_like(king), np.zeros_like(king)
    pinned = [np.zeros_like(king) for _ in range(4)]
    for number, (dx, dy) in enumerate(DIRECTIONS):
        sliders = theirs[QUEENS] | theirs[ROOKS if number % 2 == 0 else BISHOPS]
        seen = _ray(king, dx, dy, occupied)
        first = seen & occupied
        checkers |= first & sliders
        between |= np.where(first & sliders, seen, NOTHING)
        first = first & own
        behind = _ray(first, dx, dy, occupied) & sliders
        pinned[number % 4] |= np.where(behind, first, NOTHING)
    leapers = (_shift(king, -1, 1) | _shift(king, 1, 1)) & theirs[PAWNS]
    for dx, dy in KNIGHT_JUMPS:
        leapers |= _shift(king, dx, dy) & theirs[KNIGHTS]
    checks = np.bitwise_count(checkers | leapers)
    return np.where(checks == 0, ALL, np.where(checks == 1, between | leapers, NOTHING)), pinned


def _add_castling(planes: Array, king: Array, occupied: Array, attacked: Array, rights: Array) -> None:
    for side, (direction, (empty, safe)) in enumerate(_CASTLING.items()):
        may = rights[:, side] & ((king & _KING_AT_HOME) != 0)
        may &= ((occupied & np.uint64(empty)) | (attacked & np.uint64(safe))) == 0
        planes[7 * direction + 1] |= np.where(may, _KING_AT_HOME, NOTHING)


def _add_pawns(
    planes: Array, pawns: Array, occupied: Array, captures: Array, evasions: Array, free: list[Array]
) -> None:
    """Add the pawns' moves, but for en passant."""
    ahead = pawns & free[NORTH] & _shift(~occupied, 0, -1)
    moves = {0: ahead & _shift(evasions, 0, -1)}
    planes[1] |= ahead & ROW_2 & _shift(~occupied & evasions, 0, -2)
    for side, line in ((-1, 3), (1, 1)):
        moves[side] = pawns & free[line] & _shift(captures, -side, -1)
    for side, direction in ((-1, 7), (0, NORTH), (1, 1)):
        planes[7 * direction] |= moves[side]
        for piece in range(3):
            planes[UNDERPROMOTION_PLANES + 3 * piece + side + 1] = moves[side] & ROW_7


def _add_en_passant(planes: Array, mine: Array, theirs: Array, occupied: Array, square: Array) -> None:
    """Add captures in passing, where the king is not attacked once both pawns have gone from their places."""
    for side, direction in ((-1, 7), (1, 1)):
        taking = mine[PAWNS] & _shift(square, -side, -1)
        rows = np.flatnonzero(taking)
        if not len(rows):
            continue
        victim = _shift(square[rows], 0, -1)
        after = occupied[rows] ^ taking[rows] ^ victim | square[rows]
        pieces = theirs[:, rows].copy()
        pieces[PAWNS] ^= victim
        safe = (_attacked(pieces, after) & mine[KING, rows]) == 0
        planes[7 * direction, rows] |= np.where(safe, taking[rows], NOTHING)

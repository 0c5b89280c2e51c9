"""Legal moves of a position as actions, generated from bitboards and python-chess's attack tables.

The same moves as `chess.Board.generate_legal_moves` at a quarter of its cost: pins are found once as rays,
what a piece reaches becomes actions by a table of the last answers, and no move object is made.
"""

from __future__ import annotations

from functools import lru_cache

import chess

from sim.chess.rules import encoding
from sim.chess.rules.bitboards import Bitboards

_KNIGHT, _KING, _PAWN = chess.BB_KNIGHT_ATTACKS, chess.BB_KING_ATTACKS, chess.BB_PAWN_ATTACKS
_DIAGONAL, _DIAGONALS = chess.BB_DIAG_MASKS, chess.BB_DIAG_ATTACKS
_RANK, _RANKS = chess.BB_RANK_MASKS, chess.BB_RANK_ATTACKS
_FILE, _FILES = chess.BB_FILE_MASKS, chess.BB_FILE_ATTACKS
#: Every square that any piece but a pawn could attack from a square.
_IN_REACH = [_KNIGHT[s] | _DIAGONALS[s][0] | _RANKS[s][0] | _FILES[s][0] for s in chess.SQUARES]
_LAST_RANKS = chess.BB_RANK_1 | chess.BB_RANK_8
#: By colour, for each wing: the rook, the squares between, and those that the king passes.
_WINGS = (
    (
        (chess.BB_H8, chess.BB_F8 | chess.BB_G8, (chess.F8, chess.G8)),
        (chess.BB_A8, chess.BB_B8 | chess.BB_C8 | chess.BB_D8, (chess.D8, chess.C8)),
    ),
    (
        (chess.BB_H1, chess.BB_F1 | chess.BB_G1, (chess.F1, chess.G1)),
        (chess.BB_A1, chess.BB_B1 | chess.BB_C1 | chess.BB_D1, (chess.D1, chess.C1)),
    ),
)
#: Distinct (side, square, targets) that are remembered: some 15 MB at most.
_REMEMBERED = 1 << 15


def legal_actions(board: Bitboards) -> list[int]:
    """The actions of the legal moves of the side to move, ascending; that side has one king."""
    turn = board.turn
    own, others = board.occupied_co[turn], board.occupied_co[not turn]
    kings = board.kinds[5] & own
    king = kings.bit_length() - 1
    checkers, pins = _checkers_and_pins(board, king, own, others)
    actions = list(_spread(turn, king, _king_targets(board, king, own, others)))
    if not checkers:
        reach = ~own
        if board.castling_rights & (chess.BB_RANK_1 if turn else chess.BB_RANK_8):
            actions += _castling(board, king, others)
    elif checkers & (checkers - 1):  # double check: only the king moves
        actions.sort()
        return actions
    else:
        reach = chess.between(king, checkers.bit_length() - 1) | checkers
    actions += _piece_actions(board, own & ~kings, reach & ~own, pins)
    actions += _pawn_actions(board, board.kinds[0] & own, others, reach, pins)
    if board.ep_square:
        actions += _en_passant(board, king, own, others)
    actions.sort()
    return actions


def in_check(board: Bitboards) -> bool:
    """Whether the side to move is in check."""
    king = (board.kinds[5] & board.occupied_co[board.turn]).bit_length() - 1
    return bool(_attacked(board, king, board.occupied, board.occupied_co[not board.turn]))


def playable_en_passant(board: Bitboards) -> int | None:
    """The square where a pawn can capture in passing, None where none can."""
    if not board.ep_square:
        return None
    own, others = board.occupied_co[board.turn], board.occupied_co[not board.turn]
    king = (board.kinds[5] & own).bit_length() - 1
    return board.ep_square if _en_passant(board, king, own, others) else None


def _checkers_and_pins(board: Bitboards, king: int, own: int, others: int) -> tuple[int, dict[int, int]]:
    """Pieces that give check, and by pinned square the squares on which the pin still holds."""
    turn, occupied = board.turn, board.occupied
    pawns, knights, bishops, rooks, queens, _ = board.kinds
    checkers = (_KNIGHT[king] & knights | _PAWN[turn][king] & pawns) & others
    straight, slanting = rooks | queens, bishops | queens
    snipers = ((_RANKS[king][0] | _FILES[king][0]) & straight | _DIAGONALS[king][0] & slanting) & others
    pins: dict[int, int] = {}
    while snipers:
        sniper = snipers & -snipers
        snipers ^= sniper
        line = chess.between(king, sniper.bit_length() - 1)
        blockers = line & occupied
        if not blockers:
            checkers |= sniper
        elif not blockers & (blockers - 1) and blockers & own:
            pins[blockers.bit_length() - 1] = line | sniper
    return checkers, pins


def _attacked(board: Bitboards, square: int, occupied: int, others: int) -> int:
    """Pieces among `others` that attack `square` where `occupied` stands."""
    pawns, knights, bishops, rooks, queens, kings = board.kinds
    straight, slanting = rooks | queens, bishops | queens
    return others & (
        _KNIGHT[square] & knights
        | _KING[square] & kings
        | _PAWN[board.turn][square] & pawns
        | _DIAGONALS[square][_DIAGONAL[square] & occupied] & slanting
        | (_RANKS[square][_RANK[square] & occupied] | _FILES[square][_FILE[square] & occupied]) & straight
    )


def _king_targets(board: Bitboards, king: int, own: int, others: int) -> int:
    """Squares to which the king may step; it does not shield those behind it."""
    around = _KING[king] & ~own
    occupied = board.occupied & ~(1 << king)
    pawns, knights, bishops, rooks, queens, kings = board.kinds
    pawns &= others
    left, right = pawns & ~chess.BB_FILE_A, pawns & ~chess.BB_FILE_H
    safe = around & ~(left >> 9 | right >> 7 if board.turn else left << 7 | right << 9)
    straight, slanting = rooks | queens, bishops | queens
    pieces = others & ~pawns
    while pieces and safe:
        piece = pieces & -pieces
        pieces ^= piece
        square = piece.bit_length() - 1
        if not safe & _IN_REACH[square]:
            continue
        if piece & slanting:
            safe &= ~_DIAGONALS[square][_DIAGONAL[square] & occupied]
        if piece & straight:
            safe &= ~(_RANKS[square][_RANK[square] & occupied] | _FILES[square][_FILE[square] & occupied])
        elif piece & knights:
            safe &= ~_KNIGHT[square]
        elif piece & kings:
            safe &= ~_KING[square]
    return safe


def _piece_actions(board: Bitboards, pieces: int, reach: int, pins: dict[int, int]) -> list[int]:
    """Moves of knights, bishops, rooks and queens to squares in `reach`."""
    turn, occupied = board.turn, board.occupied
    pawns, knights, bishops, rooks, queens, _ = board.kinds
    straight, slanting = rooks | queens, bishops | queens
    actions: list[int] = []
    left = pieces & ~pawns
    while left:
        piece = left & -left
        left ^= piece
        square = piece.bit_length() - 1
        if piece & knights:
            targets = _KNIGHT[square]
        else:
            targets = 0
            if piece & slanting:
                targets = _DIAGONALS[square][_DIAGONAL[square] & occupied]
            if piece & straight:
                targets |= _RANKS[square][_RANK[square] & occupied] | _FILES[square][_FILE[square] & occupied]
        targets &= reach
        if square in pins:
            targets &= pins[square]
        if targets:
            actions += _spread(turn, square, targets)
    return actions


def _pawn_actions(board: Bitboards, pawns: int, others: int, reach: int, pins: dict[int, int]) -> list[int]:
    """Pushes and captures of pawns, but en passant, to squares in `reach`."""
    turn, empty = board.turn, ~board.occupied
    attacks = _PAWN[turn]
    third = chess.BB_RANK_3 if turn else chess.BB_RANK_6
    actions: list[int] = []
    while pawns:
        pawn = pawns & -pawns
        pawns ^= pawn
        square = pawn.bit_length() - 1
        if turn:
            push = pawn << 8 & empty
            double = (push & third) << 8 & empty
        else:
            push = pawn >> 8 & empty
            double = (push & third) >> 8 & empty
        targets = (push | double | attacks[square] & others) & reach
        if square in pins:
            targets &= pins[square]
        if targets & _LAST_RANKS:
            actions += _promoted(turn, square, targets)
        elif targets:
            actions += _spread(turn, square, targets)
    return actions


def _en_passant(board: Bitboards, king: int, own: int, others: int) -> list[int]:
    """Captures in passing that leave the king safe, with both pawns gone from where they stood."""
    turn, target = board.turn, board.ep_square
    assert target is not None
    captured = 1 << (target - 8 if turn else target + 8)
    if board.occupied & 1 << target or not captured & board.kinds[0] & others:
        return []
    actions: list[int] = []
    pawns = _PAWN[not turn][target] & board.kinds[0] & own
    while pawns:
        pawn = pawns & -pawns
        pawns ^= pawn
        occupied = board.occupied & ~captured & ~pawn | 1 << target
        if not _attacked(board, king, occupied, others & ~captured):
            actions += _spread(turn, pawn.bit_length() - 1, 1 << target)
    return actions


def _castling(board: Bitboards, king: int, others: int) -> list[int]:
    """Castling where nothing stands between and the king passes no attacked square; it is not in check."""
    actions: list[int] = []
    for rook, between, passed in _WINGS[board.turn]:
        if board.castling_rights & rook and not board.occupied & between:
            if not any(_attacked(board, square, board.occupied, others) for square in passed):
                actions += _spread(board.turn, king, 1 << passed[-1])
    return actions


@lru_cache(_REMEMBERED)
def _spread(turn: chess.Color, square: int, targets: int) -> tuple[int, ...]:
    """Actions of the piece on `square` to each of `targets`."""
    return tuple(encoding.plain_action(turn, square, to) for to in chess.scan_forward(targets))


@lru_cache(_REMEMBERED)
def _promoted(turn: chess.Color, square: int, targets: int) -> tuple[int, ...]:
    """Actions of a pawn on `square` that gets to the last row, one for each piece that it may become."""
    return tuple(
        encoding.action_of(chess.Move(square, to, piece), turn)
        for to in chess.scan_forward(targets)
        for piece in (chess.QUEEN, chess.ROOK, chess.BISHOP, chess.KNIGHT)
    )

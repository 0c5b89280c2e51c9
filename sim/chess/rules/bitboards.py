"""Chess positions as bitboards that moves leave unchanged: what the rules need and no more.

Ints with a1 in the lowest bit, named as in `chess.Board`. A move makes a new `Bitboards` in a quarter of the
time that a copied `chess.Board` takes. It is played, not checked.
"""

from __future__ import annotations

import chess


def _rights_kept(square: int) -> int:
    """Castling rights, as a bitboard of rooks, that survive a move from or to `square`."""
    back_rank = {chess.E1: chess.BB_RANK_1, chess.E8: chess.BB_RANK_8}.get(square, 0)
    return chess.BB_ALL & ~(1 << square) & ~back_rank


RIGHTS_KEPT = [_rights_kept(square) for square in chess.SQUARES]
#: By the king's from- and to-square: the rook's squares, both set.
_CASTLING_ROOKS = {
    (chess.E1, chess.G1): chess.BB_H1 | chess.BB_F1,
    (chess.E1, chess.C1): chess.BB_A1 | chess.BB_D1,
    (chess.E8, chess.G8): chess.BB_H8 | chess.BB_F8,
    (chess.E8, chess.C8): chess.BB_A8 | chess.BB_D8,
}


class Bitboards:
    """A position; see `chess.Board` for the attributes of the same names.

    Attributes:
        kinds: both sides' pawns, knights, bishops, rooks, queens, kings.
        occupied_co: each side's pieces, by colour.
    """

    __slots__ = (
        "castling_rights",
        "ep_square",
        "fullmove_number",
        "halfmove_clock",
        "kinds",
        "occupied",
        "occupied_co",
        "turn",
    )

    def __init__(
        self,
        kinds: tuple[int, ...],
        occupied_co: tuple[int, int],
        turn: chess.Color,
        castling_rights: int,
        ep_square: int | None,
        halfmove_clock: int,
        fullmove_number: int,
    ) -> None:
        self.kinds = kinds
        self.occupied_co = occupied_co
        self.occupied = occupied_co[0] | occupied_co[1]
        self.turn = turn
        self.castling_rights = castling_rights
        self.ep_square = ep_square
        self.halfmove_clock = halfmove_clock
        self.fullmove_number = fullmove_number

    @classmethod
    def of(cls, board: chess.Board) -> Bitboards:
        """The position of a board of python-chess."""
        kinds = (board.pawns, board.knights, board.bishops, board.rooks, board.queens, board.kings)
        black, white = board.occupied_co
        clocks = board.halfmove_clock, board.fullmove_number
        return cls(kinds, (black, white), board.turn, board.castling_rights, board.ep_square, *clocks)

    def after(self, start: int, end: int, promotion: int | None) -> Bitboards:
        """The position after a legal move.

        Args:
            start: square that the piece leaves.
            end: square that it gets to.
            promotion: python-chess's piece type that a pawn becomes, None without.
        """
        turn = self.turn
        source, target = 1 << start, 1 << end
        both = source | target
        kinds = list(self.kinds)
        others = self.occupied_co[not turn]
        captured = others & target
        if captured:
            kinds = [kind & ~target for kind in kinds]
            others ^= target
        own = self.occupied_co[turn] ^ both
        ep_square, clock = None, 0 if captured else self.halfmove_clock + 1
        if kinds[0] & source:
            clock = 0
            kinds[0] ^= source
            kinds[promotion - 1 if promotion else 0] |= target
            if (start - end) % 16 == 0:
                ep_square = (start + end) >> 1
            elif not captured and (start - end) & 7:
                victim = 1 << (end - 8 if turn else end + 8)
                kinds[0] ^= victim
                others ^= victim
        elif kinds[5] & source:
            kinds[5] ^= both
            rook = _CASTLING_ROOKS.get((start, end)) if abs(start - end) == 2 else None
            if rook:
                kinds[3] ^= rook
                own ^= rook
        else:
            kinds = [kind ^ both if kind & source else kind for kind in kinds]
        rights = self.castling_rights & RIGHTS_KEPT[start] & RIGHTS_KEPT[end]
        sides = (others, own) if turn else (own, others)
        return Bitboards(
            tuple(kinds), sides, not turn, rights, ep_square, clock, self.fullmove_number + (not turn)
        )

    def passed(self) -> Bitboards:
        """The position with the other side to move, as after a null move."""
        number = self.fullmove_number + (not self.turn)
        clock = self.halfmove_clock + 1
        return Bitboards(
            self.kinds, self.occupied_co, not self.turn, self.castling_rights, None, clock, number
        )

    def kind_at(self, square: int) -> int | None:
        """python-chess's piece type on `square`, None where it is empty."""
        return next((kind for kind, pieces in enumerate(self.kinds, 1) if pieces >> square & 1), None)

    def board(self) -> chess.Board:
        """The position as a board of python-chess, which knows no earlier moves."""
        board = chess.Board(None)
        board.pawns, board.knights, board.bishops, board.rooks, board.queens, board.kings = self.kinds
        board.occupied_co = list(self.occupied_co)
        board.occupied = self.occupied
        board.turn = self.turn
        board.castling_rights = self.castling_rights
        board.ep_square = self.ep_square
        board.halfmove_clock = self.halfmove_clock
        board.fullmove_number = self.fullmove_number
        return board

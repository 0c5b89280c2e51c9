"""Forsyth–Edwards notation (FEN): boards checked on reading, text written from a repetition key."""

from __future__ import annotations

from functools import lru_cache

import chess

from sim.errors import RequestError

#: What must recur for a repetition (Laws of Chess 2023, 9.2.3): `Snapshot.white` of a first occurrence,
#: side to move, castling rights, square of a legal en-passant capture.
RepetitionKey = tuple[bytes, bool, int, int | None]


class PositionError(RequestError, ValueError):
    """A FEN that cannot be read or is no legal position."""


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


def fen_of(key: RepetitionKey, halfmove_clock: int, fullmove_number: int) -> str:
    """The position in FEN, en passant only where it can be played."""
    placement, turn, rights, square = key
    rows = "/".join(_fen_row(placement[row:96:8]) for row in range(7, -1, -1))
    target = "-" if square is None else chess.SQUARE_NAMES[square]
    return f"{rows} {'w' if turn else 'b'} {_castling(rights)} {target} {halfmove_clock} {fullmove_number}"


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
def _castling(rights: int) -> str:
    corners = zip("KQkq", (chess.BB_H1, chess.BB_A1, chess.BB_H8, chess.BB_A8), strict=True)
    return "".join(letter for letter, corner in corners if rights & corner) or "-"

"""Replay of game records into rows of 64 bytes a position, by the rules of `sim.chess.rules.game.ChessGame`.

A row holds what an observation and the legal moves follow from: bitboards, side to move, castling rights, en
passant, counters, how often the position occurred before, and the action that was played.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import chess
import numpy as np

from sim.chess.rules.encoding import action_of
from sim.chess.rules.game import FIFTY_MOVES, PositionError, checked_board
from sim.fields import excerpt
from sim.records import Array
from supervised.data.sources.chess_games.game_records import RESULTS, UNKNOWN, GameRecord

#: A position, bitboards with a1 in the lowest bit as python-chess has them.
POSITION = np.dtype(
    [
        ("kinds", "<u8", (6,)),  # pawns, knights, bishops, rooks, queens, kings of both sides
        ("white", "<u8"),  # White's pieces of any kind
        ("action", "<i2"),  # that was played, of `sim.chess.rules.encoding`
        ("fullmove", "<u2"),  # as in FEN
        ("state", "u1"),  # bit 0: White moves; bits 1 to 4: rights of the rooks on h1, a1, h8, a8
        ("passant", "u1"),  # en passant square, 255 for none
        ("halfmove", "u1"),  # plies without a capture or pawn move
        ("occurred", "u1"),  # how often the position occurred before: 0, 1 or 2
    ]
)
#: A game: its `plies` positions begin at row `start` of the same shard.
GAME = np.dtype([("key", "<u8"), ("start", "<u4"), ("plies", "<u2"), ("result", "i1"), ("spare", "u1")])
NO_SQUARE = 255
WHITE_WON, DRAWN, BLACK_WON, NO_RESULT = 1, 0, -1, 2
CODES = dict(zip((*RESULTS, UNKNOWN), (WHITE_WON, BLACK_WON, DRAWN, NO_RESULT), strict=True))
CORNERS = (chess.BB_H1, chess.BB_A1, chess.BB_H8, chess.BB_A8)
MOST_PLIES = 2**16 - 1


class ReplayError(ValueError):
    """A game that cannot be replayed: (reason in a few words to count by, details)."""

    def __init__(self, reason: str, details: str = "") -> None:
        super().__init__(reason, details)
        self.reason, self.details = reason, details


@dataclass(frozen=True)
class Replayed:
    """A game's positions.

    Attributes:
        positions: (P,) of `POSITION`, those before each move.
        result: one of `WHITE_WON`, `DRAWN`, `BLACK_WON`, `NO_RESULT`.
        key: 64 bits that follow from the moves and the starting position alone.
        cut: whether the rules ended the game before its record does; the moves after that are left out.
        contradiction: whether the record says two results, or another than the final position; the board's
            counts, and else none.
    """

    positions: Array
    result: int
    key: int
    cut: bool
    contradiction: bool


def replay(record: GameRecord) -> Replayed:
    """Replay a game until its last move, or until the rules end it.

    Raises:
        ReplayError: for an illegal move, a starting position that cannot be, or a game without moves.
    """
    board = _start(record.fen)
    rows: list[tuple[tuple[int, ...], int, int, int, int, int, int, int]] = []
    occurred: dict[tuple[int | None, ...], int] = {}
    cut = False
    for word in record.moves:
        if not board.halfmove_clock:
            occurred.clear()  # what came before a capture or a pawn move can never stand again
        before = times_occurred(board, occurred)
        mating = board.pawns | board.rooks | board.queens  # asked first: it takes a tenth of the time
        drawn = not mating and board.is_insufficient_material()
        if before >= 2 or board.halfmove_clock >= FIFTY_MOVES or drawn:
            cut = True
            break
        move = _move(board, word)
        rows.append(position_row(board, action_of(move, board.turn), min(before, 2)))
        board.push(move)
    if not rows:
        raise ReplayError("without moves")
    if len(rows) > MOST_PLIES:
        raise ReplayError(f"of more than {MOST_PLIES} plies")
    positions = np.array(rows, POSITION)
    result, contradiction = _result(board, record, cut=cut)
    return Replayed(positions, result, _key(positions, record.fen), cut, contradiction)


def played(record: GameRecord) -> Iterator[chess.Board]:
    """The board before the first move of a game, and after each: one board, which changes.

    Raises:
        ReplayError: for an illegal move, or a starting position that cannot be.
    """
    board = _start(record.fen)
    yield board
    for word in record.moves:
        board.push(_move(board, word))
        yield board


def _start(fen: str) -> chess.Board:
    if not fen:
        return chess.Board()
    try:
        return checked_board(fen)
    except PositionError as error:
        raise ReplayError("from an impossible position", str(error)) from error


def _move(board: chess.Board, word: str) -> chess.Move:
    try:
        move = board.parse_san(word)
        if move:
            return move
    except ValueError:
        pass
    number = f"move {board.fullmove_number}{'.' if board.turn else '...'}"
    shown = "".join(sign if sign.isprintable() else "?" for sign in excerpt(word))
    raise ReplayError("with an illegal move", f"{number} {shown} is not legal in {board.fen()}")


def times_occurred(board: chess.Board, occurred: dict[tuple[int | None, ...], int]) -> int:
    """How often the position occurred before, with the same rights; and count it."""
    passant = board.ep_square if board.ep_square is not None and board.has_legal_en_passant() else None
    key = (
        board.pawns,
        board.knights,
        board.bishops,
        board.rooks,
        board.queens,
        board.kings,
        board.occupied_co[chess.WHITE],
        board.turn,
        board.castling_rights,
        passant,
    )
    before = occurred.get(key, 0)
    occurred[key] = before + 1
    return before


def position_row(
    board: chess.Board, action: int, before: int
) -> tuple[tuple[int, ...], int, int, int, int, int, int, int]:
    """A row of `POSITION` as a tuple: the board, the action played, and how often it occurred before."""
    kinds = (board.pawns, board.knights, board.bishops, board.rooks, board.queens, board.kings)
    rights = board.castling_rights
    state = int(board.turn)
    if rights:
        state |= sum(bool(rights & corner) << place for place, corner in enumerate(CORNERS, 1))
    return (
        kinds,
        board.occupied_co[chess.WHITE],
        action,
        min(board.fullmove_number, 2**16 - 1),
        state,
        NO_SQUARE if board.ep_square is None else board.ep_square,
        board.halfmove_clock,
        before,
    )


def _result(board: chess.Board, record: GameRecord, *, cut: bool) -> tuple[int, bool]:
    """The result and whether the record contradicts it, or itself."""
    told = CODES[record.result]
    if cut or any(board.generate_legal_moves()):
        return told, record.contradiction
    mated = BLACK_WON if board.turn else WHITE_WON
    result = mated if board.is_check() else DRAWN
    return result, record.contradiction or told not in (result, NO_RESULT)


def _key(positions: Array, fen: str) -> int:
    """Digest of the moves, and of the starting position where it is not the usual one."""
    start = "" if not fen or chess.Board(fen).fen() == chess.STARTING_FEN else chess.Board(fen).fen()
    moves = np.ascontiguousarray(positions["action"])
    return int.from_bytes(hashlib.blake2b(moves.tobytes() + start.encode(), digest_size=8).digest(), "little")


def board_of(position: np.void) -> chess.Board:
    """The board of one row of `POSITION`, without its past."""
    pawns, knights, bishops, rooks, queens, kings = position["kinds"].tolist()
    state, passant = int(position["state"]), int(position["passant"])
    white = int(position["white"])
    board = chess.Board(None)
    board.pawns, board.knights, board.bishops = pawns, knights, bishops
    board.rooks, board.queens, board.kings = rooks, queens, kings
    board.occupied = pawns | knights | bishops | rooks | queens | kings
    board.occupied_co[chess.WHITE], board.occupied_co[chess.BLACK] = white, board.occupied & ~white
    board.turn = bool(state & 1)
    board.castling_rights = sum(corner for place, corner in enumerate(CORNERS, 1) if state >> place & 1)
    board.ep_square = None if passant == NO_SQUARE else passant
    board.halfmove_clock, board.fullmove_number = int(position["halfmove"]), int(position["fullmove"])
    return board


def boards_of(positions: Array) -> Sequence[chess.Board]:
    """The boards of (N,) rows of `POSITION`."""
    return [board_of(position) for position in positions]

"""Data set of chess boards at 64 × 64 pixels, from games of stronger and weaker players; exact FEN decoding.

One style, White at the bottom, no coordinates: a square has 8 × 8 pixels, below which pieces can no longer be
told apart (`sim.chess.diagrams.draw.SMALLEST`). So each piece on each colour of square is one pattern, and
`read_board` decodes a drawn image exactly and a generated one by the nearest pattern.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import chess
import numpy as np

from generative.data.data_request import DataRequest
from sim.chess.diagrams.draw import draw_board
from sim.chess.diagrams.positions import positions
from sim.chess.diagrams.themes import board_style
from sim.chess.diagrams.truth import Place, truth_of
from sim.progress import advance, track
from sim.records import Array, Percept
from supervised.data.columns import LabelColumn
from supervised.data.dataset import Dataset

SIZE = 64  # pixels on a side
CELL = SIZE // 8
A_GAME = 16  # positions of one game, at most
STYLE = replace(board_style("walnut", "diagram"), coordinates=False)
#: The content of a square, empty or a piece, in the order of `patterns`.
MEN = (None, *(chess.Piece(kind, color) for color in chess.COLORS[::-1] for kind in chess.PIECE_TYPES))


def collect(request: DataRequest) -> Dataset:
    """Make the data set: images (N, 64, 64, 3) uint8; one label; truths with boxes and the FEN."""
    request.no_variant("boards")
    boards: list[chess.Board] = []
    games: list[int] = []
    game = 0
    while len(boards) < request.count:
        seed = int(np.random.SeedSequence([request.seed, game]).generate_state(1)[0])
        boards += positions(seed, A_GAME)
        advance(len(boards) - len(games))
        games += [game] * (len(boards) - len(games))
        game += 1
    boards, games = boards[: request.count], games[: request.count]
    truths = tuple(truth_of(board, Place.flat(SIZE), SIZE, style=STYLE) for board in boards)
    return Dataset(
        values=np.stack([draw_position(board) for board in track(boards, "drawing boards")]),
        labels=LabelColumn.one("board", len(boards)),
        episodes=np.array(games, np.int64),
        truths=truths,
    )


def draw_position(board: chess.Board) -> Array:
    """Draw a position, (64, 64, 3) uint8, without the side to move and the last move."""
    return draw_board(board, SIZE, check=False, style=STYLE)


def read_board(rgb: Array) -> Percept:
    """Decode an image (64, 64, 3) of a board into a FEN: the nearest pattern on each square.

    Returns:
        A percept of origin ``model`` with a FEN of the pieces, which may not be a legal position.

    >>> read_board(draw_position(chess.Board())).fen
    'rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR'
    """
    squares = rgb.astype(np.float32).reshape(8, CELL, 8, CELL, 3).swapaxes(1, 2)  # (row, column, y, x, 3)
    board = chess.Board(None)
    for row in range(8):
        for column in range(8):
            known = patterns()[:, (row + column) % 2]
            best = int(np.square(known - squares[row, column]).sum((1, 2, 3)).argmin())
            board.set_piece_at(chess.square(column, 7 - row), MEN[best])
    return Percept(origin="model", fen=board.board_fen())


@cache
def patterns() -> Array:
    """Template images (13, 2, 8, 8, 3) float32: empty and every piece on light (0) and dark (1) squares."""
    found = np.empty((len(MEN), 2, CELL, CELL, 3), np.float32)
    for i, man in enumerate(MEN):
        board = chess.Board(None)
        for square in (chess.A8, chess.B8):
            board.set_piece_at(square, man)
        picture = draw_position(board)
        found[i] = picture[:CELL, :CELL], picture[:CELL, CELL : 2 * CELL]
    return found

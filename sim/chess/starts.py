"""Starting positions of the named endgames: random placements of their pieces."""

from __future__ import annotations

import chess
import numpy as np

from sim.chess.endgames import STARTS
from sim.chess.rules.game import ChessGame
from sim.chess.tablebase import solve


def random_placement(start: str, generator: np.random.Generator, *, agent_first: bool) -> str:
    """The FEN of a random legal placement of the pieces of `start`, White to move.

    Every legal placement is equally likely, except those without a game: draws for lack of material
    (two bishops on one colour), and, where the agent moves second, positions that the first move can end.

    Args:
        start: a name in `sim.chess.endgames.STARTS`.
        generator: draws the squares.
        agent_first: whether the agent has White.
    """
    white, black = STARTS[start]
    men = [chess.Piece.from_symbol(letter) for letter in white + black.lower()]
    while True:
        squares = [int(square) for square in generator.choice(64, len(men), replace=False)]
        board = chess.Board(None)
        board.set_piece_map(dict(zip(squares, men, strict=True)))
        if not board.is_valid():
            continue
        game = ChessGame(board.fen())
        if game.reason is None and (agent_first or not can_end(game)):
            return game.fen


def random_by_distance(start: str, generator: np.random.Generator, colour: chess.Color) -> str:
    """The FEN of a random position of a solved endgame, with every distance to mate equally likely.

    White moves where it is an odd number of plies, else Black. Most placements are far from mate, which an
    untrained agent rarely reaches: this is a curriculum.

    Args:
        start: a name in `sim.chess.opponents.SOLVED`.
        generator: draws distance and position.
        colour: the agent's; where the opponent moves first, it cannot end the game at once.
    """
    letter = STARTS[start][0][1]
    table = solve(letter.lower())
    men = [chess.Piece.from_symbol(letter) for letter in ("K", letter, "k")]
    while True:
        plies = int(generator.integers(1, table.black.max() + 1))
        choices = table.won_in(plies)
        squares = choices[generator.integers(len(choices))].tolist()
        board = chess.Board(None)
        board.set_piece_map(dict(zip(squares, men, strict=True)))
        board.turn = plies % 2 == 1
        game = ChessGame(board.fen())
        if board.turn == colour or not can_end(game):
            return game.fen


def can_end(game: ChessGame) -> bool:
    """Whether some legal move ends the game at once."""
    return any(game.play(action).reason is not None for action in game.moves)

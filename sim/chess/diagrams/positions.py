"""Chess positions sampled from simulated games, for perception data; one seed is one game.

A split by seed keeps each game in one part (openings are shared all the same, as they are between
people's games).
"""

from __future__ import annotations

import chess
import numpy as np

from sim.chess.endgames import STARTS
from sim.chess.opponents import OPPONENTS
from sim.chess.rules.game import ChessGame
from sim.chess.starts import random_placement

ENDGAMES = 0.25  # of the games begin from a named endgame
LONGEST = 160  # plies


def positions(seed: int, count: int = 16) -> list[chess.Board]:
    """Sample positions of one simulated game, in order.

    The seed draws each side's player from `sim.chess.opponents.OPPONENTS`, when the game is broken off, and
    which positions are taken.

    Args:
        seed: of the game.
        count: positions at most, all different; fewer if the game is shorter.

    Returns:
        Boards that know their last move, for `sim.chess.diagrams.pictures.picture` to mark.

    >>> [board.fullmove_number for board in positions(5, 4)]
    [7, 24, 37, 47]
    """
    generator = np.random.default_rng(seed)
    games = _game(generator)
    taken = generator.choice(len(games), min(count, len(games)), replace=False)
    return [games[ply].board for ply in sorted(taken)]


def _game(generator: np.random.Generator) -> list[ChessGame]:
    """Every position of a game from its start."""
    endgame = generator.random() < ENDGAMES
    start = str(generator.choice(list(STARTS)))
    players = [OPPONENTS[str(name)] for name in generator.choice(list(OPPONENTS), 2)]
    length = int(generator.integers(LONGEST // 8, LONGEST + 1))
    # No planes are wanted, so no history either.
    game = (
        ChessGame(random_placement(start, generator, agent_first=True), 1)
        if endgame
        else ChessGame(history=1)
    )
    games = [game]
    while len(games) <= length and game.reason is None:
        game = game.play(players[game.to_play()](game, generator))
        games.append(game)
    return games

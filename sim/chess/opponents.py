"""Chess opponents: built-in players (random, greedy, perfect), or any `sim.protocols.Policy`.

The built-in players are functions of a position and a generator; each game brings its own
generator, so a game goes the same way alone and in a batch. A policy is asked for all games that
wait for a move at once, without memory, and is seeded anew before each answer from the generator of
the first of them: what it plays depends on nothing that a saved state would lack.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from sim.chess.rules.encoding import ACTIONS
from sim.chess.rules.game import ChessGame
from sim.chess.tablebase import solve
from sim.errors import WorkError
from sim.protocols import Policy
from sim.records import Array

Player = Callable[[ChessGame, np.random.Generator], int]


class OpponentError(WorkError, RuntimeError):
    """An opponent that resigned or failed before the agent's first move: there is no game to truncate."""


@dataclass(frozen=True)
class Forfeit:
    """Instead of an action: the opponent failed in this game, for a reason that stays with the game."""

    reason: str


class Opponent(Protocol):
    """An opponent in several games at once."""

    def reply(
        self, games: Sequence[ChessGame], generators: Sequence[np.random.Generator]
    ) -> Sequence[int | Forfeit | None]:
        """One action a game; None resigns, a `Forfeit` ends a game without a result."""


def random_move(game: ChessGame, generator: np.random.Generator) -> int:
    """Pick a legal move uniformly at random."""
    actions = game.legal_actions()
    return int(actions[generator.integers(len(actions))])


def greedy_move(game: ChessGame, generator: np.random.Generator) -> int:
    """Pick one of the moves that capture the most material, uniformly; promotions do not count."""
    actions = sorted(game.moves)
    worth = [game.taken(action) for action in actions]
    most = max(worth)
    best = [action for action, value in zip(actions, worth, strict=True) if value == most]
    return best[int(generator.integers(len(best)))]


def perfect_move(game: ChessGame, generator: np.random.Generator) -> int:
    """Pick one of the tablebase's best moves, uniformly: mates soonest, or draws, else is mated latest.

    Raises:
        ValueError: for pieces that are not in `sim.chess.tablebase`.
    """
    board = game.board
    table = solve("r" if board.rooks else "q")
    actions = game.legal_actions()
    plies = [table.plies(game.play(int(action)).board) for action in actions]
    delays = np.array([np.inf if left is None else left for left in plies])
    winning = table.plies(board) is not None and bool(board.occupied_co[board.turn] & ~board.kings)
    best = actions[delays == (delays.min() if winning else delays.max())]
    return int(best[generator.integers(len(best))])


#: Players for any position.
OPPONENTS: dict[str, Player] = {"random": random_move, "greedy": greedy_move}
#: Players for solved endgames only, and the starts that are solved.
SOLVERS: dict[str, Player] = {"perfect": perfect_move}
SOLVED = ("kqk", "krk")


class PlayerOpponent:
    """An `Opponent` that is a built-in player, called for one game after the other."""

    def __init__(self, player: Player) -> None:
        self._player = player

    def reply(
        self, games: Sequence[ChessGame], generators: Sequence[np.random.Generator]
    ) -> Sequence[int | None]:
        """See `Opponent`."""
        return [self._player(game, generator) for game, generator in zip(games, generators, strict=True)]


class PolicyOpponent:
    """An `Opponent` that is a policy, which gets the planes and mask that the agent would get in its place.

    Its ``info`` also holds ``"games"``, the K positions themselves, for searches and engines. It resigns by
    a decision of None, without actions, or with None or a negative number among them.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def reply(
        self, games: Sequence[ChessGame], generators: Sequence[np.random.Generator]
    ) -> Sequence[int | None]:
        """See `Opponent`."""
        self._policy.seed(int(generators[0].integers(2**31)))
        obs = ChessGame.observe(games)
        info: dict[str, Any] = {"action_mask": action_masks(games), "games": tuple(games)}
        decision, _ = self._policy.act(obs, info)
        actions: Any = None if decision is None else decision.actions
        if actions is None:
            return [None] * len(games)
        if len(actions) != len(games):
            raise ValueError(f"{len(actions)} actions for {len(games)} games")
        return [None if action is None or action < 0 else _whole(action) for action in actions]


def _whole(action: Any) -> int:
    if int(action) != action:
        raise ValueError(f"{action} is no action")
    return int(action)


def action_masks(games: Sequence[ChessGame]) -> Array:
    """(N, 4672) bool: the legal actions of N positions, none where the game is over."""
    masks = np.zeros((len(games), ACTIONS), bool)
    for mask, game in zip(masks, games, strict=True):
        mask[list(game.moves)] = True
    return masks


def make_opponent(opponent: str | Policy) -> Opponent:
    """Make the opponent of a name in `OPPONENTS` or `SOLVERS`, or of a policy, which may be one itself."""
    if isinstance(opponent, str):
        return PlayerOpponent((OPPONENTS | SOLVERS)[opponent])
    own: Any = opponent
    return own if hasattr(own, "reply") else PolicyOpponent(opponent)

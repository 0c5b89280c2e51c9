"""Players at the board: the scene's agent, built-in players, UCI engines, each as a search to follow.

A player thinks step by step, so that its search can be drawn while it goes on and stopped in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from agents.alphazero.search_agent import SearchAgent
from sim.chess.opponents import OPPONENTS, SOLVED, SOLVERS, Player, action_masks
from sim.chess.rules.game import ChessGame
from sim.chess.uci_player import MissingEngineError, UciPlayer, engine_spec, find_stockfish
from sim.protocols import Policy, Ponders
from sim.records import Decision

SKILLS = (0, 3, 6, 10)  # of Stockfish, to choose from


@dataclass(frozen=True, slots=True, eq=False)
class Thought:
    """State of a player's search: the action that it would play now, and the decision behind it.

    Attributes:
        action: None resigns.
        decision: of the side to move (N = 1); None of players that tell nothing.
    """

    action: int | None
    decision: Decision | None = None


#: Thinks about a position: yields thoughts, the last of which is played.
Think = Callable[[ChessGame, np.random.Generator], Iterator[Thought]]


def built_in(player: Player) -> Think:
    """A built-in player, such as `sim.chess.opponents.greedy_move`."""

    def think(game: ChessGame, generator: np.random.Generator) -> Iterator[Thought]:
        yield Thought(player(game, generator))

    return think


def policy_player(policy: Policy, *, greedy: bool) -> Think:
    """A policy; one that searches without chance is followed while it does."""
    if isinstance(policy, Ponders):
        return partial(_pondered, policy)
    if isinstance(policy, SearchAgent) and policy.config.search != "none" and greedy:
        return partial(_pondered, SearchPonder(policy))
    return partial(_acted, policy, greedy)


def _pondered(policy: Ponders, game: ChessGame, generator: np.random.Generator) -> Iterator[Thought]:
    for decision in policy.ponder(game):
        yield Thought(int(decision.actions[0]), decision)


def _acted(
    policy: Policy, greedy: bool, game: ChessGame, generator: np.random.Generator
) -> Iterator[Thought]:
    if not greedy:
        policy.seed(int(generator.integers(2**31)))
    info: dict[str, Any] = {"action_mask": action_masks([game]), "games": (game,)}
    decision, _ = policy.act(ChessGame.observe([game]), info, greedy=greedy)
    actions = None if decision is None else decision.actions
    if actions is None or actions[0] is None or actions[0] < 0:
        yield Thought(None)
    else:
        yield Thought(int(actions[0]), decision)


class SearchPonder:
    """Search of a `SearchAgent` as decisions; a `sim.protocols.Ponders`."""

    def __init__(self, agent: SearchAgent) -> None:
        self._agent = agent

    def ponder(self, game: ChessGame) -> Iterator[Decision]:
        """Decisions after more and more simulations, as many as the agent's configuration has."""
        agent = self._agent
        for tree in agent.think(game, simulations=agent.config.num_simulations):
            yield agent.decision([tree])


def installed_engines() -> dict[str, str]:
    """Stockfish at several strengths, by the name in the dialog; none where it is not installed."""
    try:
        find_stockfish()
    except MissingEngineError:
        return {}
    return {f"Stockfish skill {skill}": f"stockfish:{skill}" for skill in SKILLS} | {"Stockfish": "stockfish"}


class Roster:
    """The players to choose from, by name, in the order of the dialog; made when they are first needed.

    Args:
        agent: name of the scene's agent; "" without one.
        think: of the agent.
        start: the world's start, for players of solved endgames.
        engines: others by name, and what `sim.chess.uci_player.engine_spec` takes.
    """

    def __init__(
        self, agent: str, think: Think | None, start: str, engines: Mapping[str, str] | None = None
    ) -> None:
        self.agent = agent if think is not None else ""
        self.titles: dict[str, str] = {}  # of engines that have said their name
        self._made: dict[str, Think] = {} if think is None else {agent: think}
        players = OPPONENTS | (SOLVERS if start in SOLVED else {})
        for name, player in players.items():
            self._made.setdefault(name, built_in(player))
        self._engines = dict(engines or {})
        self._closing: list[Callable[[], None]] = []

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, the agent first."""
        return tuple(dict.fromkeys((*self._made, *self._engines)))

    def think(self, name: str) -> Think:
        """The player of a name in `names`."""
        if name not in self._made:
            player = UciPlayer(engine_spec(self._engines[name]))
            self._closing.append(player.close)
            self._made[name] = partial(self._engine_thoughts, name, player)
        return self._made[name]

    def _engine_thoughts(
        self, name: str, player: UciPlayer, game: ChessGame, generator: np.random.Generator
    ) -> Iterator[Thought]:
        yield from _acted(player, True, game, generator)
        self.titles[name] = player.title

    def close(self) -> None:
        """End what was started for players, such as engines."""
        for close in self._closing:
            close()
        self._closing.clear()

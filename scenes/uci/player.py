"""The scene's agent as the player behind the engine: its search, or its policy where it has none.

Importing this imports torch: the engine does so only once it has to be ready.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from agents.alphazero.search_agent import SearchAgent
from agents.alphazero.tree import Tree, line_after
from agents.memory_limits import NODE
from scenes.build.agents import build_policy, scene_agent, scene_world
from scenes.build.devices import chosen_device
from scenes.schema import Scene, SceneError
from scenes.uci.info import centipawns, pawns
from scenes.uci.options import MOST_SIMULATIONS
from scenes.uci.variations import Findings, PrincipalVariation
from sim.chess.opponents import action_masks
from sim.chess.rules.game import ChessGame
from sim.chess.world import Chess
from sim.machine import free_memory
from sim.protocols import Policy
from sim.records import Array, Decision

MOST_PLANNED = 4096  # simulations that sequential halving is planned for
LEAST_THAT_FIT = 1000  # simulations that are tried whatever the memory


class Player(Protocol):
    """What plays."""

    @property
    def history(self) -> int:
        """PositionTracker that its observation shows."""

    @property
    def score(self) -> Callable[[float], int]:
        """Centipawns of a value."""

    def findings(self, game: ChessGame, only: Sequence[int], planned: int, most: int) -> Iterator[Findings]:
        """What it finds in a position that is not terminal, more and more.

        Args:
            game: the position.
            only: the actions to choose from; none for all.
            planned: simulations that the search is laid out for; it may be stopped before, or go on.
            most: simulations after which it ends.
        """

    def forget(self) -> None:
        """Forget what was found so far."""


class TreeFindings:
    """Findings of a tree search; valid until it goes on."""

    def __init__(self, tree: Tree, before: Array | None) -> None:
        """Look at `tree`.

        Args:
            tree: after some simulations.
            before: (K,) visits of the root that do not count for the choice; None where no visits do.
        """
        self._tree, self._before, self._best = tree, before, tree.choice()
        self.nodes = tree.simulations
        self.actions: Array = tree.root.actions

    def best(self) -> int:
        """The search's choice."""
        return self._best

    def depth(self) -> int:
        """Plies of alpha-beta's last full iteration, else of the principal variation."""
        depth: int | None = getattr(self._tree, "depth", None)
        return len(self._line(self.best())) if depth is None else depth

    def deepest(self) -> int:
        """Plies of the longest of the lines below the root's moves."""
        visited = np.flatnonzero(self._tree.root.visits)
        return max([self.depth(), *(len(self._line(int(index))) for index in visited)])

    def weights(self) -> Array:
        """The search's policy; the network's prior counts as one more simulation, for searches of a few."""
        weights: Array = (self.nodes * self._tree.policy() + self._tree.root.prior) / (self.nodes + 1)
        return weights

    def lead(self) -> float:
        """Visits that the choice is ahead of every other move; infinite where there is no other."""
        if len(self.actions) == 1:
            return math.inf
        if self._before is None:
            return 0.0
        visits = self._tree.root.visits - self._before
        return float(visits[self._best] - np.delete(visits, self._best).max())

    def variation(self, index: int) -> PrincipalVariation:
        """The move and the most visited replies; value and draws are the means of its simulations.

        Alpha-beta has no mean of draws: the network's own after the move counts there.
        """
        root, visits, child = self._tree.root, self._tree.root.visits[index], self._tree.root.child(index)
        value = float(root.q_values[index]) if visits else self._tree.value()
        if self._before is None and child is not None:
            draw = child.draw
        else:
            draw = float(root.draws[index] / visits) if visits else self._tree.draw()
        return PrincipalVariation(tuple(self._line(index)), value, draw)

    def ranking(self, count: int) -> list[int]:
        """The choice, then by visits, and by value and prior among equals; visited moves before others."""
        root = self._tree.root
        order = np.lexsort((root.logits, root.q_values, root.visits))[::-1]
        return [self._best, *(int(i) for i in order if i != self._best)][:count]

    def _line(self, index: int) -> list[int]:
        if index == self._best:
            return self._tree.line()
        return line_after(self._tree.root, index)


class PolicyFindings:
    """Findings of a policy without search: its decision, one evaluation."""

    nodes = 1

    def __init__(self, decision: Decision, actions: Array) -> None:
        """Look at the first row of `decision`, of a position with these legal actions (K,)."""
        self._decision, self.actions = decision, actions
        self._best = int(np.flatnonzero(actions == int(decision.actions[0]))[0])

    def best(self) -> int:
        """The policy's action."""
        return self._best

    def depth(self) -> int:
        """One ply."""
        return 1

    deepest = depth

    def weights(self) -> Array:
        """Probabilities; all on the action where the policy has none."""
        probabilities = self._decision.probabilities
        if probabilities is None:
            return np.asarray(np.arange(len(self.actions)) == self._best, np.float64)
        return np.asarray(probabilities[0, self.actions], np.float64)

    def lead(self) -> float:
        """Nothing can change."""
        return math.inf

    def variation(self, index: int) -> PrincipalVariation:
        """The move alone, with the position's value."""
        decision = self._decision
        value = None if decision.value is None else float(decision.value[0])
        draw = None if decision.wdl is None else float(decision.wdl[0, 1])
        return PrincipalVariation((int(self.actions[index]),), value, draw)

    def ranking(self, count: int) -> list[int]:
        """The action, then by probability."""
        order = np.argsort(self.weights(), kind="stable")[::-1]
        return [self._best, *(int(i) for i in order if i != self._best)][:count]


@dataclass
class SearchPlayer:
    """An agent that searches, and goes on with the tree of its last search."""

    agent: SearchAgent
    history: int
    score: Callable[[float], int] = centipawns

    def findings(self, game: ChessGame, only: Sequence[int], planned: int, most: int) -> Iterator[Findings]:
        """Findings after each batch of simulations; it also ends where memory does."""
        planned = min(planned, MOST_PLANNED)
        self.agent.config = replace(self.agent.config, num_simulations=planned, reuse_tree=True)
        before: Array | None = None
        for tree in self.agent.think(game, only, min(most, most_that_fit())):
            if before is None and self.agent.config.search == "gumbel":  # only new visits count there
                before = tree.root.visits.copy()
            elif before is None and self.agent.config.search == "puct":
                before = np.zeros(len(tree.root.visits))
            yield TreeFindings(tree, before)

    def forget(self) -> None:
        """Forget the tree."""
        self.agent.forget()


def most_that_fit() -> int:
    """Simulations whose tree takes half the free memory."""
    free = free_memory()
    return MOST_SIMULATIONS if free is None else max(LEAST_THAT_FIT, free // (2 * NODE))


@dataclass
class PolicyOnly:
    """A policy that does not search."""

    policy: Policy
    history: int
    score: Callable[[float], int] = centipawns

    def findings(self, game: ChessGame, only: Sequence[int], planned: int, most: int) -> Iterator[Findings]:
        """The policy's greedy decision, once."""
        mask = action_masks([game])
        if only:
            mask &= np.isin(np.arange(mask.shape[1]), only)
        info = {"action_mask": mask, "games": (game,)}
        decision, _ = self.policy.act(ChessGame.observe([game]), info, greedy=True)
        yield PolicyFindings(decision, np.flatnonzero(mask[0]))

    def forget(self) -> None:
        """Nothing is kept."""


def load_player(scene: Scene, *, device: str, checkpoint: Path | None) -> Player:
    """Build the scene's agent with its weights.

    Raises:
        SceneError: if the scene's world is not chess.
        CheckpointError: if its weights do not fit.
    """
    config = scene_world(scene)
    if not isinstance(config, Chess):
        raise SceneError(f"{scene.source.name}: a UCI engine plays chess, and this scene plays {config.name}")
    worlds = config.make_batch(1, scene.seed)
    agent = scene_agent(scene)
    policy, _ = build_policy(scene, worlds, config, chosen_device(device, agent), checkpoint)
    return player_of(policy, history=config.history, captures=config.reward == "capture")


def player_of(policy: Policy, *, history: int, captures: bool = False) -> Player:
    """The player of a policy.

    Args:
        policy: of a chess world.
        history: positions that its observation shows.
        captures: whether it learned from captures: the values of one that does not search are pawns then.
    """
    if isinstance(policy, SearchAgent) and policy.config.search != "none":
        return SearchPlayer(policy, history)
    return PolicyOnly(policy, history, pawns if captures else centipawns)

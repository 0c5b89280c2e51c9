"""Search agents: a policy and value network that acts by tree search, or by its policy alone.

What plays by search shares this, however its network is learned: by self-play (`agents.alphazero.train`) or
from recorded games (`agents.imitation`).

With ``value_head = "wdl"`` the network gives the probabilities of win, draw and loss for the side to move
(Lc0's value head), and a position is worth P(win) − P(loss); with ``"scalar"`` it gives tanh of one number.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Discrete
from torch import Tensor

from agents.actor_critic_learner import ActorCriticLearner
from agents.alphazero.alphabeta import AlphaBetaTree, deepen
from agents.alphazero.gumbel import GumbelTree, Sigma
from agents.alphazero.puct import PUCTTree
from agents.alphazero.tree import (
    SimulatedTree,
    Tree,
    expanded,
    make_roots,
    simulate,
    win_draw_loss,
)
from agents.alphazero.tree_arrays import Evaluation, Node
from agents.alphazero.tree_reuse import TreeReuse
from agents.memory_limits import check_search
from agents.networks.architectures import NetworkName, last_layer
from sim.errors import RequestError
from sim.fields import NonNegativeFloat, PositiveFloat, PositiveInt, UnitInterval, Validated
from sim.protocols import Game
from sim.records import Array, Decision
from supervised.tensors import Precision

LONGEST = 0.03  # seconds between two yields of `SearchAgent.think`, where single simulations are faster
FIRST_VALUE = 0.1  # scale of the value head's initial weights
VALUES = {"scalar": 1, "wdl": 3}  # numbers that a value head gives


class SearchError(RequestError, ValueError):
    """A world without positions to search."""


@dataclass(frozen=True)
class SearchConfig(Validated):
    """Configuration of network and search, shared by the agents that act by search."""

    fixed_at_resume: ClassVar[tuple[str, ...]] = ("network", "value_head")
    same_network: ClassVar[tuple[str, ...]] = ("alphazero", "imitation")  # each takes the other's weights

    network: NetworkName = "board"  # see agents.networks
    value_head: Literal["scalar", "wdl"] = "scalar"
    search: Literal["gumbel", "puct", "alphabeta", "none"] = "gumbel"  # none: the network's policy alone
    num_simulations: PositiveInt = 32  # a move; alphabeta: positions evaluated
    num_considered: PositiveInt = 16  # gumbel: actions considered at the root; alphabeta: searched unreduced
    c_visit: NonNegativeFloat = 50.0  # gumbel: Danihelka et al. 2022, for Go and chess
    c_scale: NonNegativeFloat = 1.0
    c_puct_init: NonNegativeFloat = 1.25  # puct: Silver et al. 2018, pseudocode
    c_puct_base: PositiveFloat = 19_652.0
    dirichlet_alpha: PositiveFloat = 0.3  # puct: for chess
    dirichlet_fraction: UnitInterval = 0.25
    fpu_reduction: NonNegativeFloat | None = None  # puct: first-play urgency; Lc0's is 0.33, None: 0 for all
    policy_temperature: PositiveFloat = 1.0  # of the network's policy in the tree; Lc0's is 1.36
    search_batch: PositiveInt = 8  # positions a network call: few games have several simulations in flight
    reuse_tree: bool = False  # go on with the subtree of the moves played; not in self-play
    two_fold_draws: bool = False  # a position in the tree that occurred before is a draw; Lc0
    learning_rate: PositiveFloat = 1e-3
    gamma: UnitInterval = 1.0  # a ply
    precision: Precision = "auto"
    greedy: bool = True  # when watched and scored: without noise

    def tree(self, root: Node, generator: np.random.Generator | None, *, sampled: bool = True) -> Tree:
        """A search from `root`.

        Args:
            root: the position.
            generator: of the root's noise and of the choice; None for neither.
            sampled: choose the action by chance, not the best. PUCT's noise stays either way: in Silver et
                al. 2018 every move of self-play has it. Gumbel's noise is what it samples by; alpha-beta
                has none.
        """
        if self.search == "gumbel":
            sigma = Sigma(self.c_visit, self.c_scale)
            noise = generator if sampled else None
            return GumbelTree(root, self.num_simulations, self.num_considered, sigma, noise)
        if self.search == "alphabeta":
            return AlphaBetaTree(root, self.gamma, self.num_considered, two_fold_draws=self.two_fold_draws)
        return PUCTTree(
            root,
            self.c_puct_init,
            self.c_puct_base,
            generator,
            self.dirichlet_alpha,
            self.dirichlet_fraction,
            sampled=sampled,
            fpu_reduction=self.fpu_reduction,
        )


class SearchAgent(ActorCriticLearner):
    """Policy that acts by tree search; subclasses learn its network. Satisfies `sim.protocols.Policy`.

    Attributes:
        agent: its name, for errors.
        config: of network and search; a caller may replace it between two decisions.
    """

    agent = "tree search"
    config: SearchConfig

    def __init__(
        self,
        config: SearchConfig,
        observation_space: gymnasium.Space[Any],
        action_space: gymnasium.Space[Any],
        seed: int,
        device: str,
    ) -> None:
        """Initialise the network.

        Raises:
            SearchError: where actions are not the moves of a game.
            MemoryRefused: if a search does not fit into memory.
        """
        check_search(config.num_simulations)
        if not isinstance(action_space, Discrete):
            raise SearchError(
                f"{self.agent} plays games of moves, such as chess; this world has {action_space}"
            )
        super().__init__(
            config,
            observation_space,
            action_space,
            seed=seed,
            device=device,
            values=VALUES[config.value_head],
        )
        with torch.no_grad():  # values start near 0, or the first searches would follow noise
            last_layer(self.actor_critic.value).weight.mul_(FIRST_VALUE)
        self.config = config
        self._actions = int(action_space.n)
        self._reuse = TreeReuse()

    def act(
        self, obs: Array, info: Mapping[str, Any], memory: Any = None, *, greedy: bool = False
    ) -> tuple[Decision, Any]:
        """Search N positions, ``info["games"]``; see `sim.protocols.Policy`.

        Raises:
            SearchError: if the world's info has no positions.
        """
        if self.config.search == "none":
            return self._policy_alone(obs, info, greedy=greedy), memory
        if "games" not in info:
            raise SearchError(f'{self.agent} searches positions: the world\'s info has no "games"; chess has')
        generator = None if greedy else self._numbers(self._acting)
        return self.decision(self._searched(self._roots(info["games"]), generator)), memory

    def decision(self, trees: Sequence[Tree]) -> Decision:
        """What N searches have come to so far."""
        probabilities = np.zeros((len(trees), self._actions), np.float32)
        visits = np.zeros((len(trees), self._actions), np.int64)
        for i, tree in enumerate(trees):
            probabilities[i, tree.root.actions] = tree.policy()
            visits[i, tree.root.actions] = tree.root.visits
        lines = tuple(tuple(tree.line()) for tree in trees)  # a choice by chance is made once
        return Decision(
            actions=np.array([line[0] for line in lines], np.int64),
            probabilities=probabilities,
            value=np.array([tree.value() for tree in trees], np.float32),
            visits=visits,
            wdl=np.stack([win_draw_loss(tree) for tree in trees]) if self._tells_draws else None,
            lines=lines,
        )

    @torch.no_grad()
    def _policy_alone(self, obs: Array, info: Mapping[str, Any], *, greedy: bool) -> Decision:
        """Decision by the network's policy in N positions, without search."""
        logits, out, _ = self.infer(self.observe(obs))
        noise = None if greedy else self.head.noise(len(obs), self._acting)
        action, probabilities = self.head.decide(logits, self.mask(info), noise)
        assert probabilities is not None
        return Decision(
            actions=self.head.to_world(action),
            probabilities=probabilities.cpu().numpy(),
            value=self.expected(out).cpu().numpy(),
            wdl=out.softmax(1).cpu().numpy() if self._tells_draws else None,
        )

    def searched(
        self,
        games: Sequence[Game],
        generator: np.random.Generator | None,
        sampled: Sequence[bool] | None = None,
    ) -> list[Tree]:
        """Search N positions that are not terminal, as one batch; see `SearchConfig.tree`.

        One simulation of each is in flight at a time, and no tree is reused: so self-play has it.
        """
        roots = make_roots([game.for_search() for game in games], self.evaluate, self._temperature)
        return self._searched(roots, generator, sampled, leaves=1)

    def think(self, game: Game, only: Sequence[int] = (), simulations: int | None = None) -> Iterator[Tree]:
        """Search one position; yields the tree after each batch of simulations, or once without search.

        A batch is smaller than `search_batch` where that would take longer than `LONGEST`: who thinks can
        be stopped.

        Args:
            game: a position that is not terminal.
            only: the actions to choose from; none for all.
            simulations: after which it ends; None: never.
        """
        (root,) = self._roots([game])
        if only:
            root.only(only)
            self._reuse.forget()
        tree = self.config.tree(root, None)
        most = sys.maxsize if simulations is None else simulations
        if self.config.search == "none":
            yield tree
            return
        if isinstance(tree, AlphaBetaTree):
            while deepen([tree], self.evaluate, most, temperature=self._temperature, calls=1):
                yield tree
            yield tree
            return
        leaves = 1
        while tree.simulations < most:
            begun, leaves = time.perf_counter(), min(leaves, most - tree.simulations)
            self._simulate([tree], leaves, leaves)
            yield tree
            fast = time.perf_counter() - begun < LONGEST / 2
            leaves = min(2 * leaves, self.config.search_batch) if fast else max(1, leaves // 2)

    def forget(self) -> None:
        """Forget the trees that are kept for reuse."""
        self._reuse.forget()

    def _roots(self, games: Sequence[Game]) -> list[Node]:
        """Roots of N searches, with the subtrees of the last ones where they are reused."""
        games = [game.for_search() for game in games]
        if not self.config.reuse_tree:
            return make_roots(games, self.evaluate, self._temperature)
        weights = tuple((tensor._version, tensor.data_ptr()) for tensor in self.network.state_dict().values())
        stamp = (weights, self._temperature, self.config.two_fold_draws, self.config.gamma)
        arrays, nodes = self._reuse.nodes(games, stamp)
        roots = expanded(arrays, nodes, self.evaluate, self._temperature)
        self._reuse.keep(roots, stamp)
        return roots

    def _searched(
        self,
        roots: Sequence[Node],
        generator: np.random.Generator | None,
        sampled: Sequence[bool] | None = None,
        leaves: int | None = None,
    ) -> list[Tree]:
        """Search from N roots; `leaves` in flight in each, or None: so many that they fill a batch."""
        sampled = [True] * len(roots) if sampled is None else sampled
        trees = [
            self.config.tree(root, generator, sampled=chance)
            for root, chance in zip(roots, sampled, strict=True)
        ]
        leaves = max(1, self.config.search_batch // len(roots)) if leaves is None else leaves
        self._simulate(trees, self.config.num_simulations, leaves)
        return trees

    def _simulate(self, trees: Sequence[Tree], simulations: int, leaves: int) -> None:
        """Run so many simulations in each tree, `leaves` in flight; of alpha-beta, evaluations."""
        config = self.config
        if config.search == "alphabeta":
            alphabeta = cast("Sequence[AlphaBetaTree]", trees)
            deepen(alphabeta, self.evaluate, simulations, temperature=config.policy_temperature)
            return
        simulate(
            cast("Sequence[SimulatedTree]", trees),
            self.evaluate,
            simulations,
            config.gamma,
            leaves=leaves,
            temperature=config.policy_temperature,
            two_fold_draws=config.two_fold_draws,
        )

    @property
    def _temperature(self) -> float:
        return self.config.policy_temperature

    def evaluate(self, games: Sequence[Game]) -> Evaluation:
        """Network evaluation of N positions; an `agents.alphazero.tree.Evaluate`."""
        logits, out, _ = self.infer(self.observe(games[0].observe(games)))
        draws = out.softmax(1)[:, 1].cpu().numpy() if self._tells_draws else None
        return Evaluation(logits.cpu().numpy(), self.expected(out).cpu().numpy(), draws)

    @property
    def _tells_draws(self) -> bool:
        return self.config.value_head == "wdl"

    def expected(self, out: Tensor) -> Tensor:
        """Values (N,) in [−1, 1] for the mover, from the value head's numbers (N,) or (N, 3)."""
        if self.config.value_head == "scalar":
            return torch.tanh(out)
        win, _, loss = out.softmax(1).unbind(1)
        return win - loss

    @staticmethod
    def _numbers(generator: torch.Generator) -> np.random.Generator:
        """A numpy generator for one search, seeded by the torch generator that is checkpointed."""
        seed = torch.randint(2**62, (), generator=generator, device=generator.device)
        return np.random.default_rng(int(seed))

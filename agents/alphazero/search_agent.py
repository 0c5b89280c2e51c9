"""Search agents: a policy and value network that acts by tree search, or by its policy alone.

What plays by search shares this, however its network is learned: by self-play (`agents.alphazero.train`) or
from recorded games (`agents.imitation`).

With ``value_head = "wdl"`` the network gives the probabilities of win, draw and loss for the side to move
(Lc0's value head), and a position is worth P(win) − P(loss); with ``"scalar"`` it gives tanh of one number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Discrete
from torch import Tensor

from agents.actor_critic_learner import ActorCriticLearner
from agents.alphazero.gumbel import GumbelTree, Sigma
from agents.alphazero.puct import PUCTTree
from agents.alphazero.tree import Node, Tree, likeliest_line, make_roots, simulate
from agents.memory_limits import check_search
from agents.networks.architectures import NetworkName, last_layer
from sim.errors import RequestError
from sim.fields import NonNegativeFloat, PositiveFloat, PositiveInt, UnitInterval, Validated
from sim.protocols import Game
from sim.records import Array, Decision
from supervised.tensors import Precision

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
    search: Literal["gumbel", "puct", "none"] = "gumbel"  # none: the network's policy alone
    num_simulations: PositiveInt = 32  # a move
    num_considered: PositiveInt = 16  # gumbel: actions considered at the root
    c_visit: NonNegativeFloat = 50.0  # gumbel: Danihelka et al. 2022, for Go and chess
    c_scale: NonNegativeFloat = 1.0
    c_puct_init: NonNegativeFloat = 1.25  # puct: Silver et al. 2018, pseudocode
    c_puct_base: PositiveFloat = 19_652.0
    dirichlet_alpha: PositiveFloat = 0.3  # puct: for chess
    dirichlet_fraction: UnitInterval = 0.25
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
                al. 2018 every move of self-play has it. Gumbel's noise is what it samples by.
        """
        if self.search == "gumbel":
            sigma = Sigma(self.c_visit, self.c_scale)
            noise = generator if sampled else None
            return GumbelTree(root, self.num_simulations, self.num_considered, sigma, noise)
        return PUCTTree(
            root,
            self.c_puct_init,
            self.c_puct_base,
            generator,
            self.dirichlet_alpha,
            self.dirichlet_fraction,
            sampled=sampled,
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
        trees = self.searched(info["games"], generator)
        probabilities = np.zeros((len(obs), self._actions), np.float32)
        visits = np.zeros((len(obs), self._actions), np.int64)
        for i, tree in enumerate(trees):
            probabilities[i, tree.root.actions] = tree.policy()
            visits[i, tree.root.actions] = tree.root.visits
        return Decision(
            actions=np.array([tree.root.actions[tree.choice()] for tree in trees], np.int64),
            probabilities=probabilities,
            value=np.array([tree.value() for tree in trees], np.float32),
            visits=visits,
            lines=tuple(tuple(likeliest_line(tree.root)) for tree in trees),
        ), memory

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
            wdl=out.softmax(1).cpu().numpy() if self.config.value_head == "wdl" else None,
        )

    def searched(
        self,
        games: Sequence[Game],
        generator: np.random.Generator | None,
        sampled: Sequence[bool] | None = None,
    ) -> list[Tree]:
        """Search N positions that are not terminal, as one batch; see `SearchConfig.tree`."""
        roots = make_roots(games, self.evaluate)
        sampled = [True] * len(games) if sampled is None else sampled
        trees = [
            self.config.tree(root, generator, sampled=chance)
            for root, chance in zip(roots, sampled, strict=True)
        ]
        simulate(trees, self.evaluate, self.config.num_simulations, self.config.gamma)
        return trees

    def think(self, game: Game, only: Sequence[int] = ()) -> Iterator[Tree]:
        """Search one position without limit; yields the tree after each simulation.

        Args:
            game: a position that is not terminal.
            only: the actions to choose from; none for all.
        """
        (root,) = make_roots([game], self.evaluate)
        if only:
            root.only(only)
        tree = self.config.tree(root, None)
        while True:
            simulate([tree], self.evaluate, 1, self.config.gamma)
            yield tree

    def evaluate(self, games: Sequence[Game]) -> tuple[Array, Array]:
        """Network evaluation of N positions; an `agents.alphazero.tree.Evaluate`."""
        logits, out, _ = self.infer(self.observe(games[0].observe(games)))
        return logits.cpu().numpy(), self.expected(out).cpu().numpy()

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

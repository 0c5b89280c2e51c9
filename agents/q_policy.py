"""ε-greedy policy by a Q-network, base class of DQN and PQN."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Discrete
from torch import Tensor

from agents.networks.architectures import MLP, NetworkError, QNetwork, network_for
from agents.networks.inference import InferenceCopy
from agents.optim.cuda_graphs import GraphChoice, GraphedFunction, uses_graphs
from agents.pinned_buffers import PinnedBuffers
from sim.records import Array, Decision
from supervised.distributed import ALONE, ProcessGroup
from supervised.precision import in_half
from supervised.tensors import Precision, from_arrays, to_arrays


class QConfig(Protocol):
    """Interface of the configurations of Q-learning policies."""

    @property
    def network(self) -> str | None:
        """See `agents.networks`; None: by what is observed."""

    @property
    def precision(self) -> Precision:
        """Of the network's arithmetic; "auto" is bfloat16 where the processor multiplies it in hardware."""

    @property
    def dueling(self) -> bool:
        """See `QNetwork`."""

    @property
    def epsilon_play(self) -> float:
        """ε when watched and scored."""

    @property
    def cuda_graphs(self) -> GraphChoice:
        """Whether acting for learning is a CUDA graph; see `agents.optim.cuda_graphs`."""


class QPolicy:
    """ε-greedy policy by a Q-network; masked actions are never chosen. Satisfies `sim.protocols.Policy`."""

    name: ClassVar[str]  # the agent's, for error messages

    def __init__(
        self,
        config: QConfig,
        observation_space: gymnasium.Space[Any],
        action_space: gymnasium.Space[Any],
        *,
        seed: int,
        device: str,
        layer_norm: bool,
        quantiles: int = 1,
    ) -> None:
        """Initialise the network.

        Args:
            config: names the network and how it acts.
            observation_space: of one world.
            action_space: of one world.
            seed: of weights and exploration.
            device: of the network.
            layer_norm: see `QNetwork`.
            quantiles: K.

        Raises:
            NetworkError: unless actions are Discrete from 0 and the network supports the observations.
        """
        if not isinstance(action_space, Discrete) or action_space.start != 0:
            raise NetworkError(
                f"{self.name} needs Discrete actions from 0, but the world takes {action_space}"
            )
        network = config.network or network_for(observation_space)
        self.device = torch.device(device)
        self._to_device = PinnedBuffers(self.device)
        self.actions = int(action_space.n)
        self.epsilon_play = config.epsilon_play
        self._shape = (network, observation_space, self.actions, quantiles, config.dueling, layer_norm)
        self._seed = seed
        self.network = self.new_network()
        self._half = network not in MLP and in_half(config.precision, self.device)
        self._graphs = uses_graphs(config.cuda_graphs, self.device)
        self._inference = self.inference_copy(self.network)
        # Not the generator that learning uses: watching and scoring must not change the training.
        self._acting = np.random.default_rng(seed)

    def graphed(
        self, function: Callable[..., tuple[Tensor | None, ...]]
    ) -> Callable[..., tuple[Tensor | None, ...]]:
        """The function, as a CUDA graph if the configuration says so; see `agents.optim.cuda_graphs`."""
        return GraphedFunction(function, self.device) if self._graphs else function

    def inference_copy(self, network: QNetwork) -> InferenceCopy[QNetwork]:
        """A copy of a network for acting, in this policy's number format."""
        return InferenceCopy(network, half=self._half, graphed=self._graphs)

    def new_network(self) -> QNetwork:
        """Make a network with this policy's initial weights."""
        return QNetwork(*self._shape, torch.Generator().manual_seed(self._seed)).to(self.device)

    def weights(self) -> dict[str, Array]:
        """The network's parameters by name: the content of a checkpoint."""
        return to_arrays(self.network.state_dict())

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """Load weights from a checkpoint.

        Raises:
            ValueError: if names or shapes differ from this network's.
        """
        from_arrays(self.network, weights)

    def seed(self, seed: int) -> None:
        """Seed the generator that `act` uses for ε."""
        self._acting = np.random.default_rng(seed)

    @torch.no_grad()
    def act(
        self, obs: Array, info: Mapping[str, Any], memory: Any = None, *, greedy: bool = False
    ) -> tuple[Decision, Any]:
        """Choose N ε-greedy actions; see `sim.protocols.Policy`."""
        mask = self.mask(info)
        q = self.q_values(self.observe(obs))
        best = best_actions(q, mask).cpu().numpy()
        actions = self.explore(best, mask, 0.0 if greedy else self.epsilon_play, self._acting)
        value = best_values(q, mask).cpu().numpy()
        return Decision(actions, q_values=q.cpu().numpy(), value=value), memory

    def explore(
        self,
        best: Array,
        mask: Tensor | None,
        epsilon: float,
        generator: np.random.Generator,
        group: ProcessGroup = ALONE,
    ) -> Array:
        """Replace each of `best` (N,) with probability ε by a random legal action.

        The ranks of a `group` each draw for all of its worlds, and so as one process would.
        """
        n, own = len(best) * group.size, group.share(len(best))
        explore = generator.random(n)[own] < epsilon
        if mask is None:
            anything = generator.integers(self.actions, size=n)[own]
        else:
            keys = np.where(mask.cpu().numpy(), generator.random((n, self.actions))[own], -1.0)
            anything = keys.argmax(1)
        return np.where(explore, anything, best)

    @torch.no_grad()
    def q_values(self, obs: Tensor) -> Tensor:
        """Q-values (N, A), expected discounted returns, of arranged observations (N, …); no gradients."""
        return self.quantiles(self._inference.current(), obs).mean(2)

    def quantiles(self, network: QNetwork, obs: Tensor) -> Tensor:
        """Return quantiles (N, A, K) float32 of arranged observations (N, …) by `network`."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._half):
            quantiles: Tensor = network(obs)
        return quantiles.float()

    def observe(self, obs: Array) -> Tensor:
        """Observations (N, …) on this policy's device, in the network's memory format."""
        return self.network.trunk.arrange(self.tensor(obs))

    def tensor(self, array: Array) -> Tensor:
        """Copy an array to this policy's device; for acting, where the worlds wait, not within an update."""
        return self._to_device.copy(array)

    def mask(self, info: Mapping[str, Any]) -> Tensor | None:
        """Action mask (N, A) bool, or None if all actions are allowed."""
        mask = info.get("action_mask")
        return None if mask is None else self.tensor(mask).bool()


def best_actions(q: Tensor, mask: Tensor | None) -> Tensor:
    """Greedy actions (N,) of Q-values (N, A), masked ones never; 0 where all are masked."""
    return q.argmax(1) if mask is None else q.masked_fill(~mask, -torch.inf).argmax(1)


def best_values(q: Tensor, mask: Tensor | None) -> Tensor:
    """Maximum (N,) of Q-values (N, A) over allowed actions; 0 where all are masked, after termination."""
    if mask is None:
        return q.amax(1)
    best = q.masked_fill(~mask, -torch.inf).amax(1)
    return torch.where(mask.any(1), best, 0.0)

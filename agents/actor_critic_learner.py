"""Base class of the actor-critic learners PPO, REINFORCE and AlphaZero: policy, optimiser, exact resume."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Protocol

import gymnasium
import torch
from torch import Tensor, nn

from agents.networks.architectures import MLP, RECURRENT, ActorCritic, is_pictures, network_for
from agents.networks.heads import Head, head_for
from agents.networks.inference import InferenceCopy
from agents.networks.normalize import PixelMoments, ReturnScale, RunningMoments, ValueScale
from agents.networks.recurrent import RecurrentActorCritic
from agents.optim.cuda_graphs import GraphChoice, GraphedFunction, uses_graphs
from agents.optim.train_step import adam
from agents.pinned_buffers import PinnedBuffers
from agents.rollouts.rollout import Choice
from sim.records import Array, Decision, State
from sim.vector import Worlds
from supervised.distributed import process_group
from supervised.precision import in_half
from supervised.tensors import (
    Precision,
    from_arrays,
    optimizer_state,
    restore_optimizer,
    to_arrays,
)


class ActorCriticConfig(Protocol):
    """Interface of the configurations of actor-critic learners."""

    @property
    def network(self) -> str | None:
        """See `agents.networks`; None: by what is observed."""

    @property
    def precision(self) -> Precision:
        """Of the network's arithmetic."""

    @property
    def learning_rate(self) -> float:
        """Of Adam, at first."""


class ActorCriticLearner:
    """Base class of actor-critic learners: policy, optimiser, exact resume; subclasses add the loop.

    Satisfies `sim.protocols.Policy`; a learner adds `learn`, and what else its state holds.
    """

    def __init__(
        self,
        config: ActorCriticConfig,
        observation_space: gymnasium.Space[Any],
        action_space: gymnasium.Space[Any],
        *,
        seed: int,
        device: str,
        adam_epsilon: float = 1e-8,
        normalize_observations: bool = False,
        return_scale: ReturnScale | None = None,
        value_scale: ValueScale | None = None,
        cuda_graphs: GraphChoice = False,
        values: int = 1,
    ) -> None:
        """Initialise network and generators.

        Args:
            config: names network, precision and learning rate.
            observation_space: of one world.
            action_space: of one world.
            seed: of weights and sampling.
            device: of the network.
            adam_epsilon: Adam's ε.
            normalize_observations: by their running moments.
            return_scale: divides rewards, and so multiplies shown values.
            value_scale: of the values that the network gives; None: they are in the unit of rewards.
            values: numbers that tell an observation's value: 1, or 3 logits of win, draw and loss.
            cuda_graphs: whether choosing actions is a CUDA graph; see `agents.optim.cuda_graphs`.

        Raises:
            NetworkError: if the network does not fit the spaces.
        """
        network = config.network or network_for(observation_space)
        self.device = torch.device(device)
        self._to_device = PinnedBuffers(self.device)
        self.head: Head = head_for(action_space)
        self.actor_critic = actor_critic(network, observation_space, self.head.outputs, seed, values)
        parts: dict[str, nn.Module] = {"actor_critic": self.actor_critic, "head": self.head}
        if normalize_observations:
            parts["observations"] = self._new_moments(observation_space)
        if return_scale is not None:
            parts["returns"] = return_scale
        if value_scale is not None:
            parts["targets"] = value_scale
        self.network = nn.ModuleDict(parts).to(self.device)
        self.moments: RunningMoments | None = parts.get("observations")  # type: ignore[assignment]
        self.return_scale, self.value_scale = return_scale, value_scale
        trunk = network_for(observation_space) if network in RECURRENT else network
        self._half = trunk not in MLP and in_half(config.precision, self.device)
        graphed = uses_graphs(cuda_graphs, self.device)
        self._inference = InferenceCopy(self.actor_critic, half=self._half, graphed=graphed)
        self._sample = GraphedFunction(self._sampled, self.device) if graphed else self._sampled
        self._acting = torch.Generator(self.device)
        self.seed(seed)
        # Not the generator that `act` uses: watching and scoring must not change the training.
        self._generator = torch.Generator(self.device).manual_seed(seed)
        self._learning_rate, self._adam_epsilon = config.learning_rate, adam_epsilon
        self._group = process_group()
        self._env_steps = 0
        self._updates = 0
        self._worlds_state: State | None = None
        self._worlds: Worlds | None = None

    @cached_property
    def _optimizer(self) -> torch.optim.Adam:
        """Adam, made when learning begins: PyTorch imports its compiler for it, which takes a second."""
        return adam(self.network.parameters(), self._learning_rate, self._adam_epsilon)

    def _new_moments(self, space: gymnasium.Space[Any]) -> RunningMoments:
        shape = space.shape or ()
        if not is_pictures(space):
            return RunningMoments(shape)
        arranged = self.actor_critic.trunk.arrange(torch.zeros(1, *shape, dtype=torch.uint8))
        return PixelMoments(tuple(arranged.shape[1:]))

    def seed(self, seed: int) -> None:
        """Seed the generator that samples actions in `act`."""
        self._acting.manual_seed(seed)

    @torch.no_grad()
    def act(
        self, obs: Array, info: Mapping[str, Any], memory: Any = None, *, greedy: bool = False
    ) -> tuple[Decision, Any]:
        """Sample N actions, or take the mode; memory is (N, H) float32. See `sim.protocols.Policy`."""
        seen = self.observe(obs)
        before = None if memory is None else self.tensor(memory)
        parameters, value, after = self.infer(self.normalized(seen), before)
        value = self.to_return(value)
        if self.return_scale is not None:
            value = value * self.return_scale.deviation.float()
        mask = self.mask(info)
        noise = None if greedy else self.head.noise(len(seen), self._acting)
        action, probabilities = self.head.decide(parameters, mask, noise)
        return Decision(
            actions=self.head.to_world(action),
            probabilities=None if probabilities is None else probabilities.cpu().numpy(),
            value=value.cpu().numpy(),
        ), None if after is None else after.cpu().numpy()

    def forward(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """Arranged observations (N, …) → the head's parameters (N, outputs) and values (N,), float32."""
        parameters, value, _ = self.unroll(self.normalized(obs), None)
        return parameters, self.to_return(value)

    def normalized(self, obs: Tensor) -> Tensor:
        """Arranged observations (N, …) as the network reads them: standardised, where that is asked for."""
        if isinstance(self.moments, PixelMoments):
            return self.moments.normalize(obs, torch.bfloat16 if self._half else torch.float32)
        return obs if self.moments is None else self.moments.normalize(obs)

    def to_return(self, value: Tensor) -> Tensor:
        """The network's values in the unit of the rewards that it learns from."""
        return value if self.value_scale is None else self.value_scale.to_return(value)

    def unroll(
        self, obs: Tensor, memory: Tensor | None, ended: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Like `forward`, of normalised observations, with the recurrent state before and after.

        Args:
            obs: `normalized` observations (T · N, …), time first.
            memory: (N, H) before the first step; None: zero, for a single step.
            ended: (T, N) bool, where the next step belongs to another episode; None for a single step.

        Returns:
            Parameters (T · N, outputs), values (T · N,) and the state (N, H) after, or None without one.
        """
        return self._pass(self.actor_critic, obs, memory, ended)

    @torch.no_grad()
    def infer(self, obs: Tensor, memory: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor | None]:
        """`unroll` of a single step without gradients, the same numbers by weights prepared for it."""
        return self._pass(self._inference.current(), obs, memory)

    def _pass(
        self,
        network: ActorCritic | RecurrentActorCritic,
        obs: Tensor,
        memory: Tensor | None,
        ended: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Pass of `network`; see `unroll`."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._half):
            if isinstance(network, ActorCritic):
                return *network(obs), None
            if memory is None:
                memory = torch.zeros(len(obs), network.memory_size, device=self.device)
            parameters, value, memory = network(obs, memory, ended)
            return parameters, value, memory

    def observe(self, obs: Array) -> Tensor:
        """Observations (N, …) on this policy's device, in the network's memory format."""
        return self.actor_critic.trunk.arrange(self.tensor(obs))

    def tensor(self, array: Array) -> Tensor:
        """Copy an array to this policy's device; for acting, where the worlds wait, not within an update."""
        return self._to_device.copy(array)

    def mask(self, info: Mapping[str, Any]) -> Tensor | None:
        """Action mask (N, A) bool, or None if all actions are allowed."""
        mask = info.get("action_mask")
        return None if mask is None else self.tensor(mask).bool()

    def weights(self) -> dict[str, Array]:
        """The network's parameters by name: the content of a checkpoint."""
        return to_arrays(self.network.state_dict())

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """Load weights from a checkpoint.

        Raises:
            ValueError: if names or shapes differ from this network's.
        """
        from_arrays(self.network, weights)

    def choose(self, obs: Tensor, mask: Tensor | None, memory: Tensor | None) -> Choice:
        """Sample N actions for learning; see `agents.rollouts.rollout.Actor`."""
        everyone = self.head.noise(len(obs) * self._group.size, self._generator)
        noise = everyone[self._group.share(len(obs))]
        action, log_prob, value, memory = self._sample(obs, mask, memory, noise)
        assert action is not None and value is not None
        return Choice(self.head.to_world(action), value, action, log_prob, memory)

    def _sampled(
        self, obs: Tensor, mask: Tensor | None, memory: Tensor | None, noise: Tensor
    ) -> tuple[Tensor | None, ...]:
        """Actions sampled by `noise`, their log-probabilities, values (N,) and the state (N, H) after."""
        parameters, value, memory = self.infer(self.normalized(obs), memory)
        action, log_prob = self.head.choose(parameters, mask, noise)
        return action, log_prob, self.to_return(value), memory

    def bootstrap(self, obs: Tensor, mask: Tensor | None, memory: Tensor | None) -> Tensor:
        """Values (n,) of observations after which nothing is played; see `agents.rollouts.rollout.Actor`."""
        return self.to_return(self.infer(self.normalized(obs), memory)[1])

    def state(self) -> State:
        """Network, optimiser, generator, counters and worlds."""
        assert self._worlds is not None, "there is nothing to resume before learn() has begun"
        return {
            "env_steps": self._env_steps,
            "updates": self._updates,
            "network": self.weights(),
            "optimizer": optimizer_state(self._optimizer),
            "generator": self._generator.get_state().numpy(),
            "worlds": self._worlds.state(),
        }

    def restore(self, state: State) -> None:
        """Restore a state; `learn` continues from there."""
        self._env_steps, self._updates = int(state["env_steps"]), int(state["updates"])
        self.load_weights(state["network"])
        restore_optimizer(self._optimizer, state["optimizer"])
        self._generator.set_state(torch.tensor(state["generator"]))
        self._worlds_state = state["worlds"]


def actor_critic(
    network: str, observation_space: gymnasium.Space[Any], outputs: int, seed: int, values: int = 1
) -> ActorCritic | RecurrentActorCritic:
    """Make the actor-critic network of a name, with the weights of `seed`.

    Raises:
        NetworkError: if the network does not fit the observations.
    """
    generator = torch.Generator().manual_seed(seed)
    if network in RECURRENT:
        return RecurrentActorCritic(observation_space, outputs, generator)
    return ActorCritic(network, observation_space, outputs, generator, values)

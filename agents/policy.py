"""Actor-critic policy and learner base class of PPO, REINFORCE and AlphaZero."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import torch
from torch import Tensor, nn

from agents.heads import Head, head_for
from agents.networks import MLP, ActorCritic
from agents.normalize import ReturnScale, RunningMoments
from agents.train_step import adam
from sim.records import Array, Decision, State
from sim.vector import Worlds
from supervised.base_model import WithWeights
from supervised.precision import in_half
from supervised.tensors import Precision, on_device, optimizer_state, restore_optimizer


class ActorCriticPolicy(WithWeights[nn.ModuleDict]):
    """Stochastic policy of an actor-critic network. Satisfies `sim.protocols.Policy`."""

    def __init__(
        self,
        network: str,
        precision: Precision,
        observation_space: gymnasium.Space[Any],
        action_space: gymnasium.Space[Any],
        *,
        seed: int,
        device: str,
        normalize_observations: bool = False,
        return_scale: ReturnScale | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.head: Head = head_for(action_space)
        weights = torch.Generator().manual_seed(seed)
        self.actor_critic = ActorCritic(network, observation_space, self.head.outputs, weights)
        parts: dict[str, nn.Module] = {"actor_critic": self.actor_critic, "head": self.head}
        if normalize_observations:
            parts["observations"] = RunningMoments(observation_space.shape or ())
        if return_scale is not None:
            parts["returns"] = return_scale
        self.network = nn.ModuleDict(parts).to(self.device)
        self.moments: RunningMoments | None = parts.get("observations")  # type: ignore[assignment]
        self.return_scale = return_scale
        self._half = network not in MLP and in_half(precision, self.device)
        self._acting = torch.Generator(self.device)
        self.seed(seed)

    def seed(self, seed: int) -> None:
        """Seed the generator that samples actions in `act`."""
        self._acting.manual_seed(seed)

    @torch.no_grad()
    def act(
        self, obs: Array, info: Mapping[str, Any], memory: Any = None, *, greedy: bool = False
    ) -> tuple[Decision, Any]:
        """Sample N actions, or take the mode; see `sim.protocols.Policy`."""
        seen = self.observe(obs)
        parameters, value = self.forward(seen)
        if self.return_scale is not None:
            value = value * self.return_scale.deviation.float()
        mask = self.mask(info)
        noise = None if greedy else self.head.noise(len(seen), self._acting)
        action, _ = self.head.choose(parameters, mask, noise)
        probabilities = self.head.probabilities(parameters, mask)
        return Decision(
            actions=self.head.to_world(action),
            probabilities=None if probabilities is None else probabilities.cpu().numpy(),
            value=value.cpu().numpy(),
        ), memory

    def forward(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """Arranged observations (N, …) → the head's parameters (N, outputs) and values (N,), float32."""
        if self.moments is not None:
            obs = self.moments.normalize(obs)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._half):
            parameters, value = self.actor_critic(obs)
        return parameters, value

    def observe(self, obs: Array) -> Tensor:
        """Observations (N, …) on this policy's device, in the network's memory format."""
        return self.actor_critic.trunk.arrange(self.tensor(obs))

    def tensor(self, array: Array) -> Tensor:
        """Copy an array to this policy's device; for acting, where the worlds wait, not within an update."""
        return on_device(array, self.device, at_once=True)

    def mask(self, info: Mapping[str, Any]) -> Tensor | None:
        """Action mask (N, A) bool, or None if all actions are allowed."""
        mask = info.get("action_mask")
        return None if mask is None else self.tensor(mask).bool()


class ActorCriticLearner(ActorCriticPolicy):
    """Base class of actor-critic learners: optimiser, generator, counters, and exact resume."""

    def __init__(
        self,
        network: str,
        precision: Precision,
        observation_space: gymnasium.Space[Any],
        action_space: gymnasium.Space[Any],
        *,
        seed: int,
        device: str,
        learning_rate: float,
        adam_epsilon: float = 1e-8,
        normalize_observations: bool = False,
        return_scale: ReturnScale | None = None,
    ) -> None:
        super().__init__(
            network,
            precision,
            observation_space,
            action_space,
            seed=seed,
            device=device,
            normalize_observations=normalize_observations,
            return_scale=return_scale,
        )
        # Not the generator that `act` uses: watching and scoring must not change the training.
        self._generator = torch.Generator(self.device).manual_seed(seed)
        self._optimizer = adam(self.network.parameters(), learning_rate, adam_epsilon)
        self._env_steps = 0
        self._updates = 0
        self._worlds_state: State | None = None
        self._worlds: Worlds | None = None

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

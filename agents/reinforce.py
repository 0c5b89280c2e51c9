"""REINFORCE (Williams 1992): Monte Carlo policy gradient, with or without a learned baseline.

Each update plays one whole episode in every world, so that returns need no bootstrap and short episodes
are not overrepresented; transitions of worlds that finish early are not used until all have finished. Then
one gradient step follows

    ∇ E[G] = E[ Σ_t (G_t − b(s_t)) ∇ log π(a_t | s_t) ]        (Williams 1992, theorem 1; b: section 3)

with the discounted return G_t from step t on, and b a learned value or 0. Without a baseline the gradient is
unbiased too, with a much higher variance: compare the two on the same scene.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import gymnasium
import torch
from torch import Tensor, nn

from agents.actor_critic_learner import ActorCriticLearner
from agents.networks.architectures import NetworkName, network_for
from agents.returns import discounted_returns
from agents.rollouts.rollout import Rollout, RolloutCollector
from sim.fields import NonNegativeFloat, PositiveFloat, PositiveInt, UnitInterval, Validated
from sim.records import Budget, Progress
from sim.vector import Worlds
from supervised.tensors import NonFiniteError, Precision


@dataclass(frozen=True)
class Reinforce(Validated):
    """Configuration of the ``reinforce`` agent; its fields are scene keys."""

    fixed_at_resume: ClassVar[tuple[str, ...]] = ("network",)

    network: NetworkName | None = None  # see agents.networks; unless set, by what is observed
    learning_rate: PositiveFloat = 3e-3
    gamma: UnitInterval = 0.99
    baseline: bool = True  # subtract a learned value from each return
    normalize: bool = True  # standardise returns minus baseline over the batch
    ent_coef: NonNegativeFloat = 0.0
    vf_coef: NonNegativeFloat = 0.5
    max_grad_norm: PositiveFloat = 0.5
    max_steps: PositiveInt = 1000  # longer episodes are cut here in training
    precision: Precision = "auto"
    greedy: bool = False  # when watched and scored: the mode instead of a sample

    def probe(self) -> Reinforce:
        """Return itself: an update is one episode a world, and early episodes are short."""
        return self

    def for_observations(self, space: gymnasium.Space[Any]) -> Reinforce:
        """This config with the network that suits observations of `space`, where it names none."""
        return self if self.network else replace(self, network=network_for(space))

    def build(
        self,
        observation_space: gymnasium.Space[Any],
        action_space: gymnasium.Space[Any],
        *,
        seed: int,
        device: str = "cpu",
    ) -> ReinforceLearner:
        """An untrained learner for one world's spaces."""
        config = self.for_observations(observation_space)
        return ReinforceLearner(config, observation_space, action_space, seed, device)


class ReinforceLearner(ActorCriticLearner):
    """REINFORCE learner. Satisfies `sim.protocols.Learner`."""

    def __init__(
        self,
        config: Reinforce,
        observation_space: gymnasium.Space[Any],
        action_space: gymnasium.Space[Any],
        seed: int,
        device: str,
    ) -> None:
        super().__init__(config, observation_space, action_space, seed=seed, device=device)
        self.config = config

    def learn(self, worlds: Worlds, budget: Budget) -> Iterator[Progress]:
        """Play one episode a world and take one gradient step, until the budget is spent; yields after each.

        The number of env steps of an update is only known afterwards; a budget of env_steps is overshot by
        at most one update, and `Progress.total_updates` is an estimate.

        Raises:
            NonFiniteError: if a loss or gradient is not finite.
        """
        self._worlds = worlds
        if self._worlds_state is not None:
            worlds.restore(self._worlds_state)
        while not budget.spent(self._env_steps, self._updates):
            # The episodes begin anew: the newest observation of the rollout before is not of interest.
            played = RolloutCollector(self, worlds, worlds.reset()).collect(
                self.config.max_steps, whole_episodes=True
            )
            metrics = self.update(played)
            self._env_steps += played.reward.numel()
            self._updates += 1
            share = budget.share(self._env_steps, self._updates)
            total = max(self._updates, round(self._updates / share))
            yield Progress(self._env_steps, self._updates, total, metrics, played.episodes)

    def bootstrap(self, obs: Tensor, mask: Tensor | None, memory: Tensor | None) -> Tensor:
        """Values (n,) of observations at which an episode was cut; 0 without a baseline."""
        if not self.config.baseline:
            return torch.zeros(len(obs), device=self.device)
        return super().bootstrap(obs, mask, memory)

    def update(self, played: Rollout) -> dict[str, float]:
        """One gradient step on the first episode of each world."""
        self._optimizer.zero_grad()
        config, (real, final_value) = self.config, first_episodes(played)
        returns = discounted_returns(played.reward * real, real, final_value, config.gamma)[real]
        parameters, value = self.forward(played.obs[real])
        mask = None if played.mask is None else played.mask[real]
        log_prob, entropy = self.head.evaluate(parameters, mask, played.action[real])
        weight = returns - value.detach() if config.baseline else returns
        if config.normalize and len(weight) > 1:
            weight = (weight - weight.mean()) / (weight.std() + 1e-8)
        loss_pi = -(log_prob * weight).mean()
        loss_v = 0.5 * (value - returns).square().mean() if config.baseline else torch.zeros_like(loss_pi)
        loss = loss_pi + config.vf_coef * loss_v - config.ent_coef * entropy.mean()
        torch.autograd.backward(loss)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), config.max_grad_norm)
        self._optimizer.step()
        metrics = {
            "policy_loss": loss_pi.item(),
            "value_loss": loss_v.item(),
            "entropy": entropy.mean().item(),
            "grad_norm": norm.item(),
        }
        NonFiniteError.check(metrics, self._updates + 1)
        return metrics


def first_episodes(played: Rollout) -> tuple[Tensor, Tensor]:
    """Which steps (T, N) bool belong to the first episode of each world, and the value (N,) after its last.

    The value is 0 where the episode terminated, and the bootstrap where it was truncated or the rollout
    stopped before its end.
    """
    before = torch.cumsum(played.ended, 0) - played.ended.long()
    real = before == 0
    last = real.sum(0, keepdim=True) - 1
    terminated, value = played.terminated.gather(0, last)[0], played.next_value.gather(0, last)[0]
    return real, torch.where(terminated, 0.0, value)

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
import numpy as np
import torch
from torch import Tensor, nn

from agents.networks import NetworkName, network_for
from agents.policy import ActorCriticLearner
from agents.returns import discounted_returns
from sim.fields import NonNegativeFloat, PositiveFloat, PositiveInt, UnitInterval, Validated
from sim.records import Array, Budget, Episode, Progress
from sim.vector import Worlds, ended_episode
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


@dataclass
class Episodes:
    """Batch of one episode a world, time first, padded to the longest; `alive` is False for padding."""

    obs: Tensor  # (T, N, …)
    action: Tensor  # (T, N) or (T, N, D)
    reward: Tensor  # (T, N)
    alive: Tensor  # (T, N) bool
    final_value: Tensor  # (N,) bootstrap value of truncated episodes; 0 where terminated
    mask: Tensor | None  # (T, N, A)


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
        super().__init__(
            config.network or network_for(observation_space),
            config.precision,
            observation_space,
            action_space,
            seed=seed,
            device=device,
            learning_rate=config.learning_rate,
        )
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
            played, episodes, steps = self._play(worlds)
            metrics = self._update(played)
            self._env_steps += steps
            self._updates += 1
            share = budget.share(self._env_steps, self._updates)
            total = max(self._updates, round(self._updates / share))
            yield Progress(self._env_steps, self._updates, total, metrics, tuple(episodes))

    @torch.no_grad()
    def _play(self, worlds: Worlds) -> tuple[Episodes, list[Episode], int]:
        """One whole episode in every world, at most `max_steps` long, and the env steps it took."""
        obs, info = worlds.reset()
        alive = np.ones(worlds.num_envs, bool)
        final_value = torch.zeros(worlds.num_envs, device=self.device)
        rows: list[tuple[Tensor, Tensor, Array, Array]] = []
        masks: list[Tensor] = []
        episodes: list[Episode] = []
        while alive.any() and len(rows) < self.config.max_steps:
            seen, mask = self.observe(obs), self.mask(info)
            noise = self.head.noise(worlds.num_envs, self._generator)
            action, _ = self.head.choose(self.forward(seen)[0], mask, noise)
            obs, reward, terminated, truncated, info = worlds.step(self.head.to_world(action))
            rows.append((seen, action, reward * alive, alive.copy()))
            if mask is not None:
                masks.append(mask)
            for i in np.flatnonzero(alive & (terminated | truncated)):
                episodes.append(ended_episode(info, int(i)))
                if truncated[i]:
                    final_value[i] = self._worth(info["final_obs"][i])
            alive &= ~(terminated | truncated)
        for i in np.flatnonzero(alive):  # longer than max_steps
            final_value[i] = self._worth(obs[i])
        seen_rows, actions, rewards, lives = zip(*rows, strict=True)
        played = Episodes(
            obs=torch.stack(seen_rows),
            action=torch.stack(actions),
            reward=self.tensor(np.stack(rewards)).float(),
            alive=self.tensor(np.stack(lives)),
            final_value=final_value,
            mask=torch.stack(masks) if masks else None,
        )
        return played, episodes, len(rows) * worlds.num_envs

    def _worth(self, obs: Array) -> Tensor:
        """Bootstrap value of a truncated episode's final observation; 0 without a baseline."""
        if not self.config.baseline:
            return torch.zeros((), device=self.device)
        return self.forward(self.observe(obs[None]))[1][0]

    def _update(self, played: Episodes) -> dict[str, float]:
        """One gradient step on whole episodes."""
        config, real = self.config, played.alive
        returns = discounted_returns(played.reward, real, played.final_value, config.gamma)[real]
        parameters, value = self.forward(played.obs[real])
        mask = None if played.mask is None else played.mask[real]
        log_prob, entropy = self.head.evaluate(parameters, mask, played.action[real])
        weight = returns - value.detach() if config.baseline else returns
        if config.normalize and len(weight) > 1:
            weight = (weight - weight.mean()) / (weight.std() + 1e-8)
        loss_pi = -(log_prob * weight).mean()
        loss_v = 0.5 * (value - returns).square().mean() if config.baseline else torch.zeros_like(loss_pi)
        loss = loss_pi + config.vf_coef * loss_v - config.ent_coef * entropy.mean()
        self._optimizer.zero_grad()
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

"""Rollout actor of DQN (Ape-X, Horgan et al. 2018): plays worlds ε-greedily in stretches.

Q-learning is off-policy, so that what actors play by older weights is right to learn from. All actors explore
with the ε of the learner's schedule, which goes with the weights.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from agents.actors.backend import Weights
from agents.actors.shards import Stretch
from agents.dqn import DQN, DQNLearner
from agents.q_policy import best_actions
from agents.rollouts.rollout_stretch import EPSILON
from sim.records import Array, Episode
from sim.vector import Worlds, finished

LEAST_STEPS = 32  # of a stretch: each one takes S slots of the replay more a world


class RolloutActor:
    """Plays a batch of worlds ε-greedily in stretches; satisfies `agents.actors.backend.ShardActor`."""

    def __init__(
        self,
        config: DQN,
        make_worlds: Callable[[int, int], Worlds],
        num_envs: int,
        actors: int,
        *,
        seed: int,
    ) -> None:
        """Start the episodes.

        Args:
            config: of the learner.
            make_worlds: from a number of worlds and a seed.
            num_envs: worlds at once.
            actors: that play for one learner: the steps between two yields are shared out among them.
            seed: of worlds and exploration.
        """
        self._worlds = make_worlds(num_envs, seed)
        spaces = self._worlds.single_observation_space, self._worlds.single_action_space
        self._policy = config.build(*spaces, seed=seed)
        self._generator = np.random.default_rng(seed)
        self._steps = max(LEAST_STEPS, DQNLearner.yield_every // num_envs // actors)
        self._stack = self._worlds.frame_stack
        self._obs, self._info = self._worlds.reset()
        self._age = np.zeros(num_envs, np.int64)
        self._version: int | None = None
        self._epsilon = 1.0

    def play(self, version: int, weights: Weights) -> Stretch:
        """Play one stretch; see `agents.rollouts.rollout_stretch`."""
        if version != self._version:
            self._policy.load_weights({name: weights[name] for name in weights if name != EPSILON})
            self._version, self._epsilon = version, float(weights[EPSILON])
        columns: dict[str, list[Array]] = {}
        episodes: list[Episode] = []
        context = self._obs[:, :-1].copy() if self._stack > 1 else None
        age = np.minimum(self._age, self._stack - 1)
        for step in range(self._steps):
            row, ended = self._step(last=step == self._steps - 1)
            episodes += ended
            for name, value in row.items():
                columns.setdefault(name, []).append(value)
        arrays = {
            name: np.concatenate(parts) if name.startswith("final") else np.stack(parts)
            for name, parts in columns.items()
        }
        if context is not None:
            arrays |= {"context": context, "age": age}
        positions = self._steps * self._worlds.num_envs
        return Stretch(version, positions, arrays, tuple(episodes))

    @torch.no_grad()
    def _step(self, *, last: bool) -> tuple[dict[str, Array], list[Episode]]:
        """Step all worlds once; the `last` step of a stretch cuts all episodes off."""
        policy, obs, info = self._policy, self._obs, self._info
        mask = policy.mask(info)
        best = best_actions(policy.q_values(policy.observe(obs)), mask).cpu().numpy()
        action = policy.explore(best, mask, self._epsilon, self._generator)
        row = {"frames": self._newest(obs), "action": action.astype(np.int32)}
        if mask is not None:
            row["mask"] = info["action_mask"].copy()
        self._obs, reward, terminated, truncated, self._info = self._worlds.step(action)
        over = terminated | truncated
        final_obs, final_mask = self._obs, self._info.get("action_mask")
        if over.any():
            final_obs = _choose(over, self._info["final_obs"], final_obs)
            if final_mask is not None:
                final_mask = _choose(over, self._info["final_info"]["action_mask"], final_mask)
        cut = ~terminated if last else truncated
        final = np.flatnonzero(terminated | cut)
        row |= {"reward": reward.astype(np.float32), "terminated": terminated.copy(), "truncated": cut.copy()}
        row["final"] = self._newest(final_obs[final])
        if final_mask is not None:
            row["final_mask"] = final_mask[final]
        self._age = np.where(over, 0, self._age + 1)
        return row, finished(self._info)

    def _newest(self, obs: Array) -> Array:
        """The newest frame (N, …) of each observation, copied: worlds reuse their arrays."""
        newest: Array = (obs[:, -1] if self._stack > 1 else obs).copy()
        return newest


def _choose(over: Array, ended: Array, going: Array) -> Array:
    """Rows (N, …) of `ended` where `over` (N,), else of `going`."""
    return np.where(over.reshape(-1, *[1] * (going.ndim - 1)), ended, going)

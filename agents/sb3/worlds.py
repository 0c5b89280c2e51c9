"""Adapter of worlds to Stable-Baselines3's `VecEnv`, with observation preprocessing."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import Space
from gymnasium.spaces import Box
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from agents.networks.architectures import NetworkError
from sim.records import Array, Episode
from sim.vector import Info, Worlds, finished


class ObservationPreprocessing:
    """Observation preprocessing for Stable-Baselines3's networks.

    ``nature`` takes images as they are. ``mlp`` takes vectors: a Box is flattened, float64 converted to
    float32, images scaled to [0, 1] as in ours; Discrete and MultiBinary stay, their policies encode them.
    """

    def __init__(self, network: str, space: Space[Any]) -> None:
        """Determine the preprocessed space.

        Raises:
            NetworkError: if the network does not support `space`.
        """
        self._flat = isinstance(space, Box) and network == "mlp"
        self._picture = self._flat and is_picture(space)
        self.space = space
        if network == "nature" and not (is_picture(space) and small_channels_first(space)):
            raise NetworkError(
                f'network "nature" looks at pictures (C, H, W) uint8 from 36×36 on, but the world gives '
                f'{space}; use network = "mlp"'
            )
        if self._flat:
            assert isinstance(space, Box)
            low, high = self(space.low[None])[0], self(space.high[None])[0]
            self.space = Box(low, high, dtype=low.dtype.type)

    def __call__(self, obs: Array) -> Array:
        """Preprocess the world's observations (N, …) → (N, …) in `space`."""
        if not self._flat:
            return obs
        flat = obs.reshape(len(obs), -1)
        if self._picture:
            return np.asarray(flat / np.float32(255), np.float32)
        return flat.astype(np.float32) if flat.dtype == np.float64 else flat


#: Networks by our names → their policies.
POLICIES = {"nature": "CnnPolicy", "mlp": "MlpPolicy"}


def policy_for(space: Space[Any]) -> str:
    """The network of theirs that suits observations of `space`, for a scene that names none."""
    return "nature" if is_picture(space) and small_channels_first(space) else "mlp"


def is_picture(space: Space[Any]) -> bool:
    """Whether a space is of uint8 images with three axes."""
    return isinstance(space, Box) and len(space.shape) == 3 and space.dtype == np.uint8


def small_channels_first(space: Space[Any]) -> bool:
    """Whether images are channels first and large enough for NatureCNN."""
    assert space.shape is not None
    return space.shape[0] < min(space.shape[1:]) and min(space.shape[1:]) >= 36


class WorldsVecEnv(VecEnv):
    """`Worlds` as a Stable-Baselines3 `VecEnv`: same-step resets, final observations, truncations in infos.

    Attributes:
        episodes: that ended since they were last taken, with unclipped returns.
        mask: (N, A) bool action mask of the current step, or None where the worlds have none.
    """

    def __init__(
        self, worlds: Worlds, action_space: Space[Any], look: ObservationPreprocessing, clip_reward: bool
    ) -> None:
        """Wrap `worlds`; `action_space` is a copy whose generator is the learner's own."""
        self.worlds, self._look, self._clip = worlds, look, clip_reward
        self.episodes: list[Episode] = []
        self.mask: Array | None = None
        self._actions = np.zeros(0)
        super().__init__(worlds.num_envs, look.space, action_space)

    def reset(self) -> Array:
        """Start new episodes in all worlds."""
        return self.seen(*self.worlds.reset())

    def seen(self, obs: Array, info: Info) -> Array:
        """Store the action mask of `info`, and preprocess `obs` (N, …)."""
        self.mask = info.get("action_mask")
        return self._look(obs)

    def step_async(self, actions: Array) -> None:
        """Keep the actions for `step_wait`."""
        space = self.action_space
        # Their scaling from [−1, 1] may miss a bound by a rounding error.
        self._actions = np.clip(actions, space.low, space.high) if isinstance(space, Box) else actions

    def step_wait(self) -> VecEnvStepReturn:
        """Step all worlds; the reward is a copy, since their rollouts write into it."""
        obs, reward, terminated, truncated, info = self.worlds.step(self._actions)
        ended = terminated | truncated
        infos: list[Info] = [{} for _ in range(self.num_envs)]
        for i in np.flatnonzero(ended):
            infos[i]["terminal_observation"] = self._look(info["final_obs"][i : i + 1])[0]
            infos[i]["TimeLimit.truncated"] = bool(truncated[i] and not terminated[i])
        self.episodes += finished(info)
        learned = np.sign(reward) if self._clip else reward
        return self.seen(obs, info), learned.astype(np.float32), ended, infos

    def action_masks(self) -> Array:
        """Action mask (N, A) bool, as MaskablePPO uses it."""
        assert self.mask is not None
        return self.mask

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Attribute of each world; only ``render_mode`` and ``action_masks`` exist."""
        if attr_name == "render_mode":
            return [None] * self.num_envs
        if attr_name == "action_masks" and self.mask is not None:
            return [self.action_masks] * self.num_envs
        raise AttributeError(attr_name)

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Unsupported: worlds have no settable attributes."""
        raise AttributeError(attr_name)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Call a method in each world; only ``action_masks`` exists."""
        if method_name != "action_masks":
            raise AttributeError(method_name)
        return list(self.action_masks())

    def env_is_wrapped(self, wrapper_class: type[Any], indices: VecEnvIndices = None) -> list[bool]:
        """False for every world."""
        return [False] * self.num_envs

    def close(self) -> None:
        """Do nothing: the caller of `learn` closes the worlds."""

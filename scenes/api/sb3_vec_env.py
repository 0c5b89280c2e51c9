"""Worlds as Stable-Baselines3's `VecEnv`, for its own algorithms: episodes in infos, seeding, closing."""

from __future__ import annotations

import time
from copy import deepcopy

from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from agents.sb3.worlds import ObservationPreprocessing, WorldsVecEnv
from sim.errors import RequestError
from sim.records import Array
from sim.vector import Worlds

AS_THEY_ARE = "none"  # no network of ours: observations are not preprocessed


class EpisodeVecEnv(WorldsVecEnv):
    """`VecEnv` that reports ended episodes as Stable-Baselines3's `Monitor` does, and closes its worlds."""

    def __init__(self, worlds: Worlds, clip_reward: bool) -> None:
        """Wrap `worlds`."""
        look = ObservationPreprocessing(AS_THEY_ARE, worlds.single_observation_space)
        super().__init__(worlds, deepcopy(worlds.single_action_space), look, clip_reward)
        self._began = time.monotonic()

    def reset(self) -> Array:
        """Start new episodes in all worlds, from what `seed` was told since the last reset, if anything."""
        seed = self._seeds[0]
        self._reset_seeds()
        return self.seen(*self.worlds.reset(seed=seed))

    def step_wait(self) -> VecEnvStepReturn:
        """Step all worlds; infos of ended episodes have ``episode``: return, length, seconds so far."""
        obs, reward, ended, infos = super().step_wait()
        seconds = round(time.monotonic() - self._began, 6)
        for i in ended.nonzero()[0]:
            episode = self.episodes.pop(0)  # in order of world, too
            infos[i]["episode"] = {"r": episode.score, "l": episode.length, "t": seconds}
        return obs, reward, ended, infos

    def close(self) -> None:
        """Close the worlds."""
        self.worlds.close()


def to_sb3(worlds: Worlds, *, clip_reward: bool = False) -> EpisodeVecEnv:
    """`worlds` as a `VecEnv`; `playfield.to_sb3` says more."""
    if not isinstance(worlds, Worlds):
        raise RequestError(f"to_sb3 takes a batch of worlds, as make_worlds gives it, not {worlds!r}")
    return EpisodeVecEnv(worlds, clip_reward)

"""Double-buffered sampling: a batch of worlds in two halves that step in turn.

While a policy chooses for one half, the other half is being simulated (Petrenko et al. 2020, "Sample
Factory"), so that neither simulator nor policy waits for the other. Each world
has the seeds that it has in one undivided batch, so the same actions give the same episodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sim.records import Array, State
from sim.vector import Info, Worlds

STATE_COLUMNS = ("episode", "episode_seed", "score", "length", "start")  # of a state, a row a world


class DoubleBufferedWorlds(Worlds):
    """Batch of worlds in two halves, which may be stepped together, or each by its own `send` and `recv`.

    Attributes:
        halves: the first and the second half of the worlds, in order.
    """

    def __init__(self, first: Worlds, second: Worlds, seed: int) -> None:
        """Join two batches of the same worlds, made with the same `seed`."""
        count = first.num_envs + second.num_envs
        super().__init__(count, first.single_observation_space, first.single_action_space, seed)
        self.frame_stack = first.frame_stack
        self.halves = first, second
        self.first_index = 0

    @property
    def first_index(self) -> int:
        """See `Worlds`."""
        return self.halves[0].first_index

    @first_index.setter
    def first_index(self, index: int) -> None:
        first, second = self.halves
        first.first_index, second.first_index = index, index + first.num_envs

    @property
    def score(self) -> Array:
        """See `Worlds`."""
        return np.concatenate([half.score for half in self.halves])

    @property
    def length(self) -> Array:
        """See `Worlds`."""
        return np.concatenate([half.length for half in self.halves])

    def reset(
        self, *, seed: int | Array | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Array, Info]:
        """Start new episodes; see `Worlds`."""
        mask = np.ones(self.num_envs, bool)
        if options and "reset_mask" in options:
            mask = np.asarray(options["reset_mask"], bool)
            if mask.shape != (self.num_envs,):
                raise ValueError(f"reset_mask must have shape {(self.num_envs,)}, not {mask.shape}")
        masks = self.split(mask)
        seeds: list[Any] = [seed, seed]
        if not isinstance(seed, int | np.integer | None):
            if np.shape(seed) != (int(mask.sum()),):
                raise ValueError(f"seed must have shape {(int(mask.sum()),)}, not {np.shape(seed)}")
            seeds = np.split(np.asarray(seed), [int(masks[0].sum())])
        starts = [
            half.reset(seed=own, options={"reset_mask": part})
            for half, own, part in zip(self.halves, seeds, masks, strict=True)
        ]
        return self._joined_start(starts)

    def send(self, actions: Array) -> None:
        """Begin a step of both halves; see `Worlds`."""
        actions = self._checked(actions)
        for half, own in zip(self.halves, self.split(actions), strict=True):
            half.send(own)

    def recv(self) -> tuple[Array, Array, Array, Array, Info]:
        """End the step of both halves; see `Worlds`."""
        *results, infos = zip(*(half.recv() for half in self.halves), strict=True)
        obs, reward, terminated, truncated = (np.concatenate(parts) for parts in results)
        info = join_infos(infos, self.split(obs), terminated | truncated)
        return obs, reward, terminated, truncated, info

    def state(self) -> State:
        """The state of the batch, in the form of one undivided; see `Worlds`."""
        states = [half.state() for half in self.halves]
        rows = max(len(state["played"]) for state in states)
        for state in states:  # one half may have forgotten more actions: those are no world's that is in it
            lacking = rows - len(state["played"])
            state["played"] = np.pad(state["played"], [(lacking, 0)] + [(0, 0)] * (state["played"].ndim - 1))
            state["start"] = state["start"] + lacking
        columns = {key: np.concatenate([state[key] for state in states]) for key in STATE_COLUMNS}
        played = np.concatenate([state["played"] for state in states], axis=1)
        return {"seed": states[0]["seed"]} | columns | {"played": played}

    def restore(self, state: State) -> tuple[Array, Info]:
        """Bring both halves to where `state` was taken; see `Worlds`."""
        starts, count = [], self.halves[0].num_envs
        for half, rows in zip(self.halves, (slice(count), slice(count, None)), strict=True):
            own = {key: np.asarray(state[key])[rows] for key in STATE_COLUMNS}
            oldest = int(own["start"].min())
            own["start"] = own["start"] - oldest
            played = np.asarray(state["played"])[oldest:, rows]
            starts.append(half.restore({"seed": state["seed"], **own, "played": played}))
        return self._joined_start(starts)

    def split(self, rows: Array) -> list[Array]:
        """Split an array (N, …) into those of the halves."""
        return np.split(rows, [self.halves[0].num_envs])

    def split_start(self, start: tuple[Array, Info]) -> list[tuple[Array, Info]]:
        """Split what `reset` and `restore` return into those of the halves."""
        obs, info = start
        columns = {key: self.split(value) for key, value in info.items()}
        infos = [{key: parts[i] for key, parts in columns.items()} for i in range(2)]
        return list(zip(self.split(obs), infos, strict=True))

    def _joined_start(self, starts: Sequence[tuple[Array, Info]]) -> tuple[Array, Info]:
        observations, infos = zip(*starts, strict=True)
        return np.concatenate(observations), _joined(infos)

    def _reset_rows(self, mask: Array, seeds: Array) -> tuple[Array, Info]:
        masks = self.split(mask)
        parts = zip(self.halves, masks, np.split(seeds, [int(masks[0].sum())]), strict=True)
        return self._joined_start([half._reset_rows(own, part) for half, own, part in parts])

    def _step_rows(self, actions: Array) -> tuple[Array, Array, Array, Array, Info]:
        parts = zip(self.halves, self.split(actions), strict=True)
        *results, infos = zip(*(half._step_rows(own) for half, own in parts), strict=True)
        obs, reward, terminated, truncated = (np.concatenate(columns) for columns in results)
        return obs, reward, terminated, truncated, _joined(infos)

    def close_extras(self, **kwargs: object) -> None:
        """Close both halves."""
        for half in self.halves:
            half.close()


def join_infos(infos: Sequence[Info], observations: Sequence[Array], ended: Array) -> Info:
    """Join the infos of the halves' steps to that of the batch.

    Args:
        infos: of both halves; those on ended episodes are in one half only if none ended in the other.
        observations: (n, …) of both halves, which stand in ``final_obs`` where no episode ended.
        ended: (N,) bool.
    """
    if not ended.any():
        return _joined(infos)
    filled: list[Info] = []
    for info, obs in zip(infos, observations, strict=True):
        none = np.zeros(len(obs), bool)
        blank = {"r": np.zeros(len(obs)), "l": np.zeros(len(obs), np.int64)}
        lacking = {
            "final_obs": obs,
            "_final_obs": none,
            "_final_info": none,
            "episode": blank,
            "_episode": none,
        }
        filled.append(lacking | info)
    like = next(info["final_info"] for info in infos if "final_info" in info)
    for info in filled:
        if "final_info" not in info:
            info["final_info"] = _zeros(like, len(info["_episode"]))
    return _joined(filled)


def _zeros(like: Info, count: int) -> Info:
    """An info of `count` worlds with the keys, shapes and types of `like`, all of them zero."""
    return {
        key: _zeros(value, count)
        if isinstance(value, dict)
        else np.zeros((count, *np.shape(value)[1:]), np.asarray(value).dtype)
        for key, value in like.items()
    }


def _joined(infos: Sequence[Info]) -> Info:
    """Concatenate what all of `infos` have, by key."""
    first, *others = infos
    keys = [key for key in first if all(key in info for info in others)]
    return {
        key: _joined([info[key] for info in infos])
        if isinstance(first[key], dict)
        else np.concatenate([info[key] for info in infos])
        for key in keys
    }

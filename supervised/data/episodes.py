"""Episodes as a data set: observations in order, with the action, reward and end of the step from each.

An episode of T steps has T + 1 examples, aligned as gymnasium's ``step`` is: from ``values[t]`` the action
``actions[t]`` earned ``rewards[t]``, ended the episode if ``terminated[t]`` or ``truncated[t]``, and led to
``values[t + 1]``.

| column | shape | is |
|---|---|---|
| ``values`` | (N, …) | observations or pictures |
| ``actions`` | (N,) int64 or (N, D) float32 | as the world took them; 0 where `last` |
| ``rewards`` | (N,) float64 | unclipped; 0 where `last` |
| ``terminated``, ``truncated`` | (N,) bool | how the step from here ended the episode, if it did |
| ``last`` | (N,) bool | the observation that the last step led to: nothing was done there |
| ``episodes`` | (N,) | number of the episode |
| ``order`` | (N,) | t: `supervised.data.dataset.Dataset.windows` gives sequences that cross no episode |

In: a policy and worlds (`played`), or a folder that ``playfield collect`` wrote (`recorded`). Does not know:
models, agents, scenes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sim.catalog import MissingPackageError, install_hint
from sim.errors import RequestError
from sim.protocols import Policy
from sim.records import Array
from sim.vector import Worlds, reset_memory
from supervised.data.dataset import Dataset

MAIN = "main_data.hdf5"  # of a recording


class EpisodesError(RequestError, ValueError):
    """A folder that holds no recorded episodes, or a damaged recording."""


@dataclass(frozen=True)
class Episode:
    """T steps of one world, from the beginning of an episode on.

    Attributes:
        values: (T + 1, …) observations or pictures, in memory or in a file.
        actions: (T, …).
        rewards: (T,).
        terminated: (T,) bool.
        truncated: (T,) bool.
    """

    values: Any
    actions: Array
    rewards: Array
    terminated: Array
    truncated: Array

    def columns(self, number: int, rows: Sequence[int] | slice = slice(None)) -> dict[str, Array]:
        """All columns but ``values``, for some of the T + 1 examples.

        Args:
            number: of the episode.
            rows: which examples, in any order.
        """
        t = np.arange(len(self.rewards) + 1)
        named = {
            "actions": _with_last(self.actions),
            "rewards": _with_last(np.asarray(self.rewards, np.float64)),
            "terminated": _with_last(np.asarray(self.terminated, bool)),
            "truncated": _with_last(np.asarray(self.truncated, bool)),
            "last": t == len(self.rewards),
            "episodes": np.full(len(t), number, np.int64),
            "order": t,
        }
        return {name: column[rows] for name, column in named.items()}


def _with_last(steps: Array) -> Array:
    """(T, …) as (T + 1, …), with zeros for the observation after the last step."""
    steps = np.asarray(steps)
    return np.concatenate([steps, np.zeros((1, *steps.shape[1:]), steps.dtype)])


def dataset_of(episodes: Iterable[tuple[int, Episode]]) -> Dataset:
    """The data set of whole or unfinished episodes, by number.

    Raises:
        EpisodesError: if there is none.
    """
    parts = [{"values": np.asarray(each.values[:]), **each.columns(number)} for number, each in episodes]
    if not parts:
        raise EpisodesError("there is no episode: play at least one step")
    return Dataset(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


@dataclass
class _Growing:
    """Episode in progress."""

    values: list[Array]
    actions: list[Array] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    terminated: list[bool] = field(default_factory=list)
    truncated: list[bool] = field(default_factory=list)

    def note(self, action: Array, reward: float, terminated: bool, truncated: bool, value: Array) -> None:
        self.actions.append(np.array(action))
        self.rewards.append(float(reward))
        self.terminated.append(bool(terminated))
        self.truncated.append(bool(truncated))
        self.values.append(np.array(value))

    def episode(self) -> Episode:
        columns = (self.actions, self.rewards, self.terminated, self.truncated)
        return Episode(np.stack(self.values), *map(np.array, columns))


def played(
    policy: Policy, worlds: Worlds, steps: int, *, seed: int, greedy: bool = False, key: str | None = None
) -> Dataset:
    """Play a batch of worlds and keep every step; the last episode of each world may be unfinished.

    Episode k of world i of n has the number ``i + n * k``, whatever the others do.

    Args:
        policy: acts; its sampling generator is started from `seed`.
        worlds: N, started from `seed`.
        steps: of each world, at least 1.
        seed: of worlds and sampling.
        greedy: best actions instead of samples.
        key: of the info that holds what is kept as ``values``, such as ``rgb``; None: the observations.

    Raises:
        EpisodesError: for less than one step.
        KeyError: if the infos have no such key.
    """
    policy.seed(seed)
    obs, info = worlds.reset(seed=seed)
    n, memory = worlds.num_envs, None
    done: list[tuple[int, Episode]] = []
    numbers = np.arange(n)
    growing = [_Growing([np.array(value)]) for value in _values(obs, info, key)]
    for _ in range(steps):
        decision, memory = policy.act(obs, info, memory, greedy=greedy)
        obs, reward, terminated, truncated, info = worlds.step(decision.actions)
        ended = terminated | truncated
        memory = reset_memory(memory, ended)
        values = _values(obs, info, key)
        final = _values(info["final_obs"], info["final_info"], key) if ended.any() else values
        actions = np.asarray(decision.actions).astype(worlds.single_action_space.dtype)
        for i, own in enumerate(growing):
            reached = final[i] if ended[i] else values[i]
            own.note(actions[i], reward[i], terminated[i], truncated[i], reached)
            if ended[i]:
                done.append((int(numbers[i]), own.episode()))
                numbers[i] += n
                growing[i] = _Growing([np.array(values[i])])
    done += [
        (int(number), own.episode()) for number, own in zip(numbers, growing, strict=True) if own.rewards
    ]
    return dataset_of(sorted(done, key=lambda pair: pair[0]))


def _values(obs: Array, info: Any, key: str | None) -> Array:
    """(N, …) what is kept of each world."""
    values: Array = obs if key is None else info[key]
    return values


def recorded(folder: Path, *, pictures: bool | None = False) -> Dataset:
    """Read all episodes of a recording into memory; see `recorded_episodes` for arguments and errors."""
    with recorded_episodes(folder, pictures=pictures) as episodes:
        return dataset_of(episodes)


@contextmanager
def recorded_episodes(
    folder: Path, *, pictures: bool | None = False
) -> Iterator[Iterator[tuple[int, Episode]]]:
    """Context that opens a recording; gives number and `Episode` in order, whose values stay in the file.

    Args:
        folder: that ``playfield collect`` wrote, or Minari with HDF5.
        pictures: True: values are the rendered pictures of ``collect --frames``; False: the observations;
            None: pictures where there are some.

    Raises:
        EpisodesError: naming the folder, if it is no recording, is damaged or has no such values.
        MissingPackageError: if h5py is not installed.
    """
    try:
        import h5py  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"reading recorded episodes needs {install_hint('h5py')}") from error
    data = recording_of(folder)
    if data is None:
        raise EpisodesError(f"{folder} is no recording of playfield collect: there is no {MAIN} in it")
    try:
        with h5py.File(data / MAIN, "r") as file:
            names = sorted(file, key=lambda name: int(name.rpartition("_")[2]))
            yield ((number, _episode(file[name], folder, pictures)) for number, name in enumerate(names))
    except (OSError, KeyError) as error:
        raise EpisodesError(f"{folder} is damaged or no recording of playfield collect: {error}") from error


def recording_of(folder: Path) -> Path | None:
    """The folder of a recording's HDF5 file: `folder` or ``data`` in it; None if it is no recording."""
    return next((place for place in (folder / "data", folder) if (place / MAIN).is_file()), None)


def _episode(group: Any, folder: Path, pictures: bool | None) -> Episode:
    rgb = "infos" in group and "rgb" in group["infos"]
    if pictures and not rgb:
        raise EpisodesError(f"{folder} holds no pictures: record it anew with playfield collect --frames")
    values = group["infos"]["rgb"] if rgb and pictures is not False else group["observations"]
    if not hasattr(values, "shape"):
        raise EpisodesError(f"{folder}: its observations are no arrays; with --frames it would hold pictures")
    steps = ("actions", "rewards", "terminations", "truncations")
    return Episode(values, *(np.asarray(group[name]) for name in steps))

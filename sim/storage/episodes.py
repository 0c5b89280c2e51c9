"""Episodes on disk as Minari data sets, which Minari and other offline learning tools open.

A data set is a folder:

    DIR/data/main_data.hdf5   the episodes
        data/metadata.json    spaces, totals, and under ``"playfield"`` what made them
        main_data.hdf5, metadata.json   links to the two

so that ``minari.MinariDataset(DIR)`` opens it anywhere, and ``minari.load_dataset(DIR.name)`` does where
MINARI_DATASETS_PATH is the folder above. An episode of T steps holds:

| part | shape | is |
|---|---|---|
| observations | (T + 1, …) | exact: never JPEG, but compressed without loss, unlike Minari's own |
| actions | (T,) or (T, D) | as the world took them |
| rewards | (T,) float64 | unclipped |
| terminations, truncations | (T,) bool | False but for the last step, where at least one is True |
| infos | (T + 1, …) each | what the world's first info has: numbers, masks, strings (read back as bytes) |
| infos/rgb | (T + 1, H, W, 3) uint8 | if asked for: the rendered picture |
| infos/person | (T + 1,) bool | if a person could play: whether the step that led here was a person's |
| seed | int | `world.reset(seed=seed)` and the actions give the episode again |

Infos that are objects, dicts or of changing shape are left out: HDF5 has no type for them.
Knows worlds and policies; does not know scenes, agents or models.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import gymnasium
import h5py  # type: ignore[import-untyped]
import minari  # type: ignore[import-untyped]
import numpy as np
from gymnasium.envs.registration import EnvSpec
from minari.data_collector import EpisodeBuffer  # type: ignore[import-untyped]
from minari.dataset.minari_storage import MinariStorage  # type: ignore[import-untyped]
from minari.serialization import deserialize_space, serialize_space  # type: ignore[import-untyped]

from sim.errors import RequestError
from sim.protocols import Policy
from sim.records import Array
from sim.storage.files import fresh_folder
from sim.vector import Info, Worlds, episode_seed, reset_memory

MAIN, METADATA = "main_data.hdf5", "metadata.json"  # Minari's own names
CHUNK_BYTES, CHUNK_ROWS = 2**18, 1024  # of an HDF5 chunk before compression, at most
SPARE_BYTES = 2**20  # more than HDF5's own tables take for one episode
UNKNOWN = {"b": False, "i": -1, "u": 0, "f": np.nan, "U": ""}  # by kind of dtype


class RecordingError(RequestError, ValueError):
    """A data set that cannot be written as asked; nothing was changed."""


class GrowingColumn:
    """A growing HDF5 column: rows of one shape and type, compressed as they come to keep memory small.

    Full chunks are kept as the very bytes that the HDF5 file will hold, so nothing is compressed twice.
    """

    def __init__(self, first: Array) -> None:
        self._shape, self._dtype = first.shape, first.dtype
        self._rows = min(CHUNK_ROWS, max(1, CHUNK_BYTES // max(1, first.nbytes)))
        self._chunks: list[bytes] = []
        self._tail: list[Array] = []  # 1 to `_rows` of them
        self.append(first)

    def append(self, row: Array) -> None:
        """Add one row, which is copied."""
        if len(self._tail) == self._rows:
            self._chunks.append(zlib.compress(np.stack(self._tail).tobytes(), 1))
            self._tail = []
        self._tail.append(np.array(row, self._dtype))

    @property
    def nbytes(self) -> int:
        """Bytes on disk, at most."""
        return sum(map(len, self._chunks)) + sum(row.nbytes for row in self._tail)

    @property
    def tail(self) -> Array:
        """(1 to K, …) the rows that `begin` does not write."""
        return np.stack(self._tail)

    def begin(self, group: Any, name: str) -> None:
        """Make the HDF5 data set with all full chunks; Minari appends the tail to it."""
        dataset = group.create_dataset(
            name,
            shape=(len(self._chunks) * self._rows, *self._shape),
            maxshape=(None, *self._shape),
            dtype=self._dtype,
            chunks=(self._rows, *self._shape),
            compression="gzip",
            compression_opts=1,
        )
        for i, chunk in enumerate(self._chunks):
            dataset.id.write_direct_chunk((i * self._rows, *(0 for _ in self._shape)), chunk)


def storable_infos(info: Mapping[str, Any]) -> dict[str, Array]:
    """The infos of one world that a data set can hold, as arrays.

    >>> sorted(storable_infos({"lives": 3, "fen": "8/8", "episode": {"r": 1.0}}))
    ['fen', 'lives']
    """
    plain = (bool, int, float, str, np.generic, np.ndarray)
    arrays = {key: np.asarray(value) for key, value in info.items() if isinstance(value, plain)}
    return {
        key: array
        for key, array in arrays.items()
        if array.dtype.kind in UNKNOWN and (array.dtype.kind != "U" or array.ndim == 0)
    }


class EpisodeInProgress:
    """Buffer of one episode of one world while it is played.

    Args:
        seed: gives the episode again.
        obs: (…) the first observation.
        info: the first info; its keys are those that every later one is asked for. What a later one
            lacks is `UNKNOWN`: ``atari``'s batches, for one, do not tell the lives of a game that was cut.
    """

    def __init__(self, seed: int, obs: Array, info: Mapping[str, Array]) -> None:
        self.seed = seed
        self.observations = GrowingColumn(np.asarray(obs))
        self.actions: list[Array] = []
        self.rewards: list[float] = []
        self.terminations: list[bool] = []
        self.truncations: list[bool] = []
        self.columns = {key: GrowingColumn(value) for key, value in info.items() if value.ndim}
        self.scalars = {key: [value] for key, value in info.items() if not value.ndim}
        self._like = dict(info)

    def note(
        self,
        action: Array,
        reward: float,
        terminated: bool,
        truncated: bool,
        obs: Array,
        info: Mapping[str, Array],
    ) -> None:
        """Append one step: the action, and its reward, ends, observation and info."""
        self.actions.append(np.array(action))
        self.rewards.append(float(reward))
        self.terminations.append(bool(terminated))
        self.truncations.append(bool(truncated))
        self.observations.append(obs)
        for key, like in self._like.items():
            value = info.get(key)
            if value is None or value.shape != like.shape or not _alike(value, like):
                value = np.full(like.shape, UNKNOWN[like.dtype.kind], like.dtype)
            if like.ndim:
                self.columns[key].append(value)
            else:
                self.scalars[key].append(value)

    @property
    def nbytes(self) -> int:
        """Bytes on disk, at most."""
        columns = (self.observations, *self.columns.values())
        scalars = sum(value.nbytes + 16 for values in self.scalars.values() for value in values)
        steps = sum(action.nbytes + 16 for action in self.actions)
        return sum(column.nbytes for column in columns) + scalars + steps


def _alike(value: Array, first: Array) -> bool:
    """Whether both fit into one column; a number may begin as 1 and go on as 0.33."""
    kinds = {value.dtype.kind, first.dtype.kind}
    return len(kinds) == 1 or (first.ndim == 0 and "U" not in kinds)


class EpisodeWriter:
    """A Minari data set that grows by whole episodes; see `new_dataset`."""

    def __init__(
        self,
        folder: Path,
        observation_space: gymnasium.Space[Any],
        action_space: gymnasium.Space[Any],
        spec: EnvSpec | None,
        metadata: Mapping[str, Any],
    ) -> None:
        self.returns: list[float] = []
        self.steps = 0
        self._path = folder / MAIN
        _reserve(folder / "space", SPARE_BYTES)
        (folder / "space").unlink()
        self._storage = MinariStorage.new(
            folder, observation_space, action_space, env_spec=spec, data_format="hdf5", jpeg_encoding=False
        )
        self._storage.update_metadata({"minari_version": minari.__version__, **metadata})
        with h5py.File(self._path, "w", track_order=True):
            pass

    @property
    def episodes(self) -> int:
        """How many there are."""
        return len(self.returns)

    def add(self, take: EpisodeInProgress) -> None:
        """Write one whole episode.

        Raises:
            OSError: if the disk is full.
        """
        name, number = f"episode_{self.episodes}", self.episodes
        _reserve(self._path, take.nbytes + SPARE_BYTES)
        with h5py.File(self._path, "r+") as file:
            group = file.create_group(name, track_order=True)
            take.observations.begin(group, "observations")
            infos = group.create_group("infos", track_order=True)
            for key, column in take.columns.items():
                column.begin(infos, key)
        _reserve(self._path, take.nbytes + SPARE_BYTES)
        episode = EpisodeBuffer(
            id=number,
            seed=take.seed,
            observations=take.observations.tail,
            actions=np.stack(take.actions),
            rewards=np.array(take.rewards),
            terminations=np.array(take.terminations),
            truncations=np.array(take.truncations),
            infos={key: column.tail for key, column in take.columns.items()}
            | {key: _listed(values) for key, values in take.scalars.items()},
        )
        self._storage.update_episodes([episode])
        self.returns.append(float(np.sum(take.rewards)))
        self.steps += len(take.rewards)


def _listed(values: list[Array]) -> Any:
    """Scalars as Minari wants them: strings in a list, all else in an array."""
    return [str(value) for value in values] if values[0].dtype.kind == "U" else np.stack(values)


def _reserve(path: Path, more: int) -> None:
    """Make sure that `path` can grow by `more` bytes.

    HDF5 does not survive a full disk: what it cannot write it tries again until the process crashes at its
    end. So the space is taken before HDF5 opens the file; on closing it gives back what it did not need.

    Raises:
        OSError: if the disk is full.
    """
    with path.open("ab") as file:
        try:
            os.posix_fallocate(file.fileno(), file.tell(), more)
            return
        except AttributeError:  # not on this system
            pass
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # not on this file system
                raise
    if shutil.disk_usage(path.parent).free < more:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextmanager
def new_dataset(
    target: Path,
    observation_space: gymnasium.Space[Any],
    action_space: gymnasium.Space[Any],
    *,
    spec: EnvSpec | None = None,
    algorithm: str | None = None,
    facts: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Iterator[EpisodeWriter]:
    """Context manager of a data set that stands at `target` when the block ends well with an episode in it.

    Args:
        target: a folder that does not exist yet, or is empty.
        observation_space: of one world.
        action_space: of one world.
        spec: from which ``recover_environment()`` makes the world again.
        algorithm: Minari's ``algorithm_name``.
        facts: what else readers should know, plain values; ``metadata["playfield"]``.
        overwrite: a data set that stands at `target` goes when the new one is complete.

    Raises:
        RecordingError: if `target` is taken (`check_free`), or Minari cannot hold a space.
        SaveError: if the disk is full or the place cannot be written; nothing is left there.
    """
    check_free(target, overwrite=overwrite)
    for what, space in (("observations", observation_space), ("actions", action_space)):
        _check_space(what, space)
    metadata: dict[str, Any] = {"dataset_id": dataset_id(target.name), "playfield": dict(facts or {})}
    if algorithm:
        metadata["algorithm_name"] = algorithm
    with suppress(_EmptyError), fresh_folder(target) as folder:
        data = folder.absolute() / "data"  # Minari cannot measure a relative one
        data.mkdir()
        dataset = EpisodeWriter(data, observation_space, action_space, spec, metadata)
        yield dataset
        if not dataset.episodes:
            raise _EmptyError
        with suppress(OSError):  # where there are no links, DIR/data opens all the same
            for name in (MAIN, METADATA):
                (folder / name).symlink_to(Path("data") / name)
        check_free(
            target, overwrite=overwrite
        )  # again: `fresh_folder` would put ours in the place of another's


class _EmptyError(Exception):
    """There is no episode to keep."""


def check_free(target: Path, *, overwrite: bool = False) -> None:
    """Check that a new data set at this path would overwrite nothing.

    Raises:
        RecordingError: if something stands there, but for an empty folder and, with `overwrite`, a data set
            with nothing else in it.
    """
    if not os.path.lexists(target):
        return
    if target.is_symlink() or not target.is_dir():
        raise RecordingError(f"{target} exists and is no folder: choose another --out")
    inside = {str(path.relative_to(target)) for path in target.rglob("*")}
    strange = sorted(inside - {"data", MAIN, METADATA, f"data/{MAIN}", f"data/{METADATA}"})
    if inside and not overwrite:
        raise RecordingError(f"{target} exists: choose another --out, or add --overwrite")
    if strange:
        raise RecordingError(
            f"{target} holds {strange[0]}, which is no part of a data set: choose another --out"
        )


def _check_space(what: str, space: gymnasium.Space[Any]) -> None:
    try:
        deserialize_space(serialize_space(space))
    except (NotImplementedError, TypeError, ValueError, KeyError) as error:
        raise RecordingError(f"Minari cannot hold {what} of {space}: {error}") from error


def dataset_id(name: str) -> str:
    """Minari's dataset id for a folder name: the name itself if it is valid, else the nearest with a version.

    >>> dataset_id("pong-expert-v2"), dataset_id("my episodes")
    ('pong-expert-v2', 'my-episodes-v0')
    """
    if re.fullmatch(r"[-_\w]+-v\d+", name):
        return name
    return f"{re.sub(r'[^-_a-zA-Z0-9]+', '-', name).strip('-') or 'episodes'}-v0"


class AddRenderInfo(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Gymnasium wrapper that puts the rendered picture into ``info["rgb"]``, at the end of an episode too.

    Strings become numpy's, so that `sim.vector.EnvWorlds` gathers them.
    """

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, Info]:
        """Start an episode."""
        obs, info = self.env.reset(seed=seed, options=options)
        return obs, self._pictured(info)

    def step(self, action: Any) -> tuple[Array, Any, bool, bool, Info]:
        """Play one step."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        return obs, reward, terminated, truncated, self._pictured(info)

    def _pictured(self, info: Info) -> Info:
        words = {key: np.str_(value) for key, value in info.items() if isinstance(value, str)}
        return info | words | {"rgb": np.asarray(self.env.render(), np.uint8)}


def record(
    policy: Policy,
    worlds: Worlds,
    dataset: EpisodeWriter,
    *,
    seed: int,
    greedy: bool,
    episodes: int | None = None,
    steps: int | None = None,
) -> Iterator[int]:
    """Play complete episodes in all worlds at once and write each as it ends.

    Each world plays a share fixed beforehand: taking the first episodes to end would favour short ones.
    Yields how many steps have been played after each step of the worlds; it is safe to stop there, which
    gives up the episodes in progress.

    Args:
        policy: acts; its sampling generator is started from `seed`.
        worlds: started from `seed`, whatever they have played before.
        dataset: where the episodes go.
        seed: of worlds and sampling.
        greedy: best actions instead of samples.
        episodes: how many; None: as many as `steps` takes.
        steps: no world begins another episode once so many have been played in all.

    Raises:
        ValueError: if neither `episodes` nor `steps` sets an end.
        OSError: if the disk is full.
    """
    if episodes is None and steps is None:
        raise ValueError("give episodes, steps or both")
    count = worlds.num_envs
    shares = [np.inf if episodes is None else (episodes + count - 1 - i) // count for i in range(count)]
    policy.seed(seed)
    obs, info = worlds.reset(seed=seed)
    keys = sorted(
        storable_infos({key: value[0] for key, value in info.items() if _has_rows(key, value, count)})
    )
    takes: dict[int, EpisodeInProgress] = {
        i: EpisodeInProgress(episode_seed(seed, i, 0), obs[i], _row(info, i, keys))
        for i in range(count)
        if shares[i]
    }
    done, played, memory = [0] * count, 0, None
    while takes:
        decision, memory = policy.act(obs, info, memory, greedy=greedy)
        obs, reward, terminated, truncated, info = worlds.step(decision.actions)
        memory = reset_memory(memory, terminated | truncated)
        for i, take in list(takes.items()):
            ended = terminated[i] or truncated[i]
            seen, told = (info["final_obs"], info["final_info"]) if ended else (obs, info)
            action = np.asarray(decision.actions[i]).astype(worlds.single_action_space.dtype)
            take.note(action, reward[i], terminated[i], truncated[i], seen[i], _row(told, i, keys))
            played += 1
            if ended:
                dataset.add(take)
                done[i] += 1
                del takes[i]
                if done[i] < shares[i] and (steps is None or played < steps):
                    takes[i] = EpisodeInProgress(episode_seed(seed, i, done[i]), obs[i], _row(info, i, keys))
        yield played


def _has_rows(key: str, value: Any, count: int) -> bool:
    """Whether an info has a row for each world; Gymnasium's own marks start with an underscore."""
    return key[0] != "_" and isinstance(value, np.ndarray) and value.shape[:1] == (count,)


def _row(info: Info, i: int, keys: Sequence[str]) -> dict[str, Array]:
    return {key: np.asarray(info[key][i]) for key in keys if key in info}

"""Action replays (.pfr): episodes as a scene, seeds and actions, from which the worlds make the rest again.

A file is one JSON object in UTF-8, a thousandth of a video's size:

| key | value |
|---|---|
| ``format``, ``version`` | ``"playfield action replay"``, 1 |
| ``made_with`` | package → version, of what steps the worlds |
| ``scene`` | the scene file's text, TOML; its paths start from the shipped scenes' folder |
| ``frames_per_step`` | actions to one step of the world: above 1 where each lasts a frame |
| ``episodes`` | list of the tables below |

| key of an episode | value |
|---|---|
| ``seed`` | of the world's reset |
| ``count``, ``shape``, ``dtype`` | of its actions: how many, the shape of each, numpy's name of its type |
| ``actions`` | their bytes in C order, by zlib (RFC 1950) and Base64 |
| ``person`` | list of [first, last + 1]: where a person played, without sticky actions |
| ``score``, ``ended`` | the unclipped return, and whether the episode was over |
| ``observation`` | SHA-256 of the last observation's bytes; "" where none was kept |

It knows no world: whether a replay comes out as it was is checked by whoever plays it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from sim.errors import RequestError
from sim.fields import check_path
from sim.records import Array
from sim.storage.files import reason, special_file_kind

SUFFIX = ".pfr"
FORMAT, VERSION = "playfield action replay", 1
MOST_STEPS = 20_000_000  # of an episode: four days at 60 a second
_MOST_BYTES = 2**28  # of a file
_STEPPING = ("ale-py", "gymnasium", "mujoco", "chess")  # packages on whose version a world's steps depend
_TYPES = ("uint8", "int64", "float32", "float64")


class ReplayFileError(RequestError):
    """A file that is no action replay, or one that this version cannot play; names the file."""


@dataclass(frozen=True)
class EpisodeReplay:
    """The actions of one episode.

    Attributes:
        seed: of the world's reset.
        actions: (T, …), uint8 or int64 for discrete worlds, floats for continuous ones.
        person: (T,) bool, whether a person was in control.
        score: the unclipped return of these steps.
        ended: whether the episode was over with the last one.
        observation: `fingerprint` of the last observation; "" if it was not kept.
    """

    seed: int
    actions: Array
    person: Array
    score: float
    ended: bool
    observation: str = ""


@dataclass(frozen=True)
class ActionReplay:
    """Episodes of the first world of a scene, in the order in which they were played.

    Attributes:
        scene: the text of the scene file.
        frames_per_step: how many actions are one step of the world.
        episodes: at least one, each with at least one action.
        made_with: package → version.
    """

    scene: str
    frames_per_step: int
    episodes: tuple[EpisodeReplay, ...]
    made_with: Mapping[str, str]

    @property
    def steps(self) -> int:
        """Actions in all episodes together."""
        return sum(len(episode.actions) for episode in self.episodes)


def fingerprint(observation: Array) -> str:
    """SHA-256 of an observation's bytes.

    >>> fingerprint(np.zeros(2, np.uint8))[:12]
    '96a296d224f2'
    """
    return hashlib.sha256(np.ascontiguousarray(observation).tobytes()).hexdigest()


def stepping_versions() -> dict[str, str]:
    """Versions of the installed packages on which a world's steps depend."""
    found = {}
    for package in _STEPPING:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def replay_text(replay: ActionReplay) -> str:
    """The content of a replay's file."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "made_with": dict(replay.made_with),
        "scene": replay.scene,
        "frames_per_step": replay.frames_per_step,
        "episodes": [_written(episode) for episode in replay.episodes],
    }
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def _written(episode: EpisodeReplay) -> dict[str, Any]:
    actions = np.ascontiguousarray(episode.actions)
    edges = np.flatnonzero(np.diff(np.r_[False, episode.person, False].astype(np.int8)))
    return {
        "seed": int(episode.seed),
        "count": len(actions),
        "shape": list(actions.shape[1:]),
        "dtype": actions.dtype.name,
        "actions": base64.b64encode(zlib.compress(actions.tobytes(), 9)).decode("ascii"),
        "person": edges.reshape(-1, 2).tolist(),
        "score": float(episode.score),
        "ended": bool(episode.ended),
        "observation": episode.observation,
    }


def read_replay(path: Path) -> ActionReplay:
    """Read an action replay.

    Raises:
        ReplayFileError: naming the file and what is wrong with it.
    """
    try:
        check_path(path, "FILE")
    except ValueError as error:
        raise ReplayFileError(str(error)) from error
    if odd := special_file_kind(path):
        raise ReplayFileError(f"{path} is {odd}, not an action replay")
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ReplayFileError(f"{path} is no action replay: it has more than {_MOST_BYTES >> 20} MiB")
        document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ReplayFileError(f"there is no action replay {path}") from error
    except OSError as error:
        raise ReplayFileError(f"{path} cannot be read: {reason(error)}") from error
    except (ValueError, RecursionError) as error:
        raise ReplayFileError(f"{path} is no action replay: it is not JSON, or was cut off") from error
    try:
        return _read(document)
    except _Malformed as error:
        raise ReplayFileError(f"{path} {error}") from error


class _Malformed(Exception):
    """What is wrong, as it follows the file's name."""


def _read(document: Any) -> ActionReplay:
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise _Malformed(f'is no action replay: it does not say "format": "{FORMAT}"')
    if document.get("version") != VERSION:
        raise _Malformed(
            f"is of version {document.get('version')!r}, and this Playfield reads version {VERSION}"
        )
    made_with = _of(dict, document, "made_with")
    if not all(isinstance(value, str) for value in made_with.values()):
        raise _Malformed("is damaged: made_with must name versions")
    frames = _whole(document, "frames_per_step", 1, 64)
    episodes = _of(list, document, "episodes")
    if not episodes:
        raise _Malformed("has no episode")
    read = []
    for number, episode in enumerate(episodes, 1):
        try:
            read.append(_read_episode(episode))
        except _Malformed as error:
            raise _Malformed(f"{error} (episode {number})") from error
    return ActionReplay(_of(str, document, "scene"), frames, tuple(read), made_with)


def _read_episode(table: Any) -> EpisodeReplay:
    if not isinstance(table, dict):
        raise _Malformed("is damaged: an episode must be a table")
    count = _whole(table, "count", 1, MOST_STEPS)
    shape = _of(list, table, "shape")
    if len(shape) > 1 or not all(type(n) is int and 1 <= n <= 1024 for n in shape):
        raise _Malformed("is damaged: shape must be [] or one number from 1 to 1024")
    dtype = _of(str, table, "dtype")
    if dtype not in _TYPES:
        raise _Malformed(f"is damaged: dtype must be one of {', '.join(_TYPES)}")
    actions = np.frombuffer(_unpacked(table, count * math.prod(shape) * np.dtype(dtype).itemsize), dtype)
    if actions.dtype.kind == "f" and not np.isfinite(actions).all():
        raise _Malformed("is damaged: an action is not a finite number")
    score: Any = table.get("score")
    if type(score) not in (int, float) or not math.isfinite(score):
        raise _Malformed("is damaged: score must be a number")
    return EpisodeReplay(
        seed=_whole(table, "seed", 0, 2**31 - 1),
        actions=actions.reshape(count, *shape),
        person=_person(_of(list, table, "person"), count),
        score=float(score),
        ended=_of(bool, table, "ended"),
        observation=_of(str, table, "observation"),
    )


def _unpacked(table: dict[str, Any], size: int) -> bytes:
    """The bytes of an episode's actions; a stream that is longer is not unpacked further."""
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(base64.b64decode(_of(str, table, "actions"), validate=True), size + 1)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise _Malformed("is damaged: its actions cannot be unpacked") from error
    if len(content) != size or not unpacker.eof:
        raise _Malformed("is damaged: it does not have as many actions as it says")
    return content


def _person(runs: list[Any], count: int) -> Array:
    person, after = np.zeros(count, bool), 0
    for run in runs:
        fits = isinstance(run, list) and len(run) == 2 and all(type(n) is int for n in run)
        if not fits or not after <= run[0] < run[1] <= count:
            raise _Malformed("is damaged: person must hold rising pairs of steps")
        person[run[0] : run[1]], after = True, run[1]
    return person


def _of(kind: type[Any], table: dict[str, Any], key: str) -> Any:
    value = table.get(key)
    if type(value) is not kind:
        words = {dict: "a table", list: "a list", str: "a text", bool: "true or false"}
        raise _Malformed(f"is damaged: {key} must be {words[kind]}")
    return value


def _whole(table: dict[str, Any], key: str, least: int, most: int) -> int:
    value = table.get(key)
    if type(value) is not int or not least <= value <= most:
        raise _Malformed(f"is damaged: {key} must be a whole number from {least} to {most}")
    return value

"""Arguments of the library's functions: changes of a scene as lines of TOML, checkpoints by folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from scenes.schema import SceneError

Changes = Mapping[str, Any]
Source = str | Path


def change_lines(changes: Changes | None) -> list[str]:
    """Changes of a scene as ``--set`` takes them.

    Raises:
        SceneError: if they are no mapping, or naming the key of a value that TOML does not have.

    >>> change_lines({"agent.network": "small", "world.num_envs": 4})
    ['agent.network="small"', 'world.num_envs=4']
    """
    if not isinstance(changes, Mapping | None):
        raise SceneError(f"changes map keys to values, as {{'agent.gamma': 0.9}} does; not {changes!r}")
    return [f"{key}={toml_value(value, key)}" for key, value in (changes or {}).items()]


def newest(checkpoint: Source | None) -> Path | None:
    """A checkpoint's folder as it is, and of a run's folder its newest checkpoint."""
    from sim.storage.checkpoints import CARD
    from sim.storage.runs import step_folders

    if checkpoint is None:
        return None
    folder = Path(checkpoint)
    saved = [] if (folder / CARD).is_file() else step_folders(folder / "checkpoints")
    return saved[-1] if saved else folder


def toml_value(value: Any, key: str) -> str:
    """A value as TOML has it, on one line.

    Raises:
        SceneError: naming the key, if TOML has no such value.

    >>> toml_value("3", "k"), toml_value([1, 2.5], "k"), toml_value({"ball": True}, "k")
    ('"3"', '[1, 2.5]', '{"ball" = true}')
    """
    if isinstance(value, Mapping):
        pairs = (f"{toml_value(str(name), key)} = {toml_value(v, key)}" for name, v in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(item, key) for item in value) + "]"
    if isinstance(value, Path):
        value = str(value)
    if isinstance(value, np.generic):
        value = value.item()
    try:
        return tomli_w.dumps({"value": value}).partition("=")[2].strip()
    except TypeError:
        raise SceneError(
            f"{key}: {value!r} is no value of a scene; leave the key out for its default"
        ) from None

"""Checkpoints: folders with safetensors weights and a model card, ``card.toml``.

`model.safetensors` holds the arrays and `card.toml` everything that a reader needs to trust
them: what made them, for which world and spaces, from which budget, and with which score. Loading
refuses what does not fit and says how it differs. No pickle is read or written.

The card names the weight files: a checkpoint may have the layout of another library (see `CheckpointLayout`).
They hold the weights as they are, at half precision, or the large ones at 8 bits (see `Storage`); the card
says which, and loading gives floats in any case.
"""

from __future__ import annotations

import hashlib
import platform
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, Protocol

import gymnasium
import numpy as np
import tomli_w
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from sim.errors import RequestError
from sim.records import Array
from sim.storage.files import check_regular, fresh_folder, special_file_kind
from sim.storage.quantization import pack_int8, unpack_int8

FORMAT = 2  # the newest that is read; cards have the lowest that reads them: 2 where weights are int8
WEIGHTS = "model.safetensors"
CARD = "card.toml"

Card = dict[str, Any]

#: Storage format of float32 weights: `exact`, as they are; `float16`, but for arrays with a number that
#: float16 cannot hold; `int8`, large tensors at 8 bits with a scale a row (`sim.storage.quantization`), the
#: others as `float16`.
Storage = Literal["exact", "float16", "int8"]


@dataclass(frozen=True, slots=True)
class CheckpointLayout:
    """File layout of a checkpoint: which weight file holds which arrays, and other files beside the card.

    Attributes:
        parts: prefix of the arrays' names → the file that holds them, without that prefix; every array
            belongs to one part.
        files: relative path → text, for readers of another library.
    """

    parts: Mapping[str, str]
    files: Mapping[str, str] = field(default_factory=dict)


PLAIN = CheckpointLayout({"": WEIGHTS})


class CheckpointError(RequestError, ValueError):
    """A checkpoint that is damaged, or made for something else."""


class TakesWeights(Protocol):
    """A model that can load the weights of a checkpoint."""

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """Load them; ValueError if they do not fit."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint in memory: its folder, model card, and weights by name."""

    folder: Path
    card: Card
    weights: dict[str, Array]

    def give(self, model: TakesWeights) -> None:
        """Load the weights into a model.

        Raises:
            CheckpointError: if the model has another configuration, so that they do not fit.
        """
        try:
            model.load_weights(self.weights)
        except ValueError as error:
            raise CheckpointError(f"{self.folder} does not fit: {error}") from error


def make_card(
    kind: str,
    name: str,
    config: Mapping[str, Any],
    *,
    seed: int,
    trained: Mapping[str, Any],
    world: str | None = None,
    observation_space: gymnasium.Space[Any] | None = None,
    action_space: gymnasium.Space[Any] | None = None,
    preprocessing: str | None = None,
    protocol: Mapping[str, Any] | None = None,
    scores: Mapping[str, Any] | None = None,
) -> Card:
    """Make a checkpoint's model card: what was trained, on what, for how long, with which scores.

    Args:
        kind: ``agent``, ``perception``, ``sampler``, or ``world`` for a world that is a model.
        name: its catalogue name.
        config: its keys, all of them, as they were.
        seed: of the run.
        trained: the budget that it has had, such as ``{"env_steps": 4_000_000, "seconds": 3600}``.
        world: the world's catalogue name.
        observation_space: of one world, without the batch.
        action_space: of one world, without the batch.
        preprocessing: of an input inside the model, in words.
        protocol: the rules it was trained under.
        scores: metrics with N, interval and protocol, as `playfield evaluate` gives them.
    """
    card: Card = {
        "format": 1,
        "kind": kind,
        "name": name,
        "world": world,
        "observation_space": None if observation_space is None else str(observation_space),
        "action_space": None if action_space is None else str(action_space),
        "preprocessing": preprocessing,
        "seed": seed,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "config": dict(config),
        "trained": dict(trained),
        "protocol": dict(protocol or {}),
        "scores": dict(scores or {}),
        "versions": _versions(),
    }
    return _without_none(card)


def save_checkpoint(
    folder: Path,
    card: Card,
    weights: Mapping[str, Array],
    *,
    storage: Storage = "exact",
    layout: CheckpointLayout = PLAIN,
) -> None:
    """Write a checkpoint; an older one at `folder` is replaced only when this one is complete.

    Args:
        folder: where to.
        card: from `make_card`.
        weights: arrays by name.
        storage: the format of the arrays in the files, told in the card where it is not `exact`.
        layout: in which files.

    Raises:
        SaveError: if it cannot be written; what was there is untouched.
        ValueError: if `int8` is asked for in the layout of another library, which could not read it, or an
            array is int8 already.
    """
    if storage == "int8" and layout != PLAIN:
        raise ValueError("int8 weights are for the plain layout: other libraries do not read them")
    if integers := [name for name, array in weights.items() if array.dtype == np.int8]:
        raise ValueError(f"{integers[0]} is int8, which stands for quantized weights in a checkpoint")
    contents: dict[str, bytes] = {path: text.encode() for path, text in layout.files.items()}
    parts: list[dict[str, str]] = []
    for prefix, file in layout.parts.items():
        own = {name.removeprefix(prefix): a for name, a in weights.items() if name.startswith(prefix)}
        contents[file] = save_arrays(_storable(own, storage))
        part = {"file": file, "sha256": hashlib.sha256(contents[file]).hexdigest()}
        told = {} if storage == "exact" else {"storage": storage}
        parts.append(part | told | ({"prefix": prefix} if prefix else {}))
    kept = {"format": 2 if storage == "int8" else 1, "weights": parts[0] if len(parts) == 1 else parts}
    contents[CARD] = tomli_w.dumps(card | kept).encode()
    with fresh_folder(folder) as temporary:
        for path, content in contents.items():
            (temporary / path).parent.mkdir(parents=True, exist_ok=True)
            (temporary / path).write_bytes(content)


def convert_checkpoint(folder: Path, target: Path, storage: Storage) -> None:
    """Write a checkpoint again in another storage format; its card keeps the scores of the old one.

    Args:
        folder: of the checkpoint, or of a run, whose newest one is meant.
        target: where to; an older checkpoint there is replaced.
        storage: the format. From float16 or int8, `exact` does not bring back what they have rounded.

    Raises:
        CheckpointError: as `load_checkpoint`, or if it has the layout of another library.
        SaveError: if it cannot be written; what was there is untouched.
    """
    loaded = load_checkpoint(folder)
    if isinstance(loaded.card["weights"], list):
        raise CheckpointError(f"{loaded.folder} has the files of another library, which stay as they are")
    save_checkpoint(target, loaded.card, loaded.weights, storage=storage)


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint and check that it is complete; weights of 8 bits become float32.

    Args:
        folder: of the checkpoint, or of a run, whose newest one is meant.

    Raises:
        CheckpointError: naming what is missing, cut short, changed, too new or not a finite number, and the
            tensor of 8 bits whose scales are missing or of another shape.
    """
    folder = resolve_checkpoint(folder)
    card = load_card(folder)
    weights: dict[str, Array] = {}
    for part in _parts(card):
        arrays = _load_part(folder, part)
        weights |= {part.get("prefix", "") + name: array for name, array in arrays.items()}
    _check_finite(folder, weights)
    return Checkpoint(folder, card, weights)


def _check_finite(folder: Path, weights: Mapping[str, Array]) -> None:
    """Refuse NaN and infinity: a network that holds them still acts, and scores like one that knows nothing.

    Raises:
        CheckpointError: naming the first such tensor and how many more there are.
    """
    bad = [name for name, array in weights.items() if not np.isfinite(array).all()]
    if bad:
        share = np.mean(~np.isfinite(weights[bad[0]]))
        others = f", and in {len(bad) - 1} more of {len(weights)} tensors" if len(bad) > 1 else ""
        raise CheckpointError(
            f"{folder} holds NaN or infinity: in {share:.0%} of {bad[0]}{others}; "
            "its training had diverged or the file was changed: use an earlier checkpoint"
        )


def resolve_checkpoint(folder: Path) -> Path:
    """The checkpoint of a folder: of a run folder its newest checkpoint, of any other the folder itself."""
    saved = [path for path in (folder / "checkpoints").glob("*") if path.name.isdecimal()]
    return max(saved, key=lambda path: int(path.name), default=folder)


def _parts(card: Card) -> list[dict[str, str]]:
    """The weight files that a card names: one table, or a list of them."""
    parts: list[dict[str, str]] = card["weights"] if isinstance(card["weights"], list) else [card["weights"]]
    return parts


def _load_part(folder: Path, part: Mapping[str, str]) -> dict[str, Array]:
    """The arrays of one weight file; raises CheckpointError as `load_checkpoint`."""
    file = part["file"]
    try:
        content = check_regular(folder / file).read_bytes()
    except OSError as error:
        raise CheckpointError(f"{folder}: its weights cannot be read: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != part["sha256"]:
        raise CheckpointError(
            f"{folder}: {file} is cut short or changed (its SHA-256 is not the card's); "
            "copy it again or use another checkpoint"
        )
    try:
        return unpack_int8(load_arrays(content))
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"{folder}: {file} is damaged: {error}") from error


def load_card(folder: Path) -> Card:
    """Read the model card alone, of a checkpoint folder or of a run folder's newest checkpoint.

    Raises:
        CheckpointError: if there is none, or it is damaged or of a newer format.
    """
    path = resolve_checkpoint(folder) / CARD
    if not folder.exists():
        raise CheckpointError(f"{folder} does not exist: there is no {CARD} in it")
    if not folder.is_dir():
        stands = special_file_kind(folder) or "a file"
        raise CheckpointError(f"{folder} is not a checkpoint: it is {stands}, not a folder")
    if odd := special_file_kind(path):
        raise CheckpointError(f"{folder} is not a checkpoint: its {CARD} is {odd}, not a file")
    if not path.is_file():
        raise CheckpointError(
            f"{folder} is not a checkpoint, nor a run that has one: there is no {CARD} in it"
        )
    try:
        card = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error
    if not isinstance(card.get("format"), int):
        raise CheckpointError(f"{path} is damaged: it does not say its format")
    if card["format"] > FORMAT:
        raise CheckpointError(
            f"{path} has format {card['format']}, this Playfield reads up to {FORMAT}: upgrade Playfield"
        )
    lacking = [key for key in ("kind", "name", "config", "weights") if key not in card]
    if lacking or not all(isinstance(p, dict) and {"file", "sha256"} <= set(p) for p in _parts(card)):
        raise CheckpointError(f"{path} is damaged: it lacks {', '.join(lacking) or 'the weights file'}")
    return card


def check_fits(checkpoint: Checkpoint, **expected: object) -> None:
    """Refuse a checkpoint whose card differs from `expected`.

    Raises:
        CheckpointError: with every difference.
    """
    card = checkpoint.card
    kept = {k: v if isinstance(v, str | int | list) else str(v) for k, v in expected.items() if v is not None}
    differences = [
        f"{key} is {card.get(key)}, here it is {value}"
        for key, value in kept.items()
        if card.get(key) != value
    ]
    if differences:
        raise CheckpointError(f"{checkpoint.folder} does not fit: its " + "; its ".join(differences))


def _without_none(table: Mapping[str, Any]) -> Card:
    """TOML has no null: what is None is left out."""
    return {
        key: _without_none(value) if isinstance(value, Mapping) else value
        for key, value in table.items()
        if value is not None
    }


def _storable(weights: Mapping[str, Array], storage: Storage) -> dict[str, Array]:
    """The arrays of one file; contiguous, because safetensors garbles what is not."""
    packed = pack_int8(weights) if storage == "int8" else weights
    stored: dict[str, Array] = {}
    for name, array in packed.items():
        kept = array.astype(np.float16) if name in weights and _fits_half(array, storage) else array
        stored[name] = np.ascontiguousarray(kept).reshape(array.shape)
    return stored


def _fits_half(array: Array, storage: Storage) -> bool:
    """Whether an array is to be stored as float16."""
    asked = storage != "exact" and array.dtype == np.float32
    return bool(asked and np.abs(array).max(initial=0) <= np.finfo(np.float16).max)


def _commit() -> str | None:
    """The commit of the source, if it is a checkout; marked when files differ from it."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        answer = subprocess.run(git, capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None if answer.returncode == 0 else None


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("playfield", "gymnasium", "ale-py", "chess", "mujoco", "numpy", "torch"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found

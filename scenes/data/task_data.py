"""The task of a scene without a world: its configuration, model and data; see `supervised.task`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from scenes.build.perceptions import load_perception, perception_config
from scenes.data.images import read_pictures
from scenes.schema import Scene, data_path
from sim.catalog import load
from sim.records import Array
from sim.storage.checkpoints import Card, CheckpointError, load_card, load_checkpoint
from supervised.catalog import READERS
from supervised.data.sources.splits import Splits
from supervised.task import HasBase, HasRewardModel, ReadsText, TaskConfig, TaskModel, is_task


def has_task(scene: Scene) -> bool:
    """Whether the scene's first perception brings its own data."""
    return bool(scene.perception) and is_task(perception_config(scene))


def task_config(scene: Scene) -> TaskConfig:
    """Configuration of the scene's task, which `has_task` has found."""
    return cast(TaskConfig, perception_config(scene))


def task_splits(scene: Scene, config: TaskConfig) -> Splits:
    """The data of a scene's task; read once for each request.

    Raises:
        DataError, MissingPackageError: see `supervised.task.TaskConfig.splits`.
    """
    hashable: Any = config  # a frozen dataclass
    return _splits(hashable, data_path(scene, config.data), scene.seed)


@lru_cache(maxsize=4)
def _splits(config: Any, path: Path | None, seed: int) -> Splits:
    splits: Splits = config.splits(path, seed=seed)
    return splits


def read_inputs(
    config: TaskConfig, source: str, fail: Callable[[str, Exception], None]
) -> Iterator[tuple[str, Any]]:
    """A user's inputs of the kind that a task reads, with their names.

    Args:
        config: of the task.
        source: a text, a table row, a SMILES string, or the path of a file or folder.
        fail: takes the name of each input that cannot be used, and why.

    Raises:
        RequestError: if there is none.
    """
    if isinstance(config, ReadsText) and not _is_file(source):
        return iter([(source, config.read_text(source))])
    if config.reads == "rgb":
        return read_pictures(Path(source), fail)
    found: Iterator[tuple[str, Any]] = load(READERS, config.reads, "kind of input")(source, fail)
    return found


def _is_file(source: str) -> bool:
    """Whether `source` means a file or folder that is there."""
    try:
        return Path(source).exists()
    except OSError:  # far too long for a name
        return False


def build_task(
    scene: Scene, config: TaskConfig, device: str, checkpoint: Path | None = None
) -> tuple[TaskModel, Card | None]:
    """The model of a scene's task with the weights of its checkpoint; without one, the data name its classes.

    Raises:
        CheckpointError: if the checkpoint is damaged or made for something else.
    """
    table = scene.perception[0]
    if checkpoint is None and table.checkpoint:
        checkpoint = scene.resolve(table.checkpoint)
    if checkpoint is None:
        classes = task_splits(scene, config).classes
        return untrained_task(scene, config, classes, device), None
    classes = tuple(load_card(checkpoint).get("classes", ()))
    model = untrained_task(scene, config, classes, device)
    return model, load_perception(model, table, classes, checkpoint)


def untrained_task(scene: Scene, config: TaskConfig, classes: Sequence[str], device: str) -> TaskModel:
    """The model of a scene's task with random weights, with the models that it names as its base and rewards.

    Raises:
        CheckpointError: if such a checkpoint is damaged or made for something else.
    """
    model = config.build(classes, seed=scene.seed, device=device)
    if isinstance(model, HasBase):
        _load(scene, config, "base_checkpoint", model.load_base)
    if isinstance(model, HasRewardModel):
        _load(scene, config, "reward_checkpoint", model.load_reward_model)
    return model


def _load(scene: Scene, config: TaskConfig, key: str, load: Callable[[Mapping[str, Array]], None]) -> None:
    """Give the weights of the checkpoint that `key` names to `load`; nothing where it names none."""
    path = getattr(config, key, "")
    if not path:
        return
    loaded = load_checkpoint(scene.resolve(path))
    try:
        load(loaded.weights)
    except ValueError as error:
        raise CheckpointError(f"{key} {loaded.folder} does not fit: {error}") from error

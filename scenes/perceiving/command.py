"""Inference of a scene's perception on image files, or on frames of its world (`playfield perceive`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from scenes.build.devices import chosen_device
from scenes.build.perceptions import (
    build_perception,
    perception_config,
    predicted_kind,
    scene_label_source,
    scene_vocabulary,
)
from scenes.data.images import Failed, PictureError, read_pictures
from scenes.data.perception_data import scene_label_data, scene_player
from scenes.data.task_data import has_task
from scenes.interruption import FAULTS, error_line, interruption
from scenes.perceiving.request import FOLDER, FRAMES, NAMED, PROMISE, PerceiveRequest, as_json
from scenes.report import Report
from scenes.schema import Scene, SceneError
from sim.catalog import install_hint
from sim.errors import RequestError
from sim.percept_kinds import PERCEPT_KINDS, in_words, kinds_in
from sim.plurals import number_of
from sim.progress import track
from sim.protocols import PerceptionModel
from sim.records import Array, Percept
from sim.storage.files import SaveError, reason, write_whole
from sim.viewer.contract.moment import PerceptView
from supervised.data.capture import HELD_OUT, CaptureSpec

EVERY = 97  # steps between two frames
SHOWN_ACROSS = 640  # pixels; smaller images are enlarged by whole factors, so that labels can be read


@dataclass
class PerceiveResult:
    """Results of inference on images, written as they come.

    Attributes:
        folder: output folder.
        shown: turns a percept into what is drawn.
        percepts: as ``--json`` gives them.
        files: complete files so far.
        failed: images that could not be read, and why.
        interrupted: whether Ctrl-C or SIGTERM ended it.
    """

    folder: Path
    shown: Callable[[Percept], PerceptView]
    percepts: list[dict[str, Any]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    failed: list[tuple[str, Exception]] = field(default_factory=list)
    interrupted: bool = False

    def keep(self, name: str, rgb: Array, percept: Percept) -> None:
        """Write the files of one image's percept, each one atomically.

        Raises:
            SaveError: if a file cannot be written; those before it are named by number.
        """
        from scenes.perceiving.draw_percepts import draw_percepts, save_picture

        drawn = draw_percepts(rgb, self.shown(percept), max(1, SHOWN_ACROSS // rgb.shape[1]))
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            kept = write_percept(percept, self.folder / file_name(name))
            file = self.folder / f"{file_name(name)}.seen.png"
            write_whole(file, partial(save_picture, picture=drawn))
        except OSError as error:
            done = f"finished and kept: {number_of(len(self.percepts), 'image')}"
            raise SaveError(
                error.errno, f"could not write to {self.folder}: {reason(error)}; {done}"
            ) from error
        self.percepts.append(as_json(name, percept) | kept)
        self.files += [str(file), *kept.values()]

    def answer(self) -> dict[str, Any]:
        """The answer of ``--json``."""
        failed = [{"source": name, "error": error_line(error)} for name, error in self.failed]
        return {"percepts": self.percepts, "files": self.files, "failed": failed}


def perceive(
    scene: Scene,
    request: PerceiveRequest,
    *,
    device: str,
    say: Callable[[str], None],
    tell: Callable[[str], None] = lambda line: None,
) -> Report:
    """Run the scene's first perception on images, and write each with its percept drawn over it.

    Damaged images are reported and skipped.

    Args:
        scene: with a perception.
        request: the request.
        device: ``auto``, ``cpu`` or ``cuda``.
        say: takes lines for a person.
        tell: takes a line on each picture as soon as it was looked at.

    Returns:
        Percepts, files and what failed.

    Raises:
        SceneError, PictureError, CheckpointError: if the request is wrong, or its only file is damaged.
        SaveError: if a file cannot be written.
    """
    if not scene.perception:
        raise SceneError(f"{scene.source.name} has no [[perception]]: add one, or name a scene that has one")
    try:
        import scenes.perceiving.draw_percepts  # noqa: F401
    except ModuleNotFoundError as error:
        raise RequestError(f"drawing percepts needs {install_hint(error.name or 'pygame')}") from error
    if has_task(scene):
        from scenes.perceiving.tasks import perceive_task

        return perceive_task(scene, request, device=device, say=say, tell=tell)
    request.check(scene)
    config, classes = perception_config(scene), scene_vocabulary(scene)
    bones = scene_label_source(scene, config).bones()
    model, card = build_perception(scene, 0, classes, chosen_device(device), request.checkpoint)
    if card is None:
        say(f"{scene.name} has no checkpoint: these are percepts of an untrained {scene.perception[0].use}")
    failed: list[tuple[str, Exception]] = []

    def fail(name: str, error: Exception) -> None:
        failed.append((name, error))

    shown = partial(PerceptView, scene.perception[0].use, classes=classes, edges=bones)
    source = None if request.source is None else Path(request.source)
    shots = inputs(scene, source, fail)
    with request.folder() as out, interruption(PROMISE) as interrupted:
        if request.out is None and out != FOLDER:
            say(f"{FOLDER} exists: writing to {out}")
        looked = PerceiveResult(out, shown, failed=failed)
        for name, rgb, percept in iterate_percepts(model, shots, fail):
            looked.keep(name, rgb, percept)
            words = in_words(percept, classes, in_full=True) or "nothing"
            tell(f"{name}: {words}")
            if interrupted():
                looked.interrupted = True
                break
    if failed and not looked.percepts and source is not None and not source.is_dir():
        raise failed[0][1]
    summary = _sum_up(looked, getattr(config, "most", None), say)
    return Report(looked.answer(), [summary], looked.interrupted)


def _sum_up(looked: PerceiveResult, most: int | None, say: Callable[[str], None]) -> str:
    """Summary in one line; images that were left out go to `say`.

    Args:
        looked: percepts, files and failures.
        most: the model's limit of boxes an image.
        say: takes lines for a person.
    """
    full = sum(len(row.get("boxes", ())) == most for row in looked.percepts)
    if full:
        crowded = f"{number_of(full, 'picture')} with {most} boxes, the model's limit"
        say(f"{crowded}: they may be unlike its training images")
    said = f"{number_of(len(looked.percepts), 'image')}, drawn with their percepts in {looked.folder}"
    for _, error in looked.failed[:NAMED]:
        say(f"left out: {error_line(error)}")
    if len(looked.failed) > NAMED:
        say(f"left out: {len(looked.failed) - NAMED:,} more")
    if looked.failed:
        say(f"{number_of(len(looked.failed), 'image')} left out")
    return "interrupted: " * looked.interrupted + said


def inputs(scene: Scene, source: Path | None, failed: Failed) -> Iterable[tuple[str, Array]]:
    """Input images by name: the user's, or held-out frames of the scene's world."""
    if source is not None:
        return read_pictures(source, failed)
    config = perception_config(scene)
    spec = CaptureSpec(predicted_kind(config), FRAMES, scene.seed + 3 * HELD_OUT, EVERY, held_out=True)
    views = scene_label_data(scene, config, spec, scene_player(scene))
    return [(f"{scene.name}-{i}", rgb) for i, rgb in enumerate(views.values)]


def iterate_percepts(
    model: PerceptionModel, shots: Iterable[tuple[str, Array]], failed: Failed
) -> Iterator[tuple[str, Array, Percept]]:
    """Iterate over images and their percepts, one by one: a video need not fit into memory.

    Images that the model fails on, such as one that is a pixel wide, are passed to `failed`.
    """
    for name, rgb in track(shots, "running the model on images"):
        try:
            percept = model.perceive([rgb])[0]
        except FAULTS as error:
            failed(name, PictureError(f"{name}: the model fails: {error_line(error)}"))
            continue
        yield name, rgb, percept


def write_percept(percept: Percept, stem: Path) -> dict[str, str]:
    """Write a percept's mask (PNG of class indices) and depth (NPY, metres); returns the paths by kind."""
    kept: dict[str, str] = {}
    for kind in kinds_in(percept):
        file = PERCEPT_KINDS[kind].file
        if file is not None:
            kept[kind] = str(write_whole(Path(f"{stem}.{file.suffix}"), file.writer(percept)))
    return kept


def file_name(source: str) -> str:
    """File name of the output for `source`.

    >>> file_name("clips/game.mp4#12")
    'game.mp4-12'
    """
    return Path(source).name.replace("#", "-")

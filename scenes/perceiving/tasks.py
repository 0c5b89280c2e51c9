"""Inference of a scene's task on a user's inputs, or on its test examples (`playfield perceive`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from scenes.build.devices import chosen_device
from scenes.data.images import read_pictures
from scenes.data.task_data import build_task, task_config, task_splits
from scenes.interruption import FAULTS, interruption, told
from scenes.perceiving.request import FOLDER, FRAMES, NAMED, PROMISE, PerceiveRequest, as_json
from scenes.report import Report
from scenes.schema import Scene, SceneError
from sim.catalog import load
from sim.percept_kinds import in_words
from sim.plurals import number_of
from sim.progress import track
from sim.records import Percept
from sim.storage.files import SaveError, reason, write_whole
from supervised.catalog import READERS
from supervised.figure import rasterized
from supervised.task import ReadsText, TaskConfig, TaskModel

LONGEST_NAME = 60  # characters of an input's name in that of its file


def perceive_task(
    scene: Scene,
    request: PerceiveRequest,
    *,
    device: str,
    say: Callable[[str], None],
    tell: Callable[[str], None] = lambda line: None,
) -> Report:
    """Run the scene's task on inputs, and draw each with what the model says of it.

    Inputs that cannot be used are reported and skipped.

    Args:
        scene: whose first perception is a task.
        request: `source` is of the kind that the task reads: text, a table row, a file; None: test examples.
        device: ``auto``, ``cpu`` or ``cuda``.
        say: takes lines for a person.
        tell: takes a line on each input as soon as it was looked at.

    Returns:
        Percepts, files and what failed.

    Raises:
        RequestError: if the request is wrong, or its only input cannot be used.
        SaveError: if a file cannot be written.
    """
    config = task_config(scene)
    _check_folder(request)
    model, card = build_task(scene, config, chosen_device(device), request.checkpoint)
    if card is None:
        say(f"{scene.name} has no checkpoint: these are percepts of an untrained {scene.perception[0].use}")
    failed: list[tuple[str, Exception]] = []
    rows: list[dict[str, Any]] = []
    files: list[str] = []

    def fail(name: str, error: Exception) -> None:
        failed.append((name, error))

    with request.folder() as out, interruption(PROMISE) as interrupted:
        if request.out is None and out != FOLDER:
            say(f"{FOLDER} exists: writing to {out}")
        for name, value, truth in track(_inputs(scene, config, request.source, fail), "running the model"):
            try:
                percept = model.perceive([value])[0]
            except FAULTS as fault:
                fail(name, fault)
                continue
            files.append(_draw(model, out, f"{len(rows):03}-{name}", value, percept, truth, request))
            rows.append(as_json(name, percept) | ({"truth": _as_truth(truth)} if truth else {}))
            beside = f"   (in truth {in_words(truth, in_full=True)})" if truth else ""
            tell(f"{name}: {in_words(percept, in_full=True) or 'nothing'}{beside}")
            if interrupted():
                break
    if failed and not rows:
        raise failed[0][1]
    for _, error in failed[:NAMED]:
        say(f"left out: {told(error)}")
    if len(failed) > NAMED:
        say(f"left out: {len(failed) - NAMED:,} more")
    answer = {
        "percepts": rows,
        "files": files,
        "failed": [{"source": name, "error": told(error)} for name, error in failed],
    }
    summary = f"{number_of(len(rows), 'input')}, drawn with what the model says in {out}"
    return Report(answer, ["interrupted: " * interrupted() + summary], interrupted())


def _check_folder(request: PerceiveRequest) -> None:
    """Refuse a folder that holds files already, unless they may be replaced."""
    out = request.out
    if out is None or not out.exists():
        return
    if not out.is_dir():
        raise SceneError(f"{out} is a file: name a folder with --out")
    if any(out.iterdir()) and not request.overwrite:
        raise SceneError(f"--out {out} is not empty; name another folder, or add --overwrite")


def _inputs(
    scene: Scene, config: TaskConfig, source: str | None, fail: Callable[[str, Exception], None]
) -> Iterator[tuple[str, Any, Percept | None]]:
    """Inputs by name: the user's, without a truth, or the first test examples."""
    if source is None:
        test = task_splits(scene, config).test
        for i in range(min(FRAMES, len(test))):
            yield f"{scene.name}-{i}", test.values[i], test.truths[i]
    elif isinstance(config, ReadsText) and not _is_file(source):
        yield source, config.read_text(source), None
    elif config.reads == "rgb":
        for name, rgb in read_pictures(Path(source), fail):
            yield name, rgb, None
    else:
        for name, value in load(READERS, config.reads, "kind of input")(source, fail):
            yield name, value, None


def _is_file(source: str) -> bool:
    try:
        return Path(source).exists()
    except OSError:  # far too long for a name
        return False


def _draw(
    model: TaskModel,
    folder: Path,
    name: str,
    value: Any,
    percept: Percept,
    truth: Percept | None,
    request: PerceiveRequest,
) -> str:
    """Write the figure of one input, atomically; returns its path."""
    from PIL import Image

    plain = re.sub(r"[^\w.#-]+", "-", name).strip("-")[:LONGEST_NAME].replace("#", "-")
    rgb = rasterized(partial(model.draw, value=value, percept=percept, truth=truth))
    file = folder / f"{plain}.seen.png"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(file, lambda path: Image.fromarray(rgb).save(path, "PNG"))
    except OSError as error:
        raise SaveError(error.errno, f"could not write to {folder}: {reason(error)}") from error
    return str(file)


def _as_truth(truth: Percept) -> dict[str, Any]:
    """The truth of a test example as JSON, without its source."""
    row = as_json("", truth)
    return {key: row[key] for key in row if key not in ("source", "origin")}

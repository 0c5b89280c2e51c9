"""`playfield perceive`: the scene's perception on a user's own pictures, or on frames of its world."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from scenes.build.devices import chosen_device
from scenes.build.perceptions import (
    build_perception,
    perception_config,
    scene_label_source,
    scene_vocabulary,
    told_by,
)
from scenes.data.images import Failed, PictureError, picture_files, read_pictures
from scenes.data.perception_data import scene_player, scene_views
from scenes.interruption import FAULTS, interruption, told
from scenes.report import Report
from scenes.schema import Scene, SceneError
from sim.catalog import mend
from sim.errors import RequestError
from sim.plurals import number_of
from sim.progress import track
from sim.protocols import PerceptionModel
from sim.records import Array, Percept
from sim.storage.files import SaveError, new_folder, reason, write_whole
from sim.viewer.contract.moment import Seen
from supervised.data.views import HELD_OUT, CaptureSpec

FRAMES = 10  # of the scene's world, where nothing is given to look at
EVERY = 97  # steps into the game
SHOWN_ACROSS = 640  # pixels: small pictures are enlarged by whole factors, so that what is drawn can be read
FOLDER = Path("perceived")  # where none is asked for
NAMED = 10  # of the pictures that could not be looked at; those beyond are only counted
PROMISE = "stopping after this picture: what is finished is kept"
WRITTEN = re.compile(r"(.+?)(-\d+)?\.(seen\.png|mask\.png|depth\.npy)")  # names of `Looked.keep`


@dataclass(frozen=True)
class PerceiveRequest:
    """What is asked for.

    Attributes:
        source: a picture, a video or a folder of them; None for frames of the scene's world.
        out: a folder for what is written, made if there is none; None for one of its own.
        checkpoint: instead of the scene's own.
        overwrite: replace files that are there.
    """

    source: Path | None = None
    out: Path | None = None
    checkpoint: Path | None = None
    overwrite: bool = False

    def check(self, scene: Scene) -> None:
        """Refuse a source that is not there, and a folder that would not be left as it is.

        Raises:
            SceneError, PictureError: naming the file.
        """
        if self.source is None:
            names = {f"{scene.name}-{number}" for number in range(FRAMES)}
        else:
            names = {file.name for file in picture_files(self.source)}
        if self.out is None:
            return
        if self.out.exists() and not self.out.is_dir():
            raise SceneError(f"{self.out} is a file: name a folder with --out")
        if self.out.is_dir() and not self.overwrite:
            for file in sorted(self.out.iterdir()):
                found = WRITTEN.fullmatch(file.name)
                if found and {found[1], found[1] + (found[2] or "")} & names:
                    raise SceneError(
                        f"--out {self.out}: {file} would be overwritten; name another folder, "
                        "or add --overwrite"
                    )

    def folder(self) -> AbstractContextManager[Path]:
        """Where files go: as asked, else a folder of its own."""
        return new_folder(FOLDER) if self.out is None else nullcontext(self.out)


@dataclass
class Looked:
    """What came of looking at pictures, one after another.

    Attributes:
        folder: where files go.
        shown: makes of a percept what is drawn.
        percepts: as ``--json`` gives them.
        files: that were written, each of them whole.
        failed: what could not be looked at, and why.
        interrupted: whether Ctrl-C or SIGTERM ended it.
    """

    folder: Path
    shown: Callable[[Percept], Seen]
    percepts: list[dict[str, Any]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    failed: list[tuple[str, Exception]] = field(default_factory=list)
    interrupted: bool = False

    def keep(self, name: str, rgb: Array, percept: Percept) -> None:
        """Write what was seen in a picture, each file under its name only when it is complete.

        Raises:
            SaveError: if a file cannot be written; those before it are named by number.
        """
        from scenes.perceiving.draw_percepts import draw_percepts, save_picture

        drawn = draw_percepts(rgb, self.shown(percept), max(1, SHOWN_ACROSS // rgb.shape[1]))
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            kept = written(percept, self.folder / file_name(name))
            file = self.folder / f"{file_name(name)}.seen.png"
            write_whole(file, partial(save_picture, picture=drawn))
        except OSError as error:
            done = f"finished and kept: {number_of(len(self.percepts), 'picture')}"
            raise SaveError(
                error.errno, f"could not write to {self.folder}: {reason(error)}; {done}"
            ) from error
        self.percepts.append(as_json(name, percept) | kept)
        self.files += [str(file), *kept.values()]

    def answer(self) -> dict[str, Any]:
        """What ``--json`` says."""
        failed = [{"source": name, "error": told(error)} for name, error in self.failed]
        return {"percepts": self.percepts, "files": self.files, "failed": failed}


def perceive(
    scene: Scene,
    wish: PerceiveRequest,
    *,
    device: str,
    say: Callable[[str], None],
    tell: Callable[[str], None] = lambda line: None,
) -> Report:
    """Look at pictures, and write each with what was seen drawn over it.

    What is damaged is told and left out, and the next is looked at.

    Args:
        scene: its first perception looks.
        wish: what is asked for.
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
        raise SceneError(f"{scene.source.name} has no [[perception]]: there is nothing to look with")
    try:
        import scenes.perceiving.draw_percepts  # noqa: F401
    except ModuleNotFoundError as error:
        raise RequestError(f"drawing what is seen needs {mend(error.name or 'pygame')}") from error
    wish.check(scene)
    config, classes = perception_config(scene), scene_vocabulary(scene)
    bones = scene_label_source(scene, config).bones()
    model, card = build_perception(scene, 0, classes, chosen_device(device), wish.checkpoint)
    if card is None:
        say(f"{scene.name} has no checkpoint: an untrained {scene.perception[0].use} looks")
    failed: list[tuple[str, Exception]] = []

    def fail(name: str, error: Exception) -> None:
        failed.append((name, error))

    shown = partial(Seen, scene.perception[0].use, classes=classes, edges=bones)
    shots = inputs(scene, wish.source, fail)
    with wish.folder() as out, interruption(PROMISE) as interrupted:
        if wish.out is None and out != FOLDER:
            say(f"{FOLDER} exists: writing to {out}")
        looked = Looked(out, shown, failed=failed)
        for name, rgb, percept in seen(model, shots, fail):
            looked.keep(name, rgb, percept)
            tell(f"{name}: {in_words(shown(percept))}")
            if interrupted():
                looked.interrupted = True
                break
    if failed and not looked.percepts and wish.source is not None and not wish.source.is_dir():
        raise failed[0][1]
    summary = _sum_up(looked, getattr(config, "most", None), say)
    return Report(looked.answer(), [summary], looked.interrupted)


def _sum_up(looked: Looked, most: int | None, say: Callable[[str], None]) -> str:
    """One line on all that was looked at; says what was left out.

    Args:
        looked: what came of it.
        most: how many boxes the model tells of a picture at most.
        say: takes lines for a person.
    """
    full = sum(len(row.get("boxes", ())) == most for row in looked.percepts)
    if full:
        crowded = f"{number_of(full, 'picture')} with {most} boxes, as many as it tells"
        say(f"{crowded}: does it know pictures of this kind?")
    said = (
        f"{number_of(len(looked.percepts), 'picture')} looked at; what was seen is drawn in {looked.folder}"
    )
    for _, error in looked.failed[:NAMED]:
        say(f"left out: {told(error)}")
    if len(looked.failed) > NAMED:
        say(f"left out: {len(looked.failed) - NAMED:,} more")
    if looked.failed:
        say(f"{number_of(len(looked.failed), 'picture')} could not be looked at")
    return "interrupted: " * looked.interrupted + said


def inputs(scene: Scene, source: Path | None, failed: Failed) -> Iterable[tuple[str, Array]]:
    """Pictures by name: the user's, or frames of the scene's world that no training has seen."""
    if source is not None:
        return read_pictures(source, failed)
    config = perception_config(scene)
    taking = CaptureSpec(told_by(config), FRAMES, scene.seed + 3 * HELD_OUT, EVERY, held_out=True)
    views = scene_views(scene, config, taking, scene_player(scene))
    return [(f"{scene.name}-{i}", rgb) for i, rgb in enumerate(views.rgb)]


def seen(
    model: PerceptionModel, shots: Iterable[tuple[str, Array]], failed: Failed
) -> Iterator[tuple[str, Array, Percept]]:
    """Each picture with what the model says of it, one by one: a video need not fit into memory.

    What the model breaks down at, such as a picture of one pixel's width, is told to `failed`.
    """
    for name, rgb in track(shots, "looking at pictures"):
        try:
            percept = model.perceive([rgb])[0]
        except FAULTS as error:
            failed(name, PictureError(f"{name} cannot be looked at: {told(error)}"))
            continue
        yield name, rgb, percept


def as_json(source: str, percept: Percept) -> dict[str, Any]:
    """A percept as ``--json`` gives it, without masks and depths, which are files; only what applies."""
    row: dict[str, Any] = {"source": source, "origin": percept.origin}
    if percept.boxes is not None:
        scores = [None] * len(percept.boxes) if percept.scores is None else percept.scores.tolist()
        row["boxes"] = [
            {"label": label, "score": score, "xyxy": [round(float(v), 2) for v in box]}
            for label, score, box in zip(percept.labels, scores, percept.boxes, strict=True)
        ]
    if percept.label is not None:
        row["label"] = percept.label
        if percept.boxes is None and percept.scores is not None:
            row["score"] = float(percept.scores[0])
    if percept.keypoints:
        row["keypoints"] = {name: list(point) for name, point in percept.keypoints.items()}
    for key in ("fen", "caption"):
        if getattr(percept, key) is not None:
            row[key] = getattr(percept, key)
    return row


def written(percept: Percept, stem: Path) -> dict[str, str]:
    """The files that a percept's mask (PNG, class numbers) and depth (NPY, metres) are written to."""
    kept: dict[str, str] = {}
    if percept.mask is not None:
        from scenes.perceiving.draw_percepts import save_picture

        mask = percept.mask.astype(np.uint8)
        kept["mask"] = str(write_whole(Path(f"{stem}.mask.png"), partial(save_picture, picture=mask)))
    if percept.depth is not None:
        save = partial(np.save, arr=percept.depth)
        kept["depth"] = str(write_whole(Path(f"{stem}.depth.npy"), save))
    return kept


def file_name(source: str) -> str:
    """A file name for what was seen in `source`.

    >>> file_name("clips/game.mp4#12")
    'game.mp4-12'
    """
    return Path(source).name.replace("#", "-")


def in_words(shown: Seen) -> str:
    """What was seen, in one line; a whole board as FEN.

    >>> in_words(Seen("game-classifier", Percept("model", label="pong")))
    'pong'
    >>> in_words(Seen("board-reader", Percept("model", fen="8/8/8/8/8/8/8/K1k5")))
    '8/8/8/8/8/8/8/K1k5'
    """
    from sim.viewer.panels.perception_panel import words

    return shown.percept.fen or words(shown) or "nothing"

"""Posters of the list "Find a scene": a small picture of each scene, made once in a process of its own.

A poster is the world near its start, an example of a task, a text or a tune, or samples of a sampler. The
process has a lower priority and begins when the list is first opened; each poster is a PNG file in the cache,
named by the scene file's content. Nothing but the list waits for it: a scene without a poster has an empty
frame.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import numpy as np

from scenes.data.task_data import has_task
from scenes.schema import Scene, load_scene
from sim.records import Array
from sim.viewer.contract.gesture import Gesture
from sim.viewer.contract.show import Poster
from supervised.data.dataset_cache import cache_folder

SIZE = (128, 96)  # pixels at most
ROOM = (512.0, 384.0)  # pixels of what is drawn for it and then shrunk
STEPS = 40  # of a world, with random actions: some games begin with an empty screen
SAMPLES = (3, 2)  # columns and rows of a sampler's poster
DRAWING = 2  # counts the ways in which posters were drawn: those of another are made anew
MOST_SECONDS = 20  # of processor time for one poster
_LOOK_SECONDS = 0.5  # between two looks at the folder


class Posters:
    """Posters of a playlist's scenes; satisfies `sim.viewer.contract.show.Posters`.

    Args:
        scenes: their files.
    """

    def __init__(self, scenes: Sequence[Path]) -> None:
        self._scenes = scenes
        self._files: list[Path] = []
        self._found: tuple[Poster | None, ...] = (None,) * len(scenes)
        self._looked = -_LOOK_SECONDS
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Make the posters that are missing, in the background; called whenever the list is opened."""
        if not self._files:
            self._files = [poster_file(scene) for scene in self._scenes]
        pairs = zip(self._scenes, self._files, strict=True)
        missing = [str(scene) for scene, file in pairs if not file.exists()]
        if missing and (self._process is None or self._process.poll() is not None):
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, *missing],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"OMP_NUM_THREADS": "1", "SDL_VIDEODRIVER": "dummy"},
            )

    def pictures(self) -> tuple[Poster | None, ...]:
        """A poster for each scene; None where there is none (yet)."""
        now = time.monotonic()
        if self._files and None in self._found and now - self._looked >= _LOOK_SECONDS:
            self._looked = now
            pairs = zip(self._files, self._found, strict=True)
            found = tuple(_read(file) if poster is None else poster for file, poster in pairs)
            self._found = found if found != self._found else self._found
        return self._found

    def close(self) -> None:
        """Make no more."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()


def poster_file(scene: Path) -> Path:
    """File in the cache of the poster of a scene's file; it is empty where the scene has none."""
    said = f"{SIZE} {STEPS} {SAMPLES} {DRAWING}".encode() + scene.read_bytes()
    return cache_folder() / "posters" / f"{scene.stem}-{hashlib.sha256(said).hexdigest()[:16]}.png"


def _read(file: Path) -> Poster | None:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as image:
            return Poster(np.asarray(image.convert("RGB")))
    except (OSError, UnidentifiedImageError):  # not there yet, or empty
        return None


def draw_poster(scene: Scene) -> Array:
    """Picture (H, W, 3) uint8 of a scene, at most `SIZE`.

    Raises:
        SceneError, CheckpointError, DataError: if there is nothing to draw.
    """
    from PIL import Image

    if has_task(scene):
        picture = _task_picture(scene)
    elif scene.world is not None:
        picture = _world_picture(scene)
    else:
        picture = _sampler_picture(scene)
    image = Image.fromarray(picture)
    image.thumbnail(SIZE, Image.Resampling.LANCZOS)
    return np.asarray(image)


def _world_picture(scene: Scene) -> Array:
    """The scene's world after a few steps; neither its agent nor its perceptions are loaded."""
    from scenes.build.agents import scene_world
    from scenes.watching.staged_worlds import StagedWorlds

    worlds = StagedWorlds.open(scene_world(scene), 1, scene.seed)
    try:
        worlds.reset(seed=scene.seed)
        worlds.renderers[0].touch(Gesture("resize", *ROOM))
        if not (worlds.renderers[0].turns or worlds.envs[0].has_wrapper_attr("interactive_renderer")):
            worlds.envs[0].action_space.seed(scene.seed)
            for _ in range(STEPS):
                worlds.step(np.array([worlds.envs[0].action_space.sample()]))
        worlds.renderers[0].note()
        return worlds.renderers[0].draw()
    finally:
        worlds.close()


def _task_picture(scene: Scene) -> Array:
    """A test example with what the model says of it; for texts and tunes, whose data take long, no data.

    Models that write show what they write, and those that hear dances the notes of one.
    """
    from scenes.data.task_data import build_task, task_config
    from scenes.schema import data_path
    from scenes.watching.examples_show import ExamplesShow
    from scenes.watching.poster_figures import draw_piano_roll, draw_text_poster
    from supervised.data.sources.tunes import first_dance
    from supervised.figure import rasterized
    from supervised.task import Writes

    size, config = (round(ROOM[0]), round(ROOM[1])), task_config(scene)
    if config.reads == "sound" and data_path(scene, config.data) is None:
        tune = first_dance()
        return rasterized(lambda figure: draw_piano_roll(figure, tune.notes, tune.metre, tune.pickup), size)
    if config.reads == "text" and scene.perception[0].checkpoint:
        model = build_task(scene, config, "cpu")[0]
        if isinstance(model, Writes):
            text = model.write(1, "", scene.seed)[0].text
            return rasterized(lambda figure: draw_text_poster(figure, text), size)
    show = ExamplesShow(scene, device="cpu")
    show.touch(Gesture("resize", *ROOM))
    return show.start(scene.seed).pictures[0]


def _sampler_picture(scene: Scene) -> Array:
    """Samples side by side."""
    from scenes.watching.sampler_gallery import ANYTHING, SamplerGallerySource

    columns, rows = SAMPLES
    source = SamplerGallerySource(scene, device="cpu")
    pictures: list[Array] = []
    for drawn in source.make(columns * rows, ANYTHING, scene.seed):
        pictures += list(source.pictures(drawn.values))
    lines = [np.concatenate(pictures[i * columns : (i + 1) * columns], 1) for i in range(rows)]
    return np.concatenate(lines)


def main(files: Sequence[str]) -> None:
    """Write the posters of some scenes, those first that take least; each has a limited time."""
    if hasattr(os, "nice"):
        os.nice(5)
    scenes = [load_scene(file) for file in files]
    limited = hasattr(signal, "SIGPROF")
    if limited:
        signal.signal(signal.SIGPROF, _give_up)
    for scene in sorted(scenes, key=_effort):
        if limited:
            signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)
        try:
            picture = draw_poster(scene)
        except Exception:  # whatever a scene lacks here, the others have their posters
            picture = None
        finally:
            if limited:
                signal.setitimer(signal.ITIMER_PROF, 0)
        write_poster(poster_file(scene.source), picture)


def write_poster(file: Path, picture: Array | None) -> None:
    """Write a poster, complete or not at all; None: that there is none."""
    from PIL import Image

    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.{os.getpid()}")
    if picture is None:
        part.touch()
    else:
        Image.fromarray(picture).save(part, "PNG")
    part.replace(file)


def _effort(scene: Scene) -> int:
    if has_task(scene) or scene.world is None:
        return 2
    return int(scene.world.use.startswith("walker"))


def _give_up(number: int, frame: FrameType | None) -> None:
    raise TimeoutError("a poster took too long")


if __name__ == "__main__":
    main(sys.argv[1:])

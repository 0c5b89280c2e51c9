"""Writing a gallery to disk: each file is complete or absent.

If the disk fills up midway, finished files stay and the error names them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import pygame

from generative.gallery.content import Clip, GalleryContent, Strip
from generative.gallery.page import page
from generative.gallery.pictures import enlarging, grid, png, strip_picture
from sim.records import Array
from sim.storage.files import SaveError, reason, write_whole
from sim.viewer.draw.theme import canvas
from sim.viewer.errors import RecordingFailed, ViewerError
from sim.viewer.output.recorder import Recorder

ALWAYS = ("metrics.json", "grid.png", "index.html")
#: Files that some galleries have and others lack; those of an earlier gallery would speak of another model.
SOMETIMES = (
    "interpolation-linear.png",
    "interpolation-spherical.png",
    "traversal.png",
    "filled-in.png",
    "interpolation.mp4",
    "interpolation.gif",
    "denoising.mp4",
    "denoising.gif",
)


def gallery_files(out: Path) -> list[Path]:
    """Existing files in the folder `out` that `write_gallery` may overwrite or remove."""
    return [out / name for name in (*ALWAYS, *_sometimes(out)) if os.path.lexists(out / name)]


def write_gallery(
    out: Path, gallery: GalleryContent, stopped: Callable[[], bool] = lambda: False
) -> list[Path]:
    """Write a gallery into the folder `out`, which is made if need be; files of the same names are replaced.

    Where an earlier gallery lies there, those of its files that this one has not (`SOMETIMES`) are removed,
    after everything is written. No other file is touched.

    Args:
        out: the folder.
        gallery: what is written.
        stopped: asked after each file whether to end there.

    Returns:
        The files, the page first; where it was stopped, those that are finished.

    Raises:
        SaveError: if the disk is full or the place cannot be written; it names the files that are finished.
    """
    finished: list[Path] = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        again = _holds_gallery(out)
        for name, write in _contents(gallery):
            write_whole(out / name, write)
            finished.append(out / name)
            if stopped():
                break
        else:
            if again:
                _remove_leftovers(out, finished)
    except (OSError, ViewerError, RecordingFailed) as error:
        why = reason(error) if isinstance(error, OSError) else str(error)
        done = ", ".join(path.name for path in finished) or "nothing"
        number = error.errno if isinstance(error, OSError) else None
        raise SaveError(
            number, f"could not finish the gallery in {out}: {why}; finished and kept: {done}"
        ) from error
    return sorted(finished, key=lambda path: path.name != "index.html")


def _sometimes(out: Path) -> list[str]:
    """Names of `SOMETIMES`, and those of a gallery's numbered animations."""
    return [*SOMETIMES, *sorted(path.name for path in out.glob("dream-[0-9][0-9].*"))]


def _remove_leftovers(out: Path, finished: list[Path]) -> None:
    for leftover in (out / name for name in _sometimes(out)):
        if leftover not in finished and leftover.is_file():
            leftover.unlink()


def _holds_gallery(out: Path) -> bool:
    """Whether this folder has an earlier gallery, by its ``metrics.json``, which is written first."""
    try:
        told = json.loads((out / "metrics.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(told, dict) and {"title", "metrics", "samples", "command"} <= set(told)


def _contents(gallery: GalleryContent) -> Iterator[tuple[str, Callable[[Path], None]]]:
    """Names of the files, the most important first, and the function that writes each."""
    yield "metrics.json", partial(_write_text, text=json.dumps(_for_programs(gallery), indent=2) + "\n")
    yield "grid.png", partial(_write_png, picture=grid([shown.picture for shown in gallery.samples]))
    for strip in gallery.strips:
        yield f"{strip.name}.png", partial(write_strip, strip=strip)
    for clip in gallery.clips:
        for suffix in ("mp4", "gif"):
            yield f"{clip.name}.{suffix}", partial(_write_clip, clip=clip)
    yield "index.html", partial(_write_text, text=page(gallery))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")


def _write_png(path: Path, picture: Array) -> None:
    path.write_bytes(png(picture))


def write_strip(path: Path, strip: Strip) -> None:
    """Write a strip as PNG."""
    _write_png(path, strip_picture(strip))


def _write_clip(path: Path, clip: Clip) -> None:
    factor = enlarging(clip.frames.shape[1:3])
    height, width = clip.frames.shape[1] * factor, clip.frames.shape[2] * factor
    recorder = Recorder(path, (width, height), clip.fps)
    surface = canvas((width, height))
    try:
        for frame in clip.frames:
            large = frame.repeat(factor, 0).repeat(factor, 1)
            pygame.surfarray.blit_array(surface, large.swapaxes(0, 1))
            recorder.add(surface)
        recorder.close()
    except BaseException:
        recorder.discard()
        raise


def _for_programs(gallery: GalleryContent) -> dict[str, Any]:
    grades = gallery.checkpoint
    return {
        "title": gallery.title,
        "n": len(gallery.samples),
        "metrics": dict(gallery.metrics),
        "beside": {name: dict(figures) for name, figures in gallery.columns.items()},
        "protocol": dict(gallery.protocol),
        **({} if grades is None else {"checkpoint": asdict(grades)}),
        "command": gallery.command,
        "samples": [
            {
                "seed": shown.seed,
                "condition": shown.condition,
                "distance": shown.distance,
                "truth": shown.truth,
                "reading": shown.reading if shown.truth else "",
                "holds": shown.holds,
                "checks": [{**check._asdict(), "right": check.right} for check in shown.checks],
            }
            for shown in gallery.samples
        ],
    }

"""Request for percepts, and percepts as JSON: what `perceive` has in common for images and for tasks."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scenes.data.images import picture_files
from scenes.schema import Scene, SceneError
from sim.percept_kinds import PERCEPT_KINDS, kinds_in
from sim.records import Percept
from sim.storage.files import new_folder

FRAMES = 10  # of the scene's world, where no input is given
FOLDER = Path("perceived")  # default output folder
NAMED = 10  # unreadable images that are listed; those beyond are only counted
PROMISE = "stopping after this image: finished files are kept"


@dataclass(frozen=True)
class PerceiveRequest:
    """Request for percepts of images.

    Attributes:
        source: an image, a video or a folder of them, or what else the perception reads; None for frames of
            the scene's world, or for test examples.
        out: output folder, made if there is none; None for a new one.
        checkpoint: instead of the scene's own.
        overwrite: replace files that are there.
    """

    source: str | None = None
    out: Path | None = None
    checkpoint: Path | None = None
    overwrite: bool = False

    def check(self, scene: Scene) -> None:
        """Check that the source exists, and that nothing in the output folder would be overwritten.

        Raises:
            SceneError, PictureError: naming the file.
        """
        if self.source is None:
            names = {f"{scene.name}-{number}" for number in range(FRAMES)}
        else:
            names = {file.name for file in picture_files(Path(self.source))}
        if self.out is None:
            return
        if self.out.exists() and not self.out.is_dir():
            raise SceneError(f"{self.out} is a file: name a folder with --out")
        if self.out.is_dir() and not self.overwrite:
            for file in sorted(self.out.iterdir()):
                found = written_name(file.name)
                if found and {found[1], found[1] + (found[2] or "")} & names:
                    raise SceneError(
                        f"--out {self.out}: {file} would be overwritten; name another folder, "
                        "or add --overwrite"
                    )

    def folder(self) -> AbstractContextManager[Path]:
        """Output folder: `out`, or the next free name."""
        return new_folder(FOLDER) if self.out is None else nullcontext(self.out)


def as_json(source: str, percept: Percept) -> dict[str, Any]:
    """A percept as JSON: only fields that apply, without mask and depth, which are files."""
    row: dict[str, Any] = {"source": source, "origin": percept.origin}
    for kind in kinds_in(percept):
        row |= PERCEPT_KINDS[kind].as_json(percept)
    return row


def written_name(name: str) -> re.Match[str] | None:
    """A file's name as `Looked.keep` gives it: the picture's, the number in a video, and what is kept."""
    suffixes = ["seen.png", *(kind.file.suffix for kind in PERCEPT_KINDS.values() if kind.file)]
    return re.fullmatch(rf"(.+?)(-\d+)?\.({'|'.join(map(re.escape, suffixes))})", name)

"""Data set of Tux Paint's stamps, photographs and drawings with captions and masks (tuxpaint-stamps-default).

Bitmaps (PNG with transparency) are downscaled to fit 64 × 64 on white. Labels are the package's own folders
(animals, vehicles, …), captions its English sentences; a truth holds the foreground mask. Images in one
folder are by the same authors, so a folder is an episode.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from generative.data.data_request import DataError, DataRequest
from sim.records import Array, Percept
from supervised.data.columns import LabelColumn
from supervised.data.dataset import Dataset

PLACE = Path("/usr/share/tuxpaint/stamps")
MEND = "sudo apt install tuxpaint-stamps-default"
SIZE = 64
OPAQUE = 128  # alpha from which a pixel belongs to the stamp


def collect(request: DataRequest) -> Dataset:
    """Make the data set: images (N, 64, 64, 3) uint8; labels are folders; captions; binary masks (64, 64)."""
    request.no_variant("stamps")
    files = sorted(path for path in PLACE.rglob("*.png") if path.relative_to(PLACE).parts[1:])
    if not files:
        raise DataError(f'the data set "stamps" needs pictures that are not installed: {MEND}')
    parents = sorted({path.parent for path in files})  # of all: an episode's number hangs on no count
    order = np.sort(np.random.default_rng(request.seed).permutation(len(files))[: request.count])
    files = [files[i] for i in order]
    folders = sorted({path.relative_to(PLACE).parts[0] for path in files})
    drawn = [small(path) for path in files]
    captions = tuple(sentence(path) for path in files)
    labels = [folders.index(path.relative_to(PLACE).parts[0]) for path in files]
    return Dataset(
        values=np.stack([rgb for rgb, _ in drawn]),
        labels=LabelColumn(np.array(labels, np.int64), tuple(folders)),
        episodes=np.array([parents.index(path.parent) for path in files], np.int64),
        captions=captions,
        truths=tuple(
            Percept("truth", mask=mask, caption=caption)
            for (_, mask), caption in zip(drawn, captions, strict=True)
        ),
    )


def small(path: Path) -> tuple[Array, Array]:
    """Downscale a stamp to (64, 64, 3) uint8 on white in its own proportions; also its mask (64, 64) uint8.

    Raises:
        DataError: if it is no image.
    """
    try:
        with Image.open(path) as opened:
            stamp = opened.convert("RGBA")
    except OSError as error:
        raise DataError(f"{path} is damaged ({error}): {MEND}") from error
    scale = SIZE / max(stamp.size)
    sides = [max(1, round(side * scale)) for side in stamp.size]
    shrunk = stamp.resize((sides[0], sides[1]), Image.Resampling.BOX)
    corner = (SIZE - sides[0]) // 2, (SIZE - sides[1]) // 2
    canvas = Image.new("RGBA", (SIZE, SIZE), (255, 255, 255, 0))
    canvas.paste(shrunk, corner)
    alpha = np.asarray(canvas)[..., 3]
    white = Image.new("RGBA", (SIZE, SIZE), (255, 255, 255, 255))
    rgb = np.asarray(Image.alpha_composite(white, canvas).convert("RGB"))
    return rgb, (alpha >= OPAQUE).astype(np.uint8)


def sentence(path: Path) -> str:
    """English caption of a stamp, the first line of its text file; empty where there is none."""
    try:
        lines = path.with_suffix(".txt").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return lines[0].strip() if lines else ""

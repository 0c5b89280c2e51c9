"""Data set of emoji with their names, from the Noto Color Emoji font (Debian's fonts-noto-color-emoji).

Each is drawn at the font's own 109 pixels and downscaled to 64 × 64 on white. Labels are Unicode blocks;
captions are Unicode names ("grinning cat face with smiling eyes"). An emoji is an episode of its own.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from generative.data.data_request import DataError, DataRequest
from sim.records import Array
from supervised.data.columns import LabelColumn
from supervised.data.dataset import Dataset

PLACES = (
    "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf",
    "/usr/share/fonts/noto/NotoColorEmoji.ttf",
    "/usr/share/fonts/google-noto-emoji/NotoColorEmoji.ttf",
)
MEND = "sudo apt install fonts-noto-color-emoji"
STRIKE = 109  # the only size that the font's bitmaps have
CANVAS = 136  # pixels; a bitmap is 136 × 128
SIZE = 64
#: Unicode's blocks: name, first and last code point.
BLOCKS = (
    ("symbols", 0x2600, 0x27BF),
    ("weather, plants and food", 0x1F300, 0x1F37F),
    ("feasts, sports and houses", 0x1F380, 0x1F3FF),
    ("animals and people", 0x1F400, 0x1F4A9),
    ("things and signs", 0x1F4AA, 0x1F5FF),
    ("faces", 0x1F600, 0x1F64F),
    ("traffic", 0x1F680, 0x1F6FF),
    ("more faces, food and animals", 0x1F900, 0x1F9FF),
    ("newer ones", 0x1FA70, 0x1FAFF),
)


def collect(request: DataRequest) -> Dataset:
    """Make the data set: images (N, 64, 64, 3) uint8, about 1,300; labels are blocks, captions names."""
    request.no_variant("emoji")
    found = list(_all(font()))
    if not found:
        raise DataError(f"the emoji font has no colour pictures that Pillow can draw: {MEND}")
    rows = np.sort(np.random.default_rng(request.seed).permutation(len(found))[: request.count])
    labels = np.array([label for label, _, _ in found], np.int64)
    whole = Dataset(
        values=np.stack([rgb for _, _, rgb in found]),
        labels=LabelColumn(labels, tuple(name for name, _, _ in BLOCKS)),
        episodes=np.arange(len(found)),
        captions=tuple(name for _, name, _ in found),
    )
    return whole.take(rows)


def font() -> ImageFont.FreeTypeFont:
    """Load the emoji font.

    Raises:
        DataError: if it is not installed, with the line that installs it.
    """
    for place in PLACES:
        if Path(place).is_file():
            try:
                return ImageFont.truetype(place, STRIKE)
            except OSError as error:
                raise DataError(f"{place} cannot be read ({error}): {MEND}") from error
    raise DataError(f'the data set "emoji" needs a font that is not installed: {MEND}')


def _all(face: ImageFont.FreeTypeFont) -> Iterator[tuple[int, str, Array]]:
    """Every emoji that the font has in colour: number of its block, name, image."""
    for label, (_, first, last) in enumerate(BLOCKS):
        for code in range(first, last + 1):
            name = unicodedata.name(chr(code), "")
            rgb = _drawn(chr(code), face) if name and "MODIFIER" not in name else None
            if rgb is not None:
                yield label, name.lower().replace("-", " "), rgb


def _drawn(character: str, face: ImageFont.FreeTypeFont) -> Array | None:
    """Draw an emoji, (64, 64, 3) uint8 on white; None where the font has no colour glyph of it."""
    canvas = Image.new("RGBA", (CANVAS, CANVAS), (255, 255, 255, 255))
    ImageDraw.Draw(canvas).text((0, 0), character, font=face, embedded_color=True)
    rgb = np.asarray(canvas.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BOX))
    return rgb if rgb.std() > 1 else None

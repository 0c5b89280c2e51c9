"""Parsing of ``--condition key=value`` into a `Condition`: files are read, boards drawn, words checked.

| key | value |
|---|---|
| label | one of the data's classes |
| text | a sentence in the words of its captions |
| board | the pieces of a FEN; ``?`` for each square to inpaint |
| frame | an image file, or the number of a held-out example |
| mask | the part to inpaint: an image file (white), ``x0,y0,x1,y1`` in pixels, or names of a vector's axes |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from generative.conditions import check_condition
from scenes.data.images import read_pictures
from sim.errors import RequestError
from sim.fields import check_path, nearest
from sim.records import Array, Condition
from sim.storage.files import special_file_kind
from supervised.data.dataset import Dataset, Spec

KEYS = ("label", "text", "board", "frame", "mask")
PARTS = ("label", "text", "frame", "mask", "latent")  # of a `Condition`
BOARD = 64  # pixels on a side of the boards of `generative.data.boards`
WHITE = 128  # least grey level of a mask's pixel that is inpainted


class ConditionOptionError(RequestError, ValueError):
    """A condition that is invalid, or that this sampler does not support."""


def parse_condition(pairs: Sequence[str], spec: Spec, held_out: Callable[[], Dataset]) -> Condition:
    """Parse the condition of a command line.

    Args:
        pairs: ``key=value`` each.
        spec: of the sampler's data set.
        held_out: gives the held-out examples, for frames by number.

    Raises:
        ConditionOptionError: naming the condition and what is wrong with it.
    """
    given: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise ConditionOptionError(
                f'--condition wants key=value, not "{pair}"; keys are {", ".join(KEYS)}'
            )
        if key not in KEYS:
            raise ConditionOptionError(
                f'--condition {pair}: there is no condition "{key}"; {nearest(key, KEYS)}'
            )
        if key in given:
            raise ConditionOptionError(f"--condition {key} is given twice")
        given[key] = value
    if "board" in given and {"frame", "mask"} & set(given):
        raise ConditionOptionError(
            "--condition board says what is there and what is not: leave frame and mask out"
        )
    frame = _frame(given["frame"], spec, held_out) if "frame" in given else None
    mask = _mask(given["mask"], spec) if "mask" in given else None
    if "board" in given:
        frame, mask = _board(given["board"], spec)
    condition = Condition(given.get("label"), given.get("text"), frame, mask)
    try:
        check_condition(condition, spec, PARTS)
    except ValueError as error:
        raise ConditionOptionError(f"--condition: {error}") from error
    return condition


def in_words(condition: Condition) -> str:
    """Format a condition; empty for none.

    >>> in_words(Condition(label="pong", text="The score is 3 to 0."))
    'label pong, "The score is 3 to 0."'
    """
    said = [f"label {condition.label}"] if condition.label else []
    said += [f'"{condition.text}"'] if condition.text else []
    if condition.frame is not None:
        share = "" if condition.mask is None else f", {np.mean(condition.mask):.0%} of it to inpaint"
        said.append(f"a frame{share}")
    return ", ".join(said)


def _frame(value: str, spec: Spec, held_out: Callable[[], Dataset]) -> Array:
    if value.isdecimal():
        examples = held_out().values
        if int(value) >= len(examples):
            raise ConditionOptionError(
                f"--condition frame={value}: held-out examples are 0 to {len(examples) - 1}"
            )
        return np.asarray(examples[int(value)])
    if not spec.pictures:
        raise ConditionOptionError(
            f"--condition frame={value}: for vectors, give the number of a held-out example"
        )
    rgb = _picture("frame", value)
    height, width = spec.shape[:2]
    if rgb.shape[0] < height or rgb.shape[1] < width:
        raise ConditionOptionError(
            f"--condition frame={value} has {rgb.shape[1]}×{rgb.shape[0]} pixels, "
            f"this sampler makes {width}×{height}: take a picture that is no smaller"
        )
    from PIL import Image

    return np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.BOX))


def _mask(value: str, spec: Spec) -> Array:
    if not spec.pictures:
        return _axes(value, spec)
    height, width = spec.shape[:2]
    corners = value.split(",")
    if len(corners) == 4 and all(corner.strip().isdecimal() for corner in corners):
        x0, y0, x1, y1 = map(int, corners)
        if not (x0 < x1 <= width and y0 < y1 <= height):
            raise ConditionOptionError(
                f"--condition mask={value} is no part of a picture of {width}×{height} pixels: "
                "write x0,y0,x1,y1 with x0 < x1 and y0 < y1"
            )
        box = np.zeros((height, width), bool)
        box[y0:y1, x0:x1] = True
        return box
    rgb = _picture("mask", value)
    if rgb.shape[:2] != (height, width):
        raise ConditionOptionError(
            f"--condition mask={value} has {rgb.shape[1]}×{rgb.shape[0]} pixels, "
            f"it must have {width}×{height}"
        )
    return np.asarray(rgb.mean(-1) >= WHITE)


def _axes(value: str, spec: Spec) -> Array:
    """Mask (D,) bool of the named axes of a vector."""
    mask = np.zeros(len(spec.axes), bool)
    for name in (part.strip() for part in value.split(",")):
        if name not in spec.axes:
            raise ConditionOptionError(
                f'--condition mask={value}: no axis "{name}"; {nearest(name, spec.axes)}'
            )
        mask[spec.axes.index(name)] = True
    return mask


def _picture(key: str, value: str) -> Array:
    """Read the first image of a file, (H, W, 3) uint8."""
    path = Path(value)
    check_path(path, f"--condition {key}")
    if odd := special_file_kind(path):
        raise ConditionOptionError(f"--condition {key}={value} is {odd}, not a picture")
    if not path.is_file():
        raise ConditionOptionError(f"--condition {key}={value}: there is no such file")
    return next(rgb for _, rgb in read_pictures(path))


def _board(value: str, spec: Spec) -> tuple[Array, Array]:
    """Frame and inpainting mask of a FEN: its drawn board, and the pixels of squares marked ``?``."""
    if spec.shape != (BOARD, BOARD, 3) or spec.label_names != ("board",):
        raise ConditionOptionError("--condition board: this sampler does not make chess boards")
    ranks = value.split("/")
    squares = ["".join("." * int(c) if c.isdecimal() else c for c in rank) for rank in ranks]
    if len(ranks) != 8 or any(len(rank) != 8 or set(rank) - set(".?pnbrqkPNBRQK") for rank in squares):
        raise ConditionOptionError(
            f'--condition board={value}: want eight ranks of eight squares, as in a FEN, with "?" for those '
            "to be filled in, such as rnbqkbnr/pppppppp/????????/8/8/8/PPPPPPPP/RNBQKBNR"
        )
    import chess

    from generative.data.boards import draw_position

    board = chess.Board(None)
    for row, rank in enumerate(squares):
        for column, man in enumerate(rank):
            if man not in ".?":
                board.set_piece_at(chess.square(column, 7 - row), chess.Piece.from_symbol(man))
    unknown = np.array([[man == "?" for man in rank] for rank in squares])
    if not unknown.any():
        raise ConditionOptionError(
            f'--condition board={value}: no square is "?", so there is nothing to inpaint'
        )
    cell = BOARD // 8
    return draw_position(board), unknown.repeat(cell, 0).repeat(cell, 1)

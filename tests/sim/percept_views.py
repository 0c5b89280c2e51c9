"""What tests of the perception overlay share: a model's percepts, their truths, pixels of a colour."""

from dataclasses import replace

import numpy as np

from sim.records import Percept


def model(*found, **fields):
    """A model's percept of (label, x0, y0, x1, y1)."""
    edges = np.array([box for _, *box in found], np.float32).reshape(-1, 4)
    return Percept("model", boxes=edges, labels=tuple(label for label, *_ in found), **fields)


def true(percept):
    return replace(percept, origin="truth", scores=None)


def is_color(pixels, color):
    return (pixels == color).all(axis=-1)

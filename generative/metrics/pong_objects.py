"""Objects in small frames of Pong, counted by colour: paddles and ball.

Frames are 64 × 64, downscaled by area averaging as in `generative.data.frames`: a pixel's colour is a mixture
of the court's and of its objects', and solving three channels for three objects gives the share of the pixel
that each covers (linear unmixing, Keshava & Mustard 2002). Connected pixels of one object are one of it.

No model reads the frame, so none has to be trusted; it holds for this game and this size alone.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import label

from sim.records import Array

COURT = (144, 72, 17)
#: Colours of the console by object, in the order of the counts.
OBJECTS = {"player": (92, 186, 92), "enemy": (213, 130, 74), "ball": (236, 236, 236)}
ROWS = slice(11, 59)  # of the court, between the walls
COVERED = 0.12  # share of a pixel from which it belongs to an object
#: Least of a paddle and of a ball that counts, in covered pixels; whole ones have 7.8 and 1.0.
LEAST = {"player": 0.5, "enemy": 0.5, "ball": 0.35}


def count_pong_objects(frames: Array) -> Array:
    """How many of each of `OBJECTS` frames (n, 64, 64, 3) uint8 show, (n, 3) int64.

    >>> frame = np.full((1, 64, 64, 3), COURT, np.uint8)
    >>> frame[0, 20:25, 56], frame[0, 30, 30] = OBJECTS["player"], OBJECTS["ball"]
    >>> count_pong_objects(frame).tolist()
    [[1, 0, 1]]
    """
    if frames.shape[1:] != (64, 64, 3):
        raise ValueError(f"frames are 64 × 64 × 3, not {' × '.join(map(str, frames.shape[1:]))}")
    colors = np.array(list(OBJECTS.values()), float) - COURT
    covered = (frames[:, ROWS].astype(float) - COURT) @ np.linalg.inv(colors)  # (n, rows, 64, 3)
    counts = np.zeros((len(frames), len(OBJECTS)), np.int64)
    for i, shares in enumerate(covered):
        for k, name in enumerate(OBJECTS):
            pieces, n = label(shares[..., k] > COVERED, np.ones((3, 3)))
            sizes = np.bincount(pieces.ravel(), shares[..., k].ravel(), n + 1)[1:]
            counts[i, k] = (sizes >= LEAST[name]).sum()
    return counts


def shows_all_pong_objects(frames: Array) -> Array:
    """Whether frames (n, 64, 64, 3) show exactly one ball and one paddle on each side, (n,) bool."""
    found: Array = (count_pong_objects(frames) == 1).all(1)
    return found

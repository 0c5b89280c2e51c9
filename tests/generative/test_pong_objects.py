"""Objects of Pong counted by colour: known mixtures of pixels, and real frames beside their truth."""

import numpy as np
import pytest

from generative.data.frames import of_game
from generative.metrics.pong_objects import COURT, OBJECTS, count_pong_objects, shows_all_pong_objects


def court(**places):
    """A frame (64, 64, 3) with objects by name: row, column, height, share of the pixels that they cover."""
    frame = np.full((64, 64, 3), COURT, float)
    for name, (row, column, height, share) in places.items():
        part = frame[row : row + height, column]
        part += share * (np.array(OBJECTS[name.rstrip("2")]) - part)
    return frame.round().astype(np.uint8)


PADDLES = {"player": (20, 56, 5, 1.0), "enemy": (40, 7, 5, 1.0)}


@pytest.mark.parametrize(
    ("places", "counts"),
    [
        ({}, [0, 0, 0]),
        (PADDLES, [1, 1, 0]),
        (PADDLES | {"ball": (30, 30, 1, 0.8)}, [1, 1, 1]),
        (PADDLES | {"ball": (30, 30, 2, 0.4)}, [1, 1, 1]),  # on the edge of two pixels
        (PADDLES | {"ball": (30, 30, 1, 0.2)}, [1, 1, 0]),  # a shadow of a ball is none
        (PADDLES | {"ball": (30, 30, 1, 0.9), "ball2": (30, 40, 1, 0.9)}, [1, 1, 2]),
        (PADDLES | {"ball": (30, 8, 1, 0.9)}, [1, 1, 1]),  # beside another object
        (PADDLES | {"player2": (50, 56, 5, 1.0), "ball": (30, 30, 1, 0.9)}, [2, 1, 1]),
    ],
)
def test_objects_are_counted_by_the_share_of_pixels_that_they_cover(places, counts):
    frame = court(**places)[None]
    assert count_pong_objects(frame)[0].tolist() == counts
    assert shows_all_pong_objects(frame).tolist() == [counts == [1, 1, 1]]


def test_real_frames_are_counted_as_their_truth_says():
    played = of_game("pong", 64, 0, ())
    truth = [[name in one.labels for name in OBJECTS] for one in played.truths]
    counts = count_pong_objects(played.values)
    assert (counts == np.array(truth)).all(1).mean() >= 0.9, "a ball half behind a wall is none"
    assert 0.3 < np.mean([all(one) for one in truth]) < 1, "some have a ball, some do not"


def test_other_sizes_are_refused():
    with pytest.raises(ValueError, match="64 × 64 × 3, not 32 × 32 × 3"):
        count_pong_objects(np.zeros((1, 32, 32, 3), np.uint8))

"""Perceptions in the window: origins truth, model and noisy truth, where noise applies."""

from __future__ import annotations

import numpy as np
import pytest

from scenes.cli.main import main
from scenes.schema import load_scene
from scenes.watching.perception_overlay import to_picture_pixels
from scenes.watching.scene_show import SceneShow
from sim.chess.world import Chess
from sim.viewer.contract.gesture import Gesture

PONG = """
title = "Pong, seen"
[world]
use = "atari/pong"
"""
DETECTOR = """
[[perception]]
use = "detector"
origin = "truth"
channels = 4
"""
CAPTIONER = """
[[perception]]
use = "captioner"
origin = "truth"
channels = 4
"""


@pytest.fixture
def written(tmp_path):
    """Write a scene with these perceptions; returns its path."""

    def write(*perceptions):
        (tmp_path / "seen.toml").write_text(PONG + "".join(perceptions))
        return str(tmp_path / "seen.toml")

    return write


def seen_at_each_stop(scene, presses):
    """What is seen at first and after each T, as many `PerceptView` a stop as there are perceptions."""
    show = SceneShow(scene, device="cpu", most_worlds=1, attended=False)
    try:
        show.start(0)
        for _ in range(60):
            show.step(2)
        stops = [show.look().seen]
        for _ in range(presses):
            show.touch(Gesture("origin"))
            stops.append(show.look().seen)
        return stops
    finally:
        show.close()


def origins(stops):
    return [tuple(seen.percept.origin for seen in stop) for stop in stops]


def test_what_noise_moves_is_seen_three_ways_and_all_else_two(written):
    boxes = origins(seen_at_each_stop(load_scene(written(DETECTOR)), 3))
    assert boxes == [("truth",), ("model",), ("noisy truth",), ("truth",)]
    captions = origins(seen_at_each_stop(load_scene(written(CAPTIONER)), 3))
    assert captions == [("truth",), ("model",), ("truth",), ("model",)]


def test_perceptions_of_both_sorts_go_on_together(written):
    stops = seen_at_each_stop(load_scene(written(DETECTOR, CAPTIONER)), 3)
    assert origins(stops) == [("truth",) * 2, ("model",) * 2, ("noisy truth", "truth"), ("truth",) * 2]
    assert stops[2][1].truth is None and not stops[2][1].scores, "the truth is not held against itself"


def test_the_audience_sees_noise_as_strong_as_the_scene_says(written):
    quiet = [f"perception.0.{key}=0" for key in ("noise_pixels", "noise_misses")]
    ((seen,),) = seen_at_each_stop(
        load_scene(written(DETECTOR), ["perception.0.origin=noisy truth", *quiet]), 0
    )
    assert seen.percept.origin == "noisy truth" and len(seen.truth.boxes) > 1
    np.testing.assert_array_equal(seen.percept.boxes, seen.truth.boxes)
    blind = ["perception.0.origin=noisy truth", "perception.0.noise_misses=1"]
    ((seen,),) = seen_at_each_stop(load_scene(written(DETECTOR), blind), 0)
    assert len(seen.percept.boxes) == 0 and len(seen.truth.boxes) > 1


def test_noise_in_what_it_does_not_change_is_refused(written, capsys):
    change = ["--set", "perception.1.origin=noisy truth"]
    scene = written(DETECTOR, CAPTIONER)
    assert main(["watch", scene, "--headless", "--frames", "2", "--device", "cpu", *change]) == 2
    said = capsys.readouterr().err
    assert "[[perception]] number 1" in said and '"captioner" tells caption' in said
    assert "noise moves boxes and keypoints only" in said and "Traceback" not in said


def test_whoever_watches_does_not_wait_for_a_model_which_says_the_same_a_little_later(written):
    """In the window its percepts are pending at first, in a recording they are there; they are the same."""
    scene = load_scene(written(DETECTOR, CAPTIONER), ["perception.0.origin=model"])
    moments = {}
    for attended in (True, False):
        show = SceneShow(scene, device="cpu", most_worlds=1, attended=attended)
        show.start(0)
        moments[attended] = [show.step(2) for _ in range(3)][-1]
        show.close()
    late, done = moments[True], moments[False]
    assert done.perceive is None and not any(seen.pending for seen in done.seen)
    assert [bool(seen.pending) for seen in late.seen] == [True, False], "the truth is never late"
    assert len(late.seen[0].truth.boxes) == len(done.seen[0].truth.boxes) > 0
    completed = late.perceive(late.pictures[0], late.seen)
    assert completed[1] is late.seen[1] and not completed[0].pending
    assert completed[0].scores == done.seen[0].scores != ()
    np.testing.assert_array_equal(completed[0].percept.boxes, done.seen[0].percept.boxes)
    assert completed[0].percept.labels == done.seen[0].percept.labels


def test_a_picture_that_is_shown_has_percepts_though_nobody_asked_for_it(written):
    """A late show asks for few pictures; cheap ones come anyway, and without percepts they would flicker."""
    show = SceneShow(load_scene(written(DETECTOR)), device="cpu", most_worlds=1, attended=True)
    try:
        first = show.start(0)
        unasked = show.step(2, drawn=False)
        assert unasked.pictures is not first.pictures and len(unasked.seen) == len(first.seen) == 1
    finally:
        show.close()


@pytest.mark.parametrize("grid", [False, True])
def test_corner_marks_of_a_board_are_at_its_corners_whatever_stands_above_it(grid):
    world = Chess(opponent="greedy").make(0)
    world.reset(seed=0)
    renderer = world.interactive_renderer()
    renderer.touch(Gesture("resize", 640, 700))
    renderer.touch(Gesture("grid", on=grid))
    while len(world.game.board.piece_map()) > 28:  # so that there are captured pieces
        world.step(int(world.game.legal_actions()[-1]))
    renderer.note()
    left, top, right, bottom = renderer.board
    assert renderer.draw().shape[0] - bottom == top and (top == 0) == grid
    seen = to_picture_pixels(renderer.truth(), renderer.board)
    corners = {(round(x), round(y)) for x, y, _ in seen.keypoints.values()}
    assert corners == {(left, top), (right, top), (left, bottom), (right, bottom)}

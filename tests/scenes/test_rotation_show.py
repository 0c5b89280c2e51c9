"""Rotation show: a classifier of several games looks at each of them in turn."""

from __future__ import annotations

import numpy as np
import pytest

from scenes.schema import load_scene
from scenes.watching import rotation_show
from scenes.watching.playlist import show_of
from scenes.watching.rotation_show import RotationShow, rotated_worlds
from sim.viewer.contract.gesture import Ability, Gesture
from sim.viewer.playback.view import Facts

SCENE = """
title = "Two games"
[world]
use = "atari/pong"
[agent]
use = "random"
[[perception]]
use = "classifier"
worlds = ["atari/freeway", "atari/pong"]
channels = 8
"""


@pytest.fixture
def show(tmp_path, monkeypatch):
    monkeypatch.setattr(rotation_show, "SECONDS", 0.2)
    (tmp_path / "two.toml").write_text(SCENE)
    found = show_of(load_scene(str(tmp_path / "two.toml")), device="cpu", attended=False)
    yield found
    found.close()


def test_the_game_changes_every_few_seconds_and_comes_round_again(show):
    assert isinstance(show, RotationShow)
    moments = [show.start(0)]
    turn = int(0.2 * show.steps_per_second)
    for _ in range(3 * (turn + 1)):
        moments.append(show.step(None))
    labels = [moment.seen[0].truth.label for moment in moments]
    assert [labels[i * (turn + 1)] for i in range(4)] == ["pong", "freeway", "pong", "freeway"]
    changes = [i for i in range(1, len(labels)) if labels[i] != labels[i - 1]]
    assert np.diff([0, *changes]).tolist() == [turn + 1] * 3
    assert all(moment.seen[0].percept.label in ("pong", "freeway") for moment in moments)
    assert moments[0].pictures[0].shape == moments[turn + 1].pictures[0].shape == (210, 160, 3)
    assert (moments[turn + 2].actions >= 0).all(), "it is played, at random"


def test_nobody_is_asked_to_play_examples_and_an_origin_holds_for_all(show):
    assert not Facts.of(show).played and Ability.PERCEPTS in show.abilities
    show.start(0)
    show.touch(Gesture("origin"))
    origins = {show.world: show.look().seen[0].percept.origin}
    while show.world == "atari/pong":
        moment = show.step(None)
    origins[show.world] = moment.seen[0].percept.origin
    assert origins["atari/pong"] == origins["atari/freeway"] != "model"


def test_a_perception_of_one_world_has_nothing_to_go_round():
    assert rotated_worlds(load_scene("pong-detector")) == ()
    assert rotated_worlds(load_scene("pong")) == ()
    names = rotated_worlds(load_scene("game-classifier"))
    assert names[0] == "atari/pong" and len(names) == len(set(names)) == 10

"""Every kind of percept: trained, scored, drawn beside the truth and run on image files."""

from __future__ import annotations

import numpy as np
import pytest
from command_line import answer

from scenes.build.agents import scene_world
from scenes.build.perceptions import perception_config, scene_vocabulary
from scenes.cli.main import main
from scenes.data.perception_data import CHANCE, scene_label_data, scene_player
from scenes.evaluation import perceptions
from scenes.perceiving import command
from scenes.schema import load_scene
from scenes.watching.scene_show import SceneShow
from sim.storage.checkpoints import load_checkpoint
from sim.viewer.contract.gesture import Gesture
from supervised.catalog import PERCEPTIONS
from supervised.data.capture import CaptureSpec
from supervised.observation.percept_noise import NOISE

#: Kind → world, what the vocabulary holds, what one blind percept scores at best, and a row of the breakdown.
KINDS = {
    "mask": ("walker/hopper", "torso", ("miou", 0.4), "floor"),
    "depth": ("walker/hopper", None, ("delta1", 0.5), "0 to 3 m"),
    "keypoints": ("walker/hopper", "knee", ("pck_0.1", 0.4), "knee"),
    "label": ("atari/pong", "breakout", ("top1", 0.5), "pong"),
    "fen": ("chess", None, ("exact", 0.0), "empty"),
    "caption": ("atari/freeway", "chicken", ("state_exact", 0.0), "lane"),
}


#: Those that differ most in how they are taken, scored and drawn; the others are as slow and as alike.
DEFAULT = ("mask", "fen")


@pytest.fixture(params=[pytest.param(k, marks=[] if k in DEFAULT else [pytest.mark.slow]) for k in KINDS])
def kind(request, monkeypatch, few):
    name = f"Blind{request.param.title()}"
    monkeypatch.setitem(PERCEPTIONS, "blind", f"blind:{name}")
    few(perceptions, GRADED=6, EVERY=3)
    few(command, FRAMES=2, EVERY=3)
    return request.param


@pytest.fixture
def scene(kind, tmp_path):
    worlds = 'worlds = ["atari/pong", "atari/breakout"]' if kind == "label" else ""
    small = "width = 96\nheight = 96" if KINDS[kind][0] == "walker/hopper" else ""
    file = tmp_path / "blind.toml"
    file.write_text(f"""
title = "Blind"
[world]
use = "{KINDS[kind][0]}"
{small}
[[perception]]
use = "blind"
{worlds}
[train]
updates = 4
""")
    return str(file)


def test_from_training_to_the_window(scene, kind, tmp_path, capsys):
    _, word, (figure, most), row = KINDS[kind]
    assert main(["train", scene, "--run", str(tmp_path / "run")]) == 0
    folder = tmp_path / "run" / "checkpoints" / "4"
    card = load_checkpoint(folder).card
    assert card["tells"] == kind and card["classes"] == list(scene_vocabulary(load_scene(scene)))
    assert word in card["classes"] if word else card["classes"] == []
    assert load_checkpoint(folder).weights["level"] > 0, "it has learned that pictures are not black"

    found = answer(capsys, "evaluate", scene, "--checkpoint", str(folder))
    assert 0 <= found["metrics"][figure] <= most and found["n"] == 6
    assert 0 <= found["baseline"][figure] <= 1 and row in found["breakdown"]
    if kind in ("label", "caption"):  # the other pictures are of one episode, which has no interval
        low, high = found["ci95"][figure]
        assert low <= found["metrics"][figure] <= high
    assert "unseen seeds" in found["protocol"]["views"]

    out = str(tmp_path / "out")
    seen = answer(capsys, "perceive", scene, "--checkpoint", str(folder), "--out", out)["percepts"]
    assert len(seen) == 2 and all(kind in percept for percept in seen)

    show = SceneShow(load_scene(scene), device="cpu", checkpoint=folder, most_worlds=1, attended=False)
    try:
        (eye,) = show.start(0).seen
        assert (eye.percept.origin, eye.truth.origin) == ("model", "truth") and eye.scores
        assert getattr(eye.percept, kind) is not None and getattr(eye.truth, kind) is not None
        for _ in range(2 if kind in NOISE else 1):
            show.touch(Gesture("origin"))
        (eye,) = show.look().seen
        assert eye.percept.origin == "truth" and eye.truth is None
        assert bool(eye.edges) == (kind in ("mask", "depth", "keypoints"))
    finally:
        show.close()


def test_a_perception_of_text_is_not_given_pictures(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(PERCEPTIONS, "blind", "blind:BlindReader")
    file = tmp_path / "blind.toml"
    file.write_text('title = "Blind"\n[world]\nuse = "chess"\n[[perception]]\nuse = "blind"\n')
    assert main(["perceive", str(file), "--out", str(tmp_path / "out")]) == 2
    assert (
        'perception "blind" reads text, but is given pictures here; use one that reads rgb'
        in capsys.readouterr().err
    )


PONG = """
title = "Pong"
[world]
use = "atari/pong"
[agent]
use = "random"
[[perception]]
use = "detector"
graded_by = "{}"
"""


def test_another_agent_plays_in_graded_pictures(tmp_path):
    hour = load_scene("pong-hour")
    file = tmp_path / "graded.toml"
    file.write_text(PONG.format(hour.resolve(hour.agent.checkpoint)))
    scene = load_scene(str(file))
    own, other = scene_player(scene), scene_player(scene, graded=True)
    assert own.name == "the scene's random" and other.name == "pqn of pong-hour"
    config = perception_config(scene)
    takings = [(CaptureSpec("boxes", 4, 3, every=40), player) for player in (own, other)]
    one, two = (scene_label_data(scene, config, spec, player) for spec, player in takings)
    differ = [not np.array_equal(a, b) for a, b in zip(one.values, two.values, strict=True)]
    assert any(differ[::2]) and not any(differ[1::2]), "it plays in every second world, chance in the others"


def test_a_scene_says_whether_walkers_are_seen_as_people_watch_them():
    scene = load_scene("walker-eye")
    own = scene_world(scene).make(seed=0)
    own.camera.width = own.camera.height = 128
    own.reset()
    sky = own.render()[:8]  # rows that no walker reaches
    own.close()
    for change, alike in (([], True), (["perception.0.as_watched=false"], False)):
        scene = load_scene("walker-eye", change)
        views = scene_label_data(scene, perception_config(scene), CaptureSpec("keypoints", 3, 5), CHANCE)
        assert all(np.array_equal(rgb[:8], sky) == alike for rgb in views.values)


def test_a_checkpoint_of_another_world_does_not_grade(tmp_path, capsys):
    walker = load_scene("walker")
    file = tmp_path / "graded.toml"
    file.write_text(PONG.format(walker.resolve(walker.agent.checkpoint)))
    assert main(["evaluate", str(file)]) == 2
    assert "world is walker/walker2d, here it is atari/pong" in capsys.readouterr().err


def test_a_world_without_such_truth_is_refused_by_name(tmp_path, capsys):
    file = tmp_path / "boxes.toml"
    file.write_text('title = "Boxes"\n[world]\nuse = "walker/hopper"\n[[perception]]\nuse = "detector"\n')
    assert main(["train", str(file), "--steps", "1", "--run", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert 'does not know the truth about "boxes"' in error and "keypoints" in error
    file.write_text('title = "Boxes"\n[world]\nuse = "gym/CartPole-v1"\n[[perception]]\nuse = "detector"\n')
    assert main(["perceive", str(file), "--out", str(tmp_path / "out")]) == 2
    assert "gym/CartPole-v1 does not know the truth" in capsys.readouterr().err

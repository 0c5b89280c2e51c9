"""Every scene that ships runs, and every checkpoint that ships loads and keeps its word."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agents.evaluate import evaluate
from scenes.build import build_policy, scene_agent
from scenes.grading import grade_perception
from scenes.living import lived_world
from scenes.perceiving import trains_perception
from scenes.schema import load_scene, shipped_scenes
from scenes.stage import SceneShow
from scenes.verbs import is_trained
from sim.checkpoints import load_card

SCENES = [name for name in shipped_scenes() if load_scene(name).world]
TRAINED = [name for name in SCENES if is_trained(load_scene(name))]
SEEING = [name for name in TRAINED if trains_perception(load_scene(name))]
PLAYING = [name for name in TRAINED if name not in SEEING]


@pytest.mark.parametrize("name", SCENES)
def test_a_scene_plays_twenty_steps(name):
    scene = load_scene(name)
    show = SceneShow(scene, device="cpu", most_worlds=2)
    moment = show.start(scene.seed)
    lengths = [moment.length[0]]
    for _ in range(20):
        moment = show.step(None)
        lengths.append(moment.length[0])
        assert all(p.dtype == np.uint8 and p.shape[2] == 3 and p.any() for p in moment.pictures)
    show.close()
    assert lengths[:3] == [0, 1, 2]
    if moment.decision.probabilities is not None:
        assert moment.decision.probabilities.sum(axis=1) == pytest.approx(np.ones(show.num_worlds), abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", PLAYING)
def test_a_checkpoint_reaches_its_cards_score(name):
    scene = load_scene(name)
    card = load_card(scene.resolve(scene.agent.checkpoint))
    config = lived_world(scene, "cpu")
    worlds = config.make_batch(1, scene.seed)
    policy, _ = build_policy(scene, worlds, config, "cpu")
    found = evaluate(policy, config, episodes=20, seed=scene.seed + 1, greedy=scene_agent(scene).greedy)
    low, high = card["scores"]["ci95"]["return_mean"]
    mean, spread = found.metrics()["return_mean"], found.metrics()["return_std"]
    assert low - spread <= mean <= high + spread


@pytest.mark.slow
@pytest.mark.parametrize("name", SEEING)
def test_a_perception_reaches_its_cards_score(name):
    scene = load_scene(name)
    card = load_card(scene.resolve(scene.perception[0].checkpoint))
    found = grade_perception(
        replace(scene, seed=scene.seed + 1), device="cpu", checkpoint=None, say=lambda line: None
    )
    for figure, (low, high) in card["scores"]["ci95"].items():
        assert low - 0.03 <= found["metrics"][figure] <= high + 0.03

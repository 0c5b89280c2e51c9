"""Every scene that ships runs, and every checkpoint that ships loads and keeps its word."""

from __future__ import annotations

import numpy as np
import pytest

from agents.evaluate import evaluate
from scenes.build import build_policy, scene_agent, scene_world
from scenes.schema import load_scene, shipped_scenes
from scenes.stage import SceneShow
from scenes.verbs import is_trained
from sim.checkpoints import load_card

SCENES = [name for name in shipped_scenes() if load_scene(name).world]
TRAINED = [name for name in SCENES if is_trained(load_scene(name))]


@pytest.mark.parametrize("name", SCENES)
def test_a_scene_plays_twenty_steps(name):
    scene = load_scene(name)
    # An untrained scene may name the checkpoint that is to come; play it as it starts.
    changes = [] if is_trained(scene) or not scene.agent.checkpoint else ["agent.use=random"]
    if changes:
        pytest.skip(f"{name} is not trained yet")
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
@pytest.mark.parametrize("name", TRAINED)
def test_a_checkpoint_reaches_its_cards_score(name):
    scene = load_scene(name)
    card = load_card(scene.resolve(scene.agent.checkpoint))
    config = scene_world(scene)
    worlds = config.make_batch(1, scene.seed)
    policy, _ = build_policy(scene, worlds, config, "cpu")
    found = evaluate(policy, config, episodes=20, seed=scene.seed + 1, greedy=scene_agent(scene).greedy)
    low, high = card["scores"]["ci95"]["return_mean"]
    mean, spread = found.metrics()["return_mean"], found.metrics()["return_std"]
    assert low - spread <= mean <= high + spread

"""Every scene that ships runs, and every checkpoint that ships loads and keeps its word.

Samplers and perceptions are graded at a small size, on a machine that has no data yet.
"""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import tomli_w

from agents.evaluation.evaluate import evaluate
from scenes.build.agents import build_policy, scene_agent
from scenes.build.perceptions import trains_perception
from scenes.build.samplers import sampler_config, trains_sampler, trains_world_model
from scenes.build.trained import is_trained
from scenes.data.agent_env import agent_env
from scenes.data.task_data import has_task
from scenes.evaluation import perceptions, samplers
from scenes.evaluation.perceptions import grade_perception
from scenes.evaluation.tasks import grade_task
from scenes.sampling import command
from scenes.schema import load_scene, shipped_scenes
from scenes.watching.scene_show import SceneShow
from sim.storage.checkpoints import load_card

pytestmark = pytest.mark.usefixtures("remembered_features")

SCENES = [name for name in shipped_scenes() if load_scene(name).world]
TRAINED = [name for name in SCENES if is_trained(load_scene(name))]
SEEING = [name for name in TRAINED if trains_perception(load_scene(name))]
#: The dream's scores are not those of the emulator, in which the agents were trained and scored.
DREAMED = ("dream-pong", "pong-twin", "pong-dreams")
PLAYING = [name for name in TRAINED if name not in (*SEEING, *DREAMED)]


@pytest.mark.parametrize("name", SCENES)
def test_a_scene_plays_its_first_steps(name):
    scene = load_scene(name)
    show = SceneShow(scene, device="cpu", most_worlds=1)
    moment = show.start(scene.seed)
    lengths = [moment.length[0]]
    for _ in range(2):
        moment = show.step(None)
        lengths.append(moment.length[0])
        assert all(p.dtype == np.uint8 and p.shape[2] == 3 and p.any() for p in moment.pictures)
    show.close()
    assert lengths == [0, 1, 2]
    if moment.decision.probabilities is not None:
        assert moment.decision.probabilities.sum(axis=1) == pytest.approx(np.ones(1), abs=1e-4)


def deviation(kept, n, found, m):
    """How many standard errors of their difference the means of n and of m episodes lie apart."""
    error = np.sqrt(kept["return_std"] ** 2 / n + found["return_std"] ** 2 / m)
    apart = abs(kept["return_mean"] - found["return_mean"])
    return apart / error if error else np.inf * apart if apart else 0.0


def test_a_checkpoint_that_plays_a_little_worse_than_its_card_is_noticed():
    pong = {"return_mean": 18.0, "return_std": 1.9}
    assert deviation(pong, 20, pong | {"return_mean": 17.0}, 20) < 3
    assert deviation(pong, 20, pong | {"return_mean": 16.0}, 20) > 3, "it is little beside one game's 1.9"
    whole = {"return_mean": 500.0, "return_std": 0.0}
    assert deviation(whole, 20, whole, 20) == 0
    assert deviation(whole, 20, whole | {"return_mean": 499.0}, 20) > 3


@pytest.mark.slow
@pytest.mark.parametrize("name", PLAYING)
def test_a_checkpoint_reaches_its_cards_score(name):
    scene = load_scene(name)
    card = load_card(scene.resolve(scene.agent.checkpoint))
    config = agent_env(scene, "cpu")
    worlds = config.make_batch(1, scene.seed)
    policy, _ = build_policy(scene, worlds, config, "cpu")
    found = evaluate(policy, config, episodes=20, seed=scene.seed + 1, greedy=scene_agent(scene).greedy)
    scores = card["scores"]
    assert deviation(scores, scores["n"], found.metrics(), 20) <= 3


@pytest.mark.slow
@pytest.mark.parametrize("name", SEEING)
def test_a_perception_reaches_its_cards_score(name):
    scene = load_scene(name)
    card = load_card(scene.resolve(scene.perception[0].checkpoint))
    found = grade_perception(
        replace(scene, seed=scene.seed + 1), device="cpu", checkpoint=None, say=lambda line: None
    ).answer
    for figure, (low, high) in card["scores"]["ci95"].items():
        assert low - 0.03 <= found["metrics"][figure] <= high + 0.03


TASKS = [name for name in shipped_scenes() if load_scene(name).perception and has_task(load_scene(name))]


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_a_task_reaches_its_cards_score(name):
    scene = load_scene(name)
    card = load_card(scene.resolve(scene.perception[0].checkpoint))
    found = grade_task(scene, device="cpu", checkpoint=None, say=lambda line: None).answer
    for figure, (low, high) in card["scores"]["ci95"].items():
        assert low <= found["metrics"][figure] <= high, figure


SAMPLING = [
    name
    for name in shipped_scenes()
    if trains_sampler(load_scene(name)) and not trains_world_model(load_scene(name))
]
LEAST = {
    "animals": 200,
    "boards": 60,
    "digits": 120,
    "mnist-5k": 120,
    "frames": 72,
    "frames/pong": 60,
    "states/walker2d": 640,
}


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A cache that begins empty, and that its tests fill for one another."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PLAYFIELD_CACHE", str(tmp_path_factory.mktemp("bare")))
        for name, number in {
            "GRADED": 6,
            "A_LABEL": 4,
            "SENTENCES": 3,
            "LIKELY": 3,
            "GROUPED": 24,
            "COUNTED": 4,
        }.items():
            patch.setattr(samplers, name, number)
        patch.setattr(perceptions, "GRADED", 4)
        patch.setattr(perceptions, "RESAMPLES", 4)
        yield


def little(name, folder):
    """A scene as it ships, but of few examples, as if its checkpoints had learned from no more."""
    scene = load_scene(name)
    changes = []
    for number, table in enumerate(scene.sampler):
        count = LEAST[table.fields["data"]]
        changes.append(f"sampler.{number}.examples={count}")
        if table.checkpoint:
            shipped = scene.resolve(table.checkpoint)
            own = folder / shipped.name
            shutil.copytree(shipped, own)
            card = load_card(own)
            card["protocol"] |= {"examples": count}
            (own / "card.toml").write_text(tomli_w.dumps(card))
            changes.append(f"sampler.{number}.checkpoint={own}")
        if hasattr(sampler_config(scene, number), "steps") and table.use != "one-step":
            changes.append(f"sampler.{number}.steps=2")
    return load_scene(name, changes)


def quick(names, *few):
    """All of these scenes, most of them as slow tests: loading games and networks takes seconds."""
    return [pytest.param(name, marks=[] if name in few else [pytest.mark.slow]) for name in names]


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")  # of so few pictures some are alike
@pytest.mark.parametrize("name", quick(SAMPLING, "digits-gan", "digits-diffusion", "states-flow"))
def test_samplers_are_graded_where_there_are_no_data_yet(name, bare, tmp_path):
    scene = little(name, tmp_path)
    found = samplers.grade_samplers(
        replace(scene, seed=3), device="cpu", checkpoint=None, say=lambda line: None
    ).answer
    trained = bool(scene.sampler[0].checkpoint)
    assert found["n"] == 6 and found["protocol"]["data_seed"] == (0 if trained else 3)
    assert np.isfinite(found["metrics"]["frechet"]) and set(found["baseline"]) > {"frechet", "coverage"}


@pytest.mark.parametrize("name", quick(SAMPLING, "digits-gan"))
def test_samplers_are_hung_where_there_are_no_data_yet(name, bare, tmp_path):
    scene = replace(little(name, tmp_path), seed=3)
    request = command.SampleRequest(tmp_path / "hung", n=2)
    hung = command.sample(scene, request, device="cpu", say=lambda line: None).answer
    assert (tmp_path / "hung" / "index.html").is_file() and hung["metrics"]["images_per_second"] > 0


@pytest.mark.parametrize("name", quick(SEEING, "board-reader"))
def test_perceptions_are_graded_where_there_are_no_data_yet(name, bare):
    scene = load_scene(name)
    scene = replace(scene, seed=3)
    found = grade_perception(scene, device="cpu", checkpoint=None, say=lambda line: None).answer
    assert found["n"] == 4 and found["baseline"] and found["metrics"]["images_per_second"] > 0

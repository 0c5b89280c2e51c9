"""Playfield as a library: the front door, what opened scenes give, and the pages that show it."""

from __future__ import annotations

import doctest
import json
import logging
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from command_line import answer
from PIL import Image

import playfield
from scenes.api.arguments import toml_value
from scenes.api.loaded import InputError, LoadedAgent, LoadedPerception
from scenes.cli.main import main
from scenes.report import Report
from scenes.schema import SceneError
from sim.records import Decision, Percept
from sim.storage.checkpoints import CheckpointError, load_checkpoint

pytestmark = pytest.mark.usefixtures("remembered_features")

ROOT = Path(__file__).parents[2]
SMALL = {"world.num_envs": 2, "agent.num_steps": 16, "agent.minibatch_size": 32, "agent.num_epochs": 1}


def run(blocks, folder, monkeypatch):
    """Run blocks of code one after another in one namespace, in an empty folder."""
    monkeypatch.chdir(folder)
    names = {"__name__": "__main__"}
    for block in blocks:
        exec(compile(block, "<block>", "exec"), names)
    return names


@pytest.fixture(scope="module")
def cartpole():
    return playfield.open("cartpole", SMALL, device="cpu")


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of diffusers about its own
def test_what_the_page_shows_works(tmp_path, monkeypatch, capsys):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "library.md").read_text("utf-8"), re.S)
    assert len(blocks) == 15
    assert all(len([line for line in block.splitlines() if line.strip()]) <= 10 for block in blocks)
    names = run(blocks, tmp_path, monkeypatch)
    said = capsys.readouterr().out
    assert '"gama"; did you mean "gamma"?' in said and "runs/mine by its caller" in said
    assert set(names["percept"].labels) <= {"ball", "player", "enemy"} and names["percept"].origin == "model"
    assert names["found"]["metrics"]["return_mean"] > 100 > names["found"]["baseline"]["return_mean"]
    assert names["trained"].card["trained"]["env_steps"] == 1_024
    assert names["image"].size == (64, 64)
    assert names["row"]["metrics"]["probability_of_improvement"] > 0.5
    assert len(names["percepts"]) == 2 and len(names["written"]["percepts"]) == 1
    assert Path(names["written"]["files"][0]).parent == Path("seen") and (tmp_path / "sevens").is_dir()


def test_the_tour_runs_and_teaches(tmp_path, monkeypatch, capsys):
    notebook = json.loads((ROOT / "docs" / "tour.ipynb").read_text("utf-8"))
    assert notebook["nbformat"] == 4 and [cell for cell in notebook["cells"] if cell.get("outputs")] == []
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    quick = [cell.replace("STEPS = 10_240", "STEPS = 6_144") for cell in cells]
    assert quick != cells
    names = run(quick, tmp_path, monkeypatch)
    assert np.mean(names["returns"][-10:]) > 3 * np.mean(names["returns"][:20]), "it has learned"
    assert names["found"]["metrics"]["return_mean"] > 3 * names["found"]["baseline"]["return_mean"]
    assert "ball" in names["percept"].labels and np.any(names["boxed"] != names["frame"])
    assert np.vstack(names["rows"]).shape == (80, 96, 3)


def test_importing_takes_no_time_and_no_torch():
    code = "import sys; before = set(sys.modules); import playfield; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "playfield" in loaded and len(loaded) < 10, "no other package, of which each takes its time"


def test_the_front_door_says_what_it_has():
    assert doctest.testmod(playfield).failed == 0
    for name in playfield.__all__:
        assert getattr(playfield, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'opne'"):
        playfield.opne  # noqa: B018


def test_changes_are_those_of_the_command_line():
    changes = {"agent.gamma": 0.5, "world.num_envs": 3, "agent.network": "mlp256", "title": "3"}
    scene = playfield.open("cartpole", changes, seed=9).scene
    assert (scene.agent.fields["gamma"], scene.agent.fields["network"]) == (0.5, "mlp256")
    assert (scene.world.num_envs, scene.seed, scene.title) == (3, 9, "3")
    seen = playfield.open("pong-seen", {"perception.0.origin": "truth", "perception.0.slots": {"ball": 2}})
    assert (seen.scene.perception[0].origin, seen.scene.perception[0].slots) == ("truth", {"ball": 2})


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("cartpol", {}, 'did you mean "cartpole"'),
        ("cartpole", {"agnet.gamma": 1}, "agnet"),
        ("cartpole", {"agent.gamma": None}, "agent.gamma: None is no value of a scene"),
        ("cartpole", {"world.num_envs": 0}, "num_envs must be in 1"),
        ("cartpole", ["agent.gamma=1"], "changes map keys to values"),
        ("nowhere/mine.toml", {}, "there is no scene file"),
    ],
)
def test_a_wrong_request_is_refused_when_the_scene_is_opened(name, changes, words):
    with pytest.raises(playfield.RequestError, match=re.escape(words)):
        playfield.open(name, changes)


@pytest.mark.parametrize("value", [True, -3, 1e-9, 'a "quoted" text', [1, [2]], {"a b": {"c": [0.5]}}])
def test_values_are_written_as_toml_on_one_line(value):
    line = toml_value(value, "key")
    read = tomllib.loads(f"value = {line}")["value"]
    assert "\n" not in line and read == value and type(read) is type(value)


POLE = "gym/CartPole-v1"


def test_numbers_may_be_numpys():
    scene = playfield.open("cartpole", {"world.num_envs": np.int64(3)}, seed=np.int32(5)).scene
    assert (scene.world.num_envs, scene.seed) == (3, 5)


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (lambda s: playfield.make_worlds(POLE, 1.5), "num_envs must be a whole number, not 1.5"),
        (lambda s: playfield.make_worlds(POLE, -3), "num_envs must be at least 1, not -3"),
        (lambda s: playfield.make_worlds(POLE, seed="a"), "seed must be a whole number, not 'a'"),
        (lambda s: playfield.make_world(POLE, seed=None), "seed must be a whole number, not None"),
        (lambda s: playfield.open("cartpole", seed=True), "seed must be a whole number, not True"),
        (lambda s: playfield.open("cartpole", device="gpu").agent(), "there is no device 'gpu'"),
        (lambda s: s.evaluate(episodes="3"), "episodes must be a whole number, not '3'"),
        (lambda s: s.train(steps=1.5), "steps must be a whole number, not 1.5"),
        (lambda s: s.agent().act(np.zeros(4), {}), "observes (N, 4), not (4,); of one world give obs[None]"),
        (lambda s: s.agent().act(np.zeros((2, 3)), {}), "observes (N, 4), not (2, 3)"),
        (lambda s: playfield.to_sb3(s.world()), "to_sb3 takes a batch of worlds"),
        (lambda s: playfield.compare("runs"), "two runs or more"),
    ],
)  # fmt: skip
def test_an_argument_of_the_wrong_kind_is_named(cartpole, wish, words):
    with pytest.raises(playfield.RequestError, match=re.escape(words)):
        wish(cartpole)


def test_what_a_scene_lacks_is_named(cartpole):
    with pytest.raises(SceneError, match=r"cartpole.toml has no \[\[perception\]\]"):
        cartpole.perception()
    with pytest.raises(SceneError, match=r"has 1 \[\[sampler\]\]: there is no number 1"):
        playfield.open("digits-gan").sampler(1)
    with pytest.raises(SceneError, match=r"has no \[world\]"):
        playfield.open("digits-gan").worlds()
    with pytest.raises(SceneError, match="names no checkpoint"):
        playfield.open("frames-one-step").checkpoint()
    with pytest.raises(CheckpointError, match="does not exist"):
        cartpole.agent(checkpoint="nowhere")


def test_worlds_are_those_of_gymnasium(cartpole):
    worlds = cartpole.worlds(3, seed=5)
    assert isinstance(worlds, gymnasium.vector.VectorEnv) and worlds.num_envs == 3
    obs, _ = worlds.reset()
    alone = gymnasium.make("CartPole-v1").reset(seed=7)[0]
    assert np.array_equal(obs[2], alone) and cartpole.worlds().num_envs == 2


def test_an_agent_plays_as_its_scene_says_and_remembers_each_episode():
    class Counting:
        """Remembers how often it acted in each of two worlds."""

        def act(self, obs, info, memory=None, *, greedy=False):
            told.append((None if memory is None else memory.tolist(), greedy))
            return Decision(obs), np.ones(2) if memory is None else memory + 1

    told = []
    agent = LoadedAgent(Counting(), None, greedy=True)
    assert agent.act(np.arange(2), {}).actions.tolist() == [0, 1]
    agent.act(np.arange(2), {}, greedy=False)
    before = agent.memory
    agent.act(np.arange(2), {"_episode": np.array([False, True])})
    assert told == [(None, True), ([1, 1], False), ([2, 0], True)] and before.tolist() == [2, 2]
    agent.memory = None
    agent.act(np.arange(2), {})
    assert told[-1] == (None, True)


def test_evaluation_is_the_verbs_and_prints_nothing(cartpole, capsys, caplog):
    caplog.set_level(logging.INFO, "playfield")
    ours = cartpole.evaluate(episodes=2)
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err == ""
    sets = [word for key, value in SMALL.items() for word in ("--set", f"{key}={value}")]
    assert main(["evaluate", "cartpole", "--episodes", "2", "--device", "cpu", "--json", *sets]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == json.loads(json.dumps(ours))
    assert caplog.messages == [], "there is nothing to remark"


def test_training_is_the_verbs_with_remarks_for_the_log(cartpole, tmp_path, capsys, caplog):
    caplog.set_level(logging.INFO, "playfield")
    training = cartpole.train(tmp_path / "ours", steps=64)
    assert [progress.env_steps for progress in training] == [32, 64]
    assert capsys.readouterr() == ("", "") and "64 env steps in" in caplog.messages[0]
    sets = [word for key, value in SMALL.items() for word in ("--set", f"{key}={value}")]
    command = ["train", "cartpole", "--run", str(tmp_path / "theirs"), "--steps", "64", "--device", "cpu"]
    assert main([*command, *sets]) == 0
    ours, theirs = (load_checkpoint(tmp_path / name / "checkpoints" / "64") for name in ("ours", "theirs"))
    assert all(np.array_equal(ours.weights[name], theirs.weights[name]) for name in theirs.weights)
    assert cartpole.agent(checkpoint=tmp_path / "ours").card == ours.card
    with pytest.raises(playfield.RequestError, match="exists"):
        cartpole.train(tmp_path / "ours")


def test_progress_is_told_to_the_reporter_of_the_caller(cartpole, tmp_path):
    class Heard:
        def begin(self, wait, *, announced):
            waits.append(wait)

        def end(self, wait):
            ended.append(wait)

    waits, ended = [], []
    with playfield.reporting(Heard()):
        list(cartpole.train(tmp_path / "r", steps=64))
        cartpole.evaluate(episodes=2)
    assert [wait.what for wait in waits][:2] == ["training", "cartpole: whole games"] and waits == ended
    assert (waits[0].done, waits[0].total) == (2, 2) and "mean return" in waits[1].figures


def test_samples_are_those_of_the_sampler_and_of_the_verb(tmp_path, capsys):
    digits = playfield.open("digits-gan", device="cpu")
    ours = digits.sample(2, label="7", seed=3)
    assert np.array_equal(ours, digits.sampler().sample(2, label="7", seed=3))
    gallery = digits.write_gallery(tmp_path / "ours", n=4, condition={"label": "7"})
    assert capsys.readouterr() == ("", "")
    words = ["--n", "4", "--condition", "label=7", "--device", "cpu"]
    theirs = answer(capsys, "sample", "digits-gan", "--out", tmp_path / "theirs", *words)
    pictures = [sorted((tmp_path / name).glob("*.png")) for name in ("ours", "theirs")]
    assert [file.name for file in pictures[0]] == [file.name for file in pictures[1]] != []
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(*pictures, strict=True))
    assert gallery["metrics"].keys() == theirs["metrics"].keys()
    assert [Path(file).name for file in gallery["files"]] == [Path(file).name for file in theirs["files"]]
    with pytest.raises(playfield.RequestError, match="would be overwritten"):
        digits.write_gallery(tmp_path / "ours", n=4)


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"label": "77"}, 'there is no label "77"'),
        ({"n": 0}, "n must be at least 1, not 0"),
        ({"lable": "7"}, 'sample has no "lable"; did you mean "label"'),
        ({"text": "seven"}, "text"),
    ],
)
def test_what_a_sampler_cannot_honour_is_refused_by_name(wish, words):
    with pytest.raises(InputError, match=re.escape(words)):
        playfield.open("digits-gan", device="cpu").sample(**wish)
    assert issubclass(InputError, playfield.RequestError)


class Reading:
    reads = "rgb"

    def perceive(self, inputs):
        return [Percept("model", label=f"{rgb.shape[:2]}") for rgb in inputs]


def test_pictures_are_perceived_from_arrays_and_files(tmp_path):
    perception = LoadedPerception(Reading(), None, ())
    wide, high = np.zeros((2, 3, 3), np.uint8), np.zeros((4, 1, 3), np.uint8)
    for name, rgb in (("a.png", wide), ("b.png", high)):
        Image.fromarray(rgb).save(tmp_path / name)
    expected = ["(2, 3)", "(4, 1)"]
    assert [percept.label for percept in perception.perceive([wide, high])] == expected
    assert [percept.label for percept in perception.perceive(tmp_path)] == expected
    assert [percept.label for percept in perception.perceive(str(tmp_path / "b.png"))] == expected[1:]
    assert len(perception.perceive(np.stack([wide, wide, wide]))) == 3
    for wrong, words in (
        (wide, "write [picture]"),
        ([wide, wide.astype(float)], "inputs[1] must be a picture (H, W, 3) uint8, not (2, 3, 3) float64"),
        (["a.png"], "inputs[0] must be a picture (H, W, 3) uint8, not () str"),
    ):
        with pytest.raises(InputError, match=re.escape(words)):
            perception.perceive(wrong)
    with pytest.raises(playfield.RequestError, match="no such file"):
        perception.perceive(tmp_path / "c.png")


def test_what_was_interrupted_is_not_handed_out_as_whole():
    assert Report({"n": 2}).whole() == {"n": 2}
    with pytest.raises(KeyboardInterrupt):
        Report({"n": 1}, interrupted=True).whole()


def test_runs_are_compared_as_by_the_verb(cartpole, tmp_path, capsys):
    for seed in (1, 2):
        list(playfield.open("cartpole", SMALL, seed=seed, device="cpu").train(tmp_path / f"{seed}", steps=32))
    runs = [tmp_path / "1", str(tmp_path / "2")]
    ours = playfield.compare(runs, {"world.num_envs": 1}, episodes=3, device="cpu")
    assert capsys.readouterr() == ("", "")
    words = ["--episodes", "3", "--device", "cpu", "--set", "world.num_envs=1"]
    assert answer(capsys, "compare", *runs, *words)["rows"] == json.loads(json.dumps(ours))
    with pytest.raises(playfield.RequestError, match="two runs or more"):
        playfield.compare(runs[:1])


def test_stable_baselines3_sees_returns_seeds_and_the_end_of_time(masked_world):
    envs = playfield.to_sb3(playfield.make_worlds("gym/CartPole-v1", num_envs=2), clip_reward=True)
    envs.seed(11)
    obs = envs.reset()
    assert np.array_equal(obs[1], gymnasium.make("CartPole-v1").reset(seed=12)[0])
    assert not np.array_equal(envs.reset(), obs), "the seed counts once"
    found = []
    for _ in range(40):
        _, _, ended, infos = envs.step(np.ones(2, np.int64))
        found += [info for info, end in zip(infos, ended, strict=True) if end]
    assert len(found) > 4 and envs.episodes == []
    assert all(8 <= info["episode"]["r"] == info["episode"]["l"] <= 11 for info in found), "it falls over"
    assert not any(info["TimeLimit.truncated"] for info in found)
    masked = playfield.to_sb3(playfield.make_worlds(masked_world, num_envs=2))
    obs = masked.reset()
    assert np.array_equal(np.stack(masked.env_method("action_masks")), obs[:, :5] > 0)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_shipped_checkpoint_opens_in_diffusers_and_draws_the_same():
    from generative.diffusion.pipeline import PicturePipeline

    scene = playfield.open("frames-diffusion", device="cpu")
    assert "generative.backdrop" in (scene.checkpoint() / "model_index.json").read_text(), "an older name"
    pipeline = PicturePipeline.from_pretrained(scene.checkpoint())
    theirs = pipeline(1, "pong", num_inference_steps=2, seed=3, output_type="np").images
    ours = scene.sampler().sample(1, label="pong", steps=2, scheduler="unipc", guidance=1.0, seed=3)
    assert np.array_equal(theirs, ours)

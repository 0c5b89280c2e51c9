"""Training that is refused before there is a run, and states that fit no other data and models."""

from __future__ import annotations

import re

import pytest

from scenes.cli.main import main
from scenes.schema import SceneError, load_scene
from scenes.training.resume import check_resume
from scenes.training.session import train
from sim.errors import RequestError


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("agent.precision=float8", "precision must be one of auto, float32, bfloat16"),
        ("agent.minibatch_size=0", "minibatch_size must be at least 1"),
        ("world.num_envs=100000", "num_envs must be in 1…16,384"),
        ("train.target_return=high", "target_return must be a number"),
        ("train.evaluate_every=-1", "evaluate_every must not be below 0"),
    ],
)
def test_what_cannot_be_is_refused_before_there_is_a_run(tmp_path, capsys, change, words):
    assert main(["train", "cartpole", "--run", str(tmp_path / "r"), "--set", change]) == 2
    said = capsys.readouterr().err
    assert words in said and len(said.splitlines()) == 1
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("scene", "change", "words"),
    [
        ("cartpole", "agent.num_steps=10000000000", "set a smaller agent.num_steps or world.num_envs"),
        ("pong-pqn", "agent.num_steps=10000000000", "set a smaller agent.num_steps"),
        ("pong-sb3", "agent.num_steps=10000000000", "set a smaller agent.num_steps"),
        ("pong-dqn", "agent.buffer_size=10000000000", "set a smaller agent.buffer_size"),
        ("chess-kqk", "agent.num_simulations=10000000000", "set a smaller agent.num_simulations"),
        ("chess-kqk", "agent.buffer_size=10000000000", "set a smaller agent.buffer_size"),
    ],
)
def test_what_no_memory_holds_is_refused_before_it_is_played(tmp_path, capsys, scene, change, words):
    few = ["--set", "world.num_envs=2", "--steps", "64"]
    assert main(["train", scene, "--run", str(tmp_path / "r"), "--set", change, *few]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert words in said and re.search(r"needs [\d,.]+ GiB of memory, [\d,.]+ GiB are free", said)
    assert not (tmp_path / "r").exists()


def test_a_learner_that_finds_its_worlds_unfit_leaves_no_run_behind(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(
        'title = "Own"\n[world]\nuse = "gym/tests/Masked-v0"\n'
        '[agent]\nuse = "sb3/dqn"\n[train]\nenv_steps = 64\n'
    )
    with pytest.raises(RequestError, match="maskableppo"):
        train(load_scene(str(own)), tmp_path / "r", device="cpu", say=str)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("scene", "fixed", "free"),
    [
        ("frames-vae", "sampler.0.examples=100", "sampler.0.learning_rate=1e-5"),
        ("frames-vae", "sampler.0.data=frames/breakout", "sampler.0.batch_size=3"),
        ("pong-detector", "perception.0.views=100", "perception.0.learning_rate=1e-5"),
        ("pong-detector", "agent.checkpoint=elsewhere", "view.fps=30"),
        ("pong-seen", "perception.0.relations=false", "agent.learning_rate=1e-5"),
        ("pong-seen", "perception.0.smoothing=0.9", "train.evaluate_every=1000"),
        ("pong-dqn", "agent.buffer_size=7000", "agent.batch_size=7"),
    ],
)
def test_states_fit_the_data_and_models_that_they_were_taken_of(scene, fixed, free):
    kept = load_scene(scene)
    check_resume(kept, load_scene(scene, [free]))
    with pytest.raises(SceneError, match=rf"cannot go on with {re.escape(fixed.partition('=')[0])} = "):
        check_resume(kept, load_scene(scene, [fixed]))

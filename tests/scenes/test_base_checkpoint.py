"""A task whose model stands on the checkpoint of another one: loaded, or refused; and the first baseline."""

import numpy as np
import pytest

from scenes.data.task_data import build_task, task_config, untrained_task
from scenes.evaluation import tasks
from scenes.schema import load_scene
from sim.records import Percept
from sim.storage.checkpoints import CheckpointError, load_checkpoint
from supervised.data.columns import TextColumn
from supervised.data.dataset import Dataset
from supervised.data.sources.splits import Source, Splits

pytest.importorskip("chess")


def tuned(**fields):
    return load_scene("tuned", [f"perception.0.{key}={value}" for key, value in fields.items()])


def test_the_base_has_the_weights_of_its_own_checkpoint():
    scene = tuned()
    model, card = build_task(scene, task_config(scene), "cpu")
    base = load_checkpoint(scene.resolve("checkpoints/babble")).weights
    assert card["name"] == "preference_tuning"
    assert (model.network.base.bias.numpy() == base["bias"]).all()
    assert not any(name.startswith("blocks") for name in model.weights())


def test_a_checkpoint_of_something_else_is_no_base():
    scene = tuned(base_checkpoint="checkpoints/growth")
    with pytest.raises(CheckpointError, match=r"base_checkpoint .*growth does not fit"):
        untrained_task(scene, task_config(scene), (), "cpu")


def test_a_checkpoint_of_something_else_is_no_reward_model():
    keys = {"method": "policy_gradient", "reward": "learned", "reward_checkpoint": "checkpoints/growth"}
    scene = tuned(**keys)
    with pytest.raises(CheckpointError, match=r"reward_checkpoint .*growth does not fit"):
        untrained_task(scene, task_config(scene), (), "cpu")


def test_the_shipped_reward_model_stands_on_the_shipped_base():
    keys = {"method": "policy_gradient", "reward": "learned"}
    scene = tuned(**keys, reward_checkpoint="checkpoints/reward-model")
    model = untrained_task(scene, task_config(scene), (), "cpu")
    values = model._proxy.network.piece_values.tolist()
    assert min(values) > 0 and max(values) == values[-1]  # a queen is worth most


def test_the_base_model_is_the_baseline_of_an_evaluation(monkeypatch):
    scene = tuned()
    prompts = TextColumn(("e4 e5 Nf3", "d4 d5 c4 e6"))
    data = Dataset(values=prompts, truths=(Percept("truth", caption=""),) * 2, episodes=np.arange(2))
    splits = Splits(data, data, data, "game", Source("games", "this test"))
    monkeypatch.setattr(tasks, "RESAMPLES", 4)
    monkeypatch.setattr(tasks, "task_splits", lambda *arguments: splits)
    found = tasks.grade_task(scene, device="cpu", checkpoint=None, say=lambda line: None).answer
    assert found["baseline"] == found["breakdown"]["baseline: base model"]
    assert found["baseline"]["kl"] == 0 != found["metrics"]["kl"] and "reward" in found["metrics"]

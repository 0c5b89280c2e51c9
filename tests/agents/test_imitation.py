"""Imitation: its loss by hand, learning games by heart, exact resume, averaged weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from agents.alphazero.search_agent import SearchError
from agents.alphazero.train import AlphaZero
from agents.evaluation.move_match import move_match
from agents.imitation import Imitation
from sim.catalog import make_worlds
from sim.records import Budget

GAMES = (  # a game a line: two mates and a draw, each of another opening
    "e4 e5 Bc4 Nc6 Qh5 Nf6 Qxf7# 1-0",
    "f3 e5 g4 Qh4# 0-1",
    "d4 d5 c4 e6 Nc3 Nf6 1/2-1/2",
    "c4 c5 Nf3 Nf6 1/2-1/2",
    "Nf3 d5 g3 c5 1/2-1/2",
    "b3 e5 Bb2 Nc6 0-1",
)
SMALL = {
    "network": "board32", "every": 1, "batch_size": 8, "validate_every": 2, "warmup_updates": 1, "ema": 0.5,
    "num_simulations": 4, "precision": "float32", "learning_rate": 3e-3,
}  # fmt: skip


@pytest.fixture(scope="module")
def games_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("games") / "mine.san"
    file.write_text("\n".join(GAMES))
    return file


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("PLAYFIELD_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="module")
def worlds():
    return make_worlds("chess", 1, seed=0, history=2)


def learner(worlds, games_file, seed=0, **changes):
    config = Imitation(data=str(games_file), **(SMALL | changes))
    return config.build(worlds.single_observation_space, worlds.single_action_space, seed=seed)


def finished(agent, worlds, updates):
    *_, last = agent.learn(worlds, Budget(updates=updates))
    return last


def test_the_loss_is_that_of_the_moves_and_the_results(worlds, games_file):
    agent = learner(worlds, games_file, label_smoothing=0.2, vf_coef=0.5)
    train = agent.splits.train
    batch = {
        name: torch.from_numpy(array)
        for name, array in train.batch(np.arange(3), np.random.default_rng(0)).items()
    }
    loss, figures = agent.loss(agent.network.train(), batch)
    logits, out = agent.actor_critic(agent.actor_critic.trunk.arrange(batch["obs"]))
    policy_losses, value_losses = [], []
    for i in range(3):
        legal = batch["legal"][i][batch["mask"][i]]
        log_p = logits[i][legal].log_softmax(0)
        move = int(batch["policy"][i].argmax())
        policy_losses.append(-(0.8 * log_p[move] + 0.2 * log_p.mean()))
        value_losses.append(-out[i].log_softmax(0)[int(batch["wdl"][i].argmax())])
    policy, value = torch.stack(policy_losses).mean(), torch.stack(value_losses).mean()
    torch.testing.assert_close(figures["policy_loss"], policy)
    torch.testing.assert_close(figures["value_loss"], value)
    torch.testing.assert_close(loss, policy + 0.5 * value)
    plain, _ = agent.loss(agent.network.eval(), batch)  # graded without smoothing
    assert not torch.isclose(plain, loss)


def test_it_learns_a_few_games_by_heart_and_plays_what_it_has_learned(worlds, games_file):
    agent = learner(
        worlds, games_file, ema=0.9, search="none", network="se32", learning_rate=0.01, batch_size=16
    )
    last = finished(agent, worlds, 100)
    assert last.metrics["train_top1"] > 0.7  # first moves differ: no more than about 0.85 can be known
    batch = agent.splits.train.batch(np.arange(len(agent.splits.train)), np.random.default_rng(0))
    mask = np.zeros((len(batch["obs"]), 4672), bool)
    for row, legal, own in zip(mask, batch["legal"], batch["mask"], strict=True):
        row[legal[own]] = True
    decision, _ = agent.act(batch["obs"], {"action_mask": mask}, greedy=True)
    assert (decision.actions == batch["played"]).mean() > 0.7
    assert decision.wdl.shape == (len(mask), 3)
    np.testing.assert_allclose(decision.value, decision.wdl[:, 0] - decision.wdl[:, 2], atol=1e-6)


def test_a_run_that_was_stopped_ends_in_the_same_weights(worlds, games_file):
    whole = learner(worlds, games_file)
    finished(whole, worlds, 6)
    stopped = learner(worlds, games_file)
    learning = stopped.learn(worlds, Budget(updates=6))
    next(learning)
    state = stopped.state()
    other = learner(worlds, games_file)
    other.restore(state)
    for name, array in stopped.weights().items():
        np.testing.assert_array_equal(array, other.weights()[name], err_msg=name)
    finished(other, worlds, 6)
    for name, array in whole.weights().items():
        np.testing.assert_array_equal(array, other.weights()[name], err_msg=name)


def test_it_acts_by_the_averaged_weights(worlds, games_file):
    agent = learner(worlds, games_file, ema=0.99)
    finished(agent, worlds, 2)
    newest = agent.state()["network"]
    averaged = agent.weights()
    assert any((averaged[name] != newest[name]).any() for name in averaged)


def test_alphazero_goes_on_from_its_weights(worlds, games_file):
    agent = learner(worlds, games_file)
    player = AlphaZero(network="board32", value_head="wdl", precision="float32").build(
        worlds.single_observation_space, worlds.single_action_space, seed=5
    )
    player.load_weights(agent.weights())
    games = worlds.reset()[1]["games"]
    np.testing.assert_array_equal(agent.evaluate(games).logits, player.evaluate(games).logits)


def test_a_card_tells_the_games(worlds, games_file):
    told = learner(worlds, games_file).trained_on()
    assert told["data"] == "mine.san" and len(told["sha256"]) == 64
    assert told["games"] + 2 == len(GAMES)


@pytest.mark.parametrize(
    ("world", "error"),
    [("gym/CartPole-v1", "imitation learns from chess games"), ("gym/Pendulum-v1", "imitation")],
)
def test_other_worlds_are_refused(world, error):
    other = make_worlds(world, 1)
    with pytest.raises(SearchError, match=error):
        Imitation(network="mlp").build(other.single_observation_space, other.single_action_space, seed=0)


def test_a_value_head_without_draws_is_refused():
    with pytest.raises(ValueError, match="value_head must be"):
        Imitation(value_head="scalar")


def test_move_match_counts_the_moves_that_were_played(worlds, games_file):
    agent = learner(worlds, games_file)
    test = agent.splits.test
    batch = test.batch(np.arange(len(test)), np.random.default_rng(0))
    rows = iter(np.arange(len(test)))

    def half_right(obs):
        """Every other position: surely the move played; else surely another one."""
        logits = np.zeros((len(obs), 4672))
        for row in logits:
            i = next(rows)
            legal = batch["legal"][i][batch["mask"][i]]
            row[batch["played"][i] if i % 2 == 0 else legal[legal != batch["played"][i]][0]] = 50.0
        return logits

    found = move_match(half_right, test, most=100)
    wrong = len(test) // 2
    assert found.metrics()["top1"] == pytest.approx(1 - wrong / len(test))
    assert found.metrics()["nll"] == pytest.approx(50 * wrong / len(test), abs=0.01)
    assert found.baseline()["top1"] == pytest.approx((1 / batch["mask"].sum(1)).mean())

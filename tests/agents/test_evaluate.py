"""Scores: whole episodes, counted once, in shares fixed beforehand."""

import gymnasium
import numpy as np
import pytest

from agents.evaluation.evaluate import SEED_OFFSET, Scores, evaluate
from agents.random import Random, RandomPolicy
from sim.catalog import world_config
from sim.records import Episode
from sim.vector import EnvWorlds

CARTPOLE = world_config("gym/CartPole-v1", {})


class Short(gymnasium.Env):
    """Half the worlds have short episodes that pay 0, the others long ones that pay 1 a step."""

    observation_space = gymnasium.spaces.Box(0, 1, (1,))
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, length):
        self.length = length

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.steps += 1
        reward = float(self.length > 1)
        return np.zeros(1, np.float32), reward, self.steps == self.length, False, {}


class Config:
    name = "short"

    def make_batch(self, num_envs, seed):
        return EnvWorlds([lambda i=i: Short(1 if i % 2 else 20) for i in range(num_envs)], seed)

    def protocol(self):
        return {"world": "short"}


def test_a_policys_memory_is_reset_where_an_episode_ended():
    class Counted(RandomPolicy):
        """Its memory counts the steps since the last row of zeros."""

        longest = 0

        def act(self, obs, info, memory=None, *, greedy=False):
            memory = np.ones((len(obs), 1)) if memory is None else memory + 1
            self.longest = max(self.longest, int(memory.max()))
            return super().act(obs, info, greedy=greedy)[0], memory

    policy = Counted(Short.action_space, 0)
    evaluate(policy, Config(), episodes=8, seed=0, greedy=False, num_envs=4)
    assert policy.longest == 20  # of 40 steps in each world


def random_policy(space):
    return Random().build(None, space, seed=0)


def test_short_episodes_do_not_crowd_out_long_ones():
    found = evaluate(
        random_policy(Short.action_space), Config(), episodes=8, seed=0, greedy=False, num_envs=4
    )
    assert sorted(found.returns) == [0.0] * 4 + [20.0] * 4
    assert found.protocol == {"world": "short", "actions": "sampled"}


@pytest.mark.parametrize("episodes", [1, 3, 7])
def test_exactly_the_episodes_asked_for_are_counted(episodes):
    space = gymnasium.spaces.Discrete(2)
    found = evaluate(random_policy(space), CARTPOLE, episodes=episodes, seed=0, greedy=False, num_envs=3)
    assert len(found.episodes) == episodes
    assert all(episode.score == episode.length for episode in found.episodes)


def test_the_same_seed_gives_the_same_scores():
    policy = random_policy(gymnasium.spaces.Discrete(2))
    first, second, other = (
        evaluate(policy, CARTPOLE, episodes=6, seed=seed, greedy=False).returns.tolist() for seed in (1, 1, 2)
    )
    assert first == second != other


def test_metrics_by_hand():
    scores = Scores(tuple(Episode(float(r), 2) for r in (0, 1, 2, 3, 4, 5, 6, 100)), {})
    metrics = scores.metrics()
    assert metrics["return_mean"] == 15.125
    assert metrics["return_iqm"] == 3.5
    assert metrics["length"] == 2.0


def test_a_score_at_atari_is_put_on_the_human_scale_with_its_interval():
    """Pong: the random player has −20.7, the human 14.6."""
    scores = Scores(tuple(Episode(float(r), 9) for r in (-10, 0, 7, 21)), {"world": "atari/pong"})
    assert scores.metrics()["human_normalized"] == pytest.approx((4.5 + 20.7) / 35.3)
    intervals = scores.intervals()
    expected = [(end + 20.7) / 35.3 for end in intervals["return_mean"]]
    assert intervals["human_normalized"] == pytest.approx(expected)
    other = Scores(scores.episodes, {"world": "atari/tetris"})
    assert "human_normalized" not in {**other.metrics(), **other.intervals()}


def test_each_seed_plays_an_evaluation_of_its_own_and_the_first_is_the_usual_one():
    policy = random_policy(gymnasium.spaces.Discrete(2))
    whole = evaluate(policy, CARTPOLE, episodes=6, seed=3, greedy=False, seeds=3)
    parts = [evaluate(policy, CARTPOLE, episodes=6, seed=3 + k * SEED_OFFSET, greedy=False) for k in range(3)]
    assert whole.returns.tolist() == [score for part in parts for score in part.returns]
    assert len({tuple(part.returns) for part in parts}) == 3


def test_a_seed_is_a_stratum():
    episodes = tuple(Episode(score, 1) for score in [0.0] * 20 + [10.0] * 20)
    assert Scores(episodes, {}, seeds=2).intervals()["return_mean"] == (5.0, 5.0)
    low, high = Scores(episodes, {}).intervals()["return_mean"]
    assert low < 5.0 < high


def test_every_counted_episode_is_told_as_it_ends():
    told = []
    found = evaluate(
        random_policy(Short.action_space), Config(), episodes=8, seed=0, greedy=False, num_envs=4,
        on_episode=told.append,
    )  # fmt: skip
    assert sorted(told, key=lambda e: e.score) == sorted(found.episodes, key=lambda e: e.score)
    assert [episode.length for episode in told[:2]] == [1, 1]


def test_a_seed_with_one_episode_has_nothing_to_resample():
    with pytest.raises(ValueError, match="episodes must be at least 2"):
        evaluate(random_policy(Short.action_space), Config(), episodes=1, seed=0, greedy=False, seeds=2)


def test_no_episodes_are_refused():
    with pytest.raises(ValueError, match="at least 1"):
        evaluate(random_policy(Short.action_space), Config(), episodes=0, seed=0, greedy=False)


def test_outcomes_are_counted_as_shares_with_what_was_cut_off_left_out():
    episodes = (
        Episode(1.0, 9, "win", mate=True), Episode(1.0, 9, "win"), Episode(0.0, 9, "draw"), Episode(0.5, 9),
    )  # fmt: skip
    scores = Scores(episodes, {})
    shares = {name: scores.metrics()[name] for name in ("win", "draw", "loss", "mates")}
    assert shares == {"win": 0.5, "draw": 0.25, "loss": 0.0, "mates": 0.25}
    low, high = scores.intervals()["win"]
    assert 0.0 <= low < 0.5 < high <= 1.0
    assert "win" not in Scores((Episode(1.0, 2),), {}).metrics()


def test_a_mated_opponent_is_a_win_by_mate():
    """White to move has only mates in one: the random agent mates whenever it finds one."""
    config = world_config("chess", {"fen": "7k/8/5KQ1/8/8/8/8/8 w - - 0 1", "max_plies": 40})
    found = evaluate(
        random_policy(gymnasium.spaces.Discrete(4672)), config, episodes=30, seed=0, greedy=False
    )
    won = [episode for episode in found.episodes if episode.outcome == "win"]
    assert won and all(episode.mate and episode.score == 1.0 for episode in won)
    assert found.metrics()["mates"] == len(won) / 30

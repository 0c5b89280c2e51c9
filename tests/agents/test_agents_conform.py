"""Conformance of every agent of the catalogue, on every kind of world that it plays."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from rollouts import collected

from agents.catalog import AGENTS
from sim.catalog import load, make_worlds
from sim.conformance import check_policy
from sim.errors import RequestError
from sim.fields import construct, field_ranges
from sim.protocols import Learner, LearnerConfig
from sim.records import Budget, Segment
from sim.storage.states import read_state, write_state
from sim.vector import EnvWorlds

DISCRETE, MASKED, CONTINUOUS = "gym/CartPole-v1", "gym/tests/Masked-v0", "gym/Pendulum-v1"
EVERYWHERE = {DISCRETE, MASKED, CONTINUOUS}

#: Where each agent plays; it must refuse the other two.
PLAYS = {
    "alphazero": {"chess/kqk"},
    "dqn": {DISCRETE, MASKED},
    "greedy": {"chess"},
    "imitation": {"chess"},
    "ppo": EVERYWHERE,
    "pqn": {DISCRETE, MASKED},
    "random": EVERYWHERE,
    "reinforce": EVERYWHERE,
    "sac": {CONTINUOUS},
    "sb3/a2c": {DISCRETE, CONTINUOUS},
    "sb3/dqn": {DISCRETE},
    "sb3/maskableppo": {DISCRETE, MASKED},
    "sb3/ppo": {DISCRETE, CONTINUOUS},
    "sb3/qrdqn": {DISCRETE},
    "sb3/sac": {CONTINUOUS},
    "sb3/td3": {CONTINUOUS},
    "sb3/tqc": {CONTINUOUS},
}
PAIRS = [(name, world) for name, worlds in PLAYS.items() for world in sorted(worlds)]
REFUSALS = [(name, world) for name, worlds in PLAYS.items() for world in sorted(EVERYWHERE - worlds)]

#: Short updates; a key that an agent does not have is left out.
SHORT = {
    "network": "mlp", "num_steps": 16, "minibatch_size": 16, "buffer_size": 1000, "batch_size": 8,
    "learning_starts": 20, "train_frequency": 20, "max_steps": 30, "quantiles": 5, "ema": 0.9,
    "num_simulations": 4,
}  # fmt: skip


def config_for(name, **changes):
    cls = load(AGENTS, name, "agent")
    fields = cls.__dataclass_fields__
    values = {key: value for key, value in (SHORT | changes).items() if key in fields}
    if name == "dqn" and "quantiles" not in changes:
        del values["quantiles"]
    return construct(cls, values, name)


def built(name, worlds, seed=0, **changes):
    spaces = (worlds.single_observation_space, worlds.single_action_space)
    return short(config_for(name, **changes).build(*spaces, seed=seed, device="cpu"))


def short(agent):
    """An agent whose updates, if it learns off-policy, have 60 env steps instead of 1000."""
    agent.yield_every = 60
    return agent


def test_every_agent_of_the_catalogue_is_in_the_table():
    assert set(PLAYS) == set(AGENTS)


@pytest.mark.parametrize(("name", "world"), PAIRS)
def test_agents_keep_every_promise_of_a_policy(name, world):
    worlds = make_worlds(world, 3)
    check_policy(built(name, worlds), worlds, steps=6 if name in ("alphazero", "imitation") else 20)


@pytest.mark.parametrize("name", [name for name in PLAYS if not name.startswith("sb3/")])
def test_acting_makes_no_optimiser(name, monkeypatch):
    """PyTorch imports its compiler with the first optimiser: a second before the first picture."""
    made, initialise = [], torch.optim.Optimizer.__init__

    def recorded(optimizer, *args, **options):
        made.append(type(optimizer))
        initialise(optimizer, *args, **options)

    monkeypatch.setattr(torch.optim.Optimizer, "__init__", recorded)
    worlds = make_worlds(min(PLAYS[name]), 1)
    agent = built(name, worlds)
    if isinstance(agent, Learner):
        agent.load_weights(agent.weights())
    agent.act(*worlds.reset())
    assert made == []


@pytest.mark.parametrize(("name", "world"), REFUSALS)
def test_agents_refuse_a_world_that_they_cannot_play(name, world):
    worlds = make_worlds(world, 1)
    with pytest.raises(RequestError, match=name):
        built(name, worlds).act(*worlds.reset())


#: Those that learn by playing; `imitation`, which counts updates, has tests of its own.
LEARNERS = [
    (name, world)
    for name, world in PAIRS
    if isinstance(load(AGENTS, name, "agent")(), LearnerConfig) and name != "imitation"
]


@pytest.mark.parametrize("name", AGENTS)
def test_every_number_of_a_config_has_a_range_that_its_default_keeps(name):
    config = load(AGENTS, name, "agent")()
    numbers = {key for key, value in vars(config).items() if type(value) in (int, float)}
    ranges = field_ranges(type(config))
    assert numbers <= set(ranges)
    for key in numbers:  # a finite lower bound, which -1e9 is below
        with pytest.raises(ValueError, match=rf"^{key} must .*, not -1000000000"):
            type(config)(**{key: -(10**9)})
    if "network" in vars(config):
        with pytest.raises(ValueError, match='^network must be one of .*mlp.*, not "huge"$'):
            type(config)(network="huge")


def test_all_but_two_agents_learn():
    learners = {name for name in AGENTS if isinstance(load(AGENTS, name, "agent")(), LearnerConfig)}
    assert learners == set(AGENTS) - {"greedy", "random"}


@pytest.mark.parametrize(("name", "world"), LEARNERS)
def test_learners_go_on_from_a_state_that_was_on_disk_exactly(name, world, tmp_path):
    worlds = make_worlds(world, 2, seed=1)
    agent = built(name, worlds)
    assert isinstance(agent, Learner) and isinstance(config_for(name).probe(), type(config_for(name)))
    learning = agent.learn(worlds, Budget(updates=3))
    first = next(learning)
    next(learning)
    assert (first.updates, first.env_steps > 0) == (1, True)
    (tmp_path / "state").mkdir()
    (tmp_path / "segments").mkdir()
    write_state(tmp_path / "state", agent.state(), tmp_path / "segments")
    *_, progress = learning
    assert progress.updates == 3

    other = built(name, worlds := make_worlds(world, 2, seed=50), seed=50)
    other.restore(read_state(tmp_path / "state", tmp_path / "segments"))
    *_, again = other.learn(worlds, Budget(updates=3))
    assert (again.env_steps, again.updates) == (progress.env_steps, progress.updates)
    assert plain(agent.state()) == plain(other.state())


@pytest.mark.parametrize(("name", "world"), dict(LEARNERS).items())
def test_a_budget_of_env_steps_is_met_whatever_an_update_was_before_a_resume(name, world):
    agent = built(name, worlds := make_worlds(world, 2, seed=1), num_epochs=1)
    for progress in agent.learn(worlds, Budget(env_steps=130)):
        if progress.updates == 2:
            break
    other = built(name, worlds, num_steps=24, num_epochs=1)
    other.restore(agent.state())
    *_, before, last = [progress, *other.learn(worlds, Budget(env_steps=130))]
    assert before.env_steps < 130 <= last.env_steps
    assert before.updates + 1 == last.updates == last.total_updates
    if "num_steps" in config_for(name).__dataclass_fields__:
        assert last.env_steps == 2 * 16 * 2 + 2 * 24 * 2


def another(value):
    """Another value of the same kind, that most fields take."""
    if isinstance(value, bool):
        return not value
    return max(1, value // 2) if isinstance(value, int) else value / 2


@pytest.mark.parametrize(("name", "world"), dict(LEARNERS).items())
def test_a_state_is_taken_up_by_a_config_that_differs_in_all_that_is_not_fixed(name, world):
    agent = built(name, worlds := make_worlds(world, 2, seed=1))
    learning = agent.learn(worlds, Budget(updates=2))
    next(learning)
    config = agent.config
    left_out = {"compile", "life_loss_ends", *config.fixed_at_resume}
    numbers = {key: v for key, v in vars(config).items() if isinstance(v, int | float)}
    changes = {key: another(v) for key, v in numbers.items() if key not in left_out}
    other = construct(type(config), vars(config) | changes, name)
    spaces = (worlds.single_observation_space, worlds.single_action_space)
    other = short(other.build(*spaces, seed=9, device="cpu"))
    other.restore(agent.state())
    *_, last = other.learn(worlds, Budget(updates=2))
    assert last.updates == 2
    assert set(config.fixed_at_resume) <= set(type(config).__dataclass_fields__)


def test_what_is_said_to_be_fixed_is_what_states_do_not_fit():
    worlds = make_worlds(DISCRETE, 2, seed=1)
    fixed = {"network": "mlp256", "dueling": True, "layer_norm": True, "quantiles": 3}
    state = run_once(built("dqn", worlds), worlds)
    for key, value in fixed.items():
        with pytest.raises(ValueError, match="weights|shape"):
            built("dqn", worlds, **{key: value}).restore(state)


def run_once(agent, worlds):
    next(agent.learn(worlds, Budget(updates=1)))
    return agent.state()


SILENT = [
    (name, world)
    for name, world in dict(LEARNERS).items()
    if load(AGENTS, name, "agent").__dataclass_fields__["network"].default is None
]


@pytest.mark.parametrize(("name", "world"), SILENT)
def test_a_network_is_chosen_by_what_is_observed_where_none_is_named(name, world):
    config, worlds = load(AGENTS, name, "agent")(), make_worlds(world, 1)
    assert config.for_observations(Box(0, 255, (4, 84, 84), np.uint8)).network == "nature"
    spaces = (worlds.single_observation_space, worlds.single_action_space)
    named = construct(type(config), {"network": "mlp"}, name).build(*spaces, seed=0, device="cpu")
    chosen = config.build(*spaces, seed=0, device="cpu")
    assert plain(named.weights()) == plain(chosen.weights())
    assert chosen.config.network == "mlp"


def test_all_who_have_the_key_choose_but_who_reads_boards_or_vectors_alone():
    assert {name for name, _ in LEARNERS} - {name for name, _ in SILENT} == {"alphazero", "sac"}


def plain(node):
    """A state as nested values that compare equal exactly where they are bit for bit the same."""
    if isinstance(node, dict):
        return {key: plain(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [plain(value) for value in node]
    if isinstance(node, Segment):
        return node.name, plain(node.read())
    if isinstance(node, np.ndarray):
        return node.dtype.str, node.shape, node.tobytes()
    return node


@pytest.mark.parametrize(("name", "world"), LEARNERS)
def test_learners_give_and_take_weights(name, world):
    agent = built(name, worlds := make_worlds(world, 3))
    other = built(name, worlds, seed=1)
    weights = agent.weights()
    assert any(not np.array_equal(a, weights[key]) for key, a in other.weights().items())
    assert all(a.flags.c_contiguous and a.dtype.kind in "fiu" for a in weights.values())
    other.load_weights({key: a.copy() for key, a in weights.items()})
    assert plain(other.weights()) == plain(weights)
    obs, info = worlds.reset()
    decisions = [p.act(obs, info, greedy=True)[0] for p in (agent, other)]
    assert np.array_equal(decisions[0].actions, decisions[1].actions)
    missing = next(iter(weights))
    with pytest.raises(ValueError, match=f"lack {missing}"):
        other.load_weights({key: a for key, a in weights.items() if key != missing})


class Lives(gymnasium.Env):
    """Three lives, each lost with probability 0.2 a step; reward 1 a step."""

    observation_space, action_space = Box(-1, 1, (1,)), Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.lives = 3
        return self._told()

    def step(self, action):
        self.lives -= int(self.np_random.random() < 0.2)
        obs, info = self._told()
        return obs, 1.0, self.lives == 0, False, info

    def _told(self):
        return np.full(1, self.np_random.uniform(-1, 1), np.float32), {"lives": self.lives}


@pytest.mark.parametrize("name", ["ppo", "pqn"])
def test_a_lost_life_ends_the_game_for_who_learns_and_for_nobody_else(name):
    ends, lives, games = {}, [], {}
    for wish in (False, True):
        worlds = EnvWorlds([Lives] * 2, seed=3)
        recv = worlds.recv

        def noted(recv=recv, wish=wish):
            told = recv()
            if wish:
                ended = told[2]
                lives.append((np.where(ended, 0, told[4]["lives"]), told[4]["lives"]))
            return told

        worlds.recv = noted
        rollout = collected(built(name, worlds, num_steps=60, life_loss_ends=wish), worlds)
        ends[wish], games[wish] = rollout.terminated.numpy(), [e.score for e in rollout.episodes]
    before = np.stack([np.full(2, 3), *(after for _, after in lives[:-1])])
    lost = np.stack([at_the_end for at_the_end, _ in lives]) < before
    assert games[True] == games[False] and len(games[True]) >= 4, "the same games are played to their ends"
    assert lost.sum() >= 3 * len(games[True]) and lost.sum() > ends[False].sum()
    np.testing.assert_array_equal(ends[True], ends[False] | lost)


def test_who_tells_no_lives_cannot_lose_one():
    worlds = make_worlds(DISCRETE, 2, seed=0)
    config = construct(load(AGENTS, "ppo", "agent"), {"network": "mlp", "life_loss_ends": True}, "ppo")
    agent = config.build(worlds.single_observation_space, worlds.single_action_space, seed=0)
    with pytest.raises(RequestError, match="tell no lives: set agent.life_loss_ends to false"):
        next(agent.learn(worlds, Budget(updates=1)))

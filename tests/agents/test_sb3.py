"""Stable-Baselines3's algorithms as our agents: fields, worlds, masks, weights, exact resume, learning."""

from __future__ import annotations

import sys

import gymnasium
import numpy as np
import pytest
import sb3_contrib
import torch
from stable_baselines3.common.env_checker import check_env

from agents import sb3
from agents.catalog import AGENTS
from agents.networks.architectures import NetworkError
from agents.sb3.configs import AlgorithmError
from agents.sb3.worlds import ObservationPreprocessing, WorldsVecEnv
from sim.catalog import MissingPackageError, load, make_worlds
from sim.conformance import check_policy
from sim.fields import FieldError, construct
from sim.records import Budget, Segment
from sim.vector import ActionError, EnvWorlds
from supervised.tensors import NonFiniteError

CARTPOLE, PENDULUM, MASKED = "gym/CartPole-v1", "gym/Pendulum-v1", "gym/tests/Masked-v0"
ON_POLICY = {"num_steps": 16}
PPO = ON_POLICY | {"num_epochs": 2, "minibatch_size": 16}
REPLAY = {"buffer_size": 160, "batch_size": 16, "learning_starts": 50, "train_frequency": 40}
Q = REPLAY | {"target_frequency": 60, "epsilon_steps": 300}

#: A world that fits, and values that make an update short.
ALGORITHMS = {
    "a2c": (CARTPOLE, ON_POLICY),
    "dqn": (CARTPOLE, Q),
    "maskableppo": (MASKED, PPO),
    "ppo": (CARTPOLE, PPO),
    "qrdqn": (CARTPOLE, Q | {"quantiles": 5}),
    "sac": (PENDULUM, REPLAY),
    "td3": (PENDULUM, REPLAY),
    "tqc": (PENDULUM, REPLAY),
}


@pytest.fixture(autouse=True)
def short_segments(monkeypatch):
    """A replay ring in many segments."""
    monkeypatch.setattr("agents.sb3.memory.SEGMENT", 32)


def config_for(name, **fields):
    return construct(load(AGENTS, f"sb3/{name}", "agent"), ALGORITHMS[name][1] | fields, name)


def built(config, worlds, seed=0, yield_every=80):
    """An untrained learner, off-policy with updates of 80 env steps instead of 1000."""
    agent = config.build(worlds.single_observation_space, worlds.single_action_space, seed=seed)
    agent.yield_every = yield_every
    return agent


def run(name, updates, seed=0, yield_every=80, **fields):
    worlds = make_worlds(ALGORITHMS[name][0], 2, seed=seed)
    agent = built(config_for(name, **fields), worlds, seed, yield_every)
    return agent, list(agent.learn(worlds, Budget(updates=updates)))


def same(first, second):
    """Whether two states are equal, bit for bit."""
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, Segment):
        return first.name == second.name and same(first.read(), second.read())
    if isinstance(first, np.ndarray):
        return np.array_equal(first, second)
    return first == second


def test_every_algorithm_of_the_catalogue_is_tested_here():
    assert {f"sb3/{name}" for name in ALGORITHMS} == {name for name in AGENTS if name.startswith("sb3/")}
    assert all(config_for(name).title == f"sb3/{name}" for name in ALGORITHMS)


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[] if n in ("a2c", "qrdqn", "sac") else [pytest.mark.slow]) for n in ALGORITHMS],
)
def test_a_resumed_learner_ends_in_the_same_state(name):
    """Another seed and what others draw meanwhile change nothing; test_agents_conform resumes them all."""
    stop = 70  # where a segment is half overwritten
    whole, progress = run(name, 6, yield_every=stop)
    assert whole.resumes_exactly
    assert progress[-1].env_steps == 6 * progress[0].env_steps
    assert all(np.isfinite(list(p.metrics.values())).all() for p in progress)

    world = ALGORITHMS[name][0]
    stopped = built(config_for(name), worlds := make_worlds(world, 2, seed=0), yield_every=stop)
    learning = stopped.learn(worlds, Budget(updates=6))
    for _ in range(3):
        next(learning)
    resumed = built(config_for(name), worlds := make_worlds(world, 2, seed=99), 99, stop)
    resumed.restore(stopped.state())
    updates = []
    for p in resumed.learn(worlds, Budget(updates=6)):
        updates.append(p.updates)
        torch.rand(3)
        np.random.random(3)
        worlds.single_action_space.sample()
    assert updates == [4, 5, 6]
    assert same(whole.state(), resumed.state())


@pytest.mark.parametrize("name", ["ppo", "dqn", "sac"])
def test_watching_changes_nothing_and_global_generators_are_left_alone(name):
    quiet, _ = run(name, 3)
    worlds = make_worlds(ALGORITHMS[name][0], 2)
    watched = built(config_for(name), worlds)
    obs = np.stack([worlds.single_observation_space.sample() for _ in range(3)])
    torch.manual_seed(5)
    np.random.seed(5)
    for _ in watched.learn(worlds, Budget(updates=3)):
        watched.seed(1)
        watched.act(obs, {})
    drawn = torch.rand(1).item(), np.random.random()
    torch.manual_seed(5)
    np.random.seed(5)
    assert drawn == (torch.rand(1).item(), np.random.random())
    assert same(quiet.state(), watched.state())


@pytest.mark.parametrize("name", ALGORITHMS)
def test_what_was_learned_makes_the_round_trip(name):
    trained, progress = run(name, 3)
    assert all(np.isfinite(list(p.metrics.values())).all() for p in progress)
    untrained = built(config_for(name), make_worlds(ALGORITHMS[name][0], 2)).weights()
    assert any(not np.array_equal(a, untrained[k]) for k, a in trained.weights().items()), "it learns"
    worlds = make_worlds(ALGORITHMS[name][0], 4, seed=7)
    obs, info = worlds.reset()
    fresh = built(config_for(name), worlds, seed=8)
    before, _ = fresh.act(obs, info, greedy=True)
    fresh.load_weights({k: v.copy() for k, v in trained.weights().items()})
    for agent in (trained, fresh):
        agent.seed(3)
    for greedy in (True, False):
        first, second = trained.act(obs, info, greedy=greedy)[0], fresh.act(obs, info, greedy=greedy)[0]
        assert np.array_equal(first.actions, second.actions)
        assert np.array_equal(first.value, second.value)
    assert not np.array_equal(before.value, first.value)
    tensors = fresh.policy.state_dict()
    for target in (n for n in tensors if "_target." in n):  # they follow, and are not stored
        assert torch.equal(tensors[target], tensors[target.replace("_target.", ".", 1)])
        assert target not in trained.weights()


def test_a_tensor_that_two_modules_share_is_stored_once():
    worlds = make_worlds("atari/pong", 1)
    agent = built(sb3.PPO(network="nature"), worlds)
    assert sum(w.size for w in agent.weights().values()) == sum(p.numel() for p in agent.policy.parameters())
    other = built(sb3.PPO(network="nature"), worlds, seed=1)
    other.load_weights(agent.weights())
    obs, info = worlds.reset()
    assert np.array_equal(agent.act(obs, info)[0].probabilities, other.act(obs, info)[0].probabilities)


def test_weights_that_do_not_fit_are_refused_by_name():
    agent = built(config_for("ppo"), make_worlds(CARTPOLE, 1))
    weights = agent.weights()
    with pytest.raises(ValueError, match="lack action_net.bias"):
        agent.load_weights({k: v for k, v in weights.items() if k != "action_net.bias"})
    with pytest.raises(ValueError, match="surplus more"):
        agent.load_weights(weights | {"more": np.zeros(1)})
    with pytest.raises(ValueError, match="action_net.bias has shape"):
        agent.load_weights(weights | {"action_net.bias": np.zeros(9, np.float32)})


@pytest.mark.parametrize(
    ("name", "fields", "theirs"),
    [
        ("ppo", {"learning_rate": 0.5, "gamma": 0.5}, {"learning_rate": 0.5, "gamma": 0.5}),
        ("ppo", {"num_steps": 32, "num_epochs": 3}, {"n_steps": 32, "n_epochs": 3}),
        ("ppo", {"minibatch_size": 8, "gae_lambda": 0.25}, {"batch_size": 8, "gae_lambda": 0.25}),
        ("a2c", {"ent_coef": 0.5, "vf_coef": 0.25}, {"ent_coef": 0.5, "vf_coef": 0.25}),
        ("a2c", {"max_grad_norm": 2.0}, {"max_grad_norm": 2.0}),
        ("dqn", {"buffer_size": 64, "batch_size": 8}, {"buffer_size": 64, "batch_size": 8}),
        ("dqn", {"learning_starts": 7}, {"learning_starts": 7}),
        ("dqn", {"target_frequency": 70}, {"target_update_interval": 70}),
        ("qrdqn", {"quantiles": 3}, {"n_quantiles": 3}),
        ("sac", {"tau": 0.25}, {"tau": 0.25}),
    ],
)
def test_our_names_reach_their_arguments(name, fields, theirs):
    agent, _ = run(name, 1, **fields)
    assert {key: getattr(agent.model, key) for key in theirs} == theirs


def test_clip_and_noise_reach_their_arguments():
    assert run("ppo", 1, clip_coef=0.25)[0].model.clip_range(1.0) == 0.25
    assert run("td3", 1, action_noise=0.5)[0].model.action_noise.noises[0]._sigma.tolist() == [0.5]


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("ppo", "buffer_size"),
        ("a2c", "clip_coef"),
        ("dqn", "num_steps"),
        ("dqn", "tau"),
        ("sac", "epsilon_end"),
    ],
)
def test_a_field_that_an_algorithm_does_not_have_is_refused_by_name(name, field):
    with pytest.raises(FieldError, match=f'unknown key "{field}"'):
        config_for(name, **{field: 1})


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [("ppo", "gamma", 1.5), ("ppo", "minibatch_size", 1), ("dqn", "epsilon_end", -0.1), ("sac", "tau", 2.0),
     ("td3", "action_noise", -1.0), ("a2c", "learning_rate", 0.0), ("tqc", "network", "small")],
)  # fmt: skip
def test_values_out_of_range_are_refused_by_name(name, field, value):
    with pytest.raises(FieldError, match=field):
        config_for(name, **{field: value})


@pytest.mark.parametrize("name", [n for n in ALGORITHMS if n != "maskableppo"])
def test_a_masked_world_is_refused_by_those_that_cannot_mask(name):
    worlds = make_worlds(MASKED, 2)
    if ALGORITHMS[name][0] == PENDULUM:
        with pytest.raises(AlgorithmError, match="no discrete actions.*sb3/dqn"):
            built(config_for(name), worlds)
        return
    agent = built(config_for(name), worlds)
    with pytest.raises(AlgorithmError, match=f"sb3/{name} cannot mask.*sb3/maskableppo, or ppo"):
        next(agent.learn(worlds, Budget(updates=1)))
    with pytest.raises(AlgorithmError, match="cannot mask"):
        agent.act(*worlds.reset())


@pytest.mark.parametrize("name", ["dqn", "qrdqn", "maskableppo"])
def test_continuous_actions_are_refused_by_name(name):
    with pytest.raises(AlgorithmError, match=f"sb3/{name} takes no continuous actions.*sb3/sac"):
        built(config_for(name), make_worlds(PENDULUM, 1))


class Joints(gymnasium.Env):
    """Three joints with lopsided bounds, seen as float64 without any."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (4,), np.float64)
    action_space = gymnasium.spaces.Box(np.float32([-0.4, 0, -2]), np.float32([0.4, 3, 0.1]))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.normal(size=4), {}

    def step(self, action):
        over = self.np_random.random() < 0.1
        return self.np_random.normal(size=4), -float(np.square(action).sum()), over, False, {}


@pytest.mark.parametrize("name", ["a2c", "ppo", "sac", "td3", "tqc"])
def test_every_joint_moves_within_its_own_bounds(name):
    worlds = EnvWorlds([Joints] * 2, seed=0)  # which refuse an action outside
    agent = built(config_for(name, learning_rate=0.1), worlds)  # drives actions to the bounds
    *_, last = agent.learn(worlds, Budget(updates=4))
    assert np.isfinite(list(last.metrics.values())).all()
    check_policy(agent, worlds)


def test_every_joint_gets_noise_of_its_own():
    worlds = EnvWorlds([Joints] * 2, seed=0)
    agent = built(config_for("td3", action_noise=0.3), worlds)
    next(agent.learn(worlds, Budget(updates=1)))
    noise = np.stack([agent.model.action_noise() for _ in range(500)]).reshape(-1, 3)
    assert noise.std(0).tolist() == pytest.approx([0.3] * 3, rel=0.1)
    assert np.abs(np.corrcoef(noise.T) - np.eye(3)).max() < 0.2


def test_actions_of_another_kind_are_refused():
    strange = gymnasium.spaces.MultiDiscrete([2, 2])
    for name in ALGORITHMS:
        with pytest.raises(AlgorithmError, match=rf"sb3/{name} takes no actions such as MultiDiscrete"):
            config_for(name).build(gymnasium.spaces.Box(-1, 1, (3,)), strange, seed=0)


def test_what_a_network_cannot_read_is_refused_by_name():
    with pytest.raises(NetworkError, match='use network = "mlp"'):
        built(sb3.PPO(network="nature"), make_worlds(CARTPOLE, 1))
    unbounded = gymnasium.spaces.Box(-np.inf, np.inf, (2,))
    with pytest.raises(AlgorithmError, match="bounded"):
        sb3.SAC().build(gymnasium.spaces.Box(-1, 1, (3,)), unbounded, seed=0)


def test_a_last_minibatch_of_one_is_refused():
    agent = built(sb3.PPO(num_steps=33, minibatch_size=5), worlds := make_worlds(CARTPOLE, 2))
    with pytest.raises(AlgorithmError, match="minibatch of one"):
        next(agent.learn(worlds, Budget(updates=1)))


class Counting(gymnasium.Env):
    """Reward 3 a step; over, or cut, in the fifth."""

    observation_space = gymnasium.spaces.Box(0, 10, (2, 1))
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, cut):
        self.cut = cut

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros((2, 1), np.float32), {}

    def step(self, action):
        self.steps += 1
        over = self.steps == 5
        obs = np.full((2, 1), self.steps, np.float32)
        return obs, 3.0, over and not self.cut, over and self.cut, {}


def counting(clip_reward=False):
    worlds = EnvWorlds([lambda: Counting(False), lambda: Counting(True)], seed=0)
    look = ObservationPreprocessing("mlp", worlds.single_observation_space)
    return WorldsVecEnv(worlds, worlds.single_action_space, look, clip_reward)


def test_episodes_that_end_and_that_are_cut_reach_their_infos():
    env = counting()
    env.reset()
    for step in range(1, 6):
        obs, reward, done, infos = env.step(np.array([0, 1]))
        assert reward.tolist() == [3.0, 3.0]
        assert done.tolist() == [step == 5] * 2
    assert obs.tolist() == [[0.0, 0.0]] * 2
    assert [info["terminal_observation"].tolist() for info in infos] == [[5.0, 5.0]] * 2
    assert [info["TimeLimit.truncated"] for info in infos] == [False, True]
    assert [(e.score, e.length) for e in env.episodes] == [(15.0, 5)] * 2


def test_clipped_rewards_are_for_learning_only():
    env = counting(clip_reward=True)
    env.reset()
    rewards = [env.step(np.zeros(2, np.int64))[1].tolist() for _ in range(5)]
    assert rewards == [[1.0, 1.0]] * 5
    assert [e.score for e in env.episodes] == [15.0, 15.0]


def test_a_cut_episode_still_bootstraps():
    """Their rollout adds γ V(final observation) to the last reward, where it was cut and only there."""
    worlds = EnvWorlds([lambda: Counting(False), lambda: Counting(True)], seed=0)
    agent = built(sb3.PPO(num_steps=5, minibatch_size=10, num_epochs=1, learning_rate=1e-30), worlds)
    next(agent.learn(worlds, Budget(updates=1)))
    worth = agent.policy.predict_values(torch.full((1, 2), 5.0)).item()
    last = agent.model.rollout_buffer.rewards[-1]
    assert last.tolist() == pytest.approx([3.0, 3.0 + 0.99 * worth])
    assert abs(worth) > 0.01


@pytest.mark.parametrize("n", [1, 3])
def test_env_steps_per_gradient_step_do_not_depend_on_the_number_of_worlds(n):
    agent = built(config_for("dqn"), worlds := make_worlds(CARTPOLE, n))
    progress = list(agent.learn(worlds, Budget(env_steps=400)))
    assert progress[-1].metrics["gradient_steps"] == progress[-1].env_steps // 40 - 50 // 40


def test_epsilon_falls_over_env_steps_whatever_the_budget():
    for updates in (4, 8):
        _, progress = run("dqn", updates, epsilon_steps=320)
        assert [p.metrics["epsilon"] for p in progress[:4]] == pytest.approx([0.7625, 0.525, 0.2875, 0.05])


def test_maskable_ppo_never_plays_a_masked_action():
    worlds = make_worlds(MASKED, 8)  # which refuses one
    agent = built(config_for("maskableppo", learning_rate=0.01), worlds)
    score = [[e.score / e.length for e in p.episodes] for p in agent.learn(worlds, Budget(updates=15))]
    assert np.mean(sum(score[-4:], [])) > np.mean(sum(score[:3], [])) + 0.1
    obs, info = worlds.reset()
    for _ in range(100):
        decision, _ = agent.act(obs, info)
        assert not decision.probabilities[~info["action_mask"]].any()
        obs, _, _, _, info = worlds.step(decision.actions)


def test_sampled_actions_follow_the_probabilities_that_are_shown():
    agent = built(config_for("ppo"), make_worlds(CARTPOLE, 1))
    with torch.no_grad():
        agent.policy.action_net.bias.copy_(torch.tensor([0.0, 1.0]))
    obs = np.zeros((20_000, 4), np.float32)
    decision, _ = agent.act(obs, {})
    assert decision.probabilities[0, 1] == pytest.approx(1 / (1 + np.exp(-1)), abs=1e-4)
    assert decision.actions.mean() == pytest.approx(decision.probabilities[0, 1], abs=0.015)


@pytest.mark.parametrize("name", ["ppo", "sac", "td3", "tqc", "dqn", "qrdqn", "a2c"])
def test_the_best_action_is_the_one_that_their_own_predict_gives(name):
    agent, _ = run(name, 2)
    worlds = make_worlds(ALGORITHMS[name][0], 5, seed=4)
    obs, info = worlds.reset()
    decision, _ = agent.act(obs, info, greedy=True)
    theirs, _ = agent.model.predict(obs, deterministic=True)
    assert np.allclose(decision.actions, theirs, atol=1e-5)


def test_weights_that_are_not_finite_stop_learning():
    agent = built(config_for("ppo"), worlds := make_worlds(CARTPOLE, 2))
    with torch.no_grad():
        agent.policy.value_net.weight.fill_(torch.nan)
    with pytest.raises(NonFiniteError, match="not finite in update 1"):
        next(agent.learn(worlds, Budget(updates=2)))


def test_pictures_are_read_by_nature_and_by_mlp():
    worlds = make_worlds("atari/pong", 2, max_frames=200)
    pixels = built(sb3.DQN(network="nature", **Q), worlds)
    assert next(pixels.learn(worlds, Budget(updates=1))).env_steps == 80
    assert pixels.model.replay_buffer.observations.shape[2:] == (4, 84, 84)
    flat = built(sb3.PPO(network="mlp"), worlds)
    assert flat.look.space.shape == (4 * 84 * 84,) and flat.look.space.high.max() == 1.0
    obs, info = worlds.reset()
    assert flat.look(obs).max() <= 1.0
    flat.act(obs, info)


@pytest.mark.parametrize("package", ["stable_baselines3", "sb3_contrib"])
def test_a_missing_package_is_named(package, monkeypatch):
    for name in [n for n in sys.modules if n.split(".")[0] == package or n.startswith("agents.sb3")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)  # the import system's own sign for "there is none"
    wanted = 'agent "sb3/ppo" needs the package ' + package.replace("_", "[-_]")
    with pytest.raises(MissingPackageError, match=wanted):
        load(AGENTS, "sb3/ppo", "agent")


def test_ppo_learns_cartpole():
    config = sb3.PPO(
        num_steps=64, num_epochs=8, minibatch_size=128, learning_rate=4e-3, gae_lambda=0.8, gamma=0.98
    )
    agent = built(config, worlds := make_worlds(CARTPOLE, 8))
    progress = list(agent.learn(worlds, Budget(updates=7)))
    returns = [np.mean([e.score for e in p.episodes]) for p in progress if p.episodes]
    assert returns[0] < 40
    assert np.mean(returns[-3:]) > 50  # by seed 76 … 82


@pytest.mark.parametrize("name", ["playfield/atari-pong", "playfield/walker-hopper"])
def test_registered_worlds_without_a_mask_pass_stable_baselines3s_own_checker(name):
    env = gymnasium.make(name, render_mode="rgb_array", max_episode_steps=20)
    check_env(env.unwrapped, skip_render_check=False)
    check_env(env, warn=False)
    env.close()


def test_the_registered_chess_world_tells_maskable_ppo_its_masks_and_others_that_they_need_them():
    env = gymnasium.make("playfield/chess-kqk", max_episode_steps=3, history=1)
    flat = gymnasium.wrappers.FlattenObservation(env)  # or planes are taken for a picture
    with pytest.raises(ActionError, match="sb3-contrib's MaskablePPO"):
        check_env(env.unwrapped, warn=False)
    learner = sb3_contrib.MaskablePPO(
        "MlpPolicy",
        flat,
        n_steps=4,
        batch_size=4,
        policy_kwargs={"net_arch": [4], "ortho_init": False},
        device="cpu",
    )
    learner.learn(8)
    assert learner.num_timesteps == 8

"""Learning on CUDA: it learns, without waits inside an update, like the CPU, and resumes to the bit.

Plain, compiled, as CUDA graphs, and with graphs in double-buffered worlds.
"""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch
from rollouts import collected

from agents.dqn import DQN
from agents.optim.cuda_graphs import GraphedFunction
from agents.pinned_buffers import PinnedBuffers
from agents.ppo import PPO, RolloutSamples
from agents.pqn import PQN
from agents.rollouts.rollout import RolloutCollector
from agents.sac import SAC
from sim.catalog import make_worlds
from sim.records import Budget

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here"),
    # Of PyTorch's own making: inductor's imports, its choice of a softmax, a first graph that only frees
    # memory, and the check for waits, which is young.
    pytest.mark.filterwarnings("ignore:.*script_method.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:(?s).*Online softmax is disabled.*:UserWarning"),
    pytest.mark.filterwarnings("ignore:The CUDA Graph is empty.*:UserWarning"),
    pytest.mark.filterwarnings("ignore:Synchronization debug mode.*:UserWarning"),
]

CONFIGS = {
    "ppo": PPO(network="small", num_steps=24, num_epochs=2, minibatch_size=32, clip_coef_end=0.0),
    "pqn": PQN(network="small", num_steps=24, minibatch_size=32),
    "dqn": DQN(
        network="small", buffer_size=1000, batch_size=16, learning_starts=40, train_frequency=8,
        target_frequency=64, double=True, dueling=True, n_step=3, prioritized=True, quantiles=3,
    ),
}  # fmt: skip
CONFIGS["gru"] = PPO(network="gru", num_steps=24, num_epochs=2, minibatch_size=48)
NAMES = pytest.mark.parametrize("name", CONFIGS)
WAYS = {"plain": {}, "compiled": {"compile": True}, "graphs": {"cuda_graphs": True}}
WAYS["halves"] = {"cuda_graphs": "auto", "double_buffered": True}
EVERY_WAY = pytest.mark.parametrize(
    ("name", "way"), [(name, way) for name in CONFIGS for way in WAYS if name != "gru" or way == "plain"]
)


def worlds_of(seed=1, way="plain"):
    halves = WAYS[way].get("double_buffered", False)
    return make_worlds("atari/pong", 4, seed=seed, max_frames=160, double_buffered=halves)  # of 40 steps


def built(name, worlds, device="cuda", seed=0, way="plain", **changes):
    changes |= {key: value for key, value in WAYS[way].items() if key != "double_buffered"}
    config = type(CONFIGS[name])(**vars(CONFIGS[name]) | changes)
    spaces = (worlds.single_observation_space, worlds.single_action_space)
    agent = config.build(*spaces, seed=seed, device=device)
    agent.yield_every = 96  # of DQN
    return agent


def moved(record, device):
    """A dataclass of tensors on `device`."""
    values = {f.name: getattr(record, f.name) for f in fields(record)}
    return type(record)(**{k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in values.items()})


@EVERY_WAY
def test_it_learns_on_the_device(name, way):
    agent = built(name, worlds := worlds_of(way=way), way=way)
    before = agent.weights()
    told = [p.metrics for p in agent.learn(worlds, Budget(updates=4))]
    assert all(p.device.type == "cuda" for p in agent.network.parameters())
    assert "grad_norm" in told[-1] and all(np.isfinite(list(m.values())).all() for m in told)
    after = agent.weights()
    assert all(np.isfinite(array).all() for array in after.values())
    assert any(not np.array_equal(before[key], after[key]) for key in before)


@EVERY_WAY
def test_nothing_inside_an_update_waits_for_the_device(name, way):
    agent = built(name, worlds := worlds_of(way=way), way=way)
    learning = agent.learn(worlds, Budget(updates=4))
    next(learning), next(learning)  # kernels are compiled, graphs recorded, memory is reserved
    if name == "dqn":
        updates = [lambda: agent.update(0.5)] * 3
    else:
        rollout = collected(agent, worlds_of())
        updates = [lambda: agent.run_epochs(rollout)] * 3
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        figures = [update() for update in updates]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.isfinite(torch.stack(figures)).all()


@NAMES
def test_losses_and_gradients_are_those_of_the_cpu(name, monkeypatch):
    """Of the same weights and transitions, without the device's shorter float32 (TF32, 10 bits)."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    worlds = worlds_of()
    cpu, cuda = (built(name, worlds, device, precision="float32") for device in ("cpu", "cuda"))
    if name == "dqn":
        next(cpu.learn(worlds, Budget(updates=2)))
        cuda.load_weights(cpu.weights())
        cpu.target.load_state_dict(cpu.network.state_dict())
        given = (cpu._priorities.sample(32, 0.5, np.random.default_rng(0)),)
    else:
        rollout = collected(cpu, worlds)
        advantage = torch.randn(rollout.value.shape, generator=torch.Generator().manual_seed(0))
        if name in ("ppo", "gru"):
            given = (RolloutSamples.from_rollout(rollout, advantage),)
        else:
            given = (rollout.obs.flatten(0, 1), rollout.action.flatten(), advantage.flatten())
    found = []
    for agent in (cpu, cuda):
        there = [g.to(agent.device) if isinstance(g, torch.Tensor) else moved(g, agent.device) for g in given]
        agent.network.zero_grad()  # of the update before, if there was one
        loss, figures, *_ = agent.loss(*there)
        torch.autograd.backward(loss)
        gradient = torch.cat([p.grad.flatten().cpu() for p in agent.network.parameters()])
        found.append((figures.detach().cpu(), gradient))
    (figures, gradient), (figures_there, gradient_there) = found
    assert torch.allclose(figures, figures_there, rtol=1e-2, atol=1e-3)
    cosine = torch.nn.functional.cosine_similarity(gradient, gradient_there, dim=0)
    assert cosine > 0.999 and gradient_there.norm() == pytest.approx(gradient.norm().item(), rel=2e-2)


@EVERY_WAY
def test_a_resumed_learner_ends_in_the_same_weights(name, way):
    whole = built(name, worlds := worlds_of(3, way), way=way)
    *_, last = whole.learn(worlds, Budget(updates=6))
    stopped = built(name, worlds := worlds_of(3, way), way=way)
    learning = stopped.learn(worlds, Budget(updates=6))
    for _ in range(3):
        next(learning)
    resumed = built(name, worlds := worlds_of(99, way), seed=99, way=way)
    resumed.restore(stopped.state())
    assert [p.updates for p in resumed.learn(worlds, Budget(updates=6))] == [4, 5, last.updates]
    wanted = whole.weights()
    assert all(np.array_equal(wanted[key], array) for key, array in resumed.weights().items())


@NAMES
def test_weights_learned_on_the_device_act_the_same_on_the_cpu(name):
    agent = built(name, worlds := worlds_of(), precision="float32")
    next(agent.learn(worlds, Budget(updates=2)))
    other = built(name, worlds, "cpu", seed=5, precision="float32")
    other.load_weights(agent.weights())
    obs, info = worlds.reset()
    there, here = (policy.act(obs, info, greedy=True)[0] for policy in (agent, other))
    assert there.value == pytest.approx(here.value, rel=1e-2, abs=1e-2)


@pytest.mark.parametrize("name", ["ppo", "pqn", "dqn"])
def test_graphs_are_captured_and_learn_what_the_plain_step_learns(name):
    found = {}
    for way in ("plain", "graphs"):
        agent = built(name, worlds := worlds_of(), way=way, precision="float32")
        first = agent.weights()
        *_, last = agent.learn(worlds, Budget(updates=3))
        found[way] = last.metrics, agent.weights()
    acting = agent._sample if name == "ppo" else agent._best
    assert acting.captured == 1
    assert agent.gradient_step._graphed.captured == 1  # 96 rows are three minibatches of 32
    (metrics, plain), (graphed_metrics, graphed) = found["plain"], found["graphs"]
    assert graphed_metrics == pytest.approx(metrics, rel=1e-2, abs=1e-3)
    for key, weight in plain.items():
        moved = np.linalg.norm(weight - first[key])
        assert np.linalg.norm(graphed[key] - weight) <= 0.05 * moved, key


def test_a_graph_reads_new_inputs_and_new_weights_and_its_results_stay():
    weight = torch.nn.Parameter(torch.full((64, 64), 2.0, device="cuda"))
    graphed = GraphedFunction(lambda x: (torch.nn.functional.linear(x, weight),), weight.device)
    one, results = torch.ones(8, 64, device="cuda"), []
    with torch.no_grad(), torch.autocast("cuda", torch.bfloat16):
        for scale in range(6):
            weight.fill_(scale)
            results.append(graphed(scale * one)[0])
    assert graphed.captured == 1
    assert [result.unique().tolist() for result in results] == [[64.0 * i * i] for i in range(6)]


def test_pinned_buffers_are_not_written_again_before_a_busy_device_has_copied_them():
    buffers, generator = PinnedBuffers(torch.device("cuda")), np.random.default_rng(0)
    array, wanted, copied = np.zeros((16, 1, 84, 84), np.uint8), [], []
    for _ in range(6):
        array[:] = generator.integers(256, size=array.shape, dtype=np.uint8)
        wanted.append(array.copy())
        torch.cuda._sleep(20_000_000)  # cycles: about ten milliseconds
        copied.append(buffers.copy(array))
    assert all(np.array_equal(there.cpu().numpy(), here) for there, here in zip(copied, wanted, strict=True))


def test_stacks_on_the_device_are_the_worlds_observations():
    agent = built("ppo", worlds := worlds_of())
    collecting = RolloutCollector(agent, worlds, worlds.reset())
    for _ in range(45):
        wanted = agent.observe(collecting.obs)
        assert torch.equal(collecting.collect(1).obs[0], wanted)


@pytest.mark.parametrize("graphs", [False, True])
def test_continuous_actions_are_learned_and_resumed_on_the_device(graphs):
    config = SAC(
        network="xqc256", buffer_size=1000, batch_size=16, learning_starts=40, train_frequency=8,
        cuda_graphs=graphs,
    )  # fmt: skip

    def learner(seed):
        worlds = make_worlds("gym/Pendulum-v1", 2, seed=seed)
        spaces = worlds.single_observation_space, worlds.single_action_space
        agent = config.build(*spaces, seed=seed, device="cuda")
        agent.yield_every = 96
        return agent, worlds

    whole, worlds = learner(1)
    learning = whole.learn(worlds, Budget(updates=4))
    next(learning), next(learning)
    resumed, others = learner(50)
    resumed.restore(whole.state())
    (*_, last), (*_, again) = learning, resumed.learn(others, Budget(updates=4))
    assert last.metrics == again.metrics and np.isfinite(list(last.metrics.values())).all()
    assert all(np.array_equal(a, resumed.weights()[key]) for key, a in whole.weights().items())

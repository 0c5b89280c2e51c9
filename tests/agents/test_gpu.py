"""Learning on CUDA: it learns, without waits inside an update, like the CPU, and resumes to the bit."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch
from rollouts import collected

from agents.dqn import DQN
from agents.ppo import PPO, RolloutSamples
from agents.pqn import PQN
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
COMPILED = pytest.mark.parametrize(
    ("name", "compile"),
    [(name, how) for name in CONFIGS for how in (False, True) if name != "gru" or not how],
)


def worlds_of(seed=1):
    return make_worlds("atari/pong", 4, seed=seed, max_frames=160)  # episodes of 40 steps


def built(name, worlds, device="cuda", seed=0, **changes):
    config = type(CONFIGS[name])(**vars(CONFIGS[name]) | changes)
    spaces = (worlds.single_observation_space, worlds.single_action_space)
    agent = config.build(*spaces, seed=seed, device=device)
    agent.yield_every = 96  # of DQN
    return agent


def moved(record, device):
    """A dataclass of tensors on `device`."""
    values = {f.name: getattr(record, f.name) for f in fields(record)}
    return type(record)(**{k: v.to(device) if isinstance(v, torch.Tensor) else v for k, v in values.items()})


@COMPILED
def test_it_learns_on_the_device(name, compile):
    agent = built(name, worlds := worlds_of(), compile=compile)
    before = agent.weights()
    told = [p.metrics for p in agent.learn(worlds, Budget(updates=4))]
    assert all(p.device.type == "cuda" for p in agent.network.parameters())
    assert "grad_norm" in told[-1] and all(np.isfinite(list(m.values())).all() for m in told)
    after = agent.weights()
    assert all(np.isfinite(array).all() for array in after.values())
    assert any(not np.array_equal(before[key], after[key]) for key in before)


@COMPILED
def test_nothing_inside_an_update_waits_for_the_device(name, compile):
    agent = built(name, worlds := worlds_of(), compile=compile)
    learning = agent.learn(worlds, Budget(updates=4))
    next(learning), next(learning)  # kernels are compiled, graphs recorded, memory is reserved
    if name == "dqn":
        updates = [lambda: agent.update(0.5)] * 3
    else:
        rollout = collected(agent, worlds)
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


@COMPILED
def test_a_resumed_learner_ends_in_the_same_weights(name, compile):
    whole = built(name, worlds := worlds_of(3), compile=compile)
    *_, last = whole.learn(worlds, Budget(updates=6))
    stopped = built(name, worlds := worlds_of(3), compile=compile)
    learning = stopped.learn(worlds, Budget(updates=6))
    for _ in range(3):
        next(learning)
    resumed = built(name, worlds := worlds_of(99), seed=99, compile=compile)
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

"""One gradient step: compiled it is the plain one, and nothing in it waits for the device; schedules."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from rollouts import collected
from torch.utils._python_dispatch import TorchDispatchMode

from agents.dqn import DQN
from agents.optim.flat_adam import FlatAdam
from agents.optim.train_step import CompileError, GradientStep, MinibatchError, adam, check_compiler, radam
from agents.ppo import PPO
from agents.pqn import PQN
from sim.catalog import make_worlds
from sim.errors import RequestError
from sim.records import Budget
from supervised.tensors import optimizer_state, restore_optimizer

POLE, PENDULUM, MASKED = "gym/CartPole-v1", "gym/Pendulum-v1", "gym/tests/Masked-v0"
CONFIGS = {
    "ppo": PPO(
        network="mlp", num_steps=17, num_epochs=2, minibatch_size=16, clip_coef_end=0.0, ent_coef_end=0.0
    ),
    "pqn": PQN(network="mlp", num_steps=17, minibatch_size=16),
    "dqn": DQN(
        network="mlp", buffer_size=500, batch_size=16, learning_starts=20, train_frequency=8,
        target_frequency=40, double=True, dueling=True, n_step=3, prioritized=True, quantiles=3,
    ),
}  # fmt: skip

#: Never compiled.
GRU = PPO(network="gru", num_steps=17, num_epochs=2, minibatch_size=17)


def built(config, worlds):
    agent = config.build(worlds.single_observation_space, worlds.single_action_space, seed=0)
    agent.yield_every = 40  # of DQN
    return agent


def learned(config, world, updates=3, backend="inductor", **fields):
    worlds = make_worlds(world, 2, seed=1)
    agent = built(type(config)(**vars(config) | fields), worlds)
    agent.gradient_step.backend = backend
    return agent.weights(), [p.metrics for p in agent.learn(worlds, Budget(updates=updates))], agent


def assert_moved_alike(first, wanted, found, tolerance):
    """Compare two runs from the same weights by how far they end apart, as a part of how far they came.

    Adam takes steps of about its rate whatever the gradient, so weights that moved apart by rounding
    alone and by a wrong loss differ in this ratio, and hardly in how far they moved.
    """
    for name, weight in wanted.items():
        moved = np.linalg.norm(weight - first[name])
        assert moved > 0, f"{name} has learned nothing"
        assert np.linalg.norm(found[name] - weight) <= tolerance * moved, name


def assert_taught_alike(config, world, tolerance, **fields):
    """Learn plain and compiled, and hold the figures and the weights against each other."""
    first, plain, one = learned(config, world, **fields)
    _, compiled, two = learned(config, world, compile=True, **fields)
    for a, b in zip(plain, compiled, strict=True):
        assert b == pytest.approx(a, rel=tolerance, abs=tolerance)
    assert_moved_alike(first, one.weights(), two.weights(), tolerance)


def test_the_comparison_sees_a_loss_wrong_by_a_hundredth():
    ppo = CONFIGS["ppo"]
    first, _, right = learned(ppo, MASKED, 1)
    assert_moved_alike(first, right.weights(), learned(ppo, MASKED, 1)[2].weights(), 1e-6)
    wrong = learned(ppo, MASKED, 1, vf_coef=1.01 * ppo.vf_coef)[2]
    with pytest.raises(AssertionError):
        assert_moved_alike(first, right.weights(), wrong.weights(), 1e-3)


@pytest.mark.parametrize(
    ("name", "world", "tolerance"),
    [("ppo", PENDULUM, 1e-5), ("pqn", POLE, 1e-6), ("dqn", MASKED, 1e-6)],  # PPO's plain form is a closed one
)
def test_a_traced_loss_teaches_the_same_and_is_traced_no_more_often_than_there_are_sizes(
    name, world, tolerance
):
    traced = torch._dynamo.utils.counters["stats"]
    before = traced["unique_graphs"]
    assert_taught_alike(CONFIGS[name], world, tolerance, backend="eager")
    # 34 steps are minibatches of 12, 11 and 11; a replay's batches are all of one size.
    assert traced["unique_graphs"] - before == (1 if name == "dqn" else 2)
    assert not torch._dynamo.utils.counters["graph_break"]


@pytest.mark.slow  # a minute of a C++ compiler at work
@pytest.mark.filterwarnings("ignore:.*script_method.*:DeprecationWarning")  # inductor's own imports
@pytest.mark.parametrize("name", CONFIGS)
def test_a_compiled_loss_on_pictures_teaches_the_same_but_for_rounding(name):
    fields = {"network": "small", "precision": "float32", "learning_rate": 1e-3}
    assert_taught_alike(CONFIGS[name], "atari/pong", 1e-3, updates=2, **fields)  # rounding leaves 1e-5


class NoWaiting(TorchDispatchMode):
    """Refuses what would make the host wait for CUDA: reading numbers, shapes that depend on numbers."""

    WAITS = ("_local_scalar_dense", "nonzero", "_unique2", "unique_dim", "masked_select", "equal")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        assert name not in self.WAITS, f"{name} waits for the device"
        if name in ("index", "index_put", "index_put_", "_index_put_impl_"):
            assert all(i is None or i.dtype != torch.bool for i in args[1]), f"{name} by a mask waits"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", [*CONFIGS, "gru"])
def test_nothing_in_an_update_waits_for_the_device(name):
    worlds = make_worlds("atari/pong" if name == "dqn" else MASKED, 2, seed=1)
    config = GRU if name == "gru" else CONFIGS[name]
    if name == "dqn":
        config = DQN(**vars(config) | {"network": "small"})
    agent = built(config, worlds)
    if name == "dqn":
        next(agent.learn(worlds, Budget(updates=2)))
        update = lambda: agent.update(0.5)  # noqa: E731
    else:
        rollout = collected(agent, worlds)
        update = lambda: agent.run_epochs(rollout)  # noqa: E731
        agent.gradient_step.prepare()
        if name == "pqn":  # on the CPU its optimiser reads its own counter, which on CUDA it does not
            agent.gradient_step.optimizer.step = lambda: None
    agent.tensor = None  # it waits for small arrays
    with NoWaiting():
        figures = update()
    assert torch.isfinite(figures).all()


def test_the_guard_above_sees_what_waits():
    numbers = torch.ones(3)
    for waits in (
        lambda: float(numbers[0]), lambda: bool(numbers.any()), lambda: numbers[numbers > 0],
        lambda: numbers.unique(), lambda: numbers.masked_fill_(numbers > 0, 2)[numbers > 5],
    ):  # fmt: skip
        with NoWaiting(), pytest.raises(AssertionError, match="wait"):
            waits()


def test_ppos_schedules_fall_in_straight_lines_and_are_constant_unless_asked_for():
    _, moving, _ = learned(
        CONFIGS["ppo"], POLE, 4, clip_coef=0.2, clip_coef_end=0.1, ent_coef=0.01, ent_coef_end=0.03
    )
    assert [m["clip_coef"] for m in moving] == pytest.approx([0.2, 0.175, 0.15, 0.125])
    assert [m["ent_coef"] for m in moving] == pytest.approx([0.01, 0.015, 0.02, 0.025])
    _, still, _ = learned(CONFIGS["ppo"], POLE, 2, clip_coef=0.2, clip_coef_end=None, ent_coef_end=None)
    assert {(m["clip_coef"], m["ent_coef"]) for m in still} == {(0.2, 0.01)}


@pytest.mark.parametrize(("field", "figure"), [("clip_coef", "clip_fraction"), ("ent_coef", "entropy")])
def test_a_schedule_is_what_the_loss_uses(field, figure):
    worlds = make_worlds(POLE, 2, seed=1)
    agent = built(PPO(network="mlp", num_steps=12, minibatch_size=24), worlds)
    rollout = collected(agent, worlds)
    batch = rollout_batch(rollout)
    batch.log_prob += 0.3 * torch.randn(len(batch.log_prob), generator=torch.Generator().manual_seed(0))
    before, figures = agent.loss(batch)
    getattr(agent, f"_{field}").fill_(0.0)
    after, changed = agent.loss(batch)
    if field == "ent_coef":  # the bonus is gone
        assert (after - before).item() == pytest.approx(0.01 * figures[2].item(), rel=1e-4)
    else:  # every ratio is outside [1, 1]
        assert figures[4] < changed[4] == 1.0


def rollout_batch(rollout):
    from agents.ppo import RolloutSamples

    advantage = torch.randn(rollout.value.shape, generator=torch.Generator().manual_seed(1))
    return RolloutSamples.from_rollout(rollout, advantage)


@pytest.mark.parametrize("name", ["ppo", "pqn"])
def test_a_minibatch_larger_than_a_rollout_is_refused_but_not_by_a_probe(name):
    worlds = make_worlds(POLE, 2)
    config = type(CONFIGS[name])(network="mlp", num_steps=64, minibatch_size=129)
    with pytest.raises(
        MinibatchError, match=r"minibatch_size is 129, .* 64 × 2 = 128 steps: .* at most 128"
    ) as told:
        next(built(config, worlds).learn(worlds, Budget(updates=1)))
    assert isinstance(told.value, RequestError) and isinstance(told.value, ValueError)
    fits = type(config)(network="mlp", num_steps=64, minibatch_size=128)
    progress = next(built(fits.probe(), worlds).learn(worlds, Budget(updates=1)))
    assert progress.env_steps == 2 * 16


def test_without_a_compiler_compiling_is_refused_before_anything_is_played(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    worlds = make_worlds(POLE, 2)
    agent = built(PPO(**vars(CONFIGS["ppo"]) | {"compile": True}), worlds)
    with pytest.raises(CompileError, match=r"needs a C\+\+ compiler.*agent.compile at false"):
        next(agent.learn(worlds, Budget(updates=1)))
    monkeypatch.setattr("agents.optim.train_step.find_spec", lambda name: None)
    with pytest.raises(CompileError, match="needs Triton"):
        check_compiler(torch.device("cuda"))


@pytest.mark.parametrize("optimizer", [lambda p: adam(p, 0.1, 1e-8), lambda p: radam(p, 0.1)])
def test_a_new_learning_rate_counts_from_the_next_step_on(optimizer):
    weight = torch.nn.Parameter(torch.zeros(1))
    step = GradientStep(lambda: (weight.sum(), torch.zeros(1)), optimizer([weight]), 1.0)
    step()
    assert weight.item() == pytest.approx(
        -0.1
    )  # with a constant gradient of 1 either takes steps of its rate
    step.set_learning_rate(0.01)
    step()
    assert weight.item() == pytest.approx(-0.11)


@pytest.mark.parametrize("kind", [PPO, PQN])
def test_no_minibatch_is_a_remnant_and_every_row_is_learned_from_once_an_epoch(kind):
    worlds = make_worlds(POLE, 2, seed=1)
    agent = built(kind(network="mlp", num_steps=17, num_epochs=2, minibatch_size=32), worlds)
    sizes, step = [], agent.gradient_step
    agent.gradient_step = lambda *batch, **share: (
        sizes.append(len(getattr(batch[0], "target", batch[-1]))) or step(*batch, **share)
    )
    agent.run_epochs(collected(agent, worlds))
    assert sizes == [17, 17, 17, 17], "34 rows in minibatches of 32 are not 32 and 2"


def along(parameters, directions):
    """A loss whose gradient is `directions`, and no figures."""
    return sum((a * b).sum() for a, b in zip(parameters, directions, strict=True)), torch.zeros(1)


def test_adam_over_one_buffer_takes_the_steps_of_adam_parameter_by_parameter():
    """Gradients of all sizes, above and below the norm they are clipped to; and a restored state goes on."""
    generator = torch.Generator().manual_seed(0)
    start = [torch.randn(shape, generator=generator) for shape in ((3, 2), (2,), ())]
    sides = []
    for make in (
        lambda p: FlatAdam(p, torch.tensor(0.1), 1e-5),
        lambda p: torch.optim.Adam(p, 0.1, eps=1e-5),
    ):
        parameters = [torch.nn.Parameter(value.clone()) for value in start]
        sides.append((parameters, make(parameters)))
    for scale in (1e-4, 1.0, 30.0, 0.3):
        directions = [scale * torch.randn(p.shape, generator=generator) for p in start]
        norms = []
        for parameters, optimizer in sides:
            dots = partial(along, parameters, directions)
            norms.append(GradientStep(dots, optimizer, 0.5)()[0][1].item())
        assert norms[0] == pytest.approx(norms[1], rel=1e-5)
        for flat, plain in zip(sides[0][0], sides[1][0], strict=True):
            torch.testing.assert_close(flat, plain)
    state = optimizer_state(sides[0][1])
    plain = optimizer_state(sides[1][1])
    assert {k: set(v) for k, v in state.items()} == {k: set(v) for k, v in plain.items()}
    again = FlatAdam([torch.nn.Parameter(p.detach().clone()) for p in sides[0][0]], torch.tensor(0.1), 1e-5)
    restore_optimizer(again, state)
    for optimizer in (again, sides[0][1]):
        optimizer.zero_grad()
        optimizer.whole.grad.fill_(0.2)
        optimizer.step()
    assert torch.equal(again.whole, sides[0][1].whole)
    assert torch.equal(sides[0][0][0].flatten(), sides[0][1].whole[:6]), (
        "the parameters are views of the buffer"
    )


def test_only_small_contiguous_networks_are_moved_into_one_buffer():
    small, strided = torch.nn.Parameter(torch.zeros(4, 4)), torch.nn.Parameter(torch.zeros(4, 3).t())
    assert isinstance(adam([small], 0.1, 1e-8), FlatAdam)
    assert not isinstance(adam([small, strided], 0.1, 1e-8), FlatAdam)
    assert not isinstance(adam([torch.nn.Parameter(torch.zeros(2**20 + 1))], 0.1, 1e-8), FlatAdam)

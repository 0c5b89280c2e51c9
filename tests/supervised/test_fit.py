"""The fitting loop: theory on a line, exact resume, averaging, patience, several processes."""

from __future__ import annotations

import math
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from process_groups import ThreadGroup, in_ranks
from torch import distributed, nn

from sim.machine import MemoryRefused
from sim.records import Budget
from sim.storage.states import read_state, write_state
from supervised.base_model import seeded
from supervised.distributed import ShareError, learning_in
from supervised.fit import Fit, FitOptions, fits_exactly
from supervised.tensors import NonFiniteError


class Line:
    """y = 2 x − 1 and noise."""

    def __init__(self, n: int, seed: int, noise: float = 0.0) -> None:
        generator = np.random.default_rng(seed)
        self.x = generator.normal(size=(n, 1)).astype(np.float32)
        self.y = (2 * self.x - 1 + noise * generator.normal(size=(n, 1))).astype(np.float32)
        self.drawn: list[int] = []

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, rows, generator):
        self.drawn += rows.tolist()
        return {"x": self.x[rows], "y": self.y[rows]}


def squared(network, batch):
    error = (network(batch["x"]).float() - batch["y"]).square().mean()
    return error, {"rmse": error.sqrt()}


def line(seed: int = 0) -> nn.Linear:
    return seeded(lambda: nn.Linear(1, 1), seed)


def fit(train=None, validation=None, seed=0, network=None, **options):
    options = {"batch_size": 8, "learning_rate": 0.1, "warmup_updates": 5, "validate_every": 20} | options
    network = line() if network is None else network
    train = Line(37, 1) if train is None else train
    validation = Line(20, 2) if validation is None else validation
    return Fit(network, squared, train, validation, FitOptions(**options), seed=seed)


def run(fitting, updates):
    return list(fitting.learn(Budget(updates=updates)))


def test_it_finds_the_line():
    fitting = fit()
    *_, last = run(fitting, 200)
    assert last.metrics["validation_loss"] < 1e-3
    weights = fitting.weights()
    assert weights["weight"].item() == pytest.approx(2, abs=0.02)
    assert weights["bias"].item() == pytest.approx(-1, abs=0.02)


def test_validation_may_be_on_some_examples_evenly_spread():
    validation = Line(20, 2)
    seen = validation.drawn
    some, every = fit(validation=validation, validate_on=7), fit(validation=validation)
    some.validate()
    assert seen == [0, 3, 6, 9, 12, 15, 18]
    seen.clear()
    every.validate()
    assert seen == list(range(20))


def test_every_example_is_seen_once_an_epoch_and_each_epoch_in_another_order():
    train = Line(37, 1)
    run(fit(train, batch_size=10), 37)  # ten whole epochs
    epochs = [train.drawn[i : i + 37] for i in range(0, 370, 37)]
    assert all(sorted(epoch) == list(range(37)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 10


def test_the_learning_rate_rises_and_then_falls_with_a_half_cosine():
    told = run(fit(learning_rate=1.0, warmup_updates=4, validate_every=1), 100)
    rates = {progress.updates: progress.metrics["learning_rate"] for progress in told}
    assert [rates[update] for update in (1, 2)] == pytest.approx([0.5, 0.75], rel=0.01)
    assert rates[50] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0.0)


def test_the_average_is_the_exponential_moving_average():
    fitting, weights = fit(ema=0.9, validate_every=1), []
    for _ in fitting.learn(Budget(updates=6)):
        weights.append(fitting.network.weight.item())
    expected = weights[0]
    for weight in weights[1:]:
        expected = 0.9 * expected + 0.1 * weight
    assert fitting.weights()["weight"].item() == pytest.approx(expected, rel=1e-5)


def test_patience_stops_it_and_keeps_the_best_weights():
    noisy = Line(6, 1, noise=2.0)
    network = nn.Sequential(nn.Linear(1, 64), nn.Tanh(), nn.Linear(64, 1))
    fitting = fit(noisy, Line(40, 2), network=network, patience=3, validate_every=10, learning_rate=0.05)
    told = run(fitting, 5_000)
    losses = [progress.metrics["validation_loss"] for progress in told]
    assert told[-1].updates < 5_000
    assert len(losses) - 1 - int(np.argmin(losses)) == 3
    assert fitting.validate()["loss"] == pytest.approx(min(losses), rel=1e-5)


@pytest.mark.parametrize("options", [{}, {"ema": 0.9}, {"patience": 50}])
def test_a_resumed_fit_ends_in_the_same_weights(options, tmp_path):
    whole = fit(**options)
    run(whole, 60)
    part = fit(**options)
    learning = part.learn(Budget(updates=60))
    next(learning)
    for name in ("state", "segments"):
        (tmp_path / name).mkdir()
    write_state(tmp_path / "state", part.state(), tmp_path / "segments")
    other = fit(**options, network=line(7))
    other.restore(read_state(tmp_path / "state", tmp_path / "segments"))
    assert other.state()["updates"] == 20
    run(other, 60)
    for name, array in whole.weights().items():
        assert array.tobytes() == other.weights()[name].tobytes()


def test_a_loss_that_is_not_finite_stops_it():
    train = Line(8, 1)
    train.y[3] = math.inf
    with pytest.raises(NonFiniteError, match="train_loss"):
        run(fit(train), 20)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("learning_rate", 0.0),
        ("betas", (0.9, 1.0)),
        ("batch_size", 0),
        ("ema", 1.0),
        ("patience", -1),
        ("validate_every", 0),
        ("validate_on", -1),
    ],
)
def test_options_out_of_range_are_refused_by_name(field, value):
    with pytest.raises(ValueError, match=field):
        FitOptions(**{field: value})


def test_no_examples_and_a_budget_of_env_steps_are_refused():
    with pytest.raises(ValueError, match="no validation examples"):
        fit(validation=Line(0, 1))
    with pytest.raises(ValueError, match="updates"):
        next(fit().learn(Budget(env_steps=10)))


PROCESS = """
import sys, torch
from torch import distributed
sys.path[:0] = sys.argv[3:]
import test_fit
meeting, rank = "file://" + sys.argv[1], int(sys.argv[2])
distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
fitting = test_fit.fit()
test_fit.run(fitting, 40)
print(fitting.network.weight.item())
distributed.destroy_process_group()
"""


@pytest.fixture
def alone():
    """The weight that one process learns, before there are two."""
    fitting = fit()
    run(fitting, 40)
    return fitting.network.weight.item()


@pytest.fixture
def other_process(tmp_path):
    """Begins a process that fits as the second of two, of which this one is the first."""
    meeting = str(tmp_path / "meeting")
    process = subprocess.Popen(
        [sys.executable, "-c", PROCESS, meeting, "1", *map(str, Path(__file__).parents[:2])],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=0, world_size=2)
        yield process
    finally:
        process.kill()
        process.communicate()
        if distributed.is_initialized():
            distributed.destroy_process_group()


def test_two_processes_learn_what_one_learns(alone, other_process):
    shared = fit()
    run(shared, 40)
    found = shared.network.weight.item()
    assert float(other_process.communicate(timeout=120)[0]) == found == pytest.approx(alone, rel=1e-4)


def test_what_is_forgotten_is_learned_as_if_anew():
    """Adam's first step has the size of the learning rate, whatever the gradient; later ones have not."""
    fitting = fit(learning_rate=0.01, warmup_updates=0, validate_every=1)
    learning = fitting.learn(Budget(updates=1_000))
    for _ in range(300):
        next(learning)
    steps = []
    for forgotten in (False, True):
        if forgotten:
            fitting.forget([fitting.network.bias])
        before, rate = fitting.network.bias.item(), fitting._rate(1_000)
        next(learning)
        steps.append(abs(fitting.network.bias.item() - before) / rate)
    assert steps[0] < 0.5
    assert steps[1] == pytest.approx(1, abs=0.01)


def test_only_a_processor_adds_in_one_order():
    assert fits_exactly("cpu") and not fits_exactly("cuda") and not fits_exactly("cuda:1")


class Drawn(Line):
    """Examples with noise, as diffusion draws them."""

    def batch(self, rows, generator):
        return super().batch(rows, generator) | {"noise": generator.standard_normal(len(rows))}


def test_ranks_share_one_drawing_of_a_batch():
    alone = fit(train=Drawn(50, 0))._drawn(3)
    shares = []
    for rank in range(2):
        with learning_in(ThreadGroup(rank, 2)):
            shares.append(fit(train=Drawn(50, 0))._drawn(3))
    for name, whole in alone.items():
        both = np.stack([share[name] for share in shares], 1).reshape(whole.shape)
        np.testing.assert_array_equal(both, whole)
    with (
        learning_in(ThreadGroup(0, 3)),
        pytest.raises(
            ShareError, match="batch_size is 8, which 3 ranks cannot share evenly: set it to 6 or 9"
        ),
    ):
        fit()


@pytest.mark.parametrize("options", [{"patience": 2}, {"ema": 0.9, "validate_on": 11}])
def test_ranks_learn_what_one_process_learns_but_for_rounding(options):
    def learned(group=None):
        fitting = fit(train=Line(37, 1, 0.1), batch_size=4, precision="float32", **options)
        return run(fitting, 100), fitting.state()

    progress, whole = learned()
    for told, state in in_ranks(2, learned):
        assert [one.updates for one in told] == [one.updates for one in progress]
        for one, other in zip(progress, told, strict=True):
            one.metrics.pop("train_rmse", None), other.metrics.pop("train_rmse", None)  # no mean over rows
            assert other.metrics == pytest.approx(one.metrics, rel=1e-3, abs=1e-6)
        for name, array in whole["network"].items():
            np.testing.assert_allclose(state["network"][name], array, rtol=1e-4)
        assert state["since_best"] == whole["since_best"]


def test_networks_made_in_several_threads_have_the_weights_of_their_seeds():
    together = threading.Barrier(8, timeout=30)

    def made(seed):
        together.wait()
        return seeded(lambda: nn.Linear(300, 300), seed).weight

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(made, range(8)))
    for seed, weight in enumerate(found):
        assert torch.equal(weight, seeded(lambda: nn.Linear(300, 300), seed).weight)


class Gate(nn.Module):
    """Two lines, of which the second learns from examples above 1.5 alone."""

    def __init__(self):
        super().__init__()
        self.low, self.high = line(0), line(1)

    def forward(self, x):
        above = x[:, 0] > 1.5
        return torch.cat([self.low(x[~above]), self.high(x[above])]) if above.any() else self.low(x)


def test_what_no_example_of_one_rank_uses_learns_from_the_other_ones():
    def learned(group=None):
        train = Line(4, 1)
        train.x[:] = [[0.0], [0.5], [1.0], [2.0]]
        loss = lambda network, batch: (network(batch["x"]).square().mean(), {})  # noqa: E731
        options = FitOptions(batch_size=4, validate_every=5, warmup_updates=0, learning_rate=0.01)
        fitting = Fit(Gate(), loss, train, train, options, seed=0)
        run(fitting, 5)
        return fitting.weights()

    whole = learned()
    for weights in in_ranks(2, learned):
        for name, array in whole.items():
            np.testing.assert_allclose(weights[name], array, rtol=1e-5, err_msg=name)


def test_ranks_drop_other_units_each():
    masks = []
    for rank in range(2):
        with learning_in(ThreadGroup(rank, 2)):
            fitting = fit(network=nn.Sequential(nn.Dropout(0.5), line()))
        with fitting._dropout():
            masks.append(nn.functional.dropout(torch.ones(64)).tolist())
    assert masks[0] != masks[1]


def test_a_validation_that_is_no_number_stops_the_fit():
    with pytest.raises(NonFiniteError, match="validation_loss"):
        run(fit(validation=Broken(10, 1)), 40)


class Broken(Line):
    """Examples of which one is not a number."""

    def batch(self, rows, generator):
        return {name: array * np.float32(np.nan) for name, array in super().batch(rows, generator).items()}


def test_order_augmentation_and_validation_draw_from_generators_of_their_own(monkeypatch):
    made, numbers = [], np.random.default_rng
    fitting = fit(train=Line(8, 1), validation=Line(8, 2), seed=3, batch_size=2, validate_every=5)
    monkeypatch.setattr(np.random, "default_rng", lambda seed: made.append(seed) or numbers(seed))
    run(fitting, 10)
    drawn = {tuple(np.random.SeedSequence(seed).generate_state(4)) for seed in made}
    epochs, updates, validated = 3, 10, 4  # three in which 20 examples lie; four batches are validated on
    assert len(drawn) == epochs + updates + validated


def test_the_thread_that_draws_ahead_ends_with_the_fit():
    before = threading.active_count()
    whole, part = fit(), fit()
    run(whole, 20)
    learning = part.learn(Budget(updates=40))
    next(learning)
    assert threading.active_count() == before + 1
    learning.close()
    assert threading.active_count() == before


def test_a_batch_that_no_memory_holds_is_refused_before_it_is_drawn():
    with pytest.raises(MemoryRefused, match="a batch of 10,000,000,000,000 examples, .* smaller batch_size"):
        fit(batch_size=10**13)

"""Consistency distillation: solver step and loss by hand, refusals, resuming, learning in one step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from generative.conditions import ConditionError
from generative.diffusion.consistency import OneStep, importance, one_step_loss, solver_step, timesteps
from generative.diffusion.image_diffusion import Diffusion
from generative.diffusion.schedule import add_noise
from sim.records import Budget, Condition, SampleOptions
from supervised.data.columns import LabelColumn
from supervised.data.dataset import Dataset

TINY = {"channels": (16, 16), "fold": 2, "batch_size": 8}
ONCE = SampleOptions(steps=1)


def corners(n=64, seed=0):
    """A bright square in one of four corners, in one of two colours."""
    generator = np.random.default_rng(seed)
    values = np.full((n, 8, 8, 3), 30, np.uint8)
    labels = np.arange(n) % 2
    for i, (row, column) in enumerate(generator.integers(0, 2, (n, 2)) * 4):
        values[i, row : row + 4, column : column + 4, labels[i]] = 220
    return Dataset(values=values, labels=LabelColumn(labels, ("red", "green")), episodes=np.arange(n))


def student(seed=0, **fields):
    return OneStep(**TINY | fields).build(corners(2).spec(), seed=seed)


def taught(seed=0, **fields):
    """A student that learns from what it was at first."""
    made = student(seed, **fields)
    made.learn_from(made.weights())
    return made


def test_a_step_of_the_teacher_keeps_picture_and_noise():
    x_0, noise = torch.full((2, 3, 1, 1), 1.5), torch.full((2, 3, 1, 1), -0.5)
    t, r = torch.tensor([999, 500]), torch.tensor([900, 0])
    assert torch.allclose(
        solver_step(add_noise(x_0, noise, t)[0], x_0, t, r), add_noise(x_0, noise, r)[0], atol=1e-5
    )


def test_a_step_counts_by_the_ratio_of_noise_that_it_passes():
    weights = importance(24).numpy()
    assert weights.mean() == pytest.approx(1)
    passed = np.diff(np.tan(np.linspace(np.arctan(0.01), np.arctan(80), 25)))  # σ/α = tan(φ)
    np.testing.assert_allclose(weights[0] / weights[:20], passed[:20] / passed[0], rtol=0.05)


class Always(torch.nn.Module):
    """Says the same of everything, and remembers when it was asked."""

    def __init__(self, picture):
        super().__init__()
        self.picture, self.asked = picture, []

    def forward(self, x, t, told):
        self.asked.append(t.tolist())
        return type("Said", (), {"sample": self.picture.expand_as(x)})


def test_the_loss_asks_both_ends_of_a_step_and_the_teacher_at_the_cleanest():
    canvas, generator = student().canvas, np.random.default_rng(0)
    batch = {
        "rgb": torch.from_numpy(corners(2).values),
        "told": torch.tensor([0, 1]),
        "untold": torch.tensor([2, 2]),
        "noise": torch.from_numpy(generator.standard_normal((2, canvas.channels, *canvas.cells), np.float32)),
        "t": torch.tensor([0, 999]),
    }
    dark, bright = Always(torch.tensor(-1.0)), Always(torch.tensor(1.0))
    loss, figures = one_step_loss(dark, batch, bright, canvas, grid=3, guidance=1.0)
    assert timesteps(3).tolist() == [0, 333, 666, 999]
    assert bright.asked == [[333, 999]] and dark.asked == [[0, 666], [333, 999]]
    # At the cleanest step the goal is the teacher's picture, 2 away in each value; elsewhere its own.
    assert figures["from_noise"].item() == pytest.approx(0, abs=1e-6)
    assert loss.item() == pytest.approx(importance(3)[0].item() * 2 / 2, rel=1e-3)


def test_it_needs_a_teacher_that_fits():
    with pytest.raises(ValueError, match="teacher"):
        student().fit(corners(), corners(8, 1), seed=0)
    with pytest.raises(ValueError):
        student().learn_from(student(channels=(16, 32)).weights())


def test_the_teacher_does_not_learn_and_a_resumed_student_ends_in_the_same_weights():
    budget, train, validation = Budget(updates=4), corners(), corners(8, 1)

    def begun(student):
        fit = student.fit(train, validation, seed=0)
        fit.options = replace(fit.options, validate_every=2)
        return fit

    made = taught()
    before = made.weights()
    whole = begun(made)
    list(whole.learn(budget))
    assert all(np.array_equal(before[name], a) for name, a in made._teacher.state_dict().items())
    assert any(not np.array_equal(before[name], a) for name, a in whole.weights().items())
    first, resumed = begun(taught()), begun(taught())
    next(first.learn(budget))
    resumed.restore(first.state())
    list(resumed.learn(budget))
    assert all(np.array_equal(a, resumed.weights()[name]) for name, a in whole.weights().items())


def test_one_step_is_all_it_takes_and_a_frame_is_refused():
    made = taught()
    few, many = (made.sample(3, Condition(), SampleOptions(steps=steps), 1).values for steps in (1, 50))
    assert np.array_equal(few, many)
    noise, pictures = made.trace(3, Condition(), SampleOptions(steps=7), 1)
    assert np.array_equal(pictures, few) and not np.array_equal(noise, few)
    masked = Condition(frame=corners(1).values[0], mask=np.ones((8, 8), bool))
    with pytest.raises(ConditionError, match="frame"):
        made.sample(1, masked, ONCE, 0)


@pytest.mark.parametrize("fields", [{"steps": 2}, {"grid": 0}, {"prediction": "v_prediction"}])
def test_keys_out_of_range_are_refused(fields):
    with pytest.raises(ValueError, match=next(iter(fields))):
        OneStep(**fields)


@pytest.mark.slow
def test_it_draws_at_once_what_its_teacher_blurs():
    keys = TINY | {"channels": (16, 16), "batch_size": 16, "ema": 0.95}
    teacher = Diffusion(**keys | {"learning_rate": 5e-3}).build(corners(2).spec(), seed=0)
    fit = teacher.fit(corners(128), corners(16, 1), seed=0)
    list(fit.learn(Budget(updates=60)))
    teacher.load_weights(fit.weights())
    made = OneStep(**keys | {"learning_rate": 3e-3, "grid": 8}).build(corners(2).spec(), seed=1)
    made.learn_from(teacher.weights())
    fit = made.fit(corners(128), corners(16, 1), seed=0)
    list(fit.learn(Budget(updates=40)))
    made.load_weights(fit.weights())
    real = corners(128).values.astype(float)

    def blur(model):
        """How far samples of one step are from the nearest example, in levels of 255."""
        drawn = model.sample(32, Condition(), ONCE, 0).values
        return np.abs(drawn[:, None] - real[None]).mean((2, 3, 4)).min(1).mean()

    assert blur(made) < 0.85 * blur(teacher), "it begins as its teacher"

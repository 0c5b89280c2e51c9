"""Diffusion solvers against analytic denoisers: N(μ, s²), and two correlated numbers."""

from __future__ import annotations

from functools import partial
from itertools import islice

import numpy as np
import pytest
import torch

from generative.diffusion.sampling import denoise, generators, inpaint
from generative.diffusion.schedule import SCHEDULERS, angles, betas, scheduler, takes_noise

MEAN, DEVIATION = 0.6, 0.5
N = 4_000
DETERMINISTIC = [name for name in SCHEDULERS if name not in ("sde-dpmsolver++", "ddpm")]


def exact_picture(x, t, shift=1.0):
    """E[x_0 | x_t] where x_0 ~ N(MEAN, DEVIATION²), by the rule for Gaussians."""
    phi = torch.tensor(np.interp(float(t), np.arange(1000), angles(shift)))
    alpha, sigma = phi.cos(), phi.sin()
    return MEAN + alpha * DEVIATION**2 * (x - alpha * MEAN) / ((alpha * DEVIATION) ** 2 + sigma**2)


def exact_velocity(x, t):
    """V = α ε − σ x_0 there, with ε = (x − α x_0) / σ."""
    phi = torch.tensor(np.interp(float(t), np.arange(1000), angles()))
    return (phi.cos() * x - exact_picture(x, t)) / phi.sin()


EXACT = {"sample": exact_picture, "v_prediction": exact_velocity}


def drawn(name, steps, n=N, prediction="sample"):
    """Noise and samples (n,) double: to the walk one sample of n numbers."""
    noise = torch.randn(1, n, generator=torch.Generator().manual_seed(0))
    *_, samples = denoise(EXACT[prediction], scheduler(prediction, name, steps), noise, generators(0, 0, 1))
    return noise[0].double(), samples[0].double()


def exact_end(noise):
    """Where the flow of probability leads: a Gaussian's quantiles stay what they are."""
    at_the_top = np.sin(angles()[-1]) ** 2 + (np.cos(angles()[-1]) * DEVIATION) ** 2
    start = np.cos(angles()[-1]) * MEAN
    return MEAN + DEVIATION * (noise - start) / np.sqrt(at_the_top)


def test_the_schedule_is_a_turning_angle():
    kept = np.cumprod(1 - np.array(betas()))
    np.testing.assert_allclose(kept, np.cos(angles()) ** 2, rtol=1e-9)
    assert (np.diff(angles()) > 0).all() and np.ptp(np.diff(angles())) < 1e-12
    np.testing.assert_allclose(np.tan(angles()[[0, -1]]), [0.01, 80])


@pytest.mark.parametrize("shift", [0.5, 4.0, 10.0])
def test_a_shift_multiplies_the_noise_between_the_same_ends(shift):
    shifted, middle = angles(shift), np.tan(angles(shift)[500])
    assert (np.diff(shifted) > 0).all()
    np.testing.assert_allclose(np.tan(shifted[[0, -1]]), [0.01, 80])
    assert middle == pytest.approx(shift, rel=0.15), "half of the walk lies in noise stronger than that"
    made = scheduler("sample", shift=shift)
    assert made.config.trained_betas == betas(shift) != betas()


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_a_shifted_walk_leads_to_the_same_quantiles(name):
    noise = torch.randn(1, N, generator=torch.Generator().manual_seed(0))
    shifted = scheduler("sample", name, 100, shift=4.0)
    *_, samples = denoise(lambda x, t: exact_picture(x, t, 4.0), shifted, noise, generators(0, 0, 1))
    torch.testing.assert_close(samples[0].double(), exact_end(noise[0].double()), rtol=0.05, atol=0.05)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_solver_arrives_at_the_gaussian(name):
    _, samples = drawn(name, 100)
    error = DEVIATION / np.sqrt(N)
    # What is left at the first time, 1 in 80, shifts the mean; first-order solvers narrow the spread.
    assert samples.mean().item() == pytest.approx(MEAN, abs=4 * error + MEAN / 80)
    assert samples.std().item() == pytest.approx(DEVIATION, rel=0.06)


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_solvers_without_noise_converge_to_the_exact_flow(name):
    errors = []
    for steps in (5, 20, 100):
        noise, samples = drawn(name, steps, n=200)
        errors.append((samples - exact_end(noise)).square().mean().sqrt().item())
    rounding = 5e-4
    assert errors[1] < errors[0] / 2 and errors[2] < max(errors[1] / 2, rounding)
    assert errors[2] < 0.01


def error_half_way(name, steps):
    """Root mean square distance from the exact flow at time 499, half way by an even number of steps."""
    noise = torch.randn(1, 200, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    walk = denoise(exact_picture, scheduler("sample", name, steps), noise, generators(0, 0, 1))
    evaluations = steps if name == "heun" else steps // 2
    (found,) = next(islice(walk, evaluations, None))
    (top_mean, top), (mean, deviation) = (
        (phi.cos() * MEAN, ((phi.cos() * DEVIATION) ** 2 + phi.sin() ** 2).sqrt())
        for phi in torch.tensor(angles()[[-1, 499]])
    )
    exact = mean + deviation * (noise[0] - top_mean) / top
    return (found - exact).square().mean().sqrt().item()


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("euler", 0.9, 1.1),
        ("ddim", 0.9, 1.1),
        ("dpmsolver++", 1.7, 2.1),
        ("lms", 1.7, 2.1),
        ("heun", 1.9, 3.0),  # its third-order errors in the long first steps still count
        ("unipc", 1.9, 4.0),
    ],
)
def test_solvers_converge_with_their_order(name, least, most):
    # Half way, for the last step, to no noise at all, is of first order in every solver.
    steps = np.array([10, 20, 40, 100])
    errors = [error_half_way(name, count) for count in steps]
    order = -np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert least < order < most


@pytest.mark.parametrize("name", SCHEDULERS)
def test_pictures_and_velocities_lead_to_the_same_samples(name):
    ends = [drawn(name, 20, 500, prediction)[1] for prediction in EXACT]
    torch.testing.assert_close(*ends, rtol=0, atol=2e-4)


@pytest.mark.parametrize("steps", [10, 20, 50])
def test_heun_beats_euler_and_the_default_beats_ddim(steps):
    def error(name):
        noise, samples = drawn(name, steps, n=200)
        return (samples - exact_end(noise)).square().mean().sqrt().item()

    assert error("heun") < error("euler") / 2
    assert error("dpmsolver++") < error("ddim") / 1.5


def test_ddim_knows_no_chance_and_ddpm_does():
    noise, each = torch.randn(8, 1, generator=torch.Generator().manual_seed(0)), range(8)
    ends = {}
    for name in ("ddim", "ddpm"):
        for seed in (1, 2):
            own = [torch.Generator().manual_seed(100 * seed + i) for i in each]
            *_, ends[name, seed] = denoise(exact_picture, scheduler("sample", name, 20), noise, own)
    assert torch.equal(ends["ddim", 1], ends["ddim", 2])
    assert not torch.equal(ends["ddpm", 1], ends["ddpm", 2])


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_walk_begins_with_noise_stays_of_unit_size_and_counts_its_steps(name):
    noise = torch.randn(1, 500, generator=torch.Generator().manual_seed(0))
    walk = list(denoise(exact_picture, scheduler("sample", name, 12), noise, generators(0, 0, 1)))
    assert torch.equal(walk[0], noise)
    assert len(walk) == 1 + (23 if name == "heun" else 12)
    assert all(0.3 < x.square().mean().sqrt() < 1.2 for x in walk)


def test_samples_do_not_depend_on_their_company():
    each = generators(7, 0, 6)
    noise = torch.stack([torch.randn(1, generator=g) for g in each])
    *_, together = denoise(exact_picture, scheduler("sample", "ddpm", 15), noise, each)
    later = generators(7, 4, 2)
    noise = torch.stack([torch.randn(1, generator=g) for g in later])
    *_, apart = denoise(exact_picture, scheduler("sample", "ddpm", 15), noise, later)
    torch.testing.assert_close(together[4:], apart, rtol=0, atol=1e-6)


def test_unknown_schedulers_and_steps_are_refused_by_name():
    with pytest.raises(ValueError, match='no scheduler "eulr"; did you mean "euler"'):
        scheduler("sample", "eulr", 10)
    for steps in (0, 1001):
        with pytest.raises(ValueError, match=f"steps must be from 1 to 1000, not {steps}"):
            scheduler("sample", "ddim", steps)


def test_only_solvers_that_draw_take_generators():
    assert takes_noise(scheduler("sample", "ddpm")) and not takes_noise(scheduler("sample", "heun"))


CORRELATION = 0.9


def pair_picture(x, t, shift=1.0):
    """E[x_0 | x_t] where x_0 are two standard normal numbers that correlate by 0.9."""
    phi = torch.tensor(angles(shift)[int(t)], dtype=torch.float64)
    alpha, sigma = phi.cos(), phi.sin()
    covariance = torch.tensor([[1, CORRELATION], [CORRELATION, 1]], dtype=torch.float64)
    gain = alpha * covariance @ torch.linalg.inv(alpha**2 * covariance + sigma**2 * torch.eye(2))
    return (x.double() @ gain.T).float()


def fill(known, steps, resamplings, n=2_000, shift=1.0):
    """(n, 2) samples; the second number is hidden."""
    pair = torch.tensor([known, 0.0]).expand(1, n, 2)
    hidden = torch.tensor([False, True]).expand(1, n, 2)
    picture, own = partial(pair_picture, shift=shift), generators(0, 0, 1)
    *_, samples = inpaint(picture, pair, hidden, steps, own, "sample", resamplings, shift)
    return samples[0]


@pytest.mark.parametrize("shift", [1.0, 4.0])
def test_filling_in_follows_what_is_known_and_keeps_its_spread(shift):
    """Given the first of two correlated numbers, the second is N(0.9 x, 1 − 0.9²)."""
    samples = fill(1.5, steps=100, resamplings=10, shift=shift)
    assert (samples[:, 0] == 1.5).all(), "what is known stays exactly as it was"
    assert samples[:, 1].mean().item() == pytest.approx(CORRELATION * 1.5, abs=0.06)
    assert samples[:, 1].std().item() == pytest.approx(np.sqrt(1 - CORRELATION**2), rel=0.15)


def test_walking_steps_again_brings_the_hidden_part_in_tune():
    miss = [abs(fill(2.0, 10, again)[:, 1].mean().item() - 2 * CORRELATION) for again in (1, 4, 16)]
    assert miss[2] < miss[1] < miss[0]

"""Perturbation saliency: what the formula gives for policies whose answer is known."""

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from agents.evaluation.saliency import (
    BLUR_SIGMA,
    COARSE,
    STRIDE,
    Explainer,
    actor_outputs,
    between,
    blur_matrix,
    is_picture,
    perturbed,
    places,
    saliency,
)
from agents.ppo import PPO
from sim.records import Decision

PIXEL = (41, 26)  # one of the places that are blurred


class OnePixel:
    """Its logits and its value depend on one pixel of the newest frame only."""

    def __init__(self, kind):
        self.kind, self.greedy = kind, []

    def act(self, obs, info, memory=None, *, greedy=False):
        self.greedy.append(greedy)
        x = obs[:, -1, *PIXEL].astype(np.float64) / 255
        scores = np.stack([x, np.zeros_like(x), -x], axis=1)
        actions = np.zeros(len(obs), np.int64)
        if self.kind == "q_values":
            return Decision(actions, q_values=scores + 7.0), memory
        if self.kind == "continuous":
            return Decision(scores[:, :2].astype(np.float32)), memory
        odds = np.exp(scores)
        return Decision(actions, odds / odds.sum(1, keepdims=True), value=3 * x), memory


def picture():
    obs = np.zeros((4, 84, 84), np.uint8)
    obs[-1, *PIXEL] = 255
    return obs


def blurred_peak():
    """What the blur leaves of a single bright pixel: the square of the kernel's centre."""
    steps = np.arange(-40, 41)
    return (1 / np.exp(-0.5 * (steps / BLUR_SIGMA) ** 2).sum()) ** 2


def test_both_maps_peak_where_the_policy_looks_at_the_value_of_the_formula():
    policy = OnePixel("probabilities")
    maps = saliency(policy, picture())
    assert maps.shape == (2, 84, 84) and maps.dtype == np.float32 and (maps >= 0).all()
    d = 1 - np.floor(255 * blurred_peak() + 0.5) / 255  # whole grey levels
    assert np.unravel_index(maps[0].argmax(), (84, 84)) == PIXEL
    assert maps[0, *PIXEL] == pytest.approx(0.5 * 2 * d**2, rel=1e-4)  # logits move by d, 0 and −d
    assert maps[1, *PIXEL] == pytest.approx(0.5 * (3 * d) ** 2, rel=1e-4)
    assert policy.greedy == [True]


def test_a_place_counts_less_the_farther_it_is():
    """At the next place the mask is exp(−½ · 5² / 5²), and the change in proportion."""
    value = saliency(OnePixel("probabilities"), picture())[1]
    grey = np.floor(255 * (1 - np.exp(-0.5) * (1 - blurred_peak())) + 0.5)
    assert value[PIXEL[0] + 5, PIXEL[1]] == pytest.approx(4.5 * (1 - grey / 255) ** 2, rel=1e-4)
    assert value[:, 60:].max() < 1e-3 * value.max()


def test_q_values_stand_for_actor_and_critic_and_continuous_actions_for_themselves():
    q = saliency(OnePixel("q_values"), picture())
    assert q[0, *PIXEL] == pytest.approx(2 * q[1, *PIXEL], rel=1e-5)  # d, 0, −d against the best alone
    maps = saliency(OnePixel("continuous"), picture())
    assert maps[0, *PIXEL] == pytest.approx(q[1, *PIXEL], rel=1e-4) and not maps[1].any()


def test_logits_are_recovered_from_probabilities_but_for_one_number_a_state():
    logits = np.random.default_rng(0).normal(size=(5, 4))
    odds = np.exp(logits)
    shown = actor_outputs(Decision(np.zeros(5, int), odds / odds.sum(1, keepdims=True)))
    np.testing.assert_allclose(shown, logits - logits.mean(1, keepdims=True), atol=1e-9)


def test_a_masked_action_moves_nothing():
    probabilities = np.array([[0.0, 0.25, 0.75], [0.0, 0.5, 0.5]])
    shown = actor_outputs(Decision(np.zeros(2, int), probabilities))
    assert np.isfinite(shown).all() and (shown[1] - shown[0])[1] > 0 > (shown[1] - shown[0])[2]


def test_a_flat_picture_is_its_own_blur():
    flat = np.full((2, 50, 84), 173, np.uint8)
    changed = perturbed(flat)
    assert changed.shape == (10 * 17, 2, 50, 84) and (changed == 173).all()
    np.testing.assert_allclose(blur_matrix(50).sum(1), 1, rtol=1e-6)


@pytest.mark.parametrize("length", [32, 50, 80, 83, 84, 210])
@pytest.mark.parametrize("stride", [STRIDE, COARSE])
def test_places_are_a_stride_apart_and_centred_and_all_pixels_lie_between(length, stride):
    found, weights = places(length, stride), between(length, stride)
    assert (np.diff(found) == stride).all() and abs(found[0] - (length - 1 - found[-1])) <= 1
    assert found[0] <= stride // 2
    np.testing.assert_allclose(weights.sum(1), 1)
    np.testing.assert_allclose(weights @ found, np.clip(np.arange(length), found[0], found[-1]))


def test_a_coarse_map_takes_a_quarter_of_the_pictures_and_peaks_at_the_same_place():
    policy = OnePixel("probabilities")
    obs = picture()
    fine, coarse = saliency(policy, obs), saliency(policy, obs, stride=COARSE)
    assert 3.5 < len(perturbed(obs)) / len(perturbed(obs, COARSE)) < 4.5
    for layer in (0, 1):
        peaks = [np.array(np.unravel_index(maps[layer].argmax(), (84, 84))) for maps in (fine, coarse)]
        assert np.abs(peaks[0] - peaks[1]).max() <= COARSE // 2


def test_planes_of_a_board_and_numbers_are_no_pictures():
    assert is_picture(Box(0, 255, (4, 84, 84), np.uint8))
    assert not is_picture(Box(0, 255, (20, 8, 8), np.uint8))
    assert not is_picture(Box(-1, 1, (4, 84, 84), np.float32))
    assert not is_picture(Discrete(4))


def test_an_explainer_has_a_policy_of_its_own_and_takes_up_weights_only_when_they_are_others():
    space = Box(0, 255, (4, 84, 84), np.uint8)
    built, loaded = [], []

    def build():
        policy = PPO(network="small", precision="float32").build(space, Discrete(3), seed=1, device="cpu")
        load = policy.load_weights
        policy.load_weights = lambda weights: loaded.append(weights) or load(weights)
        built.append(policy)
        return policy

    explainer = Explainer(build)
    played = [
        PPO(network="small", precision="float32").build(space, Discrete(3), seed=s, device="cpu")
        for s in (2, 3)
    ]
    obs = np.random.default_rng(0).integers(0, 256, space.shape, np.uint8)
    weights = [policy.weights() for policy in played]
    first = explainer.explain(weights[0], obs)
    np.testing.assert_array_equal(first, saliency(played[0], obs))
    np.testing.assert_array_equal(explainer.explain(weights[0], obs), first)
    assert not np.array_equal(explainer.explain(weights[1], obs), first)
    assert len(built) == 1 and len(loaded) == 2

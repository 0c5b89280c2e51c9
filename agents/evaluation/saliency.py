"""Perturbation saliency: maps of the image regions that affect an agent's action and its value.

Every region is blurred in turn, and its saliency is the change of the policy's outputs (Greydanus et al.
2018, "Visualizing and understanding Atari agents", eqs. 1–4). It works through `Policy.act` alone, so it is
independent of networks and serves every agent with image observations.

The paper blurs the one frame of its recurrent agent; a stack of frames is blurred at the same place in all of
them, or the older ones would still show what was there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import lru_cache

import gymnasium
import numpy as np
from gymnasium.spaces import Box

from sim.protocols import Learner, Policy
from sim.records import Array, Decision

STRIDE = 5  # pixels between two places, and σ of the Gaussian mask around each; the paper's d, section 3
COARSE = 2 * STRIDE  # the same where time is short: a quarter of the places
BLUR_SIGMA = 3.0  # pixels; σ_A of the blur itself
LEAST_SIDE = 32  # pixels; smaller arrays, such as the planes of a board, are no images
LEAST_PROBABILITY = 1e-12  # of masked actions, whose logits do not change


def is_picture(space: gymnasium.Space[object]) -> bool:
    """Whether observations are stacks of frames (C, H, W) uint8 that can be blurred.

    >>> is_picture(Box(0, 255, (4, 84, 84), np.uint8)), is_picture(Box(0, 255, (20, 8, 8), np.uint8))
    (True, False)
    """
    if not isinstance(space, Box) or space.dtype != np.uint8 or len(space.shape) != 3:
        return False
    return min(space.shape[1:]) >= LEAST_SIDE


def saliency(policy: Policy, obs: Array, mask: Array | None = None, stride: int = STRIDE) -> Array:
    """Saliency maps of an observation: the effect of each pixel on the action and on the value.

    Args:
        policy: acts greedily, which draws no random number.
        obs: (C, H, W) uint8, of one world.
        mask: (A,) bool of the allowed actions; None if all are.
        stride: pixels between two places.

    Returns:
        (2, H, W) float32, at least 0: S_π = ½ ‖u(I) − u(I′)‖² with `actor_outputs` u, and
        S_V = ½ (V(I) − V(I′))², both bilinear between the places. All 0 where a policy gives neither.
    """
    height, width = obs.shape[1:]
    batch = np.concatenate([obs[None], perturbed(obs, stride)])  # the unperturbed image comes first
    info = {} if mask is None else {"action_mask": np.repeat(mask[None], len(batch), 0)}
    decision, _ = policy.act(batch, info, greedy=True)
    grid = (len(places(height, stride)), len(places(width, stride)))
    rows, columns = between(height, stride), between(width, stride)
    found = np.zeros((2, height, width), np.float32)
    for layer, outputs in zip(found, (actor_outputs(decision), critic_outputs(decision)), strict=True):
        if outputs is not None:
            scores = 0.5 * np.square(outputs[1:] - outputs[0]).sum(1)
            layer[:] = rows @ scores.reshape(grid) @ columns.T
    return found


def perturbed(obs: Array, stride: int = STRIDE) -> Array:
    """Locally blurred images (K, C, H, W) uint8: I′ = I ⊙ (1 − M) + A(I) ⊙ M (eq. 1) at K places, by row."""
    image = obs.astype(np.float32)
    rows, columns = blur_matrix(obs.shape[1]), blur_matrix(obs.shape[2])
    change = rows @ image @ columns.T - image  # (C, H, W)
    masks = _masks(obs.shape[1], obs.shape[2], stride)
    # Half a grey level is added because the cast rounds down.
    return np.asarray((image + 0.5 + masks[:, None] * change).astype(np.uint8))


def actor_outputs(decision: Decision) -> Array | None:
    """Actor outputs (N, A): centred logits, centred Q-values, or continuous actions.

    The paper takes the logits; log-probabilities differ from them by one number a state, which
    centring removes. Centred Q-values are the advantages of a uniform policy.
    """
    if decision.probabilities is not None:
        shown = np.log(np.maximum(decision.probabilities.astype(np.float64), LEAST_PROBABILITY))
    elif decision.q_values is not None:
        shown = decision.q_values.astype(np.float64)
    else:
        return decision.actions.astype(np.float64) if decision.actions.ndim == 2 else None
    return np.asarray(shown - shown.mean(1, keepdims=True))


def critic_outputs(decision: Decision) -> Array | None:
    """Critic outputs (N, 1): the value, or the maximum Q-value."""
    if decision.value is not None:
        return decision.value.astype(np.float64)[:, None]
    if decision.q_values is not None:
        return np.asarray(decision.q_values.astype(np.float64).max(1, keepdims=True))
    return None


def places(length: int, stride: int = STRIDE) -> Array:
    """Centres of the blurred regions along an axis of `length` pixels, `stride` apart.

    >>> places(84)[[0, 1, -1]]
    array([ 1,  6, 81])
    """
    count = -(-length // stride)
    return (length - 1 - stride * (count - 1)) // 2 + stride * np.arange(count)


@lru_cache(8)
def between(length: int, stride: int = STRIDE) -> Array:
    """Linear interpolation weights (length, K) from the K places to all pixels; rows sum to 1."""
    where = places(length, stride)
    each = np.eye(len(where))
    return np.stack([np.interp(np.arange(length), where, row) for row in each], axis=1)


@lru_cache(4)
def blur_matrix(length: int) -> Array:
    """Gaussian blur matrix (length, length) of σ = 3 along one axis; rows sum to 1 at the edges, too."""
    steps = np.arange(length)
    weights = np.exp(-0.5 * ((steps[:, None] - steps) / BLUR_SIGMA) ** 2)
    return np.asarray((weights / weights.sum(1, keepdims=True)).astype(np.float32))


@lru_cache(4)
def _masks(height: int, width: int, stride: int) -> Array:
    """Gaussian masks M (K, H, W) float32 of the K places, 1 at the centre."""

    def along(length: int) -> Array:
        offsets = np.arange(length) - places(length, stride)[:, None]
        return np.exp(-0.5 * (offsets / stride) ** 2).astype(np.float32)

    rows, columns = along(height), along(width)
    return np.asarray((rows[:, None, :, None] * columns[None, :, None, :]).reshape(-1, height, width))


class Explainer:
    """Saliency of decisions, computed by a separate copy of the policy, so that play is not affected.

    Args:
        build: makes that policy, when it is first needed.
    """

    def __init__(self, build: Callable[[], Learner]) -> None:
        self._build = build
        self._policy: Learner | None = None
        self._weights: Mapping[str, Array] | None = None
        self._lock = threading.Lock()

    def explain(
        self, weights: Mapping[str, Array], obs: Array, mask: Array | None = None, coarse: bool = False
    ) -> Array:
        """`saliency` with these weights, `COARSE` or not; from any thread, one call at a time."""
        with self._lock:
            if self._policy is None:
                self._policy = self._build()
            if self._weights is not weights:
                self._policy.load_weights(weights)
                self._weights = weights
            return saliency(self._policy, obs, mask, COARSE if coarse else STRIDE)

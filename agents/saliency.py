"""Perturbation saliency: which places of a picture move an agent's action, and which its value.

Every place is blurred in turn, and what the policy then says otherwise is how much the place matters
(Greydanus et al. 2018, "Visualizing and understanding Atari agents", eqs. 1–4). It works through
`Policy.act` alone, so it knows no network and serves every agent that looks at pictures.

The paper blurs the one frame that its recurrent agent is given; a stack of frames is blurred at the
same place in all of them, or the older ones would still tell what was there.
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

STRIDE = 5  # pixels between two places; the paper's d, section 3
MASK_SIGMA = 5.0  # pixels; of the Gaussian that fades the blur out around a place: σ² = 25
BLUR_SIGMA = 3.0  # pixels; σ_A of the blur itself
LEAST_SIDE = 32  # pixels; what is smaller, such as the planes of a board, is no picture
LEAST_PROBABILITY = 1e-12  # masked actions have none, and nothing moves them


def is_picture(space: gymnasium.Space[object]) -> bool:
    """Whether observations are stacks of frames (C, H, W) uint8 that can be blurred.

    >>> is_picture(Box(0, 255, (4, 84, 84), np.uint8)), is_picture(Box(0, 255, (20, 8, 8), np.uint8))
    (True, False)
    """
    if not isinstance(space, Box) or space.dtype != np.uint8 or len(space.shape) != 3:
        return False
    return min(space.shape[1:]) >= LEAST_SIDE


def saliency(policy: Policy, obs: Array, mask: Array | None = None) -> Array:
    """How much each pixel moves the action and the value.

    Args:
        policy: asked for its best action only, which draws no random number.
        obs: (C, H, W) uint8, of one world.
        mask: (A,) bool of the actions that may be chosen; None where all may.

    Returns:
        (2, H, W) float32, at least 0: S_π = ½ ‖u(I) − u(I′)‖² with `actor_outputs` u, and
        S_V = ½ (V(I) − V(I′))², both bilinear between the places. All 0 where a policy gives neither.
    """
    height, width = obs.shape[1:]
    batch = np.concatenate([obs[None], perturbed(obs)])  # the picture as it is comes first
    info = {} if mask is None else {"action_mask": np.repeat(mask[None], len(batch), 0)}
    decision, _ = policy.act(batch, info, greedy=True)
    grid = (len(places(height)), len(places(width)))
    rows, columns = between(height), between(width)
    found = np.zeros((2, height, width), np.float32)
    for layer, outputs in zip(found, (actor_outputs(decision), critic_outputs(decision)), strict=True):
        if outputs is not None:
            scores = 0.5 * np.square(outputs[1:] - outputs[0]).sum(1)
            layer[:] = rows @ scores.reshape(grid) @ columns.T
    return found


def perturbed(obs: Array) -> Array:
    """(K, C, H, W) uint8: I′ = I ⊙ (1 − M) + A(I) ⊙ M (eq. 1) for each of K places, row by row."""
    image = obs.astype(np.float32)
    rows, columns = blur_matrix(obs.shape[1]), blur_matrix(obs.shape[2])
    change = rows @ image @ columns.T - image  # (C, H, W)
    masks = _masks(obs.shape[1], obs.shape[2])
    # Half a grey level is added because the cast rounds down.
    return np.asarray((image + 0.5 + masks[:, None] * change).astype(np.uint8))


def actor_outputs(decision: Decision) -> Array | None:
    """(N, A) what stands for the actor: centred logits, centred Q-values, or continuous actions.

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
    """(N, 1) the value: the critic's, or that of the best action."""
    if decision.value is not None:
        return decision.value.astype(np.float64)[:, None]
    if decision.q_values is not None:
        return np.asarray(decision.q_values.astype(np.float64).max(1, keepdims=True))
    return None


def places(length: int) -> Array:
    """Where along an axis of `length` pixels the picture is blurred, centred.

    >>> places(84)[[0, 1, -1]]
    array([ 1,  6, 81])
    """
    count = -(-length // STRIDE)
    return (length - 1 - STRIDE * (count - 1)) // 2 + STRIDE * np.arange(count)


@lru_cache(4)
def between(length: int) -> Array:
    """(length, K) weights that take values at the K places to all pixels, linearly; rows sum to 1."""
    where = places(length)
    each = np.eye(len(where))
    return np.stack([np.interp(np.arange(length), where, row) for row in each], axis=1)


@lru_cache(4)
def blur_matrix(length: int) -> Array:
    """(length, length) a Gaussian blur of σ = 3 along one axis; rows sum to 1 at the edges, too."""
    steps = np.arange(length)
    weights = np.exp(-0.5 * ((steps[:, None] - steps) / BLUR_SIGMA) ** 2)
    return np.asarray((weights / weights.sum(1, keepdims=True)).astype(np.float32))


@lru_cache(2)
def _masks(height: int, width: int) -> Array:
    """(K, H, W) float32 in [0, 1]: M of each place, 1 at the place itself."""

    def along(length: int) -> Array:
        offsets = np.arange(length) - places(length)[:, None]
        return np.exp(-0.5 * (offsets / MASK_SIGMA) ** 2).astype(np.float32)

    rows, columns = along(height), along(width)
    return np.asarray((rows[:, None, :, None] * columns[None, :, None, :]).reshape(-1, height, width))


class Explainer:
    """Explains decisions with a policy of its own, so that asking changes nothing that is played.

    Args:
        build: makes that policy, when it is first needed.
    """

    def __init__(self, build: Callable[[], Learner]) -> None:
        self._build = build
        self._policy: Learner | None = None
        self._weights: Mapping[str, Array] | None = None
        self._lock = threading.Lock()

    def explain(self, weights: Mapping[str, Array], obs: Array, mask: Array | None = None) -> Array:
        """`saliency` with these weights; from any thread, one call at a time."""
        with self._lock:
            if self._policy is None:
                self._policy = self._build()
            if self._weights is not weights:
                self._policy.load_weights(weights)
                self._weights = weights
            return saliency(self._policy, obs, mask)

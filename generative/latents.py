"""Latent-space interpolation, traversal and named directions.

A latent z is (L,) float32. Directions are named by facts of the truth: the simulator's facts of real images
are regressed on the latents of these images, and the direction of a fact, along which E[z | fact] moves, is
Σw/(wᵀΣw) of the regression's weights w and the latents' covariance Σ. Models without an encoder get principal
components of their samples (after Härkönen et al. 2020, "GANSpace").
Does not know: which model encodes and decodes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from sim.records import Array
from supervised.data.dataset import Dataset

#: (n, L) float32 → (n, …) examples.
Decode: TypeAlias = Callable[[Array], Array]

RIDGE = 1e-3  # of the mean variance of the latents
LEAST = 40  # examples that a regression needs
PROBES = 512  # samples of a principal component analysis
WIDEST = 1_024  # latent numbers; each takes four probes, and their images must fit into memory


def linear(start: Array, end: Array, steps: int) -> Array:
    """Linear interpolation: (`steps`, L) points on the straight line from `start` to `end`, both included.

    >>> linear(np.zeros(2), np.array([2.0, 4.0]), 3)[1]
    array([1., 2.], dtype=float32)
    """
    along = np.linspace(0, 1, steps)[:, None]
    return ((1 - along) * start + along * end).astype(np.float32)


def spherical(start: Array, end: Array, steps: int) -> Array:
    """Spherical interpolation: (`steps`, L) points on the arc from `start` to `end` (White 2016).

    Their lengths change evenly. In many dimensions nearly all of a Gaussian lies near a sphere, and a
    straight line leaves it. Where the two are parallel or opposite there is no unique arc, and the line is
    taken.

    >>> np.linalg.norm(spherical(np.array([1.0, 0.0]), np.array([0.0, 3.0]), 3), axis=1).round(4)
    array([1., 2., 3.], dtype=float32)
    """
    lengths = float(np.linalg.norm(start)), float(np.linalg.norm(end))
    if min(lengths) == 0:
        return linear(start, end, steps)
    one, other = start / lengths[0], end / lengths[1]
    angle = float(np.arccos(np.clip(one @ other, -1, 1)))
    if np.sin(angle) < 1e-4:
        return linear(start, end, steps)
    along = np.linspace(0, 1, steps)[:, None]
    turned = (np.sin((1 - along) * angle) * one + np.sin(along * angle) * other) / np.sin(angle)
    return np.asarray(turned * ((1 - along) * lengths[0] + along * lengths[1]), np.float32)


@dataclass(frozen=True)
class Axis:
    """Direction of a latent space, along which a fact or a principal component changes.

    Attributes:
        name: of the fact, or the number of a principal component.
        direction: (L,) float32; adding it once raises the fact by 1, or the component by a standard
            deviation.
        weights: (L,) float32 and `offset`: the fact is about weights · z + offset.
        offset: see there.
        low: the fact's 1 % quantile in the data.
        high: its 99 % quantile.
        r2: share of the fact's variance, in episodes left out of the regression, that the latents explain.
    """

    name: str
    direction: Array
    weights: Array
    offset: float
    low: float
    high: float
    r2: float

    def walked(self, origin: Array, steps: int) -> tuple[Array, Array]:
        """Traversal through `origin` (L,): points (`steps`, L), and the fact there, from `low` to `high`."""
        values = np.linspace(self.low, self.high, steps)
        now = float(origin @ self.weights) + self.offset
        return (origin + (values - now)[:, None] * self.direction).astype(np.float32), values


def named_axes(latents: Array, truths: Dataset, *, seed: int = 0) -> list[Axis]:
    """Latent directions of the simulator's facts by ridge regression, the highest R² first.

    Args:
        latents: (N, L) of the examples.
        truths: the N examples, of one class, with truths; those that lack a fact are left out.
        seed: of the episodes that are held out to measure `Axis.r2`.

    Returns:
        One direction a fact, without facts that do not change; empty below `LEAST` examples.
    """
    rows, names, facts = fact_table(truths)
    if len(rows) < LEAST:
        return []
    z = np.asarray(latents[rows], np.float64)
    episodes = truths.episodes[rows]
    unique = np.random.default_rng(seed).permutation(np.unique(episodes))
    apart = np.isin(episodes, unique[: max(1, len(unique) // 4)])
    axes = []
    for name, fact in zip(names, facts.T, strict=True):
        if fact.std() == 0:
            continue
        weights, offset = _regressed(z, fact)
        along = _spread(z, weights)
        direction = along / max(float(weights @ along), 1e-12)
        low, high = (float(edge) for edge in np.quantile(fact, (0.01, 0.99)))
        r2 = _explained(z, fact, apart)
        axes.append(
            Axis(name, direction.astype(np.float32), weights.astype(np.float32), offset, low, high, r2)
        )
    return sorted(axes, key=lambda axis: -axis.r2)


def fact_table(truths: Dataset) -> tuple[Array, tuple[str, ...], Array]:
    """Facts of a data set as a table: rows (K,) that have all of them, names, values (K, F)."""
    full = max((len(truth.facts) for truth in truths.truths), default=0)
    rows = np.array([i for i, truth in enumerate(truths.truths) if len(truth.facts) == full], np.int64)
    if not full or not len(rows):
        return np.zeros(0, np.int64), (), np.zeros((0, 0))
    names = tuple(truths.truths[int(rows[0])].facts)
    values = [[truths.truths[row].facts[name] for name in names] for row in rows.tolist()]
    return rows, names, np.array(values, np.float64)


def _regressed(z: Array, fact: Array) -> tuple[Array, float]:
    """Ridge regression: weights (L,) and offset, by the smaller of the primal and the dual system."""
    centre = z.mean(0)
    moved = z - centre
    few = moved if len(z) > z.shape[1] else moved.T
    gram = few.T @ few
    gram += RIDGE * np.square(moved).sum() / z.shape[1] * np.eye(len(gram))
    wanted = fact - fact.mean()
    if few is moved:
        weights = np.linalg.solve(gram, moved.T @ wanted)
    else:
        weights = moved.T @ np.linalg.solve(gram, wanted)
    return weights, float(fact.mean() - centre @ weights)


def _spread(z: Array, weights: Array) -> Array:
    """(L,) the covariance of z (N, L), with the ridge on its diagonal, times `weights`."""
    moved = z - z.mean(0)
    more = RIDGE * np.square(moved).sum() / z.shape[1] * weights
    spread: Array = (moved.T @ (moved @ weights) + more) / (len(z) - 1)
    return spread


def _explained(z: Array, fact: Array, apart: Array) -> float:
    """R² on the examples `apart` (N,) bool of a regression on the others; NaN if either has none."""
    if apart.all() or not apart.any() or fact[apart].std() == 0:
        return float("nan")
    weights, offset = _regressed(z[~apart], fact[~apart])
    error = np.square(z[apart] @ weights + offset - fact[apart]).mean()
    return float(1 - error / fact[apart].var())


def principal_axes(decode: Decode, width: int, count: int, *, seed: int = 0) -> list[Axis]:
    """Latent directions of the principal components of a model's samples, the largest variance first.

    Standard normal latents are decoded, the principal components of the samples computed, and each
    component's score regressed on the latents.

    Args:
        decode: of the model.
        width: L.
        count: how many directions.
        seed: of the latents.

    Returns:
        None at all for latent spaces wider than `WIDEST`, such as a flow's, which is as wide as its images.
    """
    if width > WIDEST:
        return []
    z = np.random.default_rng(seed).standard_normal((max(PROBES, 4 * width), width))
    drawn = decode(z.astype(np.float32)).reshape(len(z), -1).astype(np.float32)
    drawn -= drawn.mean(0)
    values, vectors = np.linalg.eigh((drawn @ drawn.T).astype(np.float64))
    axes = []
    for i in range(min(count, len(z))):
        score = vectors[:, -1 - i] * np.sqrt(len(z))  # of mean 0 and variance 1
        weights, offset = _regressed(z, score)
        direction = weights / max(float(weights @ weights), 1e-12)
        share = float(values[-1 - i] / values.sum())
        name = f"component {i + 1}, {share:.0%} of the variance"
        r2 = _explained(z, score, np.arange(len(z)) % 4 == 0)
        axes.append(
            Axis(name, direction.astype(np.float32), weights.astype(np.float32), offset, -2.0, 2.0, r2)
        )
    return axes

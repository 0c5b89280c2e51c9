"""Map of a gallery: samples and real examples at their first three principal components."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim.records import Array

COMPONENTS = 3


@dataclass(frozen=True)
class LatentMap:
    """Principal component scores of a gallery's pictures, as in TensorBoard's projector.

    Attributes:
        samples: (n, 3) scores of the first n samples.
        real: (m, 3) scores of the first m real examples.
        shares: of the variance that each of the three components explains.
        space: of the points, in words, such as "the latent space of the model".
    """

    samples: Array
    real: Array
    shares: tuple[float, ...]
    space: str

    @classmethod
    def of_points(cls, samples: Array, real: Array, space: str) -> LatentMap:
        """Map of points (n, D) of samples and (m, D) of real examples, with the components of both together.

        >>> line = np.arange(12.0).reshape(6, 2)
        >>> found = LatentMap.of_points(line[:3], line[3:], "a plane")
        >>> found.samples.shape, [round(share, 3) for share in found.shares]
        ((3, 3), [1.0, 0.0, 0.0])
        """
        scores, shares = principal_components(np.concatenate([samples, real]), COMPONENTS)
        return cls(scores[: len(samples)], scores[len(samples) :], shares, space)


def principal_components(points: Array, count: int) -> tuple[Array, tuple[float, ...]]:
    """Principal component analysis of points (N, D) by the eigenvectors of their (N, N) Gram matrix.

    The largest coordinate of each component is positive, so that a map does not flip between machines.

    Args:
        points: with D of any size.
        count: how many components.

    Returns:
        (N, count) scores, zeros beyond the rank, and the share of the variance of each.
    """
    flat = np.asarray(points, np.float64).reshape(len(points), -1)
    flat = flat - flat.mean(0)
    values, vectors = np.linalg.eigh(flat @ flat.T)
    values = np.where(values > values[-1] * 1e-12, values, 0)[::-1]  # the rest is rounding
    scores = np.zeros((len(flat), count))
    kept = min(count, len(flat))
    scores[:, :kept] = (vectors[:, ::-1] * np.sqrt(values))[:, :kept]
    scores *= np.sign(scores[np.abs(scores).argmax(0), np.arange(count)])
    total = values.sum()
    shares = [float(values[i] / total) if i < kept and total else 0.0 for i in range(count)]
    return scores, tuple(shares)

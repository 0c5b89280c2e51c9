"""Gaussian baseline: samples of a normal distribution with the training data's mean and covariance.

It is probabilistic PCA with all components. Neither they nor the covariance are ever computed: with standard
normal z of shape (N,), mean + zᵀ (X − mean) / √(N − 1) has exactly the sample covariance of the N examples X,
and 12,288 pixels need no matrix of 12,288².
"""

from __future__ import annotations

import numpy as np

from sim.records import Array


class GaussianBaseline:
    """Gaussian with the mean and covariance of N ≥ 2 examples (N, …); samples have the examples' dtype."""

    def __init__(self, examples: Array) -> None:
        """Fit.

        Raises:
            ValueError: if there are fewer than 2 examples.
        """
        if len(examples) < 2:
            raise ValueError(f"a covariance needs at least 2 examples, not {len(examples)}")
        flat = examples.reshape(len(examples), -1).astype(np.float32)
        self._shape, self._dtype = examples.shape[1:], examples.dtype
        self._mean = flat.mean(0)
        self._rows = (flat - self._mean) / np.sqrt(len(flat) - 1)

    def sample(self, n: int, seed: int) -> Array:
        """Samples (n, …) of the examples' dtype; uint8 is rounded and clipped to 0…255."""
        z = np.random.default_rng(seed).standard_normal((n, len(self._rows)), np.float32)
        drawn: Array = (self._mean + z @ self._rows).reshape(n, *self._shape)
        if self._dtype == np.uint8:
            drawn = drawn.round().clip(0, 255)
        return drawn.astype(self._dtype, copy=False)

"""Scores of generated samples: all metrics of one set, beside those of real examples and a Gaussian baseline.

| name | is | equal distributions |
|---|---|---|
| frechet | Fréchet distance to held-out real examples, in feature space | the floor |
| frechet_floor | the same of as many copies of training examples | |
| kernel_distance | unbiased kernel distance | 0 ± noise |
| density, coverage | Naeem et al. 2020, fifth neighbour | about 1, 0.97 |
| sliced_wasserstein | root mean square over directions | small |
| memorising | data-copying statistic (Meehan et al. 2020), see `neighbours.memorization_score` | 0.5 |

The reference is always real examples of episodes that no model was trained on. Does not know where features
come from: an encoder is any function from examples (n, …) to features (n, D).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from generative.metrics.distances import frechet_distance, kernel_distance, sliced_wasserstein
from generative.metrics.gaussian import GaussianBaseline
from generative.metrics.neighbours import density_and_coverage, memorization_score
from sim.records import Array

Encode: TypeAlias = Callable[[Array], Array]
Figures: TypeAlias = dict[str, float]

MOST = 2_000  # real examples; more make every metric slow and none much more precise
HALVES = 24  # half samples for the intervals


@dataclass(frozen=True)
class Grade:
    """Scores of one set of n samples.

    Attributes:
        metrics: of the samples, with ``frechet_floor``.
        copies: of n training examples: the ideal, but for memorising.
        baseline: of n samples of a Gaussian fitted to the training examples.
        ci95: low and high of each of `metrics` but the floor, over other samples of the model; the real
            examples stay the same.
        n: samples.
        references: number of held-out real examples.
    """

    metrics: Figures
    copies: Figures
    baseline: Figures
    ci95: dict[str, list[float]] = field(default_factory=dict)
    n: int = 0
    references: int = 0


class Grader:
    """Computes the metrics of samples of one data set.

    Args:
        train: (N, …) training examples.
        held_out: (M, …) of other episodes; 10 at least.
        encode: examples to features.
        seed: of the choice where there are more than `MOST`, of copies and of the baseline.
    """

    def __init__(self, train: Array, held_out: Array, encode: Encode, *, seed: int = 0) -> None:
        generator = np.random.default_rng(seed)
        self._encode, self._seed = encode, seed
        self._train = train[_some(len(train), MOST, generator)]
        self._known = encode(self._train)
        self._unseen = encode(held_out[_some(len(held_out), MOST, generator)])
        self._gaussian = GaussianBaseline(self._train)

    def figures(self, features: Array) -> Figures:
        """Metrics of samples by their features (n, D); n at least 2."""
        density, coverage = density_and_coverage(self._unseen, features)
        return {
            "frechet": frechet_distance(features, self._unseen),
            "kernel_distance": kernel_distance(features, self._unseen),
            "density": density,
            "coverage": coverage,
            "sliced_wasserstein": sliced_wasserstein(features, self._unseen),
            "memorising": memorization_score(features, self._unseen, self._known),
        }

    def grade(self, samples: Array, *, intervals: bool = True) -> Grade:
        """Score samples (n, …), beside n training examples and n samples of the Gaussian baseline.

        Args:
            samples: at least 4.
            intervals: whether to compute them, which takes longer than all else.

        Raises:
            ValueError: if there are fewer than 4, or of another shape than the real ones.
        """
        if len(samples) < 4 or samples.shape[1:] != self._train.shape[1:]:
            raise ValueError(f"samples of shape {samples.shape} cannot be graded by {self._train.shape[1:]}")
        features = self._encode(samples)
        metrics = self.figures(features)
        copies = self.figures(self._known[_some(len(self._known), len(samples), self._generator())])
        baseline = self.figures(self._encode(self._gaussian.sample(len(samples), self._seed)))
        return Grade(
            metrics | {"frechet_floor": copies["frechet"]},
            copies,
            baseline,
            self._intervals(features, metrics) if intervals else {},
            len(samples),
            len(self._unseen),
        )

    def _intervals(self, features: Array, metrics: Figures) -> dict[str, list[float]]:
        """Normal 95 % intervals by the half-sampling jackknife (Efron 1982, chapter 8).

        The standard deviation of a statistic over random halves drawn without replacement is that of the
        statistic of the whole. A bootstrap would not do: samples drawn twice are neighbours at distance 0 and
        bias every metric here.
        """
        generator, half = self._generator(), len(features) // 2
        if half < 2:
            return {}
        drawn = [self.figures(features[generator.permutation(len(features))[:half]]) for _ in range(HALVES)]
        spreads = {name: float(np.std([figures[name] for figures in drawn], ddof=1)) for name in metrics}
        return {
            name: [value - 1.96 * spreads[name], value + 1.96 * spreads[name]]
            for name, value in metrics.items()
        }

    def _generator(self) -> np.random.Generator:
        return np.random.default_rng(self._seed + 1)


def standardised_vectors(train: Array) -> Encode:
    """Encoder for vectors: each number in units of its standard deviation among `train` (N, D)."""
    scale = train.std(0).astype(np.float64)
    scale[scale < 1e-6] = 1.0

    def encode(values: Array) -> Array:
        scaled: Array = values.reshape(len(values), -1) / scale
        return scaled

    return encode


def _some(n: int, most: int, generator: np.random.Generator) -> Array:
    """Random subset of min(n, `most`) of n rows."""
    return generator.permutation(n)[:most]

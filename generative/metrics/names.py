"""Names of the metrics of samples for people: what a metric is called, its unit, which direction is better.

Tables and pages show these; JSON keeps the fixed keys.
"""

from __future__ import annotations

from typing import NamedTuple

LESS, MORE, ONE, HALF = "↓", "↑", "→ 1", "→ 0.5"


class MetricName(NamedTuple):
    """Name of a metric.

    Attributes:
        name: as papers call it, with its unit where it has one.
        better: `LESS`, `MORE`, the value that is best, or empty for what is neither good nor bad.
        meaning: one line of explanation.
    """

    name: str
    better: str
    meaning: str

    def __str__(self) -> str:
        """Name and direction.

        >>> str(METRIC_NAMES["frechet"])
        'Fréchet distance ↓'
        """
        return f"{self.name} {self.better}".rstrip()


METRIC_NAMES = {
    "frechet": MetricName("Fréchet distance", LESS, "to held-out real examples; its floor is ideal"),
    "frechet_floor": MetricName(
        "Fréchet distance, floor", "", "of as many training examples to held-out ones: the best possible"
    ),
    "kernel_distance": MetricName(
        "kernel distance", LESS, "squared MMD, unbiased; 0 for equal distributions"
    ),
    "density": MetricName("density", ONE, "mean number of real neighbourhoods around a sample, over k"),
    "coverage": MetricName(
        "coverage", MORE, "share of held-out examples with a sample in their neighbourhood"
    ),
    "sliced_wasserstein": MetricName(
        "sliced Wasserstein distance", LESS, "Wasserstein distance along random directions"
    ),
    "memorising": MetricName(
        "memorisation", HALF, "0.5: as near to training data as held-out examples are; 1: copies"
    ),
    "truth": MetricName(
        "correct samples", MORE, "share of samples that match their condition or, without one, are valid"
    ),
    "top1": MetricName(
        "top-1 accuracy", MORE, "share of samples that an independent classifier reads as asked"
    ),
    "objects": MetricName(
        "samples with all objects", MORE, "share of Pong's that show one ball and two paddles, by colour"
    ),
    "nmi": MetricName("normalised mutual information", MORE, "of clusters and classes; 1 is perfect"),
    "bits_per_dim": MetricName(
        "bits per dimension", LESS, "negative log likelihood of held-out examples, over their numbers"
    ),
    "steps": MetricName("denoising steps", "", "of a sample; 1 for models without any"),
    "rmse": MetricName("RMSE, levels of 255", LESS, "root mean square error of the inpainted part"),
    "frames_until_divergence": MetricName(
        "frames until divergence",
        MORE,
        "until an object of the dream is more than 4 px off, or on one side only",
    ),
    "images_per_second": MetricName("samples per second", MORE, "sampling speed on this machine"),
    "training_seconds": MetricName("training time, s", LESS, "of the checkpoint, on the machine it ran on"),
}


def metric_title(metric: str) -> str:
    """Name and direction of a metric; its key where it has no name.

    >>> metric_title("images_per_second"), metric_title("mine")
    ('samples per second ↑', 'mine')
    """
    return str(METRIC_NAMES[metric]) if metric in METRIC_NAMES else metric

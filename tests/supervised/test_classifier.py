"""The classifier: it learns colours, its confidence is calibrated, its downscaling averages areas."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sim.records import Budget, Percept
from supervised.data.dataset import Dataset
from supervised.metrics.grading import grade
from supervised.vision.classifier import SIDE, Classifier, shrunk

NAMES = ("stripes", "dots", "plain")


def textures(count, seed):
    """Noisy pictures in any colour that only their pattern tells apart."""
    generator = np.random.default_rng(seed)
    label = generator.integers(3, size=count)
    y, x = np.mgrid[:48, :64] // 6 % 2
    pattern = np.stack([x, x * y, np.ones_like(x)])[label][..., None]
    sizes = (120, 230, (count, 1, 1, 3)), (0, 25, (count, 48, 64, 3))
    colour, noise = (generator.integers(low, high, size) for low, high, size in sizes)
    rgb = pattern * colour + noise
    truths = tuple(Percept("truth", label=NAMES[i]) for i in label)
    return Dataset(values=rgb.astype(np.uint8), truths=truths, episodes=np.arange(count))


def test_it_learns_patterns_and_says_how_sure_it_is():
    train, validation = textures(240, 0), textures(60, 1)
    model = Classifier(channels=4, smoothing=0.0).build(NAMES, seed=0)
    for _ in model.fit(train, validation, seed=0).learn(Budget(updates=150)):
        pass
    said = model.perceive(list(validation.values))
    found = grade("label", said, validation.truths)
    assert found["top1"] >= 0.95 and found["ece"] < 0.25
    assert all(1 / 3 <= percept.scores[0] <= 1 for percept in said)
    for percept in said:
        names, shares = zip(*percept.extras["likeliest"], strict=True)
        assert sorted(names) == sorted(NAMES) and names[0] == percept.label and shares[0] == percept.scores[0]
        assert list(shares) == sorted(shares, reverse=True) and sum(shares) == pytest.approx(1, abs=1e-5)


def test_pictures_shrink_to_means():
    rgb = torch.randint(0, 256, (2, 2 * SIDE, 3 * SIDE, 3), dtype=torch.uint8)
    small = shrunk(rgb)
    assert small.shape == (2, 3, SIDE, SIDE)
    assert small[1, 2, 5, 7] == pytest.approx(float(rgb[1, 10:12, 21:24, 2].float().mean()) / 255, abs=1e-6)


def test_bad_keys_are_refused():
    for keys in ({"channels": 6}, {"views": 0}, {"smoothing": 1.0}, {"learning_rate": -1.0}):
        with pytest.raises(ValueError, match=next(iter(keys))):
            Classifier(**keys)

"""Every perception of the catalogue keeps every promise."""

from __future__ import annotations

import numpy as np
import pytest

from sim.catalog import load
from sim.conformance import check_perception
from supervised.catalog import PERCEPTIONS

CLASSES = ("ball", "player", "enemy")
SIZES = ((210, 160), (31, 47), (8, 8))


@pytest.mark.parametrize("name", PERCEPTIONS)
def test_perceptions_keep_every_promise(name):
    generator = np.random.default_rng(0)
    pictures = [generator.integers(0, 256, (*size, 3), dtype=np.uint8) for size in SIZES]
    config = load(PERCEPTIONS, name, "perception")()
    for seed in (0, 1):
        check_perception(config.build(CLASSES, seed=seed, device="cpu"), pictures)


@pytest.mark.parametrize("name", PERCEPTIONS)
def test_the_same_seed_builds_the_same_model(name):
    config = load(PERCEPTIONS, name, "perception")()
    one, same, other = (config.build(CLASSES, seed=seed, device="cpu").weights() for seed in (0, 0, 1))
    assert all(np.array_equal(one[key], same[key]) for key in one)
    assert any(not np.array_equal(one[key], other[key]) for key in one)

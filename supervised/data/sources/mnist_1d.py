"""MNIST-1D: ten shapes of 40 numbers, shifted, scaled, sheared and noisy (Greydanus & Kobak 2024).

Greydanus & Kobak 2024, "Scaling down deep learning with MNIST-1D". The package ``mnist1d`` (Apache-2.0) draws
the 5,000 examples with the paper's settings and seed; the 1,000 that it holds out are the test set. As
``mnist-1d-shuffled`` the 40 numbers stand in one random order, which takes away what a convolution can use.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

from sim.catalog import MissingPackageError, install_hint
from sim.fields import nearest
from sim.records import Array, Percept
from supervised.data.columns import ArrayColumn
from supervised.data.dataset import Dataset
from supervised.data.sources.splits import DataError, Source, Splits, version

VALIDATION = 400  # of the 4,000 training examples
NAMES = ("mnist-1d", "mnist-1d-shuffled")
DIGITS = tuple("0123456789")


def mnist_1d_splits(name: str) -> Splits:
    """The data set by name; its own test set whatever the seed.

    Raises:
        DataError: for an unknown name.
        MissingPackageError: without mnist1d.
    """
    if name not in NAMES:
        raise DataError(f'there are no data "{name}"; {nearest(name, NAMES)}')
    found = _drawn(name == NAMES[1])
    x, y = np.concatenate([found["x"], found["x_test"]]), np.concatenate([found["y"], found["y_test"]])
    tested = len(found["x"])

    def part(rows: Array) -> Dataset:
        truths = tuple(Percept("truth", label=DIGITS[label]) for label in y[rows])
        return Dataset(values=ArrayColumn(x[rows].astype(np.float32)), truths=truths, episodes=rows)

    rows = np.arange(len(x))
    source = Source(name, f"mnist1d {version('mnist1d')}, seed 42", "Apache-2.0")
    parts = rows[: tested - VALIDATION], rows[tested - VALIDATION : tested], rows[tested:]
    train, validation, test = map(part, parts)
    return Splits(train, validation, test, "example", source, DIGITS)


@cache
def _drawn(shuffled: bool) -> dict[str, Any]:
    try:
        from mnist1d.data import get_dataset_args, make_dataset
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"these data are drawn by {install_hint(error.name or 'mnist1d')}"
        ) from error
    settings = get_dataset_args()
    settings.shuffle_seq = shuffled
    with _global_generators():
        found: dict[str, Any] = make_dataset(settings)
    return found


@contextmanager
def _global_generators() -> Iterator[None]:
    """Context that leaves the global generators as they were; mnist1d seeds all of them."""
    import torch

    kept = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])
        torch.set_rng_state(kept[2])

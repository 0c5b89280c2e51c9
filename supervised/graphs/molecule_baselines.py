"""Baselines of molecular properties on computed descriptors: random forest and least squares."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from sim.catalog import MissingPackageError
from sim.records import Array, Percept
from supervised.data.dataset import Dataset
from supervised.data.molecules.notation import from_text
from supervised.graphs.descriptors import NAMES, descriptor_table
from supervised.metrics.regression import quantity

#: Of Delaney 2004, "ESOL": log P, weight, rotatable bonds, share of aromatic atoms.
ESOL = ("log_p", "weight", "rotatable_bonds", "aromatic_share")
INSTALL = 'python -m pip install "scikit-learn"'
TREES, SHARE = 200, 1 / 3  # of the forest, and of the descriptors that a split looks at


def table(texts: Sequence[str]) -> Array:
    """(N, D) float32 descriptors of molecules given as texts."""
    return descriptor_table([from_text(text) for text in texts])


def target_table(data: Dataset, names: Sequence[str]) -> Array:
    """(N, T) float64 values of the targets; NaN for unknown ones."""
    rows = [truth.extras["value"] for truth in data.truths]
    return np.array([[row.get(name, np.nan) for name in names] for row in rows], np.float64)


def molecule_baselines(
    train: Dataset, names: Sequence[str], seed: int
) -> Mapping[str, Callable[[Sequence[Any]], list[Percept]]]:
    """Random forest and least squares on all descriptors, and least squares on the four of `ESOL`.

    Raises:
        MissingPackageError: without scikit-learn.
    """
    try:
        from sklearn.ensemble import RandomForestRegressor
        from sklearn.linear_model import LinearRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"the baselines need the package scikit-learn: {INSTALL}") from error
    x, y = table(train.values), target_table(train, names)
    four = [NAMES.index(name) for name in ESOL]

    def fitted(make: Callable[[], Any], columns: Sequence[int]) -> Callable[[Sequence[Any]], list[Percept]]:
        models = [make().fit(x[known][:, columns], y[known, t]) for t, known in enumerate(np.isfinite(y).T)]

        def perceive(texts: Sequence[Any]) -> list[Percept]:
            mine = table(texts)[:, columns]
            answers = np.stack([model.predict(mine) for model in models], axis=1)
            return [quantity("model", dict(zip(names, row, strict=True))) for row in answers.tolist()]

        return perceive

    every = range(len(NAMES))
    forest = lambda: RandomForestRegressor(TREES, max_features=SHARE, random_state=seed)  # noqa: E731
    linear = lambda: make_pipeline(StandardScaler(), LinearRegression())  # noqa: E731
    return {
        "random forest": fitted(forest, every),
        "least squares": fitted(linear, every),
        "least squares, 4 descriptors": fitted(linear, four),
    }

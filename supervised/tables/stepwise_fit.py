"""Training loop of models with a rule of their own, applied update by update and exactly resumable.

`supervised.fit.Fit` is AdamW on minibatches; the perceptron's rule of 1958 and gradient descent of 1986 are
older: a model gives its state as arrays and one step, and this loop counts, validates and saves like a `Fit`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np

from sim.records import Array, Budget, Progress, State


class Stepwise(Protocol):
    """A model that learns step by step."""

    def step(self, update: int) -> dict[str, float]:
        """Apply the rule once, for the update of that number from 0 on; returns metrics."""

    def arrays(self) -> dict[str, Array]:
        """All that changes while it learns."""

    def load_arrays(self, arrays: State) -> None:
        """The inverse of `arrays`."""


class StepwiseFit:
    """Fit of a `Stepwise` model; satisfies what trainees use of `supervised.fit.Fit`."""

    def __init__(
        self,
        model: Stepwise,
        validate: Callable[[], dict[str, float]],
        *,
        every: int,
        weights: Callable[[], State],
    ) -> None:
        """Prepare; nothing is learned yet.

        Args:
            model: learns in place.
            validate: gives metrics of the present weights on held-out examples.
            every: updates between two yields.
            weights: gives the content of a checkpoint.
        """
        self._model, self._validate, self._every, self._weights = model, validate, every, weights
        self._updates = 0

    def learn(self, budget: Budget) -> Iterator[Progress]:
        """Train until the budget of updates is spent; yields after every `every` updates.

        Raises:
            ValueError: if the budget is in env steps.
        """
        if budget.updates is None:
            raise ValueError("a fit counts updates: set updates in [train], not env_steps")
        while self._updates < budget.updates:
            rows = []
            last = min(budget.updates, self._updates - self._updates % self._every + self._every)
            for update in range(self._updates, last):
                rows.append(self._model.step(update))
            self._updates = last
            metrics = {f"train_{name}": float(np.mean([row[name] for row in rows])) for name in rows[0]}
            metrics |= {f"validation_{name}": value for name, value in self.validate().items()}
            yield Progress(0, self._updates, budget.updates, metrics)

    def validate(self) -> dict[str, float]:
        """Metrics on held-out examples."""
        return self._validate()

    def state(self) -> State:
        """The model's arrays and the number of updates."""
        return {"updates": self._updates, "arrays": self._model.arrays()}

    def restore(self, state: State) -> None:
        """Take up a state from `state`; `learn` goes on from there."""
        self._updates = int(state["updates"])
        self._model.load_arrays(state["arrays"])

    def weights(self) -> dict[str, Array]:
        """The content of a checkpoint."""
        return dict(self._weights())

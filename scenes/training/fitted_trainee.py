"""Base class of trainees that `supervised.fit.Fit` trains: perceptions, tasks and samplers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from scenes.schema import Scene
from sim.records import Array, Budget, Progress, State
from supervised.distributed import ShareError, process_group
from supervised.fit import Fit, fits_exactly


class FittedTrainee(ABC):
    """Base class of trainees that `supervised.fit.Fit` trains: perceptions, tasks and samplers."""

    unit = "updates"
    learning_rate_key = "perception.0.learning_rate"

    def __init__(self, scene: Scene, device: str, learning_rate: float | None) -> None:
        """Take the scene; `device` is one of torch's."""
        self._scene, self._device = scene, device
        self.resumes_exactly = fits_exactly(device)
        self.learning_rate = learning_rate

    @cached_property
    def _fit(self) -> Fit:
        return self._make_fit()

    @abstractmethod
    def _make_fit(self) -> Fit:
        """The fit; called when learning begins."""

    @property
    def scene(self) -> Scene:
        """See `Trainee`."""
        return self._scene

    def learn(self, budget: Budget) -> Iterator[Progress]:
        """See `Trainee`.

        Raises:
            ShareError: if there are several ranks, and it learns by a rule of its own.
        """
        if process_group().size > 1 and not getattr(self._fit, "data_parallel", False):
            first: Any = [*self._scene.perception, *self._scene.sampler][0]
            raise ShareError(
                f'"{first.use}" learns by a rule of its own, in one process: start it without torchrun; '
                "what learns by minibatches of examples can be shared, and so can the agents ppo and pqn"
            )
        return self._fit.learn(budget)

    def state(self) -> State:
        """See `Trainee`; the examples are not part of it, as the same request gives the same ones."""
        return self._fit.state()

    def restore(self, state: State) -> None:
        """See `Trainee`."""
        self._fit.restore(state)

    def weights(self) -> dict[str, Array]:
        """See `Trainee`."""
        return self._fit.weights()

    def evaluate(self) -> dict[str, float]:
        """See `Trainee`: loss and metrics on held-out examples."""
        return self._fit.validate()

    def estimated_rate(self, budget: Budget) -> None:
        """See `Trainee`: None, as fits are short."""
        return

    def close(self) -> None:
        """See `Trainee`: nothing is open."""
        return

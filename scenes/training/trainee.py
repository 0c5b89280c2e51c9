"""Trainees: what a training session trains, behind one protocol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from scenes.build.perceptions import trains_perception
from scenes.build.samplers import trains_sampler
from scenes.schema import Scene
from sim.records import Array, Budget, Progress, State
from sim.storage.checkpoints import Card


class Trainee(Protocol):
    """Something that learns under a session."""

    unit: str  # what its budget counts: "env steps" or "updates"
    resumes_exactly: bool
    learning_rate: float | None  # to name a smaller one where numbers exploded
    learning_rate_key: str  # where the scene sets it

    @property
    def scene(self) -> Scene:
        """What is trained, with what the scene was silent about and the world decides."""

    def learn(self, budget: Budget) -> Iterator[Progress]:
        """Learn until the budget is spent, yielding where it is safe to stop."""

    def state(self) -> State:
        """Everything that an exact resume needs."""

    def restore(self, state: State) -> None:
        """Take up a state."""

    def weights(self) -> dict[str, Array]:
        """The content of a checkpoint."""

    def card(self, trained: Mapping[str, Any], scores: Mapping[str, Any]) -> Card:
        """The card beside it."""

    def evaluate(self) -> dict[str, float]:
        """Scores of now."""

    def estimated_rate(self, budget: Budget) -> float | None:
        """Units of the budget a second; None where trying would take longer than training."""

    def close(self) -> None:
        """Give up worlds."""


def trainee_of(scene: Scene, device: str, start_from: Path | None) -> Trainee:
    """What training the scene is about, ready to learn; of the others nothing is imported.

    Args:
        scene: its first perception, where that is for the audience, or its first sampler, where there is no
            agent; else its agent.
        device: ``auto``, ``cpu`` or ``cuda``.
        start_from: a checkpoint whose weights to start with.

    Raises:
        SceneError, CheckpointError: if the request is wrong.
    """
    if trains_perception(scene):
        from scenes.training.perceptions import PerceptionTrainee

        return PerceptionTrainee(scene, device, start_from)
    if trains_sampler(scene):
        from scenes.training.samplers import SamplerTrainee

        return SamplerTrainee(scene, device, start_from)
    from scenes.training.agents import AgentTrainee

    return AgentTrainee(scene, device, start_from)

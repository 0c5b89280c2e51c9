"""Trainee protocol: the agent, perception or sampler that a training session trains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from scenes.build.perceptions import trains_perception
from scenes.build.samplers import trains_sampler
from scenes.data.task_data import has_task
from scenes.schema import Scene
from sim.records import Array, Budget, Progress, State
from sim.storage.checkpoints import Card

if TYPE_CHECKING:
    from scenes.training.actors import ConnectedActors


class Trainee(Protocol):
    """Interface between a training session and what it trains: an agent, a perception or a sampler."""

    unit: str  # unit of its budget: "env steps" or "updates"
    learning_rate: float | None  # to propose a smaller one where the loss was not finite
    learning_rate_key: str  # if the scene sets one

    @property
    def resumes_exactly(self) -> bool:
        """Whether a resumed run ends in the same weights, bit for bit."""

    @property
    def scene(self) -> Scene:
        """The resolved scene, with keys filled in that follow from the world, such as the network."""

    def learn(self, budget: Budget) -> Iterator[Progress]:
        """Learn until the budget is spent, yielding where it is safe to stop."""

    def state(self) -> State:
        """State for an exact resume."""

    def restore(self, state: State) -> None:
        """Restore a state."""

    def weights(self) -> dict[str, Array]:
        """Weights of a checkpoint, by name."""

    def card(self, trained: Mapping[str, Any], scores: Mapping[str, Any]) -> Card:
        """Model card of a checkpoint."""

    def evaluate(self) -> dict[str, float]:
        """Scores of the present weights, by name."""

    def estimated_rate(self, budget: Budget) -> float | None:
        """Units of the budget a second; None where no measurement is made."""

    def close(self) -> None:
        """Close the worlds."""


def trainee_of(
    scene: Scene, device: str, start_from: Path | None, actors: ConnectedActors | None = None
) -> Trainee:
    """Build the trainee of a scene; the modules of other kinds of trainees are not imported.

    Args:
        scene: trains its first perception, where that has ``feed = "overlay"``, or its first sampler, where
            there is no agent; else its agent.
        device: ``auto``, ``cpu`` or ``cuda``.
        start_from: checkpoint with the initial weights.
        actors: that play for the agent.

    Raises:
        SceneError, CheckpointError: if the request is wrong.
    """
    if has_task(scene):
        from scenes.training.tasks import TaskTrainee

        return TaskTrainee(scene, device, start_from)
    if trains_perception(scene):
        from scenes.training.perceptions import PerceptionTrainee

        return PerceptionTrainee(scene, device, start_from)
    if trains_sampler(scene):
        from scenes.training.samplers import SamplerTrainee

        return SamplerTrainee(scene, device, start_from)
    from scenes.training.agents import AgentTrainee

    return AgentTrainee(scene, device, start_from, actors)

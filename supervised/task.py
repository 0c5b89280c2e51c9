"""Interfaces of supervised tasks: perceptions that bring a data set of their own and look at no world.

A scene without a world trains, grades, runs and shows such a perception; `is_task` tells which those are.
Everything that differs between tasks is in their own files: data (`supervised.data.sources`), model, metrics,
baselines, and how an example is drawn.

To add one: a loader in `supervised.data.sources`, a model in its room with a line in `supervised.catalog`, a
scene file. `tests/supervised/test_tasks.py` checks every one of them from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias, runtime_checkable

from sim.percept_kind import Kind
from sim.protocols import PerceptionModel
from sim.records import Array, Percept
from sim.viewer.contract.moment import Readout, Sound
from supervised.data.dataset import Dataset
from supervised.data.sources.splits import Splits
from supervised.metrics.percept_metrics import PerceptMetrics
from supervised.metrics.text import SampleGrades

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Gives a percept for each of N inputs.
Perceive: TypeAlias = Callable[[Sequence[Any]], list[Percept]]


@runtime_checkable
class TaskConfig(Protocol):
    """A catalogue entry for perceptions with data of their own: a dataclass whose fields are scene keys.

    Attributes:
        reads: the kind of an input, one of `sim.protocols.READS`.
        tells: the kind of percept that it predicts.
        metrics: that it is graded by, in the place of `supervised.metrics.kinds.METRICS` of that kind.
    """

    reads: ClassVar[str]
    tells: ClassVar[Kind]
    metrics: ClassVar[PerceptMetrics]

    @property
    def data(self) -> str:
        """The data: a name that the task knows, or the path of a user's own file or folder."""

    def splits(self, path: Path | None, *, seed: int) -> Splits:
        """The task's data, split; the same at every call with the same arguments.

        Args:
            path: of `data` where that is a file or folder; None where it is a name.
            seed: of whatever is drawn at random, such as the split.

        Raises:
            DataError: naming what is wrong with a user's own data, and where.
            MissingPackageError: if the data lie in a package that is not installed; it names the line that
                installs it.
        """

    def build(self, classes: Sequence[str], *, seed: int, device: str) -> TaskModel:
        """An untrained model for these classes."""

    def baselines(self, train: Dataset, *, seed: int) -> Mapping[str, Perceive]:
        """Simple models fitted to the training data, by name, the one to beat first."""


class TaskModel(PerceptionModel, Protocol):
    """A trainable model of a task. Its weights hold all that it needs: scales and vocabulary too.

    Attributes:
        classes: that it was built for.
    """

    classes: tuple[str, ...]

    def draw(self, figure: Figure, value: Any, percept: Percept, truth: Percept | None) -> None:
        """Draw one input with what the model says of it, and why; see `supervised.figure`.

        Args:
            figure: empty, in the theme's colours.
            value: an input of `perceive`.
            percept: what `perceive` gave for it.
            truth: what is right; None where nobody knows.
        """


@dataclass(frozen=True)
class Frame:
    """One picture of a demonstration.

    Attributes:
        draw: draws it on an empty figure.
        caption: a line below it.
        readouts: figures beside it.
        sound: that it shows.
    """

    draw: Callable[[Figure], None]
    caption: str = ""
    readouts: tuple[Readout, ...] = ()
    sound: Sound | None = None


@runtime_checkable
class Demonstrates(Protocol):
    """A task whose model is watched while it learns, instead of example by example."""

    def demonstrate(self, splits: Splits, *, seed: int) -> Iterator[Frame]:
        """Pictures of the model at work, one a step; endless or not."""


@runtime_checkable
class Performs(Protocol):
    """A trained model that is watched at work, instead of example by example.

    Attributes:
        pace: pictures a second.
    """

    pace: float

    def perform(self, splits: Splits, *, seed: int) -> Iterator[Frame]:
        """Pictures of the model at work, one a step; endless or not."""


@dataclass(frozen=True)
class WrittenText:
    """A text that a model has written.

    Attributes:
        text: all of it, with its prompt.
        words: the tokens that were chosen.
        probabilities: of each of them, before temperature, top-k and top-p.
        legal: whether it keeps the rules of its kind; True where there are none.
    """

    text: str
    words: tuple[str, ...]
    probabilities: tuple[float, ...]
    legal: bool = True


@runtime_checkable
class Writes(Protocol):
    """A model that writes texts: `playfield sample`."""

    def write(self, n: int, prompt: str, seed: int) -> list[WrittenText]:
        """`n` texts that go on from `prompt`; the same seed gives the same ones."""


@runtime_checkable
class GradesSamples(Protocol):
    """A task's configuration that grades what its model makes, beside its percepts of test examples."""

    def grade_samples(self, model: Any, splits: Splits, *, seed: int) -> SampleGrades | None:
        """Metrics of what the model makes; None where there are none of these data."""


@runtime_checkable
class ReadsText(Protocol):
    """A task that also takes a text in the place of its inputs, such as a position in FEN for a picture."""

    def read_text(self, text: str) -> Any:
        """The input of `perceive` that a text stands for.

        Raises:
            DataError: if it stands for none.
        """


@runtime_checkable
class HasBase(Protocol):
    """A model on top of another one, whose checkpoint its configuration names as ``base_checkpoint``."""

    def load_base(self, weights: Mapping[str, Array]) -> None:
        """Take up the weights of the other model; its own come after.

        Raises:
            ValueError: if they are of another network.
        """


@runtime_checkable
class HasRewardModel(Protocol):
    """A model that learns from another one's rewards, whose checkpoint is named as ``reward_checkpoint``."""

    def load_reward_model(self, weights: Mapping[str, Array]) -> None:
        """Take up the weights of the other model; called after `HasBase.load_base`.

        Raises:
            ValueError: if they are of another network, or of another base.
        """


def is_task(config: Any) -> bool:
    """Whether a perception's configuration is that of a task."""
    return hasattr(config, "splits") and hasattr(config, "baselines")

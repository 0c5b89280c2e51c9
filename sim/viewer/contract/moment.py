"""Moments: state of a show after one step of N worlds, as the window draws it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from sim.records import Array, Decision, Episode, Percept
from sim.viewer.contract.board import BoardState
from sim.viewer.contract.gallery_page import GalleryPage, Slider
from sim.viewer.contract.game_analysis import GameAnalysis
from sim.viewer.contract.robot import RobotState


class RankedAction(NamedTuple):
    """One action among many: its name, its probability or value, and whether it was chosen."""

    name: str
    value: float | None
    chosen: bool


class Options(NamedTuple):
    """The highest-ranked actions of a world that has more than a panel can list, best first.

    Attributes:
        measure: of the values: ``"probability"``, ``"Q-value"``, ``"visits"`` or "".
        shown: the best ones.
        rest: how many more could be chosen.
    """

    measure: str
    shown: tuple[RankedAction, ...]
    rest: int


class Role(NamedTuple):
    """Who moves an object, ``"YOU"``, ``"AGENT"`` or ``"OPPONENT"``, and its box x0, y0, x1, y1."""

    name: str
    box: tuple[float, float, float, float]


class PictureLabel(NamedTuple):
    """A line of text over a part of the first picture, in that picture's pixels.

    Attributes:
        text: cut where it is too long.
        left: edge.
        middle: half a capital's height up.
        width: that it may take.
    """

    text: str
    left: int
    middle: int
    width: int


class Readout(NamedTuple):
    """One read-out of the world: label, value and unit, such as ``("speed", 1.52, "m/s")``."""

    label: str
    value: float | str
    unit: str = ""


class Sound(NamedTuple):
    """A mono sound: samples (T,) int16, and how many of them a second lasts."""

    samples: Array
    rate: int

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.samples) / self.rate


class Exploration(NamedTuple):
    """Exploration measure, its value, maximum and unit, such as ``("policy entropy", 0.5, 1.8, "nats")``."""

    name: str
    value: float
    most: float
    unit: str = ""


#: Computes saliency maps (2, h, w) float: how much each place of the observation moved the action, and the
#: value; on a coarser grid, and so in less time, if its argument is True. It may take long, and is called
#: from a thread of its own.
Attribution: TypeAlias = Callable[[bool], Array]


@dataclass(frozen=True, slots=True, eq=False)
class Learning:
    """The training run whose checkpoints a show uses, as it stands at a moment.

    Attributes:
        checkpoint: label of the one that plays; "" before there is one.
        training: its budget in words, "2.4 M steps".
        following: whether newer checkpoints are loaded as they are saved.
        steps: of the run so far: environment steps, or updates.
        played: share of these at which the checkpoint that plays was saved, in [0, 1]; None without one.
        curve: (K,) the run's `measure` at evenly spaced steps from 0 to `steps`; NaN where unknown.
        measure: what the curve shows, in words.
        unit: of `steps`.
        message: the last news in words; "" for none.
    """

    checkpoint: str = ""
    training: str = ""
    following: bool = True
    steps: int = 0
    played: float | None = None
    curve: Array | None = None
    measure: str = "mean return"
    unit: str = "steps"
    message: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class PerceptView:
    """One perception's percept of the first world's picture, and the ground truth.

    Boxes and points are in that picture's own pixels; masks and depths cover all of it, at any size.
    Of a board, which is what has a `fen`, the squares that are misread are marked, and no boxes.

    Attributes:
        name: of the perception, such as ``"pong-detector"``.
        percept: what it gives.
        truth: to compare with; None where it is unknown, and where `percept` is the truth.
        scores: live metrics against the truth, the most important first: ``("ball", 3.0, "px off")``.
        classes: names of the classes in a fixed order, which their colours follow; those of a mask by number.
        edges: pairs of names of keypoints that are joined.
        board: x0, y0, x1, y1 of a board's squares; None without one. The side at the bottom is the
            truth's ``facts["white_at_bottom"]``.
        pending: why there is no percept yet, in words, such as "looking …"; "" if there is one.
        age: how many frames older than the picture the percept and its truth are.
        wrong: start and end of the parts of the percept's caption whose facts are not true.
        corrected: the same of the true caption: what should have been said.
    """

    name: str
    percept: Percept
    truth: Percept | None = None
    scores: tuple[Readout, ...] = ()
    classes: tuple[str, ...] = ()
    edges: tuple[tuple[str, str], ...] = ()
    board: tuple[float, float, float, float] | None = None
    pending: str = ""
    age: int = 0
    wrong: tuple[tuple[int, int], ...] = ()
    corrected: tuple[tuple[int, int], ...] = ()


#: Completes the pending percepts among a moment's, given its first picture (H, W, 3) uint8. It may take long,
#: and is called from a thread of its own.
Perceive: TypeAlias = Callable[[Array, tuple[PerceptView, ...]], tuple[PerceptView, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class SamplePanelState:
    """State of the samples panel: generated samples shown beside a world.

    Attributes:
        name: of the sampler.
        pictures: (H, W, 3) uint8 each; none before the first are made.
        trouble: why there are none, or no newer ones, in words; "" without an error.
    """

    name: str
    pictures: tuple[Array, ...] = ()
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Moment:
    """State of a show after one step of N worlds: pictures, decision, rewards, percepts.

    Attributes:
        pictures: N pictures (H, W, 3) uint8.
        decision: of the policy on the pictures shown here; None without one.
        actions: (N,) or (N, D), the actions that led here; None after a start.
        person: whether a person chose the action of the first world.
        reward: (N,) of this step, unclipped.
        score: (N,) the running return of each episode in progress.
        length: (N,) steps of the show in each episode in progress.
        seen: percepts of the first picture; empty without any.
        perceive: completes the pending ones of these; None if there are none.
        episodes: those that ended with this step, in any world.
        options: the actions to choose from now, where they are too many or not always legal.
        readouts: of the first world.
        targets: of the first world, such as the speed that its agent is told; a person may move them.
        exploration: of the decision in the first world; None if unknown.
        selection: how its action was chosen, such as ``"sampled from the policy"``; "" if unknown.
        caption: a line over the picture that stays as long as the moment; "" for none.
        roles: who moves what in the first picture, for a while after a hand-over.
        labels: lines of text over parts of the first picture.
        asks: names of the keys that the first picture takes, such as ``"q"`` or ``"return"``.
        learning: the run that the agent comes from, if it is watched during training.
        attribution: computes saliency maps of the first world's decision; None if there are none.
        observation: (k, h, w) uint8, the frames that the first world's decision is made on, oldest first;
            None where it observes something else.
        names: of the worlds, where they are told apart by their agents; empty where they are numbered.
        page: the page of the pictures, if this is a gallery and no world.
        samples: samples beside the world.
        sound: that the picture shows, to be played on request; None without one.
        analysis: of a recorded game; None of one that is played now.
        board: of the first world, if it is a board game.
        robot: of the first world, if it is a robot; its places are those of its last picture.
    """

    pictures: tuple[Array, ...]
    reward: Array
    score: Array
    length: Array
    decision: Decision | None = None
    actions: Array | None = None
    person: bool = False
    seen: tuple[PerceptView, ...] = ()
    perceive: Perceive | None = None
    episodes: tuple[Episode, ...] = field(default_factory=tuple)
    options: Options | None = None
    readouts: tuple[Readout, ...] = ()
    targets: tuple[Slider, ...] = ()
    exploration: Exploration | None = None
    selection: str = ""
    caption: str = ""
    roles: tuple[Role, ...] = ()
    labels: tuple[PictureLabel, ...] = ()
    asks: tuple[str, ...] = ()
    learning: Learning | None = None
    attribution: Attribution | None = None
    observation: Array | None = None
    names: tuple[str, ...] = ()
    page: GalleryPage | None = None
    samples: SamplePanelState | None = None
    sound: Sound | None = None
    analysis: GameAnalysis | None = None
    board: BoardState | None = None
    robot: RobotState | None = None


def measured(decision: Decision | None) -> tuple[str, Array | None]:
    """Name of the measure (probability, Q-value or visits), and (A,) values of the first world's actions."""
    if decision is None:
        return "", None
    if decision.probabilities is not None:
        return "probability", decision.probabilities[0]
    if decision.q_values is not None:
        return "Q-value", decision.q_values[0]
    if decision.visits is not None:
        return "visits", decision.visits[0] / max(1, decision.visits[0].sum())
    return "", None

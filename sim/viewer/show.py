"""Interface between the viewer and what it shows: a `Show` is stepped, and every step gives a `Moment`.

The viewer knows nothing else of worlds, agents or models; `scenes.stage` makes shows from scenes.
A world with a renderer and controls of its own (a board, a camera) brings an `Easel`, to which a show may
pass the pointer and the window's size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

from sim.records import Array, Decision, Episode, Percept
from sim.viewer.gallery.sheet import Sheet


class Choice(NamedTuple):
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
    shown: tuple[Choice, ...]
    rest: int


class Readout(NamedTuple):
    """One read-out of the world: label, value and unit, such as ``("speed", 1.52, "m/s")``."""

    label: str
    value: float | str
    unit: str = ""


class Exploration(NamedTuple):
    """Exploration measure, its value, maximum and unit, such as ``("policy entropy", 0.5, 1.8, "nats")``."""

    name: str
    value: float
    most: float
    unit: str = ""


#: Computes saliency maps (2, h, w) float: how much each place of the observation moved the action, and the
#: value. It may take long, and is called from a thread of its own.
Attribution: TypeAlias = Callable[[], Array]


@dataclass(frozen=True, slots=True, eq=False)
class Learning:
    """The training run whose checkpoints a show plays, as it stands at a moment.

    Attributes:
        checkpoint: label of the one that plays; "" before there is one.
        training: its budget in words, "2.4 M steps".
        following: whether newer checkpoints are loaded as they are saved.
        env_steps: of the run so far.
        played: share of these at which the checkpoint that plays was saved, in [0, 1]; None without one.
        curve: (K,) the run's mean return at evenly spaced steps from 0 to `env_steps`; NaN where unknown.
        message: the last news in words; "" for none.
    """

    checkpoint: str = ""
    training: str = ""
    following: bool = True
    env_steps: int = 0
    played: float | None = None
    curve: Array | None = None
    message: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
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
    """

    name: str
    percept: Percept
    truth: Percept | None = None
    scores: tuple[Readout, ...] = ()
    classes: tuple[str, ...] = ()
    edges: tuple[tuple[str, str], ...] = ()
    board: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Hung:
    """Generated samples shown beside a world.

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
        length: (N,) steps of each episode in progress.
        seen: percepts of the first picture; empty without any.
        episodes: those that ended with this step, in any world.
        options: the actions to choose from now, where they are too many or not always legal.
        readouts: of the first world.
        exploration: of the decision in the first world; None if unknown.
        caption: a line over the picture that stays as long as the moment; "" for none.
        asks: names of the keys that the first picture takes, such as ``"q"`` or ``"return"``.
        learning: the run that the agent comes from, if it is watched during training.
        attribution: computes saliency maps of the first world's decision; None if there are none.
        sheet: the page of the pictures, if this is a gallery and no world.
        hung: samples beside the world.
    """

    pictures: tuple[Array, ...]
    reward: Array
    score: Array
    length: Array
    decision: Decision | None = None
    actions: Array | None = None
    person: bool = False
    seen: tuple[Seen, ...] = ()
    episodes: tuple[Episode, ...] = field(default_factory=tuple)
    options: Options | None = None
    readouts: tuple[Readout, ...] = ()
    exploration: Exploration | None = None
    caption: str = ""
    asks: tuple[str, ...] = ()
    learning: Learning | None = None
    attribution: Attribution | None = None
    sheet: Sheet | None = None
    hung: Hung | None = None


class Show(Protocol):
    """A simulation that can be watched. Called from one thread only, which need not be the window's."""

    title: str  # "Pong"
    agent: str  # "PPO", "random", …; "" without one
    training: str  # the agent's training budget in words, "4.0 M steps"; "" if untrained
    protocol: str  # the rules in a few words, "sticky 0.25 · skip 4"
    action_names: tuple[str, ...]  # () for continuous actions, and where `Moment.options` names them
    action_labels: tuple[str, ...]  # what each number of a continuous action drives; () if unknown
    action_limit: float  # how far from 0 a number of a continuous action can be
    num_worlds: int
    steps_per_second: float  # the world's natural rate

    def start(self, seed: int | None) -> Moment:
        """Start again: with a seed from that seed, without one with the next episode."""

    def step(self, person: int | None, *, drawn: bool = True) -> Moment:
        """Step all worlds once; `person`, where given, is the first world's action.

        Unless `drawn`, the moment will not be shown: the pictures of the one before may be given again.
        """

    def close(self) -> None:
        """Release the worlds."""


class Offer(Enum):
    """Optional abilities of a show: input that it takes beside actions, output beside pictures."""

    POINT = "point"  # played by the pointer on the picture, and by keys that the picture takes
    FLIP = "flip"  # flip the board
    SAVE = "save"  # save a record of the game
    ORBIT = "orbit"  # orbit and zoom the camera
    FOLLOW = "follow"  # the camera follows, or stands still
    SALIENCY = "saliency"  # saliency maps: moments have an `attribution`
    PERCEPTS = "percepts"  # percepts: moments have something `seen`
    ORIGIN = "origin"  # percepts of the truth, a model, or the truth with noise, in turn
    GALLERY = "gallery"  # choose among samples: moments have a `sheet`, and no world
    LATENTS = "latents"  # move samples through a latent space
    FILL = "fill"  # inpainting: paint over a part of a picture
    TRACE = "trace"  # watch the denoising steps
    WISHES = "wishes"  # conditional samples


@dataclass(frozen=True, slots=True)
class Gesture:
    """User input on the first world's picture, or on the window around it.

    | kind | x, y | means |
    |---|---|---|
    | press, move, release | pixels of the picture | the pointer |
    | orbit | right and down, in heights of the picture | a drag |
    | zoom | factor, – | above 1: nearer |
    | key | – | `name` is one of the moment's `asks`; `on`: with Shift |
    | resize | width, height in pixels | the room that the picture has |
    | person | – | `on`: a person plays now, or no longer |
    | grid | – | `on`: all worlds are shown now, or only the first |
    | flip, follow, origin, save | – | see `Offer`; `origin` goes on to the next one |
    | news | – | the show's background work has a result: see `Working` |

    In a gallery:

    | kind | x, y | means |
    |---|---|---|
    | key | pictures in a row | as above |
    | pick, aim | number of a picture | choose it; point at it while dragging, −1 at none |
    | join | two numbers | interpolate from one picture to the other |
    | slide | number of a slider, its value | – |
    | paint | pixels of the picture | with `on`: from the last place on |
    | fill | – | inpaint the painted mask |
    | wish | number of a condition | – |
    | leave | – | back to the previous page |
    """

    kind: Literal[
        "press",
        "move",
        "release",
        "orbit",
        "zoom",
        "key",
        "resize",
        "person",
        "grid",
        "flip",
        "follow",
        "origin",
        "save",
        "news",
        "pick",
        "aim",
        "join",
        "slide",
        "paint",
        "fill",
        "wish",
        "leave",
    ]
    x: float = 0.0
    y: float = 0.0
    name: str = ""
    on: bool = False

    def merged(self, later: Gesture) -> Gesture | None:
        """One gesture with the effect of this and the `later` one, or None if there is none."""
        if self.kind != later.kind:
            return None
        if self.kind in ("move", "resize", "news", "aim") or (self.kind == "slide" and self.x == later.x):
            return later
        if self.kind == "orbit":
            return Gesture("orbit", self.x + later.x, self.y + later.y)
        return Gesture("zoom", self.x * later.x) if self.kind == "zoom" else None


@dataclass(frozen=True, slots=True)
class Answer:
    """Response of a show to a gesture.

    Attributes:
        redraw: whether the pictures have changed.
        go: whether to step now, with `action` if there is one.
        action: the first world's.
        message: a line shown for a while.
        document: the ending and the text of a file to write, ``(".pgn", "…")``.
    """

    redraw: bool = False
    go: bool = False
    action: int | None = None
    message: str = ""
    document: tuple[str, str] | None = None


@runtime_checkable
class Interactive(Protocol):
    """A `Show` that takes gestures; called from the same thread."""

    offers: frozenset[Offer]

    @property
    def waits(self) -> bool:
        """Whether no step makes sense before a gesture's answer says so."""

    def touch(self, gesture: Gesture) -> Answer:
        """Handle a gesture; those that do not apply change nothing."""

    def look(self) -> Moment:
        """The newest moment, drawn again."""


@runtime_checkable
class Working(Protocol):
    """An `Interactive` show with background work in a thread of its own."""

    def listen(self, tell: Callable[[], None]) -> None:
        """Call `tell` whenever the work has a result: a gesture ``"news"`` will follow."""


def interactive(show: object) -> Interactive | None:
    """The show if it is `Interactive`, else None."""
    return show if isinstance(show, Interactive) else None


class Easel(Protocol):
    """Interactive renderer of one world: draws it and takes gestures; made by a world's ``easel()``.

    Attributes:
        offers: its abilities.
        turns: whether the world waits for whoever is to move.
    """

    offers: frozenset[Offer]
    turns: bool

    @property
    def asks(self) -> tuple[str, ...]:
        """See `Moment`."""

    @property
    def caption(self) -> str:
        """See `Moment`."""

    @property
    def readouts(self) -> tuple[Readout, ...]:
        """See `Moment`."""

    def note(self) -> None:
        """Copy the world's present state; an ended episode is drawn until the next call."""

    def draw(self) -> Array:
        """(H, W, 3) uint8."""

    def touch(self, gesture: Gesture) -> Answer:
        """See `Interactive`."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A show's label, and the function that makes it when it is chosen."""

    label: str
    make: Callable[[], Show]


@dataclass(frozen=True, slots=True)
class Programme:
    """Playlist of the viewer: other scenes, and the present one's checkpoints.

    Attributes:
        scenes: in the order of Tab.
        scene: index of the present one.
        checkpoints: of the first scene shown, oldest first; called anew whenever they are used, so that a
            run in progress can be followed.
        checkpoint: label of the one shown first.
        follows: whether these are of a run in progress, and the newest is followed.
    """

    scenes: Sequence[Listing] = ()
    scene: int = 0
    checkpoints: Callable[[], Sequence[Listing]] = tuple
    checkpoint: str = ""
    follows: bool = False


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

"""What the window shows: a `Show` is stepped, and every step gives a `Moment`.

The viewer knows nothing else of worlds, agents or models; `scenes.stage` makes shows from scenes.
A world that people look at or play in a way of its own (a board, a camera) brings an `Easel`, which
a show may hand the pointer and the window's size to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

from sim.records import Array, Decision, Episode, Percept
from sim.viewer.gallery.sheet import Sheet


class Choice(NamedTuple):
    """One action among many: its name, what the agent thinks of it, and whether it was chosen."""

    name: str
    value: float | None
    chosen: bool


class Options(NamedTuple):
    """The most telling actions of a world that has more than a panel can list, best first.

    Attributes:
        measure: what the values are: ``"probability"``, ``"Q-value"``, ``"visits"`` or "".
        shown: the best ones.
        rest: how many more could be chosen.
    """

    measure: str
    shown: tuple[Choice, ...]
    rest: int


class Readout(NamedTuple):
    """One line about the world: ``("speed", 1.52, "m/s")``."""

    label: str
    value: float | str
    unit: str = ""


class Exploration(NamedTuple):
    """How far from its best guess the agent strays: ``("entropy", 0.52, 1.79, "nats")``."""

    name: str
    value: float
    most: float
    unit: str = ""


#: Makes (2, h, w) float: how much each place of what the agent saw moved its action, and its value. It may
#: take long, and is called from a thread of its own.
Attribution: TypeAlias = Callable[[], Array]


@dataclass(frozen=True, slots=True, eq=False)
class Learning:
    """The training run whose checkpoints a show plays, as it stands at a moment.

    Attributes:
        checkpoint: label of the one that plays; "" before there is one.
        training: its budget in words, "2.4 M steps".
        following: whether a newer one is taken up as it lands.
        env_steps: how far the run is.
        played: where between 0 and there the one that plays was saved, in [0, 1]; None before there is one.
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
    """What one perception says about the first picture, and what is true.

    Boxes and points are in that picture's own pixels; masks and depths cover all of it, at any size.
    Of a board, which is what has a `fen`, the squares that are misread are marked, and no boxes.

    Attributes:
        name: of the perception, such as ``"pong-detector"``.
        percept: what it says.
        truth: to set it beside; None where nobody knows it, and where `percept` is the truth.
        scores: live figures against the truth, the most telling first: ``("ball", 3.0, "px off")``.
        classes: names of the classes in a fixed order, which their colours follow; those of a mask by number.
        edges: pairs of names of keypoints that are joined.
        board: x0, y0, x1, y1 of a board's squares; None without one. Who sits at the bottom is the
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
    """Samples that hang beside a world.

    Attributes:
        name: of what makes them.
        pictures: (H, W, 3) uint8 each; none before the first are made.
        trouble: why there are none, or no newer ones, in words; "" if all is well.
    """

    name: str
    pictures: tuple[Array, ...] = ()
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Moment:
    """What there is to see after one step of N worlds.

    Attributes:
        pictures: N pictures (H, W, 3) uint8.
        decision: what was decided on the pictures shown here, or None if nobody decides.
        actions: (N,) or (N, D), the actions that led here; None after a start.
        person: whether a person chose the action of the first world.
        reward: (N,) of this step, unclipped.
        score: (N,) the running return of each episode in progress.
        length: (N,) steps of each episode in progress.
        seen: what perceptions say about the first picture; empty without any.
        episodes: those that ended with this step, in any world.
        options: what could be chosen now, where the actions are too many or not always legal.
        readouts: figures about the first world.
        exploration: of the decision in the first world; None if nothing is known of it.
        caption: a line over the picture that stays as long as the moment; "" for none.
        asks: names of keys that answer what the first picture asks, such as ``"q"`` or ``"return"``.
        learning: the run that the agent comes from, if it is watched while it learns.
        attribution: what moved the first world's decision, place by place; None if nobody can tell.
        sheet: that the pictures lie on, if this is a gallery and no world.
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
    """Something to watch. Called from one thread only, which need not be the window's."""

    title: str  # "Pong"
    agent: str  # "PPO", "random", …; "" if nobody acts
    training: str  # the agent's training budget in words, "4.0 M steps"; "" if untrained
    protocol: str  # the rules in a few words, "sticky 0.25 · skip 4"
    action_names: tuple[str, ...]  # () for continuous actions, and where `Moment.options` names them
    action_labels: tuple[str, ...]  # what each number of a continuous action drives; () if unknown
    action_limit: float  # how far from 0 a number of a continuous action can be
    num_worlds: int
    steps_per_second: float  # the world's natural rate

    def start(self, seed: int | None) -> Moment:
        """Begin anew: with a seed from that seed, without one with the next episode."""

    def step(self, person: int | None, *, drawn: bool = True) -> Moment:
        """Step all worlds once; `person`, where given, is the first world's action.

        Unless `drawn`, nobody will look: the pictures of the moment before may be given again.
        """

    def close(self) -> None:
        """Release the worlds."""


class Offer(Enum):
    """What a show takes from a person beside actions, or tells beside pictures."""

    POINT = "point"  # the pointer on the picture, and keys that it asks for: a person plays by it
    FLIP = "flip"  # turn the picture round
    SAVE = "save"  # write down what has happened
    ORBIT = "orbit"  # go around, and nearer
    FOLLOW = "follow"  # keep to what moves, or stand still
    SALIENCY = "saliency"  # tell what moved a decision: moments have an `attribution`
    PERCEPTS = "percepts"  # tell what is in the picture: moments have something `seen`
    ORIGIN = "origin"  # see the truth, what a model says, or the truth with noise, in turn
    GALLERY = "gallery"  # choose among pictures: moments have a `sheet`, and no world
    LATENTS = "latents"  # move pictures through a latent space
    FILL = "fill"  # paint over a part of a picture, to have it filled in
    TRACE = "trace"  # watch pictures come out of noise
    WISHES = "wishes"  # ask for pictures of one kind


@dataclass(frozen=True, slots=True)
class Gesture:
    """Something that a person did to the first world's picture, or to the window around it.

    | kind | x, y | means |
    |---|---|---|
    | press, move, release | pixels of the picture | the pointer |
    | orbit | right and down, in heights of the picture | a drag |
    | zoom | factor, – | above 1: nearer |
    | key | – | `name` is one of those that the moment asks for; `on`: with Shift |
    | resize | width, height in pixels | the room that the picture has |
    | person | – | `on`: a person plays now, or no longer |
    | grid | – | `on`: all worlds are looked at now, or only the first |
    | flip, follow, origin, save | – | see `Offer`; `origin` goes on to the next one |
    | news | – | something that the show does beside its steps has come to something: see `Working` |

    What a person does in a gallery:

    | kind | x, y | means |
    |---|---|---|
    | key | pictures in a row | as above |
    | pick, aim | number of a picture | choose it; point at it while dragging, −1 at none |
    | join | two numbers | go from one picture to the other |
    | slide | number of a slider, its value | – |
    | paint | pixels of the picture | with `on`: from the last place on |
    | fill | – | fill in what is painted over |
    | wish | number of a wish | – |
    | leave | – | back to the sheet before |
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
        """One gesture that does as much as this and the `later` one, if there is one."""
        if self.kind != later.kind:
            return None
        if self.kind in ("move", "resize", "news", "aim") or (self.kind == "slide" and self.x == later.x):
            return later
        if self.kind == "orbit":
            return Gesture("orbit", self.x + later.x, self.y + later.y)
        return Gesture("zoom", self.x * later.x) if self.kind == "zoom" else None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a gesture.

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
    """What a `Show` has as well if it takes gestures; called from the same thread."""

    offers: frozenset[Offer]

    @property
    def waits(self) -> bool:
        """Whether no step makes sense before a gesture's answer says so."""

    def touch(self, gesture: Gesture) -> Answer:
        """Take a gesture; those that mean nothing here change nothing."""

    def look(self) -> Moment:
        """The newest moment, drawn again."""


@runtime_checkable
class Working(Protocol):
    """What an `Interactive` show has as well if it works beside its steps, in a thread of its own."""

    def listen(self, tell: Callable[[], None]) -> None:
        """Call `tell` whenever the work has come to something: a gesture ``"news"`` will follow."""


def interactive(show: object) -> Interactive | None:
    """The show, if it takes gestures."""
    return show if isinstance(show, Interactive) else None


class Easel(Protocol):
    """Draws one world for people and takes their gestures; `scenes.stage` asks a world's ``easel()`` for it.

    Attributes:
        offers: what it takes.
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
        """Take note of where the world is now; an ended episode is drawn until the next note."""

    def draw(self) -> Array:
        """(H, W, 3) uint8."""

    def touch(self, gesture: Gesture) -> Answer:
        """See `Interactive`."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A show that can be made when it is wanted."""

    label: str
    make: Callable[[], Show]


@dataclass(frozen=True, slots=True)
class Programme:
    """What else there is to watch: other scenes, and the present one's checkpoints.

    Attributes:
        scenes: in the order of Tab.
        scene: index of the present one.
        checkpoints: of the first scene shown, oldest first; asked for whenever it matters, so that a
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
    """What the agent thinks of the first world's actions: the measure's name, and (A,) values."""
    if decision is None:
        return "", None
    if decision.probabilities is not None:
        return "probability", decision.probabilities[0]
    if decision.q_values is not None:
        return "Q-value", decision.q_values[0]
    if decision.visits is not None:
        return "visits", decision.visits[0] / max(1, decision.visits[0].sum())
    return "", None

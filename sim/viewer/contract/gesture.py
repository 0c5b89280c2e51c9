"""Gestures: mouse and keyboard input on a world's picture, and a show's response."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, Protocol, runtime_checkable

from sim.records import Array, Decision
from sim.viewer.contract.board import BoardState
from sim.viewer.contract.gallery_page import Slider
from sim.viewer.contract.moment import Moment, PictureLabel, Readout
from sim.viewer.contract.robot import RobotState


class Ability(Enum):
    """Optional abilities of a show: input that it takes beside actions, output beside pictures."""

    POINT = "point"  # played by the pointer on the picture, and by keys that the picture takes
    FLIP = "flip"  # flip the board
    SAVE = "save"  # save a record of the game
    EPISODE = "episode"  # save an episode as an action replay
    REPLAY = "replay"  # plays an action replay: nobody acts
    PAIR = "pair"  # two agents side by side: moments have `names`
    BOARD = "board"  # a board game: moments have a `board`
    TABLE = "table"  # a game with two seats: take back, new game, copy and paste
    ORBIT = "orbit"  # orbit and zoom the camera
    FOLLOW = "follow"  # the camera follows, or stands still
    ROBOT = "robot"  # moments have a `robot`, which can be pushed
    TARGETS = "targets"  # sliders of what the agent is to do: moments have `targets`
    DREAM = "dream"  # a world model dreams the world: its `targets` are the dream's
    TWIN = "twin"  # and a simulator plays the same beside it
    SALIENCY = "saliency"  # saliency maps: moments have an `attribution`
    PERCEPTS = "percepts"  # percepts: moments have something `seen`
    DENSE = "dense"  # percepts with a value for every pixel: masks and depth maps
    FEN = "fen"  # percepts with a FEN, which can be copied
    ORIGIN = "origin"  # percepts of the truth, a model, or the truth with noise, in turn
    SOUND = "sound"  # moments have a `sound`
    TYPE = "type"  # take a line that a person types as an input
    EXAMPLES = "examples"  # each step is another example: there are no actions, returns and episodes
    ANALYSIS = "analysis"  # a recorded game with opinions of its moves: moments have an `analysis`
    GALLERY = "gallery"  # choose among samples: moments have a `page`, and no world
    LATENTS = "latents"  # move samples through a latent space
    FILL = "fill"  # inpainting: paint over a part of a picture
    TRACE = "trace"  # watch the denoising steps
    CONDITIONS = "conditions"  # conditional samples


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
    | tile | width, height in pixels | the room that each picture of a grid has |
    | person | – | `on`: a person plays now, or no longer |
    | grid | – | `on`: all worlds are shown now, side by side, or only the first |
    | flip, follow, origin | – | see `Ability`; `origin` goes on to the next one |
    | save | number of the moment shown | save a record of its game, or its episode |
    | camera | – | `name` is ``"reset"``, or "" for the next viewpoint |
    | push | shares of the picture's width, height | pull the robot there; `on`: first take hold of it there |
    | let_go | – | end the push |
    | shove | right and down | a short push in that direction of the picture |
    | coarse | a whole number, – | pictures may have 1/x of the sides of their room |
    | seek | a position's number, – | of a recorded game |
    | type | – | `name` is a line that a person typed, or a text that was pasted |
    | take_back, copy | – | undo the last moves; `name` is ``"fen"`` or ``"pgn"`` |
    | new_game | – | `name` is colour, opponent and clock of `board.GameOffer`, with ``"|"`` between |
    | hold | – | `on`: the game is paused, or no longer: its clocks stand |
    | slide | number of a target, its value | – |
    | nudge | number of a target, share of its range | change it by so much |
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
    | condition | number of a condition | – |
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
        "tile",
        "person",
        "grid",
        "flip",
        "follow",
        "camera",
        "push",
        "let_go",
        "shove",
        "coarse",
        "origin",
        "save",
        "type",
        "seek",
        "take_back",
        "copy",
        "new_game",
        "hold",
        "news",
        "pick",
        "aim",
        "join",
        "slide",
        "nudge",
        "paint",
        "fill",
        "condition",
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
        if (
            self.kind in ("move", "resize", "tile", "seek", "news", "aim", "coarse")
            or (self.kind == "slide" and self.x == later.x)
            or (self.kind == "push" and not self.on and not later.on)
        ):
            return later
        if self.kind == "orbit":
            return Gesture("orbit", self.x + later.x, self.y + later.y)
        return Gesture("zoom", self.x * later.x) if self.kind == "zoom" else None


#: Kinds of gestures that would change what is shown.
TOUCHING = frozenset(
    {
        "press",
        "key",
        "orbit",
        "zoom",
        "flip",
        "follow",
        "camera",
        "push",
        "shove",
        "origin",
        "pick",
        "slide",
        "nudge",
        "paint",
        "condition",
        "take_back",
        "new_game",
        "type",
    }
)


@dataclass(frozen=True, slots=True)
class Answer:
    """Response of a show to a gesture.

    Attributes:
        redraw: whether the pictures have changed.
        go: whether to step now, with `action` if there is one.
        action: the first world's.
        message: a line shown for a while.
        document: the ending and the text of a file to write, ``(".pgn", "…")``.
        copied: the same, for the clipboard where there is one.
    """

    redraw: bool = False
    go: bool = False
    action: int | None = None
    message: str = ""
    document: tuple[str, str] | None = None
    copied: tuple[str, str] | None = None


@runtime_checkable
class Interactive(Protocol):
    """A `Show` that takes gestures; called from the same thread."""

    abilities: frozenset[Ability]

    @property
    def waits(self) -> bool:
        """Whether no step makes sense before a gesture's answer says so."""

    def touch(self, gesture: Gesture) -> Answer:
        """Handle a gesture; those that do not apply change nothing."""

    def look(self) -> Moment:
        """The newest moment, drawn again."""


@runtime_checkable
class DrawsBoardGame(Protocol):
    """An `InteractiveRenderer` of a board game."""

    def state(
        self, decision: Decision | None, moment: int, *, agent: str = "", outcome_values: bool = True
    ) -> BoardState:
        """The game as it was noted.

        Args:
            decision: on this position; None without one.
            moment: number of the moment that will show it.
            agent: name of the player that the world calls "agent".
            outcome_values: whether the decision's value is an expected result, not another reward.
        """


@runtime_checkable
class DrawsRobot(Protocol):
    """An `InteractiveRenderer` of a robot."""

    @property
    def pushed(self) -> bool:
        """Whether a person has pushed it in the episode in progress, as it was noted."""

    def robot(self, drawn: RobotState | None) -> RobotState:
        """The robot as it was noted; with `drawn` only its feet, and all places are those of `drawn`."""


@runtime_checkable
class HasTargets(Protocol):
    """An `InteractiveRenderer` whose world tells the agent what to do, which a person may change."""

    @property
    def targets(self) -> tuple[Slider, ...]:
        """See `Moment`."""


@runtime_checkable
class LabelsPicture(Protocol):
    """An `InteractiveRenderer` whose picture has several parts, each with a line of text."""

    @property
    def labels(self) -> tuple[PictureLabel, ...]:
        """See `Moment`."""


@runtime_checkable
class DrawsTogether(Protocol):
    """An `InteractiveRenderer` that can share what it draws with, such as an OpenGL context."""

    def draw_with(self, lender: Any) -> None:
        """Draw small pictures, with what `lender`, a renderer of the same kind, draws with."""


@runtime_checkable
class Hurrying(Protocol):
    """An `Interactive` show that sometimes steps without waiting, such as through a game that was pasted."""

    @property
    def hurries(self) -> bool:
        """Whether the next step is due at once."""


def interactive(show: object) -> Interactive | None:
    """The show if it is `Interactive`, else None."""
    return show if isinstance(show, Interactive) else None


class InteractiveRenderer(Protocol):
    """Interactive renderer of one world: draws it and takes gestures.

    A world makes it by its method ``interactive_renderer()``.

    Attributes:
        abilities: its abilities.
        turns: whether the world waits for whoever is to move.
    """

    abilities: frozenset[Ability]
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

"""Inputs of drawing the window: facts of the show, choices of the user, and a view of the history.

All three are frozen, and drawing reads nothing else: equal values give equal pictures.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import numpy as np

from sim.records import Array, Episode
from sim.viewer.contract.board import BoardState, GameOffer
from sim.viewer.contract.gesture import Interactive
from sim.viewer.contract.moment import Moment
from sim.viewer.contract.show import Poster, Show, frames_per_step
from sim.viewer.keymap import GameKeys
from sim.viewer.playback.attribution import OPACITIES, SALIENT, Attributed, Salient
from sim.viewer.playback.text_box import TextBox

#: What can be drawn over the world: also the `gesture.Ability` that it takes.
Overlay: TypeAlias = Literal["saliency", "percepts", "robot", "dense", "fen"]

#: What stands on the left of a split view, whose right is the map of a percept.
Split: TypeAlias = Literal["off", "picture", "truth"]
SPLITS: tuple[Split, ...] = ("off", "picture", "truth")

#: Nobody acts in a show with one of these.
_UNPLAYED = frozenset({"gallery", "examples", "analysis", "replay", "pair"})

#: Messages where there is none.
WITHOUT: dict[Overlay, str] = {
    "saliency": "no saliency map: it takes an agent with image observations",
    "percepts": "no percepts: the scene has no perception",
    "robot": "no contacts and torques: there is no robot",
    "dense": "no split view: nothing predicts a mask or a depth map",
    "fen": "nothing to copy: no perception reads a board",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """Constants of a show: titles, names, rates and abilities.

    Attributes:
        abilities: values of the `gesture.Ability`s there are; "scenes", "checkpoints", "worlds" where there
            are several; "play" where a person can; "events" where there are rewards over time. A line of the
            help that needs one is shown only then.
        place: position of the show among several, such as "checkpoint 3 of 12"; "" for none.
        loading: whether the show is still being made, and only its title is known.
        others as in `show.Show`.
    """

    title: str
    agent: str
    training: str
    protocol: str
    action_names: tuple[str, ...]
    num_worlds: int
    steps_per_second: float
    action_labels: tuple[str, ...] = ()
    action_limit: float = 1.0
    frames_per_step: int = 1
    abilities: frozenset[str] = frozenset()
    place: str = ""
    loading: bool = False

    @property
    def played(self) -> bool:
        """Whether somebody acts, an agent or a person: not in a gallery, an analysis or among examples."""
        return not self.abilities & _UNPLAYED

    @classmethod
    def to_come(cls, title: str, abilities: frozenset[str] = frozenset(), place: str = "") -> Facts:
        """Facts of a show that is still loading."""
        return cls(title, "", "", "", (), 1, 1.0, abilities=abilities, place=place, loading=True)

    @classmethod
    def of(cls, show: Show, abilities: frozenset[str] = frozenset(), place: str = "") -> Facts:
        """Facts of a show; `abilities` are those that do not come from itself."""
        if isinstance(show, Interactive):
            abilities |= {ability.value for ability in show.abilities}
        if show.num_worlds > 1:
            abilities |= {"worlds"}
        by_hand = "point" in abilities or GameKeys(show.action_names).playable
        if by_hand and not abilities & _UNPLAYED:
            abilities |= {"play"}
        if not abilities & (_UNPLAYED - {"replay", "pair"} | {"board"}):
            abilities |= {"events"}
        return cls(
            title=show.title,
            agent=show.agent,
            training=show.training,
            protocol=show.protocol,
            action_names=tuple(show.action_names),
            num_worlds=show.num_worlds,
            steps_per_second=float(show.steps_per_second),
            action_labels=tuple(show.action_labels),
            action_limit=show.action_limit,
            frames_per_step=frames_per_step(show),
            abilities=abilities,
            place=place,
        )


@dataclass(frozen=True, slots=True)
class NewGame:
    """The dialog "New game" while it is open.

    Attributes:
        rows: name and choices of each row: colour, opponent, clock.
        picks: index of each row's choice.
        row: index of the row that the arrow keys change.
    """

    rows: tuple[tuple[str, tuple[str, ...]], ...]
    picks: tuple[int, ...]
    row: int = 0

    @classmethod
    def of(cls, offer: GameOffer) -> NewGame:
        """The dialog as it opens, with the present game's choices."""
        colours = ("white", "black", "random")
        rows = ((offer.side, colours), ("Opponent", offer.opponents), ("Clock", offer.clocks))
        return cls(rows, (colours.index(offer.colour), offer.opponent, offer.clock))

    def moved(self, by: int) -> NewGame:
        """With another row."""
        return replace(self, row=(self.row + by) % len(self.rows))

    def stepped(self, by: int) -> NewGame:
        """With the next choice of the present row."""
        count = len(self.rows[self.row][1])
        return self.picked(self.row, (self.picks[self.row] + by) % count)

    def picked(self, row: int, index: int) -> NewGame:
        """With a choice."""
        picks = tuple(index if i == row else pick for i, pick in enumerate(self.picks))
        return replace(self, picks=picks, row=row)

    @property
    def asked(self) -> str:
        """The choices as `Gesture` ``"new_game"`` takes them."""
        return "|".join(names[pick] for (_, names), pick in zip(self.rows, self.picks, strict=True))


@dataclass(frozen=True, slots=True)
class SceneSearch:
    """The list "Find a scene" while it is open.

    Attributes:
        scenes: title of each, and a line about it.
        query: what a person has typed.
        row: index of the chosen one among those found.
        posters: a picture for each scene, where there is one; empty for none at all.
    """

    scenes: tuple[tuple[str, str], ...]
    query: str = ""
    row: int = 0
    posters: tuple[Poster | None, ...] = ()

    @property
    def found(self) -> tuple[int, ...]:
        """Numbers of the scenes that have all words of the query, those in whose titles they stand first.

        >>> SceneSearch((("Pong", "PPO"), ("Walker2d", "PPO"), ("PPO", "")), "ppo").found
        (2, 0, 1)
        """
        words = self.query.lower().split()
        both = [f"{title} {about}".lower() for title, about in self.scenes]
        some = [i for i, text in enumerate(both) if all(word in text for word in words)]
        return tuple(sorted(some, key=lambda i: not all(w in self.scenes[i][0].lower() for w in words)))

    def typed(self, query: str) -> SceneSearch:
        """With another query."""
        return replace(self, query=query, row=0)

    def moved(self, by: int) -> SceneSearch:
        """With another scene chosen."""
        return replace(self, row=(self.row + by) % max(1, len(self.found)))


@dataclass(frozen=True, slots=True)
class Choices:
    """Settings that the user has chosen: pause, speed, grid, overlays, folded panels.

    Attributes:
        speed: times the show's natural rate.
        grid: all worlds side by side instead of the first one.
        person: whether the person plays the first world.
        saliency: which saliency maps are drawn over the world.
        saliency_opacity: of their strongest place, in [0, 1].
        percepts: whether percepts are drawn over the world.
        split: what stands beside the map of a percept.
        divider: place of the line between the two, a share of the picture's width in [0, 1].
        robot: whether contacts, forces and torques of a robot are drawn.
        analysis: whether evaluation, arrows and line of a board game are drawn.
        folded: numbers 1…9 of the panels that show only their title.
        message: one line shown for a while; "" for none.
        menu: the dialog "New game"; None while it is closed.
        search: the list "Find a scene"; None while it is closed.
        box: the text box; None while nothing is typed.
        zoom: steps of Ctrl + by which all is larger than the window asks for.
        presents: whether the picture has the window's full height, beside two panels.
        pointed: name of the button under the mouse; "" for none.
        hover: number of the chart's panel under the mouse, and how far from its left it is, in pixels; None
            for none.
        loop: first and last moment of the segment that is played again and again; None without one. While
            only its first is chosen, both are that one.
    """

    paused: bool = False
    speed: float = 1.0
    grid: bool = False
    person: bool = False
    saliency: Salient = "off"
    saliency_opacity: float = OPACITIES[0]
    percepts: bool = True
    split: Split = "off"
    divider: float = 0.5
    robot: bool = True
    analysis: bool = True
    folded: frozenset[int] = frozenset()
    help: bool = False
    recording: bool = False
    message: str = ""
    menu: NewGame | None = None
    search: SceneSearch | None = None
    box: TextBox | None = None
    zoom: int = 0
    presents: bool = False
    pointed: str = ""
    hover: tuple[int, int] | None = None
    loop: tuple[int, int] | None = None

    def pointed_at(self, number: int) -> int | None:
        """Where the mouse is in a panel, in pixels from its left; None if it is elsewhere."""
        return self.hover[1] if self.hover is not None and self.hover[0] == number else None

    def with_next_saliency(self) -> Choices:
        """The choices with both maps, then that of the action, that of the value, and none."""
        return replace(self, saliency=SALIENT[(SALIENT.index(self.saliency) + 1) % len(SALIENT)])

    def with_next_split(self) -> Choices:
        """The choices with the picture beside the map of a percept, then the truth, then no split view."""
        split = SPLITS[(SPLITS.index(self.split) + 1) % len(SPLITS)]
        return replace(self, split=split, percepts=self.percepts or split != "off")

    def with_divider(self, share: float) -> Choices:
        """The choices with the divider at a share of the picture's width; it stays in sight."""
        return replace(self, divider=min(max(share, 0.02), 0.98))

    def with_next_opacity(self) -> Choices:
        """The choices with saliency maps of another strength."""
        index = OPACITIES.index(self.saliency_opacity)
        return replace(self, saliency_opacity=OPACITIES[(index + 1) % len(OPACITIES)])

    def fitting(self, facts: Facts, *, playable: bool) -> Choices:
        """The choices that are possible in a show with these facts."""
        grid = self.grid and facts.num_worlds > 1
        return replace(self, person=self.person and playable, grid=grid, loop=None, hover=None)


@dataclass(frozen=True, slots=True)
class View:
    """One remembered moment and the history that led to it.

    Moments are numbered from 0, the first start.

    Attributes:
        moment: what to show; None before the first start.
        number: of `moment`; −1 before the first start.
        oldest: the first remembered number.
        newest: the last number there is.
        capacity: how many moments are remembered at most.
        value: (K,) the first world's value over the last ten seconds, oldest first; NaN where none.
        score: (K,) the first world's running return since its episode began.
        reward: (K,) the first world's rewards from `oldest` to `newest`.
        rival_value: as `value`, of the second of two agents side by side; NaN where there is none.
        rival_score: as `score`, likewise.
        feet: (K,) `RobotState.pattern` of the first world over the last four seconds; NaN where none.
        episodes: the last episodes that had ended by `number`, newest last.
        episodes_ended: how many had ended by `number`.
        episodes_scored: how many of these count: without those in which a person pushed a robot.
        mean_score: the mean score of those; NaN if none.
        perceives: whether any moment so far had percepts.
        lines: the most lines of percepts and read-outs that any moment so far had.
        error: what the show raised, in words; "" if nothing.
        doing: what is done to make or start it, in words; "" if that is not known.
        game: the board game as it stands in the newest moment; None without one.
        slid: how far the last move has glided, in [0, 1].
        pace: seconds of the world that go by in a second; NaN where that is not known.
        now: `time.monotonic()` of the drawing, for clocks.
        attributed: saliency maps of this moment's decision or one a little older; None if not asked for.
    """

    moment: Moment | None
    number: int
    oldest: int
    newest: int
    capacity: int
    value: Array
    score: Array
    reward: Array
    episodes: tuple[Episode, ...]
    episodes_ended: int
    mean_score: float
    perceives: bool
    lines: int = 0
    error: str = ""
    doing: str = ""
    attributed: Attributed | None = None
    game: BoardState | None = None
    slid: float = 1.0
    now: float = 0.0
    pace: float = float("nan")
    episodes_scored: int = 0
    feet: Array = field(default_factory=lambda: np.empty(0))
    rival_value: Array = field(default_factory=lambda: np.empty(0))
    rival_score: Array = field(default_factory=lambda: np.empty(0))

"""What a picture of the window is made of: facts of the show, choices of the person, a view of the past.

All three are frozen, and drawing reads nothing else: equal values give equal pictures.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from sim.records import Array, Episode
from sim.viewer.attribution import Attributed
from sim.viewer.show import Interactive, Moment, Show

#: What can be drawn over the world: also the `show.Offer` that it takes.
Overlay: TypeAlias = Literal["saliency", "percepts"]

#: What is said where there is none.
WITHOUT: dict[Overlay, str] = {
    "saliency": "nothing to explain here: that takes an agent that looks at pictures",
    "percepts": "nothing is seen here: that takes a perception",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What does not change while a show is on.

    Attributes:
        abilities: values of the `show.Offer`s there are, and "scenes", "checkpoints", "worlds" where
            there are several; a line of the help that needs one is shown only then.
        place: where the show stands among several, such as "checkpoint 3 of 12"; "" if nowhere.
        loading: whether the show is not there yet, and only its title is known.
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
    abilities: frozenset[str] = frozenset()
    place: str = ""
    loading: bool = False

    @classmethod
    def to_come(cls, title: str, abilities: frozenset[str] = frozenset(), place: str = "") -> Facts:
        """Of a show that is still loading."""
        return cls(title, "", "", "", (), 1, 1.0, abilities=abilities, place=place, loading=True)

    @classmethod
    def of(cls, show: Show, abilities: frozenset[str] = frozenset(), place: str = "") -> Facts:
        """Read them from a show; `abilities` are those that it does not know of."""
        if isinstance(show, Interactive):
            abilities |= {offer.value for offer in show.offers}
        if show.num_worlds > 1:
            abilities |= {"worlds"}
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
            abilities=abilities,
            place=place,
        )


@dataclass(frozen=True, slots=True)
class Choices:
    """What the person at the window has chosen.

    Attributes:
        speed: times the show's natural rate.
        grid: all worlds side by side instead of the first one.
        person: whether the person plays the first world.
        saliency: whether what moved a decision is drawn over the world.
        percepts: whether what is seen is drawn over the world.
        folded: numbers 1…8 of the panels that show only their title.
        message: one line shown for a while; "" for none.
    """

    paused: bool = False
    speed: float = 1.0
    grid: bool = False
    person: bool = False
    saliency: bool = False
    percepts: bool = True
    folded: frozenset[int] = frozenset()
    help: bool = False
    recording: bool = False
    message: str = ""

    def toggled(self, overlay: Overlay) -> Choices:
        """With what is drawn over the world, or without."""
        if overlay == "saliency":
            return replace(self, saliency=not self.saliency)
        return replace(self, percepts=not self.percepts)

    def fitting(self, facts: Facts, *, playable: bool) -> Choices:
        """Those that a show of these facts leaves."""
        return replace(self, person=self.person and playable, grid=self.grid and facts.num_worlds > 1)


@dataclass(frozen=True, slots=True)
class View:
    """One remembered moment and the past that led to it.

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
        episodes: the last episodes that had ended by `number`, newest last.
        episodes_ended: how many had ended by `number`.
        mean_score: the mean score of those; NaN if none.
        perceives: whether any moment so far said what is seen.
        lines: the most lines that any moment so far had about what is seen and read.
        error: what the show raised, in words; "" if all is well.
        attributed: what moved a decision, this moment's or one a little older; None if nobody asked.
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
    attributed: Attributed | None = None

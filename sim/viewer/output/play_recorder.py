"""Recording of episodes played in the window: logged as seeds and actions, then replayed into a data set.

A show is wrapped by `record_play` while it is watched; `replay` then plays the logged episodes again, checks
them step by step and writes them with `sim.storage.episodes`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np

from sim.errors import WorkError
from sim.records import Array
from sim.storage.episodes import EpisodeInProgress, EpisodeWriter, RecordingError, storable_infos
from sim.vector import episode_seed

if TYPE_CHECKING:
    from sim.viewer.contract.moment import Moment
    from sim.viewer.contract.show import Show


class ReplayError(WorkError):
    """An episode whose replay differs from what was played."""


@dataclass
class Played:
    """Log of one episode, enough to replay it: its seed, and action, reward and player of each step."""

    seed: int
    actions: list[Array] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    person: list[bool] = field(default_factory=list)
    fair: list[bool] = field(default_factory=list)  # whether a person was in control: without sticky actions


class RecordingShow:
    """A `sim.viewer.contract.show.Show` of one world that wraps another show and logs its complete episodes.

    Logging costs nothing while a person plays: only seeds, actions and rewards are kept, and `replay` gives
    the rest afterwards. It relies on the seeding rules of `sim.vector.Worlds`, and `replay` checks them.

    Attributes:
        played: the complete episodes, in order.
    """

    def __init__(self, show: Show, seed: int) -> None:
        """Wrap `show`, whose worlds were made with `seed`.

        Raises:
            RecordingError: if it shows more than one world.
        """
        if show.num_worlds != 1:
            raise RecordingError(f"only a show of one world can be recorded, not of {show.num_worlds}")
        self._show = show
        self.played: list[Played] = []
        self._run_seed, self._episode = seed, -1
        self._current: Played | None = None
        self._fair = False

    def __getattr__(self, name: str) -> Any:
        """What the show has besides: its titles, names and rates."""
        return getattr(self._show, name)

    def start(self, seed: int | None) -> Moment:
        """Start the show again; the episode in progress is dropped."""
        moment = self._show.start(seed)
        if seed is not None:
            self._run_seed, self._episode = seed, -1
        self._next()
        return moment

    def step(self, person: int | None, **how: bool) -> Moment:
        """Step the show and log the step; `how` is passed to the show."""
        moment = self._show.step(person, **how)
        if moment.actions is None:  # nothing was done
            return moment
        assert self._current is not None
        self._current.actions.append(np.array(moment.actions[0]))
        self._current.rewards.append(float(moment.reward[0]))
        self._current.person.append(moment.person)
        self._current.fair.append(self._fair)
        if moment.episodes:
            if not moment.episodes[0].pushed:  # a push is no action: what it does cannot be replayed
                self.played.append(self._current)
            self._next()
        return moment

    def _next(self) -> None:
        self._episode += 1
        self._current = Played(episode_seed(self._run_seed, 0, self._episode))


class RecordingInteractiveShow(RecordingShow):
    """A `RecordingShow` for a show that takes gestures.

    `isinstance(…, sim.viewer.contract.gesture.Interactive)` does not see what `__getattr__` gives.
    """

    _show: Any

    @property
    def abilities(self) -> Any:
        """The wrapped show's `Ability` values."""
        return self._show.abilities

    @property
    def waits(self) -> bool:
        """Whether no step makes sense before a gesture."""
        return bool(self._show.waits)

    def touch(self, gesture: Any) -> Any:
        """Pass a gesture on; it changes no world until it comes back as a step, but for a push.

        A hand-over changes the rules: see `sim.atari.world.AtariWorld.set_sticky_actions`.
        """
        if gesture.kind == "person":
            self._fair = gesture.on
        return self._show.touch(gesture)

    def look(self) -> Moment:
        """The newest moment, drawn again."""
        moment: Moment = self._show.look()
        return moment


def record_play(show: Show, seed: int) -> RecordingShow:
    """Wrap `show` so that its episodes are logged; its worlds were made with `seed`."""
    return (RecordingInteractiveShow if hasattr(show, "touch") else RecordingShow)(show, seed)


def replay(played: Played, world: gymnasium.Env[Any, Any], dataset: EpisodeWriter) -> None:
    """Replay a logged episode and write it to a data set.

    Raises:
        ReplayError: if rewards or the end differ from those logged.
        OSError: if the disk is full.
    """
    has_rules = world.has_wrapper_attr("set_sticky_actions")
    set_sticky = world.get_wrapper_attr("set_sticky_actions") if has_rules else lambda on: None

    def told(info: dict[str, Any], person: bool, fair: bool) -> dict[str, Any]:
        rules = {"sticky_actions": not fair} if has_rules else {}
        return storable_infos(info | {"person": person} | rules)

    set_sticky(not played.fair[0])
    obs, info = world.reset(seed=played.seed)
    take = EpisodeInProgress(played.seed, obs, told(info, False, played.fair[0]))
    last = len(played.actions) - 1
    steps = zip(played.actions, played.rewards, played.person, played.fair, strict=True)
    for i, (action, earned, person, fair) in enumerate(steps):
        set_sticky(not fair)
        obs, reward, terminated, truncated, info = world.step(action)
        if reward != earned or (terminated or truncated) != (i == last):
            raise ReplayError(f"step {i} of the episode with seed {played.seed} is not what was played")
        take.note(action, float(reward), terminated, truncated, obs, told(info, person, fair))
    dataset.add(take)

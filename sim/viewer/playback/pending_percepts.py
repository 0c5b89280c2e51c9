"""Pending percepts: completed in a thread of their own, newest first, and merged into views."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TypeAlias

from sim.viewer.contract.moment import PerceptView
from sim.viewer.playback.latest_worker import Finished, LatestWorker
from sim.viewer.playback.view import View

_REST = 0.5  # seconds of rest a second of work, while the show goes on
_PATIENCE = 10.0  # seconds that a recording waits for the percepts of one picture

#: A moment's number; and how often the newest had been replaced, −1 for one of the past.
Key: TypeAlias = tuple[int, int]


class Perceiver:
    """Completes the percepts of the newest moment that is asked for."""

    def __init__(self) -> None:
        self._worker = LatestWorker[Key, tuple[PerceptView, ...]]("perception", rest=_REST)

    @property
    def done(self) -> Finished[Key, tuple[PerceptView, ...]] | None:
        """The last percepts that were completed."""
        return self._worker.done

    def ask(self, view: View, revision: int, *, hurried: bool = False, wait: bool = False) -> None:
        """Complete the percepts of a view's moment next, if any are pending.

        Args:
            view: as it is remembered.
            revision: of the history before the view was taken.
            hurried: without a rest before.
            wait: until they are completed.
        """
        moment = view.moment
        if moment is None or moment.perceive is None:
            return
        key = view.number, revision if view.number == view.newest else -1
        if self.done is None or self.done.key != key:
            work = partial(moment.perceive, moment.pictures[0], moment.seen)
            self._worker.ask(key, work, hurried=hurried or wait)
        if wait:
            self._worker.wait_for(key, _PATIENCE)

    def completed(self, view: View, oldest: int) -> View:
        """The view with what is known instead of its pending percepts, if at most `oldest` frames old.

        Each carries its age; where the last completion failed, it says why.
        """
        moment, done = view.moment, self.done
        if moment is None or moment.perceive is None or done is None:
            return view
        age = view.number - done.key[0]
        if not 0 <= age <= oldest:
            return view
        if done.result is None:
            known = tuple(replace(one, pending=done.error) for one in moment.seen)
        else:
            known = tuple(replace(one, age=age) for one in done.result)
        seen = tuple(new if old.pending else old for old, new in zip(moment.seen, known, strict=True))
        return replace(view, moment=replace(moment, seen=seen))

    def close(self, *, wait: bool = True) -> None:
        """Stop after the work in progress."""
        self._worker.close(wait=wait)

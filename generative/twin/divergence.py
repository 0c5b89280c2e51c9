"""Divergence of a dream from the emulator: objects and pixels apart, score, ends, frames until it diverges.

Both start from the same frames and take the same actions. The dream has diverged at the first frame in which
an object is more than `OFF` pixels from where the emulator has it, or in which only one of the two has it for
the third frame in a row: a ball that comes back a frame late is no divergence, one that stays away is.

Does not know: worlds, models, windows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from sim.records import Array

OFF = 4.0  # pixels of a frame of the model
ABSENT = 3  # frames in a row
RESAMPLES = 2_000  # of the bootstrap

Place = tuple[float, float]


class Divergence(NamedTuple):
    """Divergence after one step.

    Attributes:
        frames: steps since both were the same.
        pixels: share of pixels, in [0, 1], that differ.
        off: object → distance in pixels; NaN where one of the two lacks it.
        emulator_score: points since both were the same.
        dream_score: likewise.
        diverged_at: the frame at which it diverged; None before.
    """

    frames: int = 0
    pixels: float = 0.0
    off: Mapping[str, float] = {}
    emulator_score: float = 0.0
    dream_score: float = 0.0
    diverged_at: int | None = None


class Trial(NamedTuple):
    """One stretch from a synchronisation on: its frames until divergence, or all it had without one."""

    frames: int
    diverged: bool


def distances(emulator: Mapping[str, Place], dream: Mapping[str, Place]) -> dict[str, float]:
    """Distance of each object that at least one of the two has; NaN where the other lacks it.

    >>> distances({"ball": (10.0, 8.0), "player": (70.0, 4.0)}, {"ball": (13.0, 12.0)})
    {'ball': 5.0, 'player': nan}
    """
    names = [*emulator, *(name for name in dream if name not in emulator)]
    return {
        name: float(np.hypot(*np.subtract(emulator[name], dream[name])))
        if name in emulator and name in dream
        else float("nan")
        for name in names
    }


@dataclass
class DivergenceMeter:
    """Meter of one twin: fed with both sides after every step, begun anew at each synchronisation.

    Attributes:
        now: after the last step.
        trials: those that ended.
    """

    now: Divergence = Divergence()
    trials: list[Trial] = field(default_factory=list)
    _absent: dict[str, int] = field(default_factory=dict)

    def begin(self) -> None:
        """Both are the same now; the trial in progress ends, unless it has just begun."""
        if self.now.frames:
            at = self.now.diverged_at
            self.trials.append(Trial(self.now.frames if at is None else at, at is not None))
        self.now = Divergence()
        self._absent = {}

    def step(
        self,
        emulator: tuple[Array, Mapping[str, Place], float],
        dream: tuple[Array, Mapping[str, Place], float],
    ) -> Divergence:
        """Compare frames (H, W[, C]) uint8, the objects in them and the rewards of one step."""
        last = self.now
        off = distances(emulator[1], dream[1])
        self._absent = {name: self._absent.get(name, 0) + 1 for name, d in off.items() if np.isnan(d)}
        differ = emulator[0] != dream[0]
        if differ.ndim == 3:
            differ = differ.any(axis=-1)
        frames, at = last.frames + 1, last.diverged_at
        lost = any(count >= ABSENT for count in self._absent.values())
        if at is None and (lost or any(d > OFF for d in off.values())):
            at = frames
        self.now = Divergence(
            frames,
            float(differ.mean()),
            off,
            last.emulator_score + emulator[2],
            last.dream_score + dream[2],
            at,
        )
        return self.now

    def summary(self, horizon: int) -> tuple[float, float, float, int]:
        """Mean frames until divergence within a horizon, its 95 % bootstrap interval, and N trials.

        A trial that did not diverge by the horizon counts as the horizon (a restricted mean); one that was
        cut short before, by a key or the end of a game, without having diverged, does not count.
        """
        counted = np.array(
            [min(t.frames, horizon) for t in self.trials if t.diverged or t.frames >= horizon], float
        )
        if not len(counted):
            return float("nan"), float("nan"), float("nan"), 0
        drawn = np.random.default_rng(0).choice(counted, (RESAMPLES, len(counted))).mean(axis=1)
        low, high = np.quantile(drawn, (0.025, 0.975))
        return float(counted.mean()), float(low), float(high), len(counted)

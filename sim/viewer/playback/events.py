"""Events of a show worth seeing: rewards that stand out, and surprises, where the value estimate was wrong.

A surprise is a large temporal-difference error, δ = r + V(s′) − V(s) with γ = 1 (Sutton & Barto 2018,
eq. 6.5): the window knows no discount, and from one decision to the next it hardly matters.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim.records import Array

SURPRISING = 6.0  # times the median |δ|
_LEAST = 0.02  # of the largest |δ| likewise, so that there are surprises only where there is a scale


class Event(NamedTuple):
    """One event: the number of its moment, and what it is in words."""

    number: int
    words: str


def unusual_rewards(reward: Array) -> Array:
    """(K,) how far each reward stands out from those of every step; 0 where it does not.

    >>> unusual_rewards(np.array([0.0, 0.0, 1.0, 0.0])).tolist(), unusual_rewards(np.ones(4)).tolist()
    ([0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0])
    """
    if not len(reward):
        return np.zeros(0)
    unusual = reward - np.median(reward)  # a reward that every step brings says nothing
    unusual[reward == 0] = 0
    largest = max(float(np.abs(unusual).max()), 1e-9)
    least = max(0.02 * largest, 4 * float(np.median(np.abs(unusual))))  # a noisy reward has only its peaks
    return np.where(np.abs(unusual) > least, unusual, 0.0)


def td_errors(value: Array, reward: Array, began: Array) -> tuple[Array, Array]:
    """Temporal-difference errors between decisions.

    Args:
        value: (K,) of each moment; equal ones in a row are of one decision.
        reward: (K,) that led to each.
        began: (K,) bool, where an episode begins: the value before is compared with the last reward alone.

    Returns:
        (D,) the moment of each error, and (D,) the errors; none where a value is not known.

    >>> where, errors = td_errors(np.array([0.5, 0.5, 0.9, 0.1]), np.array([0, 0, 0, 1.0]), np.zeros(4, bool))
    >>> where.tolist(), errors.round(1).tolist()
    ([2, 3], [0.4, 0.2])
    """
    if len(value) < 2:
        return np.zeros(0, np.int64), np.zeros(0)
    changed = np.flatnonzero((value[1:] != value[:-1]) | began[1:]) + 1
    earned = np.concatenate([[0.0], np.cumsum(reward)])
    before = np.concatenate([[0], changed])[:-1]  # where the decision before each change was made
    delta = (
        earned[changed + 1]
        - earned[before + 1]
        + np.where(began[changed], 0.0, value[changed])
        - value[before]
    )
    known = np.isfinite(delta)
    return changed[known], delta[known]


def surprises(value: Array, reward: Array, began: Array, apart: int) -> list[tuple[int, float]]:
    """The moments whose error stands out, each with it, in order; no two within `apart` moments.

    Arguments as for `td_errors`.
    """
    where, delta = td_errors(value, reward, began)
    if not len(delta):
        return []
    size = np.abs(delta)
    large = np.flatnonzero(size > max(SURPRISING * float(np.median(size)), _LEAST * float(size.max()), 1e-9))
    kept: list[int] = []
    for index in large[np.argsort(-size[large], kind="stable")].tolist():  # the largest of each neighbourhood
        if all(abs(int(where[index] - where[other])) > apart for other in kept):
            kept.append(index)
    return [(int(where[index]), float(delta[index])) for index in sorted(kept)]


def events(first: int, value: Array, reward: Array, began: Array, apart: int) -> list[Event]:
    """Rewards and surprises among moments `first` …, in order; a reward that surprises is told once."""
    found: dict[int, str] = {}
    for index, delta in surprises(value, reward, began, apart):
        found[index] = f"surprise: TD error {_signed(delta)}"
    rewarded = np.flatnonzero(unusual_rewards(reward)).tolist()
    for index in rewarded:
        for near in [other for other in found if abs(other - index) <= apart and other not in rewarded]:
            del found[near]
    for index in rewarded:
        found[index] = f"reward {_signed(float(reward[index]))}"
    return [Event(first + index, found[index]) for index in sorted(found)]


def _signed(value: float) -> str:
    return f"{value:+.3g}".replace("-", "−")

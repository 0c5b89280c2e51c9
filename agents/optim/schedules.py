"""Linear schedules of learning rates, coefficients and ε over a training budget."""

from __future__ import annotations


def linear_schedule(start: float, end: float | None, share: float) -> float:
    """Linear schedule from `start` to `end` as `share` goes from 0 to 1, and `end` from then on.

    Exact at both ends, whatever the rounding between; constant where `end` is None.

    >>> linear_schedule(0.25, 0.75, 0.5), linear_schedule(0.3, 0.1, 7.0), linear_schedule(0.2, None, 0.5)
    (0.5, 0.1, 0.2)
    """
    if end is None:
        return start
    share = min(1.0, share)
    return start * (1 - share) + end * share

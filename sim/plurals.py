"""Counts with their nouns in the right number, such as "1 step" and "2 steps"."""

from __future__ import annotations


def number_of(n: int, noun: str) -> str:
    """Format a count with its noun.

    >>> number_of(1, "frame"), number_of(2_000, "frame"), number_of(0, "sample")
    ('1 frame', '2,000 frames', '0 samples')
    """
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"

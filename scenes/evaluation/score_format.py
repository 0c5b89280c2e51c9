"""Text of scores, intervals and protocol stamps in tables."""

from __future__ import annotations

import math
from typing import Any

from agents.evaluation.statistics import Interval


def format_interval(interval: Interval, decimals: int = 2) -> str:
    """Format an interval.

    >>> format_interval((1.0, 2.5)), format_interval((math.nan, math.nan))
    ('1.00 … 2.50', '–')
    """
    low, high = interval
    return "–" if math.isnan(low) else f"{format_score(low, decimals)} … {format_score(high, decimals)}"


def format_score(value: float, decimals: int = 2) -> str:
    """Format a score.

    >>> format_score(1.005), format_score(-0.004)
    ('1.00', '0.00')
    """
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text


def format_protocol(protocol: dict[str, Any]) -> str:
    """Format a protocol stamp as one line."""
    return " · ".join(f"{key} {value}" for key, value in protocol.items())

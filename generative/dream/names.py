"""Names of the worlds ``dream/<game>``: the games that world models are trained on."""

from __future__ import annotations

from generative.data.palette import PALETTES

GAMES = tuple(PALETTES)
#: Points at which a game ends; one without such a number ends when its model says so.
MOST_POINTS = {"pong": 21}


def world_names() -> list[str]:
    """``dream/<game>``.

    >>> world_names()[0]
    'dream/pong'
    """
    return [f"dream/{game}" for game in GAMES]

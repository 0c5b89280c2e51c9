"""Names of the worlds ``twin/<game>``: an emulator and its dream side by side."""

from __future__ import annotations

from generative.dream.names import GAMES


def world_names() -> list[str]:
    """``twin/<game>``.

    >>> world_names()[0]
    'twin/pong'
    """
    return [f"twin/{game}" for game in GAMES]

"""The files that a person asks for while watching: pictures of the window, and what a show writes down."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import pygame

from sim.viewer.errors import ViewerError


def stem(title: str) -> str:
    """A name for a file about `title` now, such as ``pong-20260501-174502-118``."""
    words = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "playfield"
    return f"{words}-{datetime.now():%Y%m%d-%H%M%S-%f}"[:-3]


def save_picture(title: str, picture: pygame.Surface) -> Path:
    """Write a picture into ``screenshots``; returns its path from the current folder.

    Raises:
        ViewerError: if it cannot be written.
    """
    file = Path("screenshots") / f"{stem(title)}.png"
    try:
        file.parent.mkdir(exist_ok=True)
        pygame.image.save(picture, str(file))
    except (OSError, pygame.error) as error:
        raise ViewerError(f"no screenshot: {error}") from error
    return file


def save_text(title: str, ending: str, text: str) -> Path:
    """Write a text into the current folder; returns its path from there.

    Raises:
        ViewerError: if it cannot be written.
    """
    file = Path(f"{stem(title)}{ending}")
    try:
        file.write_text(text, "utf-8")
    except OSError as error:
        raise ViewerError(f"nothing saved: {error}") from error
    return file

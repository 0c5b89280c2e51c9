"""Files saved on request while watching: screenshots, documents of a show such as PGN; the clipboard."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import pygame


def stem(title: str) -> str:
    """File name from a title and the present time, such as ``pong-20260501-174502-118``."""
    words = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "playfield"
    return f"{words}-{datetime.now():%Y%m%d-%H%M%S-%f}"[:-3]


def save_picture(title: str, picture: pygame.Surface) -> str:
    """Write a picture into ``screenshots``; returns a line that says where it is, or why there is none."""
    file = Path("screenshots") / f"{stem(title)}.png"
    try:
        file.parent.mkdir(exist_ok=True)
        pygame.image.save(picture, str(file))
    except (OSError, pygame.error) as error:
        return f"no screenshot: {error}"
    return f"saved {file}"


def save_text(title: str, ending: str, text: str) -> str:
    """Write a text into the current folder; returns a line that says where it is, or why there is none."""
    file = Path(f"{stem(title)}{ending}")
    try:
        file.write_text(text, "utf-8")
    except OSError as error:
        return f"nothing saved: {error}"
    return f"saved {file}"


def copy_text(title: str, ending: str, text: str) -> str:
    """Put a text on the clipboard, or where there is none into a file; returns a line that says so."""
    what = ending.removeprefix(".").upper()
    try:
        pygame.scrap.put_text(text)
    except pygame.error:
        return f"no clipboard here: {save_text(title, ending, text)}"
    return f"copied the {what}"


def pasted_text() -> str:
    """The clipboard's text; "" where there is none."""
    try:
        return pygame.scrap.get_text()
    except pygame.error:
        return ""

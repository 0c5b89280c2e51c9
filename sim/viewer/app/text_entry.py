"""Text entry: a line that a person types in the window, as an input of a model, or as a game to play from."""

from __future__ import annotations

import pygame

from sim.viewer.app.viewer import Viewer
from sim.viewer.contract.gesture import Gesture
from sim.viewer.output.files import pasted_text

LONGEST = 2_000  # characters
PROMPT = "input"
HINT = "Enter runs the model, Esc leaves, Ctrl-V pastes"
GAME_PROMPT = "FEN or PGN"
GAME_HINT = "Enter plays from it, Esc leaves"
SHOWN = 60  # last characters that are shown


class TextEntry:
    """Line editor of the window; while it is active every key is its own.

    >>> visible("a" * 70)[:3], visible("short")
    ('…aa', 'short')
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._text: str | None = None
        self._prompt, self._busy = PROMPT, ""

    @property
    def active(self) -> bool:
        """Whether a line is being typed."""
        return self._text is not None

    def begin(self) -> bool:
        """Begin an empty line where the show takes one; tells whether it does."""
        if "type" not in self._viewer.facts.abilities:
            return False
        self._viewer.transport.pause()
        self._open(PROMPT, HINT, "running the model …")
        return True

    def paste(self) -> None:
        """Give the clipboard's text to a board game, or let it be typed where there is none."""
        if "table" not in self._viewer.facts.abilities:
            return
        text = pasted_text()
        if text.strip():
            self._viewer.tell(Gesture("type", name=text))
        else:
            self._open(GAME_PROMPT, GAME_HINT, "reading …")

    def _open(self, prompt: str, hint: str, busy: str) -> None:
        self._text, self._prompt, self._busy = "", prompt, busy
        self._viewer.prompt(f"{prompt}: |   ({hint})")

    def press(self, event: pygame.Event) -> None:
        """Handle a key: a letter, Backspace, Ctrl-V, Enter or Esc."""
        assert self._text is not None
        if event.key == pygame.K_ESCAPE:
            self._end("")
        elif event.key in (pygame.K_RETURN, pygame.K_KP_ENTER):
            text = self._text.strip()
            self._end(self._busy if text else "")
            if text:
                self._viewer.tell(Gesture("type", name=text))
        else:
            self._text = self._edited(event)[:LONGEST]
            self._viewer.prompt(f"{self._prompt}: {visible(self._text)}|")

    def _edited(self, event: pygame.Event) -> str:
        text = self._text or ""
        if event.key == pygame.K_BACKSPACE:
            return text[:-1]
        if event.key == pygame.K_v and getattr(event, "mod", 0) & (pygame.KMOD_CTRL | pygame.KMOD_META):
            return text + " ".join(pasted_text().split())
        letter = getattr(event, "unicode", "")
        return text + letter if letter.isprintable() else text

    def _end(self, message: str) -> None:
        self._text = None
        self._viewer.prompt(message, lasting=False)


def visible(text: str) -> str:
    """The end of a text that fits."""
    return text if len(text) <= SHOWN else "…" + text[-SHOWN:]

"""Text entry: a line that a person types in the window: an input, a prompt, a slider's value, or a game."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pygame

from sim.viewer.app.viewer import Viewer
from sim.viewer.contract.gallery_page import GalleryPage
from sim.viewer.contract.gesture import Gesture
from sim.viewer.output.files import pasted_text
from sim.viewer.playback.text_box import TextBox

LONGEST = 2_000  # characters


@dataclass(frozen=True)
class _Request:
    """What is typed, and what becomes of it: a gesture, or the words why it cannot be one."""

    box: TextBox
    busy: str
    take: Callable[[TextBox], Gesture | str]


class TextEntry:
    """Line editor of the window; while it is active every key is its own."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._request: _Request | None = None

    @property
    def active(self) -> bool:
        """Whether a line is being typed."""
        return self._request is not None

    def begin(self) -> bool:
        """Begin a line where the show takes one; tells whether it does."""
        page = self._page
        if "type" not in self._viewer.facts.abilities or (page is not None and page.mode == "fill"):
            return False
        if page is None:
            self._viewer.transport.pause()
            box = TextBox("input", hint="Enter runs the model, Esc leaves, Ctrl+V pastes")
            self._open(_Request(box, "running the model …", _as_input))
        else:
            known = page.conditions[page.condition] if page.condition else ""
            box = TextBox("prompt", known, "Enter draws samples, Esc leaves", page.words, page.conditions)
            self._open(_Request(box, "", _as_prompt))
        return True

    def begin_value(self, number: int | None = None) -> None:
        """Begin to type the value of the latent axis or target `number`; None: of the chosen axis."""
        page, moment = self._page, self._viewer.view.moment
        sliders = page.sliders if page is not None else moment.targets if moment is not None else ()
        if number is None:
            number = page.slider if page is not None else 0
        if not 0 <= number < len(sliders):
            return
        slider = sliders[number]
        hint = f"a number from {slider.low:.3g} to {slider.high:.3g}; Enter takes it, Esc leaves"

        def take(box: TextBox) -> Gesture | str:
            value = box.number
            if value is None or not slider.low <= value <= slider.high:
                return hint
            return Gesture("slide", number, value)

        self._open(_Request(TextBox(slider.name, hint=hint), "", take))

    def paste(self) -> None:
        """Give the clipboard's text to a board game, or let it be typed where there is none."""
        if "table" not in self._viewer.facts.abilities:
            return
        text = pasted_text()
        if text.strip():
            self._viewer.tell(Gesture("type", name=text))
        else:
            box = TextBox("FEN or PGN", hint="Enter plays from it, Esc leaves")
            self._open(_Request(box, "reading …", _as_input))

    @property
    def _page(self) -> GalleryPage | None:
        moment = self._viewer.view.moment
        return None if moment is None else moment.page

    def _open(self, request: _Request) -> None:
        self._request = request
        self._show(request.box)

    def press(self, event: pygame.Event) -> None:
        """Handle a key: a letter, Backspace, Tab, Ctrl+V, Enter or Esc."""
        assert self._request is not None
        box = self._request.box
        if event.key == pygame.K_ESCAPE:
            self._end("")
        elif event.key in (pygame.K_RETURN, pygame.K_KP_ENTER):
            self._take(box)
        elif event.key == pygame.K_TAB:
            self._edit(box.completed())
        else:
            self._edit(replace(box, text=_edited(box.text, event)[:LONGEST], trouble=""))

    def _take(self, box: TextBox) -> None:
        assert self._request is not None
        if not box.text.strip():
            self._end("")
            return
        taken = self._request.take(replace(box, text=box.text.strip()))
        if isinstance(taken, str):
            self._edit(replace(box, trouble=taken))
        else:
            self._end(self._request.busy)
            self._viewer.tell(taken)

    def _edit(self, box: TextBox) -> None:
        assert self._request is not None
        self._request = replace(self._request, box=box)
        self._show(box)

    def _end(self, message: str) -> None:
        self._request = None
        self._show(None)
        self._viewer.say(message)

    def _show(self, box: TextBox | None) -> None:
        self._viewer.choices = replace(self._viewer.choices, box=box)


def _as_input(box: TextBox) -> Gesture | str:
    return Gesture("type", name=box.text)


def _as_prompt(box: TextBox) -> Gesture | str:
    unknown = [box.text[start:end] for start, end in box.unknown]
    if unknown:
        return f"no caption has the word{'s' * (len(unknown) > 1)} {', '.join(unknown)}"
    return Gesture("type", name=box.text)


def _edited(text: str, event: pygame.Event) -> str:
    if event.key == pygame.K_BACKSPACE:
        return text[:-1]
    if event.key == pygame.K_v and getattr(event, "mod", 0) & (pygame.KMOD_CTRL | pygame.KMOD_META):
        return text + " ".join(pasted_text().split())
    letter = getattr(event, "unicode", "")
    return text + letter if letter.isprintable() else text

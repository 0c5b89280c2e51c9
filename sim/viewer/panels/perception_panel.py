"""Perception panel (5): a line for each percept with origin and live metrics, and the world's read-outs."""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

import numpy as np
import pygame
from pygame import Rect

from sim.percept_kinds import in_words
from sim.records import Origin
from sim.viewer.contract.moment import PerceptView, Readout
from sim.viewer.draw.card import ROW, Note, say
from sim.viewer.draw.theme import PALETTE, Ink
from sim.viewer.overlays.board_overlay import certainty_in_words
from sim.viewer.overlays.boxes import share
from sim.viewer.overlays.percept_overlay import percept_age
from sim.viewer.playback.view import Choices, Facts, View


class Line(NamedTuple):
    """Text of one percept: its origin, a summary, and its metrics against the truth."""

    origin: Origin
    words: str
    scores: tuple[str, ...]


def line(seen: PerceptView) -> Line:
    """Format a percept as a line of the panel.

    >>> from sim.records import Percept
    >>> line(PerceptView("which game", Percept("model", label="pong"), scores=(Readout("top 1", 0.99),)))
    Line(origin='model', words='pong', scores=('top 1 .99',))
    """
    words = seen.pending or in_words(seen.percept, seen.classes) or "nothing detected"
    if certainty := certainty_in_words(seen):
        words = f"{words} · {certainty}"
    return Line(seen.percept.origin, words, tuple(map(scored, seen.scores)))


def scored(score: Readout) -> str:
    """Format a live metric; numbers in [0, 1] are written as on the bars.

    >>> scored(Readout("ball", 3.0, "px off"))
    'ball 3.0 px off'
    """
    label, value, unit = score
    if isinstance(value, str):
        figured = value
    elif not np.isfinite(value):
        figured = "–"
    elif not unit and 0 <= value <= 1:
        figured = share(value)
    else:
        figured = figure(value) if not unit else f"{value:.1f}".replace("-", "−")
    return " ".join(part for part in (label, figured, unit) if part)


def figure(value: float) -> str:
    """Format a number with a steady count of digits, so that it can be read while it changes."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}".replace("-", "−")


def key(facts: Facts, choices: Choices, view: View) -> Hashable:
    """Cache key: all that `draw` depends on; lines of text, since a percept is only equal to itself."""
    if view.moment is None:
        return None
    return view.moment.readouts, tuple(line(one) for one in view.moment.seen)


def note(facts: Facts, choices: Choices, view: View) -> Note:
    """Title note: the name of the perception, if there is one only, and how old its percept is."""
    seen = view.moment.seen if view.moment else ()
    return (seen[0].name if len(seen) == 1 else ""), percept_age(seen)


def draw(surface: pygame.Surface, ink: Ink, inside: Rect, facts: Facts, choices: Choices, view: View) -> None:
    """Draw the lines of the percepts, and below them, where there is room, the read-outs."""
    readouts = view.moment.readouts if view.moment else ()
    lines = [line(one) for one in view.moment.seen] if view.moment else []
    rows = inside.height // ink.px(ROW)
    units = max((ink.width(r.unit) + ink.px(6) for r in readouts if r.unit and _is_figure(r)), default=0)
    chips = max((ink.width(one.origin) + ink.px(14) for one in lines), default=0)
    for row in range(min(rows, len(readouts) + len(lines))):
        y = inside.top + row * ink.px(ROW) + ink.px(ROW) // 2
        if row < len(lines):
            _draw_line(surface, ink, inside, y, lines[row], chips)
        else:
            _draw_readout(surface, ink, inside, y, readouts[row - len(lines)], units)
    if not lines and not readouts:
        say(surface, ink, inside, "nothing detected")


def _draw_line(surface: pygame.Surface, ink: Ink, inside: Rect, y: int, line: Line, chips: int) -> None:
    """Draw the origin on a chip `chips` wide, the summary, and at the right as many metrics as fit."""
    chip = Rect(inside.left, y - ink.px(9), chips, ink.px(18))
    ink.plate(surface, chip, PALETTE.raised, radius=9)
    ink.write(surface, line.origin, chip.center, PALETTE.muted, align="center")
    left, right = chip.right + ink.px(8), inside.right
    fitting = [" · ".join(line.scores[:count]) for count in range(len(line.scores), 0, -1)]
    most = max((right - left) * 7 // 10, right - left - ink.width(line.words) - ink.px(8))
    if fitting:
        text = next((text for text in fitting if ink.width(text) <= most), fitting[-1])
        text = ink.elided(text, (right - left) * 8 // 10)
        right = ink.write(surface, text, (right, y), align="right").left - ink.px(8)
    ink.write(
        surface, ink.elided(line.words, right - left), (left, y), PALETTE.muted if fitting else PALETTE.text
    )


def _is_figure(readout: Readout) -> bool:
    """Whether a read-out is a number; the others are words, or numbers of things that are counted."""
    return not isinstance(readout.value, str)


def _draw_readout(
    surface: pygame.Surface, ink: Ink, inside: Rect, y: int, readout: Readout, units: int
) -> None:
    """Draw the label on the left; numbers end, and units begin, in one column each, `units` wide.

    Words end at the right edge, with their unit if they have one.
    """
    label, value, unit = readout
    written = ink.write(surface, ink.elided(label, inside.width // 2), (inside.left, y), PALETTE.muted)
    if isinstance(value, str):
        end = inside.right
        if unit:
            end = ink.write(surface, unit, (end, y), PALETTE.muted, align="right").left - ink.px(6)
        text = ink.elided(value, end - written.right - ink.px(8))
        ink.write(surface, text, (end, y), align="right")
        return
    column = inside.right - units
    ink.write(surface, figure(value), (column, y), align="right")
    if unit:
        ink.write(surface, unit, (column + ink.px(6), y), PALETTE.muted)

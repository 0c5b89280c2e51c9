"""Text box over the world's lower edge: what is typed, unknown words underlined, and completions."""

from __future__ import annotations

import pygame
from pygame import Rect

from sim.viewer.draw.theme import BODY, PALETTE, Ink
from sim.viewer.playback.text_box import TextBox

_PAD = 14
_LINE = 24
_FOOT = 26
_MOST_LINES = 4


def draw_text_box(surface: pygame.Surface, ink: Ink, world: Rect, box: TextBox) -> Rect:
    """Draw the box at the lower edge of the world; returns its rectangle."""
    pad, line = ink.px(_PAD), ink.px(_LINE)
    width = min(world.width, ink.px(760))
    room = (world.height - 2 * pad - ink.px(18 + _FOOT)) // line
    lines = _lines(ink, box.text, width - 2 * pad)[-max(1, min(_MOST_LINES, room)) :]
    card = Rect(0, 0, width, 2 * pad + ink.px(14) + len(lines) * line + ink.px(_FOOT))
    card.midbottom = (world.centerx, world.bottom - ink.px(4))
    ink.plate(surface, card, PALETTE.panel, radius=8)
    ink.plate(surface, card, PALETTE.accent, radius=8, border=1.5)
    left, right, y = card.left + pad, card.right - pad, card.top + pad + ink.px(4)
    end = ink.write(surface, box.prompt, (left, y), PALETTE.text, bold=True).right
    hint = ink.elided(box.hint, max(0, right - end - ink.px(16)))
    ink.write(surface, hint, (right, y), PALETTE.muted, align="right")
    y += ink.px(14)
    for start, text in lines:
        y += line
        middle = y - line // 2 + ink.px(4)
        end = _draw_line(surface, ink, (left, middle), box, start, text)
    middle = y - line // 2 + ink.px(4)
    surface.fill(PALETTE.accent, Rect(end + ink.px(1), middle - ink.px(9), max(1, ink.px(2)), ink.px(18)))
    _draw_foot(surface, ink, Rect(left, y + ink.px(6), right - left, ink.px(_FOOT)), box)
    return card


def _lines(ink: Ink, text: str, width: int) -> list[tuple[int, str]]:
    """The text in lines that fit, each with the place of its first character."""
    lines, start = [], 0
    while True:
        end = len(text)
        while end > start + 1 and ink.width(text[start:end], BODY) > width:
            space = text.rfind(" ", start, end - 1)
            end = space + 1 if space > start else end - 1
        lines.append((start, text[start:end]))
        if end >= len(text):
            return lines
        start = end


def _draw_line(
    surface: pygame.Surface, ink: Ink, at: tuple[int, int], box: TextBox, start: int, text: str
) -> int:
    """Write a line, its unknown words underlined; returns where it ends."""
    if text:
        ink.write(surface, text, at, size=BODY)
    for first, last in box.unknown:
        first, last = max(first - start, 0), min(last - start, len(text))
        if first < last:
            x = at[0] + ink.width(text[:first], BODY)
            under = Rect(x, at[1] + ink.px(9), ink.width(text[first:last], BODY), max(2, ink.px(2)))
            surface.fill(PALETTE.negative, under)
    return at[0] + (ink.width(text, BODY) if text else 0)


def _draw_foot(surface: pygame.Surface, ink: Ink, row: Rect, box: TextBox) -> None:
    """Write why the text was not taken, or completions, the first of which Tab takes."""
    if box.trouble:
        x, y = row.left + ink.px(6), row.centery
        pygame.draw.aacircle(surface, PALETTE.negative, (x, y), ink.px(4))
        ink.write(surface, ink.elided(box.trouble, row.width - ink.px(18)), (x + ink.px(12), y))
        return
    x = row.left
    for i, word in enumerate(box.completions):
        width = ink.width(word) + ink.px(16)
        if x + width > row.right - ink.px(36):
            break
        chip = Rect(x, row.centery - ink.px(11), width, ink.px(22))
        ink.plate(surface, chip, PALETTE.raised, radius=10)
        color = PALETTE.text if i == 0 else PALETTE.muted
        ink.write(surface, word, chip.center, color, align="center")
        x = chip.right + ink.px(6)
        if i == 0:
            x = ink.write(surface, "Tab", (x, row.centery), PALETTE.muted).right + ink.px(10)

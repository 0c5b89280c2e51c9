"""Subtitles: captions and FENs under the picture, with the words marked whose facts are not true."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pygame
from pygame import Rect

from sim.percept_kinds import PERCEPT_KINDS
from sim.viewer.contract.moment import PerceptView
from sim.viewer.draw.theme import BODY, PALETTE, SMALL, Color, Ink
from sim.viewer.overlays.kind_overlay import PerceptOverlay
from sim.viewer.overlays.percept_overlay import OVERLAYS

FOOT = 104  # height kept under the picture for two sentences, where that takes nothing from the picture
_LINES = 2  # of a sentence; what is longer is cut
_TRUTH = "truth: "  # before a true caption
_ROW = {BODY: 24, SMALL: 20}


class Text(NamedTuple):
    """A text under the picture.

    Attributes:
        words: its words.
        marked: numbers of those that are marked.
        color: of the others.
        mark: colour of the marked ones and of the line under them.
        size: of the letters.
    """

    words: tuple[str, ...]
    marked: frozenset[int]
    color: Color
    mark: Color
    size: int


def texts(seen: PerceptView) -> tuple[str, str]:
    """A percept's text, such as a caption or a FEN, and the true one where it differs and is written."""
    for name, kind in PERCEPT_KINDS.items():
        if kind.text is not None and (said := kind.text(seen.percept)):
            written = OVERLAYS.get(name, PerceptOverlay()).truth_in_words
            true = kind.text(seen.truth) if written and seen.truth is not None else ""
            return said, true if true != said else ""
    return "", ""


def has_text(seen: Sequence[PerceptView]) -> bool:
    """Whether any percept has a text, such as a caption or a FEN."""
    return any(texts(one)[0] for one in seen)


def marked_words(text: str, spans: Sequence[tuple[int, int]]) -> frozenset[int]:
    """Numbers of the words of a text that overlap any of the spans.

    >>> sorted(marked_words("it stands 1 to 2.", [(3, 9), (15, 16)]))
    [1, 4]
    """
    found, start = set(), 0
    for number, word in enumerate(text.split(" ")):
        end = start + len(word)
        if any(start < last and first < end for first, last in spans):
            found.add(number)
        start = end + 1
    return frozenset(found)


def draw_subtitles(surface: pygame.Surface, ink: Ink, area: Rect, seen: Sequence[PerceptView]) -> Rect:
    """Write captions and FENs along the lower edge of `area`, and the true captions where they differ.

    Words whose facts are wrong are underlined in the colour of errors, and in the true caption those that
    should have been said in the colour of what is right. Returns the rectangle that they take.
    """
    pad, lines = ink.px(10), list[tuple[Text, list[int]]]()
    for one, (said, true) in zip(seen, map(texts, seen), strict=True):
        both = [_text(said, one.wrong, PALETTE.text, PALETTE.negative, BODY)] if said else []
        if true:
            before = len(_TRUTH)
            moved = [(start + before, end + before) for start, end in one.corrected]
            both.append(_text(_TRUTH + true, moved, PALETTE.muted, PALETTE.positive, SMALL))
        for text in (_fitting(ink, text, area.width - 2 * pad) for text in both):
            lines += [(text, line) for line in _wrapped(ink, text, area.width - 2 * pad)]
    if not lines:
        return Rect(area.bottomleft, (0, 0))
    heights = [ink.px(_ROW[text.size]) for text, _ in lines]
    width = max(_width(ink, text, line) for text, line in lines) + 2 * pad
    box = Rect(0, 0, min(width, area.width), sum(heights) + pad)
    box.midbottom = area.midbottom
    ink.plate(surface, box, PALETTE.panel, radius=8)
    top = box.top + pad // 2
    for (text, line), height in zip(lines, heights, strict=True):
        _draw_line(surface, ink, (box.centerx, top + height // 2), text, line)
        top += height
    return box


def _text(words: str, spans: Sequence[tuple[int, int]], color: Color, mark: Color, size: int) -> Text:
    return Text(tuple(words.split(" ")), marked_words(words, spans), color, mark, size)


def _fitting(ink: Ink, text: Text, width: int) -> Text:
    """The text with small letters if a word of it, such as a FEN, is too wide; a wider one is cut."""
    if max(ink.width(word, text.size, bold=True) for word in text.words) <= width:
        return text
    return text._replace(words=tuple(ink.elided(word, width) for word in text.words), size=SMALL)


def _wrapped(ink: Ink, text: Text, width: int) -> list[list[int]]:
    """Lines of at most `_LINES`, each as the numbers of its words; what is longer ends in an ellipsis."""
    lines: list[list[int]] = [[]]
    for number in range(len(text.words)):
        longer = [*lines[-1], number]
        if lines[-1] and _width(ink, text, longer) > width:
            lines.append([number])
        else:
            lines[-1] = longer
    if len(lines) > _LINES:
        last = lines[_LINES - 1]
        while len(last) > 1 and _width(ink, text, last) + ink.width(" …", text.size) > width:
            last.pop()
        return [*lines[: _LINES - 1], [*last, -1]]
    return lines


def _word(text: Text, number: int) -> str:
    return "…" if number < 0 else text.words[number]


def _width(ink: Ink, text: Text, line: Sequence[int]) -> int:
    space = ink.width(" ", text.size)
    each = [ink.width(_word(text, number), text.size, bold=number in text.marked) for number in line]
    return sum(each) + space * (len(line) - 1)


def _draw_line(
    surface: pygame.Surface, ink: Ink, middle: tuple[int, int], text: Text, line: Sequence[int]
) -> None:
    """Write a line word by word, or as one where no word is marked."""
    if not text.marked & set(line):
        words = " ".join(_word(text, number) for number in line)
        ink.write(surface, words, middle, text.color, text.size, align="center")
        return
    left, y = middle[0] - _width(ink, text, line) // 2, middle[1]
    for number in line:
        wrong, word = number in text.marked, _word(text, number)
        color = PALETTE.text if wrong else text.color
        right = ink.write(surface, word, (left, y), color, text.size, bold=wrong).right
        if wrong:
            surface.fill(text.mark, Rect(left, y + ink.px(text.size) // 2, right - left, max(2, ink.px(2))))
        left += ink.width(word, text.size, bold=wrong) + ink.width(" ", text.size)

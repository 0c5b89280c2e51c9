"""Visual theme of the window: palette, type scale, and cached drawing of text and shapes.

The series colours are those of Okabe and Ito 2008, "Color Universal Design", which people with any
common colour vision can tell apart.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import pygame

Color: TypeAlias = tuple[int, int, int]
Align: TypeAlias = Literal["left", "center", "right"]

FONTS = Path(__file__).parent.parent / "fonts"

SMALL, BODY, TITLE = 13, 16, 22  # pixels on a display of scale 1

_CAPITAL = 0.698  # height of Plex's capitals, of its size
_KEPT = 1024  # drawings that an Ink remembers
_OVERSAMPLE = 4  # pygame's rounded corners are jagged: draw them larger, then shrink


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours by purpose; each is RGB in 0…255."""

    ground: Color = (17, 20, 24)
    panel: Color = (26, 30, 36)
    raised: Color = (43, 49, 58)  # buttons, tracks and bars that are not chosen
    line: Color = (66, 74, 86)  # grid lines and outlines, never text
    text: Color = (232, 235, 239)
    muted: Color = (163, 172, 184)
    accent: Color = (230, 159, 0)  # Okabe–Ito orange: chosen, now, under the mouse
    on_accent: Color = (17, 20, 24)
    positive: Color = (0, 158, 115)  # Okabe–Ito bluish green
    negative: Color = (213, 94, 0)  # Okabe–Ito vermilion
    series: tuple[Color, ...] = (
        (86, 180, 233),
        (0, 158, 115),
        (240, 228, 66),
        (204, 121, 167),
        (213, 94, 0),
        (0, 114, 178),
    )


PALETTE = Palette()

#: Colours of two agents side by side.
PAIR: tuple[Color, Color] = (PALETTE.series[0], PALETTE.series[2])

#: Colours of the marks of a move (`sim.viewer.contract.game_analysis.MARKS`), as text too.
MARK_COLORS: dict[str, Color] = {"?!": (240, 228, 66), "?": (230, 159, 0), "??": (240, 116, 74)}

#: Okabe–Ito without black.
CLASS_COLORS: tuple[Color, ...] = (*PALETTE.series, PALETTE.accent)

#: Every pair of (text, ground) colours that is drawn; each has a contrast of at least 4.5.
TEXT_PAIRS: tuple[tuple[Color, Color], ...] = (
    (PALETTE.text, PALETTE.ground),
    (PALETTE.text, PALETTE.panel),
    (PALETTE.text, PALETTE.raised),
    (PALETTE.muted, PALETTE.ground),
    (PALETTE.muted, PALETTE.panel),
    (PALETTE.muted, PALETTE.raised),
    (PALETTE.accent, PALETTE.ground),
    (PALETTE.accent, PALETTE.panel),
    (PALETTE.on_accent, PALETTE.accent),
    *((color, ground) for color in MARK_COLORS.values() for ground in (PALETTE.panel, PALETTE.raised)),
)


def class_color(name: str, classes: Sequence[str] = ()) -> Color:
    """Colour of a class: by its index in `classes`, else by its name; the same in every run."""
    place = classes.index(name) if name in classes else zlib.crc32(name.encode())
    again, place = divmod(place, len(CLASS_COLORS)) if name in classes else (0, place % len(CLASS_COLORS))
    pale = 1 - 0.5 ** min(again, 2)  # the second and third time round, nearer to white
    red, green, blue = (round(c + (255 - c) * pale) for c in CLASS_COLORS[place])
    return red, green, blue


def contrast(first: Color, second: Color) -> float:
    """The contrast ratio of two colours, from 1 (equal) to 21 (black and white); WCAG 2.2, 1.4.3.

    >>> contrast((0, 0, 0), (255, 255, 255))
    21.0
    """
    bright, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _luminance(color: Color) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def canvas(size: tuple[int, int]) -> pygame.Surface:
    """An opaque drawing surface whose bytes are B, G, R, unused: what the recorder reads."""
    return pygame.Surface(size, 0, 32, (0xFF0000, 0xFF00, 0xFF, 0))


class Ink:
    """Draws text and rounded shapes at one display scale, with a cache."""

    def __init__(self, scale: float = 1.0) -> None:
        if not pygame.font.get_init():
            pygame.font.init()
        self.scale = scale
        self._fonts: dict[tuple[int, bool], pygame.font.Font] = {}
        self._kept: OrderedDict[tuple[object, ...], pygame.Surface] = OrderedDict()

    def px(self, length: float) -> int:
        """A length at scale 1 in pixels of this display."""
        return round(length * self.scale)

    def width(self, text: str, size: int = SMALL, *, bold: bool = False) -> int:
        """The width of `text` in pixels."""
        return self._font(size, bold).size(text)[0]

    def elided(self, text: str, width: int, size: int = SMALL, *, bold: bool = False) -> str:
        """`text`, cut with an ellipsis so that it is at most `width` pixels wide."""
        if self.width(text, size, bold=bold) <= width:
            return text
        while text and self.width(text + "…", size, bold=bold) > width:
            text = text[:-1]
        return text.rstrip() + "…" if text else ""

    def wrapped(self, text: str, width: int, size: int = SMALL) -> list[str]:
        """`text` in lines of at most `width` pixels, broken at spaces."""
        lines: list[str] = []
        for paragraph in text.splitlines() or [""]:
            line = ""
            for word in paragraph.split(" "):
                longer = f"{line} {word}" if line else word
                if line and self.width(longer, size) > width:
                    lines.append(line)
                    longer = word
                line = longer
            lines.append(line)
        return [self.elided(line, width, size) for line in lines]

    def write(
        self,
        surface: pygame.Surface,
        text: str,
        at: tuple[int, int],
        color: Color = PALETTE.text,
        size: int = SMALL,
        *,
        bold: bool = False,
        align: Align = "left",
    ) -> pygame.Rect:
        """Write one line; `at` is its left, centre or right end, half a capital's height up.

        Returns the rectangle that it covers.
        """
        drawn = self._drawn(
            (text, color, size, bold), lambda: self._font(size, bold).render(text, True, color)
        )
        middle = self._font(size, bold).get_ascent() - round(_CAPITAL / 2 * self.px(size))
        rect = drawn.get_rect(top=at[1] - middle)
        if align == "left":
            rect.left = at[0]
        elif align == "right":
            rect.right = at[0]
        else:
            rect.centerx = at[0]
        surface.blit(drawn, rect)
        return rect

    def plate(
        self, surface: pygame.Surface, rect: pygame.Rect, color: Color, radius: float = 6, border: float = 0
    ) -> None:
        """Draw a rectangle with smooth rounded corners, filled or (with `border`) outlined."""
        key = (rect.size, color, radius, border)
        surface.blit(self._drawn(key, lambda: self._rounded(rect.size, color, radius, border)), rect)

    def _rounded(self, size: tuple[int, int], color: Color, radius: float, border: float) -> pygame.Surface:
        large = pygame.Surface((size[0] * _OVERSAMPLE, size[1] * _OVERSAMPLE), pygame.SRCALPHA)
        large.fill((*color, 0))  # the colour under transparent pixels is mixed in when shrinking
        line = max(_OVERSAMPLE, self.px(border * _OVERSAMPLE)) if border else 0
        corner = self.px(radius * _OVERSAMPLE)
        pygame.draw.rect(large, color, large.get_rect(), width=line, border_radius=corner)
        return pygame.transform.smoothscale(large, size)

    def _font(self, size: int, bold: bool) -> pygame.font.Font:
        if (size, bold) not in self._fonts:
            file = FONTS / f"IBMPlexSans-{'SemiBold' if bold else 'Regular'}.ttf"
            self._fonts[size, bold] = pygame.font.Font(file, self.px(size))
        return self._fonts[size, bold]

    def _drawn(self, key: tuple[object, ...], draw: Callable[[], pygame.Surface]) -> pygame.Surface:
        if key not in self._kept:
            self._kept[key] = draw()
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

"""Window layout: rectangles of the world, the panels and the transport bar, from the window's size.

Lengths are for a display of scale 1 and multiplied by the scale. Panels that find no room are left
out, the least important first, so that nothing ever overlaps.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from pygame import Rect

MINIMUM = (480, 360)  # window size, at scale 1

MARGIN, GAP, BAR = 12, 8, 56  # BAR: height of the transport bar
LOW = 640  # windows below this height use narrower lengths: an Atari picture fits twice into 480
LOW_MARGIN, LOW_GAP, LOW_BAR = 8, 6, 44
TITLE_ROW = 30  # a panel's title, all that is left of a folded one

_SIDE_SHARE, _SIDE_LEAST, _SIDE_MOST = 0.32, 240, 560
_WORLD_LEAST = 256  # a narrower window has no panels
_BUTTON = 34
_CLOCK = 72  # room for "live ×0.25"

HEADING, ACTIONS, VALUE, RETURN, SEES, EPISODES, LEARNING, HUNG, FEET = range(1, 10)
OBSERVATION = FEET  # of an agent that sees frames; a robot's sees none
TARGETS = 10  # which no digit folds
PANELS = (*range(1, 10), TARGETS)
SLIDERS, NEAREST, CONDITIONS = ACTIONS, VALUE, RETURN  # in a gallery, in the places of what it has not
MOVES, LINE = VALUE, RETURN  # of a board game, likewise
OPINIONS, GRAPH, GAME_MOVES, SIDES = ACTIONS, VALUE, RETURN, SEES  # in the analysis of a game
_IMPORTANCE = (HEADING, ACTIONS, TARGETS, LEARNING, HUNG, FEET, VALUE, RETURN, SEES, EPISODES)


@dataclass(frozen=True, slots=True)
class Need:
    """Height of an open panel: least, natural, and at most.

    Attributes:
        urgent: whether it comes before all others but the heading and the actions.
        tight: height that is still better than a title alone; 0 if none is.
    """

    least: int
    natural: int
    most: int
    urgent: bool = False
    tight: int = 0


@dataclass(frozen=True)
class Layout:
    """Rectangles of the window's parts in pixels; they never overlap.

    Attributes:
        panels: number → rectangle, top down; folded panels are TITLE_ROW high.
        scrubber: the track of remembered moments.
        clock: of the text that says how far back the shown moment is.
        who: of the button that says who plays.
        foot: height of what is kept free under the world, for sentences.
    """

    world: Rect
    panels: Mapping[int, Rect]
    bar: Rect
    back: Rect
    pause: Rect
    forward: Rect
    slower: Rect
    speed: Rect
    faster: Rect
    scrubber: Rect
    clock: Rect
    who: Rect
    foot: int

    def with_foot(self, height: int) -> Layout:
        """With so many pixels kept free under the world."""
        world = Rect(self.world.left, self.world.top, self.world.width, self.world.height - height)
        return replace(self, world=world, foot=self.foot + height)

    @property
    def pieces(self) -> dict[str, Rect]:
        """All rectangles that must not overlap, by name."""
        names = ("world", "back", "pause", "forward", "slower", "speed", "faster", "scrubber", "clock", "who")
        return {name: getattr(self, name) for name in names} | {
            f"panel {number}": rect for number, rect in self.panels.items()
        }


def title_of(panel: Rect, scale: float) -> Rect:
    """Title row of a panel's rectangle, where a click folds it."""
    return Rect(panel.left, panel.top, panel.width, min(panel.height, round(TITLE_ROW * scale)))


def arrange(
    size: tuple[int, int], scale: float, needs: Mapping[int, Need], folded: Collection[int] = ()
) -> Layout:
    """Lay out a window of `size` pixels; `needs` has the panels there are, by number."""

    def px(length: float) -> int:
        return round(length * scale)

    width, height = size
    low = height < px(LOW)
    margin, gap = px(LOW_MARGIN if low else MARGIN), px(LOW_GAP if low else GAP)
    bar = Rect(0, 0, width, px(LOW_BAR if low else BAR))
    bar.bottom = height
    side = min(max(round(_SIDE_SHARE * width), px(_SIDE_LEAST)), px(_SIDE_MOST))
    if width - side - 3 * margin < px(_WORLD_LEAST):
        side = 0
    inner = Rect(margin, margin, width - 2 * margin, bar.top - 2 * margin)
    world = inner.copy()
    panels: dict[int, Rect] = {}
    if side:
        world.width -= side + margin
        column = Rect(inner.right - side, inner.top, side, inner.height)
        panels = _stack(column, gap, scale, needs, folded)
    return Layout(world=world, panels=panels, bar=bar, foot=0, **_transport(bar, scale))


def _stack(
    column: Rect, gap: int, scale: float, needs: Mapping[int, Need], folded: Collection[int]
) -> dict[int, Rect]:
    """Share the column's height: every panel its least, then its natural height, then the rest."""
    title = round(TITLE_ROW * scale)
    heights: dict[int, int] = {}
    left = column.height + gap
    order = [n for n in _IMPORTANCE if n in needs]
    order.sort(key=lambda n: n not in (HEADING, ACTIONS) and not needs[n].urgent)
    for number in order:
        need = needs[number]
        tried = (
            (title,) if number in folded else (*(round(h * scale) for h in (need.least, need.tight)), title)
        )
        for height in filter(None, tried):
            if height + gap <= left:
                heights[number] = height
                left -= height + gap
                break
    is_open = [n for n in heights if n not in folded and heights[n] > title]
    for number in sorted(is_open, key=lambda n: n != SEES):  # lines of text suffer most from a cut
        more = min(left, round(needs[number].natural * scale) - heights[number])
        heights[number] += more
        left -= more
    growing = [n for n in is_open if needs[n].most > needs[n].natural]
    while growing:
        number = min(growing, key=lambda n: round(needs[n].most * scale) - heights[n])
        more = min(left // len(growing), round(needs[number].most * scale) - heights[number])
        heights[number] += more
        left -= more
        growing.remove(number)
    panels: dict[int, Rect] = {}
    top = column.top
    for number in sorted(heights):
        panels[number] = Rect(column.left, top, column.width, heights[number])
        top += heights[number] + gap
    return panels


def _transport(bar: Rect, scale: float) -> dict[str, Rect]:
    """Buttons and speed from the left, who plays and the clock from the right, the track between."""
    places: dict[str, Rect] = {}
    button, gap, margin = (round(length * scale) for length in (_BUTTON, 4, MARGIN))

    def place(name: str, left: int, width: int) -> int:
        places[name] = Rect(left, bar.centery - button // 2, width, button)
        return left + width

    x = bar.left + margin
    for name in ("back", "pause", "forward"):
        x = place(name, x, button) + gap
    x = place("slower", x + margin - gap, round(26 * scale))
    x = place("speed", x, round(50 * scale))
    x = place("faster", x, round(26 * scale))
    who = bar.right - margin - round(72 * scale)
    place("who", who, round(72 * scale))
    clock = who - margin - round(_CLOCK * scale)
    place("clock", clock, round(_CLOCK * scale))
    place("scrubber", x + margin, max(0, clock - gap - x - margin))
    return places

"""Window layout: rectangles of the world, the panels and the transport bar, from the window's size.

Lengths are for a display of scale 1 and multiplied by the scale. Panels that find no room are left
out, the least important first, so that nothing ever overlaps.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

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
_TRACK_LEAST = 120  # what the buttons of the tools leave to the track
_ONE_ROW = 560  # a narrower bar has the track above its buttons

#: Of the panels while the picture has the window's full height: the least holds the buttons below them.
_PRESENTED_SHARE, _PRESENTED_LEAST, _PRESENTED_MOST = 0.34, 336, 620
_PRESENTED = 2  # panels there, beside the heading

HEADING, ACTIONS, VALUE, RETURN, SEES, EPISODES, LEARNING, HUNG, FEET = range(1, 10)
OBSERVATION = FEET  # of an agent that sees frames; a robot's sees none
TARGETS = 10  # which no digit folds
PANELS = (*range(1, 10), TARGETS)
SLIDERS, NEAREST, CONDITIONS = ACTIONS, VALUE, RETURN  # in a gallery, in the places of what it has not
MOVES, LINE = VALUE, RETURN  # of a board game, likewise
OPINIONS, GRAPH, GAME_MOVES, SIDES = ACTIONS, VALUE, RETURN, SEES  # in the analysis of a game
#: Buttons for what a key does, from left to right.
TOOLS = ("scenes", "grid", "explain", "overlay", "record", "present", "help")
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
        tools: name → button, of those that find room.
        whole: whether the world's picture is enlarged by whole factors only.
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
    tools: Mapping[str, Rect] = field(default_factory=dict)
    whole: bool = True

    def with_foot(self, height: int) -> Layout:
        """With so many pixels kept free under the world."""
        world = Rect(self.world.left, self.world.top, self.world.width, self.world.height - height)
        return replace(self, world=world, foot=self.foot + height)

    @property
    def pieces(self) -> dict[str, Rect]:
        """All rectangles that must not overlap, by name."""
        names = ("world", "back", "pause", "forward", "slower", "speed", "faster", "scrubber", "clock", "who")
        return {name: getattr(self, name) for name in names} | {
            f"panel {number}": rect for number, rect in (*self.panels.items(), *self.tools.items())
        }

    @property
    def buttons(self) -> dict[str, Rect]:
        """All buttons of the bar, by name."""
        names = ("back", "pause", "forward", "slower", "faster", "who")
        return {name: getattr(self, name) for name in names} | dict(self.tools)


def title_of(panel: Rect, scale: float) -> Rect:
    """Title row of a panel's rectangle, where a click folds it."""
    return Rect(panel.left, panel.top, panel.width, min(panel.height, round(TITLE_ROW * scale)))


def arrange(
    size: tuple[int, int],
    scale: float,
    needs: Mapping[int, Need],
    folded: Collection[int] = (),
    tools: Sequence[str] = (),
    *,
    presents: bool = False,
) -> Layout:
    """Lay out a window.

    Args:
        size: of the window in pixels.
        scale: pixels that a length of 1 takes.
        needs: of the panels there are, by number.
        folded: numbers of those that show only their title.
        tools: names of the buttons in the bar, the most important first.
        presents: whether the world has the full height, beside the heading and two panels.
    """

    def px(length: float) -> int:
        return round(length * scale)

    width, height = size
    low = height < px(LOW)
    margin, gap = px(LOW_MARGIN if low else MARGIN), px(LOW_GAP if low else GAP)
    side = min(max(round(_SIDE_SHARE * width), px(_SIDE_LEAST)), px(_SIDE_MOST))
    if presents:
        side = min(max(round(_PRESENTED_SHARE * width), px(_PRESENTED_LEAST)), px(_PRESENTED_MOST))
    if width - side - 3 * margin < px(_WORLD_LEAST):
        side = 0
    bar = Rect(0, 0, width, px(LOW_BAR if low else BAR))
    if presents and side:
        return _presentation(Rect(0, 0, *size), side, margin, gap, scale, needs, folded, tools)
    bar.bottom = height
    inner = Rect(margin, margin, width - 2 * margin, bar.top - 2 * margin)
    world = inner.copy()
    panels: dict[int, Rect] = {}
    if side:
        world.width -= side + margin
        column = Rect(inner.right - side, inner.top, side, inner.height)
        panels = _stack(column, gap, scale, needs, folded)
    places, buttons = _transport(bar, scale, tools)
    return Layout(world=world, panels=panels, bar=bar, foot=0, tools=buttons, whole=not presents, **places)


def _presentation(
    window: Rect,
    side: int,
    margin: int,
    gap: int,
    scale: float,
    needs: Mapping[int, Need],
    folded: Collection[int],
    tools: Sequence[str],
) -> Layout:
    """The world at full height; right of it the heading, the most important panels, and the bar."""
    rows = 2 if side < _ONE_ROW * scale else 1
    bar = Rect(window.right - margin - side, 0, side, round(LOW_BAR * scale) * rows)
    bar.bottom = window.bottom - margin
    world = Rect(0, 0, bar.left - margin, window.height)
    column = Rect(bar.left, margin, side, bar.top - 2 * margin)
    kept = [HEADING, *[n for n in _ordered(needs) if n != HEADING][:_PRESENTED]]
    shown = {n: needs[n] for n in kept if n in needs}
    for number, need in shown.items():
        if need.most > need.natural:  # a chart
            shown[number] = replace(need, most=2 * need.most)
    panels = _stack(column, gap, scale, shown, folded)
    places, buttons = _transport(bar, scale, tools)
    return Layout(world=world, panels=panels, bar=bar, foot=0, tools=buttons, whole=False, **places)


def _ordered(needs: Mapping[int, Need]) -> list[int]:
    """Numbers of panels, the most important first."""
    order = [n for n in _IMPORTANCE if n in needs]
    return sorted(order, key=lambda n: n not in (HEADING, ACTIONS) and not needs[n].urgent)


def _stack(
    column: Rect, gap: int, scale: float, needs: Mapping[int, Need], folded: Collection[int]
) -> dict[int, Rect]:
    """Share the column's height: every panel its least, then its natural height, then the rest."""
    title = round(TITLE_ROW * scale)
    heights: dict[int, int] = {}
    left = column.height + gap
    for number in _ordered(needs):
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


def _transport(bar: Rect, scale: float, tools: Sequence[str]) -> tuple[dict[str, Rect], dict[str, Rect]]:
    """Rectangles in the bar, and of those tools that find room.

    Buttons and speed are at the left, who plays, tools and the clock at the right, the track is between. In a
    narrow bar with two rows track, clock and tools are above.
    """
    places: dict[str, Rect] = {}
    button, gap, margin = (round(length * scale) for length in (_BUTTON, 4, MARGIN))
    double = bar.height >= 2 * round(LOW_BAR * scale)
    low = high = bar
    if double:
        high = Rect(bar.left, bar.top, bar.width, bar.height // 2)
        low = high.move(0, high.height)

    def place(name: str, left: int, width: int, row: Rect = low) -> int:
        places[name] = Rect(left, row.centery - button // 2, width, button)
        return left + width

    x = low.left + margin
    for name in ("back", "pause", "forward"):
        x = place(name, x, button) + gap
    x = place("slower", x + margin - gap, round(26 * scale))
    x = place("speed", x, round(50 * scale))
    x = place("faster", x, round(26 * scale)) + margin
    who = low.right - margin - round(72 * scale)
    place("who", who, round(72 * scale))
    end, clock = who - margin, round(_CLOCK * scale)
    if double:
        x, end = bar.left + margin, bar.right - margin
    room = max(0, (end - x - round(_TRACK_LEAST * scale) - clock - 2 * gap) // (button + gap))
    shown = [name for name in TOOLS if name in tools[:room]]
    for name in reversed(shown):
        end -= button
        place(name, end, button, high)
        end -= gap
    buttons = {name: places.pop(name) for name in shown}
    place("clock", end - clock, clock, high)
    place("scrubber", x, max(0, end - clock - gap - x), high)
    return places, buttons

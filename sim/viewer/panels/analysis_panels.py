"""Panels of an analysed game: evaluation of the last move, graph of the expected score, moves, summary."""

from __future__ import annotations

from collections.abc import Hashable

import pygame
from pygame import Rect

from sim.viewer.contract.game_analysis import MARKS, AnalysedMove, GameAnalysis
from sim.viewer.draw import layout
from sim.viewer.draw.card import ROW, Note, height_of, say
from sim.viewer.draw.layout import Need
from sim.viewer.draw.theme import MARK_COLORS, PALETTE, Color, Ink
from sim.viewer.playback.view import Choices, Facts, View

OPINIONS_NEED = Need(height_of(4), height_of(6), height_of(7), urgent=True)
GRAPH_NEED = Need(92, 140, 200)
MOVES_NEED = Need(height_of(3), height_of(6), 4000)
SIDES_NEED = Need(height_of(3), height_of(3), height_of(3))

_LABELS = 64  # width of the column of labels
_NUMBERS = 44  # width of the column of move numbers
_WORDS = {mark: word for _, mark, word in MARKS}


def analysis_of(view: View) -> GameAnalysis | None:
    """The analysis that is shown, or None."""
    return view.moment.analysis if view.moment else None


def key(facts: Facts, choices: Choices, view: View) -> Hashable:
    """Cache key: all that the panels depend on."""
    analysis = analysis_of(view)
    if analysis is None:
        return None
    return analysis.title, analysis.ply, analysis.revision, analysis.status


# Opinions


def draw_opinions(
    surface: pygame.Surface, ink: Ink, inside: Rect, facts: Facts, choices: Choices, view: View
) -> None:
    """Draw the last move's probability by the network and evaluation by search, and the best next move."""
    analysis = analysis_of(view)
    if analysis is None:
        say(surface, ink, inside, "reading the game …")
        return
    last = analysis.moves[analysis.ply - 1] if analysis.ply else None
    following = analysis.moves[analysis.ply] if analysis.ply < len(analysis.moves) else None
    lines: list[tuple[str, str, Color]] = [("", analysis.title, PALETTE.text)]
    lines += _about(last) if last is not None else [("", "first position", PALETTE.muted)]
    if following is not None and following.best:
        lines.append(("next", following.line or following.best, PALETTE.text))
    if analysis.status:
        lines.insert(
            max(1, min(len(lines), inside.height // ink.px(ROW) - 1)), ("", analysis.status, PALETTE.accent)
        )
    for row, (label, text, color) in enumerate(lines[: max(1, inside.height // ink.px(ROW))]):
        y = inside.top + row * ink.px(ROW) + ink.px(ROW) // 2
        left = inside.left
        if label:
            ink.write(surface, label, (left, y), PALETTE.muted)
            left += ink.px(_LABELS)
        ink.write(
            surface, ink.elided(text, inside.right - left, bold=not row), (left, y), color, bold=not row
        )


def _about(move: AnalysedMove) -> list[tuple[str, str, Color]]:
    """Lines about a move: label, text and colour."""
    played = f"{move.number} {move.san}{move.mark}"
    if move.policy is None:
        return [("", f"{played} · not analysed yet", PALETTE.text)]
    color = MARK_COLORS.get(move.mark, PALETTE.text)
    lost = ""
    if move.drop is not None:
        word = f" {_WORDS[move.mark]}," if move.mark else ""
        lost = f" ·{word} {_signed(-move.drop)}"
    favourite = ""
    if move.rank != 1 and move.favourite_policy is not None:
        favourite = f" · favourite {move.favourite} {percent(move.favourite_policy)}"
    lines = [("", f"{played}{lost}", color)]
    lines.append(("network", f"{percent(move.policy)}, {ordinal(move.rank or 0)}{favourite}", PALETTE.text))
    if move.win_before is not None:
        lines.append(("search", move.line or move.best, PALETTE.text))
        after = "" if move.win_after is None else f" → {percent(move.win_after)}"
        lines.append(("score", f"White {percent(move.win_before)}{after}", PALETTE.text))
    return lines


def percent(share: float) -> str:
    """A share in per cent.

    >>> percent(0.123), percent(0.0004), percent(0.0)
    ('12 %', '0.04 %', '0 %')
    """
    value = 100 * share
    return f"{value:.0f} %" if value >= 1 or not value else f"{value:.2g} %"


def ordinal(rank: int) -> str:
    """A place in a ranking.

    >>> [ordinal(rank) for rank in (1, 2, 3, 4, 11, 12, 21, 22)]
    ['1st', '2nd', '3rd', '4th', '11th', '12th', '21st', '22nd']
    """
    teen = rank % 100 in (11, 12, 13)
    return f"{rank}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(rank % 10, 'th')}"


def _signed(value: float) -> str:
    """A difference of expected scores, in points of a hundred.

    >>> _signed(-0.35), _signed(0.01), _signed(0.001)
    ('−35 points', '+1 point', '±0 points')
    """
    points = round(100 * value)
    sign = "±" if not points else "+" if points > 0 else "−"
    return f"{sign}{abs(points)} point{'s' * (abs(points) != 1)}"


# Graph


def graph_note(facts: Facts, choices: Choices, view: View) -> Note:
    """Title note: the expected score of the position shown."""
    analysis = analysis_of(view)
    win = None if analysis is None else analysis.wins[analysis.ply]
    return ("", "" if win is None else percent(win))


def draw_graph(
    surface: pygame.Surface, ink: Ink, inside: Rect, facts: Facts, choices: Choices, view: View
) -> None:
    """Draw White's expected score over the game, White's share filled, marked moves as dots."""
    analysis = analysis_of(view)
    if analysis is None:
        return
    plot = _plot(inside, ink)
    if plot.width < 8 or plot.height < 8:
        return
    surface.fill(PALETTE.raised, plot)
    points = [
        (_x_in(plot, ply, analysis), plot.bottom - 1 - round(win * (plot.height - 1)))
        for ply, win in enumerate(analysis.wins)
        if win is not None
    ]
    if len(points) > 1:
        area = [(points[0][0], plot.bottom - 1), *points, (points[-1][0], plot.bottom - 1)]
        pygame.draw.polygon(surface, PALETTE.muted, area)
        pygame.draw.aalines(surface, PALETTE.text, False, points)
    for share, text in ((1.0, "100"), (0.5, "50"), (0.0, "0")):
        y = plot.bottom - 1 - round(share * (plot.height - 1))
        pygame.draw.line(surface, PALETTE.line, (plot.left, y), (plot.right - 1, y))
        ink.write(surface, text, (plot.left - ink.px(6), y), PALETTE.muted, align="right")
    at = _x_in(plot, analysis.ply, analysis)
    surface.fill(PALETTE.accent, Rect(at - ink.px(1), plot.top, max(1, ink.px(2)), plot.height))
    for ply, move in enumerate(analysis.moves, 1):
        if move.mark and move.win_after is not None:
            y = plot.bottom - 1 - round(move.win_after * (plot.height - 1))
            center = (_x_in(plot, ply, analysis), y)
            pygame.draw.aacircle(surface, PALETTE.panel, center, ink.px(5))
            pygame.draw.aacircle(surface, MARK_COLORS[move.mark], center, ink.px(4))


def _plot(inside: Rect, ink: Ink) -> Rect:
    gutter = ink.width("100") + ink.px(8)
    return Rect(
        inside.left + gutter, inside.top + ink.px(6), inside.width - gutter, inside.height - ink.px(10)
    )


def _x_in(plot: Rect, ply: int, analysis: GameAnalysis) -> int:
    return plot.left + round(ply / max(1, len(analysis.moves)) * (plot.width - 1))


# Moves


def draw_moves(
    surface: pygame.Surface, ink: Ink, inside: Rect, facts: Facts, choices: Choices, view: View
) -> None:
    """Draw the moves in two columns, those that lose expected score in the colour of their mark."""
    analysis = analysis_of(view)
    if analysis is None:
        return
    for ply, rect in _cells(inside, ink, analysis).items():
        move = analysis.moves[ply - 1]
        if rect.left == inside.left + ink.px(_NUMBERS) or ply == 1:
            number = move.number.rstrip("…")
            ink.write(surface, number.rstrip(".") + ".", (inside.left, rect.centery), PALETTE.muted)
        chosen = ply == analysis.ply
        if chosen:
            ink.plate(surface, rect, PALETTE.raised, radius=4)
            ink.plate(surface, rect, PALETTE.accent, radius=4, border=1)
        color = MARK_COLORS.get(move.mark, PALETTE.text if move.policy is not None else PALETTE.muted)
        text = ink.elided(f"{move.san}{move.mark}", rect.width - ink.px(12), bold=chosen)
        ink.write(surface, text, (rect.left + ink.px(6), rect.centery), color, bold=chosen)


def _cells(inside: Rect, ink: Ink, analysis: GameAnalysis) -> dict[int, Rect]:
    """Rectangles of the moves that find room, the present one in the middle, by ply."""
    height = ink.px(ROW)
    shown = max(1, inside.height // height)
    offset = int(analysis.black_begins)
    rows = (len(analysis.moves) + offset + 1) // 2
    present = (max(analysis.ply, 1) - 1 + offset) // 2
    first = min(max(0, present - shown // 2), max(0, rows - shown))
    width = (inside.width - ink.px(_NUMBERS)) // 2
    cells = {}
    for ply in range(1, len(analysis.moves) + 1):
        row, column = divmod(ply - 1 + offset, 2)
        if first <= row < first + shown:
            left = inside.left + ink.px(_NUMBERS) + column * width
            cells[ply] = Rect(left, inside.top + (row - first) * height, width, height)
    return cells


# Summary


def draw_sides(
    surface: pygame.Surface, ink: Ink, inside: Rect, facts: Facts, choices: Choices, view: View
) -> None:
    """Draw a line a side: mean expected score lost a move, and how many moves have each mark."""
    analysis = analysis_of(view)
    if analysis is None:
        return
    marks = [mark for _, mark, _ in reversed(MARKS)]
    step = max(ink.px(34), inside.width // 8)
    columns = [inside.right - step * place for place in (2, 1, 0)]
    y = inside.top + ink.px(ROW) // 2
    mean = columns[0] - ink.px(52)
    ink.write(surface, "a move", (mean, y), PALETTE.muted, align="right")
    for x, mark in zip(columns, marks, strict=True):
        ink.write(surface, mark, (x, y), MARK_COLORS[mark], bold=True, align="right")
    for name, side in zip(("White", "Black"), analysis.sides, strict=True):
        y += ink.px(ROW)
        ink.write(surface, name, (inside.left, y))
        lost = f"{100 * side.mean_drop:.1f} %" if side.moves else "–"
        ink.write(surface, lost, (mean, y), align="right")
        for x, count in zip(columns, side[2:], strict=True):
            ink.write(surface, str(count), (x, y), align="right")


# Input


def ply_at(number: int, inside: Rect, ink: Ink, analysis: GameAnalysis, at: tuple[int, int]) -> int | None:
    """The position that a click into panel `number` asks for; None if it asks for none."""
    if number == layout.GAME_MOVES:
        return next(
            (ply for ply, rect in _cells(inside, ink, analysis).items() if rect.collidepoint(at)), None
        )
    plot = _plot(inside, ink)
    if number == layout.GRAPH and plot.collidepoint(at):
        return round((at[0] - plot.left) / max(1, plot.width - 1) * len(analysis.moves))
    return None

"""Panels beside the world: their registry, and the heading, value, return and episodes panels.

Each panel is a function that draws the inside of a card, and a cache key of what its picture depends on:
`screen` draws a panel again only when its key has changed. The other panels have modules of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np
import pygame
from pygame import Rect

from sim.viewer.draw import charts, layout
from sim.viewer.draw.card import BELOW, KEYCAP, PAD, ROW, Note, height_of, say
from sim.viewer.draw.layout import Need
from sim.viewer.draw.theme import BODY, PALETTE, TITLE, Ink
from sim.viewer.panels import (
    actions,
    analysis_panels,
    condition_panel,
    foot_contact_panel,
    latent_sliders,
    line_panel,
    moves_panel,
    neighbours_panel,
    observation_panel,
    perception_panel,
    samples_panel,
    target_panel,
    time_charts,
    training_panel,
)
from sim.viewer.playback.view import Choices, Facts, View


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel: title, height, cache key and drawing function.

    Attributes:
        title: of the card; "" if the content is its own title.
        need: its height, from the facts.
        key: everything that `draw` depends on.
        draw: draws into a rectangle below the title.
        note: at the right of the title: a few words, left out where narrow, and a number.
    """

    title: str
    need: Callable[[Facts], Need]
    key: Callable[[Facts, Choices, View], Hashable]
    draw: Callable[[pygame.Surface, Ink, Rect, Facts, Choices, View], None]
    note: Callable[[Facts, Choices, View], Note] = lambda facts, choices, view: ("", "")


def draw_panel(
    number: int, surface: pygame.Surface, ink: Ink, facts: Facts, choices: Choices, view: View
) -> None:
    """Draw a whole card over `surface`: ground, title row and, unless folded, the content."""
    panel = panels_for(facts)[number]
    area = surface.get_rect()
    surface.fill(PALETTE.ground)
    ink.plate(surface, area, PALETTE.panel, radius=8)
    folded = number in choices.folded or area.height <= ink.px(layout.TITLE_ROW)
    title = panel.title or (facts.title if folded else "")
    if panel is PANELS[layout.SEES] and not view.perceives:
        title = "Read-outs"
    page = None if view.moment is None else view.moment.page
    if page is not None and page.prompts and number == layout.CONDITIONS:
        title = "Prompt"
    row = Rect(area.left + ink.px(PAD), area.top, area.width - 2 * ink.px(PAD), ink.px(layout.TITLE_ROW))
    middle = row.centery + (0 if folded else ink.px(2))
    cap = Rect(row.right - ink.px(KEYCAP), middle - ink.px(KEYCAP) // 2, *(ink.px(KEYCAP),) * 2)
    if number == layout.TARGETS and "dream" in facts.abilities:
        title = "Dream"
    if number == layout.TARGETS:  # no digit folds it
        cap.left = row.right
    else:
        ink.plate(surface, cap, PALETTE.raised, radius=4)
        ink.write(surface, str(number), cap.center, PALETTE.muted, align="center")
    if title:
        words, figure = panel.note(facts, choices, view)
        title = ink.elided(title, row.width - ink.px(KEYCAP + 8), bold=True)
        free = ink.write(surface, title, (row.left, middle), bold=True).right + ink.px(12)
        x = cap.left - ink.px(8)
        for text, color in ((figure, PALETTE.text), (words, PALETTE.muted)):
            if text and x - ink.width(text) >= free:
                x = ink.write(surface, text, (x, middle), color, align="right").left - ink.px(6)
    if not folded:
        inside = inside_of(area, ink)
        if not panel.title:
            inside.top, inside.height = inside.top - ink.px(18), inside.height + ink.px(18)
        panel.draw(surface, ink, inside, facts, choices, view)


def inside_of(area: Rect, ink: Ink) -> Rect:
    """Content area of an open panel, under its title."""
    pad, top = ink.px(PAD), area.top + ink.px(layout.TITLE_ROW)
    return Rect(area.left + pad, top, area.width - 2 * pad, area.bottom - top - ink.px(BELOW))


def panels_for(facts: Facts) -> dict[int, Panel]:
    """The panels by number: of a world, a robot, a board game, a recorded one, or a gallery."""
    if "analysis" in facts.abilities:
        return ANALYSIS
    if "gallery" in facts.abilities:
        return GALLERY
    if "robot" in facts.abilities:
        return ROBOT
    return BOARD if "board" in facts.abilities else PANELS


def needs(facts: Facts, view: View) -> dict[int, Need]:
    """Heights of the panels to show; those without content, such as percepts or values, are left out."""
    found = {number: panel.need(facts) for number, panel in panels_for(facts).items()}
    if facts.loading:
        return {layout.HEADING: found[layout.HEADING]}
    if "analysis" in facts.abilities:
        return found
    if "gallery" in facts.abilities:
        lacking = {layout.SLIDERS: "latents", layout.CONDITIONS: "conditions"}
        return {
            number: need
            for number, need in found.items()
            if number not in lacking or lacking[number] in facts.abilities
        }
    if training_panel.of(view) is None:
        del found[layout.LEARNING]
    if samples_panel.samples_of(view) is None:
        del found[layout.HUNG]
    if layout.OBSERVATION in found and observation_panel.observation_of(view) is None:
        feet = foot_contact_panel.need(view)
        del found[layout.FEET]
        found |= {layout.FEET: feet} if feet else {}
    if layout.TARGETS in found:
        del found[layout.TARGETS]
        found |= {layout.TARGETS: targets} if (targets := target_panel.need(view)) else {}
    if view.lines:
        rows = min(view.lines, 14 if facts.abilities & {"examples", "twin"} else 6)
        seen = len(view.moment.seen) if view.moment else 0
        least = min(rows, 3, max(seen, 1)) if view.perceives else min(rows, 3)
        high = height_of(rows)
        found[layout.SEES] = Need(height_of(least), high, high, view.perceives, tight=height_of(1))
        if "twin" in facts.abilities:  # what they are about
            found[layout.SEES] = Need(high, high, high, True, tight=height_of(3))
    else:
        del found[layout.SEES]
    if "examples" in facts.abilities:
        kept = {layout.HEADING, layout.SEES, layout.LEARNING}
        return {number: need for number, need in found.items() if number in kept}
    if "board" in facts.abilities:
        return found
    if view.moment is not None and not np.isfinite(view.value).any():
        found[layout.VALUE] = Need(height_of(1), height_of(1), height_of(1))
        if view.lines:  # read-outs of the world need the room more than a panel without values
            del found[layout.VALUE]
    return found


# 1: heading


def _draw_heading(
    surface: pygame.Surface, ink: Ink, inside: Rect, facts: Facts, choices: Choices, view: View
) -> None:
    y = inside.top + ink.px(10)
    title = ink.elided(facts.title, inside.width - ink.px(KEYCAP + 8), TITLE, bold=True)
    ink.write(surface, title, (inside.left, y), size=TITLE, bold=True)
    y += ink.px(27)
    run = training_panel.of(view)
    training = facts.training if run is None else run.training
    line = " · ".join(part for part in (facts.agent, training, facts.place) if part)
    line = line or ("loading …" if facts.loading else "no agent")
    ink.write(surface, ink.elided(line, inside.width, BODY), (inside.left, y), size=BODY)
    y += ink.px(26)
    right, (state, color) = inside.right, training_panel.chip(run)
    if state:
        width = ink.width(state) + ink.px(30)
        dot = _draw_chip(
            surface, ink, Rect(right - width, y - ink.px(10), width, ink.px(21)), state, ink.px(22)
        )
        pygame.draw.aacircle(surface, color, dot, ink.px(4))
        right -= width + ink.px(6)
    if facts.protocol:
        text = ink.elided(facts.protocol, right - inside.left - ink.px(16))
        place = Rect(inside.left, y - ink.px(10), ink.width(text) + ink.px(16), ink.px(21))
        _draw_chip(surface, ink, place, text, ink.px(8))


def _draw_chip(surface: pygame.Surface, ink: Ink, rect: Rect, text: str, indent: int) -> tuple[int, int]:
    """Draw a few words on a rounded plate; returns where a dot before them goes."""
    ink.plate(surface, rect, PALETTE.raised, radius=10)
    ink.write(surface, text, (rect.left + indent, rect.centery), PALETTE.text)
    return rect.left + ink.px(12), rect.centery


# 6: episodes


def _episodes_note(facts: Facts, choices: Choices, view: View) -> Note:
    if not view.episodes_ended:
        return "", ""
    if "board" in facts.abilities:
        return "played", f"{view.episodes_ended:,}"
    return f"mean of {view.episodes_scored:,}", charts.number(view.mean_score)


def _draw_episodes(
    surface: pygame.Surface, ink: Ink, inside: Rect, facts: Facts, choices: Choices, view: View
) -> None:
    if not view.episodes:
        what = "game" if "board" in facts.abilities else "episode"
        say(surface, ink, inside, f"no {what} has ended yet")
        return
    first = inside.left + ink.width("episode")
    board = "board" in facts.abilities
    names = ("game", "result", "moves") if board else ("episode", "return", "length")
    columns = tuple(zip((first, (first + inside.right) // 2, inside.right), names, strict=True))
    height = ink.px(ROW)
    y = inside.top + height // 2 - ink.px(1)
    heads = int(inside.height >= 2 * height)  # where there is one line only, it is an episode's
    if heads:
        for x, name in columns:
            ink.write(surface, name, (x, y), PALETTE.muted, align="right")
        surface.fill(PALETTE.line, Rect(inside.left, inside.top + height - 2, inside.width, 1))
    for row, episode in enumerate(view.episodes[::-1][: max(1, inside.height // height - heads)]):
        y = inside.top + (row + heads) * height + height // 2
        seconds = time_charts.seconds_text(episode.length / facts.steps_per_second)
        cells = (f"{view.episodes_ended - row:,}", charts.number(episode.score), seconds)
        if board:
            cells = (cells[0], episode.outcome or "unfinished", str(episode.length))
        colors = (PALETTE.muted, PALETTE.text, PALETTE.muted)
        if episode.pushed:  # whose return is nobody's score
            cells, colors = (cells[0], "pushed", cells[2]), (PALETTE.muted,) * 3
        for (x, _), cell, color in zip(columns, cells, colors, strict=True):
            ink.write(surface, cell, (x, y), color, align="right")


PANELS: dict[int, Panel] = {
    layout.HEADING: Panel(
        "",
        lambda facts: Need(98, 98, 98) if facts.protocol or "run" in facts.abilities else Need(72, 72, 72),
        lambda facts, choices, view: (
            facts.place,
            training_panel.chip(run := training_panel.of(view)),
            run and run.training,
        ),
        _draw_heading,
    ),
    layout.ACTIONS: Panel("Actions", actions.need, actions.key, actions.draw, actions.note),
    layout.VALUE: Panel(
        "Value",
        lambda facts: time_charts.NEED,
        time_charts.key,
        time_charts.draw_value,
        time_charts.value_note,
    ),
    layout.RETURN: Panel(
        "Return",
        lambda facts: time_charts.NEED,
        time_charts.key,
        time_charts.draw_return,
        time_charts.return_note,
    ),
    layout.SEES: Panel(
        "Perception",
        lambda facts: Need(height_of(1), height_of(3), height_of(3)),
        perception_panel.key,
        perception_panel.draw,
        perception_panel.note,
    ),
    layout.EPISODES: Panel(
        "Episodes",
        lambda facts: Need(height_of(1), height_of(4), 4000),
        lambda facts, choices, view: view.episodes_ended,
        _draw_episodes,
        _episodes_note,
    ),
    layout.LEARNING: Panel(
        "Training",
        lambda facts: Need(92, 132, 160),
        training_panel.key,
        training_panel.draw,
        training_panel.note,
    ),
    layout.HUNG: Panel(
        "Samples", lambda facts: samples_panel.NEED, samples_panel.key, samples_panel.draw, samples_panel.note
    ),
    layout.TARGETS: Panel(
        "Target", lambda facts: Need(0, 0, 0), target_panel.key, target_panel.draw, target_panel.note
    ),
    layout.OBSERVATION: Panel(
        "Agent's input",
        lambda facts: observation_panel.NEED,
        observation_panel.key,
        observation_panel.draw,
        observation_panel.note,
    ),
}

ROBOT: dict[int, Panel] = PANELS | {
    layout.FEET: Panel(
        "Foot contact",
        lambda facts: Need(0, 0, 0),  # see `needs`: it follows from the number of feet
        foot_contact_panel.key,
        foot_contact_panel.draw,
        foot_contact_panel.note,
    ),
}

GALLERY: dict[int, Panel] = {
    layout.HEADING: PANELS[layout.HEADING],
    layout.SLIDERS: Panel(
        "Latent axes",
        lambda facts: latent_sliders.NEED,
        latent_sliders.key,
        latent_sliders.draw,
        latent_sliders.note,
    ),
    layout.NEAREST: Panel(
        "Nearest training examples",
        lambda facts: neighbours_panel.NEED,
        neighbours_panel.key,
        neighbours_panel.draw,
        neighbours_panel.note,
    ),
    layout.CONDITIONS: Panel(
        "Condition",
        lambda facts: condition_panel.NEED,
        condition_panel.key,
        condition_panel.draw,
        condition_panel.note,
    ),
    layout.SEES: PANELS[layout.SEES],
}


#: The charts whose points can be read and saved.
CHARTS: dict[int, Callable[[Facts, View], charts.Points | None]] = {
    layout.VALUE: time_charts.value_points,
    layout.RETURN: time_charts.return_points,
    layout.LEARNING: training_panel.points,
}


def charted(facts: Facts, view: View) -> dict[int, charts.Points]:
    """The points of every chart that has some, by the number of its panel."""
    shown = panels_for(facts)
    found = {number: CHARTS[number](facts, view) for number in CHARTS if shown.get(number) is PANELS[number]}
    return {number: points for number, points in found.items() if points is not None}


def _draw_considered(
    surface: pygame.Surface, ink: Ink, inside: Rect, facts: Facts, choices: Choices, view: View
) -> None:
    """Draw the moves that a decision ranks; without one, say so instead of listing all legal moves."""
    options = view.moment.options if view.moment else None
    board = view.moment.board if view.moment else None
    if board is not None and board.result:
        say(surface, ink, inside, "the game is over")
    elif options is not None and options.shown and not options.measure:
        say(surface, ink, inside, "nobody has ranked the moves of this position")
    else:
        actions.draw(surface, ink, inside, facts, choices, view)


BOARD: dict[int, Panel] = PANELS | {
    layout.ACTIONS: Panel(
        "Moves considered",
        lambda facts: Need(height_of(2), height_of(5), height_of(5)),
        actions.key,
        _draw_considered,
        actions.note,
    ),
    layout.MOVES: Panel(
        "Moves", lambda facts: moves_panel.NEED, moves_panel.key, moves_panel.draw, moves_panel.note
    ),
    layout.LINE: Panel(
        "Evaluation and line",
        lambda facts: line_panel.NEED,
        line_panel.key,
        line_panel.draw,
        line_panel.note,
    ),
    layout.EPISODES: Panel(
        "Games",
        lambda facts: Need(height_of(1), height_of(2), height_of(4)),
        lambda facts, choices, view: view.episodes_ended,
        _draw_episodes,
        _episodes_note,
    ),
}

ANALYSIS: dict[int, Panel] = {
    layout.HEADING: PANELS[layout.HEADING],
    layout.OPINIONS: Panel(
        "Move",
        lambda facts: analysis_panels.OPINIONS_NEED,
        analysis_panels.key,
        analysis_panels.draw_opinions,
    ),
    layout.GRAPH: Panel(
        "White's expected score",
        lambda facts: analysis_panels.GRAPH_NEED,
        analysis_panels.key,
        analysis_panels.draw_graph,
        analysis_panels.graph_note,
    ),
    layout.GAME_MOVES: Panel(
        "Moves",
        lambda facts: analysis_panels.MOVES_NEED,
        analysis_panels.key,
        analysis_panels.draw_moves,
    ),
    layout.SIDES: Panel(
        "Expected score lost",
        lambda facts: analysis_panels.SIDES_NEED,
        analysis_panels.key,
        analysis_panels.draw_sides,
    ),
}

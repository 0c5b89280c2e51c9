"""Line panel (4) of a board game: win, draw and loss in numbers, and the principal variation."""

from __future__ import annotations

from collections.abc import Hashable

import pygame
from pygame import Rect

from sim.viewer.contract.board import BoardState, Evaluation
from sim.viewer.draw.card import ROW, Note, height_of, say
from sim.viewer.draw.layout import Need
from sim.viewer.draw.theme import PALETTE, Ink
from sim.viewer.playback.view import Choices, Facts, View

NEED = Need(height_of(2), height_of(3), height_of(3))


def _board(view: View) -> BoardState | None:
    return view.moment.board if view.moment else None


def note(facts: Facts, choices: Choices, view: View) -> Note:
    """Title note: where the evaluation comes from."""
    board = _board(view)
    if board is None or not choices.analysis:
        return "", ""
    if board.thinking:
        return "", board.thinking
    return ("", board.evaluation.source) if board.evaluation is not None else ("", "")


def key(facts: Facts, choices: Choices, view: View) -> Hashable:
    """Cache key: all that `draw` depends on."""
    board = _board(view)
    return choices.analysis, board and (board.evaluation, board.line, board.thinking, board.result)


def draw(surface: pygame.Surface, ink: Ink, inside: Rect, facts: Facts, choices: Choices, view: View) -> None:
    """Draw the inside of the panel."""
    board = _board(view)
    if board is None:
        return
    if not choices.analysis:
        say(surface, ink, inside, "analysis is off: O shows it")
        return
    if board.evaluation is None and not board.line:
        say(surface, ink, inside, "searching …" if board.thinking else "no evaluation of this position")
        return
    y = inside.top + ink.px(ROW) // 2
    if board.evaluation is not None:
        text = ink.elided(in_words(board.evaluation), inside.width)
        ink.write(surface, text, (inside.left, y))
        y += ink.px(ROW)
    lines = ink.wrapped(board.line, inside.width) if board.line else [board.result or "no search, so no line"]
    room = max(1, (inside.bottom - y + ink.px(ROW) // 2) // ink.px(ROW))
    if len(lines) > room:
        lines = [*lines[: room - 1], ink.elided(f"{lines[room - 1]} …", inside.width)]
    for line in lines:
        ink.write(surface, line, (inside.left, y), PALETTE.muted)
        y += ink.px(ROW)


def in_words(evaluation: Evaluation) -> str:
    """Evaluation in numbers.

    >>> in_words(Evaluation(0.5, 0.3, 0.2))
    'White 50 % · draw 30 % · Black 20 %'
    """
    if not evaluation.exact:
        return f"White's expected score {100 * evaluation.score:.0f} %"
    win, draw, loss = (100 * p for p in (evaluation.win, evaluation.draw, evaluation.loss))
    return f"White {win:.0f} % · draw {draw:.0f} % · Black {loss:.0f} %"

"""Moves panel (3) of a board game: the moves in two numbered columns, the result, and buttons below."""

from __future__ import annotations

from collections.abc import Hashable

import pygame
from pygame import Rect

from sim.viewer.contract.board import BoardState
from sim.viewer.draw.card import ROW, Note, height_of, say
from sim.viewer.draw.layout import Need
from sim.viewer.draw.theme import PALETTE, Ink
from sim.viewer.keymap import Command
from sim.viewer.playback.view import Choices, Facts, View

BUTTON = 28  # height of a button
_GAP = 6
_NUMBERS = 34  # width of the column of numbers
NEED = Need(height_of(3) + BUTTON + _GAP, height_of(8) + BUTTON + _GAP, 4000, urgent=True)

#: Buttons: what is written on them, the same where they are narrow, the command, the ability they need.
BUTTONS: tuple[tuple[str, str, Command, str], ...] = (
    ("New game", "New", Command.NEW_GAME, "table"),
    ("Take back", "Undo", Command.TAKE_BACK, "table"),
    ("Flip", "Flip", Command.FLIP, "flip"),
    ("Analysis", "Eval", Command.PERCEPTS, "board"),
)


def shown_game(view: View) -> tuple[BoardState | None, int]:
    """The game whose moves are listed, and how many of them lead to the moment shown."""
    board = view.moment.board if view.moment else None
    if board is None:
        return None, 0
    newest = view.game
    if newest is not None and newest.game == board.game and newest.moves[: board.ply] == board.moves:
        return newest, board.ply
    return board, board.ply


def note(facts: Facts, choices: Choices, view: View) -> Note:
    """Title note: how many moves there are."""
    board, _ = shown_game(view)
    return ("", "") if board is None or not board.moves else ("plies", str(len(board.moves)))


def key(facts: Facts, choices: Choices, view: View) -> Hashable:
    """Cache key: all that `draw` depends on."""
    board, ply = shown_game(view)
    if board is None:
        return None
    return board.moves, ply, board.result, board.first_number, board.black_begins, choices.analysis


def draw(surface: pygame.Surface, ink: Ink, inside: Rect, facts: Facts, choices: Choices, view: View) -> None:
    """Draw the inside of the panel."""
    board, ply = shown_game(view)
    for command, rect in buttons(inside, ink, facts).items():
        wide, narrow = next((wide, narrow) for wide, narrow, one, _ in BUTTONS if one is command)
        lit = command is Command.PERCEPTS and choices.analysis
        ink.plate(surface, rect, PALETTE.raised, radius=5)
        room = rect.width - ink.px(6)
        label = wide if ink.width(wide) <= room else ink.elided(narrow, room)
        ink.write(surface, label, rect.center, PALETTE.text if lit else PALETTE.muted, align="center")
        if lit:
            surface.fill(
                PALETTE.accent,
                Rect(rect.left + ink.px(8), rect.bottom - ink.px(4), rect.width - ink.px(16), ink.px(2)),
            )
    listed = list_area(inside, ink)
    if board is None or not (board.moves or board.result):
        say(surface, ink, listed, "no move yet")
        return
    first = first_row(listed, ink, board, ply)
    rows = listed.height // ink.px(ROW)
    for row in range(rows):
        _draw_row(surface, ink, listed, row, first + row, board, ply)


def _draw_row(
    surface: pygame.Surface, ink: Ink, listed: Rect, row: int, number: int, board: BoardState, ply: int
) -> None:
    y = listed.top + row * ink.px(ROW) + ink.px(ROW) // 2
    if number == row_count(board) - 1 and board.result:
        ink.write(surface, ink.elided(board.result, listed.width, bold=True), (listed.left, y), bold=True)
        return
    offset = int(board.black_begins)
    if 2 * number - offset >= len(board.moves):
        return
    ink.write(surface, f"{board.first_number + number}.", (listed.left, y), PALETTE.muted)
    for column in (0, 1):
        index = 2 * number + column - offset
        cell = _cell(listed, ink, row, column)
        if index < 0:
            ink.write(surface, "…", (cell.left + ink.px(6), y), PALETTE.muted)
        elif index < len(board.moves):
            current = index == ply - 1
            if current:
                ink.plate(surface, cell.inflate(-ink.px(2), -ink.px(2)), PALETTE.accent, radius=4)
            color = PALETTE.on_accent if current else PALETTE.text
            san = ink.elided(board.moves[index].san, cell.width - ink.px(12), bold=current)
            ink.write(surface, san, (cell.left + ink.px(6), y), color, bold=current)


def row_count(board: BoardState) -> int:
    """Rows of the list: a pair of moves each, and the result."""
    return (len(board.moves) + int(board.black_begins) + 1) // 2 + bool(board.result)


def first_row(listed: Rect, ink: Ink, board: BoardState, ply: int) -> int:
    """The first row that is visible, so that the present move is, and at the end the result too."""
    rows = max(1, listed.height // ink.px(ROW))
    total = row_count(board)
    current = max(0, (ply - 1 + int(board.black_begins)) // 2)
    if ply == len(board.moves):
        return max(0, total - rows)
    return min(max(0, current - rows // 2), max(0, total - rows))


def move_at(inside: Rect, ink: Ink, view: View, at: tuple[int, int]) -> int | None:
    """Number of the moment of the move under the mouse; None beside all moves."""
    board, ply = shown_game(view)
    listed = list_area(inside, ink)
    if board is None or not listed.collidepoint(at):
        return None
    row = (at[1] - listed.top) // ink.px(ROW)
    number = first_row(listed, ink, board, ply) + row
    for column in (0, 1):
        index = 2 * number + column - int(board.black_begins)
        if 0 <= index < len(board.moves) and _cell(listed, ink, row, column).collidepoint(at):
            return board.moves[index].moment
    return None


def list_area(inside: Rect, ink: Ink) -> Rect:
    """The part of the panel that has the moves."""
    return Rect(inside.left, inside.top, inside.width, max(0, inside.height - ink.px(BUTTON + _GAP)))


def buttons(inside: Rect, ink: Ink, facts: Facts) -> dict[Command, Rect]:
    """Rectangles of the buttons that this show has."""
    found = [command for *_, command, needs in BUTTONS if needs in facts.abilities]
    gap, count = ink.px(_GAP), max(1, len(found))
    width = (inside.width - gap * (count - 1)) // count
    top = inside.bottom - ink.px(BUTTON)
    return {
        command: Rect(inside.left + i * (width + gap), top, width, ink.px(BUTTON))
        for i, command in enumerate(found)
    }


def _cell(listed: Rect, ink: Ink, row: int, column: int) -> Rect:
    left = listed.left + ink.px(_NUMBERS)
    width = (listed.right - left) // 2
    return Rect(left + column * width, listed.top + row * ink.px(ROW), width, ink.px(ROW))

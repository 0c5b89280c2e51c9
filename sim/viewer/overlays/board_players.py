"""Players of a board game above and below its board, their clocks, and the evaluation bar beside it."""

from __future__ import annotations

import pygame
from pygame import Rect

from sim.viewer.contract.board import BLACK, WHITE, BoardState, Evaluation, clock_text
from sim.viewer.draw.theme import BODY, PALETTE, SMALL, Color, Ink

SIDES: tuple[Color, Color] = ((236, 229, 214), (66, 66, 70))  # as the pieces are
DRAW: Color = (128, 132, 132)

_CLOCK = 2.2  # width of a clock, in heights of the strip
_BAR = 16  # width of the evaluation bar at scale 1
_GAP = 6


def draw_players(
    surface: pygame.Surface, ink: Ink, picture: Rect, factor: float, board: BoardState, now: float
) -> None:
    """Draw names and clocks into the strips of `picture`, shown `factor` times as large."""
    top, bottom = round(board.board[1] * factor), round(board.board[3] * factor)
    strips = (
        Rect(picture.left, picture.top + bottom, picture.width, picture.height - bottom),
        Rect(picture.left, picture.top, picture.width, top),
    )
    for side in (WHITE, BLACK):
        below = (side == WHITE) == board.white_at_bottom
        strip = strips[0] if below else strips[1]
        _draw_name(surface, ink, strip, round(board.room[side] * factor), board, side)
        if board.clocks is not None:
            _draw_clock(surface, ink, strip, board.clocks.at(now)[side], running=board.clocks.running == side)


def _draw_name(
    surface: pygame.Surface, ink: Ink, strip: Rect, room: int, board: BoardState, side: int
) -> None:
    """Draw a disc of the side's colour, ringed while it is to move, the name, and the material ahead."""
    size = BODY if strip.height >= ink.px(28) else SMALL
    moves = board.to_move == side
    radius = ink.px(6 if size == BODY else 5)
    centre = (strip.left + radius + ink.px(3), strip.centery)
    if moves:
        pygame.draw.aacircle(surface, PALETTE.accent, centre, radius + ink.px(3))
        pygame.draw.aacircle(surface, PALETTE.ground, centre, radius + ink.px(1))
    pygame.draw.aacircle(surface, PALETTE.line, centre, radius)
    pygame.draw.aacircle(surface, SIDES[side], centre, radius - 1)
    left = centre[0] + radius + ink.px(9)
    ahead = board.lead if side == WHITE else -board.lead
    lead = f"+{ahead}" if ahead > 0 else ""
    width = room - (left - strip.left) - ink.px(8)
    free = width - (ink.width(lead, size) + ink.px(8) if lead else 0)
    name = ink.elided(board.names[side], max(0, free), size, bold=moves)
    at = (left, strip.centery)
    color = PALETTE.text if moves else PALETTE.muted
    written = ink.write(surface, name, at, color, size, bold=moves)
    if lead and ink.width(lead, size) <= width:
        ink.write(surface, lead, (written.right + ink.px(8), strip.centery), PALETTE.muted, size)


def _draw_clock(surface: pygame.Surface, ink: Ink, strip: Rect, seconds: float, *, running: bool) -> None:
    width, pad = round(_CLOCK * strip.height), ink.px(2)
    plate = Rect(strip.right - width + ink.px(4), strip.top + pad, width - ink.px(4), strip.height - 2 * pad)
    ink.plate(surface, plate, PALETTE.accent if running else PALETTE.raised, radius=4)
    size = BODY if strip.height >= ink.px(28) else SMALL
    color = PALETTE.on_accent if running else PALETTE.text
    ink.write(surface, clock_text(seconds), plate.center, color, size, bold=True, align="center")


def bar_place(ink: Ink, picture: Rect, factor: float, board: BoardState, area: Rect) -> Rect | None:
    """Where the evaluation bar stands: left of the squares, as high as they; None without room."""
    room = picture.left - area.left - ink.px(_GAP)
    width = min(ink.px(_BAR), room)
    if width < ink.px(8):
        return None
    top, bottom = round(board.board[1] * factor), round(board.board[3] * factor)
    return Rect(picture.left - ink.px(_GAP) - width, picture.top + top, width, bottom - top)


def draw_evaluation(
    surface: pygame.Surface, ink: Ink, bar: Rect, evaluation: Evaluation | None, *, white_below: bool
) -> None:
    """Draw win, draw and loss from White's end up, and White's expected score in percent under the bar."""
    if evaluation is None:
        ink.plate(surface, bar, PALETTE.line, radius=3, border=1)
        return
    win, loss = round(evaluation.win * bar.height), round(evaluation.loss * bar.height)
    surface.fill(DRAW, bar)
    ends = (Rect(bar.left, bar.bottom - win, bar.width, win), Rect(bar.left, bar.top, bar.width, loss))
    if not white_below:
        ends = (Rect(bar.left, bar.top, bar.width, win), Rect(bar.left, bar.bottom - loss, bar.width, loss))
    surface.fill(SIDES[WHITE], ends[0])
    surface.fill(SIDES[BLACK], ends[1])
    surface.fill(PALETTE.accent, Rect(bar.left, bar.centery, bar.width, max(1, ink.px(1))))
    text = f"{100 * evaluation.score:.0f}"
    at = (bar.centerx, bar.bottom + ink.px(11))
    ink.write(surface, text, at, PALETTE.text, align="center")

"""Arrows over a board for the moves most searched, the premove's squares, and pieces that glide."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import pygame
from pygame import Rect

from sim.viewer.contract.board import BoardState, MoveArrow, Slide
from sim.viewer.draw.theme import PALETTE, Color, Ink

ARROW: Color = (0, 90, 160)
PREMOVE: Color = (40, 110, 190)

_OVERSAMPLE = 2


def draw_arrows(surface: pygame.Surface, ink: Ink, picture: Rect, factor: float, board: BoardState) -> None:
    """Draw an arrow for each move that the search considers: the more visits, the wider and darker."""
    if not board.arrows:
        return
    left, top, right, bottom = (round(edge * factor) for edge in board.board)
    squares = Rect(picture.left + left, picture.top + top, right - left, bottom - top)
    surface.blit(_arrows(board.arrows, squares.width, board.white_at_bottom), squares)
    for arrow in reversed(board.arrows):  # the most visited last, on top
        (x0, y0), (x1, y1) = (
            _middle(square, squares.width, board.white_at_bottom) for square in (arrow.start, arrow.end)
        )
        text = short_count(arrow.visits)
        plate = Rect(0, 0, ink.width(text, bold=True) + ink.px(8), ink.px(16))
        plate.center = (squares.left + round((x0 + x1) / 2), squares.top + round((y0 + y1) / 2))
        ink.plate(surface, plate, PALETTE.ground, radius=4)
        ink.write(surface, text, plate.center, PALETTE.text, bold=True, align="center")


def short_count(count: int) -> str:
    """A count in at most four characters.

    >>> short_count(812), short_count(12_345), short_count(2_400_000)
    ('812', '12k', '2M')
    """
    if count < 1_000:
        return str(count)
    return f"{count // 1_000}k" if count < 1_000_000 else f"{count // 1_000_000}M"


def draw_premove(surface: pygame.Surface, picture: Rect, factor: float, board: BoardState) -> None:
    """Tint the two squares of a move that waits for its turn."""
    for square in board.premove or ():
        left, top, side = (round(length * factor) for length in board.corner(square))
        tint = pygame.Surface((side, side), pygame.SRCALPHA)
        tint.fill((*PREMOVE, 130))
        surface.blit(tint, (picture.left + left, picture.top + top))


def draw_slide(surface: pygame.Surface, picture: Rect, slide: Slide, fraction: float) -> None:
    """Draw the board with its pieces on their way; `fraction` of it is done."""
    still, pieces = _slide_surfaces(slide)
    factor = picture.width / still.get_width()
    if still.get_size() == picture.size:
        surface.blit(still, picture)
    else:
        surface.blit(pygame.transform.smoothscale(still, picture.size), picture)
    eased = fraction * fraction * (3 - 2 * fraction)
    for image, (_, x0, y0, x1, y1) in zip(pieces, slide.pieces, strict=True):
        x, y = x0 + (x1 - x0) * eased, y0 + (y1 - y0) * eased
        if factor != 1:
            size = (round(image.get_width() * factor), round(image.get_height() * factor))
            image = pygame.transform.smoothscale(image, size)
        at = (picture.left + round(x * factor), picture.top + round(y * factor))
        surface.blit(image, at, special_flags=pygame.BLEND_PREMULTIPLIED)


@lru_cache(maxsize=1)
def _slide_surfaces(slide: Slide) -> tuple[pygame.Surface, tuple[pygame.Surface, ...]]:
    """The still picture and the moving pieces as surfaces, drawn once a slide."""
    picture = np.ascontiguousarray(slide.still())
    height, width = picture.shape[:2]
    still = pygame.image.frombytes(picture.tobytes(), (width, height), "RGB")
    pieces = []
    for draw, *_ in slide.pieces:
        sprite = draw()
        rgba = np.concatenate([sprite[..., :3], 255 * sprite[..., 3:]], axis=-1)
        content = np.clip(rgba + 0.5, 0, 255).astype(np.uint8).tobytes()
        pieces.append(pygame.image.frombytes(content, (sprite.shape[1], sprite.shape[0]), "RGBA"))
    return still, tuple(pieces)


def _middle(square: int, side: int, white_at_bottom: bool) -> tuple[float, float]:
    column, row = square % 8, 7 - square // 8
    if not white_at_bottom:
        column, row = 7 - column, 7 - row
    return (column + 0.5) * side / 8, (row + 0.5) * side / 8


@lru_cache(maxsize=8)
def _arrows(arrows: tuple[MoveArrow, ...], side: int, white_at_bottom: bool) -> pygame.Surface:
    """All arrows on a transparent square of `side` pixels."""
    fine = side * _OVERSAMPLE
    layer = pygame.Surface((fine, fine), pygame.SRCALPHA)
    layer.fill((*ARROW, 0))
    for arrow in reversed(arrows):
        weight = math.sqrt(max(0.0, min(1.0, arrow.share)))
        color = (*ARROW, round(70 + 150 * weight))
        start = _middle(arrow.start, fine, white_at_bottom)
        end = _middle(arrow.end, fine, white_at_bottom)
        pygame.draw.polygon(layer, color, _outline(start, end, fine / 8 * (0.06 + 0.16 * weight), fine / 8))
    return pygame.transform.smoothscale(layer, (side, side))


def _outline(
    start: tuple[float, float], end: tuple[float, float], width: float, cell: float
) -> list[tuple[float, float]]:
    """Corners of an arrow whose shaft is `width` wide."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy) or 1.0
    ux, uy = dx / length, dy / length
    head = min(0.42 * cell, 0.6 * length)
    half, wing = width / 2, max(0.16 * cell, width)
    begin = 0.22 * cell
    neck = length - head

    def at(along: float, across: float) -> tuple[float, float]:
        return start[0] + ux * along - uy * across, start[1] + uy * along + ux * across

    return [
        at(begin, half),
        at(neck, half),
        at(neck, wing),
        at(length, 0),
        at(neck, -wing),
        at(neck, -half),
        at(begin, -half),
    ]

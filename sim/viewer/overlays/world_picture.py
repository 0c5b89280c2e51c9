"""Drawing of the world's picture with the perception overlay, or of all worlds in a grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pygame
from pygame import Rect

from sim.records import Array
from sim.viewer.contract.board import BoardState
from sim.viewer.contract.moment import Moment, PictureLabel, Role
from sim.viewer.draw.charts import number
from sim.viewer.draw.theme import PAIR, PALETTE, Ink, canvas
from sim.viewer.overlays import split_view
from sim.viewer.overlays.board_players import bar_place, draw_evaluation, draw_players
from sim.viewer.overlays.boxes import Tag, draw_tags
from sim.viewer.overlays.move_arrows import draw_arrows, draw_premove, draw_slide
from sim.viewer.overlays.percept_overlay import covers, draw_percept_overlay
from sim.viewer.overlays.robot_overlay import draw_robot, draw_robot_legend
from sim.viewer.overlays.saliency_overlay import draw_saliency
from sim.viewer.playback.attribution import Attributed
from sim.viewer.playback.view import Split, View

_CAPTION = 20  # height of the line under each picture of a grid
_GRID_GAP = 10
_TILE_SHAPE = 4 / 3


def place(size: tuple[int, int], area: Rect, *, whole: bool = True) -> Rect:
    """Rectangle of a picture of `size`: centred, at the largest (whole) factor that fits, else shrunk.

    >>> place((160, 210), Rect(0, 0, 500, 500))
    Rect(90, 40, 320, 420)
    """
    factor = min(area.width / size[0], area.height / size[1])
    if factor >= 1 and whole:
        factor = math.floor(factor)
    rect = Rect(0, 0, max(1, int(size[0] * factor)), max(1, int(size[1] * factor)))
    rect.center = area.center
    return rect


def draw_world(
    surface: pygame.Surface,
    ink: Ink,
    area: Rect,
    view: View,
    *,
    percepts: bool = True,
    analysis: bool = True,
    robot: bool = False,
    still: bool = False,
    split: Split = "off",
    divider: float = 0.5,
    whole: bool = True,
) -> Rect:
    """Draw the first world and what lies over it; returns its picture's rectangle.

    Args:
        surface: drawn on.
        ink: for the text.
        area: where.
        view: the moment.
        percepts: whether the perception overlay is drawn.
        analysis: whether evaluation and arrows of a board game are drawn.
        robot: whether contacts, forces and torques of a robot are drawn; a push always is.
        still: whether the picture stands, so that there is time to read figures in it.
        split: what stands beside the map of a percept, at the size of the picture.
        divider: where the line between the two stands, a share of the width.
        whole: whether it is enlarged by a whole factor only.
    """
    assert view.moment is not None
    picture, board = view.moment.pictures[0], view.moment.board
    rect = place((picture.shape[1], picture.shape[0]), area, whole=whole)
    halved = split_view.dense(view.moment.seen) if percepts and split != "off" else None
    if board is not None and board.slide is not None and view.slid < 1:
        draw_slide(surface, rect, board.slide, view.slid)
    else:
        tinted = percepts and covers(view.moment.seen) and halved is None
        blit(surface, picture, rect, view.attributed, grey=tinted, smooth=view.moment.robot is not None)
    if halved is not None:
        split_view.draw_split(surface, ink, rect, picture, halved, split, divider)
    if board is not None:
        _draw_board(surface, ink, area, rect, view, board, analysis=analysis)
    if view.moment.robot is not None:
        _draw_robot(surface, ink, rect, view.moment, robot=robot, percepts=percepts, still=still)
    _draw_roles(surface, ink, rect, rect.width / picture.shape[1], view.moment.roles)
    _draw_labels(surface, ink, rect, rect.width / picture.shape[1], view.moment.labels)
    if percepts:
        factor = rect.width / picture.shape[1]
        draw_percept_overlay(surface, ink, area, rect, factor, view.moment.seen, halved)
    return rect


def _draw_robot(
    surface: pygame.Surface, ink: Ink, rect: Rect, moment: Moment, *, robot: bool, percepts: bool, still: bool
) -> None:
    """Draw what acts on a robot; where percepts are drawn, nothing but a push, for both would be a tangle."""
    assert moment.robot is not None
    if robot and not (percepts and moment.seen):
        draw_robot(surface, ink, rect, moment.robot, figures=still)
        draw_robot_legend(surface, ink, rect, moment.robot)
    else:
        draw_robot(surface, ink, rect, replace(moment.robot, contacts=(), joints=()))


def _draw_roles(surface: pygame.Surface, ink: Ink, rect: Rect, factor: float, roles: Sequence[Role]) -> None:
    """Write beside each object who moves it."""
    tags = []
    for name, (x0, y0, x1, y1) in roles:
        frame = Rect(rect.left + round(x0 * factor), rect.top + round(y0 * factor), 0, 0)
        frame.size = round((x1 - x0) * factor), round((y1 - y0) * factor)
        color = PALETTE.accent if name == "YOU" else PALETTE.text
        tags.append(Tag(name, color, frame.inflate(ink.px(8), ink.px(8))))
    draw_tags(surface, ink, rect, tags)


def _draw_labels(
    surface: pygame.Surface, ink: Ink, rect: Rect, factor: float, labels: Sequence[PictureLabel]
) -> None:
    """Write the lines that a picture of several parts has over them."""
    for text, left, middle, width in labels:
        at = rect.left + round(left * factor), rect.top + round(middle * factor)
        ink.write(surface, ink.elided(text, round(width * factor)), at, PALETTE.muted)


def _draw_board(
    surface: pygame.Surface,
    ink: Ink,
    area: Rect,
    rect: Rect,
    view: View,
    board: BoardState,
    *,
    analysis: bool,
) -> None:
    """Draw what belongs to a board game: players, clocks, premove, and its analysis."""
    assert view.moment is not None
    factor = rect.width / view.moment.pictures[0].shape[1]
    draw_premove(surface, rect, factor, board)
    now = view.now
    if board.clocks is not None and view.number < view.newest:
        now = board.clocks.since  # clocks of the past stand
    draw_players(surface, ink, rect, factor, board, now)
    bar = bar_place(ink, rect, factor, board, area)
    if analysis and bar is not None:
        draw_evaluation(surface, ink, bar, board.evaluation, white_below=board.white_at_bottom)
    if analysis and view.slid >= 1:
        draw_arrows(surface, ink, rect, factor, board)


def tile_size(ink: Ink, area: Rect, count: int) -> tuple[int, int]:
    """Size of each of `count` pictures that are made for a grid in `area` and so need no scaling."""
    _, tile = _tiles(ink, area, count, _TILE_SHAPE)
    return max(1, tile.width), max(1, tile.height)


def _tiles(ink: Ink, area: Rect, count: int, shape: float) -> tuple[int, Rect]:
    """Columns in which `count` pictures, `shape` times as wide as high, are largest; and the room of each."""
    caption, gap = ink.px(_CAPTION), ink.px(_GRID_GAP)

    def tile(columns: int) -> Rect:
        rows = -(-count // columns)
        return Rect(0, 0, (area.width + gap) // columns - gap, (area.height + gap) // rows - gap - caption)

    def height(columns: int) -> float:
        room = tile(columns)
        return min(room.width / shape, room.height)

    columns = max(range(1, count + 1), key=height)
    return columns, tile(columns)


def draw_grid(surface: pygame.Surface, ink: Ink, area: Rect, view: View) -> list[Rect]:
    """Draw all worlds, each with its running return; returns the rectangles of the pictures."""
    assert view.moment is not None
    pictures = view.moment.pictures
    height, width = pictures[0].shape[:2]
    caption, gap = ink.px(_CAPTION), ink.px(_GRID_GAP)
    columns, tile = _tiles(ink, area, len(pictures), width / height)
    if tile.width < 1 or tile.height < 1:
        return []
    size = place((width, height), tile, whole=False).size  # packed closely, however wide the tiles are
    rows = -(-len(pictures) // columns)
    block = Rect(0, 0, columns * (size[0] + gap) - gap, rows * (size[1] + caption + gap) - gap)
    block.center = area.center
    rects = []
    for i, picture in enumerate(pictures):
        row, column = divmod(i, columns)
        rect = Rect(block.left + column * (size[0] + gap), block.top + row * (size[1] + caption + gap), *size)
        where = place((picture.shape[1], picture.shape[0]), rect, whole=False)
        blit(surface, picture, where, smooth=view.moment.robot is not None)
        names, left = view.moment.names, rect.left
        if names:
            pygame.draw.aacircle(surface, PAIR[i], (left + ink.px(4), rect.bottom + caption // 2), ink.px(4))
            left += ink.px(14)
        text = ink.elided(names[i] if names else f"{i + 1}", rect.right - left)
        ink.write(surface, text, (left, rect.bottom + caption // 2), PALETTE.muted)
        score = number(float(view.moment.score[i]))
        if ink.width(text) + ink.width(score) + ink.px(8) <= rect.right - left:
            ink.write(surface, score, (rect.right, rect.bottom + caption // 2), align="right")
        rects.append(rect)
    return rects


def blit(
    surface: pygame.Surface,
    picture: Array,
    rect: Rect,
    attributed: Attributed | None = None,
    *,
    grey: bool = False,
    smooth: bool = False,
) -> None:
    """Draw a picture; with saliency maps, or if `grey`, without its own colours.

    Unless it is `smooth` (of a camera, not of a game's screen) its pixels stay squares; at a factor that is
    not whole only the lines between them are blended.
    """
    grey |= attributed is not None and attributed.maps is not None
    height, width = picture.shape[:2]
    source = pygame.image.frombuffer(np.ascontiguousarray(picture).data, (width, height), "RGB")
    if rect.size == (width, height) and not grey:
        surface.blit(source, rect)
        return
    same_format = canvas((width, height))
    same_format.blit(pygame.transform.grayscale(source) if grey else source, (0, 0))
    if attributed is not None:
        draw_saliency(same_format, attributed)  # before it is enlarged, which is far less work
    if smooth or rect.width < width or rect.height < height:
        pygame.transform.smoothscale(same_format, rect.size, surface.subsurface(rect))
        return
    below = (rect.width // width * width, rect.height // height * height)
    if below == rect.size:
        pygame.transform.scale(same_format, rect.size, surface.subsurface(rect))
    else:
        squares = pygame.transform.scale(same_format, below)
        pygame.transform.smoothscale(squares, rect.size, surface.subsurface(rect))

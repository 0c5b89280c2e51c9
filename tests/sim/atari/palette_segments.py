"""Atari objects from palette colours alone: a second source of ground truth that reads no memory.

Each class is a set of palette indices in a part of the picture; pixels of it within `gap` of each
other are one object, if its size is one that the class has. Classes that look alike are one here.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage


@dataclass(frozen=True)
class Segment:
    """What a class looks like; sizes are (width, height) in pixels."""

    colours: tuple
    area: tuple  # x0, y0, x1, y1
    gap: tuple = (1, 1)  # how far apart, across and down, the pixels of one object may be
    least: tuple = (1, 1)
    most: tuple = (160, 210)
    marks: tuple = ()  # colours of which an object has at least one, if not all of its colours are its own

    def boxes(self, screen):
        x0, y0, x1, y1 = self.area
        drawn = np.zeros(screen.shape, bool)
        drawn[y0:y1, x0:x1] = np.isin(screen[y0:y1, x0:x1], self.colours)
        joined = ndimage.binary_closing(np.pad(drawn, 8), np.ones((self.gap[1], self.gap[0])))[8:-8, 8:-8]
        parts, _ = ndimage.label(joined | drawn, np.ones((3, 3)))
        for rows, columns in ndimage.find_objects(parts * drawn):
            width, height = columns.stop - columns.start, rows.stop - rows.start
            fits = self.least[0] <= width <= self.most[0] and self.least[1] <= height <= self.most[1]
            if fits and (not self.marks or np.isin(screen[rows, columns], self.marks).any()):
                yield columns.start, rows.start, columns.stop, rows.stop


def everything_but(*colours):
    return tuple(set(range(256)) - set(colours))


ASTERIX, FROSTBITE, SEAQUEST = (0, 24, 160, 152), (8, 42, 160, 185), (8, 46, 160, 152)
SLOPE, COURT, ICE = (8, 28, 152, 178), (8, 14, 160, 205), (32, 27, 128, 187)

SEGMENTS = {
    "asterix": {
        "player": Segment((24,), ASTERIX, (3, 3), least=(3, 3)),
        "lyre": Segment((68, 74), ASTERIX, (4, 4), least=(1, 4), marks=(74,)),
        "food": Segment((66, 68), ASTERIX, (4, 4), least=(1, 4), marks=(66,)),
        "reward": Segment((8, 88), ASTERIX, (4, 4), least=(1, 4)),
    },
    "bowling": {
        "player": Segment((0, 88, 134, 136), (0, 108, 160, 171), (3, 3)),
        "ball": Segment((132,), (0, 108, 160, 168), least=(3, 5)),
        "pin": Segment((132,), (0, 108, 160, 168), most=(2, 4)),
    },
    "boxing": {
        "player": Segment((12,), (32, 30, 128, 180), (3, 3), least=(6, 6)),
        "enemy": Segment((0,), (32, 30, 128, 180), (3, 3), least=(6, 6)),
    },
    "breakout": {
        "paddle": Segment((70,), (8, 189, 152, 193), least=(3, 4)),
        "ball": Segment((70,), (8, 93, 152, 196), most=(2, 4)),
    },
    "freeway": {
        "player": Segment((30,), (42, 16, 56, 195), (2, 2), least=(3, 5)),
        "enemy": Segment((30,), (104, 16, 118, 195), (2, 2), least=(3, 5)),
        "car": Segment((18, 26, 36, 66, 68, 74, 130, 136, 216, 220), (8, 26, 160, 184), (4, 1)),
    },
    "frostbite": {
        "player": Segment((6, 22, 36, 54), (8, 56, 160, 185), (2, 2), least=(5, 3), most=(8, 18)),
        "igloo": Segment((6,), (112, 30, 144, 55), (1, 1), least=(8, 4)),
        "floe": Segment((12, 152), (8, 96, 160, 185)),
        "swimmer": Segment(everything_but(0, 6, 12, 22, 36, 54, 144, 152), (8, 80, 160, 185), (3, 3)),
    },
    "gopher": {
        "farmer": Segment((52, 72, 136, 198, 234), (0, 90, 160, 147), (3, 3), least=(5, 9)),
        "gopher": Segment((240,), (0, 146, 160, 195), (3, 3), least=(3, 3)),
        "carrot": Segment((36, 38, 52, 196), (0, 148, 160, 180), (2, 2), least=(3, 3)),
    },
    "ice_hockey": {
        "player": Segment((68, 132), ICE, (4, 4), least=(3, 9)),
        "enemy": Segment((212, 250, 252), ICE, (4, 4), least=(3, 9)),
        "puck": Segment((0,), (34, 49, 126, 180), most=(2, 3)),
    },
    "ms_pacman": {
        "player": Segment((42,), (0, 0, 160, 171), (3, 3), least=(3, 3)),
        "ghost": Segment((12, 38, 70, 88, 150, 184), (0, 0, 160, 171), (3, 3), least=(3, 3)),
    },
    "pong": {
        "ball": Segment((14,), (0, 34, 160, 194)),
        "player": Segment((200,), (0, 34, 160, 194)),
        "enemy": Segment((56,), (0, 34, 160, 194)),
    },
    "seaquest": {
        "player": Segment((14, 24), SEAQUEST, (3, 7), least=(9, 3)),
        "torpedo": Segment((24,), SEAQUEST, least=(4, 1), most=(8, 1)),
        "diver": Segment((134,), SEAQUEST, (5, 5), least=(2, 5)),
        "enemy submarine": Segment((8,), SEAQUEST, (2, 2), least=(2, 4)),
        "enemy torpedo": Segment((134,), SEAQUEST, (5, 5), least=(5, 3), most=(6, 4)),
        "shark": Segment((72, 88, 104, 200, 232), SEAQUEST, (2, 2), least=(2, 3)),
    },
    "skiing": {
        "skier": Segment((72,), SLOPE, (4, 4), least=(3, 5)),
        "tree": Segment((198, 212, 214, 218), SLOPE, (3, 3)),
        "mogul": Segment((10, 12), SLOPE, (3, 3)),
        "flag": Segment((66, 134), SLOPE, (2, 2)),
    },
    "space_invaders": {
        "player": Segment((196,), (0, 185, 160, 195), (3, 3), least=(3, 3)),
        "invader": Segment((20,), (0, 20, 160, 195), (4, 4), least=(3, 3), most=(9, 11)),
        "shield": Segment((52,), (0, 157, 160, 175), (4, 8)),
        "shot": Segment((6,), (0, 20, 160, 195)),
        "saucer": Segment((82,), (0, 10, 160, 21), (3, 3)),
    },
    "tennis": {
        "player": Segment((76,), COURT, (3, 3), least=(7, 10), most=(20, 30)),
        "enemy": Segment((140,), COURT, (3, 3), least=(7, 10), most=(20, 30)),
        "ball": Segment((14,), COURT, most=(2, 2)),
        "shadow": Segment((2,), COURT, most=(2, 2)),
    },
}

#: Classes that one colour cannot tell apart.
ALIKE = {
    "frostbite": dict.fromkeys(("bird", "crab", "clam", "fish"), "swimmer"),
    "space_invaders": {"bullet": "shot", "laser": "shot"},
}

BRICK_ROWS = (70, 54, 38, 22, 198, 134)  # the colours of Breakout's rows, from the top


def segments(game, screen):
    """Class and box of everything that the colours show."""
    found = [(label, box) for label, look in SEGMENTS[game].items() for box in look.boxes(screen)]
    if game == "breakout":
        for row, colour in enumerate(BRICK_ROWS):
            for column in range(18):
                x, y = 8 + 8 * column, 57 + 6 * row
                if (screen[y : y + 6, x : x + 8] == colour).mean() > 0.8:
                    found.append(("brick", (x, y, x + 8, y + 6)))
    return found

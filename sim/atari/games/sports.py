"""Object tables of Pong, Breakout, Tennis, Boxing, Bowling, Ice Hockey and Skiing.

Each function's docstring lists its bytes of memory by index; all were compared with the pictures of random
play.
"""

from __future__ import annotations

from collections.abc import Iterator

from sim.atari.objects import (
    DetectedObject,
    GameTable,
    Ram,
    class_colours,
    decode_bcd,
    decode_signed,
    object_at,
)


def _pong(ram: Ram) -> Iterator[DetectedObject]:
    """49, 54: ball; 50: left paddle's y; 51: right paddle's. The field's edges cut the paddles."""
    if ram[54] and ram[49] >= 49:
        yield object_at("ball", ram[49] - 49, ram[54] - 14, 2, 4)
    yield object_at("enemy", 16, ram[50] - 15, 4, 16)
    yield object_at("player", 140, ram[51] - 13, 4, 16)


def _pong_facts(ram: Ram) -> dict[str, int]:
    facts = {"player score": ram[14], "enemy score": ram[13], "player y": ram[51] - 5, "enemy y": ram[50] - 7}
    if ram[54] and ram[49] >= 49:
        facts |= {"ball x": ram[49] - 48, "ball y": ram[54] - 12}
        facts |= {"ball dx": -decode_signed(ram[58]), "ball dy": decode_signed(ram[56])}  # pixels a frame
    return facts


PONG = GameTable(
    classes={"ball": class_colours(14), "player": class_colours(200), "enemy": class_colours(56)},
    find=_pong,
    facts=_pong_facts,
    area=(0, 34, 160, 194),
)

#: First byte and bits of the bricks of a row, from left to right; rows are a byte apart, the top last.
_BRICKS = (
    (30, (6,)),
    (24, (6, 4, 2, 0)),
    (18, (0, 2, 4, 6)),
    (12, (4, 6)),
    (6, (6, 4, 2, 0)),
    (0, (0, 2, 4)),
)
_BRICK_BITS = [(byte, bit) for byte, bits in _BRICKS for bit in bits]


def _breakout(ram: Ram) -> Iterator[DetectedObject]:
    """72: paddle's x; 99, 101: ball; 0–35: bricks."""
    yield object_at("paddle", ram[72] - 47, 189, 16, 4)
    if ram[101]:
        yield object_at("ball", ram[99] - 49, ram[101] + 9, 2, 4)
    yield from _bricks(ram)


def _bricks(ram: Ram) -> Iterator[DetectedObject]:
    for row in range(6):
        for column, (byte, bit) in enumerate(_BRICK_BITS):
            if ram[byte + 5 - row] >> bit & 1:
                yield object_at("brick", 8 + 8 * column, 57 + 6 * row, 8, 6)


def _breakout_facts(ram: Ram) -> dict[str, int]:
    facts = {
        "score": decode_bcd(ram[76], ram[77]),
        "lives": ram[57],
        "paddle x": ram[72] - 39,
        "bricks": sum(1 for _ in _bricks(ram)),
    }
    if ram[101]:
        facts |= {"ball x": ram[99] - 48, "ball y": ram[101] + 11}
        facts |= {"ball right": -1 if ram[105] < 128 else 1, "ball down": 1 if ram[103] < 128 else -1}
    return facts


BREAKOUT = GameTable(
    classes={
        "paddle": class_colours(70),
        "ball": class_colours(70),
        "brick": class_colours(22, 38, 54, 70, 134, 198),
    },
    find=_breakout,
    facts=_breakout_facts,
    area=(8, 32, 152, 196),
    reach={"paddle": (1, 0), "ball": (1, 1), "brick": (0, 0)},
)


def _tennis(ram: Ram) -> Iterator[DetectedObject]:
    """24, 26: the red player's y and x; 25, 27: the blue one's, or the other way round where 80 is odd."""
    far, near = ("enemy", "player") if ram[80] & 1 else ("player", "enemy")
    yield object_at(far, ram[26] - 1, 166 - ram[24], 16, 23)
    yield object_at(near, ram[27] - 1, 166 - ram[25], 16, 23)
    if ram[16] > 2:
        yield object_at("ball", ram[16] - 2, 189 - ram[54], 2, 2)
        yield object_at("shadow", ram[16] - 2, 189 - ram[55], 2, 2)


def _tennis_facts(ram: Ram) -> dict[str, int]:
    return {"player points": ram[69], "enemy points": ram[70], "ball x": ram[16] - 1, "ball y": 190 - ram[54]}


TENNIS = GameTable(
    classes={
        "player": class_colours(76),
        "enemy": class_colours(140),
        "ball": class_colours(14),
        "shadow": class_colours(2),
    },
    find=_tennis,
    facts=_tennis_facts,
    area=(8, 14, 160, 205),
    reach={"player": (1, 2), "enemy": (1, 2)},
)


def _boxing(ram: Ram) -> Iterator[DetectedObject]:
    """32, 34: the white boxer's x and y; 33, 35: the black one's. Fists reach beyond the 14 pixels."""
    yield object_at("player", ram[32] + 5, ram[34] + 38, 14, 47)
    yield object_at("enemy", ram[33] + 4, ram[35] + 38, 14, 47)


def _boxing_facts(ram: Ram) -> dict[str, int]:
    return {
        "player score": decode_bcd(ram[18]),
        "enemy score": decode_bcd(ram[19]),
        "seconds left": 60 * (ram[16] >> 4) + decode_bcd(ram[17]),
        "player x": ram[32] + 12,
        "player y": ram[34] + 61,
        "enemy x": ram[33] + 11,
        "enemy y": ram[35] + 61,
    }


BOXING = GameTable(
    classes={"player": class_colours(12), "enemy": class_colours(0)},
    find=_boxing,
    facts=_boxing_facts,
    area=(32, 30, 128, 180),
    reach={"player": (16, 2), "enemy": (16, 2)},
)


def _bowling(ram: Ram) -> Iterator[DetectedObject]:
    """29, 40: player; 30, 41: ball; 57–66 and 47–56: the pins' x and y, halved and from the far side."""
    yield object_at("player", ram[29] + 8, 141 - 2 * ram[40], 8, 32)
    yield object_at("ball", ram[30] + 7, 163 - 2 * ram[41], 4, 10)
    for pin in range(10):
        if ram[57 + pin] < 120:
            yield object_at("pin", 135 - 2 * ram[57 + pin], 169 - 2 * ram[47 + pin], 2, 4)


def _bowling_facts(ram: Ram) -> dict[str, int]:
    return {
        "score": 100 * ram[38] + decode_bcd(ram[33]),
        "frame": decode_bcd(ram[36]),
        "pins": sum(1 for byte in ram[57:67] if byte < 120),
    }


BOWLING = GameTable(
    classes={"player": class_colours(0, 88, 134, 136), "ball": class_colours(132), "pin": class_colours(132)},
    find=_bowling,
    facts=_bowling_facts,
    area=(0, 108, 160, 171),
)


def _ice_hockey(ram: Ram) -> Iterator[DetectedObject]:
    """57–60 and 53–56: the skaters' x and y from below; 52, 91: the puck's. A frame ahead.

    In a goal the black puck lies on black ground: no one can see it there.
    """
    for label, skater in (("player", 57), ("player", 59), ("enemy", 58), ("enemy", 60)):
        yield object_at(label, ram[skater] - 9, 169 - ram[skater - 4], 8, 20)
    if 49 <= 188 - ram[91] < 180:
        yield object_at("puck", ram[52] - 10, 188 - ram[91], 2, 2)


def _ice_hockey_facts(ram: Ram) -> dict[str, int]:
    return {
        "player score": decode_bcd(ram[10]),
        "enemy score": decode_bcd(ram[11]),
        "puck x": ram[52] - 9,
        "puck y": 189 - ram[91],
    }


ICE_HOCKEY = GameTable(
    classes={
        "player": class_colours(68, 132),
        "enemy": class_colours(212, 250, 252),
        "puck": class_colours(0),
    },
    find=_ice_hockey,
    facts=_ice_hockey_facts,
    area=(32, 27, 128, 187),
    reach={"player": (8, 2), "enemy": (8, 2), "puck": (3, 3)},
    crown={"player": 4, "enemy": 4},  # all heads have one colour
)


def _skiing(ram: Ram) -> Iterator[DetectedObject]:
    """25: skier's x. Eight things on the slope: 54 heights, 62 x, 70 kinds, 86 y. A frame ahead."""
    yield object_at("skier", ram[25] + 1, ram[26] - 79, 7, 18)
    for thing in range(8):
        kind, x, y = ram[70 + thing], ram[62 + thing], 182 - ram[86 + thing]
        height = ram[54 + thing]
        if height in (0, 255) or y >= 178:
            continue
        for around in (x, x - 160):  # what leaves on the right comes in on the left
            if kind == 85:
                yield object_at("tree", around, y, 16, height)
            elif kind == 5:
                yield object_at("mogul", around + 2, y, 16, height)
            elif kind == 2:
                yield object_at("flag", around + 1, y, 5, height)
                yield object_at("flag", around + 33, y, 5, height)


def _skiing_facts(ram: Ram) -> dict[str, int]:
    return {"gates left": decode_bcd(ram[107]), "skier x": ram[25] + 4, "slant": ram[15]}


SKIING = GameTable(
    classes={
        "skier": class_colours(72),
        "tree": class_colours(198, 212, 214, 218),
        "mogul": class_colours(10, 12),
        "flag": class_colours(134, 66),
    },
    find=_skiing,
    facts=_skiing_facts,
    area=(8, 28, 152, 178),
)

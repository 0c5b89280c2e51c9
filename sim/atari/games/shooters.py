"""Object tables of Space Invaders and Seaquest.

Each function's docstring lists its bytes of memory by index; all were compared with the pictures of random
play.
"""

from __future__ import annotations

from collections.abc import Iterator

from sim.atari.objects import (
    DetectedObject,
    GameTable,
    Ram,
    all_colours_but,
    class_colours,
    decode_bcd,
    object_at,
)


def _space_invaders(ram: Ram) -> Iterator[DetectedObject]:
    """26, 16: the invaders' x and y; 18–23: rows of them, the lowest first, a bit each. A frame ahead."""
    yield object_at("player", ram[28] - 1, 185, 7, 10)
    for row in range(6):
        for column in range(6):
            if ram[18 + row] >> column & 1:
                yield object_at("invader", ram[26] - 1 + 16 * column, 121 + 2 * ram[16] - 18 * row, 8, 10)
    for shield in range(3):
        rows = [row for row in range(9) if ram[43 + 9 * shield + row]]
        if rows:
            yield object_at("shield", 42 + 32 * shield, 157 + 2 * rows[0], 8, 2 + 2 * (rows[-1] - rows[0]))
    for bullet in range(2):
        yield object_at("bullet", ram[83 + bullet] - 2, 2 * ram[81 + bullet] + 4, 1, 8)
    yield object_at("laser", ram[87] - 2, 2 * ram[85] + 4, 1, 8)
    yield object_at("saucer", ram[30] - 1, 12, 7, 8)


def _space_invaders_facts(ram: Ram) -> dict[str, int]:
    return {
        "score": decode_bcd(ram[102], ram[104]),
        "lives": ram[73],
        "invaders": ram[17],
        "player x": ram[28] + 3,
    }


SPACE_INVADERS = GameTable(
    classes={
        "player": class_colours(196),
        "invader": class_colours(20),
        "shield": class_colours(52),
        "bullet": class_colours(6),
        "laser": class_colours(6),
        "saucer": class_colours(82),
    },
    find=_space_invaders,
    facts=_space_invaders_facts,
    area=(0, 10, 160, 195),
)


def _seaquest(ram: Ram) -> Iterator[DetectedObject]:
    """70, 97: submarine; four lanes: 30–33 x, 36–39 which of three there are, 89–92 kind."""
    if not 0 < ram[105] < 15:
        yield object_at("player", ram[70], ram[97] + 33, 16, 11)
    for lane in range(4):
        submarine = 3 < ram[89 + lane] % 8 < 7
        y = 141 - 24 * lane
        for place in range(3):
            if ram[36 + lane] >> (2 - place) & 1:
                x = (ram[30 + lane] + 16 * place) % 256
                if submarine:
                    yield object_at("enemy submarine", x, y - 1, 8, 11)
                else:
                    yield object_at("shark", x, y + ram[93] - 4, 8, 7)
        x = ram[71 + lane]
        if 0 < x < 160:
            if submarine:
                yield object_at("enemy torpedo", x + 2, y + 4, 6, 4)
            else:
                yield object_at("diver", x, y - 2, 8, 11)
    if ram[60] >= 2 and ram[118] < 160:
        yield object_at("enemy submarine", ram[118], 45, 8, 11)
    if 0 < ram[103] < 160 and not ram[70] - 8 < ram[103] < ram[70] + 16:  # not in front of its own submarine
        yield object_at("torpedo", ram[103], ram[97] + 40, 8, 1)


def _seaquest_facts(ram: Ram) -> dict[str, int]:
    return {
        "score": decode_bcd(ram[56], ram[57], ram[58]),
        "lives": ram[59] + 1,
        "divers": ram[62],
        "oxygen": ram[102],
    }


SEAQUEST = GameTable(
    classes={
        "player": class_colours(14, 24),
        "torpedo": class_colours(24),
        "diver": class_colours(134),
        "enemy submarine": class_colours(8),
        "enemy torpedo": class_colours(134),
        "shark": all_colours_but(144, 24, 134, 8, 160),
    },
    find=_seaquest,
    facts=_seaquest_facts,
    area=(8, 46, 160, 152),
    reach={"torpedo": (0, 0)},
)

"""Object tables of Freeway, Ms. Pac-Man, Asterix, Gopher and Frostbite.

Each function's docstring lists its bytes of memory by index; all were compared with the pictures of random
play, except where a docstring says otherwise.
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


def _freeway(ram: Ram) -> Iterator[DetectedObject]:
    """14, 15: the chickens' y from below; 108–117: the cars' x, the lowest lane first."""
    yield object_at("player", 44, 193 - ram[14], 6, 8)
    yield object_at("enemy", 108, 193 - ram[15], 6, 8)
    for lane in range(10):
        for x in (
            ram[117 - lane] - 3,
            ram[117 - lane] + 157,
        ):  # the left edge hides 8 of 160 pixels
            yield object_at("car", x, 27 + 16 * lane, 8, 10)


def _freeway_facts(ram: Ram) -> dict[str, int]:
    return {
        "player score": decode_bcd(ram[103]),
        "enemy score": decode_bcd(ram[104]),
        "player y": 198 - ram[14],
    }


FREEWAY = GameTable(
    classes={
        "player": class_colours(30),
        "enemy": class_colours(30),
        "car": class_colours(0, 18, 26, 36, 66, 68, 74, 130, 136, 216, 220),
    },
    find=_freeway,
    facts=_freeway_facts,
    area=(8, 16, 160, 195),
)


#: The ghosts' colours, in the order of memory, and what all of them turn to when they may be eaten.
_GHOSTS = (38, 184, 88, 70)
_SCARED = class_colours(12, 150)


def _ms_pacman(ram: Ram) -> Iterator[DetectedObject]:
    """6–11 and 12–17: x and y of four ghosts, Ms. Pac-Man and the fruit. A frame ahead."""
    yield object_at("player", ram[10] - 12, ram[16] + 1, 8, 10)
    for ghost, colour in enumerate(_GHOSTS):
        yield object_at("ghost", ram[6 + ghost] - 12, ram[12 + ghost] + 1, 8, 10, _SCARED | {colour})
    if ram[11] and ram[17]:
        yield object_at("fruit", ram[11] - 12, ram[17] + 1, 8, 10)


def _ms_pacman_facts(ram: Ram) -> dict[str, int]:
    return {
        "score": decode_bcd(ram[122], ram[121], ram[120]),
        "lives": (ram[123] & 7) + 1,
        "dots eaten": ram[119],
        "player x": ram[10] - 9,
        "player y": ram[16] + 6,
    }


MS_PACMAN = GameTable(
    classes={
        "player": class_colours(42),
        "ghost": _SCARED.union(_GHOSTS),
        "fruit": all_colours_but(0, 12, 42, 74, 144, 150),
    },
    find=_ms_pacman,
    facts=_ms_pacman_facts,
    area=(0, 0, 160, 171),
)


def _asterix(ram: Ram) -> Iterator[DetectedObject]:
    """41, 39: the hero's x and lane; of eight lanes 42–49 x, 29–36 kinds, 73–80 rewards, 11–18 empty ones."""
    yield object_at("player", ram[41], 26 + 16 * ram[39], 8, 11)
    for lane in range(8):
        if ram[18 - lane] == 11:
            continue
        x, y = ram[42 + lane], 26 + 16 * lane
        if ram[73 + lane]:
            yield object_at("reward", x, y, 8, 11)
        elif ram[29 + lane] & 1:
            yield object_at("lyre", x, y, 8, 11)
        else:
            yield object_at("food", x, y, 8, 11)


def _asterix_facts(ram: Ram) -> dict[str, int]:
    return {"score": decode_bcd(ram[94], ram[95], ram[96]), "lives": ram[83], "lane": ram[39]}


#: All but the ground, the hero and the blue lines between the lanes.
_ASTERIX_THINGS = all_colours_but(0, 24, 114, 116, 118, 120, 130, 132, 134, 136)

ASTERIX = GameTable(
    classes={
        "player": class_colours(24),
        "lyre": _ASTERIX_THINGS,
        "food": _ASTERIX_THINGS,
        "reward": _ASTERIX_THINGS,
    },
    find=_asterix,
    facts=_asterix_facts,
    area=(0, 24, 160, 152),
)


def _gopher(ram: Ram) -> Iterator[DetectedObject]:
    """31: farmer's x; 41, 85: gopher's x and height; 52: carrots, a bit each. A frame ahead."""
    yield object_at("farmer", ram[31] - 10, 96, 13, 50)
    tall = 5 < ram[85] < 35
    yield object_at("gopher", ram[41] - 3, 184 - ram[85], 7 if tall else 14, 23 if tall else 10)
    for carrot in range(3):
        if ram[52] >> carrot & 1:
            yield object_at("carrot", 92 - 16 * carrot, 151, 8, 27)


def _gopher_facts(ram: Ram) -> dict[str, int]:
    return {"score": decode_bcd(ram[48], ram[49], ram[50]), "carrots": (ram[52] & 7).bit_count()}


GOPHER = GameTable(
    classes={
        "farmer": class_colours(52, 72, 136, 198, 234),
        "gopher": class_colours(240),
        "carrot": class_colours(36, 38, 52, 196),
    },
    find=_gopher,
    facts=_gopher_facts,
    area=(0, 20, 160, 195),
)


def _frostbite(ram: Ram) -> Iterator[DetectedObject]:
    """102, 100: player; 104: bear; 77: igloo; four rows of 84, 88 animals, 35 kinds, 31 floes."""
    sunk = ram[107]
    if ram[106] != 26 and sunk < 18:
        yield object_at("player", ram[102], ram[100] + 29 + sunk, 8, 18 - sunk)
    if ram[104] != 140:
        yield object_at("bear", ram[104] + 3, 58, 14, 18)
    if ram[77] != 255:
        height = 4 + ram[77] // 4 * 4
        yield object_at("igloo", 112, 55 - height, min(32, 8 + 8 * ram[77]), height)
    for row in range(4):
        if 0 < ram[84 + row] < 160 or ram[88 + row]:
            for x in (ram[84 + row], ram[84 + row] + 32)[: 2 if ram[88 + row] else 1]:
                yield object_at(_animal(ram[35 + row]), x, 160 - 26 * row, 8, 7)
        if ram[30] == 8:
            for floe in range(3):
                yield object_at("floe", (ram[31 + row] + 32 * floe - 8) % 160, 174 - 26 * row, 24, 7)


def _animal(code: int) -> str:
    """The class of a kind code. Only birds were checked: random play never meets the others, or the bear."""
    return "bird" if code < 30 else "crab" if code < 60 else "clam" if code < 100 else "fish"


def _frostbite_facts(ram: Ram) -> dict[str, int]:
    return {
        "score": decode_bcd(ram[72], ram[73], ram[74]),
        "lives": ram[76] + 1,
        "degrees": decode_bcd(ram[101]),
    }


#: All but water, floes and the player.
_ANIMALS = all_colours_but(0, 6, 12, 22, 36, 54, 144, 152)

FROSTBITE = GameTable(
    classes={
        "player": class_colours(6, 22, 36, 54),
        "igloo": class_colours(6),
        "bear": class_colours(4, 12),
        "bird": _ANIMALS,
        "crab": _ANIMALS,
        "clam": _ANIMALS,
        "fish": _ANIMALS,
        "floe": class_colours(12, 152),
    },
    find=_frostbite,
    facts=_frostbite_facts,
    area=(8, 42, 160, 185),
)

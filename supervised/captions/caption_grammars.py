"""Caption grammars of Atari games: Pong, Breakout, Freeway and Ms. Pac-Man.

Positions are those on the screen: left and right, high and low, in thirds of the field. An object outside the
field is not mentioned. To add a game: a `Grammar` of the facts that `sim.atari.truth.facts` gives, and its
line in `GRAMMARS`; `tests/supervised/test_grammar.py` checks it from then on. No sentence may belong to two
games.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from supervised.captions.grammar import CaptionError, Clause, Facts, Grammar, Number, State, Value, Words

#: Start and end of a part of a sentence.
Span: TypeAlias = tuple[int, int]

LEFT_TO_RIGHT: Mapping[Value, Sequence[str]] = {
    "left": ("on the left", "to the left"),
    "middle": ("in the middle", "in the centre"),
    "right": ("on the right", "to the right"),
}
HIGH_TO_LOW: Mapping[Value, Sequence[str]] = {
    "high": ("high", "near the top"),
    "middle": ("halfway up", "at half height"),
    "low": ("low", "near the bottom"),
}
#: (sign of x, sign of y), y down, as one word.
HEADINGS = {
    (-1, -1): "upper left",
    (0, -1): "up",
    (1, -1): "upper right",
    (-1, 0): "left",
    (0, 0): "still",
    (1, 0): "right",
    (-1, 1): "lower left",
    (0, 1): "down",
    (1, 1): "lower right",
}
FLIGHTS: Mapping[Value, Sequence[str]] = {
    "upper left": ("flies to the upper left", "is rising leftwards"),
    "up": ("flies straight up", "is rising"),
    "upper right": ("flies to the upper right", "is rising rightwards"),
    "left": ("flies straight left", "is moving leftwards"),
    "still": ("stands still", "rests"),
    "right": ("flies straight right", "is moving rightwards"),
    "lower left": ("flies to the lower left", "is falling leftwards"),
    "down": ("flies straight down", "is falling"),
    "lower right": ("flies to the lower right", "is falling rightwards"),
}
DIAGONALS = {name: words for name, words in FLIGHTS.items() if " " in str(name)}
_SMALL = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_ORDER = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


def third(
    fact: str, low: int, high: int, names: Mapping[Value, Sequence[str]], within: bool = False
) -> Words:
    """Slot for a position: the third of the field in which a coordinate lies.

    Args:
        fact: the coordinate's name, pixels.
        low: where the field begins.
        high: where it ends, not included.
        names: the thirds with their words, the lowest coordinate first.
        within: outside the field there is no value; otherwise it is that of the nearest third.
    """
    order = tuple(names)

    def read(facts: Facts) -> Value | None:
        at = facts[fact] - low
        if within and not 0 <= at < high - low:
            return None
        return order[min(2, max(0, 3 * at // (high - low)))]

    return Words(read, names)


def flight(across: str, down: str, wordings: Mapping[Value, Sequence[str]] = FLIGHTS) -> Words:
    """Slot for a direction of motion, by the signs of two velocity facts."""

    def read(facts: Facts) -> Value | None:
        return HEADINGS[_sign(facts[across]), _sign(facts[down])]

    return Words(read, wordings)


def count(fact: str, one: str, many: str, most: int) -> Words:
    """Slot for a small count in digits or words, such as "3 lives" or "three lives"."""
    words: dict[Value, Sequence[str]] = {
        n: (f"{n} {one if n == 1 else many}", f"{_SMALL[n]} {one if n == 1 else many}")
        for n in range(most + 1)
    }
    return Words(lambda facts: facts[fact], words)


def share(fact: str, whole: int, names: Mapping[Value, Sequence[str]]) -> Words:
    """Slot for a share of `whole`: "none", "few" to a third, "some" to two thirds, "most", "all"."""

    def read(facts: Facts) -> Value | None:
        part = facts[fact]
        if part <= 0 or part >= whole:
            return "none" if part <= 0 else "all"
        return ("few", "some", "most")[3 * (part - 1) // (whole - 1)]

    return Words(read, names)


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)


PONG = Grammar(
    slots={
        "flight": flight("ball dx", "ball dy"),
        "ball side": third("ball x", 0, 160, LEFT_TO_RIGHT, within=True),
        "ball height": third("ball y", 30, 198, HIGH_TO_LOW, within=True),
        "left paddle": third("enemy y", 34, 194, HIGH_TO_LOW),
        "right paddle": third("player y", 34, 194, HIGH_TO_LOW),
        "left score": Number("enemy score", 2),
        "right score": Number("player score", 2),
    },
    clauses=(
        Clause(
            (
                "the ball {flight}, {ball height} {ball side}",
                "{ball height} {ball side} the ball {flight}",
            ),
            otherwise=("there is no ball", "no ball is in play"),
            still=("the ball is {ball height} {ball side}", "{ball height} {ball side} is the ball"),
        ),
        Clause(
            (
                "the left paddle is {left paddle} and the right one {right paddle}",
                "the right paddle is {right paddle} and the left one {left paddle}",
            )
        ),
        Clause(("the score is {left score} to {right score}", "it stands {left score} to {right score}")),
    ),
)

BREAKOUT = Grammar(
    slots={
        "flight": flight("ball right", "ball down", DIAGONALS),
        "ball side": third("ball x", 8, 152, LEFT_TO_RIGHT, within=True),
        "ball height": third("ball y", 32, 196, HIGH_TO_LOW, within=True),
        "paddle": third("paddle x", 8, 152, LEFT_TO_RIGHT),
        "bricks": share(
            "bricks",
            108,
            {
                "none": ("no brick is left", "the wall is gone"),
                "few": ("few bricks are left", "little of the wall is left"),
                "some": ("about half of the bricks are left", "half of the wall is left"),
                "most": ("most bricks are left", "most of the wall is left"),
                "all": ("all bricks are left", "the wall is whole"),
            },
        ),
        "lives": count("lives", "life", "lives", 5),
        "score": Number("score", 3),
    },
    clauses=(
        Clause(
            (
                "the ball {flight}, {ball height} {ball side}",
                "{ball height} {ball side} the ball {flight}",
            ),
            otherwise=("there is no ball", "no ball is in play"),
            still=("the ball is {ball height} {ball side}", "{ball height} {ball side} is the ball"),
        ),
        Clause(("the paddle is {paddle}", "the paddle waits {paddle}")),
        Clause(("{bricks}",)),
        Clause(("{lives} and {score} points", "{score} points and {lives}")),
    ),
)

#: Ten lanes of 16 rows, from below; the last begins at row 24, and chickens start below the first.
_LANES: dict[Value, Sequence[str]] = {
    0: ("waits at the near kerb", "is at the near kerb"),
    **{n: (f"is in the {name} lane", f"crosses the {name} lane") for n, name in enumerate(_ORDER, start=1)},
    11: ("has reached the far kerb", "is across"),
}

FREEWAY = Grammar(
    slots={
        "lane": Words(lambda facts: min(11, max(0, (199 - facts["player y"]) // 16)), _LANES),
        "left score": Number("player score", 2),
        "right score": Number("enemy score", 2),
    },
    clauses=(
        Clause(("the left chicken {lane}", "on the left a chicken {lane}")),
        Clause(
            (
                "the chickens have crossed {left score} and {right score} times",
                "left crossed {left score} times, right {right score}",
            )
        ),
    ),
)

MS_PACMAN = Grammar(
    slots={
        "side": third("player x", 0, 160, LEFT_TO_RIGHT),
        "height": third("player y", 0, 171, HIGH_TO_LOW),
        "lives": count("lives", "life", "lives", 8),
        "score": Number("score", 6),
    },
    clauses=(
        Clause(("ms pacman is {height} {side}", "{height} {side} runs ms pacman")),
        Clause(("{lives} and {score} points", "{score} points and {lives}")),
    ),
)

GRAMMARS: dict[str, Grammar] = {
    "breakout": BREAKOUT,
    "freeway": FREEWAY,
    "ms_pacman": MS_PACMAN,
    "pong": PONG,
}
#: The same for a single image, which does not show motion.
STILLS: dict[str, Grammar] = {game: grammar.still for game, grammar in GRAMMARS.items()}


def parse(sentence: str) -> State:
    """Parse a caption of any game into its facts and the ``"game"``; a parser for `supervised.metrics`.

    Captions of a single image, which have fewer facts, are parsed too.

    Raises:
        CaptionError: for a sentence that no game's grammar accepts.

    >>> parse("Ms pacman is low in the centre; 3 lives and 120 points.")["side"]
    'middle'
    """
    for game, grammar in (*GRAMMARS.items(), *STILLS.items()):
        try:
            return {"game": game} | grammar.parse(sentence)
        except CaptionError:
            continue
    raise CaptionError(f'no game gives the sentence "{sentence}"')


def differing_spans(said: str, true: str) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """The parts of two captions of one game that tell different facts, of each sentence; none if not parsed.

    >>> true = "The ball is low on the left; the left paddle is low and the right one high; it stands 1 to 2."
    >>> said = true.replace("1 to 2", "1 to 3").replace("ball is low", "ball is high")
    >>> parts = differing_spans(said, true)
    >>> [said[slice(*span)] for span in parts[0]], [true[slice(*span)] for span in parts[1]]
    (['high', '3'], ['low', '2'])
    """
    for grammar in (*GRAMMARS.values(), *STILLS.values()):
        try:
            ours, theirs = grammar.parse(said), grammar.parse(true)
            places = grammar.spans(said), grammar.spans(true)
        except CaptionError:
            continue
        wrong = {name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)}
        first, second = (tuple(sorted(at[name] for name in wrong & at.keys())) for at in places)
        return first, second
    return (), ()

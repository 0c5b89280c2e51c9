"""UCI commands as records: `go` with its limits, `position`, `setoption` (Stefan Meyer-Kahlen, April 2006).

Parsing only: no chess position and no search is known here. What is invalid in a `go` is reported and left
out, because every `go` must be answered; an invalid `position` or `setoption` is refused as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sim.fields import excerpt

#: Commands that an engine may be sent; `register` and `debug` are accepted and have no effect.
COMMANDS = (
    *("uci", "debug", "isready", "setoption", "register", "ucinewgame"),
    *("position", "go", "stop", "ponderhit", "quit"),
)
#: Keywords of `go` that a number follows, with the least that makes sense.
NUMBERS = {
    "wtime": None,  # a clock may be overdrawn
    "btime": None,
    "winc": 0,
    "binc": 0,
    "movestogo": 1,
    "depth": 1,
    "nodes": 1,
    "mate": 1,
    "movetime": 0,
}
KEYWORDS = (*NUMBERS, "searchmoves", "ponder", "infinite")
MOST = 2**53  # of any number: larger ones are taken as this
NULL_MOVE = "0000"
EXCERPT = 60  # characters of a client's words that are told back

Complain = Callable[[str], None]


@dataclass(frozen=True)
class GoCommand:
    """A `go` command; None where it says nothing.

    Attributes:
        wtime: White's clock, in milliseconds.
        btime: Black's clock, in milliseconds.
        winc: White's increment a move, in milliseconds.
        binc: Black's increment a move, in milliseconds.
        movestogo: moves to the next time control.
        depth: in plies.
        nodes: simulations.
        mate: in moves.
        movetime: exact time, in milliseconds.
        searchmoves: the moves to choose from, in UCI; none for all.
        ponder: search on the opponent's time, until `ponderhit`.
        infinite: search until `stop`.
    """

    wtime: int | None = None
    btime: int | None = None
    winc: int | None = None
    binc: int | None = None
    movestogo: int | None = None
    depth: int | None = None
    nodes: int | None = None
    mate: int | None = None
    movetime: int | None = None
    searchmoves: tuple[str, ...] = ()
    ponder: bool = False
    infinite: bool = False


def parse_go(words: Sequence[str], complain: Complain) -> GoCommand:
    """Parse the words after `go`; what is invalid is told to `complain` and left out.

    >>> parse_go("wtime 1000 btime -5 nodes 0 depth deep searchmoves e2e4 d2d4 infinite".split(), print)
    ... # doctest: +NORMALIZE_WHITESPACE
    nodes must be at least 1, not 0; 1 is taken
    depth wants a whole number, not "deep"
    GoCommand(wtime=1000, btime=-5, winc=None, binc=None, movestogo=None, depth=None, nodes=1, mate=None,
    movetime=None, searchmoves=('e2e4', 'd2d4'), ponder=False, infinite=True)
    """
    numbers: dict[str, Any] = {}
    searchmoves: tuple[str, ...] = ()
    flags = {"ponder": False, "infinite": False}
    i = 0
    while i < len(words):
        name = words[i]
        values = _up_to_keyword(words, i + 1)
        i += 1 + len(values)
        if name == "searchmoves":
            searchmoves = values
            continue
        if name in flags:
            flags[name], rest = True, values
        elif name in NUMBERS:
            number = parse_number(name, values[0] if values else "", complain)
            if number is not None:
                numbers[name] = number
            rest = values[1:]
        else:
            rest = (name, *values)
        if rest:
            complain(f"unknown words, skipped: {excerpt(' '.join(rest), EXCERPT)}")
    return GoCommand(**numbers, searchmoves=searchmoves, **flags)


def _up_to_keyword(words: Sequence[str], start: int) -> tuple[str, ...]:
    """Words from `start` up to the next keyword of `go`."""
    end = next((i for i in range(start, len(words)) if words[i] in KEYWORDS), len(words))
    return tuple(words[start:end])


def parse_number(name: str, text: str, complain: Complain) -> int | None:
    """A number of `go`, at least what makes sense; None where there is none."""
    try:
        number = parse_whole(name, text)
    except ValueError as error:
        complain(str(error))
        return None
    least = NUMBERS[name]
    if least is not None and number < least:
        complain(f"{name} must be at least {least}, not {number}; {least} is taken")
        return least
    return number


def parse_whole(name: str, text: str) -> int:
    """Parse a whole number, of at most `MOST` either way.

    Raises:
        ValueError: naming `name`.
    """
    digits = text[1:] if text[:1] in ("-", "+") else text
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError(f'{name} wants a whole number, not "{excerpt(text, EXCERPT)}"')
    number = int(digits) if len(digits) < 17 else MOST
    return min(number, MOST) * (-1 if text[0] == "-" else 1)


def parse_position(words: Sequence[str]) -> tuple[str | None, tuple[str, ...]]:
    """Parse the words after `position`: the FEN, None for the usual start, and the moves in UCI.

    >>> parse_position("startpos moves e2e4 e7e5".split())
    (None, ('e2e4', 'e7e5'))
    >>> parse_position("fen 8/8/8/8/8/k7/8/K7 w - - 0 1".split())
    ('8/8/8/8/8/k7/8/K7 w - - 0 1', ())

    Raises:
        ValueError: without ``startpos`` or ``fen``, or with words that are neither.
    """
    at = list(words).index("moves") if "moves" in words else len(words)
    kind, fen, moves = (words[0] if words else ""), " ".join(words[1:at]), tuple(words[at + 1 :])
    if kind == "startpos":
        if fen:
            raise ValueError(f'"moves" is missing before {excerpt(fen, EXCERPT)}')
        return None, moves
    if kind == "fen" and fen:
        return fen, moves
    raise ValueError("fen is not followed by a position" if kind == "fen" else "startpos or fen is missing")


def parse_setoption(words: Sequence[str]) -> tuple[str, str]:
    """Parse the words after `setoption`: the option's name and value, either of several words.

    >>> parse_setoption("name Move Overhead value 100".split()), parse_setoption("name Clear Hash".split())
    (('Move Overhead', '100'), ('Clear Hash', ''))

    Raises:
        ValueError: without a name.
    """
    rest = list(words[1:]) if words[:1] == ["name"] else list(words)
    at = rest.index("value") if "value" in rest else len(rest)
    name = " ".join(rest[:at])
    if not name:
        raise ValueError("the option's name is missing: setoption name NAME value VALUE")
    return name, " ".join(rest[at + 1 :])

"""Game records in Portable Game Notation or as lines of SAN: main line, result and starting position.

Standard: "Portable Game Notation Specification and Implementation Guide" (Edwards 1994). Comments,
variations, annotation glyphs, move numbers and ``%`` lines are skipped. Moves are not checked here
(`replay`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from supervised.data.sources.chess_games.game_file import lines

RESULTS = ("1-0", "0-1", "1/2-1/2")
UNKNOWN = "*"
UNCLOSED = "with a comment that is not closed"
LONGEST_GAME = 1 << 20  # characters of a section: an unclosed comment does not swallow a whole file
STANDARD = ("", "standard", "chess", "normal", "from position")  # the tag Variant of games by the usual rules
TAG = re.compile(r'\s*\[\s*(\w+)\s+"((?:[^"\\]|\\.)*)"\s*\]')
TAG_START = re.compile(r'\s*\[\s*\w+\s+"')
TOKEN = re.compile(
    r"""\{[^}]*(?:\}|\Z)          # comment
    | ;[^\n]*                     # comment to the end of the line
    | ^%[^\n]*                    # escape
    | \$\d+ | [!?]+ | \d+\.+      # glyph, judgement, move number
    | [()]
    | [^\s(){};!?$]+
    """,
    re.X | re.M,
)
RESULT_AT_END = re.compile(r"(?:^|\s)(?:1-0|0-1|1/2-1/2|\*)\s*$")
NUMBER = re.compile(r"\d+\.+")
SKIPPED = ("e.p.", "ep", "...", "..", ".")
ALIKE = {"1/2": "1/2-1/2", "½-½": "1/2-1/2", "1:0": "1-0", "0:1": "0-1", "1–0": "1-0", "0–1": "0-1"}


class GameSyntaxError(ValueError):
    """A record that cannot be read as a game; the message is the reason, in a few words to count by."""


@dataclass(frozen=True)
class Section:
    """Text of one game, tags and all, as it stands in a file.

    Attributes:
        line: number of its first line, from 1.
        text: its lines.
        fault: why it cannot be read, in a few words such as "of more than a megabyte"; or "".
    """

    line: int
    text: str
    fault: str = ""


@dataclass(frozen=True)
class GameRecord:
    """What a record says of a game.

    Attributes:
        moves: in SAN, unchecked.
        result: one of `RESULTS`; `UNKNOWN` where the game has none, or says two different ones.
        fen: of the starting position; "" for the usual one.
        contradiction: whether the tag ``Result`` and the end of the moves differ.
    """

    moves: tuple[str, ...]
    result: str = UNKNOWN
    fen: str = ""
    contradiction: bool = False
    tags: dict[str, str] = field(default_factory=dict)


def sections(path: Path) -> Iterator[tuple[Section, int]]:
    """The games of a file as text, one after the other, and the bytes of the file read so far.

    Raises:
        DataError, MissingPackageError: see `game_file.lines`.
    """
    numbered = lines(path)
    begun: list[tuple[int, str, int]] = []
    for number, line, read in numbered:
        begun.append((number, line, read))
        if line.strip() and not line.startswith(("%", ";")):
            break

    def whole() -> Iterator[tuple[int, str, int]]:
        yield from begun
        yield from numbered

    if path.name.lower().split(".")[-1] == "pgn" or ".pgn." in path.name.lower():
        return _pgn_sections(whole())
    is_pgn = bool(begun) and begun[-1][1].lstrip().startswith(("[", "{"))
    return _pgn_sections(whole()) if is_pgn else _line_sections(whole())


def _line_sections(numbered: Iterable[tuple[int, str, int]]) -> Iterator[tuple[Section, int]]:
    for number, line, read in numbered:
        if line.strip():
            yield Section(number, line), read


def _pgn_sections(numbered: Iterable[tuple[int, str, int]]) -> Iterator[tuple[Section, int]]:
    """Cut after a result at the end of a line, and where tags follow moves.

    An ``[Event`` ends even a comment that nobody closed.
    """
    text: list[str] = []
    size, first, read = 0, 1, 0
    moves = comment = ended = False
    fault = ""
    for number, line, read in numbered:
        tag = line.lstrip().startswith("[") and TAG_START.match(line) is not None
        next_game = ended or (tag and moves and (not comment or line.lstrip().startswith("[Event ")))
        if next_game and line.strip():
            yield Section(first, "\n".join(text), fault or UNCLOSED * comment), read
            text, size, moves, comment, ended, fault = [], 0, False, False, False, ""
        if not text:
            first = number
        if size > LONGEST_GAME:
            fault = "of more than a megabyte"
        else:
            text.append(line)
            size += len(line) + 1
        if not tag or comment:
            moves = moves or bool(line.strip() and not line.startswith("%"))
            comment = _in_comment(line, comment)
            ended = ended or (not comment and ";" not in line and RESULT_AT_END.search(line) is not None)
    if any(line.strip() for line in text):
        yield Section(first, "\n".join(text), fault or UNCLOSED * comment), read


def _in_comment(line: str, inside: bool) -> bool:
    """Whether a brace comment is open after a line."""
    if "{" not in line and "}" not in line:
        return inside
    if not inside and line.startswith("%"):
        return False
    for sign in line:
        if inside:
            inside = sign != "}"
        elif sign == ";":
            return False
        else:
            inside = sign == "{"
    return inside


def records(section: Section) -> Iterator[GameRecord]:
    """The games of a section: one, or several without tags of their own, each ended by its result.

    Raises:
        GameSyntaxError: with the reason in words.
    """
    if section.fault:
        raise GameSyntaxError(section.fault)
    tags, text = _tags(section.text)
    if tags.get("Variant", "").lower() not in STANDARD:
        raise GameSyntaxError("of another variant of chess")
    ended = False
    moves: list[str] = []
    for word in _main_line(text):
        word = ALIKE.get(word, word)
        if word in RESULTS or word == UNKNOWN:
            yield _record(moves, word, tags)
            moves, tags, ended = [], {}, True
        else:
            moves.append(word)
    if moves or (tags and not ended):
        yield _record(moves, None, tags)


def _record(moves: list[str], word: str | None, tags: dict[str, str]) -> GameRecord:
    told = tags.get("Result", UNKNOWN)
    told = ALIKE.get(told, told)
    told = told if told in RESULTS else UNKNOWN
    result = told if word is None or word == UNKNOWN else word
    contradiction = UNKNOWN not in (told, result) and told != result
    fen = tags.get("FEN", "") if tags.get("SetUp", "1") != "0" else ""
    return GameRecord(tuple(moves), UNKNOWN if contradiction else result, fen, contradiction, tags)


def _tags(text: str) -> tuple[dict[str, str], str]:
    """The tag pairs at the start, and what follows them."""
    tags: dict[str, str] = {}
    rows = text.split("\n")
    for at, row in enumerate(rows):
        if row.strip() and not row.startswith("%") and TAG_START.match(row) is None:
            return tags, "\n".join(rows[at:])
        place = 0
        while (found := TAG.match(row, place)) is not None:
            tags.setdefault(found[1], found[2].replace('\\"', '"').replace("\\\\", "\\"))
            place = found.end()
    return tags, ""


def _main_line(text: str) -> Iterator[str]:
    """Words of the moves' text outside comments and variations.

    Raises:
        GameSyntaxError: for brackets that do not match.
    """
    depth = 0
    for token in TOKEN.findall(text):
        if token == "(":
            depth += 1
        elif token == ")":
            depth -= 1
            if depth < 0:
                raise GameSyntaxError("with a bracket that closes nothing")
        elif depth or token[0] in "{;%$!?":
            continue
        else:
            word = NUMBER.sub("", token, count=1) if token[0].isdigit() else token
            if word and word not in SKIPPED:
                yield word
    if depth:
        raise GameSyntaxError("with a variation that is not closed")

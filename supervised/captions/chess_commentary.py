"""Commentary of chess positions in English and French: facts become sentences, which parse back to the facts.

    parse(write(facts, language)) == facts

The facts are those that a picture of the board shows: where the kings stand, how many pawns and pieces each
side has, who is ahead in material (pawn 1, knight and bishop 3, rook 5, queen 9), and a check. A position is
its 64 squares from a8 to h1, letters as in FEN and a dot for an empty one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias

POINTS = {"p": 1, "n": 3, "b": 3, "r": 5, "q": 9, "k": 0}
SIDES = ("white", "black")
NONE = "none"  # no side in check

#: Fact → its value, a square, a number or a side.
Facts: TypeAlias = dict[str, str | int]

#: Language → what it is called by itself, and its sentences; {} are slots.
TEXTS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "side": "the {colour} king is on {king} with {pawns} and {pieces}",
        "ahead": "{colour} is {points} ahead",
        "level": "material is level",
        "check": "the {colour} king is in check",
        "no check": "no king is in check",
        "white": "white",
        "black": "black",
    },
    "fr": {
        "side": "le roi {colour} est en {king} avec {pawns} et {pieces}",
        "ahead": "le camp {colour} mène de {points}",
        "level": "le matériel est égal",
        "check": "le roi {colour} est en échec",
        "no check": "aucun roi n'est en échec",
        "white": "blanc",
        "black": "noir",
    },
}
LANGUAGES = tuple(TEXTS)
#: Language → what is counted, one and several; French takes the singular for 0.
COUNTED: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "en": {"pawns": ("pawn", "pawns"), "pieces": ("piece", "pieces"), "points": ("point", "points")},
    "fr": {"pawns": ("pion", "pions"), "pieces": ("pièce", "pièces"), "points": ("point", "points")},
}
SQUARES = tuple(f"{file}{rank}" for rank in range(8, 0, -1) for file in "abcdefgh")
MOST_POINTS = 103  # nine queens, two rooks, bishops and knights


class CommentaryError(ValueError):
    """A sentence that is no commentary, or a position that has none."""


def facts_of_board(squares: str, check: str = NONE) -> Facts:
    """The facts of a position.

    Args:
        squares: 64 letters, see the module; one king a side.
        check: the side whose king is in check, or `NONE`.

    Raises:
        CommentaryError: without exactly one king a side.

    >>> facts_of_board("....k..." + "." * 32 + "....P..." + "." * 8 + "....K...")["white pawns"]
    1
    """
    facts: Facts = {}
    for side in SIDES:
        own = squares if side == "white" else squares.swapcase()
        kings = [at for at, piece in enumerate(own) if piece == "K"]
        if len(kings) != 1:
            raise CommentaryError(f"{side} has {len(kings)} kings: a position has one a side")
        facts[f"{side} king"] = SQUARES[kings[0]]
        facts[f"{side} pawns"] = own.count("P")
        facts[f"{side} pieces"] = sum(piece in "NBRQ" for piece in own)
    facts["ahead"] = sum(
        POINTS[piece.lower()] * (1 if piece.isupper() else -1) for piece in squares if piece != "."
    )
    facts["check"] = check
    return facts


def write(facts: Facts, language: str) -> str:
    """The facts in a language.

    >>> position = "....k..." + "." * 40 + ".P......" + "....K..."
    >>> write(facts_of_board(position), "fr").split(", ")[0]
    'le roi blanc est en e1 avec 1 pion et 0 pièce'
    """
    text = TEXTS[language]
    parts = []
    for side in SIDES:
        counts = {name: number(int(facts[f"{side} {name}"]), name, language) for name in ("pawns", "pieces")}
        parts.append(text["side"].format(colour=text[side], king=facts[f"{side} king"], **counts))
    ahead, check = int(facts["ahead"]), str(facts["check"])
    leader = text["white" if ahead > 0 else "black"]
    parts.append(
        text["ahead"].format(colour=leader, points=number(abs(ahead), "points", language))
        if ahead
        else text["level"]
    )
    parts.append(text["no check"] if check == NONE else text["check"].format(colour=text[check]))
    return ", ".join(parts) + "."


def number(count: int, what: str, language: str) -> str:
    """A number of pawns, pieces or points in words.

    >>> number(0, "pawns", "en"), number(0, "pawns", "fr"), number(2, "pieces", "fr")
    ('0 pawns', '0 pion', '2 pièces')
    """
    one, several = COUNTED[language][what]
    return f"{count} {one if count == 1 or (count == 0 and language == 'fr') else several}"


def parse(sentence: str) -> Facts:
    """The facts of a sentence of either language, and its ``language``.

    Raises:
        CommentaryError: for what is no commentary.
    """
    for language in LANGUAGES:
        found = _pattern(language).fullmatch(sentence)
        if found is not None:
            facts = _facts(found, language)
            if write(facts, language) == sentence:  # numbers agree with their nouns, and have no leading zero
                return {"language": language} | facts
    raise CommentaryError(f'"{sentence}" is no commentary of a position')


def tokens(sentence: str) -> list[str]:
    """Words, numbers, files and ranks, and punctuation.

    >>> tokens("le roi noir est en e8, 12.")
    ['le', 'roi', 'noir', 'est', 'en', 'e', '8', ',', '12', '.']
    """
    return re.findall(
        r"(?<![\w'])[a-h](?=[1-8]\b)|(?<=\b[a-h])[1-8]\b|\d+|[^\W\d_]+(?:'[^\W\d_]+)*|[.,]", sentence
    )


def joined(words: list[str]) -> str:
    """The inverse of `tokens`.

    >>> joined(tokens("le roi noir est en e8, 12."))
    'le roi noir est en e8, 12.'
    """
    text = re.sub(r"\b([a-h]) (?=[1-8]\b)", r"\1", " ".join(words))
    return re.sub(r" ([.,])", r"\1", text)


def vocabulary() -> tuple[str, ...]:
    """Every token of both languages, in alphabetical order; numbers up to `MOST_POINTS`."""
    fixed = {word for text in TEXTS.values() for part in text.values() for word in tokens(_plain(part))}
    nouns = {noun for names in COUNTED.values() for forms in names.values() for noun in forms}
    return tuple(sorted({*fixed, *nouns, *"abcdefgh", *map(str, range(MOST_POINTS + 1)), ",", "."}))


def _plain(text: str) -> str:
    return re.sub(r"\{\w+\}", " ", text)


def _pattern(language: str) -> re.Pattern[str]:
    """A regular expression of a language's sentences; groups are named by side and slot."""
    text = TEXTS[language]
    colours = f"{text['white']}|{text['black']}"

    def part(which: str, prefix: str, colour: str) -> str:
        slots = {
            "colour": f"(?P<{prefix}colour>{colour})",
            "king": f"(?P<{prefix}king>[a-h][1-8])",
            "pawns": rf"(?P<{prefix}pawns>\d+) \w+",
            "pieces": rf"(?P<{prefix}pieces>\d+) \w+",
            "points": rf"(?P<{prefix}points>\d+) \w+",
        }
        pieces = re.split(r"(\{\w+\})", text[which])
        return "".join(slots[piece[1:-1]] if piece.startswith("{") else re.escape(piece) for piece in pieces)

    clauses = []
    for side in SIDES:
        clauses.append(part("side", f"{side}_", text[side]))
    clauses.append(f"(?:{part('ahead', 'ahead_', colours)}|{re.escape(text['level'])})")
    clauses.append(f"(?:{part('check', 'check_', colours)}|{re.escape(text['no check'])})")
    return re.compile(", ".join(clauses) + r"\.")


def _facts(found: re.Match[str], language: str) -> Facts:
    text = TEXTS[language]
    facts: Facts = {}
    for side in SIDES:
        facts[f"{side} king"] = found[f"{side}_king"]
        facts[f"{side} pawns"] = int(found[f"{side}_pawns"])
        facts[f"{side} pieces"] = int(found[f"{side}_pieces"])
    sign = 1 if found["ahead_colour"] == text["white"] else -1
    facts["ahead"] = sign * int(found["ahead_points"] or 0)
    checked = {text[side]: side for side in SIDES}
    facts["check"] = checked.get(found["check_colour"], NONE)
    return facts

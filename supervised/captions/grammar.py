"""Caption grammars: a game state's facts become a sentence, and parsing it gives the same facts back.

A `Grammar` is a literal table. Its slots discretise the numbers of `sim.atari.truth.facts` (a ball at x = 12
is on the left), each value with several wordings; its clauses give the order of the slots. For all facts and
every choice of wordings

    grammar.parse(grammar.write(facts, generator)) == grammar.discretise(facts)

so that a caption can be scored by its facts and not by its words (`state_exact` in `supervised.metrics`).
Tokens, vocabulary and the longest sentence's length are there for a captioner's tokenizer.

The games' tables are in `supervised.captions.caption_grammars`. Does not know: images, models, games.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np

#: The value of a slot: a name in its table of wordings, or a number.
Value: TypeAlias = str | int
Facts: TypeAlias = Mapping[str, int]
#: Slot → value: the content of a sentence.
State: TypeAlias = dict[str, Value]

_HOLE = re.compile(r"\{([^}]+)\}")
_TOKEN = re.compile(r"\d|[a-z]+(?:['-][a-z]+)*|[.,;]")


class CaptionError(ValueError):
    """Facts that a grammar has no words for, or a sentence that it does not accept."""


@dataclass(frozen=True)
class Words:
    """Categorical slot: one of a few values, each with its wordings.

    Attributes:
        read: facts → the value; None if it does not apply. May raise `KeyError`.
        wordings: value → its wordings, the plainest first; no two values may share one.
    """

    read: Callable[[Facts], Value | None]
    wordings: Mapping[Value, Sequence[str]]

    def phrases(self, value: Value) -> Sequence[str]:
        """The wordings of a value.

        Raises:
            CaptionError: if it has none.
        """
        if value not in self.wordings:
            raise CaptionError(
                f"there are no words for {value!r}, only for {', '.join(map(repr, self.wordings))}"
            )
        return self.wordings[value]

    @property
    def pattern(self) -> str:
        """A regular expression of all wordings, the longest first: one may begin another."""
        return "|".join(map(re.escape, sorted(self.all_phrases(), key=len, reverse=True)))

    def value(self, phrase: str) -> Value:
        """The value that a wording of this slot stands for."""
        return next(value for value, said in self.wordings.items() if phrase in said)

    def tokens(self) -> list[list[str]]:
        """The tokens of each wording."""
        return [split(phrase) for phrase in self.all_phrases()]

    def all_phrases(self) -> list[str]:
        """All wordings of all values."""
        return [phrase for phrases in self.wordings.values() for phrase in phrases]


@dataclass(frozen=True)
class Number:
    """Numeric slot: a fact in digits.

    Attributes:
        fact: its name.
        digits: the largest number of them.
    """

    fact: str
    digits: int

    def read(self, facts: Facts) -> Value | None:
        """The fact itself."""
        return facts[self.fact]

    def phrases(self, value: Value) -> Sequence[str]:
        """The number in digits.

        Raises:
            CaptionError: if it is negative or has too many.
        """
        if not 0 <= int(value) < 10**self.digits:
            raise CaptionError(f"{self.fact} is {value}; it must be from 0 to {10**self.digits - 1}")
        return (str(value),)

    @property
    def pattern(self) -> str:
        """A regular expression of these numbers, without leading zeros."""
        return rf"0|[1-9]\d{{0,{self.digits - 1}}}"

    def value(self, phrase: str) -> Value:
        """The number that digits stand for."""
        return int(phrase)

    def tokens(self) -> list[list[str]]:
        """Each digit as often as the longest number can have it."""
        return [[digit] * self.digits for digit in "0123456789"]


Slot: TypeAlias = Words | Number


@dataclass(frozen=True)
class Clause:
    """Clause of a sentence: alternative texts with the same slots.

    Attributes:
        texts: the alternatives, the plainest first, in small letters, slots in braces: each text has all of
            the clause's slots, once.
        otherwise: texts without slots for where a slot has no value; none if that does not occur.
        still: texts for a single image, where that does not show all of the slots; none if it does.
    """

    texts: Sequence[str]
    otherwise: Sequence[str] = ()
    still: Sequence[str] = ()

    @property
    def slots(self) -> list[str]:
        """The names of its slots."""
        return _HOLE.findall(self.texts[0])


@dataclass(frozen=True)
class Grammar:
    """Grammar of the captions of one game: writes facts as sentences and parses them back.

    Attributes:
        slots: by name.
        clauses: in their order; a sentence has all of them.

    Raises:
        ValueError: naming the slot of which two values share a wording, or that is in no clause or in two, or
            the text whose slots are not those of its clause or that is not made of tokens.
    """

    slots: Mapping[str, Slot]
    clauses: Sequence[Clause]

    def __post_init__(self) -> None:
        """Refuse a table whose sentences could not be parsed back."""
        spoken = [name for clause in self.clauses for name in clause.slots]
        if sorted(spoken) != sorted(self.slots):
            raise ValueError(f"each of {', '.join(self.slots)} must be said once, not {', '.join(spoken)}")
        for clause in self.clauses:
            for text in clause.texts:
                if sorted(_HOLE.findall(text)) != sorted(clause.slots):
                    raise ValueError(f'"{text}" does not say {", ".join(clause.slots)}')
            for text in (*clause.texts, *clause.otherwise):
                _check_spelling(_HOLE.sub("x", text))
        for name, slot in self.slots.items():
            phrases = slot.all_phrases() if isinstance(slot, Words) else []
            if len(set(phrases)) < len(phrases):
                raise ValueError(f'in the slot "{name}" two values share a wording')
            for phrase in phrases:
                _check_spelling(phrase)

    def discretise(self, facts: Facts) -> State:
        """The slots' values for these facts: what a sentence about them says.

        Raises:
            CaptionError: naming a fact that is missing, or that there are no words for.
        """
        state: State = {}
        for clause in self.clauses:
            state |= self._read(clause, facts)
        return state

    def write(self, facts: Facts, generator: np.random.Generator | None = None) -> str:
        """A sentence about these facts: in the plainest wordings, or in those that `generator` draws.

        Raises:
            CaptionError: as `discretise`.
        """
        parts = []
        for clause in self.clauses:
            state = self._read(clause, facts)
            text = _chosen(clause.texts if state else clause.otherwise, generator)
            phrases = {name: self.slots[name].phrases(value) for name, value in state.items()}
            words = {name: _chosen(ways, generator) for name, ways in phrases.items()}
            parts.append(_filled(text, words))
        return join(split("; ".join(parts) + "."))

    def parse(self, sentence: str) -> State:
        """The slots' values in a sentence; spaces and capitals do not matter.

        Raises:
            CaptionError: for a sentence that the grammar does not accept.
        """
        found = self._pattern.fullmatch(" ".join(sentence.lower().split()))
        if found is None:
            raise CaptionError(f'no facts give the sentence "{sentence}"')
        said = [(name, found[group]) for group, name in self._groups if found[group] is not None]
        return {name: self.slots[name].value(phrase) for name, phrase in said}

    def spans(self, sentence: str) -> dict[str, tuple[int, int]]:
        """Where the wording of each slot stands in a sentence with single spaces: its start and end.

        Raises:
            CaptionError: for a sentence that the grammar does not accept as it is written.
        """
        found = self._pattern.fullmatch(sentence.lower())
        if found is None:
            raise CaptionError(f'no facts give the sentence "{sentence}"')
        return {name: found.span(group) for group, name in self._groups if found[group] is not None}

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        """Every token of every sentence, in alphabetical order."""
        texts = [text for clause in self.clauses for text in (*clause.texts, *clause.otherwise)]
        words = {token for text in texts for token in split(_HOLE.sub(" ", text))}
        words |= {token for slot in self.slots.values() for tokens in slot.tokens() for token in tokens}
        return tuple(sorted(words | {";", "."}))

    @cached_property
    def still(self) -> Grammar:
        """The grammar for a single image, which does not show motion."""
        clauses = [Clause(clause.still or clause.texts, clause.otherwise) for clause in self.clauses]
        spoken = [name for clause in clauses for name in clause.slots]
        return Grammar({name: self.slots[name] for name in spoken}, clauses)

    @cached_property
    def max_length(self) -> int:
        """How many tokens the longest sentence has."""
        longest = {name: max(map(len, slot.tokens())) for name, slot in self.slots.items()}

        def length(text: str) -> int:
            return len(split(_HOLE.sub(" ", text))) + sum(longest[name] for name in _HOLE.findall(text))

        # Each clause is followed by a semicolon or, the last, by the full stop.
        return sum(1 + max(map(length, (*clause.texts, *clause.otherwise))) for clause in self.clauses)

    def _read(self, clause: Clause, facts: Facts) -> State:
        """The slots' values of one clause; empty where `otherwise` applies."""
        state: State = {}
        for name in clause.slots:
            value = _known(self.slots[name], facts)
            if value is None and clause.otherwise:
                return {}
            if value is None:
                raise CaptionError(f'the facts {dict(facts)} do not tell "{name}"')
            self.slots[name].phrases(value)  # raises where there are no words for it
            state[name] = value
        return state

    @cached_property
    def _groups(self) -> list[tuple[str, str]]:
        """Names of the pattern's groups, each with its slot's name: a slot has a group in each text."""
        names = [name for clause in self.clauses for text in clause.texts for name in _HOLE.findall(text)]
        return [(f"g{number}", name) for number, name in enumerate(names)]

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        """The regular expression of all sentences, in small letters."""
        groups = iter(self._groups)
        return re.compile("; ".join(self._alternatives(clause, groups) for clause in self.clauses) + r"\.")

    def _alternatives(self, clause: Clause, groups: Iterator[tuple[str, str]]) -> str:
        """The regular expression of one clause's texts."""
        ways = []
        for text in clause.texts:
            literal = _HOLE.split(text)[::2]
            holes = [
                f"(?P<{group}>{self.slots[name].pattern})" for group, name in _taken(groups, len(literal) - 1)
            ]
            ways.append("".join(a + b for a, b in zip(map(re.escape, literal), [*holes, ""], strict=True)))
        return f"(?:{'|'.join([*ways, *map(re.escape, clause.otherwise)])})"


def split(sentence: str) -> list[str]:
    """Tokenize a sentence: words in small letters, single digits, punctuation.

    >>> split("The score is 3 to 12.")
    ['the', 'score', 'is', '3', 'to', '1', '2', '.']
    """
    return _TOKEN.findall(sentence.lower())


def pieces(text: str) -> list[tuple[str, str]]:
    """Split a clause's text at its slots: literal words, each with the slot after it, or "" at the end.

    >>> pieces("the score is {left} to {right}")
    [('the score is ', 'left'), (' to ', 'right'), ('', '')]
    """
    parts = [*_HOLE.split(text), ""]
    return list(zip(parts[::2], parts[1::2], strict=True))


def join(tokens: Sequence[str]) -> str:
    """Detokenize: the sentence of these tokens; digits that follow each other are one number.

    >>> join(["the", "score", "is", "3", "to", "1", "2", "."])
    'The score is 3 to 12.'
    """
    text = re.sub(r" (?=[.,;])|(?<=\d) (?=\d)", "", " ".join(tokens))
    return text[:1].upper() + text[1:]


def _chosen(ways: Sequence[str], generator: np.random.Generator | None) -> str:
    return ways[0 if generator is None else int(generator.integers(len(ways)))]


def _filled(text: str, words: Mapping[str, str]) -> str:
    """A text with its slots filled in."""
    return _HOLE.sub(lambda hole: words[hole[1]], text)


def _known(slot: Slot, facts: Facts) -> Value | None:
    """The value of a slot; None if there is none, or a fact is missing."""
    try:
        return slot.read(facts)
    except KeyError:
        return None


def _check_spelling(text: str) -> None:
    """Raise ValueError unless the tokens of `text` give it back."""
    if join(split(text)).lower() != text:
        raise ValueError(f'"{text}" must be words in small letters and . , ; with single spaces')


def _taken(groups: Iterator[tuple[str, str]], count: int) -> list[tuple[str, str]]:
    return [next(groups) for _ in range(count)]

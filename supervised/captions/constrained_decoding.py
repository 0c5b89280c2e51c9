"""Constrained decoding: a finite automaton of which tokens may follow in the sentences of caption grammars.

    >>> from supervised.captions.caption_grammars import STILLS
    >>> ways = ConstrainedDecoder([STILLS["freeway"]])
    >>> at = ways.start
    >>> for token in ("the", "left", "chicken", "has"):
    ...     at = ways.after(at, token)
    >>> ways.choices(at)
    ('reached',)

Does not know: models, images.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from supervised.captions.grammar import Grammar, Number, Slot, pieces, split

#: A state of the automaton: a set of nodes, since one wording may be a prefix of another.
Place: TypeAlias = frozenset[int]
#: A sequence of positions, each with the tokens that may stand there.
Way: TypeAlias = list[Sequence[str]]

_BEGIN, _END = 0, 1
_DIGITS = "0123456789"


class ConstrainedDecoder:
    """Token automaton that accepts exactly the sentences of some grammars.

    Attributes:
        start: the state before the first token.
    """

    def __init__(self, grammars: Sequence[Grammar]) -> None:
        """Build the automaton.

        Raises:
            ValueError: if there are no grammars.
        """
        if not grammars:
            raise ValueError("constrained decoding needs at least one grammar")
        self.start: Place = frozenset({_BEGIN})
        self._next: list[dict[str, set[int]]] = [{}, {}]  # node → token → nodes
        for grammar in grammars:
            begin = _BEGIN
            for clause in grammar.clauses:
                last = clause is grammar.clauses[-1]
                end = _END if last else self._node()
                for text in (*clause.texts, *clause.otherwise):
                    self._go(self._say(begin, text, grammar), [["."] if last else [";"]], end)
                begin = end

    def choices(self, place: Place) -> tuple[str, ...]:
        """The tokens that may follow, in alphabetical order; none after the full stop."""
        return tuple(sorted({token for node in place for token in self._next[node]}))

    def after(self, place: Place, token: str) -> Place:
        """The state after a token; empty if it may not follow."""
        return frozenset(node for one in place for node in self._next[one].get(token, ()))

    def _say(self, node: int, text: str, grammar: Grammar) -> int:
        """Add a clause's text from `node` on, and return the node after it."""
        for literal, slot in pieces(text):
            node = self._go(node, [[token] for token in split(literal)], self._node())
            if slot:
                end = self._node()
                for way in ways(grammar.slots[slot]):
                    self._go(node, way, end)
                node = end
        return node

    def _go(self, node: int, way: Way, end: int) -> int:
        """Add a path from `node` over the tokens of `way` to `end`, and return `end`."""
        for number, tokens in enumerate(way):
            following = end if number == len(way) - 1 else self._node()
            for token in tokens:
                self._next[node].setdefault(token, set()).add(following)
            node = following
        return node

    def _node(self) -> int:
        self._next.append({})
        return len(self._next) - 1


def ways(slot: Slot) -> list[Way]:
    """All token sequences that a slot of a grammar can produce.

    >>> ways(Number("score", 2))
    [['0123456789'], ['123456789', '0123456789']]
    """
    if isinstance(slot, Number):
        longer: list[Way] = [[_DIGITS[1:], *[_DIGITS] * more] for more in range(1, slot.digits)]
        return [[_DIGITS], *longer]
    return [[[token] for token in tokens] for tokens in slot.tokens()]

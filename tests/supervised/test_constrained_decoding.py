"""Constrained decoding: it allows exactly the sentences of the grammars."""

from __future__ import annotations

import numpy as np
import pytest
from test_grammar import anything

from supervised.captions.caption_grammars import GRAMMARS, STILLS, parse
from supervised.captions.constrained_decoding import ConstrainedDecoder, ways
from supervised.captions.grammar import Clause, Grammar, Number, Words, join, split

TINY = Grammar(
    slots={
        "place": Words(lambda facts: facts["x"], {0: ("on the left",), 1: ("on the left side",)}),
        "n": Number("n", 2),
    },
    clauses=(Clause(("it is {place}",), otherwise=("it is gone",)), Clause(("{n} points",))),
)


def said(continuations, tokens):
    """Whether one gets through all of some tokens."""
    place = continuations.start
    for token in tokens:
        place = continuations.after(place, token)
    return bool(place) and not continuations.choices(place)


def everything(continuations, place, so_far=()):
    """All sentences from a place on."""
    choices = continuations.choices(place)
    if not choices:
        yield so_far
    for token in choices:
        yield from everything(continuations, continuations.after(place, token), (*so_far, token))


def test_a_small_language_by_hand():
    sentences = {
        join(tokens) for tokens in everything(ConstrainedDecoder([TINY]), ConstrainedDecoder([TINY]).start)
    }
    beginnings = ("It is on the left", "It is on the left side", "It is gone")
    assert sentences == {f"{beginning}; {n} points." for beginning in beginnings for n in range(100)}


def test_numbers_have_no_leading_zeros():
    assert ways(Number("n", 3)) == [
        ["0123456789"],
        ["123456789", "0123456789"],
        ["123456789", "0123456789", "0123456789"],
    ]


@pytest.mark.parametrize("game", GRAMMARS)
def test_all_that_is_written_may_be_said(game):
    generator = np.random.default_rng(1)
    moving, still = ConstrainedDecoder([GRAMMARS[game]]), ConstrainedDecoder([STILLS[game]])
    for _ in range(200):
        facts = anything(game, generator)
        assert said(moving, split(GRAMMARS[game].write(facts, generator)))
        assert said(still, split(STILLS[game].write(facts, generator)))


def test_all_that_may_be_said_is_a_sentence():
    generator = np.random.default_rng(2)
    continuations = ConstrainedDecoder(list(STILLS.values()))
    games = set()
    for _ in range(400):
        place, tokens = continuations.start, []
        while choices := continuations.choices(place):
            tokens.append(choices[generator.integers(len(choices))])
            place = continuations.after(place, tokens[-1])
        games.add(parse(join(tokens))["game"])
    assert games == set(STILLS)


def test_what_may_not_follow_leads_nowhere():
    continuations = ConstrainedDecoder([TINY])
    assert continuations.after(continuations.start, "points") == frozenset()
    with pytest.raises(ValueError, match="grammar"):
        ConstrainedDecoder([])

"""Captions: sentence and facts give each other back, whatever the words; what is no sentence is refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.atari.truth import facts as told
from sim.catalog import make_world
from sim.records import Percept
from supervised.captions.caption_grammars import GRAMMARS, differing_spans, parse
from supervised.captions.grammar import CaptionError, Clause, Grammar, Number, Words, join, split
from supervised.metrics import grade

#: Fact → values on both sides of every border that a table draws, and far beyond.
EDGES = {
    "pong": {
        "ball x": (-1, 0, 53, 54, 106, 107, 159, 160),
        "ball y": (29, 30, 85, 86, 141, 142, 197, 198),
        "ball dx": (-3, 0, 2),
        "ball dy": (-1, 0, 4),
        "enemy y": (-7, 87, 88, 250),
        "player y": (34, 140, 141, 200),
        "enemy score": tuple(range(22)),
        "player score": (0, 4, 59, 83, 67),
    },
    "breakout": {
        "ball x": (-17, 8, 56, 104, 151, 152),
        "ball y": (31, 32, 87, 142, 195, 219),
        "ball right": (-1, 1),
        "ball down": (-1, 1),
        "paddle x": (0, 55, 56, 103, 104, 160),
        "bricks": (0, 1, 36, 37, 72, 73, 107, 108),
        "lives": tuple(range(6)),
        "score": (0, 9, 864, 375, 102),
    },
    "freeway": {
        "player y": (5, *range(16, 200, 4), 255),
        "player score": (0, 1, 34, 67),
        "enemy score": (0, 5, 12, 89),
    },
    "ms_pacman": {
        "player x": (-9, 53, 54, 106, 107, 200),
        "player y": (0, 56, 57, 113, 114, 250),
        "lives": tuple(range(9)),
        "score": (0, 870, 2_340, 65_010, 999_999),
    },
}

FACTS = {
    "ball x": 20,
    "ball y": 170,
    "ball dx": 2,
    "ball dy": -1,
    "enemy y": 180,
    "player y": 40,
    "enemy score": 3,
    "player score": 12,
}


def anything(game, rng):
    """Facts from `EDGES` at random."""
    return {name: values[rng.integers(len(values))] for name, values in EDGES[game].items()}


@pytest.mark.parametrize("game", GRAMMARS)
def test_sentence_and_facts_give_each_other_back(game):
    rng = np.random.default_rng(0)
    grammar = GRAMMARS[game]
    longest, spoken, meanings, values = 0, set(), {}, {name: set() for name in grammar.slots}
    for _ in range(1_500):
        facts = anything(game, rng)
        state = grammar.discretise(facts)
        for generator in (None, rng):
            sentence = grammar.write(facts, generator)
            assert grammar.parse(sentence) == state, sentence
            assert meanings.setdefault(sentence, state) == state, "one sentence has one meaning"
            tokens = split(sentence)
            assert join(tokens) == sentence
            longest = max(longest, len(tokens))
            spoken.update(tokens)
        for name, value in state.items():
            values[name].add(value)
    assert spoken == set(grammar.vocabulary), "the vocabulary is what is spoken"
    assert longest <= grammar.max_length <= longest + 2
    for name, slot in grammar.slots.items():
        if isinstance(slot, Words):
            assert values[name] == set(slot.wordings), "every value occurs"
            assert all(len(phrases) >= 2 for phrases in slot.wordings.values())


def between(values):
    """Every whole number from the least to the largest of `EDGES`, and the edges themselves more often."""
    return st.sampled_from(values) | st.integers(min(values), max(values))


@pytest.mark.parametrize("game", GRAMMARS)
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_whatever_the_facts_the_sentence_gives_them_back(game, data):
    grammar = GRAMMARS[game]
    facts = data.draw(st.fixed_dictionaries({name: between(values) for name, values in EDGES[game].items()}))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    try:
        state = grammar.discretise(facts)
    except CaptionError:
        with pytest.raises(CaptionError):
            grammar.write(facts, rng)
        return
    sentence = grammar.write(facts, rng)
    assert parse(sentence) == {"game": game} | state
    assert grammar.parse(grammar.write(facts)) == state, "the plainest words say the same"
    dropped = split(sentence)
    del dropped[data.draw(st.integers(0, len(dropped) - 1))]
    try:
        assert grammar.parse(join(dropped)) != state, "every word counts"
    except CaptionError:
        pass


@pytest.mark.parametrize("game", GRAMMARS)
def test_the_parts_of_two_captions_that_differ_are_those_of_the_facts_that_do(game):
    rng = np.random.default_rng(3)
    grammar = GRAMMARS[game]
    for _ in range(40):
        states, sentences = [], []
        for facts in (anything(game, rng), anything(game, rng)):
            states.append(grammar.discretise(facts))
            sentences.append(grammar.write(facts, rng))
        different = {name for name in states[0] | states[1] if states[0].get(name) != states[1].get(name)}
        for state, sentence, spans in zip(states, sentences, differing_spans(*sentences), strict=True):
            told = sorted(sentence[slice(*span)].lower() for span in spans)
            possible = {name: grammar.slots[name].phrases(value) for name, value in state.items()}
            assert len(told) == len(different & state.keys())
            assert all(any(phrase in possible[name] for name in different & state.keys()) for phrase in told)
    assert differing_spans(sentences[0], sentences[0]) == ((), ())
    assert differing_spans("no such sentence", sentences[0]) == ((), ())


def test_all_states_of_a_game_are_told_apart():
    """Every combination of coarse values has a plainest sentence of its own."""
    edges = {name: values[:3] for name, values in EDGES["ms_pacman"].items()} | {"player x": (0, 80, 159)}
    grammar = GRAMMARS["ms_pacman"]
    rows = [dict(zip(edges, row, strict=True)) for row in itertools.product(*edges.values())]
    states = {tuple(grammar.discretise(facts).items()) for facts in rows}
    assert len({grammar.write(facts) for facts in rows}) == len(states) > 50


@pytest.mark.parametrize("game", GRAMMARS)
def test_real_play_can_be_told(game):
    world = make_world(f"atari/{game}", seed=5)
    world.reset()
    rng = np.random.default_rng(5)
    grammar = GRAMMARS[game]
    sentences = set()
    for step in range(96):
        if step % 12 == 0:
            action = int(rng.integers(world.action_space.n))
        world.step(action)
        percept = world.truth()
        sentence = grammar.write(percept.facts)
        assert parse(sentence) == {"game": game} | grammar.discretise(percept.facts)
        sentences.add(sentence)
        if "ball" in percept.labels:
            assert "no ball" not in sentence
    assert len(sentences) > 1


@pytest.mark.parametrize("game", GRAMMARS)
def test_any_memory_is_told_exactly_or_refused(game):
    rng = np.random.default_rng(2)
    grammar = GRAMMARS[game]
    for ram in rng.integers(256, size=(300, 128), dtype=np.uint8):
        facts = told(game, ram)
        try:
            sentence = grammar.write(facts, rng)
        except CaptionError:
            with pytest.raises(CaptionError):
                grammar.discretise(facts)
        else:
            assert grammar.parse(sentence) == grammar.discretise(facts)


def test_no_sentence_belongs_to_two_games():
    rng = np.random.default_rng(3)
    for game in GRAMMARS:
        for _ in range(30):
            sentence = GRAMMARS[game].write(anything(game, rng), rng)
            for other in set(GRAMMARS) - {game}:
                with pytest.raises(CaptionError):
                    GRAMMARS[other].parse(sentence)


def test_a_known_sentence():
    pong = GRAMMARS["pong"]
    sentence = (
        "The ball flies to the upper right, low on the left; "
        "the left paddle is low and the right one high; the score is 3 to 12."
    )
    assert pong.write(FACTS) == sentence
    assert pong.parse(sentence.upper().replace(" ", "  ")) == {
        "flight": "upper right",
        "ball side": "left",
        "ball height": "low",
        "left paddle": "low",
        "right paddle": "high",
        "left score": 3,
        "right score": 12,
    }
    served = {name: fact for name, fact in FACTS.items() if not name.startswith("ball")}
    assert pong.write(served).startswith("There is no ball; ")
    assert "flight" not in pong.parse(pong.write(served))


def test_words_are_chosen_by_the_generator():
    pong = GRAMMARS["pong"]
    said = [[pong.write(FACTS, rng) for _ in range(200)] for rng in map(np.random.default_rng, (0, 0, 1))]
    assert said[0] == said[1] != said[2]
    assert len(set(said[0])) > 50, "2 texts of 2 clauses each, and 2 wordings of 5 slots"


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "The ball flies.",
        "The ball flies to the upper right, low on the left; the left paddle is low and the right one high.",
        "The ball flies to the upper right, low on the left; the left paddle is low and the right one high; "
        "the score is 03 to 12.",
        "There is no ball; the left paddle is low and the right one high; the score is 3 to 12",
        "There is no ball; the left paddle is low and the right one high; the score is 3 to 123.",
    ],
)
def test_what_is_no_sentence_is_refused(broken):
    with pytest.raises(CaptionError, match="no facts give the sentence"):
        GRAMMARS["pong"].parse(broken)
    with pytest.raises(CaptionError, match="no game gives the sentence"):
        parse(broken)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"player score": 100}, "player score is 100; it must be from 0 to 99"),
        ({"player score": -1}, "player score is -1"),
    ],
)
def test_facts_without_words_are_named(change, message):
    with pytest.raises(CaptionError, match=message):
        GRAMMARS["pong"].write(FACTS | change)
    with pytest.raises(CaptionError, match='do not tell "left paddle"'):
        GRAMMARS["pong"].discretise({"ball x": 3})
    with pytest.raises(CaptionError, match="no words for 6"):
        GRAMMARS["breakout"].write({"paddle x": 80, "bricks": 4, "lives": 6, "score": 0})


SIDE = Words(lambda facts: "left" if facts["x"] < 80 else "right", {"left": ("left",), "right": ("right",)})


@pytest.mark.parametrize(
    ("slots", "clauses", "message"),
    [
        ({"side": Words(lambda _: 0, {0: ("a", "b"), 1: ("b",)})}, (Clause(("{side}",)),), "share a wording"),
        ({"side": SIDE, "n": Number("x", 2)}, (Clause(("{side}",)),), "side, n must be said once"),
        ({"side": SIDE}, (Clause(("{side}", "nowhere")),), '"nowhere" does not say side'),
        ({"side": SIDE}, (Clause(("Is {side}",)),), "small letters"),
        ({"side": SIDE}, (Clause(("is {side}!",)),), "small letters"),
    ],
)
def test_tables_that_cannot_be_exact_are_refused(slots, clauses, message):
    with pytest.raises(ValueError, match=message):
        Grammar(slots, clauses)


def test_captions_are_graded_by_what_they_say():
    pong = GRAMMARS["pong"]
    rng = np.random.default_rng(0)
    truth = [Percept("truth", caption=pong.write(FACTS)) for _ in range(4)]
    said = [Percept("model", caption=pong.write(FACTS, rng)) for _ in range(3)]
    said.append(Percept("model", caption=pong.write(FACTS | {"player y": 190}, rng)))
    figures = grade("caption", said, truth, parse=parse)
    assert figures == pytest.approx({"state_exact": 0.75, "accuracy": (3 + 7 / 8) / 4})

"""Search spaces: what a range means, and that what cannot be searched is refused by name."""

import pytest
from sweeps import TINY

from scenes.schema import load_scene
from scenes.sweep.search_space import (
    Choices,
    SearchError,
    changes_of,
    fitted_to_scene,
    own_params,
    parse_dimension,
    parse_space,
)


def fitted(*search, scene="cartpole", changes=()):
    whole = load_scene(scene, changes)
    return fitted_to_scene(parse_space(search), whole, lambda each: load_scene(scene, [*changes, each]))


@pytest.mark.parametrize(
    ("text", "low", "high", "log", "whole"),
    [
        ("log:1e-4..1e-2", 1e-4, 1e-2, True, False),
        ("0.9..0.99", 0.9, 0.99, False, False),
        ("8..64", 8, 64, False, True),
        ("log:8..1_024", 8, 1024, True, True),
        ("-1..1.5", -1, 1.5, False, False),
        (" -2 .. 3 ", -2, 3, False, True),
    ],
)
def test_a_range_has_two_ends(text, low, high, log, whole):
    found = parse_dimension(f"agent.x={text}")
    assert (found.low, found.high, found.log, found.whole) == (low, high, log, whole)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("32,64,128", (32, 64, 128)),
        ("true,false", (True, False)),
        ("1,1.0,true", (1, 1.0, True)),
        ("nature,small", ("nature", "small")),
        ('"a,b","c"', ("a,b", "c")),
        ("[8, 8],[16]", ([8, 8], [16])),
        ("1e-3, 0.1", (1e-3, 0.1)),
        ("../a,../b", ("../a", "../b")),
    ],
)
def test_choices_are_values_of_toml_or_bare_strings(text, values):
    found = parse_dimension(f"agent.x={text}")
    assert isinstance(found, Choices)
    assert [(type(value), value) for value in found.values] == [(type(value), value) for value in values]
    assert [found.value(stored) for stored in found.distribution().choices] == list(values)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("agent.x", "wants KEY=RANGE"),
        ("=1..2", "wants KEY=RANGE"),
        ("agent.x=", "wants KEY=RANGE"),
        ("agent.x=2..1", "reversed"),
        ("agent.x=log:1e-2..1e-4", "reversed"),
        ("agent.x=log:-1..1", "begin above 0, not at -1"),
        ("agent.x=log:0..1", "begin above 0"),
        ("agent.x=3..3", "single value; use --set agent.x=3"),
        ("agent.x=a..b", 'the end "a" of the range is not a number'),
        ("agent.x=1..", 'the end "" of the range is not a number'),
        ("agent.x=1..inf", "finite"),
        ("agent.x=log:1,2", "written log:LOW..HIGH"),
        ("agent.x=1,,2", "empty choice"),
        ("agent.x=a,", "empty choice"),
        ("agent.x=1,2,", "empty choice"),
        ("agent.x=64", "one choice is no search; use --set agent.x=64"),
        ("agent.x=1,2,1", "the choice 1 is given twice"),
        ("agent.x={a = 1},2", "cannot be a table"),
    ],
)
def test_what_is_no_range_is_refused_in_one_line(text, complaint):
    with pytest.raises(SearchError, match="--search") as refused:
        parse_dimension(text)
    assert complaint in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("search", "complaint"),
    [
        ("agent.learning_rat=log:1e-4..1e-2", 'did you mean "learning_rate"'),
        ("agnt.gamma=0.9..0.99", 'unknown key "agnt"; did you mean "agent"?'),
        ("agent.gamma=0.9..1.5", "gamma must be in [0, 1], not 1.5"),
        ("agent.num_steps=0.5..3.5", "num_steps must be a whole number"),
        ("agent.network=mlp,natur", "natur"),
        ("perception.0.learning_rate=0.1..0.2", "perception"),
        ("seed=1..5", "--seeds"),
        ("train.env_steps=1000..2000", "--steps"),
    ],
)
def test_a_key_or_value_that_the_scene_does_not_take_is_refused(search, complaint):
    with pytest.raises(SearchError) as refused:
        fitted(search)
    assert complaint in str(refused.value) and search.partition("=")[0] in str(refused.value)


def test_a_key_is_searched_once_and_not_set_as_well():
    with pytest.raises(SearchError, match="given twice"):
        parse_space(["agent.gamma=0.9..0.99", "agent.gamma=0.8,0.9"])
    with pytest.raises(SearchError, match="both searched and set"):
        fitted("agent.gamma=0.9..0.99", changes=["agent.gamma=0.5"])
    with pytest.raises(SearchError, match="needs something to search"):
        parse_space([])


def test_whole_ends_of_a_key_that_takes_any_number_are_a_range_of_numbers():
    gamma, steps = fitted("agent.gamma=0..1", "agent.num_steps=8..64")
    assert (gamma.whole, steps.whole) == (False, True)
    (clip,) = fitted("perception.0.learning_rate=1..2", scene="backprop")
    assert not clip.whole


def test_changes_are_those_that_set_takes():
    changes = changes_of({"agent.learning_rate": 1e-05, "agent.num_steps": 64, "agent.network": "mlp"})
    scene = load_scene("cartpole", changes)
    assert scene.agent.fields["learning_rate"] == 1e-05
    assert scene.agent.fields["num_steps"] == 64 and scene.agent.fields["network"] == "mlp"


def test_the_scenes_own_values_are_found_where_the_space_holds_them():
    scene = load_scene("cartpole", TINY)
    assert own_params(fitted("agent.num_steps=8..64", changes=TINY[:1]), scene) == {"agent.num_steps": 16}
    held = fitted("agent.learning_rate=log:1e-4..1e-2", "agent.vf_coef=0.1,0.5")
    assert own_params(held, scene) == {"agent.learning_rate": 1e-3, "agent.vf_coef": 0.5}
    assert own_params(fitted("agent.learning_rate=log:1e-6..1e-4"), scene) is None

"""Keys and values as users write them: nothing is bent, and the message names place and mend."""

import math
import re
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest

from sim.errors import RequestError
from sim.fields import (
    FieldError,
    NonNegativeFloat,
    NonNegativeInt,
    OneOf,
    PositiveFloat,
    PositiveInt,
    Range,
    UnitInterval,
    Validated,
    checked_value,
    construct,
    nearest,
    shown,
)


@dataclass(frozen=True)
class Recipe:
    learning_rate: float
    num_steps: int = 128
    anneal: bool = True
    network: Literal["nature", "small"] = "nature"
    hidden: tuple[int, ...] = (64, 64)
    names: list[str] = field(default_factory=list)
    limit: int | None = None
    either: int | str = 0
    kwargs: dict[str, Any] = field(default_factory=dict)
    anything: Any = None
    derived: int = field(default=0, init=False)

    def __post_init__(self):
        if self.num_steps < 1:
            raise ValueError(f"num_steps must be at least 1, not {self.num_steps}")


def make(**values):
    return construct(Recipe, {"learning_rate": 0.1} | values, "pong.toml, [agent]")


def test_good_values_arrive_as_their_type():
    made = make(
        learning_rate=1, hidden=[32, 16], names=["a"], limit=None, either="x", kwargs={"a": 1}, anything={}
    )
    assert made == Recipe(1.0, hidden=(32, 16), names=["a"], either="x", kwargs={"a": 1}, anything={})
    assert type(made.learning_rate) is float and type(made.hidden) is tuple
    assert make(limit=3).limit == 3 and make(either=4).either == 4


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"learning_rat": 1.0}, 'unknown key "learning_rat"; did you mean "learning_rate"?'),
        ({"zzz": 1}, 'unknown key "zzz"; there are "anneal", "anything", "either", '),
        ({"derived": 1}, 'unknown key "derived"'),
        ({"learning_rate": "0.1"}, 'learning_rate must be a number, not "0.1"'),
        ({"learning_rate": True}, "learning_rate must be a number, not true"),
        ({"learning_rate": None}, "learning_rate must be a number, not None"),
        ({"learning_rate": float("nan")}, "learning_rate must be a finite number, not nan"),
        ({"learning_rate": float("-inf")}, "learning_rate must be a finite number, not -inf"),
        ({"learning_rate": 10**400}, "learning_rate must be a finite number, not 1000"),
        ({"num_steps": 128.0}, "num_steps must be a whole number, not 128.0"),
        ({"num_steps": True}, "num_steps must be a whole number, not true"),
        ({"num_steps": 0}, "num_steps must be at least 1, not 0"),
        ({"anneal": 1}, "anneal must be true or false, not 1"),
        ({"anneal": "yes"}, 'anneal must be true or false, not "yes"'),
        ({"network": "Nature"}, 'network must be one of nature, small, not "Nature"'),
        ({"network": 1}, "network must be one of nature, small, not 1"),
        ({"hidden": 64}, "hidden must be a list, not 64"),
        ({"hidden": [64, "a"]}, 'hidden[1] must be a whole number, not "a"'),
        ({"names": "abc"}, 'names must be a list, not "abc"'),
        ({"limit": "none"}, 'limit must be a whole number, not "none"'),
        ({"either": 1.5}, "either must be a whole number, not 1.5"),
        ({"kwargs": [1]}, "kwargs must be a table, not [1]"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(values, message):
    with pytest.raises(FieldError) as caught:
        make(**values)
    assert str(caught.value).startswith("pong.toml, [agent]: ")
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert isinstance(caught.value, RequestError)


def test_a_missing_key_is_named():
    with pytest.raises(FieldError, match='here: the key "learning_rate" is missing'):
        construct(Recipe, {}, "here")


def test_only_a_dataclass_s_own_refusals_are_requests():
    @dataclass
    class Buggy:
        a: int = 0

        def __post_init__(self):
            raise KeyError("a bug")

    with pytest.raises(KeyError):
        construct(Buggy, {}, "here")


@pytest.mark.parametrize(
    ("name", "names", "sentence"),
    [
        ("atari/pon", ["atari/pong", "chess"], 'did you mean "atari/pong"?'),
        ("pong", ["atari/pong", "chess"], 'did you mean "atari/pong"?'),
        ("PONG", ["x/pong_plus_plus_and_more", "chess"], 'did you mean "x/pong_plus_plus_and_more"?'),
        ("zzz", ["b", "a"], 'there are "a", "b"'),
        ("zzz", [], "there are none"),
        ("zzz", map(str, range(100, 200)), "there are 100; `playfield list` shows them"),
        ("gama", ["gamma", "gamma_2", "beta"], 'did you mean "gamma" or "gamma_2"?'),
    ],
)
def test_the_nearest_names_are_offered(name, names, sentence):
    assert nearest(name, names) == sentence


def test_values_are_shown_as_they_were_written():
    assert [shown(v) for v in (True, "a", 1.5, [1])] == ["true", '"a"', "1.5", "[1]"]
    assert checked_value([1, 2], list[float], "x") == [1.0, 2.0]


def test_keys_that_were_taken_out_before_are_offered_too():
    with pytest.raises(FieldError, match='unknown key "num_env"; did you mean "num_envs"'):
        construct(Recipe, {"num_env": 4}, "a.toml, [world]", ["use", "num_envs"])


@dataclass(frozen=True)
class Bounded(Validated):
    rate: PositiveFloat = 0.5
    share: UnitInterval | None = None
    decay: Annotated[float, Range(ge=0, lt=1)] = 0.0
    open: Annotated[float, Range(gt=-1, lt=1)] = 0.0
    steps: PositiveInt = 1
    delay: NonNegativeInt = 0
    rows: Annotated[int, Range(ge=2, le=9)] = 2
    most: Annotated[float, Range(le=3)] = 0
    below: Annotated[float, Range(lt=3)] = 0
    network: Annotated[str, OneOf(("nature", "small"))] = "small"


OUTSIDE = [
    ("rate", 0.0, "must be above 0, not 0.0"),
    ("rate", float("inf"), "must be a finite number, not inf"),
    ("rate", float("nan"), "must be a finite number, not nan"),
    ("share", 1.5, "must be in [0, 1], not 1.5"),
    ("decay", 1.0, "must be in [0, 1), not 1.0"),
    ("open", -1.0, "must be in (-1, 1), not -1.0"),
    ("steps", 0, "must be at least 1, not 0"),
    ("delay", -1, "must not be below 0, not -1"),
    ("rows", 10, "must be in [2, 9], not 10"),
    ("most", 3.5, "must be at most 3, not 3.5"),
    ("below", 3.0, "must be below 3, not 3.0"),
    ("network", "smal", 'must be one of nature, small, not "smal"'),
]


@pytest.mark.parametrize(("name", "value", "words"), OUTSIDE)
def test_ranges_beside_fields_hold_from_python_as_from_a_scene(name, value, words):
    with pytest.raises(ValueError, match=f"^{re.escape(f'{name} {words}')}$"):
        Bounded(**{name: value})
    if not isinstance(value, float) or math.isfinite(value):  # which is refused before
        with pytest.raises(FieldError, match=f"^{re.escape(f'pong.toml: {name} {words}')}$"):
            construct(Bounded, {name: value}, "pong.toml")


def test_what_lies_on_a_closed_bound_passes_and_so_does_none():
    edges = {"share": 1, "decay": 0, "rows": 9, "most": 3, "steps": 10**400, "network": "nature"}
    assert vars(Bounded(**edges)) == vars(Bounded()) | edges
    assert Bounded(share=None).share is None


def test_a_subclass_that_annotates_a_field_anew_replaces_its_range():
    @dataclass(frozen=True)
    class Wider(Bounded):
        decay: NonNegativeFloat = 2.0

    assert Wider().decay == 2.0
    with pytest.raises(ValueError, match="decay must not be below 0, not -1"):
        Wider(decay=-1)
    with pytest.raises(ValueError, match="rate must be above 0"):
        Wider(rate=0)


def test_a_table_within_a_table_is_built_and_its_keys_are_named_with_their_place():
    made = checked_value({"learning_rate": 1}, Recipe | None, "recipe")
    assert made == Recipe(1.0) and checked_value(made, Recipe, "x") is made
    for value, says in (
        ({"learning_rat": 1.0}, 'recipe: unknown key "learning_rat"; did you mean "learning_rate"'),
        ({}, 'recipe: the key "learning_rate" is missing'),
        ({"learning_rate": "x"}, "recipe: learning_rate must be a number"),
        (3, "recipe must be a table, not 3"),
    ):
        with pytest.raises(FieldError, match=says):
            checked_value(value, Recipe | None, "recipe")

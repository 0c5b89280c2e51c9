"""Scene files by hypothesis: every TOML value arrives by `--set`; what is unknown is refused by name."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import tomli_w
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scenes.schema import SceneError, make_scene
from sim.errors import RequestError

PATH = Path("/nowhere/own.toml")
LARGEST = 2**63 - 1
QUICK = settings(max_examples=40, deadline=None, derandomize=True, database=None)

letters = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))
words = st.text(letters, max_size=12)
plain = st.one_of(
    st.booleans(), st.integers(-LARGEST, LARGEST), st.floats(allow_nan=False), words, st.dates(), st.times()
)
values = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3), max_leaves=6
)
names = st.from_regex("[a-z][a-z_]{0,11}", fullmatch=True)


def raw(**more):
    """What a file says, new each time: changes are written into it."""
    return {"title": "A scene", "agent": {"use": "ppo"}, "perception": [{"use": "detector"}]} | more


def literal(value):
    """A value as TOML has it, in a list: on its own a list of tables would be written with headings."""
    return tomli_w.dumps({"value": [value]}).removeprefix("value = [\n").removesuffix(",\n]\n").strip()


@QUICK
@example([{"": [False]}])
@given(st.lists(values, max_size=2) | plain)
def test_every_toml_value_arrives_by_set_and_is_written_out_again(value):
    for key in ("agent.gamma", "perception.0.threshold"):
        scene = make_scene(raw(), PATH, [f"{key}={literal(value)}"])
        table = scene.agent if key.startswith("agent") else scene.perception[0]
        (found,) = table.fields.values()
        assert (found, type(found)) == (value, type(value))
        again = make_scene(tomllib.loads(scene.toml()), PATH)
        assert (again.agent, again.perception) == (scene.agent, scene.perception)


@QUICK
@given(st.from_regex("[A-Za-z][A-Za-z ]{0,15}", fullmatch=True))
def test_words_need_no_quotes(text):
    if text.strip() not in ("true", "false", "inf", "nan"):
        assert make_scene(raw(), PATH, [f"title={text}"]).title == text


@QUICK
@given(names, plain)
def test_unknown_keys_are_refused_by_name_in_every_table_of_its_own(key, value):
    with pytest.raises(SceneError, match=f'own.toml: unknown key "{key}x"'):
        make_scene(raw(**{f"{key}x": value}), PATH)
    for table in ("train", "view"):
        with pytest.raises(SceneError, match=rf'own.toml, \[{table}\]: unknown key "{key}x"'):
            make_scene(raw(**{table: {f"{key}x": value}}), PATH)


@QUICK
@given(
    st.sampled_from(["title", "seed", "world", "agent", "perception", "perception.0", "train.updates"]),
    values,
)
def test_a_scene_is_made_or_refused_in_one_line_whatever_a_key_holds(key, value):
    try:
        scene = make_scene(raw(), PATH, [f"{key}={literal(value)}"])
    except RequestError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert make_scene(tomllib.loads(scene.toml()), PATH).toml() == scene.toml()


@QUICK
@given(st.text(st.sampled_from("agentperc.0=[]{}\"'#\n1_- "), max_size=20))
def test_a_change_is_taken_or_refused_in_one_line_whatever_it_says(change):
    try:
        make_scene(raw(), PATH, [change])
    except RequestError as error:
        assert len(str(error).splitlines()) == 1

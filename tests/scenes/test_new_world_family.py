"""A family of worlds that the tables have not held before: poles on carts, and generated states of them."""

from dataclasses import dataclass
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from scenes.data import families
from scenes.data.families.family import Decoded, WorldFamily
from scenes.data.families.table import FAMILIES, families_in, family_of
from scenes.data.generated_starts import PROPOSED, proposer
from scenes.data.sampler_data import DataSplit
from scenes.data.thumbnails import thumbnails
from scenes.evaluation.sample_scoring import SampleScorer, Verdict
from scenes.watching.sampler_gallery import sample_notes
from sim import catalog
from sim.catalog import WORLDS, CatalogError, make_world, names_of, world_config
from sim.records import Condition, SampleOptions, Samples
from supervised.catalog import LABEL_SOURCES
from supervised.data.columns import ArrayColumn, LabelColumn
from supervised.data.dataset import Dataset
from supervised.data.label_sources import NoLabelsError, label_source

STATES = np.array([[0, 0, 0.1, 0], [0, 0, 9, 0]], np.float32)


@dataclass(frozen=True)
class Pole:
    length: str = "short"

    @staticmethod
    def variants():
        return ["short", "long"]

    @property
    def name(self):
        return f"pole/{self.length}"

    def make(self, seed):
        return gymnasium.make("CartPole-v1")


class PoleLabels:
    def __init__(self, config):
        self.name = config.name


def world_names():
    return [f"pole/{length}" for length in Pole.variants()]


def decode(length, values):
    leans = [float(row[2]) for row in values]
    return [Decoded(f"{length} {lean:.1f}", lean < 1, "up" if lean < 1 else "down") for lean in leans]


def states(length, values, seed):
    return [(length, seed, float(row[2])) for row in values]


def draw(length, values):
    return np.full((len(values), 4, 4, 3), len(length), np.uint8)


@pytest.fixture
def pole(monkeypatch):
    """A line in each table."""
    monkeypatch.setitem(WORLDS, "pole", "test_new_world_family:Pole")
    monkeypatch.setitem(LABEL_SOURCES, "pole", "test_new_world_family:PoleLabels")

    def world_of(data):
        return data.replace("angles", "pole") if data.startswith("angles/") else None

    family = WorldFamily(
        world_of, decode, states, "pole/<length> takes angles/<length>", draw, views="chance"
    )
    monkeypatch.setitem(FAMILIES, "pole", family)


def test_a_familys_module_is_found_by_its_name(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_families").mkdir()
    (tmp_path / "own_families" / "pole.py").write_text("FAMILY = 'what poles know'")
    assert families_in("own_families", ["cart", "pole"]) == {"pole": "what poles know"}
    folder = Path(families.__file__).parent
    modules = {file.stem for file in folder.glob("*.py")} - {"__init__", "family", "table"}
    assert modules == set(FAMILIES), "no file of a family that no catalogue has"
    assert all(isinstance(family, WorldFamily) for family in FAMILIES.values())


def test_the_tables_know_the_same_families():
    assert set(FAMILIES) < set(WORLDS) and set(LABEL_SOURCES) < set(WORLDS)
    for family in WORLDS:
        names = names_of(family)
        assert names and all(name.partition("/")[0] == family for name in names)


@pytest.mark.usefixtures("pole")
def test_its_worlds_are_listed_made_and_labelled():
    assert [name for name in catalog.world_names() if name.startswith("pole")] == ["pole/short", "pole/long"]
    assert make_world("pole/long").action_space.n == 2
    assert label_source(world_config("pole/long", {})).name == "pole/long"
    assert family_of("pole/long").views == "chance" and family_of("gym/CartPole-v1") is None
    with pytest.raises(CatalogError, match="pole/long"):
        make_world("pole/lang")


def test_worlds_without_labels_are_told_which_have_some():
    known = "atari/…, chess, walker/…"
    with pytest.raises(NoLabelsError, match=f"^gym/CartPole-v1 does not know .*; these do: {known}$"):
        label_source(world_config("gym/CartPole-v1", {}))


class Leaning:
    def sample(self, n, condition, options, seed):
        assert n == PROPOSED
        return Samples(STATES, seed, condition)


@pytest.mark.usefixtures("pole")
def test_generated_examples_are_judged_drawn_and_begun_from():
    data = Dataset(
        values=ArrayColumn(STATES, tuple("xvat")),
        labels=LabelColumn(np.zeros(2, np.int64), ("pole",)),
        episodes=np.arange(2),
    )
    scorer = SampleScorer("angles/long", DataSplit(data, data, data.spec()), "cpu")
    assert scorer.reading == "decoded truth"
    assert scorer.verdicts(STATES, Condition()) == [Verdict("long 0.1", True), Verdict("long 9.0", False)]
    assert sample_notes(STATES, "angles/long") == ("up", "down") and sample_notes(STATES, "digits") == ()
    assert (thumbnails(STATES, data.spec(), "angles/short") == 5).all()
    propose = proposer(Leaning(), "angles/long", "pole/long", SampleOptions())
    assert propose(3) == [("long", 3, pytest.approx(0.1)), ("long", 3, 9.0)]
    assert proposer(Leaning(), "angles/long", "pole/short", SampleOptions()) is None
    assert proposer(Leaning(), "frames/pong", "atari/pong", SampleOptions()) is None

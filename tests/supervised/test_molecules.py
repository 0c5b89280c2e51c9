"""Molecules: two notations of one graph, rings and aromaticity, descriptors of known value, bad files."""

import gzip
import math

import numpy as np
import pytest

from supervised.data.molecule_reader import read_molecules
from supervised.data.molecules.molecule import MoleculeError
from supervised.data.molecules.notation import from_text
from supervised.data.molecules.rings import ring_basis
from supervised.data.molecules.scaffold import scaffold, scaffold_key
from supervised.data.molecules.sdf import from_mol_block, records
from supervised.data.molecules.smiles import from_smiles
from supervised.data.sources import molecules
from supervised.data.sources.labelled_molecules import own_splits
from supervised.data.sources.molecules import SAMPLES, solubility
from supervised.data.sources.splits import DataError
from supervised.graphs.descriptors import NAMES, bond_distances, descriptor_table, descriptors

ETHANOL = """ethanol
  made by hand

  3  2  0  0  0  0            999 V2000
    0.0000    0.0000    0.0000 C   0  0
    1.3000    0.7500    0.0000 C   0  0
    2.6000    0.0000    0.0000 O   0  0
  1  2  1  0
  2  3  1  0
M  END
> <SOL>
1.1

"""


@pytest.fixture(scope="module")
def sample():
    return solubility("test")


def test_two_notations_of_one_molecule_give_one_graph(sample):
    """The records have SMILES of their own; four of the first hundred write aromatic N without its H."""
    raw = gzip.decompress((SAMPLES / "solubility.test.sdf.gz").read_bytes()).decode()
    pairs = [(one.graph.key, one.graph.fields["SMILES"]) for one in sample[:100]]
    assert len(list(records(raw))) == 257
    differ, failed = [], 0
    for key, smiles in pairs:
        try:
            differ += [smiles] if from_smiles(smiles).key != key else []
        except MoleculeError:
            failed += 1
    assert len(differ) + failed <= 4, differ


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("C1=CC=CC=C1", "c1ccccc1"),
        ("C1=CC2=CC=CC=CC2=C1", "c1cc2cccccc2c1"),  # azulene: aromatic as a whole, not ring by ring
        ("O=C1C=CC=CN1", "O=c1cccc[nH]1"),
        ("CN(=O)=O", "C[N+](=O)[O-]"),
        ("[H]C([H])([H])O", "CO"),
        ("OCC", "C(C)O"),
        ("C12=CC=CC3=C1C(C1=CC=CC=C13)=CC=C2", "c12cccc3c1c(c1ccccc13)ccc2"),  # links of fluoranthene
    ],
)
def test_equal_molecules_have_equal_keys(one, other):
    assert from_smiles(one).key == from_smiles(other).key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("CCO", "COC"),
        ("c1ccccc1", "C1CCCCC1"),
        ("C1CCC2CCCCC2C1", "C1CCC(C1)C1CCCC1"),  # decalin and bicyclopentyl: one degree sequence
        ("c1ccc(cc1)Cl", "c1ccc(cc1)Br"),
        ("CC(=O)[O-]", "CC(=O)O"),
    ],
)
def test_other_molecules_have_other_keys(one, other):
    assert from_smiles(one).key != from_smiles(other).key


def test_cyclobutadiene_and_quinone_are_not_aromatic():
    for smiles in ("C1=CC=C1", "O=C1C=CC(=O)C=C1", "C1=CCC=CC=C1"):
        assert not from_smiles(smiles).aromatic.any()


def test_a_basis_of_rings_spans_cubane_and_misses_none():
    cubane = from_smiles("C12C3C4C1C5C2C3C45")
    assert [len(ring) for ring in cubane.rings] == [4] * 5
    norbornane = from_smiles("C1CC2CCC1C2")
    assert [len(ring) for ring in norbornane.rings] == [5, 5]
    assert ring_basis(3, np.array([[0, 1], [1, 2]])) == ()


def test_hydrogens_charges_and_coordinates_of_a_record():
    ethanol = from_mol_block(ETHANOL)
    assert ethanol.hydrogens.tolist() == [3, 2, 1] and ethanol.fields == {"SOL": "1.1"}
    assert ethanol.name == "ethanol" and ethanol.positions[2].tolist() == [2.6, 0.0]
    charged = ETHANOL.replace("M  END", "M  CHG  1   3  -1\nM  END")
    assert from_mol_block(charged).hydrogens.tolist() == [3, 2, 0]


@pytest.mark.parametrize(
    ("smiles", "name", "value"),
    [
        ("c1ccccc1", "log_p", 1.6866),  # log P by RDKit's Crippen
        ("CC(=O)Oc1ccccc1C(=O)O", "log_p", 1.3101),
        ("Cn1c(=O)c2c(ncn2C)n(C)c1=O", "log_p", -1.0293),
        ("Nc1ccccc1", "log_p", 1.2688),
        ("CC(=O)Oc1ccccc1C(=O)O", "polar_surface", 63.60),  # Ertl's of aspirin
        ("Cn1c(=O)c2c(ncn2C)n(C)c1=O", "polar_surface", 61.82),
        ("CC(=O)Oc1ccccc1C(=O)O", "weight", 180.16),
        ("CCCC", "wiener", math.log(11)),  # 1+2+3+1+2+1 = 10
        ("CC(C)C", "chi_1", 3 / math.sqrt(3)),
        ("CCCC", "rotatable_bonds", 1),
        ("CC(=O)NC", "rotatable_bonds", 0),
        ("C1CC2CCC1C2", "fused_atoms", 3),
        ("c1ccc2ccccc2c1", "aromatic_rings", 2),
        ("CC(=O)O", "acids", 1),
        ("CCOC(C)=O", "esters", 1),
    ],
)
def test_descriptors_of_known_molecules(smiles, name, value):
    assert descriptors(from_smiles(smiles))[name] == pytest.approx(value, abs=5e-3)


def test_descriptors_do_not_depend_on_the_numbering(sample):
    generator = np.random.default_rng(0)
    for one in sample[40:60]:
        turned = one.graph.kept(generator.permutation(len(one.graph)).tolist())
        assert turned.key == one.graph.key
        both = descriptor_table([one.graph, turned])
        assert both[0] == pytest.approx(both[1], rel=1e-5) and both.shape == (2, len(NAMES))


def test_distances_count_bonds_and_parts_are_far():
    distances = bond_distances(from_smiles("CCCC.O"))
    assert distances[0, 3] == 3 and distances[0, 4] == 250


def test_a_scaffold_is_rings_and_links():
    assert scaffold_key(from_smiles("Cc1ccccc1")) == scaffold_key(from_smiles("OCCc1ccccc1Cl"))
    assert scaffold_key(from_smiles("c1ccccc1CCc1ccccc1")) != scaffold_key(from_smiles("c1ccccc1Cc1ccccc1"))
    assert len(scaffold(from_smiles("CCC(=O)C1CC1"))) == 3 and len(scaffold(from_smiles("O=C1CCC1CC"))) == 5
    assert scaffold(from_smiles("CCO")) is None and scaffold_key(from_smiles("CCO")) == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("CCX", "character 3"),
        ("C1CC", "not closed"),
        ("C(C", "not closed"),
        ("C=", "missing"),
        ("[Xx]", "unknown atom 'Xx'"),
        ("C(C)(C)(C)(C)C", "more than it can have"),
        ("C" * 3_000, "1 to 2,000 characters"),
        (ETHANOL.replace("O   0", "Qq  0"), "ethanol: unknown atom 'Qq'"),
        (ETHANOL.replace("V2000", "V3000"), "V3000; V2000 can be read"),
        (ETHANOL.replace("  2  3  1  0\n", "  2  9  1  0\n"), "atoms 2 and 9 of 3"),
        (ETHANOL.replace("2.6000    0", "2.6x00    0"), "not a V2000 mol block"),
        ("\n".join(ETHANOL.splitlines()[:6]), "cut off"),
    ],
)
def test_what_is_no_molecule_is_refused_by_name(text, said):
    with pytest.raises(MoleculeError, match=said):
        from_text(text)


def test_a_file_of_several_molecules_is_read_and_the_broken_one_named(tmp_path):
    file = tmp_path / "mine.sdf"
    broken = ETHANOL.replace("O   0", "Qq  0").replace("ethanol", "odd")
    file.write_text(f"{ETHANOL}$$$$\r\n{broken}$$$$\n{ETHANOL}$$$$\n")
    failed = []
    found = list(read_molecules(str(file), lambda name, error: failed.append((name, str(error)))))
    assert [name for name, _ in found] == ["ethanol", "ethanol"]
    assert [name for name, _ in failed] == ["molecule 2"] and "odd: unknown atom 'Qq'" in failed[0][1]


def test_smiles_come_from_a_string_lines_and_a_table(tmp_path):
    def read(source):
        return [(name, from_text(text).key) for name, text in read_molecules(source, lambda *_: None)]

    key = from_smiles("CCO").key
    assert read("CCO") == [("CCO", key)]
    lines = tmp_path / "mine.smi"
    lines.write_text("CCO\tspirit\n\nnonsense\nOCC\n")
    assert read(str(lines)) == [("spirit", key), ("OCC", key)]
    table = tmp_path / "mine.csv"
    table.write_text('name,"SMILES",note\nspirit,CCO,x\n')
    assert read(str(table)) == [("spirit", key)]
    with pytest.raises(DataError, match="is a folder"):
        read(str(tmp_path))
    with pytest.raises(DataError, match="cannot be read"):
        read("missing.sdf")
    (tmp_path / "none.smi").write_text("\n# nothing\n")
    with pytest.raises(DataError, match="empty|no molecule"):
        read(str(tmp_path / "none.smi"))


def test_a_damaged_sample_is_not_learned_from(tmp_path, monkeypatch):
    (tmp_path / "solubility.test.sdf.gz").write_bytes(gzip.compress(ETHANOL.encode()))
    monkeypatch.setattr(molecules, "SAMPLES", tmp_path)
    with pytest.raises(DataError, match=r"solubility.test.sdf.gz is damaged"):
        solubility("test")


def csv_of(rows):
    return "smiles,id,boils,note\n" + "".join(f"{row}\n" for row in rows)


CHAINS = [f"{'C' * i},{i},{10 * i},x" for i in range(1, 9)]


def test_own_data_are_read_by_their_last_number_and_what_is_wrong_is_counted(tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text(csv_of([*CHAINS, "[Xx],9,1,x", "[Xx]C,9,1,x", "CCN,10,nan,x", "CCF,11,,x"]))
    splits = own_splits(file, (), seed=0)
    assert splits.classes == ("boils",) and len(splits.train) + len(splits.validation) + len(splits.test) == 8
    assert any("2 molecules: unknown atom 'Xx'" in line for line in splits.skipped)
    assert "2 molecules without a number in boils" in splits.skipped
    assert own_splits(file, ("id", "boils"), seed=0).classes == ("id", "boils")


def test_own_records_are_read_without_their_answers(tmp_path):
    file = tmp_path / "mine.sdf"
    names = ("O", "N", "F", "S", "Cl")
    file.write_text(
        "".join(
            ETHANOL.replace("O   0", f"{n:3s} 0").replace("1.1", str(i)) + "$$$$\n"
            for i, n in enumerate(names)
        )
    )
    splits = own_splits(file, (), seed=1)
    assert splits.classes == ("SOL",) and all("SOL" not in text for text in splits.train.values)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("name,boils\nx,1\n", "no column smiles"),
        (csv_of(CHAINS[:2]), "2 molecules with numbers in boils: too few"),
        (csv_of([f"{'C' * i},{i},5,x" for i in range(1, 9)]), "every boils is the same"),
        ("smiles,note\nC,x\nCC,y\n", "no field of numbers"),
    ],
)
def test_own_data_that_cannot_be_learned_from_are_refused(tmp_path, text, said):
    file = tmp_path / "mine.csv"
    file.write_text(text)
    with pytest.raises(DataError, match=said):
        own_splits(file, (), seed=0)


def test_own_data_that_are_not_text_and_unknown_targets_are_refused(tmp_path):
    file = tmp_path / "mine.csv"
    file.write_bytes(csv_of(CHAINS).encode() + b"CCO,9,1,caf\xe9\n")
    with pytest.raises(DataError, match="line 10: not UTF-8"):
        own_splits(file, (), seed=0)
    file.write_text(csv_of(CHAINS))
    with pytest.raises(DataError, match="no field boil; did you mean|no field boil; "):
        own_splits(file, ("boil",), seed=0)

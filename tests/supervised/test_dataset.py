"""Data set: columns of every kind are selected, joined, windowed and kept on disk; known values."""

from __future__ import annotations

import mmap
import tracemalloc

import numpy as np
import pytest
from safetensors.numpy import load_file

from sim.records import Percept
from supervised.data.array_file import map_arrays, write_arrays
from supervised.data.columns import (
    KINDS,
    LARGE,
    ArrayColumn,
    GroupColumn,
    LabelColumn,
    PerceptColumn,
    RaggedColumn,
    TextColumn,
    groups_apart,
)
from supervised.data.dataset import Dataset, Spec, concatenate

#: Of every kind a column of four, in their order.
COLUMNS = {
    "array": ArrayColumn(np.arange(8, dtype=np.float32).reshape(4, 2), ("x", "y")),
    "label": LabelColumn(np.array([1, 0, 1, 1]), ("no", "yes")),
    "group": GroupColumn(np.array([5, 5, 7, 2])),
    "ragged": RaggedColumn.of(
        [np.array([[1, 2]]), np.zeros((0, 2), int), np.array([[3, 4], [5, 6]]), [[7, 8]]]
    ),
    "text": TextColumn(("A", "", "Ünlike.", "\ud800")),
    "percept": PerceptColumn(tuple(Percept("truth", mask=np.full((2, i), i, np.uint8)) for i in range(4))),
}
WORDS = (".", "a", "nlike")  # of its texts, as `supervised.captions.grammar.split` has them


def plain(column):
    """The content as nested lists, with types."""
    if isinstance(column, PerceptColumn):
        return [(percept.mask.tolist(), percept.mask.dtype) for percept in column.content]
    return [value.tolist() if isinstance(value, np.ndarray) else value for value in column.content]


def whole():
    return Dataset(
        values=COLUMNS["array"],
        labels=COLUMNS["label"],
        episodes=COLUMNS["group"],
        edges=COLUMNS["ragged"],
        captions=COLUMNS["text"],
        truths=COLUMNS["percept"],
        rewards=np.array([0.5, -1, 0, 2]),
        ends=np.array([False, True, True, True]),
    )


def test_every_kind_is_tried_here():
    assert {name: type(column) for name, column in COLUMNS.items()} == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_a_column_of_every_kind_is_selected_joined_and_comes_back(kind):
    column = COLUMNS[kind]
    values = plain(column)
    assert len(column) == len(values) == 4
    assert plain(column.take(np.array([3, 0, 3]))) == [values[3], values[0], values[3]]
    assert plain(column.take(np.zeros(0, np.int64))) == []
    both = type(column).joined([column, column.take(np.array([1]))])
    assert kind == "group" or plain(both) == [*values, values[1]]
    back = type(column).from_arrays(column.arrays())
    assert plain(back) == values and vars(back).keys() == vars(column).keys()


def test_a_ragged_column_by_hand():
    ragged = RaggedColumn.of([np.array([1, 2, 3]), np.array([], int), np.array([4])])
    assert ragged.flat.tolist() == [1, 2, 3, 4] and ragged.offsets.tolist() == [0, 3, 3, 4]
    taken = ragged.take(np.array([2, 0, 1]))
    assert taken.flat.tolist() == [4, 1, 2, 3] and taken.offsets.tolist() == [0, 1, 4, 4]
    assert ragged[-1].tolist() == [4] and [len(part) for part in ragged[:2]] == [3, 0]
    with pytest.raises(IndexError):
        ragged[3]
    for offsets in ([0, 3, 2, 4], [0, 3], [1, 4], []):
        with pytest.raises(ValueError, match="offsets must rise from 0 to 4"):
            RaggedColumn(ragged.flat, np.array(offsets, np.int64))


def test_a_data_set_selects_all_its_columns():
    data = whole()
    assert len(data) == 4 and data.names == ("values", "labels", "episodes", "edges", "captions", "truths",
                                             "rewards", "ends")  # fmt: skip
    few = data.take(np.array([2, 0]))
    assert few.values.tolist() == [[4, 5], [0, 1]] and few.axes == ("x", "y")
    assert few.labels.tolist() == [1, 1] and few.label_names == ("no", "yes")
    assert few.episodes.tolist() == [7, 5] and few.captions == ("Ünlike.", "A")
    assert [truth.mask.shape for truth in few.truths] == [(2, 2), (2, 0)]
    assert few["edges"][0].tolist() == [[3, 4], [5, 6]] and few["rewards"].tolist() == [0, 0.5]
    assert data.spec() == Spec((2,), ("no", "yes"), ("x", "y"), WORDS)
    with pytest.raises(KeyError, match='no column "depth"; there are values, labels'):
        data["depth"]


def test_the_spec_of_pictures_and_of_what_has_no_one_shape():
    pictures = Dataset(values=np.zeros((2, 4, 6, 3), np.uint8), captions=("The ball is low.", ""))
    assert pictures.spec() == Spec((4, 6, 3), (), (), (".", "ball", "is", "low", "the"))
    assert pictures.spec().pictures and not pictures.truths
    sounds = Dataset(values=RaggedColumn.of([np.zeros(3, np.int16), np.zeros(5, np.int16)]))
    assert sounds.spec() == Spec((), ()) and sounds.labels.tolist() == [0, 0]
    assert [len(sound) for sound in sounds.values] == [3, 5]


def test_columns_are_added_replaced_and_left_out():
    data = Dataset(values=np.zeros((2, 1), np.float32), captions=("a", "b"))
    more = data.assign(captions=("c", "d"), episodes=np.array([0, 1]))
    assert more.captions == ("c", "d") and isinstance(more.column("episodes"), GroupColumn)
    assert data.captions == ("a", "b") and more.drop("captions", "labels").names == ("values", "episodes")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda: {"labels": LabelColumn(np.array([0, 5]), ("a",))}, "labels must be from 0 to 0"),
        (lambda: {"labels": LabelColumn(np.array([0, -1]), ("a",))}, "labels must be from 0 to 0"),
        (lambda: {"episodes": np.zeros(3, np.int64)}, "3 episodes for 2"),
        (lambda: {"episodes": np.zeros(2)}, "integers, not float64"),
        (lambda: {"captions": ("one",)}, "1 captions for 2"),
        (lambda: {"truths": (Percept("truth"),)}, "1 truths for 2"),
        (lambda: {"values": ArrayColumn(np.zeros((2, 2), np.float32), ("x",))}, "1 axes for"),
        (lambda: {"values": np.zeros((2, 2))}, "float64"),
        (lambda: {"values": np.zeros((2, 4, 4, 3), np.float32)}, "not pictures"),
    ],
)
def test_columns_that_do_not_fit_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        Dataset(**({"values": np.zeros((2, 2), np.float32)} | change()))
    with pytest.raises(ValueError, match='a column "values"'):
        Dataset(captions=("one",))


def test_joined_data_sets_keep_labels_and_keep_episodes_apart():
    one = whole()
    other = one.take(np.array([1, 3])).assign(labels=LabelColumn(np.array([0, 1]), ("yes", "maybe")))
    both = concatenate([one, other])
    assert both.label_names == ("no", "yes", "maybe") and both.labels.tolist() == [1, 0, 1, 1, 1, 2]
    assert both.episodes.tolist() == [5, 5, 7, 2, 1_000_005, 1_000_002]
    assert both["edges"].offsets.tolist() == [0, 1, 1, 3, 4, 4, 5]
    assert both.captions[4:] == ("", "\ud800") and both["ends"].tolist()[4:] == [True, True]
    with pytest.raises(ValueError, match="not all parts have captions"):
        concatenate([one, one.drop("captions")])
    with pytest.raises(ValueError, match="cannot be joined"):
        concatenate([one, one.assign(values=np.zeros((4, 2), np.float32))])
    with pytest.raises(ValueError, match="edges are of several kinds"):
        concatenate([one, one.assign(edges=("a", "b", "c", "d"))])


def test_parts_of_parts_stay_apart():
    deep = groups_apart([np.arange(2), groups_apart([np.arange(2), np.arange(2)])])
    assert len(set(deep.tolist())) == 6 and (np.diff(deep) > 0).all()


def test_one_episode_cannot_be_parted():
    with pytest.raises(ValueError, match="one episode"):
        whole().take(np.array([0, 1])).parted(0.1)


def test_no_episode_is_on_both_sides_of_a_split():
    n = 40
    data = Dataset(values=np.arange(n, dtype=np.float32)[:, None], episodes=np.arange(n) // 2)
    train, held = data.parted(0.2, seed=1)
    assert len(held) == 8 and len(train) == 32
    assert not set(train.episodes.tolist()) & set(held.episodes.tolist())
    assert sorted([*train.values[:, 0], *held.values[:, 0]]) == list(range(n))


def windowed(**columns):
    """Three rows of episode 0 and four of episode 1, taken in turn."""
    episodes = np.array([0, 1, 0, 1, 0, 1, 1])
    return Dataset(values=np.zeros((7, 1), np.float32), episodes=episodes, **columns)


def test_windows_by_hand():
    data = windowed()
    assert data.windows(3).tolist() == [[0, 2, 4], [1, 3, 5], [3, 5, 6]]
    assert data.windows(2, stride=2).tolist() == [[0, 2], [1, 3], [5, 6]]
    assert data.windows(1).ravel().tolist() == [0, 2, 4, 1, 3, 5, 6]
    assert data.windows(5).shape == (0, 5) and data.windows(9).shape == (0, 9)
    assert data.windows(3).dtype == np.int64
    with pytest.raises(ValueError, match="at least 1, not 0 and 1"):
        data.windows(0)


def test_windows_follow_the_order_and_stop_at_a_gap():
    data = windowed(order=np.array([2, 0, 0, 1, 1, 3, 4]))  # episode 1 lacks its place 2
    assert data.windows(2).tolist() == [[2, 4], [4, 0], [1, 3], [5, 6]]
    assert data.windows(3).tolist() == [[2, 4, 0]]
    twice = windowed(order=np.array([0, 0, 1, 1, 2, 1, 3]))
    assert twice.windows(3).tolist() == [[0, 2, 4]], "a place that stands twice is no sequence"


def test_windows_of_joined_parts_are_those_of_the_parts():
    data = windowed(order=np.array([2, 0, 0, 1, 1, 3, 4]))
    assert concatenate([data, data]).windows(2).tolist() == [
        *data.windows(2).tolist(),
        *(data.windows(2) + 7).tolist(),
    ]


def test_a_data_set_comes_back_from_a_file(tmp_path):
    write_arrays(tmp_path / "data", whole().arrays())
    back, was = Dataset.from_arrays(map_arrays(tmp_path / "data")), whole()
    assert back.names == was.names and back.spec() == was.spec()
    for name in was.names:
        one, other = was.column(name), back.column(name)
        assert type(one) is type(other) and plain(one) == plain(other)
        if isinstance(one.content, np.ndarray):
            assert one.content.dtype == other.content.dtype and other.content.flags.writeable
    others = load_file(tmp_path / "data")
    assert np.array_equal(others["values.content"], was.values), "it is a safetensors file"


def test_arrays_of_every_type_and_shape_come_back_aligned(tmp_path):
    types = ("?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8")
    arrays = {name: np.arange(3).astype(name) for name in types}
    arrays |= {
        "none": np.zeros((0, 4), np.float32),
        "scalar": np.array(3.5),
        "turned": np.ones((2, 3), int).T,
    }
    write_arrays(tmp_path / "data", arrays)
    for name, array in map_arrays(tmp_path / "data").items():
        assert array.dtype == arrays[name].dtype and array.shape == arrays[name].shape
        assert np.array_equal(array, arrays[name]) and array.flags.aligned and array.flags.c_contiguous
    with pytest.raises(KeyError):
        write_arrays(tmp_path / "data", {"words": np.array(["a"])})


def mapped(array):
    """Whether an array's memory is that of a mapped file."""
    while isinstance(array, np.ndarray):
        array = array.base
    return isinstance(getattr(array, "obj", array), mmap.mmap)


def test_opening_maps_the_large_arrays_and_writing_leaves_the_file_alone(tmp_path):
    n, large = 64, np.full((64, 128, 128, 3), 7, np.uint8)  # 3 MB, and as much of depth
    truths = tuple(Percept("truth", depth=np.full((96, 128), i, np.float32)) for i in range(n))
    write_arrays(tmp_path / "data", Dataset(values=large, truths=truths).arrays())
    before = (tmp_path / "data").read_bytes()
    tracemalloc.start()
    found = Dataset.from_arrays(map_arrays(tmp_path / "data"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 500_000, "neither pictures nor depth maps are copied"
    assert mapped(found.values) and mapped(found.truths[3].depth) and found.truths[3].depth.flags.aligned
    assert found.truths[3].depth.max() == found.truths[3].depth.min() == 3
    found.values[0] = 9
    assert found.values[0, 0, 0, 0] == 9 and (tmp_path / "data").read_bytes() == before


def test_large_parts_of_a_mapped_file_take_no_memory_of_their_own(tmp_path):
    n = 24
    pictures = np.broadcast_to(np.arange(n, dtype=np.uint8)[:, None, None, None], (n, 1024, 1024, 3))
    write_arrays(tmp_path / "data", Dataset(values=pictures, episodes=np.arange(n) // 2).arrays())
    data = Dataset.from_arrays(map_arrays(tmp_path / "data"))
    tracemalloc.start()
    train, held = data.parted(0.5, seed=1)
    again = train.take(np.arange(len(train))[::-1])
    spec = again.spec()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(train) * pictures[0].nbytes > LARGE and peak < 1_000_000, "nothing is copied"
    assert spec.shape == (1024, 1024, 3)
    expected = [row for row in range(n) if row // 2 in set(train.episodes.tolist())]
    batch = again.values_by_row[np.array([0, 2])]
    assert batch[:, 5, 5, 1].tolist() == [expected[-1], expected[-3]]
    batch[:] = 0
    assert data.values[expected[-1]].max() == expected[-1], "a batch is a copy"
    assert not mapped(held.take(np.arange(2)).values), "a small part holds no large one in memory"


@pytest.mark.parametrize("rows", [[2, 0], [-1], [], [True, False, True, True]])
def test_a_view_has_the_values_of_a_copy(rows):
    rows = np.array(rows, bool if rows and rows[0] is True else np.int64)
    whole = COLUMNS["array"]
    view = ArrayColumn(
        np.arange(12, dtype=np.float32).reshape(6, 2)[::-1], ("x", "y"), np.array([5, 4, 3, 2])
    )
    assert len(view) == 4 and view.shape == (2,) and plain(view) == plain(whole)
    assert np.array_equal(view[rows], whole.content[rows])
    assert plain(view.take(rows)) == plain(whole.take(rows))
    assert plain(ArrayColumn.joined([view, whole])) == plain(ArrayColumn.joined([whole, view]))
    assert plain(ArrayColumn.from_arrays(view.arrays())) == plain(whole)


@pytest.mark.parametrize("at", [0, 3, 12, 40, 200, -1, -1_000])
def test_a_changed_byte_is_noticed_wherever_it_is(tmp_path, at):
    file = tmp_path / "data"
    write_arrays(file, {"a": np.arange(400), "b": np.zeros(3, np.uint8)})
    damaged = bytearray(file.read_bytes())
    damaged[at] ^= 1
    file.write_bytes(damaged)
    with pytest.raises((ValueError, KeyError, TypeError)):
        map_arrays(file)


@pytest.mark.parametrize("part", [slice(0, 0), slice(0, 5), slice(0, 100), slice(0, -1)])
def test_a_file_cut_short_is_noticed(tmp_path, part):
    file = tmp_path / "data"
    write_arrays(file, {"a": np.arange(400)})
    file.write_bytes(file.read_bytes()[part])
    with pytest.raises((ValueError, KeyError, TypeError)):
        map_arrays(file)


@pytest.mark.parametrize("lacking", ["columns", "values.content", "labels.names", "edges.offsets"])
def test_arrays_that_hold_no_data_set_are_refused(lacking):
    arrays = whole().arrays()
    del arrays[lacking]
    with pytest.raises(KeyError):
        Dataset.from_arrays(arrays)
    shorter = whole().arrays() | {"labels.content": np.zeros(3, np.int64)}
    with pytest.raises(ValueError, match="3 labels for 4"):
        Dataset.from_arrays(shorter)

"""Data sets on disk: every field comes back, damage and another source are noticed, one of two makes them."""

from __future__ import annotations

import os
import threading
from dataclasses import fields

import numpy as np
import pytest
import torch

from sim.records import Percept
from supervised.data import dataset_cache, source_digest
from supervised.data.array_file import write_arrays
from supervised.data.dataset import Dataset
from supervised.data.dataset_cache import Request, cached, is_cached, one_thread
from supervised.data.percept_arrays import pack_percepts, unpack_percepts

#: A value of every field of a percept that no other value is taken for.
FULL = {
    "origin": "noisy truth",
    "boxes": np.array([[0.1, 1, 2, 3], [4, 5, 6, 7]], np.float32),
    "labels": ("ball", "player"),
    "scores": np.array([0.25, 1.0], np.float32),
    "mask": np.array([[0, 3], [1, 255]], np.uint8),
    "depth": np.array([[1.5, np.nan, np.inf]], np.float32),
    "keypoints": {"knee": (1.1, 2.0, 1.0), "toe": (0.0, -3.0, 0.0)},
    "places": {"knee": (0.1, 0.2, 1 / 3)},
    "label": "pong",
    "caption": 'Ünlike; any "other".',
    "fen": "8/8/8/8/8/8/8/8",
    "facts": {"score, left": 3, "z": -1, "a": 0},
    "extras": {"tags": ("night", "rain"), "level": 0.5},
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PLAYFIELD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def same(one, other):
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    return type(one) is type(other) and one == other


def test_every_field_of_a_percept_comes_back():
    assert set(FULL) == {field.name for field in fields(Percept)}, "a new field stands in FULL"
    percepts = (
        Percept(**FULL),
        Percept("truth"),
        *(Percept(**{"origin": "truth", name: value}) for name, value in FULL.items()),
        Percept("model", boxes=np.zeros((0, 4), np.float32), scores=np.zeros(0, np.float64)),
    )
    back = unpack_percepts(pack_percepts(percepts))
    assert len(back) == len(percepts)
    for one, other in zip(percepts, back, strict=True):
        for field in fields(Percept):
            assert same(getattr(one, field.name), getattr(other, field.name)), field.name
    assert list(back[0].facts) == list(FULL["facts"]), (
        "facts keep their order: vectors take it for their axes"
    )
    assert back[0].boxes.flags.writeable and unpack_percepts(pack_percepts(())) == ()


def views(count=3):
    truths = tuple(Percept("truth", label="pong") for _ in range(count))
    return Dataset(values=np.zeros((count, 2, 2, 3), np.uint8), truths=truths, episodes=np.arange(count))


def request(**told):
    return Request("views", told, ["sim.records"])


def maker(made):
    def make():
        made.append(1)
        return views()

    return make


def test_data_are_made_once_and_again_when_the_file_is_damaged(folder):
    made = []
    for _ in range(2):
        assert len(cached(request(seed=0), maker(made))) == 3 and len(made) == 1
    (file,) = folder.rglob("*.safetensors")
    assert is_cached(request(seed=0)) and not is_cached(request(seed=1))
    whole = file.read_bytes()
    middle = len(whole) // 2
    fewer = views().arrays() | {"values.content": np.zeros((2, 2, 2, 3), np.uint8)}
    other = bytes(255 - byte for byte in whole[middle : middle + 64])
    for damaged in (whole[:middle], b"", b"PK", whole[:middle] + other + whole[middle + 64 :], fewer):
        if isinstance(damaged, bytes):
            file.write_bytes(damaged)
        else:
            write_arrays(file, damaged)
        before = len(made)
        for _ in range(2):
            found = cached(request(seed=0), maker(made))
            assert np.array_equal(found.values, views().values) and len(made) == before + 1
    cached(request(seed=1), maker(made))
    assert len(list(folder.rglob("*.safetensors"))) == 2
    assert not [
        file for file in folder.rglob("*") if file.is_file() and file.suffix not in (".safetensors", ".lock")
    ]


def test_what_was_just_made_does_not_stay_in_memory_either():
    made = views()
    found = cached(request(), lambda: made)
    assert np.array_equal(found.values, made.values) and found.captions == made.captions
    assert not np.shares_memory(found.values, made.values)


@pytest.mark.parametrize(
    ("modules", "within", "without"),
    [
        (["generative.data.frames", "sim.atari.world"], "sim.atari.games.sports", "sim.chess.diagrams.draw"),
        (["generative.data.boards"], "sim.chess.diagrams.sets.staunton", "sim.atari.truth"),
        (["generative.data.states", "sim.walker.world"], "sim.walker.simulation", "sim.viewer.contract.show"),
        (
            ["supervised.data.label_sources.walker", "sim.walker.world"],
            "sim.walker.labelled_episodes",
            "supervised.fit",
        ),
        (
            ["supervised.data.label_sources.chess", "sim.chess.world"],
            "sim.chess.diagrams.labelled_boards",
            "sim.walker.world",
        ),
    ],
)
def test_data_follow_from_all_that_their_modules_import_and_not_from_all_there_is(modules, within, without):
    found = source_digest.sources(modules)
    assert within in found and without not in found and set(modules) <= found


def test_another_source_or_package_makes_other_data(folder, tmp_path, monkeypatch):
    for name, text in (("draw", "from sim.colours import RED"), ("colours", "RED = 1")):
        (tmp_path / "sim").mkdir(exist_ok=True)
        (tmp_path / "sim" / f"{name}.py").write_text(text)
    monkeypatch.setattr(source_digest, "ROOT", tmp_path)
    made, seen = [], set()

    def draw():
        source_digest.digest.cache_clear()
        source_digest._imported.cache_clear()
        seen.add(source_digest.digest(("sim.draw",)))
        cached(Request("views", {}, ["sim.draw"]), maker(made))

    try:
        draw()
        draw()
        assert len(made) == 1
        (tmp_path / "sim" / "colours.py").write_text("RED = 2")
        draw()
        assert len(made) == 2, "an import of the module that draws has changed"
        monkeypatch.setattr(source_digest, "versions", lambda packages: {"chess": "99"})
        draw()
        assert len(made) == len(seen) == 3
    finally:
        monkeypatch.undo()
        source_digest.digest.cache_clear()
        source_digest._imported.cache_clear()


def test_a_module_that_there_is_not_is_named():
    with pytest.raises(ValueError, match=r"no module sim\.nowhere"):
        source_digest.sources(["sim.nowhere"])


@pytest.mark.parametrize("fault", [PermissionError("read-only"), None])
def test_a_folder_that_cannot_be_written_costs_only_time(tmp_path, monkeypatch, fault):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("PLAYFIELD_CACHE", str(tmp_path / "file"))
    made = []
    assert len(cached(request(), maker(made))) == 3 and len(made) == 1
    if fault is not None:

        def broken():
            made.append(1)
            raise fault

        with pytest.raises(PermissionError):
            cached(request(), broken)
        assert len(made) == 2, "what fails for itself is not tried twice"


def test_the_folder_stays_small(folder, monkeypatch):
    monkeypatch.setattr(dataset_cache, "MOST_BYTES", 3_500)
    old = folder / "views" / "old.npz"
    old.parent.mkdir(parents=True)
    old.write_bytes(bytes(100))
    os.utime(old, (0, 0))
    for seed in range(6):
        cached(request(seed=seed), views)
    files = list(folder.rglob("*.safetensors"))
    assert 1 <= len(files) < 6 and sum(file.stat().st_size for file in files) <= 3_500
    assert not old.exists(), "files of earlier formats go with the rest"


def test_of_two_that_want_the_same_one_makes_it_and_the_other_waits(folder):
    making, go_on = threading.Event(), threading.Event()
    made, found = [], []

    def make_slowly():
        making.set()
        assert go_on.wait(20)
        return views()

    def want(make):
        thread = threading.Thread(target=lambda: found.append(cached(request(), make)))
        thread.start()
        return thread

    first = want(make_slowly)
    assert making.wait(20)
    second = want(maker(made))
    second.join(0.05)
    assert second.is_alive() and not made, "each has a lock of its own on the file, as two processes have"
    go_on.set()
    for thread in (first, second):
        thread.join(20)
    assert [len(each) for each in found] == [3, 3] and not made


def test_data_are_made_on_one_thread_whatever_torch_is_set_to():
    before = torch.get_num_threads()
    seen = []

    def make():
        seen.append(torch.get_num_threads())
        return views()

    try:
        torch.set_num_threads(2)
        cached(request(), make)
        assert seen == [1] and torch.get_num_threads() == 2
        with pytest.raises(KeyError), one_thread():
            raise KeyError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)

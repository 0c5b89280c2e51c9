"""Checkpoints: what is saved comes back bit for bit; what is damaged or does not fit is refused in words."""

import errno
import json
import os
import socket
from pathlib import Path

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from safetensors.numpy import load_file

from sim.errors import RequestError, WorkError
from sim.storage import files
from sim.storage.checkpoints import (
    CheckpointError,
    CheckpointLayout,
    check_fits,
    load_card,
    load_checkpoint,
    make_card,
    save_checkpoint,
)
from sim.storage.files import SaveError, fresh_folder, remove_leftovers

SPACES = {"observation_space": Box(0, 255, (4, 84, 84), np.uint8), "action_space": Discrete(6)}


def card(**more):
    config = {
        "learning_rate": 2.5e-4,
        "hidden": [64, 64],
        "network": "nature",
        "limit": None,
        "in": {"a": None},
    }
    given = {"world": "atari/pong", "seed": 3, "trained": {"env_steps": 10, "target": None}, **SPACES}
    return make_card("agent", "ppo", config, **(given | more))


def weights(seed=0):
    generator = np.random.default_rng(seed)
    square = generator.standard_normal((6, 8)).astype(np.float32)
    pictures = generator.standard_normal((2, 5, 7, 3)).astype(np.float32)
    special = np.array([0.0, -0.0, 65504, -65504, 1e-42], np.float32)
    return {
        "plain.weight": square,
        "transposed": square.T,
        "channels_last": pictures.transpose(0, 3, 1, 2),
        "strided": square[::2, ::-3],
        "fortran": np.asfortranarray(square),
        "scalar": np.array(1.5, np.float32),
        "empty": np.zeros((0, 3), np.float32),
        "special": special,
        "double": square.astype(np.float64),
        "steps": np.array([1, 2**62], np.int64),
        "flags": np.array([True, False]),
    }


@pytest.fixture
def saved(tmp_path):
    folder = tmp_path / "pong-ppo"
    save_checkpoint(folder, card(), weights())
    return folder


def test_weights_come_back_bit_for_bit_whatever_their_layout(saved):
    found, wanted = load_checkpoint(saved).weights, weights()
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert (found[name].shape, found[name].dtype) == (array.shape, array.dtype), name
        assert found[name].tobytes() == array.tobytes(), name
    assert load_file(saved / "model.safetensors").keys() == wanted.keys(), "others can read them too"


def test_half_precision_touches_only_floats_of_32_bits(tmp_path):
    save_checkpoint(tmp_path / "half", card(), weights(), storage="float16")
    found = load_checkpoint(tmp_path / "half").weights
    for name, array in weights().items():
        stored = array.astype(np.float16) if array.dtype == np.float32 else array
        assert found[name].dtype == stored.dtype and found[name].tobytes() == stored.tobytes(), name


def test_the_card_says_what_a_reader_needs(saved):
    found = load_card(saved)
    assert (found["format"], found["kind"], found["name"], found["seed"]) == (1, "agent", "ppo", 3)
    assert found["observation_space"] == "Box(0, 255, (4, 84, 84), uint8)"
    assert found["action_space"] == "Discrete(6)"
    assert found["config"] == {"learning_rate": 2.5e-4, "hidden": [64, 64], "network": "nature", "in": {}}
    assert found["trained"] == {"env_steps": 10}, "what is None is left out: TOML has no null"
    assert {"python", "numpy", "gymnasium", "playfield"} <= set(found["versions"])
    assert set(found["weights"]) == {"file", "sha256"}


def test_a_checkpoint_of_another_world_is_refused_with_every_difference(saved):
    checkpoint = load_checkpoint(saved)
    check_fits(checkpoint, kind="agent", name="ppo", world="atari/pong", seed=None, **SPACES)
    with pytest.raises(CheckpointError) as caught:
        check_fits(checkpoint, name="dqn", world="atari/breakout", action_space=Discrete(4))
    message = str(caught.value)
    for part in (
        f"{saved} does not fit",
        "name is ppo, here it is dqn",
        "world is atari/pong, here it is atari/breakout",
        "action_space is Discrete(6), here it is Discrete(4)",
    ):
        assert part in message
    assert isinstance(caught.value, RequestError)


def cut_weights(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-7])


def flip_a_bit(folder):
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 4
    path.write_bytes(content)


def cut_card(folder):
    path = folder / "card.toml"
    path.write_text(path.read_text()[:25] + '\nname = "pp')


def garble_card(folder):
    (folder / "card.toml").write_bytes(b"\xff\xfe\x00")


def edit_card(old, new):
    def edit(folder):
        path = folder / "card.toml"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    return edit


def vouch_for(content):
    """Weights that the card's SHA-256 fits but safetensors cannot read."""

    def edit(folder):
        import hashlib

        old = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
        (folder / "model.safetensors").write_bytes(content)
        edit_card(old, hashlib.sha256(content).hexdigest())(folder)

    return edit


DAMAGES = {
    "weights cut short": (cut_weights, "model.safetensors is cut short or changed"),
    "a bit flipped": (flip_a_bit, "model.safetensors is cut short or changed"),
    "weights missing": (
        lambda f: (f / "model.safetensors").unlink(),
        "its weights cannot be read: No such file",
    ),
    "weights garbled": (vouch_for(b"abc"), "model.safetensors is damaged"),
    "card missing": (
        lambda f: (f / "card.toml").unlink(),
        "is not a checkpoint, nor a run that has one: there is no card.toml in it",
    ),
    "card cut short": (cut_card, "card.toml is damaged"),
    "card not UTF-8": (garble_card, "card.toml is damaged"),
    "card empty": (lambda f: (f / "card.toml").write_text(""), "does not say its format"),
    "newer format": (
        edit_card("format = 1", "format = 3"),
        "has format 3, .* reads up to 2: upgrade Playfield",
    ),
    "no name": (edit_card('name = "ppo"', ""), "damaged: it lacks name"),
    "no hash": (edit_card("sha256", "sha1"), "it lacks the weights file"),
    "weights no table": (
        lambda f: (f / "card.toml").write_text('format=1\nkind="a"\nname="b"\nconfig={}\nweights=3'),
        "it lacks the weights file",
    ),
    "not there": (lambda f: f.rename(f.with_name("moved")), "does not exist: there is no card.toml"),
}


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_weights_that_are_not_finite_are_refused_by_the_name_of_the_tensor(tmp_path, number, dtype):
    spoilt = weights() | {"head.bias": np.array([0.0, number, 1.0, 2.0], dtype)}
    save_checkpoint(tmp_path / "c", card(), spoilt)
    with pytest.raises(CheckpointError, match="c holds NaN or infinity: in 25% of head.bias;"):
        load_checkpoint(tmp_path / "c")
    also = spoilt | {"scalar": np.array(number, dtype)}
    save_checkpoint(
        tmp_path / "c", card(), also, layout=CheckpointLayout({"head.": "h", "": "model.safetensors"})
    )
    with pytest.raises(CheckpointError, match="in 25% of head.bias, and in 1 more of 12 tensors"):
        load_checkpoint(tmp_path / "c")


def test_half_precision_leaves_what_it_cannot_hold(tmp_path):
    large = {"fits": np.array([65504.0], np.float32), "does not": np.array([1.0, -65536.0], np.float32)}
    save_checkpoint(tmp_path / "half", card(), large, storage="float16")
    found = load_checkpoint(tmp_path / "half").weights
    assert (found["fits"].dtype, found["does not"].dtype) == (np.float16, np.float32)


def replaced_by(name, make):
    """A damage: something that is no file takes the place of `name`."""

    def edit(folder):
        (folder / name).unlink()
        make(folder / name)

    return edit


def a_socket(path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))  # the whole path may be too long for a socket


@pytest.mark.parametrize("name", ["model.safetensors", "card.toml"])
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (os.mkfifo, "a named pipe"),
        (Path.mkdir, "a folder"),
        (a_socket, "a socket"),
        (lambda path: path.symlink_to("/dev/zero"), "a device"),
    ],
)
def test_what_is_no_file_is_refused_at_once(saved, monkeypatch, name, make, words):
    monkeypatch.chdir(saved)
    replaced_by(name, make)(saved)
    with pytest.raises(CheckpointError, match=f"{name} is {words}, not a file"):
        load_checkpoint(saved)


def test_a_checkpoint_path_that_is_no_folder_says_what_it_is(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    for name, words in {"pipe": "a named pipe", "file": "a file"}.items():
        with pytest.raises(CheckpointError, match=f"{name} is not a checkpoint: it is {words}, not a folder"):
            load_checkpoint(tmp_path / name)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_refused_by_name(saved, damage):
    edit, message = DAMAGES[damage]
    edit(saved)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_checkpoint(saved)
    assert str(saved) in str(caught.value) and "\n" not in str(caught.value).strip()


@pytest.mark.parametrize("name", ["model.safetensors", "card.toml"])
def test_a_full_disk_leaves_the_older_checkpoint(saved, monkeypatch, fill_disk, name):
    fill_disk(lambda path: path.name == name)
    with pytest.raises(SaveError, match=f"could not write {saved}: the disk is full") as caught:
        save_checkpoint(saved, card(seed=4), weights(1))
    assert isinstance(caught.value, WorkError)
    monkeypatch.undo()
    assert load_checkpoint(saved).card["seed"] == 3
    assert [path.name for path in saved.parent.iterdir()] == [saved.name], "nothing half-written stays"
    save_checkpoint(saved, card(seed=5), weights(1))
    assert load_checkpoint(saved).card["seed"] == 5


@pytest.mark.parametrize("error", [OSError(errno.EIO, "broken"), KeyboardInterrupt(), MemoryError()])
@pytest.mark.parametrize("step", ["temporary to target", "flush"])
def test_whatever_stops_a_save_leaves_the_older_checkpoint(saved, monkeypatch, error, step):
    rename, flush = Path.rename, files.flush_to_disk

    def stop_rename(path, target):
        if step == "temporary to target" and ".new-" in path.name:
            raise error
        return rename(path, target)

    def stop_flush(path):
        if step == "flush" and path.name == "card.toml":
            raise error
        flush(path)

    monkeypatch.setattr(Path, "rename", stop_rename)
    monkeypatch.setattr(files, "flush_to_disk", stop_flush)
    with pytest.raises(SaveError if isinstance(error, OSError) else type(error)):
        save_checkpoint(saved, card(seed=4), weights(1))
    monkeypatch.undo()
    assert load_checkpoint(saved).card["seed"] == 3
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SaveError, match="could not write .*pong: (not a directory|file exists)"):
        save_checkpoint(tmp_path / "file" / "pong", card(), weights())
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_new_checkpoint_replaces_the_whole_old_folder(saved):
    (saved / "stale.txt").write_text("old")
    save_checkpoint(saved, card(seed=9), {"only": np.ones(2, np.float32)})
    assert sorted(path.name for path in saved.iterdir()) == ["card.toml", "model.safetensors"]
    assert list(load_checkpoint(saved).weights) == ["only"]


def test_everything_is_on_disk_before_the_rename(tmp_path, monkeypatch):
    order, rename, flush = [], Path.rename, files.flush_to_disk
    monkeypatch.setattr(files, "flush_to_disk", lambda path: (order.append(path.name), flush(path)))
    monkeypatch.setattr(Path, "rename", lambda path, to: (order.append("rename"), rename(path, to)))
    save_checkpoint(tmp_path / "pong", card(), weights())
    assert order.index("rename") > max(order.index("card.toml"), order.index("model.safetensors"))
    assert order[-1] == tmp_path.name, "the rename itself is flushed too"


def killed_mid_save(folder, pid=99999):
    """What a process leaves that was killed between its two renames."""
    (folder / "half").mkdir()
    (folder / "half" / "card.toml").write_text("half")
    (folder / "half").rename(folder / f".10.new-{pid}")
    (folder / "10").rename(folder / f".10.old-{pid}")


def test_leftovers_of_a_killed_save_are_swept_and_the_old_one_comes_back(tmp_path):
    for step in ("10", "20"):
        save_checkpoint(tmp_path / step, card(seed=int(step)), weights())
    killed_mid_save(tmp_path)
    (tmp_path / ".20.old-7").mkdir()
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["10", "20"]
    assert [load_checkpoint(tmp_path / step).card["seed"] for step in ("10", "20")] == [10, 20]


def test_leftovers_of_a_process_with_the_same_number_are_no_obstacle(tmp_path):
    save_checkpoint(tmp_path / "10", card(seed=10), weights())
    killed_mid_save(tmp_path, pid=os.getpid())
    with pytest.raises(SaveError), fresh_folder(tmp_path / "10"):
        raise OSError(errno.ENOSPC, "full")
    assert load_checkpoint(tmp_path / "10").card["seed"] == 10
    killed_mid_save(tmp_path, pid=os.getpid())
    save_checkpoint(tmp_path / "10", card(seed=11), weights())
    assert load_checkpoint(tmp_path / "10").card["seed"] == 11
    assert [path.name for path in tmp_path.iterdir()] == ["10"]


def test_nothing_on_disk_is_a_pickle(saved):
    assert all(not path.read_bytes().startswith((b"\x80", b"PK")) for path in saved.iterdir())
    header = (saved / "model.safetensors").read_bytes()
    assert "plain.weight" in json.loads(header[8 : 8 + int.from_bytes(header[:8], "little")])


def test_a_layout_spreads_weights_over_files_and_lays_texts_beside_them(tmp_path):
    arrays = {"net.a": np.arange(3.0), "net.b": np.zeros((2, 2)), "text.a": np.ones(4)}
    layout = CheckpointLayout(
        {"net.": "net/model.safetensors", "text.": "text.safetensors"}, {"net/config.json": "{}"}
    )
    save_checkpoint(tmp_path / "c", card(), arrays, layout=layout)
    assert sorted(load_file(tmp_path / "c" / "net" / "model.safetensors")) == ["a", "b"]
    assert (tmp_path / "c" / "net" / "config.json").read_text() == "{}"
    loaded = load_checkpoint(tmp_path / "c").weights
    assert loaded.keys() == arrays.keys()
    assert all(np.array_equal(loaded[name], array) for name, array in arrays.items())
    (tmp_path / "c" / "text.safetensors").unlink()
    with pytest.raises(CheckpointError, match="its weights cannot be read"):
        load_checkpoint(tmp_path / "c")

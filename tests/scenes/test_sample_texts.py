"""Texts that a task writes: files, page, prompt, and requests that are refused before anything is written."""

import html
import re

import numpy as np
import pytest

from scenes.evaluation import tasks
from scenes.evaluation.tasks import grade_task
from scenes.sampling.command import SampleRequest, sample
from scenes.sampling.texts import page
from scenes.schema import load_scene
from scenes.watching.examples_show import ExamplesShow
from sim.errors import RequestError
from supervised.language.generation.language_model import LanguageModel
from supervised.metrics.text import SampleGrades, ShareTally
from supervised.task import WrittenText

pytest.importorskip("matplotlib")

SCENE = """
title = "Cats"
seed = 3
[[perception]]
use = "language_model"
data = "mine.txt"
tokens = "characters"
width = 8
layers = 1
heads = 1
block = 32
"""


@pytest.fixture
def scene(tmp_path):
    (tmp_path / "mine.txt").write_text("\n%\n".join(f"the cat number {i:02} sat on a mat" for i in range(30)))
    file = tmp_path / "cats.toml"
    file.write_text(SCENE)
    return load_scene(str(file))


def request(tmp_path, **changes):
    return SampleRequest(**({"out": tmp_path / "out", "n": 3, "conditions": ("text=the cat",)} | changes))


def test_texts_and_their_page_are_written(scene, tmp_path):
    said = []
    report = sample(scene, request(tmp_path), device="cpu", say=said.append)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["0000.txt", "0001.txt", "0002.txt", "index.html"]
    assert report.answer["files"][0].endswith("index.html") and report.answer["metrics"]["legal_to_end"] == 1
    texts = [(tmp_path / "out" / name).read_text("utf-8") for name in names[:3]]
    assert all(text.startswith("the cat") for text in texts) and len(set(texts)) == 3
    shown = (tmp_path / "out" / "index.html").read_text("utf-8")
    plain = html.unescape(re.sub(r"<[^>]*>", "", shown))
    assert all(text.strip() in plain for text in texts) and "untrained" in said[0]
    with pytest.raises(RequestError, match=r"0000\.txt|index\.html"):
        sample(scene, request(tmp_path), device="cpu", say=said.append)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"n": 0}, "--n must be from 1"),
        ({"steps": 3}, "--steps"),
        ({"conditions": ("label=pong",)}, "texts take one"),
        ({"conditions": ("text=a", "text=b")}, "texts take one"),
    ],
)
def test_what_texts_do_not_have_is_refused_and_nothing_written(scene, tmp_path, changes, said):
    with pytest.raises(RequestError, match=said):
        sample(scene, request(tmp_path, **changes), device="cpu", say=print)
    assert not (tmp_path / "out").exists()


def test_the_page_escapes_texts_and_marks_illegal_ones():
    text = WrittenText("<b> & e4 a1a8†", ("e4", "a1a8†"), (0.5, 0.25), legal=False)
    shown = page("a < b", "playfield sample", [text])
    assert "<b>" not in shown and "&lt;b&gt; &amp; " in shown and "illegal move" in shown
    assert 'title="50%">e4<' in shown and 'title="25%">a1a8†<' in shown


def test_the_window_shows_a_model_that_writes_at_its_own_pace(scene):
    show = ExamplesShow(scene, device="cpu")
    moment = show.start(0)
    assert show.steps_per_second == 1.5 and moment.pictures[0].std() > 1
    labels = [readout.label for readout in moment.readouts]
    assert labels == ["drawn", "probability", "tokens drawn from"]


def test_evaluation_grades_texts_beside_baselines_and_what_the_model_makes(scene, monkeypatch):
    made = SampleGrades(
        ShareTally({"legal": np.array([1, 0])}), {"xz -9e": {"legal": 0.0}}, protocol={"top_p": "1"}
    )
    monkeypatch.setattr(tasks, "RESAMPLES", 20)
    monkeypatch.setattr(LanguageModel, "grade_samples", lambda self, model, splits, seed: made)
    answer = grade_task(scene, device="cpu", checkpoint=None, say=lambda line: None).answer
    assert answer["baseline"] == answer["breakdown"]["baseline: character n-gram"]
    assert answer["baseline"]["bits_per_char"] < answer["metrics"]["bits_per_char"] < 8
    assert answer["metrics"]["legal"] == 0.5 and answer["ci95"]["legal"] == [0, 1]
    assert set(answer["breakdown"]["baseline: xz -9e"]) == {"bits_per_char", "legal"}
    assert answer["protocol"]["top_p"] == "1" and answer["protocol"]["split_by"] == "document"

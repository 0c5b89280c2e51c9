"""A gallery on disk: whole files, figures for programs, what a full disk leaves."""

from __future__ import annotations

import errno
import json
import re
from base64 import b64decode
from dataclasses import replace
from io import BytesIO

import av
import numpy as np
import pytest
from PIL import Image

from generative.gallery import Clip, GalleryContent, Grades, LatentMap, SampleEntry, Strip, write_gallery
from generative.gallery.page import page
from generative.gallery.pictures import GUTTER, grid
from generative.metrics.truth import FactCheck
from sim.storage.files import SaveError
from sim.viewer.draw.theme import PALETTE
from sim.viewer.output.recorder import Recorder


def pictures(n, size=16, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), np.uint8)


@pytest.fixture
def gallery():
    shown, real = pictures(5), pictures(5, seed=1)
    return GalleryContent(
        title='Dreams of <"games"> & boards',
        about="a sampler",
        samples=tuple(
            SampleEntry(shown[i], 7, "label pong", real[i], "0.40", 'pong; "ball" at 3', i != 2)
            for i in range(5)
        ),
        metrics={"rmse": 3.5, "steps": 10},
        columns={"nearest": {"rmse": 12.0}},
        checkpoint=Grades(
            {"frechet": 41.5}, {"frechet": [36.01, 47.5]}, 500, {"steps": 60, "data": "<frames>"}
        ),
        strips=(
            Strip("between", pictures(6).reshape(2, 3, 16, 16, 3), "Between", "Left to right.", ("a", "b")),
        ),
        clips=(Clip("denoising", pictures(7), "Denoising", "From noise.", 10),),
        protocol={"steps": 10},
    )


def test_all_files_are_written_and_named(tmp_path, gallery):
    files = write_gallery(tmp_path / "a" / "b", gallery)
    names = ["index.html", "metrics.json", "grid.png", "between.png", "denoising.mp4", "denoising.gif"]
    assert [path.name for path in files] == names
    assert sorted(path.name for path in (tmp_path / "a" / "b").iterdir()) == sorted(names)


def test_figures_and_samples_are_there_for_programs(tmp_path, gallery):
    write_gallery(tmp_path, gallery)
    told = json.loads((tmp_path / "metrics.json").read_text())
    assert told["metrics"] == {"rmse": 3.5, "steps": 10} and told["protocol"] == {"steps": 10}
    assert told["beside"]["nearest"] == {"rmse": 12.0} and told["n"] == 5
    assert [sample["holds"] for sample in told["samples"]] == [True, True, False, True, True]
    assert {sample["seed"] for sample in told["samples"]} == {7}
    assert {sample["reading"] for sample in told["samples"]} == {"decoded truth"}


def test_what_the_card_says_stands_apart_from_what_was_measured(tmp_path, gallery):
    write_gallery(tmp_path, gallery)
    assert json.loads((tmp_path / "metrics.json").read_text())["checkpoint"] == {
        "metrics": {"frechet": 41.5},
        "ci95": {"frechet": [36.01, 47.5]},
        "n": 500,
        "protocol": {"steps": 60, "data": "<frames>"},
    }
    measured, graded = page(gallery).split("<table>")[1:]
    assert "the 5 samples above" in measured and "41.5" not in measured and "500" not in measured
    assert "500 other samples" in graded and "steps: 60 · data: &lt;frames&gt;" in graded
    assert "36.0 … 47.5" in graded and "RMSE" not in graded and "RMSE, levels of 255 ↓" in measured
    write_gallery(tmp_path, replace(gallery, checkpoint=None))
    assert "checkpoint" not in json.loads((tmp_path / "metrics.json").read_text())
    assert "500" not in re.sub('"data:[^"]*"', "", (tmp_path / "index.html").read_text("utf-8"))


def test_a_models_reading_is_not_called_truth(gallery):
    read = replace(gallery.samples[0], reading="as the narrator reads it")
    assert ("as the narrator reads it", read.truth) in read.facts(1)
    assert "decoded truth" not in read.alt(1) and "decoded truth" in gallery.samples[0].alt(1)


def test_a_prompt_stands_under_its_sample_with_what_is_right_and_what_is_wrong(tmp_path, gallery):
    checks = (
        FactCheck("ball side", "left", "left"),
        FactCheck("score <", "1", "2"),
        FactCheck("lives", "", "3"),
    )
    shown = replace(gallery.samples[0], prompt='a "ball" & a bat', checks=checks, holds=False)
    text = page(replace(gallery, samples=(shown, *gallery.samples[1:])))
    (item,) = re.findall(r'<li class="sample".*?id="sample-1".*?</li>', text, re.S)
    assert 'class="prompt">a &quot;ball&quot; &amp; a bat</span>' in item
    assert '<span class="check">ball side left</span>' in item
    assert '<span class="check no">score &lt; 1, read as 2</span>' in item
    assert '<span class="check no">lives not asked for, read as 3</span>' in item
    assert 'class="samples prompted"' in text and 'class="samples prompted"' not in page(gallery)
    assert ("facts", "1 of 3 right") in shown.facts(1)
    assert ("wrong", "score < 1, read as 2; lives not asked for, read as 3") in shown.facts(1)
    write_gallery(tmp_path, replace(gallery, samples=(shown,)))
    (told,) = json.loads((tmp_path / "metrics.json").read_text())["samples"]
    assert [check["right"] for check in told["checks"]] == [True, False, False]


def test_another_gallery_leaves_nothing_of_the_one_before(tmp_path, gallery):
    (tmp_path / "traversal.png").write_text("mine")
    (tmp_path / "metrics.json").write_text('{"loss": 1}')
    write_gallery(tmp_path, gallery)
    assert (tmp_path / "traversal.png").exists(), "no gallery was here before"
    mine = [tmp_path / "between.png.txt", tmp_path / "mine.png"]
    for file in mine:
        file.write_text("mine")
    (tmp_path / "interpolation.gif").mkdir()
    fewer = replace(gallery, strips=(), clips=())
    files = write_gallery(tmp_path, fewer)
    left = {tmp_path / name for name in ("between.png", "interpolation.gif")}
    assert set(tmp_path.iterdir()) == {*files, *mine, *left}, "known names alone are removed, and no folders"


def test_a_gallery_that_cannot_be_finished_takes_nothing_away(tmp_path, gallery, monkeypatch):
    write_gallery(tmp_path, gallery)

    def full(path, strip):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("generative.gallery.writing.write_strip", full)
    with pytest.raises(SaveError):
        write_gallery(tmp_path, replace(gallery, clips=()))
    assert (tmp_path / "denoising.gif").exists()


def test_the_grid_holds_every_sample_enlarged_by_a_whole_factor():
    shown = pictures(3)
    sheet, side = grid(list(shown)), 8 * 16
    assert sheet.shape == (2 * (side + GUTTER) + GUTTER, 2 * (side + GUTTER) + GUTTER, 3)
    first = sheet[GUTTER : GUTTER + side, GUTTER : GUTTER + side]
    np.testing.assert_array_equal(first, shown[0].repeat(8, 0).repeat(8, 1))
    third = sheet[2 * GUTTER + side : -GUTTER, GUTTER : GUTTER + side]
    np.testing.assert_array_equal(third[::8, ::8], shown[2])
    assert (sheet[GUTTER + side :, GUTTER + side :] == PALETTE.ground).all()
    assert (sheet[:GUTTER] == PALETTE.ground).all()


def test_videos_play_every_frame(tmp_path, gallery):
    write_gallery(tmp_path, gallery)
    with av.open(str(tmp_path / "denoising.mp4")) as film:
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(frames) == 7 and frames[0].shape == (256, 256, 3)
    with Image.open(tmp_path / "denoising.gif") as animation:
        assert animation.n_frames == 7
        animation.seek(6)
        last = np.asarray(animation.convert("RGB"))[8::16, 8::16]
    # 128 colours cannot hold 256 random ones; still each is near its own and none another's.
    assert np.abs(last.astype(int) - gallery.clips[0].frames[6]).mean() < 25


def test_the_page_holds_its_pictures_exactly_and_reaches_for_no_network(tmp_path, gallery):
    write_gallery(tmp_path, gallery)
    text = (tmp_path / "index.html").read_text("utf-8")
    found = re.findall(r'<img src="data:image/png;base64,([^"]+)" alt="sample', text)
    for content, shown in zip(found, gallery.samples, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(BytesIO(b64decode(content)))), shown.picture)
    assert "://" not in text.replace("http-equiv", "")
    assert "$" not in text, "a hole of the template was left open"


def test_a_map_is_the_pca_of_samples_and_real_examples_together():
    generator = np.random.default_rng(0)
    turned, _ = np.linalg.qr(generator.standard_normal((40, 40)))
    spread = generator.standard_normal((30, 2)) * [9, 3]
    points = spread @ turned[:2] + 5
    found = LatentMap.of_points(points[:20], points[20:], "a plane")
    assert found.samples.shape == (20, 3) and found.real.shape == (10, 3)
    assert sum(found.shares[:2]) == pytest.approx(1) and found.shares[0] > found.shares[1] > 0
    scores = np.concatenate([found.samples, found.real])
    np.testing.assert_allclose(scores.mean(0), 0, atol=1e-9)
    far = np.linalg.norm(points[:, None] - points, axis=-1)
    np.testing.assert_allclose(np.linalg.norm(scores[:, None] - scores, axis=-1), far, atol=1e-5)
    variances = scores.var(0)
    np.testing.assert_allclose(variances[:2] / variances.sum(), found.shares[:2], atol=1e-9)
    few = LatentMap.of_points(points[:1], points[1:2], "a line")
    assert np.abs(few.samples[0, 1:]).max() < 1e-6, "two points have one component"


def test_filters_are_offered_only_where_they_tell_pictures_apart(gallery):
    assert 'id="by-label"' not in page(gallery) and 'id="by-verdict"' in page(gallery)
    plain = replace(gallery, samples=tuple(SampleEntry(one.picture, 7) for one in gallery.samples))
    assert 'class="tools"' not in page(plain) and 'id="map"' not in page(plain)
    classes = tuple(replace(one, label=f"class {i}") for i, one in enumerate(plain.samples))
    assert '<option value="class 3">class 3</option>' in page(replace(plain, samples=classes))


def test_rows_of_a_strip_stand_under_their_names(tmp_path, gallery):
    text = page(gallery)
    rows = re.findall(r'<li><span class="row">(\w)</span><img src="data:image/png;base64,([^"]+)"', text)
    assert [name for name, _ in rows] == ["a", "b"]
    for (_, content), row in zip(rows, gallery.strips[0].pictures, strict=True):
        shown = np.asarray(Image.open(BytesIO(b64decode(content))))
        np.testing.assert_array_equal(shown, grid(list(row), 3))
        assert shown.shape[1] > 2 * shown.shape[0], "three pictures in one line"


def test_words_are_escaped(tmp_path, gallery):
    write_gallery(tmp_path, gallery)
    text = (tmp_path / "index.html").read_text("utf-8")
    assert "<h1>Dreams of &lt;&quot;games&quot;&gt; &amp; boards</h1>" in text


def test_a_full_disk_keeps_what_is_finished_and_names_it(tmp_path, gallery, monkeypatch):
    write_gallery(tmp_path, gallery)
    before = (tmp_path / "between.png").read_bytes()

    def full(path, strip):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("generative.gallery.writing.write_strip", full)
    with pytest.raises(SaveError, match="the disk is full; finished and kept: metrics.json, grid.png"):
        write_gallery(tmp_path, gallery)
    assert (tmp_path / "between.png").read_bytes() == before, "an older file stays whole"
    assert not list(tmp_path.glob(".*")), "nothing half-written is left"


def test_a_second_ctrl_c_leaves_no_part_of_a_video(tmp_path, gallery, monkeypatch):
    add = Recorder.add

    def interrupted(recorder, picture):
        add(recorder, picture)
        raise KeyboardInterrupt

    monkeypatch.setattr(Recorder, "add", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_gallery(tmp_path, gallery)
    assert {path.name for path in tmp_path.iterdir()} == {"metrics.json", "grid.png", "between.png"}


def test_a_video_that_cannot_be_written_is_told_as_unfinished_work(tmp_path, gallery, monkeypatch):
    def fails(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("av.open", fails)
    with pytest.raises(SaveError, match=r"finished and kept: metrics.json, grid.png, between.png"):
        write_gallery(tmp_path, gallery)
    assert not (tmp_path / "index.html").exists() and not list(tmp_path.glob(".*"))


def test_a_place_that_is_a_file_is_refused(tmp_path, gallery):
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(SaveError, match="could not finish"):
        write_gallery(tmp_path / "taken", gallery)
    assert (tmp_path / "taken").read_text() == "mine"

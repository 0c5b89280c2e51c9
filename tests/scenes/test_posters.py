"""Posters of the scenes' list: small pictures of what a scene shows, made once, in the background."""

import time

import numpy as np
import pytest

from scenes.schema import SHIPPED, load_scene
from scenes.watching import posters
from scenes.watching.poster_figures import LINES, draw_piano_roll, draw_text_poster
from scenes.watching.posters import SIZE, Posters, draw_poster, poster_file, write_poster
from sim.viewer.contract.show import Poster


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PLAYFIELD_CACHE", str(tmp_path))


@pytest.mark.parametrize("name", ["pong", "chess", "cartpole"])
def test_a_poster_is_the_world_seen_small(name):
    picture = draw_poster(load_scene(name))
    assert picture.dtype == np.uint8 and picture.shape[1] <= SIZE[0] and picture.shape[0] <= SIZE[1]
    assert SIZE[0] == picture.shape[1] or SIZE[1] == picture.shape[0]
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 3, "it is not empty"


@pytest.mark.parametrize("name", ["babble", "tuned", "tunes"])
def test_texts_and_tunes_have_posters_that_read_no_data(name, monkeypatch):
    if name == "tunes":
        pytest.importorskip("music21")

    def read(*request):
        raise AssertionError("the data take longer to read than a poster may")

    monkeypatch.setattr("scenes.data.task_data._splits", read)
    picture = draw_poster(load_scene(name))
    assert picture.shape == (96, 128, 3)
    inked = (picture.astype(int).max(-1) > 90).reshape(4, 24, 4, 32).any((1, 3))
    assert inked.any(1).sum() >= 3 and inked.any(0).sum() >= 3, "it fills its frame"


def test_a_text_is_set_as_a_score_sheet_or_wrapped():
    from supervised.figure import rasterized

    game = rasterized(lambda figure: draw_text_poster(figure, "1. e4 e5 2. Nf3 (+0.1)"), (512, 384))
    words = rasterized(lambda figure: draw_text_poster(figure, "a saying " * 40), (512, 384))
    lines = [(picture.max(-1) > 90).reshape(LINES, -1).any(1) for picture in (game, words)]
    assert lines[0].tolist() == [True, True, False, False, False, False] and lines[1].all()


def test_a_piano_roll_shows_the_first_bars_and_lights_the_beats():
    from supervised.figure import rasterized

    scale = np.column_stack([np.arange(32) / 8, np.full(32, 1 / 8), 60 + np.arange(32) % 8])
    roll = rasterized(lambda figure: draw_piano_roll(figure, scale, (2, 4), 0.0), (512, 384)).astype(int)
    lit = (np.abs(roll - (230, 159, 0)).max(-1) < 40).sum()
    plain = (np.abs(roll - (86, 180, 233)).max(-1) < 40).sum()
    assert plain == pytest.approx(lit, rel=0.2), "in 2/4 every other quaver is on a beat"
    first, last = np.flatnonzero((np.abs(roll - (230, 159, 0)).max(-1) < 40).any(0))[[0, -1]]
    assert first < 30 and last < 512 - 30, "the first 4 of 8 bars fill the frame"


def test_posters_are_made_once_and_found(monkeypatch, tmp_path):
    files = [SHIPPED / "pong.toml", SHIPPED / "cartpole.toml", SHIPPED / "breakout.toml"]
    write_poster(poster_file(files[0]), np.full((96, 73, 3), 7, np.uint8))
    write_poster(poster_file(files[1]), None)  # tried, and there is none
    asked = []
    monkeypatch.setattr(posters.subprocess, "Popen", lambda line, **rest: asked.append(line[3:]))
    monkeypatch.setattr(posters, "_LOOK_SECONDS", 0.0)
    found = Posters(files)
    assert found.pictures() == (None, None, None), "nothing is read before the list is opened"
    found.begin()
    assert asked == [[str(files[2])]]
    first, second, third = found.pictures()
    assert isinstance(first, Poster) and first.picture.shape == (96, 73, 3) and second is third is None
    write_poster(poster_file(files[2]), np.zeros((96, 73, 3), np.uint8))
    assert found.pictures()[0] is first and found.pictures()[2] is not None
    changed = tmp_path / "pong.toml"
    changed.write_bytes(files[0].read_bytes() + b"\n")
    assert poster_file(changed) != poster_file(files[0]), "another scene has another poster"


def test_a_scene_that_cannot_be_drawn_does_not_keep_the_others(monkeypatch, tmp_path):
    def draw(scene):
        if scene.name == "pong":
            raise RuntimeError("no ROM")
        return np.zeros((9, 9, 3), np.uint8)

    monkeypatch.setattr(posters, "draw_poster", draw)
    monkeypatch.setattr(posters.os, "nice", lambda by: 0)
    files = [SHIPPED / "pong.toml", SHIPPED / "cartpole.toml"]
    posters.main([str(file) for file in files])
    assert [poster_file(file).stat().st_size > 0 for file in files] == [False, True]


def test_the_process_ends_with_the_window():
    found = Posters([SHIPPED / "cartpole.toml"])
    found.begin()
    process = found._process
    found.begin()
    assert found._process is process, "one at a time"
    found.close()
    end = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < end:
        time.sleep(0.02)
    assert process.poll() is not None

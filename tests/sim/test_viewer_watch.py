"""`watch`, whole: headless and in a window without a display."""

import _thread
import os
import signal
import threading
import time
from dataclasses import replace

import av
import numpy as np
import pygame
import pytest
from viewer_shows import CountingShow, writing

from sim.progress import waiting
from sim.viewer.app import window
from sim.viewer.app.window import watch
from sim.viewer.contract.show import PlaylistEntry
from sim.viewer.errors import ViewerError
from sim.viewer.output.recorder import Recorder
from sim.viewer.playback.history import History
from sim.viewer.playback.simulation import SimulationThread


@pytest.fixture(autouse=True)
def display(monkeypatch, tmp_path):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


class Drawn:
    """What the window has drawn, as (view, choices, size of the picture)."""

    def __init__(self):
        self.pictures, self.news = [], threading.Condition()

    def note(self, viewer, picture):
        with self.news:
            self.pictures.append((viewer.view, viewer.choices, picture.get_size()))
            self.news.notify_all()

    def wait_for(self, condition):
        """Until a picture was drawn for which `condition(view, choices)` holds."""
        with self.news:
            assert self.news.wait_for(lambda: any(condition(*p[:2]) for p in self.pictures), 5)


@pytest.fixture
def drawn(monkeypatch):
    found, draw = Drawn(), window.Viewer.draw

    def noted(viewer):
        picture = draw(viewer)
        found.note(viewer, picture)
        return picture

    monkeypatch.setattr(window.Viewer, "draw", noted)
    return found


def press(key, mod=0):
    pygame.event.post(pygame.Event(pygame.KEYDOWN, key=key, mod=mod))


def close():
    pygame.event.post(pygame.Event(pygame.QUIT))


class Scripted(CountingShow):
    """It calls `script(show)` before each step, on the simulation's thread."""

    def __init__(self, script, **options):
        super().__init__(**options)
        self.script = script

    def step(self, person, *, drawn=True):
        self.script(self)
        return super().step(person, drawn=drawn)


def decoded(file):
    with av.open(str(file)) as video:
        assert video.streams.video[0].codec_context.name == "h264"
        return list(video.decode(video=0))


def test_headless_draws_every_step_once(tmp_path):
    show = CountingShow(num_worlds=2)
    watched = watch(show, headless=True, frames=121, record=tmp_path / "a.mp4", size=(640, 480), seed=3)
    assert watched.frames == 121 and watched.file == tmp_path / "a.mp4"
    assert watched.episodes == 4 and watched.returns == [5.0] * 4
    assert watched.fps > 0 and not watched.interrupted
    assert show.seeds == [3] and show.closed == 1 and show.threads == {"simulation"}
    frames = decoded(watched.file)
    assert len(frames) == 121
    for number in (0, 60, 120):  # the world is filled with its number
        assert abs(int(frames[number].to_ndarray(format="rgb24")[200, 180, 0]) - number) <= 6


def test_the_same_show_gives_the_same_video(tmp_path, drawn):
    """Pixel for pixel, however far the simulation was ahead of the drawing."""
    videos = []

    def keeping_step(show):
        drawn.wait_for(lambda view, choices: view.number >= len(show.persons))

    for name, script in (("ahead", lambda show: None), ("in step", keeping_step)):
        show, path = Scripted(script), tmp_path / f"{name}.mp4"
        drawn.pictures.clear()
        watch(show, headless=True, frames=60, record=path, size=(480, 360))
        videos.append([frame.to_ndarray(format="rgb24") for frame in decoded(path)])
    np.testing.assert_array_equal(videos[0], videos[1])


def test_headless_needs_no_display(monkeypatch):
    monkeypatch.setattr(pygame.display, "init", None)
    monkeypatch.setattr(pygame, "Window", None)
    assert watch(CountingShow(), headless=True, frames=5).frames == 5


def test_headless_is_uncapped():
    assert watch(CountingShow(steps_per_second=1.0), headless=True, frames=30, size=(640, 480)).fps > 20


def test_a_bad_recording_is_refused_before_anything_starts(tmp_path):
    show = CountingShow()
    with pytest.raises(ViewerError, match="name a file that ends in"):
        watch(show, headless=True, frames=5, record=tmp_path / "a.txt")
    assert show.seeds == []


def test_what_the_show_raises_reaches_the_caller_and_the_video_is_complete(tmp_path):
    show = CountingShow(fails_at=11)
    with pytest.raises(RuntimeError, match="the emulator fell over"):
        watch(show, headless=True, frames=100, record=tmp_path / "a.mp4", size=(640, 480))
    assert len(decoded(tmp_path / "a.mp4")) == 11
    assert show.closed == 1


def test_in_a_window_an_error_is_shown_until_it_is_closed(drawn):
    def person():
        drawn.wait_for(lambda view, choices: "the emulator fell over" in view.error)
        close()

    threading.Thread(target=person).start()
    with pytest.raises(RuntimeError, match="the emulator fell over"):
        watch(CountingShow(fails_at=3))
    assert "the emulator fell over" in drawn.pictures[-1][0].error


def test_where_frames_are_counted_an_error_ends_a_window():
    with pytest.raises(RuntimeError, match="the emulator fell over"):
        watch(CountingShow(fails_at=3), frames=1000)


def test_ctrl_c_ends_with_a_complete_video(tmp_path):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it

    def strike(show):
        if len(show.persons) == 30:
            _thread.interrupt_main()

    watched = watch(Scripted(strike), headless=True, record=tmp_path / "a.mp4", size=(640, 480))
    assert watched.interrupted
    assert 0 < watched.frames - len(decoded(watched.file)) + 1 <= 2  # it may strike between draw and count


def test_ctrl_c_while_the_video_is_completed_does_not_cost_it(tmp_path, monkeypatch):
    close = Recorder.close

    def interrupted(recorder):
        monkeypatch.setattr(Recorder, "close", close)
        recorder._queue.put(None)
        raise KeyboardInterrupt

    monkeypatch.setattr(Recorder, "close", interrupted)
    watched = watch(CountingShow(), headless=True, frames=7, record=tmp_path / "a.mp4", size=(640, 480))
    assert watched.interrupted and len(decoded(watched.file)) == watched.frames == 7


def test_a_second_ctrl_c_is_obeyed_at_once(tmp_path, monkeypatch):
    def interrupted(recorder):
        raise KeyboardInterrupt

    monkeypatch.setattr(Recorder, "close", interrupted)
    with pytest.raises(KeyboardInterrupt):
        watch(CountingShow(), headless=True, frames=3, record=tmp_path / "a.mp4", size=(640, 480))
    assert not (tmp_path / "a.mp4").exists()


def test_ctrl_q_closes_the_window_and_the_size_follows_it(monkeypatch, drawn):
    windows, least = [], []
    make = pygame.Window

    def opened(*args, **kwargs):
        windows.append(make(*args, **kwargs))
        return windows[-1]

    monkeypatch.setattr(pygame, "Window", opened)

    def person(show):
        sizes = [size for *_, size in drawn.pictures]
        if not least and len(sizes) > 3:
            least.append(windows[0].minimum_size)
            windows[0].size = (640, 480)
        elif (640, 480) in sizes:
            press(pygame.K_q, mod=pygame.KMOD_LCTRL)

    watched = watch(Scripted(person, steps_per_second=100.0), size=(800, 600), scale=1.0)
    sizes = [size for *_, size in drawn.pictures]
    assert watched.frames == len(sizes) and set(sizes) == {(800, 600), (640, 480)}
    assert least == [(480, 360)]


def test_a_slow_show_does_not_block_the_window(drawn):
    """The first step ends after H has opened the help, and not before."""

    def person(show):
        press(pygame.K_h)
        drawn.wait_for(lambda view, choices: choices.help and view.newest == 0)
        helped.append(True)
        close()

    helped: list[bool] = []
    watch(Scripted(person))
    assert helped, "the help is drawn while the first step still runs"


def test_a_second_after_the_last_change_a_paused_window_dozes():
    now = 100.0
    viewer = window.Viewer(CountingShow(), clock=lambda: now)
    assert viewer.awake, "it runs"
    viewer.choices = replace(viewer.choices, paused=True)
    viewer.advance()
    viewer.draw()
    now += 0.9
    assert not viewer.advance() and viewer.awake
    now += 0.2
    assert not viewer.advance() and not viewer.awake
    viewer.resize((640, 480), 1.0)
    assert viewer.advance() and viewer.awake
    viewer.close()


@pytest.mark.slow  # it looks at the clock for more than two seconds
def test_paused_it_uses_little_of_a_core():
    used, nothing = [], threading.Event()

    def measure():
        press(pygame.K_p)
        nothing.wait(1.3)
        before = time.process_time()
        nothing.wait(1.0)
        used.append(time.process_time() - before)
        close()

    threading.Timer(0.3, measure).start()
    watch(CountingShow(steps_per_second=60.0))
    assert used[0] < 0.1


def test_the_first_launch_says_one_line_once(tmp_path):
    assert window.is_first_launch()
    assert not window.is_first_launch()


def test_an_unwritable_state_folder_is_no_error(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert not window.is_first_launch()


def test_without_a_display_the_error_names_the_mend(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "nonexistent")
    with pytest.raises(ViewerError, match="--headless --record"):
        watch(CountingShow())


def test_the_simulation_keeps_the_shows_rate():
    show = CountingShow(steps_per_second=50.0)
    simulation = SimulationThread(show, History(50.0))
    simulation.open()
    assert simulation.wait_for(0, 5)
    begun = time.monotonic()
    assert simulation.wait_for(12, 5)
    seconds = time.monotonic() - begun
    simulation.close()
    assert 0.12 < seconds < 1.0  # 0.24, less the 0.1 that a late one makes up for


def test_the_viewer_imports_neither_torch_nor_a_world():
    import subprocess
    import sys

    code = "import sys, sim.viewer.app.window; print({'torch', 'ale_py', 'av', 'PIL'} & set(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
        check=True,
    )
    assert result.stdout.strip().endswith("set()")


def test_a_window_is_open_while_its_show_is_made_and_says_what_it_loads(drawn, monkeypatch):
    written = writing(monkeypatch)
    open_before: list[bool] = []

    def make():
        with waiting("loading the weights", 4) as wait:
            wait.advance()
            drawn.wait_for(lambda view, choices: view.doing == "loading the weights 25 % …")
        open_before.append(True)
        return Scripted(lambda show: close())

    watched = watch(PlaylistEntry("Slow", make))
    assert open_before and "Slow" in written and "loading the weights 25 % …" in written
    assert watched.frames >= 1


def test_a_show_that_cannot_be_made_closes_its_window_and_is_the_caller_s_to_tell():
    def make():
        raise ViewerError("no such checkpoint")

    with pytest.raises(ViewerError, match="no such checkpoint"):
        watch(PlaylistEntry("Missing", make))


def test_a_person_plays_first_once_the_show_is_made(drive):
    driver = drive(PlaylistEntry("Counting", CountingShow), person=True, hint=lambda facts: facts.agent)
    driver.until(lambda: driver.viewer.opened)
    assert driver.choices.person and driver.choices.message.startswith("you play")


def test_the_window_vanishes_before_the_show_has_ended(monkeypatch):
    order: list[str] = []
    hide = pygame.Window.hide
    monkeypatch.setattr(window._Window, "vanish", lambda self: (order.append("hidden"), hide(self._window)))

    class Slow(Scripted):
        def close(self):
            order.append("closed")
            super().close()

    watch(Slow(lambda show: close()))
    assert order == ["hidden", "closed"]

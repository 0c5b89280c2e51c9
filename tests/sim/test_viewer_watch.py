"""`watch`, whole: headless and in a window without a display."""

import _thread
import os
import signal
import threading
import time

import av
import numpy as np
import pygame
import pytest
from viewer_shows import CountingShow

from sim.viewer.app import window
from sim.viewer.app.window import watch
from sim.viewer.errors import ViewerError
from sim.viewer.output.recorder import Recorder
from sim.viewer.playback.history import History
from sim.viewer.playback.simulation import SimulationThread


@pytest.fixture(autouse=True)
def display(monkeypatch, tmp_path):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


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


def test_the_same_show_gives_the_same_video(tmp_path):
    """Pixel for pixel, however far the simulation was ahead of the drawing."""
    videos = []
    for delay in (0.0, 0.001):
        show = CountingShow(delay=delay)
        path = tmp_path / f"{delay}.mp4"
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


@pytest.mark.parametrize("frames", [None, 1000])
def test_in_a_window_an_error_is_shown_until_it_is_closed(monkeypatch, frames):
    shown = []
    monkeypatch.setattr(window.Viewer, "draw", _spy(window.Viewer.draw, shown))
    closer = threading.Timer(0.6, lambda: pygame.event.post(pygame.Event(pygame.QUIT)))
    closer.start()
    with pytest.raises(RuntimeError, match="the emulator fell over"):
        watch(CountingShow(fails_at=3), frames=frames)
    closer.cancel()
    assert frames is not None or "the emulator fell over" in shown[-1].error


def _spy(draw, shown):
    def spied(self):
        shown.append(self.view)
        return draw(self)

    return spied


def test_ctrl_c_ends_with_a_complete_video(tmp_path):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    stopper = threading.Timer(0.4, _thread.interrupt_main)
    stopper.start()
    watched = watch(CountingShow(), headless=True, record=tmp_path / "a.mp4", size=(640, 480))
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


def test_escape_closes_the_window_and_the_size_follows_it(monkeypatch):
    sizes = set()
    draw = window.Viewer.draw

    def spied(self):
        picture = draw(self)
        sizes.add(picture.get_size())
        return picture

    windows, least = [], []
    make = pygame.Window

    def opened(*args, **kwargs):
        windows.append(make(*args, **kwargs))
        return windows[-1]

    monkeypatch.setattr(window.Viewer, "draw", spied)
    monkeypatch.setattr(pygame, "Window", opened)

    class Resizing(CountingShow):
        def step(self, person, *, drawn=True):
            if len(self.persons) == 30:
                least.append(windows[0].minimum_size)
                windows[0].size = (640, 480)
            if len(self.persons) == 60:
                pygame.event.post(pygame.Event(pygame.KEYDOWN, key=pygame.K_ESCAPE, mod=0))
            return super().step(person)

    watched = watch(Resizing(steps_per_second=100.0), size=(800, 600), scale=1.0)
    assert watched.frames > 5
    assert sizes == {(800, 600), (640, 480)}
    assert least == [(480, 360)]


def test_a_slow_show_does_not_block_the_window(monkeypatch):
    """While one step takes a second, H still opens the help at once."""
    drawn = []
    draw = window.Viewer.draw

    def spied(self):
        drawn.append((time.monotonic(), self.choices.help))
        return draw(self)

    monkeypatch.setattr(window.Viewer, "draw", spied)
    pressed = []

    def press():
        pressed.append(time.monotonic())
        pygame.event.post(pygame.Event(pygame.KEYDOWN, key=pygame.K_h, mod=0))

    timers = [threading.Timer(0.4, press)]
    timers += [threading.Timer(0.8, lambda: pygame.event.post(pygame.Event(pygame.QUIT)))]
    for timer in timers:
        timer.start()
    watch(CountingShow(delay=1.0))
    opened = min(at for at, has_help in drawn if has_help)
    assert opened - pressed[0] < 0.4


def test_paused_it_uses_little_of_a_core():
    used = []

    def measure():
        pygame.event.post(pygame.Event(pygame.KEYDOWN, key=pygame.K_p, mod=0))
        time.sleep(1.3)
        before = time.process_time()
        time.sleep(1.0)
        used.append(time.process_time() - before)
        pygame.event.post(pygame.Event(pygame.QUIT))

    threading.Timer(0.3, measure).start()
    watch(CountingShow(steps_per_second=60.0))
    assert used[0] < 0.1


def test_the_first_launch_says_one_line_once(tmp_path):
    assert window._is_first_launch()
    assert not window._is_first_launch()


def test_an_unwritable_state_folder_is_no_error(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert not window._is_first_launch()


def test_without_a_display_the_error_names_the_mend(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "nonexistent")
    with pytest.raises(ViewerError, match="--headless --record"):
        watch(CountingShow())


def test_the_simulation_keeps_the_shows_rate():
    show = CountingShow(steps_per_second=50.0)
    simulation = SimulationThread(show, History(50.0))
    simulation.open()
    time.sleep(0.4)
    simulation.close()
    assert 13 <= len(show.persons) <= 26  # 20, and what a late one makes up for


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

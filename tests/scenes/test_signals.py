"""SIGTERM as Ctrl-C: once for each signal, without the echo that timeout(1) sends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import av
import pytest

from scenes.cli.main import main
from scenes.interruption import interruption
from scenes.signals import sigterm_as_ctrl_c
from sim.vector import EnvWorlds
from sim.viewer.app.viewer import Viewer
from sim.viewer.app.window import watch

OWN = 'title = "Own"\n[world]\nuse = "gym/CartPole-v1"\n[agent]\nuse = "random"\n'
SHOWS = Path(__file__).parents[1] / "sim"
#: Tells its parent when five pictures are drawn, and would go on for hours. Without torch it starts quickly.
WATCH = """
import sys
from pathlib import Path
from viewer_shows import CountingShow
from scenes.signals import sigterm_as_ctrl_c
from sim.viewer.app.viewer import Viewer
from sim.viewer.app.window import watch

draw = Viewer.draw

def told(viewer):
    picture = draw(viewer)
    if viewer.view.number == 5:
        print("drawn", flush=True)
    return picture

Viewer.draw = told
with sigterm_as_ctrl_c():
    watched = watch(CountingShow(), headless=True, record=Path("c.mp4"), size=(320, 240))
print(watched.interrupted, watched.frames)
"""


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("own.toml").write_text(OWN)


def terminate():
    """As timeout(1) does: the process, then its whole group."""
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)


def pictures(file):
    with av.open(file) as video:
        return sum(1 for _ in video.decode(video=0))


def test_a_recording_is_completed(capsys, monkeypatch):
    draw, before = Viewer.draw, signal.getsignal(signal.SIGTERM)

    def interrupted(viewer):
        picture = draw(viewer)
        if viewer.view.number == 9:
            terminate()
        return picture

    monkeypatch.setattr(Viewer, "draw", interrupted)
    watched = ["watch", "own.toml", "--headless", "--frames", "1000000", "--record", "c.mp4", "--json"]
    assert main(watched) == 130
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["frames"] == 9 and Path(told["file"]).samefile("c.mp4")
    assert pictures("c.mp4") == 10, "the last was drawn, and not counted any more"
    assert {path.name for path in Path().iterdir()} == {"own.toml", "c.mp4"}
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_process_that_is_told_to_end_completes_its_recording():
    process = subprocess.Popen(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(SHOWS)!r}){WATCH}"],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert process.stdout.readline() == "drawn\n"
    process.send_signal(signal.SIGTERM)
    os.killpg(process.pid, signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and "Traceback" not in err, err
    interrupted, frames = out.split()
    assert interrupted == "True" and 5 <= int(frames) <= pictures("c.mp4")


def test_sdl_does_not_keep_it_for_itself(monkeypatch):
    """SDL makes an event of a SIGTERM that nobody handles: the window would close as if by hand, with 0."""
    monkeypatch.syspath_prepend(SHOWS)
    from viewer_shows import CountingShow

    show = CountingShow()
    start = show.start

    def told_to_end(seed):
        os.kill(os.getpid(), signal.SIGTERM)
        return start(seed)

    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    show.start = told_to_end
    with sigterm_as_ctrl_c():
        assert watch(show, frames=30).interrupted


@pytest.mark.parametrize(
    "verb", [["evaluate", "own.toml"], ["watch", "own.toml", "--headless", "--frames", "5"]]
)
def test_what_has_nothing_to_save_stops_at_once(capsys, monkeypatch, verb):
    def interrupted(*_, **__):
        terminate()

    monkeypatch.setattr(EnvWorlds, "reset", interrupted)
    monkeypatch.setattr("sim.viewer.app.window.Viewer", interrupted)
    assert main(verb) == 130
    captured = capsys.readouterr()
    assert captured.err.splitlines()[-1].startswith("stopped at once") and captured.out == ""


def test_an_echo_is_not_a_second_one():
    with sigterm_as_ctrl_c(), interruption("stopping") as interrupted:
        terminate()
        assert interrupted()
    with sigterm_as_ctrl_c():
        with interruption("stopping") as interrupted:
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)  # comes late: what is saved afterwards is not lost either


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_one_is_obeyed_at_once(first, second):
    anew = sigterm_as_ctrl_c(echo=0.0)  # as if long after the first
    with pytest.raises(KeyboardInterrupt), anew, interruption("stopping") as interrupted:
        signal.raise_signal(first)
        assert interrupted()
        signal.raise_signal(second)
        raise AssertionError("it goes on")


def test_a_process_that_ignores_it_goes_on_doing_so():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with sigterm_as_ctrl_c():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
            signal.raise_signal(signal.SIGTERM)  # would end the test if it were not ignored
    finally:
        signal.signal(signal.SIGTERM, before)


def test_threads_leave_signals_alone():
    failed = []

    def work():
        try:
            with sigterm_as_ctrl_c(), interruption("stopping"):
                pass
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert failed == []

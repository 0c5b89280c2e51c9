"""Progress of the command line: bars on a terminal, plain lines elsewhere, and nothing on stdout."""

from __future__ import annotations

import io
import re
import threading

import pytest
from rich.console import Console

from scenes.cli.progress import StderrProgress, in_one_line
from sim.progress import TaskProgress, advance, reporting, waiting


class Heard(io.StringIO):
    """A file that tells when it holds some words."""

    def __init__(self, words):
        super().__init__()
        self.words, self.holds = words, threading.Event()

    def write(self, text):
        count = super().write(text)
        if self.words in self.getvalue():
            self.holds.set()
        return count


def shown(*, terminal, until, delay=0.0, period=0.001, announced=False, what="playing 9 games"):
    """What is written to stderr during some work that goes on until `until` stands there."""
    file = Heard(until)
    console = Console(file=file, force_terminal=terminal, width=100, color_system=None, markup=False)
    with (
        reporting(StderrProgress(console, delay=delay, period=period)),
        waiting(what, total=9, announced=announced),
    ):
        advance(3)
        assert not until or file.holds.wait(10)
    return file.getvalue()


def test_without_a_terminal_there_is_a_plain_line_every_period():
    told = shown(terminal=False, until="3 of 9")
    assert re.fullmatch(r"(playing 9 games: 3 of 9 · [\d,.]+/s · 0 s left\n)+", told)


def test_without_a_terminal_short_work_says_nothing_and_announced_work_what_it_is():
    assert shown(terminal=False, until="", period=30.0) == ""
    told = shown(terminal=False, until="", period=30.0, announced=True, what="[red]x[/red] " + "long " * 40)
    assert told == "[red]x[/red] " + "long " * 40 + " …\n", "on one line, whatever the width"


def test_on_a_terminal_there_is_a_bar_that_goes_away():
    told = shown(terminal=True, until="3 of 9")
    assert "━" in told and "playing 9 games: 3 of 9" in told
    assert told.rstrip().endswith("\x1b[2K"), "the line is erased at the end"


def test_on_a_terminal_short_work_draws_nothing():
    assert shown(terminal=True, until="", delay=30.0, announced=True) == ""


def test_nobody_reading_stderr_does_not_stop_the_work(monkeypatch):
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    def failed(args):
        raise AssertionError(args)

    monkeypatch.setattr("threading.excepthook", failed)
    for terminal in (False, True):
        console = Console(file=Closed(), force_terminal=terminal)
        progress = StderrProgress(console, delay=0.0, period=0.0)
        with reporting(progress), waiting("work"):
            thread = progress._thread
            thread.join(10)
            assert not thread.is_alive()


def test_work_inside_work_is_told_on_one_line():
    outer = TaskProgress("grading 3 samplers", 3, 1, started=0.0)
    inner = TaskProgress("drawing 500 samples", 500, 100, started=10.0)
    assert in_one_line([outer, inner], 20.0) == (
        "grading 3 samplers: 1 of 3 · 0.05/s · 40 s left · drawing 500 samples: 100 of 500 · 10/s · 40 s left"
    )


@pytest.mark.parametrize(
    ("figures", "words"), [("12 steps/s · return 3.0", "12 steps/s · return 3.0"), ("", "2/s")]
)
def test_a_rate_is_told_once(figures, words):
    wait = TaskProgress("training", 100, 20, figures, started=0.0)
    assert in_one_line([wait], 10.0) == f"training: 20 of 100 · {words} · 40 s left"

"""Progress: what is counted, at what rate, who hears of it."""

from __future__ import annotations

import threading

import pytest

from sim.progress import TaskProgress, advance, counting, reporting, track, waiting


class Heard:
    """Remembers what began and ended."""

    def __init__(self):
        self.lines = []

    def begin(self, wait, *, announced):
        self.lines.append(f"{wait.what} began{' and was announced' * announced}")

    def end(self, wait):
        self.lines.append(f"{wait.what} ended at {wait.done:g} of {wait.total}")


def test_the_innermost_work_is_counted_and_all_of_it_is_heard_of():
    heard = Heard()
    with reporting(heard), waiting("outer", total=2, announced=True):
        advance()
        with waiting("inner", total=9):
            assert list(counting(["ab", "c"])) == ["ab", "c"]
        with waiting("unknown"):
            advance(3)
        advance()
    assert heard.lines == [
        "outer began and was announced",
        "inner began",
        "inner ended at 3 of 9",
        "unknown began",
        "unknown ended at 0 of None",
        "outer ended at 2 of 2",
    ]


def test_work_that_breaks_down_has_ended_too():
    heard = Heard()
    with pytest.raises(ValueError), reporting(heard), waiting("work"):
        raise ValueError
    advance()
    assert heard.lines[-1] == "work ended at 0 of None"


def test_nobody_hears_outside_the_block_or_of_another_thread():
    heard = Heard()
    with reporting(heard):
        thread = threading.Thread(target=lambda: list(track([1], "elsewhere")))
        thread.start()
        thread.join()
    with waiting("later"):
        advance()
    assert heard.lines == []


def test_items_are_counted_as_they_are_done():
    heard = Heard()
    with reporting(heard):
        for item in track(["a", "b", "c"], "letters"):
            if item == "b":
                break
    assert heard.lines == ["letters began", "letters ended at 1 of 3"]


def test_rate_and_time_left():
    wait = TaskProgress("work", total=100, started=10.0)
    assert wait.rate(12.0) is None and wait.left(12.0) is None
    wait.advance(20)
    assert (wait.rate(12.0), wait.left(12.0)) == (10.0, 8.0)
    wait.advance(90)
    assert wait.left(12.0) == 0.0


def test_work_that_was_resumed_is_rated_by_what_was_done_since():
    wait = TaskProgress("work", started=0.0, clock=lambda: 5.0)
    wait.reach(900, 1_000, "return 3.0")
    assert wait.rate(7.0) is None
    wait.reach(920, 1_000)
    assert (wait.rate(7.0), wait.left(7.0), wait.figures) == (10.0, 8.0, "")

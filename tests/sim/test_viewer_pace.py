"""Real-time factor and drawing budget: known values, and a thread that keeps pace while drawing slowly."""

import time

import numpy as np
import pytest
from viewer_shows import CountingShow, RobotShow, writing

from sim.viewer.contract.gesture import Answer
from sim.viewer.draw.theme import PALETTE
from sim.viewer.playback.pace import DrawingBudget, RealTimeFactor

DT = 1 / 125


def test_the_factor_is_world_seconds_over_seconds():
    factor = RealTimeFactor()
    assert np.isnan(factor.value)
    for step in range(200):
        factor.step(step * 2 * DT, DT)
    assert factor.value == pytest.approx(0.5)
    factor.rest()
    assert np.isnan(factor.value)
    for step in range(10):  # a slow world: four steps are awaited
        factor.step(100 + step * 0.8, 1.0)
        assert np.isnan(factor.value) == (step < 4)
    assert factor.value == pytest.approx(1.25)


def seconds_of(budget, *, world, drawing, at_coarse=True, steps=2000, start=0.0):
    """Run a simulated loop: seconds of world time, of clock time, of drawing, and pictures."""
    now = due = start
    spent, pictures = 0.0, 0
    for _ in range(steps):
        now = max(now, due)
        drawn = budget.due(now, late=now - due > 0.05)
        cost = drawing / (budget.coarse**2 if at_coarse else 1) if drawn else 0.0
        if drawn:
            budget.begin(now)
        budget.note(world + cost, drawn=drawn)
        budget.adapt()
        spent += cost
        pictures += drawn
        now += world + cost
        due = max(due, now - 0.1 - budget.drawing) + DT
    return steps * DT, now - start, spent, pictures


@pytest.mark.parametrize(("drawing", "coarse"), [(0.004, 1), (0.03, 2), (0.2, 4)])
def test_a_slow_picture_becomes_smaller_before_the_world_slows(drawing, coarse):
    budget = DrawingBudget()
    world, clock, spent, pictures = seconds_of(budget, world=0.001, drawing=drawing)
    assert budget.coarse == coarse
    assert clock == pytest.approx(world, rel=0.05), "the world keeps its pace"
    assert spent <= 0.52 * clock and pictures >= 25 * clock


def test_drawing_takes_half_of_the_time_at_most_where_size_does_not_help():
    budget = DrawingBudget()
    world, clock, spent, _ = seconds_of(budget, world=0.002, drawing=0.2, at_coarse=False, steps=4000)
    assert spent <= 0.55 * clock
    assert world / clock > 0.9, "125 steps of 2 ms need a quarter of the time"


def test_a_fast_picture_is_whole_again():
    budget = DrawingBudget()
    seconds_of(budget, world=0.001, drawing=0.03, steps=500)
    assert budget.coarse == 2
    seconds_of(budget, world=0.001, drawing=0.005, steps=500, start=1000.0)
    assert budget.coarse == 1
    for _ in range(5):
        budget.note(0.05, drawn=True)
    assert budget.adapt() and budget.coarse == 2 and budget.sharpen() and budget.coarse == 1
    assert not budget.sharpen()


class SlowDrawing(RobotShow):
    """A picture takes 40 ms, a quarter of that at half the size."""

    coarse = 1

    def step(self, person, *, drawn=True):
        if drawn:
            time.sleep(0.04 / self.coarse**2)
        return super().step(person, drawn=drawn)

    def touch(self, gesture):
        if gesture.kind == "coarse":
            self.coarse = int(gesture.x)
        super().touch(gesture)
        return Answer(redraw=True)

    def look(self):
        return self._moment(0.0, None, ())


def test_the_thread_asks_for_coarse_pictures_and_for_whole_ones_where_it_pauses(drive, monkeypatch):
    driver = drive(SlowDrawing(steps_per_second=50.0))
    driver.until(lambda: driver.show.coarse > 1)
    driver.viewer.transport.pause()
    driver.settle()
    assert driver.show.coarse == 1


@pytest.mark.usefixtures("display")
def test_a_world_that_lags_says_so_in_amber(drive, monkeypatch):
    class Slow(CountingShow):
        def step(self, person, *, drawn=True):
            time.sleep(0.05)
            return super().step(person, drawn=drawn)

    driver = drive(Slow(steps_per_second=40.0))
    driver.until(lambda: driver.view.pace < 0.6)
    colors = []
    write = type(driver.viewer.ink).write

    def spy(self, surface, text, at, color=PALETTE.text, *rest, **named):
        colors.append((text, color))
        return write(self, surface, text, at, color, *rest, **named)

    monkeypatch.setattr(type(driver.viewer.ink), "write", spy)
    driver.viewer.draw()
    (told,) = [(text, color) for text, color in colors if text.startswith("live")]
    assert told[0].startswith("live ×0.") and told[1] == PALETTE.accent
    monkeypatch.undo()
    quick = drive(CountingShow(steps_per_second=20.0))
    quick.until(lambda: quick.view.pace > 0.9)
    written = writing(monkeypatch)
    quick.viewer.draw()
    assert "live" in written

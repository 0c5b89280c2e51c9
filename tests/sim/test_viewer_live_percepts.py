"""Percepts of a running show: origins by key, models that take their time or fail, recordings."""

import threading
from dataclasses import replace

import pygame
import pytest
from percept_views import is_color, model, true
from viewer_shows import CountingShow, writings

from sim.records import Percept
from sim.viewer.app.viewer import Viewer
from sim.viewer.contract.gesture import Ability, Answer
from sim.viewer.contract.moment import PerceptView
from sim.viewer.draw.theme import class_color

ORIGINS = ("truth", "model", "noisy truth")


class SeeingShow(CountingShow):
    """Sees one ball, first by its truth, and takes the choice of another origin."""

    abilities = frozenset({Ability.PERCEPTS, Ability.ORIGIN})
    waits = False
    origin = "truth"

    def touch(self, gesture):
        if gesture.kind != "origin":
            return Answer()
        self.origin = ORIGINS[(ORIGINS.index(self.origin) + 1) % 3]
        return Answer(redraw=True, message=f"seen by: {self.origin}")

    def look(self):
        return self._seeing(self._last)

    def _moment(self, *args):
        self._last = super()._moment(*args)
        return self._seeing(self._last)

    def _seeing(self, moment):
        percept = replace(model(("ball", 4, 6, 10, 12)), origin=self.origin)
        return replace(moment, seen=(PerceptView("ball-finder", percept),))


class PendingShow(CountingShow):
    """A ball at column n of moment n, once a model that waits for `free` has looked at the picture."""

    abilities = frozenset({Ability.PERCEPTS})
    waits = False
    fails = False

    def __init__(self, *args, **named):
        super().__init__(*args, **named)
        self.free = threading.Event()
        self.lookers = set()
        self.free.set()

    def touch(self, gesture):
        return Answer()

    def look(self):
        raise AssertionError("nothing asks for another drawing")

    def _moment(self, *args):
        truth = true(model(("ball", 0, 0, 4, 4)))
        seen = (
            PerceptView("finder", Percept("model"), truth, pending="looking …"),
            PerceptView("teller", Percept("truth", label=f"moment {self._number + 1}")),
        )
        return replace(super()._moment(*args), seen=seen, perceive=self.complete)

    def complete(self, picture, seen):
        self.lookers.add(threading.current_thread().name)
        assert self.free.wait(5)
        if self.fails:
            raise RuntimeError("no memory left")
        column = int(picture[0, 0, 0])
        percept = model(("ball", column, 0, column + 4, 4))
        return (replace(seen[0], percept=percept, pending=""), seen[1])


def column(view):
    return int(view.moment.seen[0].percept.boxes[0, 0])


def test_o_takes_the_overlay_away_and_t_asks_for_another_origin(drive):
    hands = drive(SeeingShow(steps_per_second=50.0))
    hands.press(pygame.K_t)
    hands.until(lambda: hands.view.moment.seen[0].percept.origin == "model")
    hands.until(lambda: hands.choices.message == "seen by: model" and hands.view.newest > 3)
    hands.press(pygame.K_p)
    hands.settle()
    number = hands.view.number
    hands.press(pygame.K_t)
    hands.until(lambda: hands.view.moment.seen[0].percept.origin == "noisy truth")
    assert hands.view.number == number  # the same moment, seen otherwise
    color = class_color("ball")
    framed = is_color(pygame.surfarray.array3d(hands.viewer.draw()), color).sum()
    hands.press(pygame.K_o)
    plain = is_color(pygame.surfarray.array3d(hands.viewer.draw()), color).sum()
    assert not hands.choices.percepts and framed > plain
    hands.press(pygame.K_LEFT, pygame.K_t)
    assert "this is the past" in hands.choices.message


def test_where_nothing_is_seen_the_key_says_so(drive):
    hands = drive(CountingShow())
    hands.press(pygame.K_o)
    assert hands.choices.percepts and "no perception" in hands.choices.message


def test_a_running_show_never_waits_for_a_model_and_says_how_old_its_percepts_are(drive, monkeypatch):
    written = writings(monkeypatch, lambda text, *_: text)
    show = PendingShow(steps_per_second=200.0)
    show.free.clear()
    seat = drive(show)
    seat.until(lambda: seat.view.newest > 20)
    seat.viewer.draw()
    assert seat.view.moment.seen[0].pending == "looking …" and "looking …" in written
    assert seat.view.moment.seen[1].percept.label == f"moment {seat.view.number}", "truths are never late"
    show.free.set()

    def late():
        seat.viewer.draw()
        return not seat.view.moment.seen[0].pending

    seat.until(late)
    seat.press(pygame.K_p)
    show.free.clear()  # the next look takes as long as the test wants
    view = seat.view
    late, now = view.moment.seen
    assert column(view) == view.number - late.age and (now.age, now.percept.origin) == (0, "truth")
    assert show.lookers == {"perception"} and show.threads == {"simulation"}
    show.free.set()


def test_a_still_picture_has_its_own_percepts_in_the_past_too(drive):
    seat = drive(PendingShow(steps_per_second=200.0))
    seat.until(lambda: seat.view.newest > 20)
    seat.press(pygame.K_p)

    def own():
        seat.viewer.draw()
        one = seat.view.moment.seen[0]
        return not one.pending and one.age == 0

    seat.until(own)
    newest = seat.view.number
    assert column(seat.view) == newest
    seat.press(pygame.K_COMMA, mod=pygame.KMOD_LSHIFT)
    seat.until(own)
    assert column(seat.view) == seat.view.number == newest - 10


@pytest.mark.parametrize("headless", [True, False])
def test_every_frame_of_a_recording_has_its_own_percepts(tmp_path, drawn_views, headless):
    viewer = Viewer(PendingShow(steps_per_second=500.0), size=(480, 360), headless=headless)
    viewer.open()
    try:
        viewer.record(tmp_path / "seen.mp4")
        while len(drawn_views) < 12:
            if viewer.advance():
                viewer.draw()
    finally:
        viewer.close()
    for view in drawn_views:
        assert view.number == column(view) and view.moment.seen[0].age == 0
    assert [view.number for view in drawn_views] == list(range(12)) or not headless


def test_a_model_that_fails_says_so_and_the_show_goes_on(drive):
    show = PendingShow(steps_per_second=200.0)
    show.fails = True
    seat = drive(show)

    def told():
        seat.viewer.draw()
        return seat.view.moment.seen[0].pending == "RuntimeError: no memory left"

    seat.until(told)
    newest = seat.view.newest
    seat.until(lambda: seat.view.newest > newest)
    assert seat.viewer.error is None

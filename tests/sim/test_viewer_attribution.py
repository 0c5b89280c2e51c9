"""Saliency in the window: computed in a thread, exact on still pictures, drawn_views in its place."""

import threading
import time
from dataclasses import replace

import numpy as np
import pygame
import pytest
from viewer_shows import CountingShow

from sim.viewer.contract.gesture import Ability, Answer
from sim.viewer.draw.theme import Ink, canvas
from sim.viewer.overlays.saliency_overlay import ACTION, VALUE, _wordings, colour_saliency
from sim.viewer.overlays.world_picture import draw_world
from sim.viewer.playback.attribution import OPACITIES, Attributed
from sim.viewer.playback.history import History
from sim.viewer.playback.latest_worker import LatestWorker


def maps(action=(), value=(), shape=(84, 84)):
    found = np.zeros((2, *shape), np.float32)
    for layer, place in zip(found, (action, value), strict=True):
        if place:
            layer[place] = 4.0
    return found


class ExplainedShow(CountingShow):
    """The map of moment n is filled with n + 1."""

    abilities = frozenset({Ability.SALIENCY})
    waits = False
    explained = ()

    def touch(self, gesture):
        return Answer()

    def look(self):
        raise AssertionError("nothing asks for another drawing")

    def _moment(self, *args):
        moment, number = super()._moment(*args), self._number
        return replace(moment, attribution=lambda coarse: self.explain(number, coarse))

    def explain(self, number, coarse):
        self.explained += ((number, threading.current_thread().name, coarse),)
        return np.full((2, 8, 8), number + 1.0, np.float32)


class Held(ExplainedShow):
    """Nothing is explained before `go`."""

    def __init__(self, **options):
        super().__init__(**options)
        self.go = threading.Event()

    def explain(self, number, coarse):
        assert self.go.wait(5)
        return super().explain(number, coarse)


class Slow(ExplainedShow):
    """It takes ten steps of a show to explain one."""

    def __init__(self, **options):
        super().__init__(**options)
        self.stepped = threading.Condition()

    def _moment(self, *args):
        with self.stepped:
            self.stepped.notify_all()
        return super()._moment(*args)

    def explain(self, number, coarse):
        with self.stepped:
            self.stepped.wait_for(lambda: self._number >= number + 10, 5)
        return super().explain(number, coarse)


@pytest.fixture
def worker():
    found = LatestWorker("worker", rest=1.0)
    yield found
    found.close()


def test_the_newest_is_served_and_what_waited_is_dropped(worker):
    go, begun, served = threading.Event(), threading.Event(), []

    def work(number):
        served.append(number)
        begun.set()
        go.wait(5)
        return number

    worker.ask(0, lambda: work(0))
    assert begun.wait(5)
    for number in (1, 2, 3):
        worker.ask(number, lambda n=number: work(n))
    assert not worker.wait_for(3, 0), "it has not begun"
    go.set()
    assert worker.wait_for(3, 5) and worker.done.result == 3
    worker.ask(3, lambda: work(3), hurried=True)  # it is done already
    worker.ask(4, lambda: work(4), hurried=True)
    assert worker.wait_for(4, 5)
    worker.close()
    assert served == [0, 3, 4]


def test_a_failure_is_told_and_not_the_end(worker):
    def fail():
        raise RuntimeError("no memory left")

    worker.ask(4, fail)
    assert worker.wait_for(4, 5)
    assert worker.done.result is None and worker.done.error == "RuntimeError: no memory left"
    worker.ask(5, lambda: "better", hurried=True)
    assert worker.wait_for(5, 5) and worker.done.result == "better" and worker.done.error == ""
    assert _wordings(Attributed(4, None, "x"), 4)[0] == [(None, "no saliency: x")]


def test_closing_one_that_was_never_asked_is_nothing():
    before = threading.active_count()
    LatestWorker("worker", rest=0.0).close()
    assert threading.active_count() == before


def test_paused_the_map_is_that_of_the_picture_shown_in_the_past_too(drive, drawn_views):
    driver = drive(Held(steps_per_second=200.0))
    driver.until(lambda: driver.view.newest > 30)
    driver.viewer.draw()
    assert drawn_views[-1].attributed is None and driver.show.explained == ()  # nobody has asked
    driver.press(pygame.K_p, pygame.K_e)
    driver.settle()

    def exact():
        driver.viewer.draw()
        view = drawn_views[-1]
        assert view.attributed.number == view.number
        return view.attributed.maps is not None and view.attributed.maps[0, 0, 0] == view.number + 1

    assert not exact(), "not yet"
    driver.show.go.set()
    driver.until(exact)
    newest = drawn_views[-1].number
    driver.press(pygame.K_LEFT, mod=pygame.KMOD_LSHIFT)
    driver.until(exact)
    rewarded = (newest - 1) // 10 * 10  # the last one before it
    assert drawn_views[-1].number == rewarded
    driver.press(pygame.K_RIGHT)  # the map of the moment before is no older than a running show may have
    driver.until(exact)
    assert drawn_views[-1].number == rewarded + 1
    assert {tuple(how) for _, *how in driver.show.explained} == {("attribution", False)}
    for shown in ("action", "value"):
        driver.press(pygame.K_e)
        driver.viewer.draw()
        assert drawn_views[-1].attributed.shown == driver.choices.saliency == shown
    driver.press(pygame.K_e)
    driver.viewer.draw()
    assert drawn_views[-1].attributed is None


def test_a_running_show_has_the_last_map_and_its_age_and_never_waits(drive, drawn_views):
    driver = drive(Slow(steps_per_second=100.0))
    driver.press(pygame.K_e)
    longest = 0.0

    def aged():
        nonlocal longest
        begun = time.thread_time()
        driver.viewer.draw()
        longest = max(longest, time.thread_time() - begun)
        done = drawn_views[-1].attributed
        return done.maps is not None and 0 < drawn_views[-1].number - done.number <= 200

    driver.until(aged)
    view = drawn_views[-1]
    behind = view.number - view.attributed.number
    assert _wordings(view.attributed, view.number)[0][-1][1].startswith(f"{behind} frame")
    assert driver.view.newest > len(driver.show.explained) and longest < 0.08
    assert all(coarse for *_, coarse in driver.show.explained), "there is no time for more"


def test_where_nothing_can_be_explained_the_key_says_so(drive):
    driver = drive(CountingShow())
    driver.press(pygame.K_e)
    assert "an agent with image observations" in driver.choices.message and driver.choices.saliency == "off"
    driver.press(pygame.K_e, mod=pygame.KMOD_LSHIFT)
    assert "an agent with image observations" in driver.choices.message


@pytest.mark.parametrize("size", [(640, 480), (1280, 800)])
def test_a_place_of_the_observation_is_drawn_where_it_is_in_the_world(size):
    """84×84 over 160×210: row 63 is three quarters down, column 21 a quarter across."""
    show = CountingShow()
    moment = replace(show.start(0), pictures=(np.zeros((210, 160, 3), np.uint8),))
    history, surface = History(), canvas(size)
    history.append(moment)
    view = replace(history.view(), attributed=Attributed(0, maps((63, 21), (21, 63))))
    rect = draw_world(surface, Ink(1.0), surface.get_rect(), view)
    seen = pygame.surfarray.array3d(surface)[rect.left : rect.right, rect.top : rect.bottom].astype(int)
    for color, place in ((ACTION, (21.5 / 84, 63.5 / 84)), (VALUE, (63.5 / 84, 21.5 / 84))):
        strength = (seen * np.array(color)).sum(2) * (seen.argmax(2) == np.argmax(color))
        x, y = np.unravel_index(strength.argmax(), strength.shape)
        assert x / rect.width == pytest.approx(place[0], abs=0.02)
        assert y / rect.height == pytest.approx(place[1], abs=0.02)


def test_the_world_keeps_its_colours_until_it_is_explained():
    picture = np.zeros((210, 160, 3), np.uint8)
    picture[..., 0] = 200
    history = History()
    history.append(replace(CountingShow().start(0), pictures=(picture,)))
    surface = canvas((160, 210))
    draw_world(surface, Ink(1.0), surface.get_rect(), history.view())
    assert surface.get_at((80, 100))[:3] == (200, 0, 0)
    draw_world(surface, Ink(1.0), surface.get_rect(), replace(history.view(), attributed=Attributed(0, None)))
    assert surface.get_at((80, 100))[:3] == (200, 0, 0)
    explained = Attributed(0, np.zeros((2, 84, 84), np.float32))
    draw_world(surface, Ink(1.0), surface.get_rect(), replace(history.view(), attributed=explained))
    red, green, blue, _ = surface.get_at((80, 100))
    assert red == green == blue > 0


def test_each_map_is_tinted_by_its_own_strongest_place():
    found = maps((2, 2), (5, 5), (8, 8))
    found[0, 2, 4] = 1.0  # a quarter in squares is half in effect
    tint = colour_saliency(found)
    assert tuple(tint[2, 2, :3]) == ACTION and tuple(tint[5, 5, :3]) == VALUE
    assert tint[2, 2, 3] == tint[5, 5, 3] == tint[..., 3].max() and tint[0, 0, 3] == 0
    assert tint[2, 4, 3] / tint[2, 2, 3] == pytest.approx(0.48, abs=0.01)
    assert not colour_saliency(np.zeros((2, 4, 4), np.float32))[..., 3].any()


def test_one_map_is_drawn_without_the_other_and_as_strong_as_is_chosen(drive):
    found = maps((2, 2), (5, 5), (8, 8))
    for shown, (near, far) in (((True, False), ((2, 2), (5, 5))), ((False, True), ((5, 5), (2, 2)))):
        tint = colour_saliency(found, shown, 0.5)
        assert tint[near][3] == 127 and tint[far][3] == 0
    words = [text for _, text in _wordings(Attributed(3, found, shown="value"), 3)[0]]
    assert words == ["value saliency, change up to 2.83"]
    driver = drive(ExplainedShow(steps_per_second=50.0))
    seen = [driver.choices.saliency_opacity]
    for _ in OPACITIES:
        driver.press(pygame.K_e, mod=pygame.KMOD_LSHIFT)
        seen.append(driver.choices.saliency_opacity)
    assert seen == [*OPACITIES, OPACITIES[0]]


def test_the_legend_says_how_far_the_value_moves():
    words = [text for _, text in _wordings(Attributed(3, maps((1, 1), (2, 2))), 4)[0]]
    assert words == ["action saliency", "value saliency, change up to 2.83", "1 frame ago"]

"""Other scenes by Tab, checkpoints by [ and ], a camera by mouse and keys: nothing blocks or is lost."""

import threading
import time
from dataclasses import replace

import numpy as np
import pygame
import pytest
from viewer_shows import CountingShow, writing

from sim.records import Decision
from sim.viewer.app import window
from sim.viewer.app.window import watch
from sim.viewer.contract.gesture import Ability, Answer, Gesture
from sim.viewer.contract.moment import Exploration, Options, RankedAction, Readout
from sim.viewer.contract.show import Playlist, PlaylistEntry
from sim.viewer.draw import layout
from sim.viewer.draw.theme import PALETTE, Ink, canvas
from sim.viewer.keymap import BINDINGS
from sim.viewer.panels import panels
from sim.viewer.playback.history import History
from sim.viewer.playback.session import Session
from sim.viewer.playback.view import Choices, Facts


def named(title, **options):
    show = CountingShow(**options)
    show.title = title
    return show


def broken():
    raise RuntimeError("no such checkpoint")


class CameraShow(CountingShow):
    """Its picture is as wide as asked, and as bright as the angle it is seen from."""

    action_names = ()
    abilities = frozenset({Ability.ORBIT, Ability.FOLLOW})
    waits = False

    def __init__(self):
        super().__init__(steps_per_second=5.0)
        self.angle, self.size, self.told = 0.0, (32, 40), []

    def touch(self, gesture):
        self.told.append(gesture)
        if gesture.kind == "orbit":
            self.angle += gesture.x
        if gesture.kind == "resize":
            self.size = int(gesture.x), int(gesture.y)
        return Answer(redraw=True, message="still" if gesture.kind == "follow" else "")

    def look(self):
        return self._pictured(self._last)

    def _moment(self, *args):
        self._last = super()._moment(*args)
        return self._pictured(self._last)

    def _pictured(self, moment):
        shade = int(100 + 100 * self.angle) % 256
        return replace(moment, pictures=(np.full((*self.size[::-1], 3), shade, np.uint8),))


def test_tab_goes_through_the_scenes_and_survives_one_that_fails(drive):
    first, second = named("first"), named("second")
    scenes = [PlaylistEntry("first", lambda: named("first again")), PlaylistEntry("bad", broken)]
    scenes += [PlaylistEntry("second", lambda: second)]
    driver = drive(first, playlist=Playlist(scenes))
    driver.press(pygame.K_TAB)
    driver.until(lambda: driver.viewer.error is not None)
    assert driver.viewer.facts.title == "bad" and driver.view.error == "RuntimeError: no such checkpoint"
    driver.viewer.draw()
    driver.until(lambda: first.closed == 1)
    driver.press(pygame.K_TAB)
    driver.until(lambda: driver.view.moment is not None)
    assert driver.viewer.facts.title == "second" and driver.viewer.facts.agent == "PPO"
    assert second.threads == {"simulation"} and driver.viewer.error is None
    driver.press(pygame.K_TAB)
    driver.until(lambda: driver.view.moment is not None)
    assert driver.viewer.facts.title == "first again"
    driver.press(pygame.K_TAB, mod=pygame.KMOD_LSHIFT)
    driver.until(lambda: driver.view.moment is not None)
    assert driver.viewer.facts.title == "second"


def test_loading_does_not_stop_the_drawing(drive, monkeypatch):
    go = threading.Event()

    def slow():
        go.wait(5)
        return named("slow")

    driver = drive(
        named("first"), playlist=Playlist([PlaylistEntry("first", CountingShow), PlaylistEntry("slow", slow)])
    )
    driver.viewer.say("about the first", 3600)
    driver.press(pygame.K_TAB)
    begun = time.monotonic()
    driver.viewer.advance()
    written = writing(monkeypatch)
    driver.viewer.draw()
    assert "LOADING" in written and not {"NO AGENT", "about the first"} & set(written)
    driver.press(pygame.K_h, pygame.K_h, pygame.K_SPACE, pygame.K_SPACE)
    driver.click(driver.viewer.layout().world.center)
    assert driver.viewer.facts.loading and time.monotonic() - begun < 1
    assert set(driver.viewer.layout().panels) == {layout.HEADING}
    go.set()
    driver.until(lambda: driver.view.moment is not None)
    assert not driver.viewer.facts.loading


def test_a_scene_left_while_it_loads_is_closed(drive):
    go, late = threading.Event(), named("late")

    def slow():
        go.wait(5)
        return late

    scenes = [PlaylistEntry("first", lambda: named("back")), PlaylistEntry("late", slow)]
    driver = drive(named("first"), playlist=Playlist(scenes))
    driver.press(pygame.K_TAB, pygame.K_TAB)
    go.set()
    driver.until(lambda: late.closed == 1)
    driver.until(lambda: driver.view.moment is not None)
    assert driver.viewer.facts.title == "back"


def test_brackets_walk_along_the_checkpoints(drive):
    made = []

    def at(step):
        return PlaylistEntry(step, lambda: made.append(step) or named(f"after {step}"))

    timeline = [at("100"), at("200"), at("300")]
    driver = drive(named("after 300"), playlist=Playlist(checkpoints=lambda: timeline, checkpoint="300"))
    assert driver.viewer.facts.place == "checkpoint 3 of 3" and made == []
    driver.press(pygame.K_RIGHTBRACKET)
    assert driver.choices.message == "this is the newest checkpoint"
    driver.press(pygame.K_LEFTBRACKET)
    driver.until(lambda: driver.view.moment is not None)
    assert driver.viewer.facts.place == "checkpoint 2 of 3" and made == ["200"]
    timeline.append(at("400"))  # the run goes on
    driver.press(pygame.K_RIGHTBRACKET, pygame.K_RIGHTBRACKET)
    driver.until(lambda: driver.viewer.facts.title == "after 400")
    assert driver.viewer.facts.place == "checkpoint 4 of 4"


def test_without_others_the_keys_say_so(drive):
    driver = drive(CountingShow())
    driver.press(pygame.K_LEFTBRACKET)
    assert driver.choices.message == "no other checkpoints"
    driver.press(pygame.K_TAB)
    assert driver.choices.message == "no other scenes"


def test_choices_and_returns_outlive_a_change_of_scene(drive):
    driver = drive(
        named("first"),
        playlist=Playlist([PlaylistEntry("a", CountingShow), PlaylistEntry("b", CountingShow)]),
    )
    driver.until(lambda: driver.view.episodes_ended == 2)
    driver.press(pygame.K_EQUALS, pygame.K_4, pygame.K_TAB)
    driver.until(lambda: driver.view.moment is not None)
    assert driver.choices.speed == 2.0 and driver.choices.folded == {4}
    assert driver.viewer.ended()[:2] == [5.0, 5.0]


def test_the_window_is_named_after_the_scene(monkeypatch, tmp_path):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    titles, windows = [], []
    make = pygame.Window

    def opened(*args, **kwargs):
        windows.append(make(*args, **kwargs))
        return windows[-1]

    class Last(CountingShow):
        title = "Last"

        def step(self, person, *, drawn=True):
            if len(self.persons) == 60:
                titles.append(windows[0].title)
                pygame.event.post(pygame.Event(pygame.QUIT))
            return super().step(person)

    monkeypatch.setattr(window.pygame, "Window", opened)
    timer = threading.Timer(
        0.3, lambda: pygame.event.post(pygame.Event(pygame.KEYDOWN, key=pygame.K_TAB, mod=0))
    )
    timer.start()
    playlist = Playlist(
        [PlaylistEntry("a", CountingShow), PlaylistEntry("b", lambda: Last(steps_per_second=100.0))]
    )
    watch(CountingShow(steps_per_second=50.0), size=(640, 480), playlist=playlist)
    assert titles == ["Last · Playfield"]


def test_a_drag_turns_the_picture_and_a_click_does_not(drive):
    driver = drive(CameraShow())
    world = driver.viewer.layout().world
    assert driver.view.moment.pictures[0].shape[:2] == (
        world.height,
        world.width,
    )  # drawn as large as it shows
    before = driver.view.newest, driver.view.moment.pictures[0][0, 0, 0]
    driver.press(pygame.K_SPACE)  # a camera turns in a pause too
    x, y = world.center
    driver.click((x, y))
    driver.post(pygame.MOUSEBUTTONDOWN, button=1, pos=(x, y))
    for _ in range(4):
        x += world.height // 8
        driver.post(pygame.MOUSEMOTION, pos=(x, y), rel=(1, 0), buttons=(1, 0, 0))
    driver.post(pygame.MOUSEBUTTONUP, button=1, pos=(x, y))
    driver.until(lambda: driver.show.angle > 0.45)
    assert driver.show.angle == pytest.approx(0.5, abs=0.01)
    driver.until(lambda: driver.view.moment.pictures[0][0, 0, 0] != before[1])
    assert driver.viewer.advance() and abs(driver.view.newest - before[0]) <= 1
    driver.post(pygame.MOUSEWHEEL, x=0, y=2)
    driver.press(pygame.K_PAGEDOWN, pygame.K_c)
    driver.until(lambda: driver.choices.message == "still")
    assert [g.x for g in driver.show.told if g.kind == "zoom"] == pytest.approx([1.15**2 / 1.1])


def test_gestures_of_one_kind_merge():
    orbit = Gesture("orbit", 1.0, 2.0).merged(Gesture("orbit", 0.5, 0.5))
    assert (orbit.x, orbit.y) == (1.5, 2.5)
    assert Gesture("zoom", 2.0).merged(Gesture("zoom", 3.0)).x == 6.0
    assert Gesture("move", 1.0).merged(Gesture("move", 5.0)).x == 5.0
    assert Gesture("press", 1.0).merged(Gesture("press", 5.0)) is None
    assert Gesture("move", 1.0).merged(Gesture("orbit", 5.0)) is None


def test_the_help_lists_what_the_show_takes():
    camera = Facts.of(CameraShow(), frozenset({"scenes"})).abilities
    lines = [b.keys for b in BINDINGS if not b.needs or b.needs in camera]
    assert "C" in lines and "Tab" in lines and "F" not in lines and "[  ]" not in lines
    known = {offer.value for offer in Ability} | {"scenes", "checkpoints", "worlds", "play", "events", ""}
    assert {b.needs for b in BINDINGS} <= known


def test_options_are_drawn_best_first_and_the_chosen_one_always():
    shown = tuple(RankedAction(f"m{i}", 0.9 - i / 100, i == 11) for i in range(12))
    show = CountingShow()
    show.action_names = ()
    moment = replace(show.start(0), options=Options("probability", shown, 20))
    ink, surface = Ink(1.0), canvas((300, 150))
    written = []
    ink.write = lambda surface, text, at, *args, **kwargs: written.append(text) or pygame.Rect(at, (1, 1))
    history = History()
    history.append(moment)
    panels.PANELS[2].draw(surface, ink, surface.get_rect(), Facts.of(show), Choices(), history.view())
    names = [text for text in written if text.startswith("m")]
    assert names == ["m0", "m1", "m2", "m3", "m4", "m5", "m11"[:3]] and written[-1] == "and 25 more"
    accent = (pygame.surfarray.array3d(surface) == PALETTE.accent).all(axis=2)
    assert accent.any()


def test_exploration_is_a_bar_from_none_to_all():
    def pink(value):
        history, surface = History(), canvas((300, 120))
        show = CountingShow()
        history.append(replace(show.start(0), exploration=Exploration("ε", value, 1.0)))
        facts, area = Facts.of(show), surface.get_rect()
        panels.PANELS[4].draw(surface, Ink(1.0), area, facts, Choices(), history.view())
        return int((pygame.surfarray.array3d(surface) == PALETTE.series[3]).all(axis=2).any(axis=1).sum())

    assert pink(0.0) == 0 and pink(0.5) == pytest.approx(pink(1.0) / 2, abs=1) and pink(1.0) > 100


def test_readouts_take_the_place_of_a_value_that_nobody_gives():
    show = CountingShow()
    moment = replace(
        show.start(0), decision=Decision(np.array([1])), readouts=(Readout("speed", 1.5, "m/s"),)
    )
    history = History()
    history.append(moment)
    assert set(panels.needs(Facts.of(show), history.view())) == {1, 2, 4, 5, 6}


def test_a_moment_drawn_again_replaces_the_newest_and_keeps_its_number():
    show, history = CountingShow(), History(memory=1)  # so little that all but the newest are compressed
    first = show.start(0)
    history.append(first)
    history.append(show.step(None))
    history.replace_newest(replace(history.view().moment, pictures=(np.full((40, 32, 3), 77, np.uint8),)))
    assert history.revision == 1 and history.newest == 1
    history.append(replace(show.step(None), pictures=history.view().moment.pictures))
    history.append(show.step(None))
    assert [history.view(n).moment.pictures[0][0, 0, 0] for n in range(4)] == [0, 77, 77, 3]


def test_an_act_stays_in_the_present_until_it_is_sent_back():
    act = Session(CountingShow())
    for _ in range(5):
        act.history.append(act.simulation.show.start(0))
    act.go_to(2)
    assert act.cursor == 2 and act.view.number == 2
    act.go_to(4)
    assert act.cursor is None
    act.simulation.close()

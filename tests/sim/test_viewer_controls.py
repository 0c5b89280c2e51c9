"""Posted events do what the help says; the viewer is driven without a window's loop."""

import time

import av
import numpy as np
import pygame
import pytest
from viewer_shows import CountingShow, writing

from sim.viewer.app.transport import SPEEDS
from sim.viewer.playback.history import FEWEST_MOMENTS

SIZE = (1280, 800)


pytestmark = pytest.mark.usefixtures("display")


def test_space_pauses_and_goes_on(drive):
    driver = drive()
    driver.press(pygame.K_SPACE)
    driver.settle()
    stopped = driver.view.newest
    assert driver.choices.paused
    driver.press(pygame.K_SPACE)
    driver.until(lambda: driver.view.newest > stopped)
    assert not driver.choices.paused and not driver.viewer.simulation.wait_until_idle(0.0)


def test_the_right_arrow_takes_single_steps(drive):
    driver = drive()
    driver.press(pygame.K_SPACE)
    driver.settle()
    before = driver.view.newest
    driver.press(pygame.K_RIGHT, pygame.K_RIGHT, pygame.K_RIGHT)
    driver.until(lambda: driver.view.newest >= before + 3)
    driver.settle()
    assert driver.view.number == driver.view.newest == before + 3


def test_the_left_arrow_goes_back_through_all_that_is_remembered(drive):
    driver = drive()
    driver.until(lambda: driver.view.newest >= 950)
    driver.press(pygame.K_SPACE)
    driver.settle()
    newest = driver.view.newest
    for back in range(1, FEWEST_MOMENTS + 1):
        driver.press(pygame.K_LEFT)
        assert driver.view.number == newest - back
    assert driver.view.moment.pictures[0][0, 0, 0] == (newest - FEWEST_MOMENTS) % 256
    driver.press(pygame.K_RIGHT)
    assert driver.view.number == newest - FEWEST_MOMENTS + 1
    assert driver.view.newest == newest  # going on through the past takes no step
    driver.press(pygame.K_COMMA, mod=pygame.KMOD_LSHIFT)
    assert driver.view.number == newest - FEWEST_MOMENTS - 9
    driver.press(*[pygame.K_LEFT] * 400)
    assert driver.view.number == driver.view.oldest
    driver.press(pygame.K_SPACE)
    view = driver.view
    assert view.number == view.newest >= newest


def test_speed(drive):
    driver = drive(CountingShow(steps_per_second=40.0))
    driver.press(pygame.K_EQUALS, pygame.K_EQUALS)
    assert driver.choices.speed == 4.0
    start, at = driver.view.newest, time.monotonic()
    driver.until(lambda: driver.view.newest >= start + 50)
    assert 60 < 50 / (time.monotonic() - at) < 190
    driver.press(*[pygame.K_MINUS] * 20)
    assert driver.choices.speed == SPEEDS[0]


def test_grid(drive):
    driver = drive(CountingShow(num_worlds=4))
    driver.press(pygame.K_g)
    assert driver.choices.grid
    driver.viewer.draw()
    driver.press(pygame.K_g)
    assert not driver.choices.grid
    single = drive()
    single.press(pygame.K_g)
    assert not single.choices.grid and "one world" in single.choices.message


def test_a_person_takes_over_and_hands_back(drive):
    driver = drive()
    assert set(driver.show.persons) <= {None}
    driver.press(pygame.K_m)
    assert driver.choices.person
    driver.press(pygame.K_RIGHT, release=False)
    steps = len(driver.show.persons)
    driver.until(lambda: len(driver.show.persons) > steps + 5)
    assert driver.show.persons[-1] == 2 and not driver.choices.paused  # → plays, and pauses nothing
    assert driver.view.moment.person
    driver.post(pygame.KEYUP, key=pygame.K_RIGHT, mod=0)
    steps = len(driver.show.persons)
    driver.until(lambda: len(driver.show.persons) > steps + 5)
    assert driver.show.persons[-1] == 0
    driver.press(pygame.K_m)
    steps = len(driver.show.persons)
    driver.until(lambda: len(driver.show.persons) > steps + 5)
    assert driver.show.persons[-1] is None


def test_a_short_tap_is_played(drive):
    driver = drive(CountingShow(steps_per_second=20.0), person=True)
    steps = len(driver.show.persons)
    driver.press(pygame.K_SPACE)  # down and up between two steps
    driver.until(lambda: len(driver.show.persons) > steps + 2)
    assert driver.show.persons[steps : steps + 2].count(1) >= 1
    assert driver.show.persons[-1] == 0 and not driver.choices.paused


def test_losing_the_focus_lets_go_of_all_keys(drive):
    driver = drive(person=True)
    driver.press(pygame.K_LEFT, release=False)
    driver.post(pygame.WINDOWFOCUSLOST)
    steps = len(driver.show.persons)
    driver.until(lambda: len(driver.show.persons) > steps + 5)
    assert driver.show.persons[-1] == 0


def test_continuous_actions_stay_with_the_agent(drive):
    show = CountingShow()
    show.action_names = ()
    driver = drive(show)
    driver.press(pygame.K_m)
    assert not driver.choices.person and "the agent goes on" in driver.choices.message


def test_reset_starts_from_the_seed_and_shift_takes_a_new_one(drive):
    driver = drive(seed=7)
    driver.press(pygame.K_r)
    driver.until(lambda: len(driver.show.seeds) == 2)
    driver.press(pygame.K_r, mod=pygame.KMOD_LSHIFT)
    driver.until(lambda: len(driver.show.seeds) == 3)
    assert driver.show.seeds == [7, 7, 8]


@pytest.mark.parametrize("number", [1, 2, 3, 4, 6])
def test_panels_fold(drive, number):
    driver = drive()
    driver.press(pygame.K_0 + number)
    assert driver.choices.folded == {number}
    driver.click((driver.layout().panels[number].left + 20, driver.layout().panels[number].top + 8))
    assert driver.choices.folded == set()


def test_screenshot(drive, tmp_path):
    driver = drive()
    driver.press(pygame.K_s)
    (file,) = (tmp_path / "screenshots").iterdir()
    assert file.name in driver.choices.message
    assert file.name.startswith("counting-")
    assert pygame.image.load(str(file)).get_size() == SIZE


@pytest.mark.parametrize(("rate", "every"), [(50.0, 1), (100.0, 2)])
def test_a_video_has_a_constant_rate_however_slow_the_drawing_is(drive, drawn_views, tmp_path, rate, every):
    driver = drive(CountingShow(steps_per_second=rate))
    driver.until(lambda: driver.view.newest > 3)
    driver.press(pygame.K_v)
    assert driver.choices.recording
    first = driver.view.number
    while len(filmed := sorted({v.number for v in drawn_views if v.number >= first})) < 9:
        time.sleep(2.5 / rate)  # the window takes longer than the show
        if driver.viewer.advance():
            driver.viewer.draw()
            assert driver.view.newest - driver.view.number < 6
    due = [number for number in filmed if (number - first) % every == 0]
    assert due == list(range(first, due[-1] + 1, every)), "none is left out"
    of_its_own = {v.number: int(v.moment.pictures[0][0, 0, 0]) for v in drawn_views}
    assert all(of_its_own[number] == number % 256 for number in due)
    driver.press(pygame.K_v)
    (file,) = tmp_path.glob("*.mp4")
    assert not driver.choices.recording and file.name in driver.choices.message
    driver.until(lambda: driver.view.number > filmed[-1] + 9)  # the show goes on by itself
    with av.open(str(file)) as video:
        times = [float(frame.time) for frame in video.decode(video=0)]
        assert video.streams.video[0].codec_context.name == "h264"
        assert video.streams.video[0].codec_context.width == SIZE[0]
    assert len(times) == len(due)
    np.testing.assert_allclose(np.diff(times), every / rate, atol=1e-3)


def test_escape_goes_back_one_step_and_never_quits(drive):
    driver = drive(CountingShow(num_worlds=4))
    driver.until(lambda: driver.view.newest > 3)
    driver.press(pygame.K_LEFT, pygame.K_g, pygame.K_h)
    assert driver.choices.help and driver.choices.grid and driver.view.number < driver.view.newest
    driver.press(pygame.K_ESCAPE)
    assert not driver.choices.help and driver.choices.grid
    driver.press(pygame.K_ESCAPE)
    assert not driver.choices.grid and driver.view.number < driver.view.newest
    driver.press(pygame.K_ESCAPE)
    assert driver.view.number == driver.view.newest and not driver.choices.message
    driver.press(pygame.K_ESCAPE, pygame.K_ESCAPE)
    assert driver.choices.message == "nothing to go back to · Ctrl+Q quits" and not driver.viewer.done
    driver.press(pygame.K_F1)
    driver.click((5, 5))
    assert not driver.choices.help


@pytest.mark.parametrize("mod", [pygame.KMOD_LCTRL, pygame.KMOD_RCTRL, pygame.KMOD_LMETA])
def test_ctrl_q_quits_whoever_plays(drive, mod):
    driver = drive(person=True)
    driver.press(pygame.K_q)
    assert not driver.viewer.done
    driver.press(pygame.K_h)
    driver.press(pygame.K_q, mod=mod)
    assert driver.viewer.done


def test_the_help_names_the_keys_that_work_while_a_person_plays(drive, monkeypatch):
    written = writing(monkeypatch)
    driver = drive()
    driver.press(pygame.K_h)

    def shown():
        written.clear()
        driver.viewer.draw()
        return {"Space  P", "→  .", "S  F12", "P", ".", "F12"} & set(written)

    assert shown() == {"Space  P", "→  .", "S  F12"}
    driver.press(pygame.K_m)
    assert driver.choices.person and shown() == {"P", ".", "F12"}
    driver.press(pygame.K_SPACE)
    assert not driver.choices.paused, "Space fires"
    driver.press(pygame.K_p)
    assert driver.choices.paused and shown() == {"Space  P", "→  .", "S  F12"}
    driver.press(pygame.K_SPACE)
    assert not driver.choices.paused, "Space goes on"


@pytest.mark.parametrize("kind", [pygame.QUIT, pygame.WINDOWCLOSE])
def test_the_close_button(drive, kind):
    driver = drive()
    driver.post(kind)
    assert driver.viewer.done


def test_the_mouse_does_what_keys_do(drive):
    driver = drive(CountingShow(num_worlds=2))
    driver.until(lambda: driver.view.newest > 100)
    places = driver.layout()
    driver.click(places.pause.center)
    assert driver.choices.paused
    driver.settle()
    newest = driver.view.newest
    driver.click(places.back.center)
    assert driver.view.number == newest - 1
    driver.click(places.forward.center)
    assert driver.view.number == newest
    driver.click(places.faster.center)
    assert driver.choices.speed == 2.0
    driver.click(places.slower.center)
    assert driver.choices.speed == 1.0
    driver.click(places.who.center)
    assert driver.choices.person
    driver.click(places.world.center)
    assert driver.choices.grid


def test_scrubbing_pauses_and_follows_the_mouse(drive):
    driver = drive()
    driver.until(lambda: driver.view.newest > 900)
    track = driver.layout().scrubber
    driver.post(pygame.MOUSEBUTTONDOWN, button=1, pos=(track.left, track.centery))
    assert driver.choices.paused
    driver.settle()
    driver.post(pygame.MOUSEMOTION, pos=track.center, rel=(1, 0), buttons=(1, 0, 0))
    middle = driver.view.newest - driver.view.number
    assert 430 <= middle <= 470
    driver.post(pygame.MOUSEBUTTONUP, button=1, pos=track.center)
    driver.post(pygame.MOUSEMOTION, pos=track.topleft, rel=(1, 0), buttons=(0, 0, 0))
    assert driver.view.newest - driver.view.number == middle


def test_an_uncovered_window_is_drawn_again(drive):
    driver = drive()
    driver.press(pygame.K_SPACE)
    driver.settle()
    driver.viewer.draw()
    assert not driver.viewer.advance()
    driver.post(pygame.WINDOWEXPOSED)
    assert driver.viewer.advance()


def test_holding_a_toggle_does_not_flicker(drive):
    driver = drive()
    driver.press(pygame.K_h, pygame.K_h, pygame.K_h, release=False)
    assert driver.choices.help


def test_a_failed_show_can_be_started_again(drive):
    driver = drive(CountingShow(fails_at=5))
    driver.until(lambda: driver.viewer.error is not None)
    assert driver.view.error == "RuntimeError: the emulator fell over"
    driver.viewer.draw()
    driver.show.fails_at = None
    driver.press(pygame.K_r)
    driver.until(lambda: driver.viewer.error is None and driver.view.newest > 10)


def test_digits_play_where_actions_have_no_names_and_shift_folds_panels(drive):
    show = CountingShow()
    show.action_names = ("ACTION 0", "ACTION 1", "ACTION 2", "ACTION 3")
    driver = drive(show, person=True)
    driver.press(pygame.K_3, release=False)
    steps = len(driver.show.persons)
    driver.until(lambda: len(driver.show.persons) > steps + 5)
    assert driver.show.persons[-1] == 3 and not driver.choices.folded
    driver.press(pygame.K_2, mod=pygame.KMOD_LSHIFT)
    assert driver.choices.folded == {2}

"""The target panel: a drag or a key changes what the agent is told, in the show and in a walker's world."""

from dataclasses import replace

import numpy as np
import pygame
import pytest
from viewer_shows import RobotShow

from sim.catalog import make_world
from sim.viewer.contract.gallery_page import Slider
from sim.viewer.contract.gesture import Ability, Gesture
from sim.viewer.draw import layout
from sim.viewer.draw.card import ROW
from sim.viewer.panels import latent_sliders
from sim.viewer.panels.panels import inside_of

pytestmark = pytest.mark.usefixtures("display")


class ToldShow(RobotShow):
    abilities = RobotShow.abilities | {Ability.TARGETS}

    def _moment(self, reward, person, episodes):
        targets = (Slider("speed, m/s", 1.5, 0.0, 3.0), Slider("turn, °/s", 0.0, -90.0, 90.0))
        return replace(super()._moment(reward, person, episodes), targets=targets)


@pytest.fixture
def told(drive):
    driver = drive(ToldShow())
    driver.until(lambda: driver.view.newest >= 3)
    driver.press(pygame.K_SPACE)
    driver.settle()
    driver.show.gestures.clear()
    return driver


def knob(driver, row, share):
    """The place of a row's knob when it stands at `share` of its track."""
    inside = inside_of(driver.layout().panels[layout.TARGETS], driver.viewer.ink)
    track = latent_sliders.track(inside, driver.viewer.ink, row, driver.viewer.ink.px(ROW))
    return round(track.left + share * track.width), track.centery


def test_a_drag_along_a_slider_sets_its_target_until_the_button_goes_up(told):
    told.post(pygame.MOUSEBUTTONDOWN, button=1, pos=knob(told, 0, 1 / 3))
    told.settle()
    told.post(pygame.MOUSEMOTION, pos=knob(told, 0, 5.0), rel=(9, 0), buttons=(1, 0, 0))
    told.settle()
    told.post(pygame.MOUSEBUTTONUP, button=1, pos=knob(told, 0, 1.0))
    told.post(pygame.MOUSEMOTION, pos=knob(told, 0, 0.5), rel=(9, 0), buttons=(0, 0, 0))
    told.click(knob(told, 1, 0.0))
    told.settle()
    found = [(g.kind, g.x, g.y) for g in told.show.gestures]
    assert [g[:2] for g in found] == [("slide", 0), ("slide", 0), ("slide", 1)]
    assert [g[2] for g in found] == pytest.approx([1.0, 3.0, -90.0], abs=0.02)


def test_q_and_w_change_the_first_target_and_the_past_keeps_its_own(told):
    told.press(pygame.K_q)
    told.press(pygame.K_w)
    told.settle()
    assert [(g.kind, g.y) for g in told.show.gestures] == [("nudge", -0.1), ("nudge", 0.1)]
    told.press(pygame.K_LEFT)
    told.press(pygame.K_w)
    told.click(knob(told, 0, 0.5))
    told.settle()
    assert len(told.show.gestures) == 2 and "the past" in told.choices.message


def test_a_world_without_targets_has_no_such_panel(drive):
    driver = drive(RobotShow())
    driver.until(lambda: driver.view.newest >= 1)
    assert layout.TARGETS not in driver.layout().panels


def test_a_walker_is_told_what_the_slider_says_within_its_range():
    pytest.importorskip("mujoco")
    fields = {"reward": {"speed": 1.0}, "observe": ["target"], "target_speed": [1.0, 2.0]}
    world = make_world("walker/walker2d", max_steps=2, **fields)
    renderer = world.interactive_renderer()
    assert Ability.TARGETS in renderer.abilities
    obs, _ = world.reset(seed=0)
    assert renderer.targets[0] == ("speed, m/s", pytest.approx(obs[0]), 1.0, 2.0, None)
    for gesture, wanted in (
        (Gesture("slide", 0, 1.25), 1.25),
        (Gesture("nudge", 0, 0.1), 1.35),
        (Gesture("slide", 0, 9.0), 2.0),
        (Gesture("nudge", 0, -9.0), 1.0),
    ):
        assert renderer.touch(gesture).redraw
        assert renderer.targets[0].value == pytest.approx(wanted)
        assert world.step(np.zeros(6, np.float32))[0][0] == pytest.approx(wanted)
    assert world.reset()[0][0] == 1.0, "what a person has set holds for later episodes"


def test_a_walker_that_is_told_nothing_has_no_targets():
    pytest.importorskip("mujoco")
    for fields in ({}, {"reward": {"speed": 1.0}, "target_speed": 1.0}):
        renderer = make_world("walker/hopper", **fields).interactive_renderer()
        assert Ability.TARGETS not in renderer.abilities and renderer.targets == ()
        assert not renderer.touch(Gesture("slide", 0, 1.0)).redraw

"""A robot in the window: gestures of mouse and keys, the overlay, the foot-contact panel, pushed episodes."""

from dataclasses import replace

import numpy as np
import pygame
import pytest
from viewer_shows import ROBOT, RobotShow, writing

from sim.records import Episode, Percept
from sim.viewer.contract.gesture import Ability
from sim.viewer.contract.moment import PerceptView
from sim.viewer.contract.robot import ForceArrow
from sim.viewer.draw import layout
from sim.viewer.draw.theme import PALETTE, Ink, canvas
from sim.viewer.overlays import robot_overlay, world_picture
from sim.viewer.panels import foot_contact_panel

pytestmark = pytest.mark.usefixtures("display")


@pytest.fixture
def robot(drive):
    driver = drive(RobotShow())
    driver.until(lambda: driver.view.newest >= 3)
    driver.press(pygame.K_SPACE)
    driver.settle()
    driver.show.gestures.clear()
    yield driver
    pygame.key.set_mods(pygame.KMOD_NONE)


def test_ctrl_drag_pushes_and_lets_go(robot):
    world = robot.viewer.layout().world
    pygame.key.set_mods(pygame.KMOD_LCTRL)
    robot.post(pygame.MOUSEBUTTONDOWN, button=1, pos=world.center)
    pygame.key.set_mods(pygame.KMOD_NONE)
    robot.settle()
    robot.post(pygame.MOUSEMOTION, pos=(world.centerx + 40, world.centery), rel=(40, 0), buttons=(1, 0, 0))
    robot.settle()
    robot.post(pygame.MOUSEBUTTONUP, button=1, pos=(world.centerx + 40, world.centery))
    robot.settle()
    held, pulled, ended = robot.show.gestures
    assert (held.kind, pulled.kind, ended.kind) == ("push", "push", "let_go") and held.on and not pulled.on
    assert abs(held.x - 0.5) < 0.01 > abs(held.y - 0.5) and pulled.x > held.x + 0.05


def test_losing_the_focus_ends_a_push(robot):
    pygame.key.set_mods(pygame.KMOD_LCTRL)
    robot.post(pygame.MOUSEBUTTONDOWN, button=1, pos=robot.viewer.layout().world.center)
    robot.post(pygame.WINDOWFOCUSLOST)
    robot.settle()
    assert [g.kind for g in robot.show.gestures] == ["push", "let_go"]


def test_a_double_click_resets_the_camera_and_a_slow_one_does_not(robot):
    world, now = robot.viewer.layout().world, [0.0]
    robot.controls._pointer._clock = lambda: now[0]
    robot.click(world.center)
    now[0] = 1.0
    robot.click(world.center)
    robot.settle()
    assert robot.show.told() == []
    now[0] = 1.2
    robot.click((world.centerx + 1, world.centery))
    robot.settle()
    assert robot.show.told() == [("camera", "reset")]
    now[0] = 1.3
    robot.click(world.center)
    robot.settle()
    assert len(robot.show.gestures) == 1, "three clicks are one double-click"


def test_keys_of_the_camera_and_of_shoves(robot):
    robot.press(pygame.K_z)
    robot.press(pygame.K_z, mod=pygame.KMOD_LSHIFT)
    robot.press(pygame.K_LEFT, mod=pygame.KMOD_LCTRL)
    robot.press(pygame.K_RIGHT, mod=pygame.KMOD_LCTRL)
    robot.settle()
    assert robot.show.told() == [("camera", 0.0), ("camera", "reset"), ("shove", -1.0), ("shove", 1.0)]


def test_the_past_is_not_pushed(robot):
    robot.press(pygame.K_LEFT)
    robot.press(pygame.K_RIGHT, mod=pygame.KMOD_LCTRL)
    robot.settle()
    assert robot.show.gestures == [] and "the past" in robot.choices.message


def test_a_push_ends_even_where_the_past_is_looked_at_meanwhile(robot):
    center = robot.viewer.layout().world.center
    pygame.key.set_mods(pygame.KMOD_LCTRL)
    robot.post(pygame.MOUSEBUTTONDOWN, button=1, pos=center)
    robot.press(pygame.K_LEFT)
    robot.post(pygame.MOUSEBUTTONUP, button=1, pos=center)
    robot.settle()
    assert [gesture.kind for gesture in robot.show.gestures] == ["push", "let_go"]


def test_f_hides_forces_and_torques_but_not_a_push(robot, monkeypatch):
    written = writing(monkeypatch)
    robot.viewer.draw()
    assert any("ground force" in text for text in written) and "250 N" in written
    robot.press(pygame.K_f)
    written.clear()
    robot.viewer.draw()
    assert not robot.choices.robot and not any("ground force" in text for text in written)
    surface, rect = canvas((200, 200)), pygame.Rect(0, 0, 200, 200)
    pushed = replace(ROBOT, contacts=(), joints=(), push=ForceArrow((0.2, 0.2), (0.6, 0.2), 120.0))
    robot_overlay.draw_robot(surface, Ink(), rect, pushed)
    assert "push 120 N" in written and surface.get_at((70, 40))[:3] == PALETTE.accent


def test_an_arrow_reaches_from_the_contact_to_the_tip_and_nothing_leaves_the_picture():
    surface, picture = canvas((300, 300)), pygame.Rect(50, 50, 200, 200)
    state = replace(ROBOT, contacts=(ForceArrow((0.5, 0.9), (0.5, -3.0), 9000.0),), joints=())
    robot_overlay.draw_robot(surface, Ink(), picture, state)
    assert surface.get_at((150, 100))[:3] == robot_overlay.CONTACT
    outside = pygame.surfarray.array3d(surface)
    outside[50:250, 50:250] = 0
    assert not outside.any()


def test_the_colour_of_a_torque_is_its_sign_and_size():
    blue, grey, red = map(robot_overlay.torque_color, (-1.0, 0.0, 1.0))
    assert blue[2] > blue[0] and red[0] > red[2] and max(grey) - min(grey) < 10
    surface, picture = canvas((200, 200)), pygame.Rect(0, 0, 200, 200)
    robot_overlay.draw_robot(surface, Ink(), picture, ROBOT)
    assert surface.get_at((100, 60))[:3] == red and surface.get_at((100, 100))[2] > 150


def test_the_strip_shows_stance_and_swing_over_four_seconds(drive, monkeypatch):
    driver = drive(RobotShow(steps_per_second=50.0))
    driver.until(lambda: driver.view.newest >= 45)
    driver.press(pygame.K_SPACE)
    driver.settle()
    driver.viewer.transport.visit(39)
    view = driver.view
    down = foot_contact_panel.stance(view.feet, 2)
    assert down.shape == (2, 40) and (down[0] != down[1]).all()
    np.testing.assert_array_equal(down[0], np.arange(40) % 20 < 10)
    written = writing(monkeypatch)
    picture = driver.viewer.draw()
    assert "50 %" in written and "−4 s" in written
    rect = driver.layout().panels[layout.FEET]
    inside = np.swapaxes(pygame.surfarray.array3d(picture.subsurface(rect)), 0, 1)
    left, right = ((inside == color).all(axis=2).sum() for color in (PALETTE.series[0], PALETTE.accent))
    assert left == pytest.approx(right, rel=0.1) and left > 100


def test_a_show_without_feet_has_no_strip(drive):
    assert layout.FEET not in drive().layout().panels


def test_a_pushed_episode_is_no_score(drive, monkeypatch):
    class Pushed(RobotShow):
        def _moment(self, reward, person, episodes):
            moment = super()._moment(reward, person, episodes)
            ended = [Episode(e.score + 95 * (len(self.persons) == 50), e.length) for e in episodes]
            if len(self.persons) == 50:
                ended = [replace(e, pushed=True) for e in ended]
            return replace(moment, episodes=tuple(ended))

    driver = drive(Pushed())
    driver.until(lambda: driver.view.newest >= 105)
    driver.press(pygame.K_SPACE)
    driver.settle()
    driver.viewer.transport.visit(103)
    view = driver.view
    assert [e.pushed for e in view.episodes] == [True, False] and view.mean_score == 5.0
    assert driver.viewer.ended() == [5.0]
    written = writing(monkeypatch)
    driver.viewer.transport.visit(60)
    driver.viewer.draw()
    assert "pushed" in written and "100" not in written


def test_the_return_of_a_pushed_episode_says_so_at_once(drive, monkeypatch):
    written = writing(monkeypatch)
    for pushed, words in ((False, "this episode"), (True, "pushed: no score")):
        show = RobotShow()
        show.state = replace(ROBOT, pushed=pushed)
        driver = drive(show)
        driver.until(lambda: driver.view.newest >= 3)  # noqa: B023
        written.clear()
        driver.viewer.draw()
        assert words in written


def test_percepts_and_forces_are_never_drawn_together(drive, monkeypatch):
    class Watched(RobotShow):
        abilities = RobotShow.abilities | {Ability.PERCEPTS}

        def _moment(self, reward, person, episodes):
            seen = PerceptView("pose", Percept("truth", keypoints={"knee": (10.0, 10.0, 1.0)}))
            return replace(super()._moment(reward, person, episodes), seen=(seen,))

    drawn = []
    monkeypatch.setattr(world_picture, "draw_robot_legend", lambda *given: drawn.append("forces"))
    monkeypatch.setattr(world_picture, "draw_percept_overlay", lambda *given: drawn.append("percepts"))
    driver = drive(Watched())
    driver.until(lambda: driver.view.newest >= 3)
    for key, shown in ((None, ["percepts"]), ("f", ["forces"]), ("f", []), ("o", ["percepts"])):
        if key is not None:
            driver.press(ord(key))
        drawn.clear()
        driver.viewer.draw()
        assert drawn == shown

"""The window in front of a class: text that grows, Ctrl + and −, presentation, buttons with tooltips."""

import numpy as np
import pygame
import pytest
from pygame import Rect
from viewer_shows import CountingShow, RobotShow, writings

from sim.viewer.contract.show import Playlist, PlaylistEntry
from sim.viewer.draw import layout
from sim.viewer.draw.layout import Need, arrange
from sim.viewer.draw.scaling import grown, zoomed
from sim.viewer.draw.theme import SMALL, canvas
from sim.viewer.draw.toolbar import BUTTONS, button_of, tools_of
from sim.viewer.keymap import Command, command, controlled
from sim.viewer.overlays.world_picture import blit, place
from sim.viewer.playback.view import Facts

NEEDS = {n: Need(62, 106, 200) for n in (1, 2, 3, 4, 6)}


@pytest.mark.parametrize("density", [1.0, 1.25, 1.5, 2.0])
def test_text_grows_with_the_window_in_whole_pixels(density):
    heights = []
    for size in ((480, 360), (1280, 800), (1600, 900), (1920, 1080), (2560, 1440)):
        scale = grown((round(size[0] * density), round(size[1] * density)), density)
        assert scale * SMALL == pytest.approx(round(scale * SMALL))
        heights.append(scale * SMALL / density)
    assert heights == sorted(heights) and heights[0] == pytest.approx(13, abs=0.5)
    assert heights[3] == pytest.approx(20, abs=0.6) and heights[1] == pytest.approx(13, abs=0.6)


@pytest.mark.parametrize("size", [(480, 360), (640, 480), (1280, 800), (1920, 1080)])
def test_zoom_stays_legible_and_leaves_room_for_the_least_window(size):
    base = grown(size)
    scales = [zoomed(base, zoom, size) for zoom in range(-4, 9)]
    assert scales == sorted(scales) and scales[4] == base
    assert scales[0] * SMALL >= 10 - 1e-9
    for scale in scales[5:]:
        assert size[0] / scale >= layout.MINIMUM[0] - 1e-6 and size[1] / scale >= layout.MINIMUM[1] - 1e-6


def test_ctrl_plus_and_minus_change_the_text_and_zero_gives_it_back(drive, monkeypatch):
    driver = drive()
    heading = driver.viewer.layout().panels[1].height
    for key in (pygame.K_EQUALS, pygame.K_KP_PLUS):
        driver.press(key, mod=pygame.KMOD_LCTRL)
    assert driver.viewer.scale > 1.2 and driver.choices.speed == 1.0
    assert driver.viewer.layout().panels[1].height == pytest.approx(heading * driver.viewer.scale, abs=1)
    driver.press(pygame.K_0, mod=pygame.KMOD_LCTRL)
    assert driver.viewer.scale == 1.0
    for _ in range(9):
        driver.press(pygame.K_MINUS, mod=pygame.KMOD_LCTRL)
    assert driver.viewer.scale == pytest.approx(10 / 13)
    driver.press(pygame.K_PLUS, mod=pygame.KMOD_LCTRL | pygame.KMOD_LSHIFT)
    assert driver.viewer.scale > 10 / 13, "a press too many is not saved up"


def test_a_zoom_that_finds_no_room_is_not_saved_up(drive):
    driver = drive(size=(640, 480))
    for _ in range(9):
        driver.press(pygame.K_EQUALS, mod=pygame.KMOD_LCTRL)
    largest = driver.viewer.scale
    driver.press(pygame.K_MINUS, mod=pygame.KMOD_LCTRL)
    assert 1.0 < driver.viewer.scale < largest <= 480 / 360


@pytest.mark.parametrize("size", [(1024, 768), (1280, 800), (1920, 1080)])
def test_a_presentation_has_the_picture_at_full_height_and_two_panels(size):
    found = arrange(size, grown(size), NEEDS, (), layout.TOOLS, presents=True)
    picture = place((160, 210), found.world, whole=found.whole)
    assert picture.height >= size[1] - 1 and set(found.panels) == {1, 2, 3}
    assert {"present", "help"} <= set(arrange(size, grown(size), NEEDS, (), tools_of(facts())[:3]).tools)
    assert not found.bar.colliderect(found.world)


def test_f11_presents_and_esc_ends_it(drive):
    driver = drive()
    driver.press(pygame.K_F11)
    assert driver.choices.presents and driver.viewer.layout().world.height == 800
    driver.viewer.draw()
    driver.press(pygame.K_ESCAPE)
    assert not driver.choices.presents and not driver.viewer.done


def facts(*abilities):
    return Facts("Pong", "PPO", "", "", ("UP",), 1, 60.0, abilities=frozenset(abilities))


def test_the_tools_are_those_that_the_show_has():
    assert set(tools_of(facts())) == {"help", "record", "present"}
    assert set(tools_of(facts("scenes", "worlds", "saliency", "percepts"))) == set(layout.TOOLS)
    assert "overlay" in tools_of(facts("board")) and "overlay" not in tools_of(facts("board", "analysis"))
    assert button_of("overlay", facts("robot")).command is Command.ROBOT
    assert button_of("overlay", facts("robot", "percepts")).command is Command.PERCEPTS


def test_every_button_does_what_its_key_does():
    named = {"←": pygame.K_LEFT, "→": pygame.K_RIGHT, "Space": pygame.K_SPACE, "−": pygame.K_MINUS}
    for name, button in BUTTONS.items():
        if button.key.startswith("Ctrl+"):
            assert controlled(ord(button.key[5:].lower()), False) is button.command, name
        else:
            key = named.get(button.key) or (pygame.K_F11 if button.key == "F11" else ord(button.key.lower()))
            assert command(key)[0] is button.command, name


def test_clicks_on_the_tools(drive):
    other = PlaylistEntry("Breakout", CountingShow)
    here = PlaylistEntry("Counting", CountingShow)
    driver = drive(RobotShow(num_worlds=4, steps_per_second=100.0), playlist=Playlist([here, other]))
    tools = driver.viewer.layout().tools
    assert list(tools) == ["scenes", "grid", "overlay", "record", "present", "help"]
    driver.click(tools["grid"].center)
    driver.click(tools["overlay"].center)
    assert driver.choices.grid and not driver.choices.robot
    driver.click(tools["scenes"].center)
    assert driver.choices.search is not None
    driver.press(pygame.K_ESCAPE)
    driver.click(tools["help"].center)
    assert driver.choices.help and not driver.choices.paused


def test_a_tooltip_says_what_a_button_does_and_its_key(drive, monkeypatch):
    written = writings(monkeypatch, lambda text, at, color, rect: (text, rect))
    driver = drive()
    for name, rect in driver.viewer.layout().buttons.items():
        written.clear()
        driver.post(pygame.MOUSEMOTION, pos=rect.center, rel=(0, 0), buttons=(0, 0, 0))
        driver.viewer.draw()
        said = dict(written)
        assert BUTTONS[name].words in said and BUTTONS[name].key in said
        assert Rect((0, 0), driver.viewer.size).contains(said[BUTTONS[name].words])
        assert said[BUTTONS[name].words].bottom < rect.top
    driver.post(pygame.MOUSEMOTION, pos=(5, 5), rel=(0, 0), buttons=(0, 0, 0))
    assert driver.choices.pointed == ""


def test_at_a_fractional_factor_pixels_stay_squares():
    checks = ((np.indices((20, 20)).sum(0) % 2) * 255).astype(np.uint8)[..., None].repeat(3, 2)
    surface = canvas((71, 71))
    blit(surface, checks, Rect(0, 0, 71, 71))
    grey = pygame.surfarray.array3d(surface)[..., 0]
    pure = np.mean((grey < 8) | (grey > 247))
    plain = canvas((20, 20))
    plain.blit(pygame.image.frombuffer(checks.tobytes(), (20, 20), "RGB"), (0, 0))
    soft = pygame.surfarray.array3d(pygame.transform.smoothscale(plain, (71, 71)))[..., 0]
    assert pure > 0.3 > np.mean((soft < 8) | (soft > 247))

"""Find a scene: what is typed narrows the list, Enter and a click go there; every key is the list's own."""

import numpy as np
import pygame
import pytest
from pygame import Rect
from viewer_shows import CountingShow

from sim.viewer.contract.show import Playlist, PlaylistEntry, Poster
from sim.viewer.draw.scene_search import rows
from sim.viewer.draw.theme import PALETTE
from sim.viewer.playback.view import SceneSearch

TITLES = ("Pong", "Breakout", "Walker2d with pose estimation", "Chess", "Pong by DQN")


def show_called(title):
    show = CountingShow()
    show.title = title
    return show


@pytest.fixture
def seat(drive):
    scenes = [
        PlaylistEntry(title, lambda title=title: show_called(title), "PPO · trained") for title in TITLES
    ]
    return drive(show_called("Pong"), playlist=Playlist(scenes))


def type_in(driver, text):
    for letter in text:
        driver.post(pygame.KEYDOWN, key=ord(letter.lower()), mod=0, unicode=letter)
        driver.post(pygame.KEYUP, key=ord(letter.lower()), mod=0)


def titles(driver):
    return [TITLES[i] for i in driver.choices.search.found]


def test_typing_narrows_the_list_and_enter_goes_there(seat):
    seat.press(pygame.K_k, mod=pygame.KMOD_LCTRL)
    assert titles(seat) == list(TITLES)
    type_in(seat, "pong ")
    seat.viewer.draw()
    assert titles(seat) == ["Pong", "Pong by DQN"] and not seat.choices.paused and not seat.choices.help
    seat.press(pygame.K_DOWN, pygame.K_RETURN)
    assert seat.choices.search is None
    seat.until(lambda: seat.viewer.facts.title == "Pong by DQN" and seat.view.moment is not None)
    seat.press(pygame.K_TAB)  # the next one from there
    seat.until(lambda: seat.viewer.facts.title == "Pong")


def test_a_click_goes_there_and_beside_it_or_esc_closes(seat):
    def open_list():
        seat.press(pygame.K_k, mod=pygame.KMOD_LCTRL)
        return rows(Rect((0, 0), seat.viewer.size), seat.viewer.ink, seat.choices.search)

    card, _ = open_list()
    seat.click((card.left - 5, card.top))
    assert seat.choices.search is None
    open_list()
    type_in(seat, "xyz")
    assert titles(seat) == []
    seat.viewer.draw()
    seat.press(pygame.K_RETURN)
    assert seat.choices.search is not None, "there is nothing to go to"
    seat.press(pygame.K_ESCAPE)
    assert seat.choices.search is None and not seat.choices.message
    _, shown = open_list()
    seat.click(shown[3][1].center)
    seat.until(lambda: seat.viewer.facts.title == "Chess")


@pytest.mark.parametrize("size", [(480, 360), (640, 480), (1920, 1080)])
def test_the_list_lies_inside_the_window_and_shows_the_chosen_one(drive, size):
    search = SceneSearch(tuple((f"Scene {i}", "PPO · trained") for i in range(60)), row=41)
    ink = drive().viewer.ink
    card, shown = rows(Rect((0, 0), size), ink, search)
    assert Rect((0, 0), size).contains(card) and 41 in [place for place, _ in shown]
    assert all(card.contains(rect) for _, rect in shown)
    assert all(not a.colliderect(b) for (_, a), (_, b) in zip(shown, shown[1:], strict=False))


class FewPosters:
    """The second scene's poster is there once it has been begun."""

    def __init__(self):
        self.begun = self.closed = 0

    def begin(self):
        self.begun += 1

    def pictures(self):
        poster = self._poster = getattr(self, "_poster", None) or Poster(np.full((30, 40, 3), 200, np.uint8))
        return (None, poster) + (None,) * (len(TITLES) - 2) if self.begun else (None,) * len(TITLES)

    def close(self):
        self.closed += 1


def test_posters_are_asked_for_when_the_list_opens_and_drawn_beside_the_titles(drive):
    posters = FewPosters()
    scenes = [PlaylistEntry(title, lambda: show_called("Pong"), "PPO · trained") for title in TITLES]
    driver = drive(show_called("Pong"), playlist=Playlist(scenes, posters=posters))
    assert not posters.begun
    driver.press(pygame.K_k, mod=pygame.KMOD_LCTRL)
    driver.viewer.advance()
    assert posters.begun == 1
    surface = driver.viewer.draw()
    _, shown = rows(Rect((0, 0), driver.viewer.size), driver.viewer.ink, driver.choices.search)
    assert surface.get_at((shown[1][1].left + 32, shown[1][1].centery))[:3] == (200, 200, 200)
    assert surface.get_at((shown[0][1].left + 32, shown[0][1].centery))[:3] == PALETTE.ground
    driver.viewer.close()
    assert posters.closed

"""The sound of a moment is played on request, and stops with what is shown."""

from dataclasses import replace

import numpy as np
import pygame
import pytest
from viewer_shows import CountingShow

from sim.viewer.contract.gesture import Ability, Answer
from sim.viewer.contract.moment import Sound

pytestmark = pytest.mark.usefixtures("display")
RATE = 8_000


class SoundingShow(CountingShow):
    """A counting show of which every moment has half a minute of a tone."""

    abilities = frozenset({Ability.EXAMPLES, Ability.SOUND})
    waits = False

    def _moment(self, *about):
        tone = (8_000 * np.sin(np.arange(30 * RATE) * 0.3)).astype(np.int16)
        self._shown = replace(super()._moment(*about), sound=Sound(tone, RATE))
        return self._shown

    def touch(self, gesture):
        return Answer()

    def look(self):
        return self._shown


@pytest.fixture
def loudspeaker(monkeypatch):
    monkeypatch.setenv("SDL_AUDIODRIVER", "dummy")
    yield
    pygame.mixer.quit()


def test_the_key_pauses_and_plays_and_the_next_example_is_silent(drive, loudspeaker):
    driver = drive(SoundingShow())
    driver.until(lambda: driver.view.moment is not None)
    driver.press(pygame.K_a)
    assert driver.choices.paused and "playing 30 s" in driver.choices.message
    assert pygame.mixer.get_busy() and pygame.mixer.get_init() == (RATE, -16, 1)
    driver.press(pygame.K_a)
    assert not pygame.mixer.get_busy() and driver.choices.message == ""
    driver.press(pygame.K_a, pygame.K_SPACE)
    assert not pygame.mixer.get_busy() and not driver.choices.paused
    driver.press(pygame.K_a)
    driver.viewer.close()
    assert pygame.mixer.get_init() is None


def test_without_a_loudspeaker_a_line_says_so(drive, monkeypatch):
    monkeypatch.setenv("SDL_AUDIODRIVER", "nonesuch")
    driver = drive(SoundingShow())
    driver.until(lambda: driver.view.moment is not None)
    driver.press(pygame.K_a)
    assert "no sound can be played here" in driver.choices.message


def test_a_show_without_sound_does_not_know_the_key(drive):
    driver = drive()
    driver.until(lambda: driver.view.moment is not None)
    driver.press(pygame.K_a)
    assert not driver.choices.paused and driver.choices.message == ""

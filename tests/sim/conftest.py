"""What the viewer's tests share: a display that nobody sees, and viewers that are driven by hand."""

import pygame
import pytest
from viewer_shows import CountingShow, Driver


@pytest.fixture
def display(monkeypatch, tmp_path):
    """SDL's dummy display, in a folder of the test's own."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.chdir(tmp_path)
    pygame.display.init()
    pygame.event.clear()
    yield
    pygame.display.quit()


@pytest.fixture
def drive(display):
    """`drive(show, **options)` opens a viewer on a show and returns its Driver; closed after the test."""
    drivers = []

    def start(show=None, kind=Driver, **options):
        drivers.append(kind(show or CountingShow(), **options))
        return drivers[-1]

    yield start
    for driver in drivers:
        driver.viewer.close()

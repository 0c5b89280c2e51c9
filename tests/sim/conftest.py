"""What the viewer's tests share: a display that nobody sees, and viewers that are driven by hand."""

import errno
import os
from pathlib import Path

import pygame
import pytest
from viewer_shows import CountingShow, Driver

from sim.viewer.app.screen import Screen


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
def block_opengl(monkeypatch):
    """`block_opengl(reason)`: from then on a walker's pictures are drawn in software."""
    return lambda reason: monkeypatch.setattr("sim.walker.rendering.pictures.refusal", lambda: reason)


@pytest.fixture
def fill_disk(monkeypatch):
    """`fill_disk(when)`: files whose path `when` accepts are written by half, then there is no room."""

    def fill(when):
        write = Path.write_bytes

        def refuse(path, content):
            if when(path):
                write(path, content[: len(content) // 2])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            return write(path, content)

        monkeypatch.setattr(Path, "write_bytes", refuse)

    return fill


@pytest.fixture
def drawn_views(monkeypatch):
    """The views that screens have drawn, in order."""
    views, draw = [], Screen.draw
    monkeypatch.setattr(Screen, "draw", lambda self, *args: views.append(args[-1]) or draw(self, *args))
    return views


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

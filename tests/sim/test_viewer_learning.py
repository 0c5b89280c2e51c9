"""A followed run in the window: heading, message, learning curve, and earlier checkpoints."""

from dataclasses import replace

import numpy as np
import pygame
import pytest
from viewer_shows import CountingShow, writing

from sim.viewer.contract.moment import Learning
from sim.viewer.contract.show import Playlist, PlaylistEntry
from sim.viewer.draw import layout
from sim.viewer.draw.layout import arrange
from sim.viewer.draw.theme import PALETTE, Ink, canvas
from sim.viewer.panels import panels, training_panel
from sim.viewer.playback.history import History
from sim.viewer.playback.view import Choices, Facts


class LearningShow(CountingShow):
    """Plays whatever `stand` says."""

    def __init__(self, stand, **options):
        super().__init__(**options)
        self.stand = stand

    def _moment(self, *args):
        return replace(super()._moment(*args), learning=self.stand)


def written(monkeypatch, number, show):
    """The words in a panel."""
    found = writing(monkeypatch)
    history = History()
    history.append(show.start(0))
    panels.draw_panel(number, canvas((300, 150)), Ink(1.0), Facts.of(show), Choices(), history.view())
    return found


def test_what_lands_is_said_once_and_the_heading_follows(drive, monkeypatch):
    show = LearningShow(Learning("100", "100 steps"), steps_per_second=200.0)
    driver = drive(show)
    assert driver.choices.message == ""
    show.stand = Learning("2400000", "2.4 M steps", message="now 2.4 M steps")
    driver.until(lambda: driver.choices.message == "now 2.4 M steps")
    driver.viewer.choices = replace(driver.choices, message="")
    number = driver.view.newest
    driver.until(lambda: driver.view.newest > number + 5)
    assert driver.choices.message == ""
    assert {"PPO · 2.4 M steps", "following"} <= set(written(monkeypatch, layout.HEADING, show))


def test_the_heading_is_drawn_again_when_the_training_has_gone_on():
    keys = []
    for stand in (
        Learning("1", "1 step"),
        Learning("2", "2 steps"),
        Learning("2", "2 steps", following=False),
    ):
        history = History()
        show = LearningShow(stand)
        history.append(show.start(0))
        keys.append(panels.PANELS[layout.HEADING].key(Facts.of(show), Choices(), history.view()))
    assert len(set(keys)) == 3


def test_the_chip_tells_waiting_following_and_held_apart():
    stands = (None, Learning(), Learning("5"), Learning("5", following=False))
    assert [training_panel.chip(stand)[0] for stand in stands] == [
        "",
        "waiting",
        "following",
        "not following",
    ]


def test_going_back_leaves_the_run_and_coming_back_follows_it(drive):
    timeline = [PlaylistEntry("100", lambda: LearningShow(Learning("100", following=False)))]
    timeline += [PlaylistEntry("200", lambda: LearningShow(Learning("200")))]
    there = Playlist(checkpoints=lambda: timeline, checkpoint="", follows=True)
    show = LearningShow(Learning(), steps_per_second=200.0)
    driver = drive(show, playlist=there)
    assert "checkpoints" in driver.viewer.facts.abilities and driver.viewer.facts.place == ""
    show.stand = Learning("200", "200 steps", message="now 200 steps")
    driver.until(lambda: driver.choices.message != "")
    driver.press(pygame.K_RIGHTBRACKET)
    assert driver.choices.message == "following: newer checkpoints play as they land"
    driver.press(pygame.K_LEFTBRACKET)
    driver.until(lambda: driver.view.moment is not None and not driver.view.moment.learning.following)
    assert driver.viewer.facts.place == "checkpoint 1 of 2"
    driver.press(pygame.K_RIGHTBRACKET)
    driver.until(lambda: driver.view.moment is not None and driver.view.moment.learning.following)
    assert driver.viewer.facts.place == ""


def test_only_a_run_has_a_learning_panel_and_it_is_there_in_a_small_window():
    for stand in (None, Learning("1")):
        show, history = LearningShow(stand), History()
        history.append(show.start(0))
        needs = panels.needs(Facts.of(show), history.view())
        for size in ((640, 480), (1280, 800)):
            found = arrange(size, 1.0, needs).panels
            assert (layout.LEARNING in found) == (stand is not None)
            assert stand is None or found[layout.LEARNING].height > layout.TITLE_ROW


def test_the_curve_and_the_line_where_the_agent_stands(monkeypatch):
    def orange(played):
        surface = canvas((320, 120))
        stand = Learning("1", curve=np.linspace(-20, 20, 50), steps=2_000_000, played=played)
        show, history = LearningShow(stand), History()
        history.append(show.start(0))
        facts = Facts.of(show)
        panels.PANELS[7].draw(surface, Ink(1.0), surface.get_rect(), facts, Choices(), history.view())
        return np.flatnonzero(
            (pygame.surfarray.array3d(surface) == PALETTE.accent).all(axis=2).sum(axis=1) > 40
        )

    start, half, end = orange(0.0).mean(), orange(0.5).mean(), orange(1.0).mean()
    assert half == pytest.approx((start + end) / 2, abs=1) and end - start > 200
    assert orange(None).size == 0
    show = LearningShow(Learning("1", curve=np.linspace(-20, 20, 50), steps=2_000_000))
    words = written(monkeypatch, layout.LEARNING, show)
    assert "2.0 M steps" in words and "20" in words
    show.stand = Learning("1", curve=np.full(50, np.nan))
    assert "no mean return is known yet" in written(monkeypatch, layout.LEARNING, show)

"""The analysis of a recorded game in the window: keys, clicks, the track, and what the panels say."""

import numpy as np
import pygame
import pytest
from viewer_shows import Driver, writing

from sim.viewer.contract.game_analysis import AnalysedMove, GameAnalysis, SideSummary
from sim.viewer.contract.gesture import Ability, Answer
from sim.viewer.contract.moment import Moment
from sim.viewer.draw import hud, layout
from sim.viewer.panels import analysis_panels
from sim.viewer.panels.panels import inside_of

WINS = (0.5, 0.52, 0.5, 0.15, 0.2, 0.2)
SANS = ("e4", "e5", "Qh5", "Ke7", "Qxe5")


def move(ply):
    drop = (WINS[ply - 1] - WINS[ply]) * (1 if ply % 2 else -1)
    return AnalysedMove(
        number=f"{(ply + 1) // 2}{'.' if ply % 2 else '…'}",
        san=SANS[ply - 1],
        policy=0.2,
        rank=3,
        favourite="Nf3",
        favourite_policy=0.5,
        best="Nc3",
        line="Nc3 Nf6",
        win_before=WINS[ply - 1],
        win_after=WINS[ply],
        drop=drop,
        mark="??" if ply == 3 else "",
    )


class AnalysisShow:
    """A game of five moves; the third is a blunder."""

    title, agent, training, protocol = "Analysis", "imitation", "", "32 simulations"
    action_names = action_labels = ()
    action_limit, num_worlds, steps_per_second = 1.0, 1, 20.0
    abilities = frozenset({Ability.ANALYSIS})
    waits = False

    def __init__(self, status="", analysed=5):
        self.ply, self.status, self.analysed, self.gestures = 0, status, analysed, []

    def start(self, seed):
        return self.look()

    def step(self, person, *, drawn=True):
        self.ply = min(self.ply + 1, 5)
        return self.look()

    def close(self):
        pass

    def touch(self, gesture):
        if gesture.kind == "resize":
            return Answer()
        self.gestures.append((gesture.kind, gesture.name or gesture.x, gesture.on))
        goal = {"left": self.ply - 1, "right": self.ply + 1, "home": 0, "end": 5}.get(gesture.name, gesture.x)
        self.ply = int(min(max(goal, 0), 5))
        return Answer(redraw=True)

    def look(self):
        moves = tuple(move(k) if k <= self.analysed else AnalysedMove("1.", SANS[k - 1]) for k in range(1, 6))
        wins = tuple(win if k <= self.analysed else None for k, win in enumerate(WINS))
        sides = SideSummary(3, 0.12, 0, 0, 1), SideSummary(2, 0.01, 0, 0, 0)
        analysis = GameAnalysis(moves, wins, self.ply, False, "Anand – Short  1–0", sides, self.status)
        zero = np.zeros(1)
        return Moment(
            (np.zeros((80, 84, 3), np.uint8),),
            zero,
            zero,
            zero.astype(int),
            asks=("home", "end"),
            analysis=analysis,
        )


@pytest.fixture(autouse=True)
def display():
    pygame.display.init()
    pygame.display.set_mode((1, 1))
    yield
    pygame.display.quit()


@pytest.fixture
def driver():
    opened = []

    def made(show=None, size=(1280, 800)):
        opened.append(Driver(show or AnalysisShow(), size=size))
        return opened[-1]

    yield made
    for one in opened:
        one.viewer.close()


def at_ply(driver, ply):
    driver.until(lambda: driver.view.moment.analysis.ply == ply)


def test_the_keys_step_and_nothing_moves_by_itself(driver):
    window = driver()
    assert window.choices.paused
    for key, ply in ((pygame.K_RIGHT, 1), (pygame.K_RIGHT, 2), (pygame.K_LEFT, 1), (pygame.K_END, 5)):
        window.press(key)
        at_ply(window, ply)
    window.press(pygame.K_HOME)
    at_ply(window, 0)
    assert window.show.gestures[-1] == ("key", "home", False)
    window.press(pygame.K_RIGHT, mod=pygame.KMOD_SHIFT)
    window.until(lambda: window.show.gestures[-1] == ("key", "right", True))
    assert window.view.newest == 0  # one moment, drawn again


def test_space_plays_the_game_through(driver):
    window = driver()
    window.press(pygame.K_SPACE)
    at_ply(window, 5)
    window.press(pygame.K_LEFT)  # from the newest, whatever has been remembered
    at_ply(window, 4)
    assert window.choices.paused


def test_a_click_on_a_move_the_graph_or_the_track_goes_there(driver):
    window = driver()
    panels, ink = window.layout().panels, window.viewer.ink
    analysis = window.view.moment.analysis
    moves = inside_of(panels[layout.GAME_MOVES], ink)
    for ply in (3, 2):
        rect = analysis_panels._cells(moves, ink, analysis)[ply]
        window.click(rect.center)
        at_ply(window, ply)
    graph = inside_of(panels[layout.GRAPH], ink)
    window.click((graph.right - 2, graph.centery))
    at_ply(window, 5)
    track = window.layout().scrubber
    window.click((track.left + track.width * 2 // 5, track.centery))
    at_ply(window, 2)
    window.click((track.left, track.centery))
    at_ply(window, 0)
    assert window.view.moment.analysis.ply == 0


def test_positions_on_the_track_and_back(driver):
    analysis = AnalysisShow().look().analysis
    track = pygame.Rect(100, 0, 401, 10)
    assert [hud.ply_at(track, x, analysis) for x in (0, 100, 300, 340, 500, 900)] == [0, 0, 2, 3, 5, 5]


def test_the_panels_say_what_network_and_search_think(driver, monkeypatch):
    written = writing(monkeypatch)
    window = driver()
    for _ in range(3):
        window.press(pygame.K_RIGHT)
    at_ply(window, 3)
    written.clear()
    window.viewer.draw()
    assert "Anand – Short  1–0" in written
    assert "2. Qh5?? · blunder, −35 points" in written
    assert "20 %, 3rd · favourite Nf3 50 %" in written
    assert "Nc3 Nf6" in written and "White 50 % → 15 %" in written
    assert "15 %" in written  # the graph's note
    assert "Qh5??" in written and "Ke7" in written  # the list
    assert "12.0 %" in written and "3 / 5" in written and "ANALYSIS" in written


def test_what_is_not_analysed_yet_is_said(driver, monkeypatch):
    written = writing(monkeypatch)
    window = driver(AnalysisShow("analysing … 2 of 6 positions", analysed=0))
    window.press(pygame.K_RIGHT)
    at_ply(window, 1)
    written.clear()
    window.viewer.draw()
    assert "1. e4 · not analysed yet" in written and "analysing … 2 of 6 positions" in written


@pytest.mark.parametrize("size", [(480, 360), (640, 480), (1920, 1080)])
def test_it_is_drawn_at_any_size(driver, size):
    window = driver(size=size)
    surface = window.viewer.draw()
    pieces = [rect for rect in window.layout().panels.values()]
    assert surface.get_size() == size
    assert all(surface.get_rect().contains(rect) for rect in pieces)


def test_the_help_names_the_keys_and_nobody_plays(driver, monkeypatch):
    written = writing(monkeypatch)
    window = driver()
    window.press(pygame.K_m)
    assert "nobody plays" in window.choices.message and not window.choices.person
    window.press(pygame.K_h)
    window.viewer.draw()
    assert "Home  End" in written and "Next game of the file; previous with Shift" in written
    assert "Restart; with a new seed" not in written

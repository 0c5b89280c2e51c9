"""Players for tests of the chess board: scripted, slow, failing, and a game to seat them at."""

import threading
import time

import chess
import numpy as np
import pygame

from scenes.watching.board.game import BoardGame
from scenes.watching.board.players import Roster, Thought
from sim.chess.rules.encoding import ACTIONS
from sim.chess.world import Chess
from sim.records import Decision
from sim.viewer.app.controls import Controls
from sim.viewer.app.viewer import Viewer
from sim.viewer.draw import layout
from sim.viewer.overlays import world_picture
from sim.viewer.panels import panels


def scripted(*moves):
    """Plays the first of these moves in UCI that is legal, else the first legal move; None resigns.

    Where none is legal at its first turn, it breaks the rules by the first of them. However often it is asked
    of a position, its answer is the same: a search may be cancelled and begun anew.
    """

    def think(game, generator):
        legal = game.legal_actions().tolist()
        actions = [None if move is None else game.action(move) for move in moves]
        otherwise = actions[0] if actions and game.board.fullmove_number == 1 else legal[0]
        yield Thought(next((action for action in actions if action is None or action in legal), otherwise))

    return think


class Endless:
    """Searches until it is stopped; `thoughts` counts, `open` says how many searches are in progress."""

    def __init__(self):
        self.thoughts, self.open, self.begun = 0, 0, threading.Event()

    def ponder(self, game):
        legal = game.legal_actions()
        self.open += 1
        try:
            while True:
                self.thoughts += 1
                visits = np.zeros((1, ACTIONS), np.int64)
                visits[0, legal[:4]] = np.array([4, 3, 2, 1]) * self.thoughts
                line = (int(legal[0]),)
                yield Decision(legal[:1], visits=visits, wdl=np.array([[0.5, 0.3, 0.2]]), lines=(line,))
                self.begun.set()
                time.sleep(0.001)
        finally:
            self.open -= 1


def failing(game, generator):
    """Raises instead of thinking."""
    raise RuntimeError("the engine died")
    yield


def board_game(think=None, *, person=True, opponent="random", rival="Fake", now=time.monotonic, **fields):
    """A game at the board against a player named "Fake"."""
    roster = Roster("Fake", think or scripted(), Chess(**fields).start)
    game = BoardGame(Chess(**fields), roster, opponent=opponent, rival=rival, now=now)
    game.reseed(0)
    game.begin()
    game.set_person(person)
    return game


class Window:
    """A viewer on a show, with hands: keys and clicks as pygame gives them, and a clipboard."""

    def __init__(self, show, *, size=(1280, 800), person=True, clock=time.monotonic):
        self.show = show
        self.viewer = Viewer(show, size=size, person=person, clock=clock)
        self.controls = Controls(self.viewer)
        self.viewer.open()
        self.until(lambda: self.viewer.view.moment is not None)

    def until(self, condition, seconds=5.0):
        end = time.monotonic() + seconds
        self.viewer.advance()
        while not condition():
            assert time.monotonic() < end, f"it never happened: {self.viewer.choices.message}"
            self.viewer.simulation.wait_for_news(0.01)
            self.viewer.advance()

    def press(self, key, mod=0, unicode=""):
        for kind in (pygame.KEYDOWN, pygame.KEYUP):
            self.controls.handle(pygame.Event(kind, key=key, mod=mod, unicode=unicode))

    def click(self, at):
        for kind in (pygame.MOUSEBUTTONDOWN, pygame.MOUSEBUTTONUP):
            self.controls.handle(pygame.Event(kind, button=1, pos=at))

    def drag(self, start, end):
        for kind, square in (
            (pygame.MOUSEBUTTONDOWN, start),
            (pygame.MOUSEMOTION, end),
            (pygame.MOUSEBUTTONUP, end),
        ):
            self.controls.handle(pygame.Event(kind, button=1, pos=self.at(square)))

    def move(self, start, end):
        self.click(self.at(start))
        self.click(self.at(end))

    def at(self, square):
        """The middle of a square in the window."""
        view = self.viewer.view
        height, width = view.moment.pictures[0].shape[:2]
        rect = world_picture.place((width, height), self.viewer.layout().world)
        left, top, side = view.moment.board.corner(chess.parse_square(square))
        return round(rect.left + left + side / 2), round(rect.top + top + side / 2)

    def on_moves(self, find):
        """`find(inside, ink)` on the inside of the moves panel."""
        rect = self.viewer.layout().panels[layout.MOVES]
        return find(panels.inside_of(rect, self.viewer.ink), self.viewer.ink)

    @property
    def board(self):
        return self.viewer.view.moment.board

    @property
    def message(self):
        return self.viewer.choices.message

    @property
    def sans(self):
        return [move.san for move in self.viewer.view.game.moves]

    def played(self, *sans):
        """Wait until these moves have been played."""
        self.until(lambda: self.sans == list(sans))

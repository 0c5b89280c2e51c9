"""Shows for the viewer's tests: what each moment contains follows from its number."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import numpy as np
import pygame

from sim.chess.rules.game import ChessGame
from sim.chess.world import Chess
from sim.records import Decision, Episode
from sim.viewer.app.controls import Controls
from sim.viewer.app.viewer import Viewer
from sim.viewer.contract.gesture import Ability, Answer
from sim.viewer.contract.moment import Moment
from sim.viewer.contract.robot import ForceArrow, JointTorque, RobotState
from sim.viewer.draw.theme import PALETTE, Ink

PROBABILITIES = np.array([[0.5, 0.25, 0.2, 0.05]])


def writing(monkeypatch):
    """Every text that is written from now on, in order."""
    return writings(monkeypatch, lambda text, at, color, rect: text)


def writings(monkeypatch, noted):
    """`noted(text, at, color, rect)` of every text that is written from now on, in order."""
    written = []
    write = Ink.write

    def spy(self, surface, text, at, color=PALETTE.text, *rest, **named):
        rect = write(self, surface, text, at, color, *rest, **named)
        written.append(noted(text, at, color, rect))
        return rect

    monkeypatch.setattr(Ink, "write", spy)
    return written


class CountingShow:
    """Moment n has pictures filled with n % 256, reward 1 every tenth step, episodes of 50 steps."""

    title = "Counting"
    agent = "PPO"
    training = "1.0 M steps"
    protocol = "none"
    action_names = ("NOOP", "FIRE", "RIGHT", "LEFT")
    action_labels = ()
    action_limit = 1.0

    def __init__(self, num_worlds=1, steps_per_second=1000.0, fails_at=None):
        self.num_worlds = num_worlds
        self.steps_per_second = steps_per_second
        self.fails_at = fails_at
        self.seeds = []  # of every start
        self.persons = []  # what each step was told
        self.threads = set()
        self.closed = 0
        self._number = -1
        self._length = 0
        self._score = 0.0

    def start(self, seed):
        self.seeds.append(seed)
        self._length, self._score = 0, 0.0
        return self._moment(0.0, None, ())

    def step(self, person, *, drawn=True):
        self.persons.append(person)
        if self.fails_at is not None and len(self.persons) >= self.fails_at:
            raise RuntimeError("the emulator fell over")
        self._length += 1
        reward = float(self._length % 10 == 0)
        self._score += reward
        episodes = ()
        if self._length == 50:
            episodes = (Episode(self._score, self._length),) * self.num_worlds
            self._length, self._score = 0, 0.0
        return self._moment(reward, person, episodes)

    def close(self):
        self.closed += 1

    def _moment(self, reward, person, episodes):
        self.threads.add(threading.current_thread().name)
        self._number += 1
        worlds = self.num_worlds
        picture = np.full((40, 32, 3), self._number % 256, np.uint8)
        return Moment(
            pictures=(picture,) * worlds,
            reward=np.full(worlds, reward),
            score=np.full(worlds, self._score),
            length=np.full(worlds, self._length),
            decision=Decision(
                np.full(worlds, 2), np.repeat(PROBABILITIES, worlds, 0), value=np.full(worlds, 0.5)
            ),
            actions=None if self._length == 0 else np.full(worlds, 2 if person is None else person),
            person=person is not None,
            episodes=episodes,
        )


ROBOT = RobotState(
    ("left", "right"),
    (True, False),
    (ForceArrow((0.5, 0.8), (0.5, 0.6), 250.0),),
    (JointTorque("knee", (0.5, 0.5), -80.0, -0.8), JointTorque("hip", (0.5, 0.3), 100.0, 1.0)),
    None,
    232.0,
    0.1,
    100.0,
)


class RobotShow(CountingShow):
    """Left foot on the ground in the first half of every 20 steps, the right one in the second."""

    abilities = frozenset({Ability.ORBIT, Ability.FOLLOW, Ability.ROBOT})
    state = ROBOT
    waits = False
    action_names = ()

    def __init__(self, **options):
        super().__init__(**options)
        self.gestures = []

    def touch(self, gesture):
        if gesture.kind != "resize":
            self.gestures.append(gesture)
        return Answer()

    def look(self):
        raise AssertionError("nothing has changed")

    def _moment(self, reward, person, episodes):
        moment = super()._moment(reward, person, episodes)
        left = self._number % 20 < 10
        return replace(moment, robot=replace(self.state, touching=(left, not left)))

    def told(self):
        return [(g.kind, g.on or g.name or g.x) for g in self.gestures]


class Script:
    """A chess opponent that plays given moves, then the first legal one."""

    def __init__(self, moves):
        self._moves = list(moves)

    def seed(self, seed):
        pass

    def act(self, obs, info, memory=None, *, greedy=False):
        game: ChessGame = info["games"][0]
        action = game.action(self._moves.pop(0)) if self._moves else int(game.legal_actions()[0])
        return Decision(np.array([action])), None


class BoardShow:
    """One chess world; the agent plays the first legal move, a person whatever they like."""

    title, agent, training, protocol = "Board", "first", "", "none"
    action_names = action_labels = ()
    action_limit, num_worlds = 1.0, 1

    def __init__(self, replies=(), rate=20.0, **fields):
        self.steps_per_second = rate
        self.persons = []
        self.world = Chess(**fields).make(0, Script(replies))
        self.renderer = self.world.interactive_renderer()
        self.abilities = self.renderer.abilities
        self._person = False
        self._last = None

    @property
    def waits(self):
        return self._person

    def start(self, seed):
        self.world.reset(seed=seed)
        return self._moment()

    def step(self, person, *, drawn=True):
        self.persons.append(person)
        action = self.world.game.legal_actions()[0] if person is None else person
        self.world.step(int(action))
        return self._moment(person is not None)

    def touch(self, gesture):
        if gesture.kind == "person":
            self._person = gesture.on
        return self.renderer.touch(gesture)

    def look(self):
        return self._drawn(self._last)

    def close(self):
        self.world.close()

    def _moment(self, person=False):
        self.renderer.note()
        number = np.full(1, float(len(self.persons)))
        self._last = Moment((), number * 0, number * 0, number.astype(int), person=person)
        return self._drawn(self._last)

    def _drawn(self, moment):
        renderer = self.renderer
        return replace(moment, pictures=(renderer.draw(),), asks=renderer.asks, caption=renderer.caption)


class Driver:
    """A viewer and hands: presses are posted to pygame and read back from it."""

    def __init__(self, show, size=(1280, 800), **options):
        self.show, self.size = show, size
        self.viewer = Viewer(show, size=size, **options)
        self.controls = Controls(self.viewer)
        self.viewer.open()
        self.until(lambda: self.viewer.view.moment is not None)

    def until(self, condition, seconds=5.0):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it never happened"
            self.viewer.advance()
            self.viewer.simulation.wait_for_news(0.001)  # no more: workers have news as well
        self.viewer.advance()

    def post(self, kind, **fields):
        pygame.event.post(pygame.Event(kind, **fields))
        for event in pygame.event.get():
            self.controls.handle(event)

    def press(self, *keys, mod=0, release=True):
        for key in keys:
            self.post(pygame.KEYDOWN, key=key, mod=mod)
            if release:
                self.post(pygame.KEYUP, key=key, mod=mod)

    def click(self, at):
        self.post(pygame.MOUSEBUTTONDOWN, button=1, pos=at)
        self.post(pygame.MOUSEBUTTONUP, button=1, pos=at)

    def layout(self):
        return self.viewer.layout()

    @property
    def choices(self):
        return self.viewer.choices

    @property
    def view(self):
        return self.viewer.view

    def settle(self):
        """Wait until the simulation steps no more: paused, or a person's turn."""
        assert self.viewer.simulation.wait_until_idle(5.0)

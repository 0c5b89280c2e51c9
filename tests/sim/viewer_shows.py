"""Shows for the viewer's tests: what each moment contains follows from its number."""

from __future__ import annotations

import threading
import time

import numpy as np

from sim.records import Decision, Episode
from sim.viewer.show import Moment

PROBABILITIES = np.array([[0.5, 0.25, 0.2, 0.05]])


class CountingShow:
    """Moment n has pictures filled with n % 256, reward 1 every tenth step, episodes of 50 steps."""

    title = "Counting"
    agent = "PPO"
    training = "1.0 M steps"
    protocol = "none"
    action_names = ("NOOP", "FIRE", "RIGHT", "LEFT")

    def __init__(self, num_worlds=1, steps_per_second=1000.0, delay=0.0, fails_at=None):
        self.num_worlds = num_worlds
        self.steps_per_second = steps_per_second
        self.delay = delay
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

    def step(self, person):
        self.persons.append(person)
        if self.delay:
            time.sleep(self.delay)
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

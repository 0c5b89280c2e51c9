"""Worlds that cost nothing: one that dies when it is told to, and one that presses Ctrl-C."""

import signal

import gymnasium
import numpy as np


class Mortal(gymnasium.Env):
    """Walks left or right; breaks down with `fault` once all worlds together have made `left` steps."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)
    fault: Exception | None = None
    left = 0

    @classmethod
    def dies(cls, fault, after):
        """Raise `fault` once `after` more steps have been made; None: live on."""
        cls.fault, cls.left = fault, after

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = self.np_random.normal()
        return np.float32([self.place]), {}

    def step(self, action):
        Mortal.left -= 1
        if Mortal.fault is not None and Mortal.left < 0:
            raise Mortal.fault
        self.place += 2 * int(action) - 1
        return np.float32([self.place]), float(self.place > 0), bool(abs(self.place) > 3), False, {}


gymnasium.register("tests/Mortal-v0", entry_point=Mortal, max_episode_steps=20)


class Pressed(gymnasium.Env):
    """Gives what Ctrl-C gives at step `at` of all worlds together."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)
    at = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        Pressed.at -= 1
        if Pressed.at == 0:
            signal.raise_signal(signal.SIGINT)
        return np.zeros(1, np.float32), 0.0, False, False, {}


gymnasium.register("tests/Pressed-v0", entry_point=Pressed, max_episode_steps=20)

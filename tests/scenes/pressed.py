"""A world that presses Ctrl-C, ``gym/tests/Pressed-v0``."""

import signal

import gymnasium
import numpy as np


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

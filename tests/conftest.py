"""Configuration of all tests: one torch thread, because two spinning thread pools on two cores crawl.

It also registers a world that only tests use: ``gym/tests/Masked-v0``.
"""

import gc
import os
import sys

# Bytecode is kept, here and in processes that tests start: to compile all modules and to rewrite all tests'
# assertions anew, in each of pytest's processes, takes as long as hundreds of tests.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")

import tempfile  # noqa: E402

#: Data sets made by one test serve the next, in both of pytest's processes; the user's own are left alone.
if "PYTEST_XDIST_WORKER" not in os.environ:
    _cache = tempfile.TemporaryDirectory(prefix="playfield-tests-")
    os.environ["PLAYFIELD_CACHE"] = _cache.name
#: Hypothesis parses every module for constants, in both processes: what it has found serves the next run.
os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = os.path.abspath(f"{__file__}/../../.pytest_cache/hypothesis")

import gymnasium  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402
from gymnasium.spaces import Box, Discrete  # noqa: E402

from sim.vector import ActionError  # noqa: E402

ACTIONS = 5


class Masked(gymnasium.Env):
    """Name the lit one of five actions, some of which are illegal; illegal ones are refused.

    Observations (10,) float32: which actions are legal, then which one is lit (always a legal one).
    Reward 1 for the lit action, else 0. After each step the episode ends with probability 0.15; it
    is cut after 12 steps.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}

    def __init__(self, render_mode=None):
        self.render_mode = render_mode
        self.observation_space = Box(0.0, 1.0, (2 * ACTIONS,), np.float32)
        self.action_space = Discrete(ACTIONS)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._deal()

    def step(self, action):
        if not self._mask[action]:
            raise ActionError(f"action {action} is not legal")
        reward = float(action == self._lit)
        terminated = bool(self.np_random.random() < 0.15)
        obs, info = self._deal()
        return obs, reward, terminated, False, info

    def render(self):
        shades = 120 * self._mask + 100 * (np.arange(ACTIONS) == self._lit)
        return np.repeat(np.uint8(shades)[None, :, None], 3, axis=2)

    def _deal(self):
        self._mask = self.np_random.random(ACTIONS) < 0.5
        self._lit = int(self.np_random.integers(ACTIONS))
        self._mask[self._lit] = True
        lit = np.arange(ACTIONS) == self._lit
        return np.concatenate([self._mask, lit]).astype(np.float32), {"action_mask": self._mask.copy()}


gymnasium.register("tests/Masked-v0", entry_point=Masked, max_episode_steps=12)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Garbage is looked for among what tests make, not among all that their collection imports."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture
def masked_world():
    """The catalogue name of a small world with `action_mask`; random play earns about 0.4 a step."""
    return "gym/tests/Masked-v0"

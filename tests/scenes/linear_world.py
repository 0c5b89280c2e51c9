"""A tiny world that is a model: linear dynamics in one dimension, loaded from a checkpoint's folder."""

from dataclasses import dataclass
from pathlib import Path

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete

from sim.storage.checkpoints import check_fits, load_checkpoint, make_card, save_checkpoint
from sim.vector import EnvWorlds

LONGEST = 12  # steps of an episode
GAMES = ("slide", "drift")


def save(folder, weights=None, kind="world", name="linear"):
    """A checkpoint of x ← a x + b·action; by default one that the actions steer."""
    weights = weights or {"a": np.float32([0.9]), "b": np.float32([-0.5, 0.5])}
    save_checkpoint(folder, make_card(kind, name, {}, seed=0, trained={"updates": 1}), weights)
    return folder


class LinearEnv(gymnasium.Env):
    """Keep x near 0; reward −|x|, terminated where |x| > 2, truncated after `LONGEST` steps."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}
    render_mode = "rgb_array"
    action_names = ("LEFT", "RIGHT")

    def __init__(self, weights, seed):
        self.observation_space = Box(-10.0, 10.0, (1,), np.float32)
        self.action_space = Discrete(2)
        self._weights, self._first = weights, seed

    def reset(self, *, seed=None, options=None):
        super().reset(seed=self._first if seed is None else seed)
        self._first = None
        self._x, self._steps = self.np_random.uniform(-1, 1, 1).astype(np.float32), 0
        return self._x.copy(), {}

    def step(self, action):
        self._x = np.float32(self._weights["a"] * self._x + self._weights["b"][action])
        self._steps += 1
        lost = bool(abs(self._x[0]) > 2)
        return self._x.copy(), -float(abs(self._x[0])), lost, not lost and self._steps >= LONGEST, {}

    def render(self):
        picture = np.zeros((24, 32, 3), np.uint8)
        picture[:, int(np.clip(16 + 8 * self._x[0], 0, 31))] = 255
        return picture


@dataclass(frozen=True)
class Linear:
    game: str
    checkpoint: str

    @staticmethod
    def variants():
        return list(GAMES)

    @property
    def name(self):
        return f"linear/{self.game}"

    def loaded(self):
        found = load_checkpoint(Path(self.checkpoint))
        check_fits(found, kind="world", name="linear")
        return found

    def make(self, seed):
        return LinearEnv(self.loaded().weights, seed)

    def make_batch(self, num_envs, seed):
        weights = self.loaded().weights
        return EnvWorlds([lambda: LinearEnv(weights, None) for _ in range(num_envs)], seed)

    def protocol(self):
        return {"world": self.name, "weights": self.loaded().card["weights"]["sha256"]}

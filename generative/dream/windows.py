"""Training examples of world models: windows of consecutive frames and actions, with their noise."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from generative.dream.denoiser import CONTEXT_NOISE, OUTCOMES, SELF_FED, SIGMA_MAX, SIGMA_MIN
from sim.records import Array
from supervised.data.dataset import Dataset


class Windows:
    """Windows of S + L + 1 frames; the last one is to be predicted. Satisfies `supervised.fit.Examples`."""

    def __init__(self, data: Dataset, length: int, noise: tuple[int, int, int]) -> None:
        """Prepare.

        Args:
            data: of `generative.data.gameplay`.
            length: L, frames of a context.
            noise: channels, height and width of a map.

        Raises:
            ValueError: if it has no actions, or no window of that length.
        """
        if "actions" not in data or "order" not in data:
            raise ValueError(
                "a world model learns from frames in order with their actions, which these data lack"
            )
        self._values, self._length, self._noise = data.values_by_row, length, noise
        self._actions, self._rewards = data["actions"], np.sign(data["rewards"]).astype(np.int64)
        self._ended = np.asarray(data["terminated"])
        self._rows = data.windows(SELF_FED + length + 1)
        if not len(self._rows):
            raise ValueError(f"no episode is as long as {SELF_FED + length + 1} frames")

    def __len__(self) -> int:
        """How many windows."""
        return len(self._rows)

    def batch(self, rows: Array, generator: np.random.Generator) -> Mapping[str, Array]:
        """Windows with noise; S = `SELF_FED`.

        | name | shape | is |
        |---|---|---|
        | ``frames`` | (N, S + L + 1, H, W) uint8 | classes of pixels |
        | ``actions`` | (N, S + L) int64 | the one at place i leads from frame i to frame i + 1 |
        | ``outcome`` | (N,) int64 | index into `OUTCOMES` of the last step's reward |
        | ``ended`` | (N,) float32 | whether the last step ended the episode |
        | ``sigma``, ``noise`` | (N,), (N, C, h, w) float32 | of the frame to be predicted |
        | ``level`` | (N,) float32 | σ of the context; 0 in the second half of the rows |
        """
        at = self._rows[rows]
        n, step = len(at), at[:, -2]
        frames = self._values[at.ravel()]
        part = (generator.permutation(n) + generator.random(n)) / n  # stratified
        level = CONTEXT_NOISE * generator.random(n) * (np.arange(n) < n // 2)
        return {
            "frames": frames.reshape(*at.shape, *frames.shape[1:]),
            "actions": self._actions[at[:, :-1]],
            "outcome": self._rewards[step] + OUTCOMES.index(0.0),
            "ended": self._ended[step].astype(np.float32),
            "sigma": (SIGMA_MIN * np.exp(part * math.log(SIGMA_MAX / SIGMA_MIN))).astype(np.float32),
            "noise": generator.standard_normal((n, *self._noise), np.float32),
            "level": level.astype(np.float32),
        }

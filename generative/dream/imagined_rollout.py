"""Imagined rollouts: N episodes dreamed by a world model side by side, one forward pass a step for all.

Ha and Schmidhuber 2018, "World Models", section 4; Alonso et al. 2024, "Diffusion for World Modeling",
algorithm 1. Each row has random generators of its own, so that it does not depend on the rows beside it, and
its whole state can be copied.

Does not know: gymnasium, how frames become pictures, who acts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch

from generative.diffusion.sampling import generators
from sim.records import Array


class FrameModel(Protocol):
    """A world model as a rollout uses it: the next frame, reward and end from the last frames and actions."""

    def next_frames(
        self, context: Array, actions: Array, *, steps: int, generator: Sequence[torch.Generator]
    ) -> tuple[Array, Array, Array]:
        """Dream one step of N worlds.

        Args:
            context: (N, L, …) uint8 the last frames, oldest first.
            actions: (N, L) int64; the one at place l followed frame l of the context.
            steps: denoising steps.
            generator: N, of the noise.

        Returns:
            Frames (N, …) uint8, reward (N,) float32, ended (N,) bool. Where the network gave no finite
            number, the reward is NaN.
        """


class RowState(NamedTuple):
    """Whole state of one row, to be restored in any other of the same model."""

    context: Array
    actions: Array
    noise: torch.Tensor
    steps: int


class DreamedStep(NamedTuple):
    """Result of a step of N rows.

    Attributes:
        frames: (N, …) uint8.
        reward: (N,) float64; 0 where `broken`.
        ended: (N,) bool, by the model.
        broken: (N,) bool: the network gave NaN or infinity, and the frame is the last one again.
    """

    frames: Array
    reward: Array
    ended: Array
    broken: Array


class ImaginedRollouts:
    """N rollouts of one world model.

    Attributes:
        context: (N, L, …) uint8 the last frames of each, oldest first.
        steps_taken: (N,) since each was started.
        denoising_steps: of every frame; may be changed between two steps.
    """

    def __init__(self, model: FrameModel, rows: int, shape: tuple[int, ...], denoising_steps: int) -> None:
        """Make `rows` rollouts, which `start` fills.

        Args:
            model: dreams.
            rows: N.
            shape: (L, …) of a context.
            denoising_steps: see `ImaginedRollouts`.
        """
        self._model = model
        self.denoising_steps = denoising_steps
        self.context = np.zeros((rows, *shape), np.uint8)
        self.steps_taken = np.zeros(rows, np.int64)
        self._actions = np.zeros((rows, shape[0]), np.int64)
        self._noise = [torch.Generator() for _ in range(rows)]

    def seed(self, row: int, seed: int) -> None:
        """Start the noise of a row anew."""
        self._noise[row] = generators(seed, 0, 1)[0]

    def start(self, row: int, context: Array, actions: Array) -> None:
        """Start a row from frames (L, …) uint8 and the L − 1 actions between them."""
        self.context[row] = context
        self._actions[row, :-1] = actions
        self.steps_taken[row] = 0

    def step(self, actions: Array) -> DreamedStep:
        """Dream one step of all rows; `actions` (N,) int64 are those in their last frames."""
        self._actions[:, -1] = actions
        frames, reward, ended = self._model.next_frames(
            self.context, self._actions, steps=self.denoising_steps, generator=self._noise
        )
        broken = ~np.isfinite(reward)
        frames = np.where(broken.reshape(-1, *[1] * (frames.ndim - 1)), self.context[:, -1], frames)
        self.context = np.concatenate([self.context[:, 1:], frames[:, None]], axis=1)
        self._actions[:, :-1] = self._actions[:, 1:]
        self.steps_taken += 1
        return DreamedStep(frames, np.where(broken, 0.0, reward).astype(np.float64), ended & ~broken, broken)

    def state(self, row: int) -> RowState:
        """A copy of one row."""
        context, actions = self.context[row].copy(), self._actions[row].copy()
        return RowState(context, actions, self._noise[row].get_state(), int(self.steps_taken[row]))

    def restore(self, row: int, state: RowState) -> None:
        """Bring one row to a copied state."""
        self.context[row], self._actions[row] = state.context, state.actions
        self._noise[row] = torch.Generator()
        self._noise[row].set_state(state.noise)
        self.steps_taken[row] = state.steps

"""A world model of Pong without a network: the last frame moves on by a pixel or two, down by the action."""

import numpy as np
import torch

from generative.dream.world_model import DiffusionWorldModel, DiffusionWorldModelConfig

TINY = DiffusionWorldModelConfig(channels=(8,), layers=1, fold=8)
FIRE = 1


class DriftModel(DiffusionWorldModel):
    """Tests set its `reward`, which is drawn otherwise, and `broken_at`, an action without a finite frame."""

    reward = None
    broken_at = -1

    def __init__(self):
        super().__init__(TINY)

    def next_frames(self, context, actions, *, steps=None, generator):
        drawn = [torch.randint(8, (2,), generator=own).tolist() for own in generator]
        shifts = [(int(a), 1 + d[0] % 2) for a, d in zip(actions[:, -1], drawn, strict=True)]
        frames = np.stack([np.roll(c[-1], shift, (0, 1)) for c, shift in zip(context, shifts, strict=True)])
        reward = np.array([d[1] // 7 if self.reward is None else self.reward for d in drawn], np.float32)
        broken = actions[:, -1] == self.broken_at
        return frames, np.where(broken, np.nan, reward), np.zeros(len(frames), bool)

"""A policy whose memory counts the steps of each episode, and notices when nobody reset it."""

from __future__ import annotations

import numpy as np

from agents.random import RandomPolicy


class StepCounter(RandomPolicy):
    """Acts at random in `worlds`; its memory (N, 1) is the number of its calls in each episode.

    Attributes:
        checked: how many rows of a memory were held against the worlds' own count.
    """

    def __init__(self, worlds):
        super().__init__(worlds.single_action_space, 0)
        self.worlds, self.checked = worlds, 0

    def act(self, obs, info, memory=None, *, greedy=False):
        before = np.zeros((len(obs), 1)) if memory is None else memory
        assert before[:, 0].tolist() == self.worlds.length.tolist(), "it is zero where an episode begins"
        self.checked += len(obs)
        return super().act(obs, info, greedy=greedy)[0], before + 1

"""Frame stacks on the learner's device: of each new observation only the newest frame is copied there.

An observation of S stacked frames shares all but one with the one before it, so a quarter of an Atari game's
bytes is new. The stack on the device loses its oldest frame and gets the new one; where an episode begins,
the frames before are blank, as in the worlds.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from torch import Tensor

from agents.networks.memory_format import push_frame
from sim.records import Array


class Observer(Protocol):
    """Interface of a learner that a `FrameStacks` calls."""

    def tensor(self, array: Array) -> Tensor:
        """Copy an array to the learner's device."""

    def observe(self, obs: Array) -> Tensor:
        """Observations (N, …) as the network takes them."""


class FrameStacks:
    """Newest observations of N worlds, as the network takes them.

    Attributes:
        newest: (N, …) on the learner's device.
    """

    def __init__(self, observer: Observer, frame_stack: int, obs: Array) -> None:
        """Copy whole observations.

        Args:
            observer: copies and arranges.
            frame_stack: S; with one frame, and if observations are no pictures, they are always copied whole.
            obs: (N, …) the first ones.
        """
        self._observer, self._frame_stack = observer, frame_stack
        self.newest = observer.observe(obs)
        self._stacked = frame_stack > 1 and self.newest.dim() == 4

    def step(self, obs: Array, began: Array) -> Tensor:
        """Take up the next observations (N, …); `began` (N,) bool is where they begin an episode."""
        if not self._stacked:
            self.newest = self._observer.observe(obs)
            return self.newest
        self.newest = push_frame(self.newest, self._observer.observe(obs[:, -1:]))
        if began.any():
            channels = self.newest.shape[1]
            older = self.newest[:, : channels - channels // self._frame_stack]
            older.index_fill_(0, self._observer.tensor(np.flatnonzero(began)), 0)
        return self.newest

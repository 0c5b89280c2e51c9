"""Vector environment of walkers with ``backend = "warp"``: `sim.walker.warp.walkers` as all worlds are.

Episodes begin where those of the C engine do, from the same seeds, rounded to float32. There are no pictures:
single worlds, which have some, are the C engine's. What learns from `WarpWorlds` gets arrays of the host; a
learner on the device reads `WarpWorlds.walkers` by DLPack instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from gymnasium.spaces import Box
from gymnasium.utils import seeding

from sim.records import Array, State
from sim.vector import Info, Worlds
from sim.walker.reward import initial_state
from sim.walker.walkers import REASONS, joint_names
from sim.walker.warp.walkers import DeviceWalkers, WarpError

if TYPE_CHECKING:
    from sim.walker.world import Walker

TERMS = ("x_velocity", "reward_forward", "reward_ctrl", "reward_contact", "reward_survive")


class WarpWorlds(Worlds):
    """Vector environment of N walkers on a device; observations (N, D) float64 that were rounded to float32.

    Attributes:
        walkers: the worlds on the device.
    """

    def __init__(self, config: Walker, num_envs: int, seed: int, device: str | None = None) -> None:
        """Make N worlds on Warp's `device`, by default the first GPU, or the CPU.

        Raises:
            WarpError: without MuJoCo Warp.
        """
        body = config.constants
        self.walkers = DeviceWalkers(body, num_envs, config.max_steps, seed, device)
        model = self.walkers.model
        low, high = model.actuator_ctrlrange.astype(np.float32).T
        observed = Box(-np.inf, np.inf, self.walkers.obs.shape[1:], np.float64)
        super().__init__(num_envs, observed, Box(low, high, dtype=np.float32), seed)
        self.action_labels = joint_names(model)
        applies = {"reward_contact": body.contact_weight, "reward_survive": body.healthy_height}
        self._terms = [name for name in TERMS if applies.get(name, 0) is not None]
        names = ("x_position", *self._terms)
        self._info: Info = {name: np.zeros(num_envs) for name in names}
        self._info["reason"] = np.repeat(REASONS[:1], num_envs)
        self._given = np.zeros((num_envs, model.nq)), np.zeros((num_envs, model.nv))

    @classmethod
    def of(cls, config: Walker, num_envs: int, seed: int, starts: object) -> WarpWorlds:
        """Like the constructor; refuses `starts`, which only the C engine begins from.

        Raises:
            WarpError: if there are any, and without MuJoCo Warp.
        """
        if starts is not None:
            raise WarpError('backend = "warp" begins as gymnasium does: set world.backend to "mujoco"')
        return cls(config, num_envs, seed)

    def _reset_rows(self, mask: Array, seeds: Array) -> tuple[Array, Info]:
        walkers = self.walkers
        positions, velocities = self._given
        for row, seed in zip(np.flatnonzero(mask).tolist(), seeds.tolist(), strict=True):
            generator = seeding.np_random(seed)[0]
            positions[row], velocities[row] = initial_state(
                walkers.body, walkers.model.qpos0, walkers.model.nv, generator
            )
        if mask.any():
            walkers.ended.assign(mask)
            walkers.reset(walkers.ended, self._given)
            self._info = {name: value.copy() for name, value in self._info.items()}
            for value in self._info.values():
                value[mask] = np.zeros(1, value.dtype)
            self._info["x_position"][mask] = positions[mask, 0]
        return walkers.obs.numpy().astype(np.float64), dict(self._info)

    def _step_rows(self, actions: Array) -> tuple[Array, Array, Array, Array, Info]:
        self._played.clear()  # `state` needs no actions
        walkers = self.walkers
        walkers.advance(actions)
        terms = walkers.terms.numpy().astype(np.float64)
        info: Info = {"x_position": walkers.data.qpos.numpy()[:, 0].astype(np.float64)}
        info |= {name: terms[:, TERMS.index(name)] for name in self._terms}
        info["reason"] = REASONS[walkers.reason.numpy()]
        self._info = info
        flags = walkers.terminated.numpy().copy(), walkers.truncated.numpy().copy()
        return (
            walkers.obs.numpy().astype(np.float64),
            walkers.reward.numpy().astype(np.float64),
            *flags,
            dict(info),
        )

    def state(self) -> State:
        """What `restore` needs: the seeds, the scores and the physics."""
        self._played.clear()
        self._start[:] = 0
        return super().state() | self.walkers.state()

    def restore(self, state: State) -> tuple[Array, Info]:
        """Bring the batch to where `state` was taken, and return obs and info there."""
        super().restore(state)
        self.walkers.restore(state)
        self._info = {name: np.zeros_like(value) for name, value in self._info.items()}
        self._info["x_position"] = self.walkers.data.qpos.numpy()[:, 0].astype(np.float64)
        return self.walkers.obs.numpy().astype(np.float64), dict(self._info)

"""Batched walkers without seeding or autoreset: N bodies reset, stepped and rewarded together.

`world` wraps this twice, as a batch and as a single environment, so that both are one simulation.
"""

from __future__ import annotations

import numpy as np
from gymnasium.spaces import Box

from sim.records import Array, State
from sim.starts import Starts
from sim.vector import ActionError, Info
from sim.walker.engine import mujoco
from sim.walker.perturbations import Perturbations
from sim.walker.poses import kind_of_fault
from sim.walker.reward import Body, Motion, healthy, initial_state, observe, reward_terms, total
from sim.walker.simulation import Simulation

REASONS = np.array(["", "unhealthy", "time limit", "unstable"])
TOLERANCE = 1e-6  # by which float32 arithmetic may put an action outside its bounds

#: obs (N, D) float64, reward (N,) float64, terminated (N,) bool, truncated (N,) bool, info.
Steps = tuple[Array, Array, Array, Array, Info]


class Walkers:
    """N walkers of one body: simulation, observations, rewards and ends of episodes.

    Args:
        body: which one.
        num: N.
        max_steps: steps after which an episode is truncated.
        threads: how many simulate at once; None: one a processor.
        starts: offers positions (nq,) and velocities (nv,) to begin from; None: as gymnasium begins.
        perturbations: what each episode draws of mass, friction, …; None: nothing.
    """

    def __init__(
        self,
        body: Body,
        num: int,
        max_steps: int,
        threads: int | None = None,
        starts: Starts[tuple[Array, Array]] | None = None,
        perturbations: Perturbations | None = None,
    ) -> None:
        self.body = body
        self.max_steps = max_steps
        self._starts = starts
        self.simulation = Simulation(body, num, threads, perturbations)
        model = self.simulation.model
        obs = observe(body, self.simulation.motion())
        self.observation_space = Box(-np.inf, np.inf, obs.shape[1:], np.float64)
        low, high = model.actuator_ctrlrange.astype(np.float32).T
        self.action_space = Box(low, high, dtype=np.float32)
        self.action_labels = joint_names(model)
        self._obs = np.zeros_like(obs)
        self._x = np.zeros(num)  # m, of the tracked point
        self._elapsed = np.zeros(num, np.int64)
        terms = reward_terms(body, self.simulation.motion(), self._x, np.zeros((num, model.nu)), self._x > 0)
        self._info: Info = {key: np.zeros(num) for key in ("x_position", "x_velocity", *terms)}
        self._info["reason"] = np.repeat(REASONS[:1], num)
        self._info |= self._perturbed()

    def begin(self, rows: Array, generators: list[np.random.Generator]) -> tuple[Array, Info]:
        """Start an episode in the worlds `rows` (K,), each from its own generator.

        Returns the observations (N, D) and info of all N worlds.
        """
        if len(rows) == 0:
            return self._obs.copy(), dict(self._info)
        starts = [self._start(generator) for generator in generators]
        self.simulation.perturb(rows, generators)
        self.simulation.reset(rows, np.stack([s[0] for s in starts]), np.stack([s[1] for s in starts]))
        self._obs[rows] = observe(self.body, self.simulation.motion(rows))
        self._x[rows] = self.simulation.tracked(rows)
        self._elapsed[rows] = 0
        self._info = {key: value.copy() for key, value in self._info.items()}
        for value in self._info.values():
            value[rows] = np.zeros(1, value.dtype)  # no reward yet, and an empty reason
        self._info["x_position"][rows] = self.simulation.qpos[rows, 0]
        self._info |= self._perturbed()
        return self._obs.copy(), dict(self._info)

    def _perturbed(self) -> Info:
        """What the perturbations tell, (N,) each."""
        return {} if self.simulation.perturber is None else dict(self.simulation.perturber.info())

    def _start(self, generator: np.random.Generator) -> tuple[Array, Array]:
        """Where an episode begins: as usual, unless something healthy is offered."""
        model = self.simulation.model
        usual = initial_state(self.body, model.qpos0, model.nv, generator)
        if self._starts is None:
            return usual
        return self._starts(int(generator.integers(2**31)), self._fault) or usual

    def _fault(self, state: tuple[Array, Array]) -> str:
        """Why an episode cannot begin here; "" if it can."""
        qpos, qvel = state
        if not (np.isfinite(qpos).all() and np.isfinite(qvel).all()):
            return "not finite"
        if not healthy(self.body, Motion(qpos[None], qvel[None]))[0]:
            return "unhealthy"
        return kind_of_fault(self.simulation.model, qpos)

    def advance(self, actions: Array) -> Steps:
        """Step all N worlds under `actions` (N, motors) float32 from `checked`."""
        simulation = self.simulation
        unstable = simulation.step(actions)
        self._elapsed += 1
        motion, x = simulation.motion(), simulation.tracked()
        with np.errstate(all="ignore"):  # what is not finite is dealt with below
            obs, well = observe(self.body, motion), healthy(self.body, motion)
            velocity = (x - self._x) / simulation.dt
            terms = reward_terms(self.body, motion, velocity, actions, well)
            reward = total(terms)
        info = {"x_position": motion.qpos[:, 0].copy(), "x_velocity": velocity, **terms}
        truncated = self._elapsed >= self.max_steps
        if unstable.any() or not (np.isfinite(obs).all() and np.isfinite(reward).all()):
            unstable |= ~(np.isfinite(obs).all(axis=1) & np.isfinite(reward))
            well |= unstable
            truncated |= unstable
            obs[unstable], reward[unstable] = self._obs[unstable], 0.0
            for value in info.values():
                value[unstable] = 0.0
        info |= self._perturbed()
        info["reason"] = np.repeat(REASONS[:1], len(well))
        if not well.all() or truncated.any():
            info["reason"][:] = REASONS[np.where(unstable, 3, np.where(well, np.where(truncated, 2, 0), 1))]
        self._obs, self._x, self._info = obs, x, info
        return obs.copy(), reward, ~well, truncated, dict(info)

    def checked(self, actions: Array) -> Array:
        """`actions` (N, motors) as float32, without what rounding put outside the bounds.

        Raises:
            ActionError: naming the first world, joint and bound of an action that is not inside.
        """
        low, high = self.action_space.low, self.action_space.high
        within = np.minimum(np.maximum(actions, low), high)
        inside = np.abs(actions - within) <= TOLERANCE  # False for not-a-number
        if not inside.all():
            world, motor = (int(k) for k in np.argwhere(~inside)[0])
            raise ActionError(
                f"world {world}: action {actions[world, motor]:g} for {self.action_labels[motor]} "
                f"is not in {low[motor]:g}…{high[motor]:g}; clip it first"
            )
        return np.asarray(within, np.float32)

    def state(self) -> State:
        """State of all worlds; `restore` goes on from there to the last bit."""
        return {
            **self.simulation.state(),
            "obs": self._obs.copy(),
            "x": self._x.copy(),
            "elapsed": self._elapsed.copy(),
        }

    def restore(self, state: State) -> tuple[Array, Info]:
        """Go back to a `state`; returns obs and info there, of which rewards and reasons are blank.

        Raises:
            ValueError: if it belongs to another body or number of worlds.
        """
        self.simulation.restore(state)
        self._obs, self._x = np.array(state["obs"]), np.array(state["x"])
        self._elapsed = np.array(state["elapsed"], np.int64)
        self._info = {key: np.zeros_like(value) for key, value in self._info.items()}
        self._info["x_position"] = self.simulation.qpos[:, 0].copy()
        self._info |= self._perturbed()
        return self._obs.copy(), dict(self._info)


def joint_names(model: mujoco.MjModel) -> tuple[str, ...]:
    """Name of the joint that each motor drives: ``thigh_left_joint`` is ``thigh left``."""
    joints = [model.joint(int(joint)).name for joint in model.actuator_trnid[:, 0]]
    return tuple(name.removesuffix("_joint").replace("_", " ") for name in joints)

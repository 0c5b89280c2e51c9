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
from sim.walker.simulation import ALL, Simulation

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
        self.simulation = self._simulate(num, threads, perturbations)
        self.home = self.simulation.model.qpos0
        self.action_space, self.action_labels = self._describe_actions()
        obs = self._observe()
        self.observation_space = Box(-np.inf, np.inf, obs.shape[1:], np.float64)
        self._obs = np.zeros_like(obs)
        self._x = np.zeros(num)  # m, of the tracked point
        self._elapsed = np.zeros(num, np.int64)
        self._info: Info = {key: np.zeros(num) for key in ("x_position", "x_velocity", *self._terms())}
        self._info["reason"] = np.repeat(REASONS[:1], num)
        self._info |= self._perturbed()

    # What a task of its own does otherwise; see `sim.walker.tasks.task`

    def _simulate(self, num: int, threads: int | None, perturbations: Perturbations | None) -> Simulation:
        """The physics of `num` worlds."""
        return Simulation(self.body, num, threads, perturbations)

    def _places(self, rows: Array | slice = ALL) -> Array:
        """(K,) m along x, for info."""
        return np.array(self.simulation.qpos[rows, 0])

    def speed(self, world: int) -> float:
        """Velocity of one world's torso along x, m/s; negative is backwards."""
        return float(self.simulation.qvel[world, 0])

    def torques(self, world: int) -> Array:
        """(motors,) N·m that the motors of one world put on their joints."""
        model = self.simulation.model
        low, high = model.actuator_ctrlrange.T
        gear = model.actuator_gear[:, 0] * self.simulation.factor("motor_strength")[world]
        return np.asarray(np.clip(self.simulation.ctrl[world], low, high) * gear)

    def power(self, world: int) -> float:
        """Sum over one world's motors of |torque · angular velocity|, W: what they put in or take out."""
        model = self.simulation.model
        joints = model.jnt_dofadr[model.actuator_trnid[:, 0]]
        return float(np.abs(self.torques(world) * self.simulation.qvel[world, joints]).sum())

    def _describe_actions(self) -> tuple[Box, tuple[str, ...]]:
        """The space of one world's actions, and the joint that each number drives."""
        model = self.simulation.model
        low, high = model.actuator_ctrlrange.astype(np.float32).T
        return Box(low, high, dtype=np.float32), joint_names(model)

    def _terms(self) -> tuple[str, ...]:
        """Names of the reward's terms in info."""
        num, motors = len(self.simulation.qpos), self.simulation.model.nu
        motion, still = self.simulation.motion(), np.zeros(num)
        return tuple(reward_terms(self.body, motion, still, np.zeros((num, motors)), still > 0))

    def _observe(self, rows: Array | slice = ALL) -> Array:
        """(K, D) the observation."""
        return observe(self.body, self.simulation.motion(rows))

    def _healthy(self, motion: Motion) -> Array:
        """(K,) bool: which positions and velocities are no fall."""
        return healthy(self.body, motion)

    def _controls(self, actions: Array) -> Array:
        """(N, motors) the simulator's controls for actions."""
        return actions

    def _settle(self, rows: Array, generators: list[np.random.Generator]) -> None:
        """Note where the worlds `rows` (K,) begin, after their positions were drawn from `generators`."""
        self._x[rows] = self.simulation.tracked(rows)

    def _judge(self, actions: Array) -> tuple[Array, Array, Array, dict[str, Array], Array]:
        """Observation (N, D), whether it is no fall, velocity along x, the reward's terms, the reward."""
        motion, x = self.simulation.motion(), self.simulation.tracked()
        obs, well = observe(self.body, motion), self._healthy(motion)
        velocity = (x - self._x) / self.simulation.dt
        self._x = x
        terms = reward_terms(self.body, motion, velocity, actions, well)
        return obs, well, velocity, terms, total(terms)

    def begin(self, rows: Array, generators: list[np.random.Generator]) -> tuple[Array, Info]:
        """Start an episode in the worlds `rows` (K,), each from its own generator.

        Returns the observations (N, D) and info of all N worlds.
        """
        if len(rows) == 0:
            return self._obs.copy(), dict(self._info)
        starts = [self._start(generator) for generator in generators]
        self.simulation.perturb(rows, generators)
        self.simulation.reset(rows, np.stack([s[0] for s in starts]), np.stack([s[1] for s in starts]))
        self._settle(rows, generators)
        self._obs[rows] = self._observe(rows)
        self._elapsed[rows] = 0
        self._info = {key: value.copy() for key, value in self._info.items()}
        for value in self._info.values():
            value[rows] = np.zeros(1, value.dtype)  # no reward yet, and an empty reason
        self._info["x_position"][rows] = self._places(rows)
        self._info |= self._perturbed()
        return self._obs.copy(), dict(self._info)

    def _perturbed(self) -> Info:
        """What the perturbations tell, (N,) each."""
        return {} if self.simulation.perturber is None else dict(self.simulation.perturber.info())

    def _start(self, generator: np.random.Generator) -> tuple[Array, Array]:
        """Where an episode begins: as usual, unless something healthy is offered."""
        usual = initial_state(self.body, self.home, self.simulation.model.nv, generator)
        if self._starts is None:
            return usual
        return self._starts(int(generator.integers(2**31)), self._fault) or usual

    def _fault(self, state: tuple[Array, Array]) -> str:
        """Why an episode cannot begin here; "" if it can."""
        qpos, qvel = state
        if not (np.isfinite(qpos).all() and np.isfinite(qvel).all()):
            return "not finite"
        if not self._healthy(Motion(qpos[None], qvel[None]))[0]:
            return "unhealthy"
        return kind_of_fault(self.simulation.model, qpos)

    def advance(self, actions: Array) -> Steps:
        """Step all N worlds under `actions` (N, motors) float32 from `checked`."""
        simulation = self.simulation
        unstable = simulation.step(self._controls(actions))
        self._elapsed += 1
        with np.errstate(all="ignore"):  # what is not finite is dealt with below
            obs, well, velocity, terms, reward = self._judge(actions)
        info = {"x_position": self._places(), "x_velocity": velocity, **terms}
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
        self._obs, self._info = obs, info
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
        self._info["x_position"] = self._places()
        self._info |= self._perturbed()
        return self._obs.copy(), dict(self._info)


def joint_names(model: mujoco.MjModel) -> tuple[str, ...]:
    """Name of the joint that each motor drives: ``thigh_left_joint`` is ``thigh left``."""
    joints = [model.joint(int(joint)).name for joint in model.actuator_trnid[:, 0]]
    return tuple(name.removesuffix("_joint").replace("_", " ") for name in joints)

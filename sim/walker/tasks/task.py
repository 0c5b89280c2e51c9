"""Tasks of walking robots: named reward terms, observation parts, limits and a target velocity.

`Task` is what a scene declares, `TaskWalkers` plays it: with one of gymnasium's bodies, whose own limits go
on to hold, or with a robot from an MJCF file, whose actions in [−1, 1] span each actuator's range.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from gymnasium.spaces import Box

from sim.records import Array, State
from sim.starts import Starts
from sim.vector import Info
from sim.walker.engine import mujoco
from sim.walker.mjcf import actuator_names, read_model, strongest_forces, weight
from sim.walker.perturbations import Perturbations
from sim.walker.reward import Body, Motion, observe
from sim.walker.simulation import ALL, Simulation, load
from sim.walker.tasks.proprioception import PARTS, Proprioception
from sim.walker.tasks.reward_terms import Reading, RewardTerms, forward, named_reward
from sim.walker.walkers import Walkers

#: A number, or the lowest and highest of which each episode draws one.
Span: TypeAlias = tuple[float, float]

FILE = "file"  # the name of the body that a file holds
FILE_ID = f"walker/{FILE}"
CONTROL_PERIOD = 0.02  # s, about, of a step of a robot from a file: 50 a second, as legged robots are driven
V5 = "v5"  # part of an observation: all that gymnasium's environment observes
TARGET = "target"  # part: target speed (m/s), and where the target direction lies from the heading (cos, sin)
LAST_ACTION = "last_action"  # part: (motors) in [−1, 1]

#: What a robot from a file observes unless told.
USUAL_PARTS = ("joint_positions", "joint_velocities", "trunk_height", "trunk_orientation", "trunk_velocity")


@dataclass(frozen=True)
class Task:
    """What a robot is to do, and what it is told.

    Attributes:
        reward: the weights.
        observe: parts of the observation, of `part_names`, in this order.
        trunk: name of the body that must stay upright; "" is the first that moves.
        feet: geoms of whose contacts ``contacts`` tells.
        healthy_height: m, of the trunk above z = 0; outside an episode ends.
        healthy_tilt: rad, the largest.
        target_speed: m/s.
        target_direction: rad about the vertical; 0 is along x.
    """

    reward: RewardTerms
    observe: tuple[str, ...]
    trunk: str = ""
    feet: tuple[str, ...] = ()
    healthy_height: Span = (-math.inf, math.inf)
    healthy_tilt: float = math.pi
    target_speed: Span = (0.0, 0.0)
    target_direction: Span = (0.0, 0.0)


def file_body(path: str, frame_skip: int | None, noise: float) -> Body:
    """The constants of a robot from the MJCF file at `path`; its task says all the rest."""
    steps = frame_skip or max(1, round(CONTROL_PERIOD / read_model(path).opt.timestep))
    return Body(
        FILE_ID, path, steps, hidden=0, tracked="root", forward_weight=0.0, ctrl_weight=0.0, noise=noise
    )


def robot_model(body: Body, feet: tuple[str, ...] = ()) -> mujoco.MjModel:
    """The MuJoCo model of a body, with a sensor for each of the geoms `feet`.

    Raises:
        MjcfError: naming the file or the foot, and what is wrong.
    """
    return read_model(body.model, feet) if body.id == FILE_ID else load(body, feet)


class TaskWalkers(Walkers):
    """N robots with a `Task`; see `sim.walker.walkers.Walkers`.

    Attributes:
        task: of all of them.
        robot: their state, for whoever wants to look.
        target_speed: (N,) m/s of the episodes in progress; may be written between steps.
        target_direction: (N,) rad, likewise.
        held_speed: m/s of all episodes from now on, in place of the task's; None: each draws its own.
    """

    def __init__(
        self,
        body: Body,
        num: int,
        max_steps: int,
        threads: int | None = None,
        starts: Starts[tuple[Array, Array]] | None = None,
        perturbations: Perturbations | None = None,
        *,
        task: Task,
    ) -> None:
        self.task = task
        self.held_speed: float | None = None
        self.target_speed, self.target_direction = np.zeros(num), np.zeros(num)
        self._place, self._speed = np.zeros((num, 2)), np.zeros(num)  # m; m/s
        super().__init__(body, num, max_steps, threads, starts, perturbations)
        self.home = self.robot.home

    def _simulate(self, num: int, threads: int | None, perturbations: Perturbations | None) -> Simulation:
        model = robot_model(self.body, self.task.feet)
        simulation = Simulation(self.body, num, threads, perturbations, model)
        self.robot = Proprioception(simulation, self.task.trunk)
        self._action = np.zeros((num, model.nu))
        self._last_action = self._action
        limited = model.actuator_ctrllimited.astype(bool)
        low, high = np.where(limited[:, None], model.actuator_ctrlrange, [-1.0, 1.0]).T
        self._middle, self._reach = (low + high) / 2, (high - low) / 2
        self._force, self._motion = (
            simulation.output("actuator_force"),
            simulation.output("actuator_velocity"),
        )
        self._strongest, self._weight = strongest_forces(model), weight(model)
        return simulation

    def _describe_actions(self) -> tuple[Box, tuple[str, ...]]:
        if self.body.id != FILE_ID:
            return super()._describe_actions()
        model = self.simulation.model
        return Box(-1.0, 1.0, (model.nu,), np.float32), actuator_names(model)

    def _terms(self) -> tuple[str, ...]:
        return tuple(f"reward_{name}" for name in self.task.reward.weights())

    def _controls(self, actions: Array) -> Array:
        self._last_action = self._action
        if self.body.id != FILE_ID:
            self._action = (actions - self._middle) / self._reach
            return actions
        self._action = actions.astype(np.float64)
        return np.asarray(self._middle + self._reach * self._action)

    def _settle(self, rows: Array, generators: list[np.random.Generator]) -> None:
        self._place[rows] = self.robot.place(rows)[:, :2]
        self._x[rows] = self._place[rows, 0]
        self._action, self._last_action = self._action.copy(), self._last_action.copy()
        self._action[rows] = self._last_action[rows] = 0.0
        for row, generator in zip(rows, generators, strict=True):
            speed = generator.uniform(*self.task.target_speed)
            self.target_speed[row] = speed if self.held_speed is None else self.held_speed
            self.target_direction[row] = generator.uniform(*self.task.target_direction)

    def _observe(self, rows: Array | slice = ALL) -> Array:
        return np.concatenate([self._part(name, rows) for name in self.task.observe], axis=1)

    def _part(self, name: str, rows: Array | slice) -> Array:
        if name == V5:
            return observe(self.body, self.simulation.motion(rows))
        if name == LAST_ACTION:
            return self._action[rows]
        if name == TARGET:
            away = self.target_direction[rows] - self.robot.heading(rows)
            return np.stack([self.target_speed[rows], np.cos(away), np.sin(away)], axis=1)
        return PARTS[name](self.robot, rows)

    def _judge(self, actions: Array) -> tuple[Array, Array, Array, dict[str, Array], Array]:
        place = self.robot.place()
        reading = Reading(
            velocity=(place[:, :2] - self._place) / self.simulation.dt,
            height=place[:, 2],
            upright=self.robot.upright(),
            heading=self.robot.heading(),
            flight=1.0 - self.robot.contacts().max(axis=1, initial=0.0),
            force=self._force / self._strongest,
            power=np.abs(self._force * self._motion).sum(axis=1) / self._weight,
            action=self._action,
            last_action=self._last_action,
            alive=self._within(self.simulation.motion(), place[:, 2], self.robot.upright()),
            target_speed=self.target_speed,
            target_direction=self.target_direction,
            standing_height=self.robot.standing_height,
        )
        self._place, self._x = place[:, :2], place[:, 0]
        self._speed = forward(reading)
        terms = named_reward(self.task.reward, reading)
        reward = np.asarray(sum(terms.values()))
        named = {f"reward_{name}": value for name, value in terms.items()}
        return self._observe(), reading.alive, reading.velocity[:, 0], named, reward

    def _places(self, rows: Array | slice = ALL) -> Array:
        return np.array(self._place[rows, 0])

    def speed(self, world: int) -> float:
        """Velocity of one world's trunk along its target direction, m/s, mean over the last step."""
        return float(self._speed[world])

    def torques(self, world: int) -> Array:
        """(actuators,) force or torque on what each actuator drives, N or N·m."""
        return np.asarray(self._force[world] * self.simulation.model.actuator_gear[:, 0])

    def power(self, world: int) -> float:
        """Sum over the actuators of one world of |force · velocity|, W."""
        return float(np.abs(self._force[world] * self._motion[world]).sum())

    def _within(self, motion: Motion, height: Array, upright: Array) -> Array:
        """(N,) bool: within the limits of the task and those of the body."""
        low, high = self.task.healthy_height
        well = self._healthy(motion) & (low <= height) & (height <= high)
        return np.asarray(well & (upright >= math.cos(self.task.healthy_tilt)))

    def state(self) -> State:
        """See `Walkers.state`."""
        return super().state() | {
            "place": self._place.copy(),
            "action": self._action.copy(),
            "target_speed": self.target_speed.copy(),
            "target_direction": self.target_direction.copy(),
        }

    def restore(self, state: State) -> tuple[Array, Info]:
        """See `Walkers.restore`."""
        self._place, self._action = np.array(state["place"]), np.array(state["action"])
        self.target_speed = np.array(state["target_speed"])
        self.target_direction = np.array(state["target_direction"])
        return super().restore(state)

    @property
    def speed_range(self) -> Span | None:
        """Lowest and highest target speed, m/s, that the agent is told of; None if it is told of none.

        Of a task with one speed it goes from 0 to twice that.
        """
        low, high = self.task.target_speed
        if TARGET not in self.task.observe or low == high == 0:
            return None
        return (low, high) if low < high else (min(0.0, 2 * low), max(0.0, 2 * low))

    def hold_speed(self, speed: float) -> None:
        """From now on `speed`, m/s, is the target of every episode, the ones in progress included."""
        self.held_speed = speed
        self.target_speed = np.full_like(self.target_speed, speed)

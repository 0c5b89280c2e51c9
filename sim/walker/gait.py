"""Gait of walkers: foot contacts, speed, effort, action rate and cost of transport of whole episodes.

`GaitMeter` watches the worlds of a batch beside their simulation; it changes nothing in them. What it counts:

* ``speed``: m/s along x, of the tracked point from start to end.
* ``effort``: mean squared force of the actuators, each in units of its limit; of motors that is the squared
  control.
* ``action_rate``: mean squared change of control from step to step, in units of half its range; small is
  smooth. Where actions are late, so are the controls.
* ``cost_of_transport``: Σ |τ·q̇| dt / (m g d), the motors' work, put in or taken out, for the weight m g
  carried over the distance d (Gabrielli and von Kármán 1950). Walking people: 0.05 of mechanical work, 0.2 of
  metabolic energy (Collins et al. 2005). Not a number below `LEAST_DISTANCE`.
* ``duty_factor_<foot>``: share of the time that a foot is on the ground (Alexander 1984: above 0.5 it walks,
  below it runs); ``double_support`` and ``flight``: share with both feet, of two, and with none.
* ``alternation``: share of strikes that follow a strike of another foot: 1 in a walk and a run, 0 in hops on
  one foot or on both.

A foot is on the ground while MuJoCo's collision detection finds one of its geoms there after the step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sim.records import Array
from sim.walker.engine import mujoco
from sim.walker.mjcf import strongest_forces
from sim.walker.simulation import Simulation

LEAST_DISTANCE = 0.5  # m; who only fell has no cost of transport
LEAST_SWING = 0.04  # s off the ground before a strike; shorter is a bounce of the same stance
SECONDS = "seconds"  # the trace of times


def on_ground(model: mujoco.MjModel, data: mujoco.MjData, owner: Array, feet: int) -> Array:
    """(feet,) bool: which feet touch the ground, from the contacts in `data`.

    Args:
        model: of the robot.
        data: after collision detection.
        owner: (geoms,) the foot that a geom belongs to, or −1.
        feet: how many there are.
    """
    pairs = data.contact.geom[: data.ncon]
    ground = model.body_weldid[model.geom_bodyid[pairs]] == 0
    met = owner[pairs[:, ::-1]][ground]  # whose partner is the ground
    touching = np.zeros(feet, bool)
    touching[met[met >= 0]] = True
    return touching


def strikes(contacts: Array, dt: float) -> list[tuple[int, int]]:
    """Foot strikes as (step, foot), in order: contacts (T, F) bool after `LEAST_SWING` off the ground.

    >>> strikes(np.array([[1, 0], [0, 0], [0, 1], [0, 1], [1, 0]], bool), dt=0.1)
    [(2, 1), (4, 0)]
    """
    found = []
    for foot in range(contacts.shape[1]):
        stance = contacts[:, foot]
        edges = np.flatnonzero(np.diff(stance.astype(np.int8)))
        lifted = None  # step after which the foot is off the ground
        for edge in edges.tolist():
            if stance[edge]:
                lifted = edge
            elif (edge - (-1 if lifted is None else lifted)) * dt >= LEAST_SWING:
                found.append((edge + 1, foot))
    return sorted(found)


def alternation(contacts: Array, dt: float) -> float:
    """Share of strikes that follow a strike of another foot; not a number without two of them.

    Strikes of several feet within `LEAST_SWING` are one, of a jump, and alternate with none.
    """
    events: list[tuple[int, set[int]]] = []
    for step, foot in strikes(contacts, dt):
        if events and (step - events[-1][0]) * dt < LEAST_SWING:
            events[-1][1].add(foot)
        else:
            events.append((step, {foot}))
    pairs = [(before, after) for (_, before), (_, after) in zip(events, events[1:], strict=False)]
    if not pairs:
        return float("nan")
    return float(np.mean([len(a) == len(b) == 1 and a != b for a, b in pairs]))


def contact_statistics(contacts: Array, feet: Sequence[str], dt: float) -> dict[str, float]:
    """Duty factors, double support, flight and alternation of foot contacts (T, F) bool, T at least 1."""
    found = {
        f"duty_factor_{foot.replace(' ', '_')}": float(share)
        for foot, share in zip(feet, contacts.mean(axis=0), strict=True)
    }
    count = contacts.sum(axis=1)
    if len(feet) == 2:
        found["double_support"] = float((count == 2).mean())
    if len(feet) > 1:
        found["alternation"] = alternation(contacts, dt)
    return found | {"flight": float((count == 0).mean())}


def cost_of_transport(work: float, mass: float, gravity: float, distance: float) -> float:
    """Work (J) for a weight over a distance (m); not a number below `LEAST_DISTANCE`.

    >>> round(cost_of_transport(work=981.0, mass=10.0, gravity=9.81, distance=20.0), 3)
    0.5
    """
    if abs(distance) < LEAST_DISTANCE:
        return float("nan")
    return work / (mass * gravity * abs(distance))


class GaitMeter:
    """Gait of the N worlds of a batch, from the start of each episode to its end.

    Args:
        simulation: the worlds; `begin` after their resets, `update` after each step.
        feet: name → geoms, such as from `sim.walker.contacts.feet_of`.
    """

    def __init__(self, simulation: Simulation, feet: Mapping[str, Sequence[int]]) -> None:
        model = simulation.model
        self._simulation = simulation
        self.feet = tuple(feet)
        self._owner = np.full(model.ngeom, -1)
        for number, own in enumerate(feet.values()):
            self._owner[list(own)] = number
        count = len(simulation.ctrl)
        self._force, self._speed = simulation.output("actuator_force"), simulation.output("actuator_velocity")
        self._limit, limited = strongest_forces(model), model.actuator_ctrllimited.astype(bool)
        self._reach = np.where(limited, np.ptp(model.actuator_ctrlrange, axis=1) / 2, 1.0)
        self._gravity = float(np.linalg.norm(model.opt.gravity))
        self._mass = float(model.body_mass.sum())
        self._start = np.zeros(count)  # m
        self._control = np.zeros((count, model.nu))
        self._sums = np.zeros((count, 3))  # of effort, squared changes of control, and work (J)
        self._contacts: list[list[Array]] = [[] for _ in range(count)]  # (feet,) bool a step

    def begin(self, rows: Array) -> None:
        """Begin episodes in the worlds `rows` (K,)."""
        self._start[rows] = self._simulation.tracked(rows)
        self._control[rows], self._sums[rows] = 0.0, 0.0
        for row in rows.tolist():
            self._contacts[row] = []

    def update(self) -> None:
        """Count the step that all worlds have made."""
        simulation = self._simulation
        control = simulation.ctrl / self._reach
        effort = np.square(self._force / self._limit).mean(axis=1)
        work = np.abs(self._force * self._speed).sum(axis=1) * simulation.dt
        change = np.square(control - self._control).mean(axis=1)
        first = np.array([not contacts for contacts in self._contacts])
        self._sums += np.stack([effort, np.where(first, 0.0, change), work], axis=1)
        self._control = control
        for row, contacts in enumerate(self._contacts):
            data = simulation.data(row)
            mujoco.mj_collision(simulation.model, data)
            contacts.append(on_ground(simulation.model, data, self._owner, len(self.feet)))

    def statistics(self, row: int) -> dict[str, float]:
        """What the module lists, of the episode of one world so far; at least one step."""
        contacts, dt = np.stack(self._contacts[row]), self._simulation.dt
        steps = len(contacts)
        distance = float(self._simulation.tracked(np.array([row]))[0] - self._start[row])
        effort, changes, work = self._sums[row].tolist()
        mass = self._mass * float(self._simulation.factor("mass")[row])
        return {
            "speed": distance / (steps * dt),
            "effort": effort / steps,
            "action_rate": changes / max(1, steps - 1),
            "cost_of_transport": cost_of_transport(work, mass, self._gravity, distance),
        } | (contact_statistics(contacts, self.feet, dt) if self.feet else {})

    def traces(self, row: int) -> Mapping[str, Array]:
        """``seconds`` (T,), and of each foot (T,) bool whether it was on the ground then."""
        contacts = np.stack(self._contacts[row])
        times = self._simulation.dt * np.arange(1, len(contacts) + 1)
        return {SECONDS: times} | dict(zip(self.feet, contacts.T, strict=True))

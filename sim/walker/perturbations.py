"""Perturbations of walkers, drawn for each episode: mass, friction, motor strength, latency, pushes, slope.

Dynamics randomisation as in Peng et al. 2018, "Sim-to-Real Transfer of Robotic Control with Dynamics
Randomization". Each is a number, or a range of which every episode of every world draws its own value,
uniformly, from the episode's generator after its starting state; so the starts are those of the plain world,
and what one field draws does not depend on which others vary. Fields that keep their neutral value touch
nothing: with all of them neutral nothing is drawn and no model is changed.

Masses, friction, actuators and gravity are per-simulation fields of the one MuJoCo model (`Batch.expand`),
which cost no time while stepping; what MuJoCo derives from them is computed anew at each reset.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import numpy as np

from sim.fields import Range, shown
from sim.records import Array, State
from sim.walker.engine import Batch, mujoco
from sim.walker.mjcf import root_body

#: A number; or a range to draw from, as ``[low, high]`` or ``"low..high"``.
Spread: TypeAlias = float | tuple[float, ...] | str
Bounds: TypeAlias = tuple[float, float]

PUSH_SECONDS = 0.2  # how long a push lasts: a shove, shorter than a stride


def bounds(name: str, value: Spread) -> Bounds:
    """Lowest and highest value of a field.

    Raises:
        ValueError: naming the field, unless it is a number, or a range with the lower end first.

    >>> bounds("mass", 1.3), bounds("mass", (0.8, 1.2)), bounds("mass", "0.8..1.2")
    ((1.3, 1.3), (0.8, 1.2), (0.8, 1.2))
    """
    numbers: tuple[float, ...]
    try:
        if isinstance(value, str):
            numbers = tuple(float(part) for part in value.split(".."))
        else:
            numbers = tuple(value) if isinstance(value, tuple | list) else (value,)
        low, high = numbers if len(numbers) == 2 else (*numbers, *numbers)
    except ValueError:
        low, high = np.inf, -np.inf
    if not low <= high:
        raise ValueError(f"{name} must be a number or a range such as [0.8, 1.2], not {shown(value)}")
    return float(low), float(high)


@dataclass(frozen=True)
class Perturbations:
    """Ranges from which each episode draws its perturbations; equal ends are a fixed value.

    Attributes:
        mass: factor on the masses and inertias of all bodies.
        friction: factor on all coefficients of friction.
        motor_strength: factor on the force of every actuator, and on the limits of forces.
        latency: whole steps by which actions come late; until then the motors are slack. The reward's
            control cost stays that of the action chosen.
        push_force: N, of pushes on the torso's centre of mass for `PUSH_SECONDS`, each in a horizontal
            direction of its own; flat bodies are pushed forwards or backwards.
        push_interval: s between the beginnings of pushes.
        slope: degrees by which the ground rises along x. Gravity is tilted, not the floor, so positions,
            angles and speeds are those along the slope.
    """

    mass: Bounds = (1.0, 1.0)
    friction: Bounds = (1.0, 1.0)
    motor_strength: Bounds = (1.0, 1.0)
    latency: Bounds = (0.0, 0.0)
    push_force: Bounds = (0.0, 0.0)
    push_interval: Bounds = (2.0, 2.0)
    slope: Bounds = (0.0, 0.0)

    @classmethod
    def of(cls, config: object) -> Perturbations:
        """Parse the fields of the same names of a world's configuration.

        Raises:
            ValueError: naming the field that is outside its limits or no range.
        """
        found = {field.name: bounds(field.name, getattr(config, field.name)) for field in fields(cls)}
        for name, ends in found.items():
            for end in ends:
                if refusal := LIMITS[name].refusal(end):
                    raise ValueError(f"{name} {refusal}")
        for end in found["latency"]:
            if end != int(end):
                raise ValueError(f"latency must be whole steps, not {end:g}")
        return cls(**found)

    @property
    def varied(self) -> tuple[str, ...]:
        """Names of the fields that are not neutral, in order; pushes count by their force alone."""
        neutral = Perturbations()
        names = [
            field.name for field in fields(self) if getattr(self, field.name) != getattr(neutral, field.name)
        ]
        return tuple(name for name in names if name != "push_interval" or "push_force" in names)

    def protocol(self) -> dict[str, float | int | str]:
        """What belongs into the protocol stamp: nothing of neutral fields; ranges as ``"low..high"``.

        >>> Perturbations(mass=(1.3, 1.3), latency=(0, 2)).protocol()
        {'mass': 1.3, 'latency': '0..2'}
        """
        names = [*self.varied]
        if "push_force" in names and "push_interval" not in names:
            names.append("push_interval")
        ends = {name: getattr(self, name) for name in names}
        return {
            name: f"{low:g}..{high:g}" if low != high else int(low) if low == int(low) else low
            for name, (low, high) in ends.items()
        }


LIMITS = {
    "mass": Range(ge=0.1, le=10.0),
    "friction": Range(ge=0.01, le=10.0),
    "motor_strength": Range(ge=0.0, le=10.0),
    "latency": Range(ge=0, le=100),
    "push_force": Range(ge=0.0, le=10_000.0),
    "push_interval": Range(ge=PUSH_SECONDS, le=1000.0),
    "slope": Range(ge=-45.0, le=45.0),
}

NEUTRAL = {field.name: getattr(Perturbations(), field.name)[0] for field in fields(Perturbations)}

#: Name → the fields of one perturbation that a robot's robustness is measured by; the plain world first.
CONDITIONS: dict[str, dict[str, float]] = {
    "none": {},
    "mass ×0.6": {"mass": 0.6},
    "mass ×0.8": {"mass": 0.8},
    "mass ×1.2": {"mass": 1.2},
    "mass ×1.4": {"mass": 1.4},
    "friction ×0.5": {"friction": 0.5},
    "friction ×2": {"friction": 2.0},
    "motors ×0.7": {"motor_strength": 0.7},
    "latency 1 step": {"latency": 1.0},
    "latency 2 steps": {"latency": 2.0},
    "pushes of 50 N": {"push_force": 50.0},
    "pushes of 100 N": {"push_force": 100.0},
    "slope +5°": {"slope": 5.0},
    "slope −5°": {"slope": -5.0},
}

#: Drawn once an episode; pushes draw for themselves, one after the other.
DRAWN = ("mass", "friction", "motor_strength", "latency", "slope")


class Perturber:
    """Perturbations of the N worlds of a batch: what each has drawn, and the pushes and delays so far.

    Args:
        perturbations: the ranges.
        batch: the simulations, whose model fields, forces and controls this writes.
        dt: s a step.
    """

    def __init__(self, perturbations: Perturbations, batch: Batch, dt: float) -> None:
        self.perturbations, self._batch = perturbations, batch
        model, varied = batch.model, perturbations.varied
        self.varied = tuple(name for name in DRAWN if name in varied)
        self.pushes = "push_force" in varied
        count = batch.nsim
        low_high = [getattr(perturbations, name) for name in DRAWN]
        self._low, high = np.array(low_high).T
        self._span = high - self._low + np.array([name == "latency" for name in DRAWN])  # both ends count
        neutral = [float(name not in ("latency", "slope")) for name in DRAWN]
        self._drawn = np.tile(np.array(neutral), (count, 1))  # (N, 5) in the order of DRAWN
        self._base = {
            field: np.array(getattr(model, field))
            for name in self.varied
            for field in MODEL_FIELDS.get(name, ())
        }
        self._fields = {field: batch.expand(field) for field in self._base}
        if "slope" in self.varied:
            self._gravity, self._weight = batch.expand("opt.gravity"), np.linalg.norm(model.opt.gravity)
        self._delayed = np.zeros((count, int(perturbations.latency[1]) + 1, model.nu))  # newest first
        self._flat = model.jnt_type[0] != mujoco.mjtJoint.mjJNT_FREE
        self._interval = np.array(perturbations.push_interval) / dt  # steps
        self._push_steps = max(1, round(PUSH_SECONDS / dt))
        torso = root_body(model)  # which the pushes meet in its centre of mass
        self._forces = batch.bind("xfrc_applied")[:, torso, :3] if self.pushes else None  # (N, 3) N
        self._push_seed, self._push_count = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self._push_in, self._push_left = np.zeros(count, np.int64), np.zeros(count, np.int64)  # steps

    def of(self, name: str) -> Array:
        """(N,) what each world has drawn for a field of `DRAWN`."""
        return np.array(self._drawn[:, DRAWN.index(name)])

    def begin(self, rows: Array, generators: list[np.random.Generator]) -> None:
        """Draw for new episodes of the worlds `rows` (K,), each from its own generator."""
        for row, generator in zip(rows.tolist(), generators, strict=True):
            drawn = self._low + generator.random(len(DRAWN)) * self._span
            drawn[DRAWN.index("latency")] = np.floor(drawn[DRAWN.index("latency")])
            self._drawn[row] = drawn
            self._push_seed[row], self._push_count[row] = generator.integers(2**31), 0
            if self.pushes:
                self._push_in[row] = self._next_push(row)[0]
        self._push_left[rows] = 0
        self._delayed[rows] = 0.0
        self._write(rows)

    def _write(self, rows: Array) -> None:
        """Write what was drawn into the models of the worlds `rows`."""
        for name in self.varied:
            factor = self._drawn[rows, DRAWN.index(name)]
            for field in MODEL_FIELDS.get(name, ()):
                base = self._base[field]
                self._fields[field][rows] = factor.reshape(-1, *[1] * base.ndim) * base
        if "slope" in self.varied:
            angle = np.radians(self._drawn[rows, DRAWN.index("slope")])
            down = np.stack([-np.sin(angle), np.zeros(len(angle)), -np.cos(angle)], axis=1)
            self._gravity[rows] = self._weight * down
        if self.varied:
            self._batch.set_const(rows)

    def apply(self, actions: Array) -> Array:
        """The controls (N, D) of this step for the actions chosen in it; pushes are begun and ended."""
        if self.pushes:
            self._push()
        if self._delayed.shape[1] == 1:
            return actions
        self._delayed[:, 1:] = self._delayed[:, :-1].copy()
        self._delayed[:, 0] = actions
        late = self._drawn[:, DRAWN.index("latency")].astype(np.int64)
        return np.asarray(self._delayed[np.arange(len(late)), late])

    def _push(self) -> None:
        """Begin the pushes that are due, and end those whose time is up."""
        assert self._forces is not None
        self._push_left -= 1
        self._forces[self._push_left == 0] = 0.0
        self._push_in -= 1
        for row in np.flatnonzero(self._push_in <= 0).tolist():
            _, force = self._next_push(row)
            self._forces[row] = force
            self._push_left[row] = self._push_steps
            self._push_count[row] += 1
            self._push_in[row] = self._next_push(row)[0]

    def _next_push(self, row: int) -> tuple[int, Array]:
        """Steps from the last push to the next one of a world, and its force (3,) N."""
        generator = np.random.default_rng([int(self._push_seed[row]), int(self._push_count[row])])
        gap, strength, turn = generator.random(3)
        low, high = self.perturbations.push_force
        angle = np.pi * round(turn) if self._flat else 2 * np.pi * turn
        force = (low + strength * (high - low)) * np.array([np.cos(angle), np.sin(angle), 0.0])
        first, last = self._interval
        return max(1, round(first + gap * (last - first))), force

    def info(self) -> dict[str, Array]:
        """(N,) each: what the worlds have drawn, of the fields that vary, and the push (N) in this step."""
        told = {name: self.of(name) for name in self.varied}
        if self._forces is not None:
            told["push_force"] = np.linalg.norm(self._forces, axis=1)
        return told

    def state(self) -> State:
        """Everything but the forces, which are a part of the physics."""
        return {f"perturbation_{name}": getattr(self, f"_{name}").copy() for name in KEPT}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a `state`.

        Raises:
            ValueError: if it is of other perturbations.
        """
        for name in KEPT:
            own, kept = getattr(self, f"_{name}"), np.asarray(state[f"perturbation_{name}"])
            if own.shape != kept.shape:
                raise ValueError(
                    f"the state is of other perturbations: {name} is {kept.shape}, not {own.shape}"
                )
            own[:] = kept
        self._write(np.arange(self._batch.nsim))


KEPT = ("drawn", "delayed", "push_seed", "push_count", "push_in", "push_left")
MODEL_FIELDS = {
    "mass": ("body_mass", "body_inertia"),
    "friction": ("geom_friction", "pair_friction"),
    "motor_strength": ("actuator_gainprm", "actuator_biasprm", "actuator_forcerange"),
}

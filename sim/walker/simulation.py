"""Batched MuJoCo simulation of N equal bodies on threads, without rewards and episodes.

`mujoco.batch` gives, at any number of threads, the same bits as one simulation at a time. It does
not compute the forces that contacts put on bodies; `mj_rnePostConstraint` does, world by world,
from the solution that a persistent batch keeps of the last simulation step. Where nothing touches, there are
no such forces, and copying the solution out, which is what takes time, is left out.
"""

from __future__ import annotations

from copy import copy
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from sim.errors import WorkError
from sim.machine import processors
from sim.records import Array, State
from sim.walker.contact_pairs import read_with_pairs
from sim.walker.engine import Batch, SimulationError, mujoco, quieten
from sim.walker.perturbations import Perturbations, Perturber
from sim.walker.reward import Body, Motion, clipped

#: MuJoCo's own signs of an unstable simulation: not a number, or beyond 1e10. It then starts the
#: world over by itself and counts a warning.
UNSTABLE = slice(mujoco.mjtWarning.mjWARN_BADQPOS, mujoco.mjtWarning.mjWARN_BADQACC + 1)
ALL = slice(None)  # worlds


class SimulationStartError(WorkError):
    """A state that MuJoCo cannot simulate, such as one with more contacts than its memory holds."""


def model_file(body: Body) -> Path:
    """Path of the body's MJCF file, which ships inside gymnasium."""
    spec = find_spec("gymnasium.envs")
    assert spec is not None and spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "mujoco" / "assets" / body.model


def load(body: Body, feet: tuple[str, ...] = ()) -> mujoco.MjModel:
    """The body's MuJoCo model: the same states as by gymnasium's file, with less work.

    Its contact pairs are listed (`sim.walker.contact_pairs`), and its constraints, all of one kinematic tree,
    are not searched for islands that could be solved apart. The geoms `feet` get contact sensors.
    """
    return copy(_compiled(model_file(body), feet))  # the caller may change it


@cache
def _compiled(path: Path, feet: tuple[str, ...]) -> mujoco.MjModel:
    model = read_with_pairs(path, feet)
    if model.ntree == 1:
        model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_ISLAND.value
    return model


class Simulation:
    """Batched MuJoCo simulation of N worlds of one body.

    Args:
        body: which one.
        num: N.
        threads: how many step at once; None: one for each processor that this process may use.
        perturbations: what each episode draws of mass, friction, …; None: nothing.
        model: instead of the body's own.

    Attributes:
        perturber: applies them; None where nothing is perturbed.
    """

    def __init__(
        self,
        body: Body,
        num: int,
        threads: int | None = None,
        perturbations: Perturbations | None = None,
        model: mujoco.MjModel | None = None,
    ) -> None:
        quieten()
        self.body = body
        self.model = load(body) if model is None else model
        self.dt = self.model.opt.timestep * body.frame_skip  # s a step
        self._sees_contacts = body.contact_weight is not None
        self._batch = Batch(
            self.model, num, min(num, threads or processors()), persistent=self._sees_contacts
        )
        self.qpos, self.qvel = self._batch.bind("qpos"), self._batch.bind("qvel")
        self.ctrl = self._batch.bind("ctrl")
        self._rest = self._batch.state[0].copy()
        self._warnings = self._batch.warning[:, UNSTABLE]  # (N, 3, 2) when it last occurred, how often
        self._contacts = np.zeros((num, self.model.nbody, 6))
        self._touching = self._batch.bind("ncon")  # (N,) pairs of bodies
        alone = self.model.neq == 0 or not self._sees_contacts
        assert alone, "forces of equality constraints would count as contacts"
        self._dynamics: dict[str, Array] = {}
        if body.sees_dynamics:
            names = {"inertias": "cinert", "velocities": "cvel", "torques": "qfrc_actuator"}
            self._dynamics = {ours: self._batch.bind(theirs) for ours, theirs in names.items()}
        points = {"root": None, "torso": "xpos", "mass": "xipos"}[body.tracked]
        self._points = self._batch.bind(points)[:, :, 0] if points else None  # (N, B) m
        self._mass = self.model.body_mass.copy()
        self._total_mass = self._mass.sum()
        self._scratch = mujoco.MjData(self.model)
        self.perturber: Perturber | None = None
        self._own_model = self.model
        if perturbations is not None and perturbations.varied:
            self.perturber = Perturber(perturbations, self._batch, self.dt)
            self._own_model = copy(self.model)

    def perturb(self, rows: Array, generators: list[np.random.Generator]) -> None:
        """Draw the perturbations of new episodes in the worlds `rows` (K,), before their `reset`."""
        if self.perturber is not None:
            self.perturber.begin(rows, generators)

    def factor(self, name: str) -> Array:
        """(N,) what the worlds have drawn for ``mass``, ``friction`` or ``motor_strength``, or ones."""
        return np.ones(len(self.ctrl)) if self.perturber is None else self.perturber.of(name)

    def model_of(self, world: int) -> mujoco.MjModel:
        """MuJoCo model of one world, as perturbed in its episode; valid until the next call."""
        if self.perturber is not None:
            self._batch.get_model(world, self._own_model)
        return self._own_model

    def output(self, name: str) -> Array:
        """(N, …) live array of an output of MuJoCo, such as ``actuator_force``, of the last step."""
        return np.asarray(self._batch.bind(name))

    def reset(self, rows: Array, qpos: Array, qvel: Array) -> None:
        """Put the worlds `rows` (K,) to rest, all but their positions (K, nq) and velocities (K, nv).

        Raises:
            SimulationStartError: if MuJoCo cannot evaluate them.
        """
        self._batch.state[rows] = self._rest
        self._batch.warning[rows] = 0
        self.qpos[rows], self.qvel[rows] = qpos, qvel
        self._contacts[rows] = 0.0
        try:
            self._batch.forward(rows)
        except SimulationError as error:
            raise SimulationStartError(f"an episode cannot begin: {error}") from error

    def step(self, actions: Array) -> Array:
        """Advance all worlds by `frame_skip` simulation steps under controls (N, D).

        Returns:
            (N,) bool: the worlds that became unstable; what they hold means nothing until reset.
        """
        self.ctrl[:] = actions if self.perturber is None else self.perturber.apply(actions)
        failed = np.zeros(len(self.ctrl), bool)
        try:
            self._batch.step(nstep=self.body.frame_skip)
        except SimulationError as error:
            failed[error.ids] = True
        if self._warnings.any():
            failed |= self._warnings[:, :, 1].any(axis=1)
            self._warnings[:] = 0
        if self._sees_contacts:
            self._find_contacts()
        return failed

    def _find_contacts(self) -> None:
        """The forces of the integrator's last evaluation, which is what gymnasium shows."""
        data, forces = self._scratch, self._scratch.cfrc_ext
        self._contacts[:] = 0.0
        for i in np.flatnonzero(self._touching).tolist():
            self._batch.get_data(i, data)
            mujoco.mj_rnePostConstraint(self.model, data)
            self._contacts[i] = forces

    def motion(self, rows: Array | slice = ALL) -> Motion:
        """Physics state of the worlds `rows`; for all of them live arrays, valid until the next step."""
        contacts = clipped(self.body, self._contacts[rows]) if self._sees_contacts else None
        dynamics = {name: values[rows] for name, values in self._dynamics.items()}
        return Motion(self.qpos[rows], self.qvel[rows], contacts, **dynamics)

    def tracked(self, rows: Array | slice = ALL) -> Array:
        """(K,) x (m) of the point whose advance is rewarded: root, torso or centre of mass.

        Torso and centre of mass are, as in gymnasium, those of the integrator's last evaluation.
        """
        if self._points is None:
            return np.array(self.qpos[rows, 0])
        if self.body.tracked == "torso":
            return np.array(self._points[rows, 1])
        # Added in order of body: a matrix product would round differently with the number of worlds.
        return np.asarray(
            np.add.accumulate(self._points[rows] * self._mass, axis=1)[:, -1] / self._total_mass
        )

    def apply(self, world: int, body: int, force: Array, torque: Array) -> None:
        """Put a force (3,) N on a body's centre of mass, and a torque (3,) N·m, and none on the others."""
        self.release(world)
        self._batch.bind("xfrc_applied")[world, body] = [*force, *torque]

    def release(self, world: int) -> None:
        """Take away what `apply` put on a world; a reset does, too."""
        self._batch.bind("xfrc_applied")[world] = 0.0

    def state(self) -> State:
        """Everything that the next step depends on, the solver's warm start included."""
        state: State = {"physics": self._batch.state.copy(), "contacts": self._contacts.copy()}
        return state if self.perturber is None else state | self.perturber.state()

    def restore(self, state: State) -> None:
        """Go back to a `state`.

        Raises:
            ValueError: if it belongs to another body, number of worlds or perturbations.
        """
        rows = np.asarray(state["physics"])
        if rows.shape != self._batch.state.shape:
            raise ValueError(f"the state is of shape {rows.shape}, this world's {self._batch.state.shape}")
        if (self.perturber is None) != ("perturbation_drawn" not in state):
            raise ValueError("one of the state and this world is perturbed, the other one is not")
        if self.perturber is not None:
            self.perturber.restore(state)
        self._batch.state[:] = rows
        self._batch.warning[:] = 0
        self._contacts[:] = state["contacts"]

    def data(self, world: int) -> mujoco.MjData:
        """MuJoCo data of one world after forward kinematics, to be drawn; valid until the next call."""
        self._batch.get_data(world, self._scratch)
        mujoco.mj_kinematics(self.model, self._scratch)
        mujoco.mj_comPos(self.model, self._scratch)
        mujoco.mj_camlight(self.model, self._scratch)
        return self._scratch

"""Walkers on MuJoCo Warp: N worlds whose states, rewards and resets stay on a GPU, or on Warp's CPU device.

Arrays are Warp's, float32, and speak DLPack: ``torch.from_dlpack(walkers.obs)`` shares their memory. A step
reads actions where they are and copies nothing to the host. Physics is MuJoCo's in single precision, so
episodes depart from the C engine's after a while. Three things differ by design:

* Warp lacks the projected Gauss-Seidel solver that gymnasium's Humanoid asks for; Newton's method solves it,
  which `differences` names for the protocol.
* The friction pyramids of capsules on the ground are turned otherwise, which an ant's legs notice.
* Starts drawn on the device are of the same distribution, by other random numbers.
"""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np

from sim.errors import RequestError
from sim.records import Array, State
from sim.walker.engine import mujoco, quieten
from sim.walker.reward import Body
from sim.walker.simulation import model_file

#: Arrays of MuJoCo's that a step depends on, beside positions and velocities.
KEPT = ("qpos", "qvel", "qacc_warmstart")


class WarpError(RequestError, ValueError):
    """A walker that MuJoCo Warp cannot simulate, or no MuJoCo Warp."""


def check_installed() -> None:
    """Refuse to go on without MuJoCo Warp.

    Raises:
        WarpError: naming the extra that brings it.
    """
    if find_spec("mujoco_warp") is None or find_spec("warp") is None:
        raise WarpError('backend = "warp" needs MuJoCo Warp: python -m pip install "playfield[gpu]"')


def read_model(body: Body) -> mujoco.MjModel:
    """The body's model from gymnasium's file, with a solver that Warp has."""
    quieten()
    model = mujoco.MjModel.from_xml_path(str(model_file(body)))
    if model.opt.solver == mujoco.mjtSolver.mjSOL_PGS:
        model.opt.solver = mujoco.mjtSolver.mjSOL_NEWTON
    return model


def differences(body: Body) -> dict[str, str]:
    """What the protocol names beside the rules: the engine, and a solver that is not gymnasium's."""
    check_installed()
    quieten()
    solver = mujoco.MjModel.from_xml_path(str(model_file(body))).opt.solver
    told = {"backend": f"mujoco-warp {version('mujoco-warp')}, float32"}
    if solver == mujoco.mjtSolver.mjSOL_PGS:
        told["solver"] = "Newton, where gymnasium's file asks for PGS"
    return told


class DeviceWalkers:
    """N walkers of one body on a device, with autoreset in the same step.

    Attributes:
        obs: (N, D) the newest observations; where an episode ended, the first of the next one.
        final_obs: (N, D) those that the last step ended with.
        reward: (N,).
        terminated: (N,) bool.
        truncated: (N,) bool; also an unstable simulation.
        ended: (N,) bool, either of them.
        reason: (N,) int32, index of `sim.walker.walkers.REASONS`.
        terms: (N, 5) velocity (m/s), and the reward's terms: forward, control, contact, survival.
        elapsed: (N,) int32 steps of the episodes in progress.
        seeds: (N,) int32 of the episodes in progress.
        model: MuJoCo's, on the host.
    """

    def __init__(self, body: Body, num: int, max_steps: int, seed: int, device: str | None = None) -> None:
        """Allocate; `reset` begins the episodes.

        Args:
            body: which one.
            num: N.
            max_steps: steps after which an episode is truncated.
            seed: of the starts that are drawn on the device.
            device: Warp's name of it; None: the first GPU, or the CPU.

        Raises:
            WarpError: without MuJoCo Warp.
        """
        check_installed()
        import mujoco_warp as mjw
        import warp as wp

        from sim.walker.warp import kernels

        wp.config.log_level = max(wp.config.log_level, wp.LOG_WARNING)  # else each kernel writes to stdout
        self._wp, self._mjw, self._kernels = wp, mjw, kernels
        self.body, self.num = body, num
        self.model = read_model(body)
        self.device = wp.get_device(device)
        self._rules = kernels.rules_of(body, self.model, max_steps)
        with wp.ScopedDevice(self.device):
            self._on_device = mjw.put_model(self.model)
            if self.device.is_cuda:  # sums in a fixed order, so that a resumed run goes on exactly
                self._on_device.opt.deterministic = mjw.DeterminismType.ALL
            self.data = mjw.make_data(self.model, nworld=num)
            self._allocate(seed)
        self._graph: Any = None  # of a whole step, on CUDA

    def _allocate(self, seed: int) -> None:
        wp, model, body, data = self._wp, self.model, self.body, self.data
        self._inertias, self._velocities = _flat(wp, data.cinert), _flat(wp, data.cvel)
        self._contacts, self._torques = _flat(wp, data.cfrc_ext), data.qfrc_actuator
        self._origins, self._centres = _flat(wp, data.xpos), _flat(wp, data.xipos)
        width = model.nq - body.hidden + model.nv
        moving = model.nbody - 1
        width += (16 * moving + model.nv - 6) * body.sees_dynamics
        width += 6 * moving * (body.contact_weight is not None)
        shape = (self.num, width)
        self.obs, self.final_obs = wp.zeros(shape, dtype=float), wp.zeros(shape, dtype=float)
        self._last_obs = wp.zeros(shape, dtype=float)
        self.reward, self.terms = wp.zeros(self.num, dtype=float), wp.zeros((self.num, 5), dtype=float)
        self.terminated, self.truncated, self.ended, self._all = (
            wp.zeros(self.num, dtype=wp.bool) for _ in range(4)
        )
        self._all.fill_(True)
        self.reason, self.elapsed = wp.zeros(self.num, dtype=wp.int32), wp.zeros(self.num, dtype=wp.int32)
        self._x, self._before = wp.zeros(self.num, dtype=float), wp.zeros(self.num, dtype=float)
        first = np.random.SeedSequence(seed).generate_state(self.num) >> 1
        self.seeds = wp.array(first.astype(np.int32), dtype=wp.int32)
        self._actions = wp.zeros((self.num, model.nu), dtype=float)
        self._home = wp.array(model.qpos0.astype(np.float32), dtype=float)
        self._masses = wp.array(model.body_mass.astype(np.float32), dtype=float)
        self._given = wp.zeros((self.num, model.nq), dtype=float), wp.zeros((self.num, model.nv), dtype=float)

    def reset(self, mask: Any = None, starts: tuple[Array, Array] | None = None) -> None:
        """Begin episodes in all worlds, or those of `mask` (N,) bool on the device.

        Args:
            mask: None: all.
            starts: positions (N, nq) and velocities (N, nv) on the host; None: drawn on the device.
        """
        wp, kernels, data = self._wp, self._kernels, self.data
        masked = self._all if mask is None else mask
        for buffer, values in zip(self._given, starts or (), strict=False):
            buffer.assign(values.astype(np.float32))
        with wp.ScopedDevice(self.device):
            wp.launch(
                kernels.begin,
                dim=self.num,
                inputs=[
                    self._rules, masked, self.seeds, int(starts is not None), *self._given, self._home,
                    data.qpos, data.qvel, data.qacc_warmstart, self._torques, self._contacts, self.elapsed,
                ],
            )  # fmt: skip
            for stage in (self._mjw.kinematics, self._mjw.com_pos, self._mjw.com_vel):
                stage(self._on_device, data)
            self._observe(masked)
            self._track(masked)

    def step(self, actions: Any) -> None:
        """Step all worlds under `actions` (N, motors), an array that speaks DLPack, and reset the ended."""
        self.advance(actions)
        wp = self._wp
        wp.copy(self.final_obs, self.obs)
        with wp.ScopedDevice(self.device):
            wp.launch(self._kernels.next_seeds, dim=self.num, inputs=[self.ended, self.seeds])
        self.reset(self.ended)

    def advance(self, actions: Any) -> None:
        """Step all worlds without resets; the ended ones must be reset before the next step."""
        wp = self._wp
        wp.copy(self._actions, actions if isinstance(actions, wp.array) else wp.from_dlpack(actions))
        with wp.ScopedDevice(self.device):
            if not self.device.is_cuda:
                self._advance()
                return
            if self._graph is None:
                self._advance()  # compiles, and is the step; the capture runs nothing
                with wp.ScopedCapture() as capture:
                    self._advance()
                self._graph = capture.graph
            else:
                wp.capture_launch(self._graph)

    def _advance(self) -> None:
        wp, data = self._wp, self.data
        wp.copy(data.ctrl, self._actions)
        wp.copy(self._last_obs, self.obs)
        wp.copy(self._before, self._x)
        for _ in range(self.body.frame_skip):
            self._mjw.step(self._on_device, data)
        if self.body.contact_weight is not None:
            self._mjw.rne_postconstraint(self._on_device, data)
        self._observe(self._all)
        self._track(self._all)
        wp.launch(
            self._kernels.judge,
            dim=self.num,
            inputs=[
                self._rules, data.qpos, data.qvel, self._contacts, self._actions, self._before, self._x,
                self._last_obs, self.obs, self.elapsed, self.terms, self.reward, self.terminated,
                self.truncated, self.ended, self.reason,
            ],
        )  # fmt: skip

    def _observe(self, masked: Any) -> None:
        data = self.data
        arrays = [data.qpos, data.qvel, self._inertias, self._velocities, self._torques, self._contacts]
        inputs = [self._rules, masked, *arrays, self.obs]
        self._wp.launch(self._kernels.observe, dim=self.obs.shape, inputs=inputs)

    def _track(self, masked: Any) -> None:
        inputs = [self._rules, masked, self.data.qpos, self._origins, self._centres, self._masses, self._x]
        self._wp.launch(self._kernels.track, dim=self.num, inputs=inputs)

    def state(self) -> State:
        """Everything that the next step depends on, on the host."""
        arrays = {name: getattr(self.data, name) for name in KEPT}
        arrays |= {"x": self._x, "obs": self.obs, "elapsed": self.elapsed, "device_seeds": self.seeds}
        return {name: array.numpy().copy() for name, array in arrays.items()}

    def restore(self, state: State) -> None:
        """Go back to a `state`.

        Raises:
            ValueError: if it belongs to another body or number of worlds.
        """
        arrays = {name: getattr(self.data, name) for name in KEPT}
        arrays |= {"x": self._x, "obs": self.obs, "elapsed": self.elapsed, "device_seeds": self.seeds}
        for name, array in arrays.items():
            kept = np.asarray(state[name])
            if kept.shape != array.shape:
                raise ValueError(f"the state's {name} is of shape {kept.shape}, this world's {array.shape}")
            array.assign(kept)


def _flat(wp: Any, array: Any) -> Any:
    """The memory of an array (N, B) of vectors as numbers (N, B · k)."""
    assert array.is_contiguous
    numbers = array.shape[1] * array.strides[1] // 4
    return wp.array(
        ptr=array.ptr, shape=(array.shape[0], numbers), dtype=wp.float32, device=array.device, copy=False
    )

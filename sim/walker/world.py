"""Walker environments: batched on `mujoco.batch`, or single with pictures; `Walker` is their configuration.

Observations, rewards and endings are gymnasium's v5, step for step (`reward`). Three things differ
from gymnasium, where it would go on with nonsense:

* Actions that are not finite, or outside the bounds, are refused. (gymnasium takes them: MuJoCo then
  acts as if they were clipped, while the cost is that of the unclipped ones.)
* A simulation that becomes unstable ends its episode: truncated, reward 0, the last sane observation.
* ``info["reason"]`` says why an episode ended: ``"unhealthy"``, ``"time limit"`` or ``"unstable"``.

The fields from `mass` to `slope` perturb the worlds, each episode by its own draw, which ``info`` tells
(`sim.walker.perturbations`). By default they are off, which is gymnasium to the last bit.

Both give pictures, and their ground truth: parts, depth and joints (`sim.walker.truth`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import gymnasium
import numpy as np
from gymnasium.utils import seeding

from sim.fields import NonNegativeFloat, OneOf, PositiveInt, Range, Validated
from sim.records import Array, Percept, State
from sim.starts import Starts
from sim.vector import STATISTICS, TRACES, ActionError, Info, Worlds
from sim.walker.contacts import feet_of
from sim.walker.engine import mujoco
from sim.walker.gait import GaitMeter
from sim.walker.interactive_renderer import WalkerRenderer
from sim.walker.mjcf import root_body, viewpoint
from sim.walker.perturbations import Perturbations, Spread
from sim.walker.rendering.palette import STANDARD, Appearance
from sim.walker.rendering.pictures import Thumbnails, WalkerPictures
from sim.walker.reward import BODIES, Body
from sim.walker.simulation import Simulation
from sim.walker.tasks.declared_task import declared_task, task_stamp
from sim.walker.tasks.reward_terms import RewardTerms
from sim.walker.tasks.task import FILE, Task, TaskWalkers, file_body
from sim.walker.truth import KINDS, Kind, TruthRenderer
from sim.walker.walkers import Walkers
from sim.walker.warp.walkers import differences
from sim.walker.warp.worlds import WarpWorlds

#: Positions (nq,) and velocities (nv,) to begin from.
WalkerStarts: TypeAlias = Starts[tuple[Array, Array]]


@dataclass(frozen=True)
class Walker(Validated):
    """Configuration of the worlds ``walker/<body>``; its fields are the scene's keys."""

    body: str = "walker2d"
    max_steps: int = 1000  # gymnasium's TimeLimit for all five
    width: int = 640  # pixels of the pictures
    height: int = 480
    path: str | None = None  # MJCF file of walker/file
    frame_skip: PositiveInt | None = None  # simulation steps a step; None: gymnasium's, of a file 20 ms
    reward: RewardTerms | None = None  # None: gymnasium's v5 reward, without all that follows
    observe: tuple[str, ...] = ()  # parts; (): gymnasium's observation, of a file `task.USUAL_PARTS`
    trunk: str = ""  # body that must stay upright; "": the first that moves
    feet: tuple[str, ...] = ()  # geoms whose contacts "contacts" tells
    healthy_height: tuple[float, ...] = ()  # m, low and high of the trunk; outside an episode ends
    healthy_tilt: Annotated[float, Range(gt=0, le=180)] = 180.0  # degrees, likewise
    target_speed: float | tuple[float, ...] = 0.0  # m/s; of [low, high] each episode draws one
    target_direction: float | tuple[float, ...] = 0.0  # degrees about the vertical, from x; likewise
    reset_noise_scale: NonNegativeFloat = 0.01  # rad, m, of a file's robot, half width of the starting noise
    mass: Spread = 1.0  # the perturbations: a number, or a range that each episode draws from
    friction: Spread = 1.0
    motor_strength: Spread = 1.0
    latency: Spread = 0.0  # steps by which actions come late
    push_force: Spread = 0.0  # N, on the torso
    push_interval: Spread = 2.0  # s between pushes
    slope: Spread = 0.0  # degrees that the ground rises
    #: "mujoco": the C engine on threads. "warp": batches run on a GPU in float32 (`sim.walker.warp.walkers`).
    backend: Annotated[str, OneOf(("mujoco", "warp"))] = "mujoco"

    def __post_init__(self) -> None:
        """Refuse values that make no world.

        Raises:
            ValueError: naming the field.
        """
        super().__post_init__()
        if self.body not in self.variants():
            raise ValueError(f"body must be one of {', '.join(self.variants())}, not {self.body!r}")
        if self.max_steps < 1:
            raise ValueError(f"max_steps must be at least 1, not {self.max_steps}")
        if not (16 <= self.width <= 4096 and 16 <= self.height <= 4096):
            raise ValueError(f"width and height must be in 16…4096, not {self.width} and {self.height}")
        if (self.path is None) == (self.body == FILE):
            needs = 'walker/file needs path = "robot.xml", an MJCF file'
            raise ValueError(needs if self.path is None else 'path goes with use = "walker/file" alone')
        perturbed = Perturbations.of(self).varied
        if self.backend == "warp" and (self.body == FILE or self.task is not None or perturbed):
            raise ValueError(
                'backend = "warp" has gymnasium\'s five bodies with their rewards alone: for other robots, '
                'other rewards and perturbations leave it at "mujoco"'
            )
        self.task  # noqa: B018 - which refuses what does not fit the robot

    @cached_property
    def task(self) -> Task | None:
        """What the named reward terms ask for; None: gymnasium's rules."""
        return declared_task(self)

    @property
    def constants(self) -> Body:
        """The constants of the simulation, and of gymnasium's rules."""
        if self.path is not None:
            return file_body(self.path, self.frame_skip, self.reset_noise_scale)
        body = BODIES[self.body]
        return replace(body, frame_skip=self.frame_skip or body.frame_skip)

    def walkers(self, num: int, num_threads: int | None, starts: WalkerStarts | None) -> Walkers:
        """`num` robots without seeding and autoreset."""
        rules = (self.constants, num, self.max_steps, num_threads, starts, Perturbations.of(self))
        return Walkers(*rules) if self.task is None else TaskWalkers(*rules, task=self.task)

    @staticmethod
    def variants() -> list[str]:
        """The five bodies, and any robot from a file."""
        return [*BODIES, FILE]

    @property
    def name(self) -> str:
        """Such as ``walker/ant``."""
        return f"walker/{self.body}"

    def make(self, seed: int, *, starts: WalkerStarts | None = None) -> WalkerWorld:
        """Make one walker with pictures; its episodes begin in healthy states of `starts`, if given."""
        return WalkerWorld(self, seed, starts)

    def make_batch(
        self, num_envs: int, seed: int, num_threads: int | None = None, *, starts: WalkerStarts | None = None
    ) -> WalkerWorlds | WarpWorlds:
        """Make `num_envs` walkers stepped by `num_threads` threads (all cores by default), or by Warp.

        Raises:
            WarpError: for ``backend = "warp"`` without MuJoCo Warp, or with `starts`.
        """
        if self.backend == "warp":
            return WarpWorlds.of(self, num_envs, seed, starts)
        return WalkerWorlds(self, num_envs, seed, num_threads, starts)

    def protocol(self) -> dict[str, str | int | float | bool]:
        """The evaluation rules that go with a score."""
        body = self.constants
        return {
            "world": self.name,
            "rules": body.id if self.path is None else Path(self.path).name,
            "max_steps": self.max_steps,
            "frame_skip": body.frame_skip,
            **task_stamp(self),
            "gymnasium": version("gymnasium"),
            "mujoco": mujoco.__version__,
            **Perturbations.of(self).protocol(),
            **(differences(body) if self.backend == "warp" else {}),
        }


class WalkerWorlds(Worlds):
    """Vector environment of N walkers; observations (N, D) float64, actions (N, motors) float32.

    ``info`` holds, (N,) each, ``x_position`` (m), ``x_velocity`` (m/s), the terms of the reward by
    gymnasium's names, and ``reason``, which is empty while the episode goes on.

    Unlike other worlds' `state()`, this one holds the physics itself: restoring replays nothing.

    Attributes:
        cameras: one a world; turn or replace them at any time.
        looks: one a world, the colours and lights of its pictures.
    """

    def __init__(
        self,
        config: Walker,
        num_envs: int,
        seed: int,
        num_threads: int | None = None,
        starts: WalkerStarts | None = None,
    ) -> None:
        self.walkers = config.walkers(num_envs, num_threads, starts)
        super().__init__(num_envs, self.walkers.observation_space, self.walkers.action_space, seed)
        self._config = config
        self._gait: GaitMeter | None = None
        self.action_labels = self.walkers.action_labels
        model, size = self.walkers.simulation.model, (config.width, config.height)
        self.cameras = [viewpoint(config.body, model).camera(*size) for _ in range(num_envs)]
        self.looks: list[Appearance] = [STANDARD] * num_envs
        self._truth_renderer = TruthRenderer(config.body, self.walkers.simulation.model)

    def pictures(self, indices: Iterable[int]) -> Array:
        """(K, H, W, 3) uint8: the worlds at K `indices`, as they stand after the last reset or step.

        Where an episode has just ended, that is the first picture of the next one, as in the observations.

        Raises:
            ValueError: if their cameras' pictures differ in size.
        """
        simulation, cameras, looks = self.walkers.simulation, self.cameras, self.looks
        drawn = [
            self._truth_renderer.draw(simulation.data(i), cameras[i], looks[i]) for i in map(int, indices)
        ]
        shape = 0, self.cameras[0].height, self.cameras[0].width, 3
        return np.stack(drawn) if drawn else np.empty(shape, np.uint8)

    def truth(self, indices: Iterable[int], kinds: Collection[Kind] = KINDS) -> list[Percept]:
        """Ground truth of the `pictures` of these worlds; see `TruthRenderer.truth`.

        >>> worlds = Walker("hopper").make_batch(2, seed=0)
        >>> _ = worlds.reset()
        >>> percept = worlds.truth([1], kinds=("keypoints",))[0]
        >>> round(percept.places["head"][2], 1)  # m ahead of the camera
        2.6
        """
        simulation, cameras = self.walkers.simulation, self.cameras
        return [self._truth_renderer.truth(simulation.data(i), cameras[i], kinds) for i in map(int, indices)]

    def render(self) -> tuple[Array, ...]:
        """One RGB picture a world."""
        return tuple(self.pictures(range(self.num_envs)))

    def _reset_rows(self, mask: Array, seeds: Array) -> tuple[Array, Info]:
        generators = [seeding.np_random(int(seed))[0] for seed in seeds]
        rows = np.flatnonzero(mask)
        begun = self.walkers.begin(rows, generators)
        if self._gait is not None:
            self._gait.begin(rows)
        return begun

    def _step_rows(self, actions: Array) -> tuple[Array, Array, Array, Array, Info]:
        self._played.clear()  # `state` needs no actions
        obs, reward, terminated, truncated, info = self.walkers.advance(actions)
        if self._gait is not None:
            self._gait.update()
            if ended := np.flatnonzero(terminated | truncated).tolist():
                info[STATISTICS] = {row: self._gait.statistics(row) for row in ended}
                info[TRACES] = {row: self._gait.traces(row) for row in ended}
        return obs, reward, terminated, truncated, info

    def keep_statistics(self) -> None:
        """Tell the gait of episodes that begin from now on, see `sim.walker.gait`; `state` leaves it out."""
        simulation = self.walkers.simulation
        feet = feet_of(self._config.body, simulation.model, self._config.feet)
        self._gait = GaitMeter(simulation, feet)

    def _checked(self, actions: Array) -> Array:
        actions = np.asarray(actions)
        if actions.shape == self.action_space.shape and actions.dtype.kind in "fiu":
            return self.walkers.checked(actions)
        return super()._checked(actions)

    def state(self) -> State:
        """What `restore` needs: the seeds, the scores and the physics."""
        self._played.clear()
        self._start[:] = 0
        return super().state() | self.walkers.state()

    def restore(self, state: State) -> tuple[Array, Info]:
        """Bring the batch to exactly where `state` was taken, and return obs and info there."""
        super().restore(state)
        return self.walkers.restore(state)

    def close_extras(self, **kwargs: object) -> None:
        """Release the simulation, its threads and the renderer."""
        self._truth_renderer.close()
        del self.walkers


class WalkerWorld(gymnasium.Env[Array, Array]):
    """Environment of one walker with pictures; its camera, colours and read-outs are attributes.

    Attributes:
        camera: azimuth, elevation (degrees), distance (m) and size of the picture; set them at any time.
        look: the colours and lights of the picture.
        action_labels: the joint that each number of an action drives.
        action_names: empty; the actions are continuous.
        thumbnails: what draws small pictures; worlds of one body may share it.
        pushed: whether `push` has disturbed the episode in progress.
    """

    render_mode = "rgb_array"
    action_names: tuple[str, ...] = ()

    def __init__(self, config: Walker, seed: int, starts: WalkerStarts | None = None) -> None:
        self.config = config
        self._walkers = config.walkers(1, 1, starts)
        self._simulation = self._walkers.simulation
        self.observation_space = self._walkers.observation_space
        self.action_space = self._walkers.action_space
        self.action_labels = self._walkers.action_labels
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": round(1 / self._simulation.dt)}
        self.camera = viewpoint(config.body, self._simulation.model).camera(config.width, config.height)
        self.look = STANDARD
        self._truth_renderer = TruthRenderer(config.body, self._simulation.model)
        self._first_seed: int | None = seed
        self.thumbnails = Thumbnails(self._simulation.model)
        self.pushed = False
        self._push_steps = 0  # that are left of a push

    @property
    def simulation(self) -> Simulation:
        """The physics, a batch of one."""
        return self._simulation

    @property
    def pictures(self) -> WalkerPictures:
        """What draws `render`; opened when it is first needed."""
        return self._truth_renderer.pictures

    @property
    def torques(self) -> Array:
        """(motors,) N·m that the motors put on their joints."""
        return self._walkers.torques(0)

    @property
    def speed(self) -> float:
        """The torso's velocity along x, m/s; negative is backwards."""
        return self._walkers.speed(0)

    @property
    def torso(self) -> Array:
        """(3,) m, where the torso is in space."""
        return np.array(self._simulation.data(0).xpos[root_body(self._simulation.model)])

    @property
    def height(self) -> float:
        """Of the torso above the ground, m."""
        return float(self.torso[2])

    @property
    def power(self) -> float:
        """The sum over the motors of |torque · angular velocity|, W: what they put in or take out."""
        return self._walkers.power(0)

    @property
    def target_range(self) -> tuple[float, float] | None:
        """Lowest and highest target speed, m/s, that an agent is told; None if it is told none."""
        return None if not isinstance(self._walkers, TaskWalkers) else self._walkers.speed_range

    @property
    def target_speed(self) -> float:
        """What the agent is told to walk at, m/s; once set it holds for all later episodes, too."""
        return float(self._walkers.target_speed[0]) if isinstance(self._walkers, TaskWalkers) else 0.0

    @target_speed.setter
    def target_speed(self, speed: float) -> None:
        if isinstance(self._walkers, TaskWalkers):
            self._walkers.hold_speed(speed)

    def push(self, body: int, force: Array, torque: Array, steps: int = 1) -> None:
        """Put a force (3,) N on a body's centre of mass, and a torque (3,) N·m, for the next `steps`."""
        self._simulation.apply(0, body, force, torque)
        self._push_steps = steps

    @property
    def pushing(self) -> bool:
        """Whether a push is on for the next step."""
        return self._push_steps > 0

    def interactive_renderer(self) -> WalkerRenderer:
        """The interactive camera for the window."""
        return WalkerRenderer(self)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, Info]:
        """Start an episode; without a seed the first uses the constructor's, later ones draw on."""
        super().reset(seed=self._first_seed if seed is None else seed)
        self._first_seed = None
        self.pushed, self._push_steps = False, 0
        obs, info = self._walkers.begin(np.array([0]), [self.np_random])
        return obs[0], _of_one(info)

    def step(self, action: Array) -> tuple[Array, float, bool, bool, Info]:
        """Hold `action`, (motors,) in units of the motors' gear, for `frame_skip` simulation steps.

        Returns the observation (D,) float64, the reward, whether the walker fell, whether the time was
        up or the simulation unstable, and info with the reward's terms and ``reason``.

        Raises:
            ActionError: for an action of another shape, not finite or outside the bounds.
        """
        action = np.asarray(action)
        if action.shape != self.action_space.shape or action.dtype.kind not in "fiu":
            expected = f"{self.action_space.shape} numbers"
            raise ActionError(f"expected {expected} as an action, got {action.shape} {action.dtype}")
        actions = self._walkers.checked(action[None])
        obs, reward, terminated, truncated, info = self._walkers.advance(actions)
        if self._push_steps:
            self.pushed = True
            self._push_steps -= 1
            if not self._push_steps:
                self._simulation.release(0)
        return obs[0], float(reward[0]), bool(terminated[0]), bool(truncated[0]), _of_one(info)

    def render(self) -> Array:
        """The walker as its `camera` sees it, (height, width, 3) uint8."""
        return self._truth_renderer.draw(self._simulation.data(0), self.camera, self.look)

    def sketch(self) -> Array:
        """A small picture like `render()`'s, (height, width, 3) uint8, drawn with fewer facets."""
        return self.thumbnails.draw(self._simulation.data(0), self.camera, self.look)

    def truth(self, kinds: Collection[Kind] = KINDS) -> Percept:
        """Ground truth of `render()`'s picture; see `TruthRenderer.truth`."""
        return self._truth_renderer.truth(self._simulation.data(0), self.camera, kinds)

    def close(self) -> None:
        """Free what drawing holds."""
        self._truth_renderer.close()
        self.thumbnails.close()


def _of_one(info: Info) -> Info:
    return {key: str(value[0]) if key == "reason" else float(value[0]) for key, value in info.items()}

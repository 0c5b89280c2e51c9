"""Interactive walker for the window: a camera that turns, a hand that pushes, contacts, torques, read-outs.

A `sim.viewer.contract.gesture.InteractiveRenderer` and `DrawsRobot`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sim.records import Array
from sim.viewer.contract.gallery_page import Slider
from sim.viewer.contract.gesture import Ability, Answer, Gesture
from sim.viewer.contract.moment import Readout
from sim.viewer.contract.robot import ForceArrow, JointTorque, Place, RobotState
from sim.walker.camera import PRESETS, Camera, PinholeCamera, Viewpoint
from sim.walker.contacts import Contacts, feet_of, ground_contacts, motor_joints, motor_limits
from sim.walker.engine import mujoco
from sim.walker.mjcf import root_body
from sim.walker.push import PER_WEIGHT, SHOVE, SHOVE_SECONDS, Grip
from sim.walker.rendering.software import NEAR

if TYPE_CHECKING:
    from sim.walker.world import WalkerWorld

DEGREES = 180.0  # that a drag over the height of the picture turns
SMALLEST, LARGEST = 16, 4096  # pixels of a side
LEAST_HEIGHT = 72  # pixels of a coarse picture: in less a walker is a smudge
LEAST_ARROW = 0.02  # weights; a smaller force has no arrow


@dataclass
class AnchoredCamera(Camera):
    """Camera that follows the walker, or stands still and looks at the fixed point `anchor` (3,) m."""

    anchor: Array | None = None

    def target(self, torso: Array) -> Array:
        """(3,) m, what is looked at while the torso is at `torso` (3,)."""
        return super().target(torso if self.anchor is None else self.anchor)


class WalkerRenderer:
    """Interactive renderer of one `WalkerWorld`: its camera, a person's push, and read-outs."""

    turns = False
    asks: tuple[str, ...] = ()
    caption = ""

    def __init__(self, world: WalkerWorld) -> None:
        self._world = world
        told = {Ability.TARGETS} if world.target_range is not None else set()
        self.abilities = frozenset({Ability.ORBIT, Ability.FOLLOW, Ability.ROBOT} | told)
        at = world.camera
        self._home = Viewpoint(at.azimuth, at.elevation, at.distance, at.look_height)
        self._camera = AnchoredCamera(
            at.azimuth, at.elevation, at.distance, at.look_height, at.width, at.height
        )
        world.camera = self._camera
        self._small = self._borrows = False  # one of many pictures; always
        self._room = (at.width, at.height)  # pixels that the picture may fill
        self._coarse = 1  # by which its sides are smaller
        self._preset = -1
        model = world.simulation.model
        self._feet = feet_of(world.config.body, model, world.config.feet)
        self._limits = motor_limits(model)
        self._torso = root_body(model)
        self._grip: Grip | None = None
        self._shove: Array | None = None  # (3,) N
        self._pushed = False
        self._measured: Contacts | None = None  # of the state that was noted
        self._weight = float(model.body_mass.sum() * np.linalg.norm(model.opt.gravity))  # N

    # What the moment is made of

    def note(self) -> None:
        """Copy whether the robot has been pushed, and pull on; see `InteractiveRenderer`."""
        self._pushed = self._world.pushed
        self._measured = None
        if not self._world.pushing:
            self._shove = None
        self._pull()

    @property
    def pushed(self) -> bool:
        """See `sim.viewer.contract.gesture.DrawsRobot`."""
        return self._pushed

    @property
    def readouts(self) -> tuple[Readout, ...]:
        """Speed, height of the torso, mechanical power, torque, and the force of the ground."""
        world = self._world
        ground = np.linalg.norm(self._contacts.forces.sum(axis=0))
        return (
            Readout("speed", world.speed, "m/s"),
            Readout("torso height", world.height, "m"),
            Readout("power", world.power, "W"),
            Readout("largest torque", float(np.abs(world.torques).max()), "N·m"),
            Readout("ground force", float(ground), "N"),
        )

    @property
    def targets(self) -> tuple[Slider, ...]:
        """The target speed, if the robot is told one."""
        span = self._world.target_range
        return () if span is None else (Slider("speed, m/s", self._world.target_speed, *span),)

    def draw(self) -> Array:
        """The walker as the camera sees it, (H, W, 3) uint8."""
        return self._world.sketch() if self._small else self._world.render()

    def draw_with(self, lender: WalkerRenderer) -> None:
        """Draw small pictures, with what `lender` draws its own with; see `DrawsTogether`."""
        self._small = self._borrows = True
        self._world.thumbnails = lender._world.thumbnails

    def robot(self, drawn: RobotState | None) -> RobotState:
        """See `sim.viewer.contract.gesture.DrawsRobot`."""
        contacts = self._contacts
        touching = tuple(contacts.touching.tolist())
        if drawn is not None:
            return replace(drawn, touching=touching, pushed=self._pushed)
        data, view = self._data, self._view
        push = self._push(data, view)
        arrows = [
            self._arrow(view, point, force)
            for point, force in zip(contacts.points, contacts.forces, strict=True)
            if np.linalg.norm(force) > LEAST_ARROW * self._weight
        ]
        depth = float(view.project(data.xpos[self._torso][None])[1][0])
        return RobotState(
            tuple(self._feet),
            touching,
            tuple(arrows),
            self._joints(data, view, contacts.torques),
            None if push is None else self._arrow(view, *push),
            self._weight,
            PER_WEIGHT * view.focal / max(depth, NEAR) / view.height,
            float(self._limits.max(initial=0.0)),
            self._pushed,
        )

    @property
    def _data(self) -> mujoco.MjData:
        return self._world.simulation.data(0)

    @property
    def _view(self) -> PinholeCamera:
        return self._camera.view(self._world.torso)

    @property
    def _contacts(self) -> Contacts:
        """The contacts of the noted state, measured once, and with them the robot's weight."""
        if self._measured is None:
            model = self._world.simulation.model_of(0)
            self._weight = float(model.body_mass.sum() * np.linalg.norm(model.opt.gravity))
            self._measured = ground_contacts(model, self._data, self._feet)
        return self._measured

    def _joints(self, data: mujoco.MjData, view: PinholeCamera, torques: Array) -> tuple[JointTorque, ...]:
        """The joints with a motor; of several in one place the one that works hardest."""
        at = places(view, data.xanchor[motor_joints(self._world.simulation.model)])
        shares = torques / np.maximum(self._limits, 1e-9) * (self._limits > 0)
        found: dict[Place, JointTorque] = {}
        for name, place, torque, share in zip(
            self._world.action_labels, at, torques.tolist(), shares.tolist(), strict=True
        ):
            joint = JointTorque(name, place, torque, min(max(share, -1.0), 1.0))
            key = round(place[0], 3), round(place[1], 3)
            if key not in found or abs(found[key].share) < abs(joint.share):
                found[key] = joint
        return tuple(found.values())

    def _arrow(self, view: PinholeCamera, point: Array, force: Array) -> ForceArrow:
        at, tip = places(view, np.stack([point, point + force * (PER_WEIGHT / self._weight)]))
        return ForceArrow(at, tip, float(np.linalg.norm(force)))

    # Pushes

    def _push(self, data: mujoco.MjData, view: PinholeCamera) -> tuple[Array, Array] | None:
        """Where a person pushes, (3,) m, and the force (3,) N; None without a push."""
        if self._grip is not None:
            return self._grip.point(data), self._grip.force(data, view, self._weight)
        return None if self._shove is None else (np.array(data.xipos[self._torso]), self._shove)

    def _pull(self) -> None:
        """Let a drag act on the next step."""
        if self._grip is not None:
            view, data = self._view, self._data
            point, force = self._grip.point(data), self._grip.force(data, view, self._weight)
            self._world.push(self._grip.body, force, np.cross(point - data.xipos[self._grip.body], force))

    def _take_push(self, gesture: Gesture) -> Answer:
        """Hold, drag or let go of the robot, or shove it."""
        view = self._view
        pointer = np.array([gesture.x * view.width, gesture.y * view.height])
        if gesture.kind == "let_go":
            self._grip = None
        elif gesture.kind == "shove":
            self._shove = SHOVE * self._weight * (gesture.x * view.right - gesture.y * view.up)
            steps = max(1, round(SHOVE_SECONDS / self._world.simulation.dt))
            self._world.push(self._torso, self._shove, np.zeros(3), steps)
        elif gesture.on:
            self._grip = Grip.nearest(self._world.simulation.model, self._data, view, pointer)
        elif self._grip is not None:
            self._grip = self._grip.moved(pointer)
        self._pull()
        return Answer(redraw=True)

    # Gestures

    def touch(self, gesture: Gesture) -> Answer:
        """Turn the camera, or push; see `sim.viewer.contract.gesture.Interactive`."""
        camera, message = self._camera, ""
        if gesture.kind == "orbit":
            camera.orbit(DEGREES * gesture.x, DEGREES * gesture.y)
        elif gesture.kind == "zoom":
            camera.zoom(gesture.x)
        elif gesture.kind == "camera":
            message = self._look_from(gesture.name)
        elif gesture.kind == "resize":
            self._room = (int(gesture.x), int(gesture.y))
            self._resize()
        elif gesture.kind == "grid":
            self._small = gesture.on or self._borrows
        elif gesture.kind == "coarse":
            self._coarse = max(1, int(gesture.x))
            self._resize()
        elif gesture.kind == "follow":
            camera.anchor = self._world.torso if camera.anchor is None else None
            message = "the camera follows" if camera.anchor is None else "the camera stands still"
        elif gesture.kind in ("slide", "nudge"):
            return self._aim(gesture)
        elif gesture.kind in ("push", "let_go", "shove"):
            return self._take_push(gesture)
        else:
            return Answer()
        return Answer(redraw=True, message=message)

    def _aim(self, gesture: Gesture) -> Answer:
        """Set the target speed, within its range."""
        if self._world.target_range is None:
            return Answer()
        low, high = self._world.target_range
        now = self._world.target_speed
        wanted = gesture.y if gesture.kind == "slide" else now + gesture.y * (high - low)
        self._world.target_speed = min(max(wanted, low), high)
        return Answer(redraw=True)

    def _resize(self) -> None:
        coarse = max(1, min(self._coarse, self._room[1] // LEAST_HEIGHT))
        sides = (min(max(side // coarse, SMALLEST), LARGEST) for side in self._room)
        self._camera.width, self._camera.height = sides

    def _look_from(self, name: str) -> str:
        """Stand at the next preset, or back where the camera stood first; returns what to say."""
        self._camera.anchor = None
        if name == "reset":
            self._preset = -1
            self._camera.place(self._home)
            return "camera reset"
        names = tuple(PRESETS)
        self._preset = (self._preset + 1) % len(names)
        self._camera.place(self._home.preset(names[self._preset]))
        return f"camera: {names[self._preset]}"


def places(view: PinholeCamera, points: Array) -> list[Place]:
    """Where points (K, 3) m appear, as shares of the picture's width and height."""
    pixels, _ = view.project(points)
    return [(x, y) for x, y in (pixels / [view.width, view.height]).tolist()]

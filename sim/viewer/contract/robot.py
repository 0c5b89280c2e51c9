"""Robot state: contacts, forces, joint torques and a person's push, as places in the picture.

Places are shares of the picture's width and height from its upper left corner, in [0, 1] inside it, so that
they hold whatever the size at which the picture was drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

Place: TypeAlias = tuple[float, float]


class ForceArrow(NamedTuple):
    """A force on the robot: where it acts, where its arrow ends, and its size in N."""

    at: Place
    tip: Place
    newtons: float


class JointTorque(NamedTuple):
    """Torque of the motors on one joint: N·m, and its share of the most that they can, in [−1, 1]."""

    name: str
    at: Place
    torque: float
    share: float


@dataclass(frozen=True, slots=True)
class RobotState:
    """Mechanics of the first world's robot at a moment.

    Attributes:
        feet: their names, in a fixed order.
        touching: which of them are on the ground.
        contacts: a force for each contact with the ground.
        joints: those with a motor.
        push: a person's; None without one.
        weight: of the robot, N.
        weight_arrow: length of the arrow of a force as large as the weight, as a share of the picture's
            height where the robot is.
        most_torque: that any motor can bring about, N·m.
        pushed: whether a person has pushed it in the episode in progress, whose return is then no score.
    """

    feet: tuple[str, ...]
    touching: tuple[bool, ...]
    contacts: tuple[ForceArrow, ...] = ()
    joints: tuple[JointTorque, ...] = ()
    push: ForceArrow | None = None
    weight: float = 0.0
    weight_arrow: float = 0.0
    most_torque: float = 0.0
    pushed: bool = False

    @property
    def pattern(self) -> int:
        """The feet on the ground as bits: 1 the first, 2 the second, 4 the third.

        >>> RobotState(("left", "right"), (False, True)).pattern
        2
        """
        return sum(1 << index for index, down in enumerate(self.touching) if down)

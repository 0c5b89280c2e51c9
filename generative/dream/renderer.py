"""Interactive renderer of a dreamed world: its picture, points, and a slider of the denoising steps.

A `sim.viewer.contract.gesture.InteractiveRenderer` and `HasTargets`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.records import Array
from sim.viewer.contract.gallery_page import Slider
from sim.viewer.contract.gesture import Ability, Answer, Gesture
from sim.viewer.contract.moment import Readout

if TYPE_CHECKING:
    from generative.dream.world import DreamWorld

STEPS = (1, 2, 3, 5)  # denoising steps that the slider offers
STEPS_KEY = "k"


def nearest_step(value: float) -> int:
    """The number of denoising steps nearest to a slider's value.

    >>> nearest_step(3.9), nearest_step(4.1)
    (3, 5)
    """
    return min(STEPS, key=lambda steps: abs(steps - value))


def next_step(steps: int, by: int = 1) -> int:
    """The number after (or before) one of `STEPS`, round about.

    >>> next_step(3), next_step(5), next_step(1, -1)
    (5, 1, 5)
    """
    return STEPS[(STEPS.index(nearest_step(steps)) + by) % len(STEPS)]


class DreamRenderer:
    """Interactive renderer of one `generative.dream.world.DreamWorld`."""

    abilities = frozenset({Ability.TARGETS, Ability.DREAM})
    turns = False
    asks: tuple[str, ...] = (STEPS_KEY,)
    caption = ""

    def __init__(self, world: DreamWorld) -> None:
        self._world = world
        self._points = (0, 0)

    def note(self) -> None:
        """Copy the points; see `InteractiveRenderer`."""
        self._points = self._world.points

    @property
    def readouts(self) -> tuple[Readout, ...]:
        """Points of both sides, which the dreamed screen does not show."""
        return Readout("points", float(self._points[0])), Readout("points against", float(self._points[1]))

    @property
    def targets(self) -> tuple[Slider, ...]:
        """The denoising steps."""
        return (Slider("steps", float(self._world.denoising_steps), STEPS[0], STEPS[-1]),)

    def draw(self) -> Array:
        """The television picture, (H, W, 3) uint8."""
        return self._world.render()

    def touch(self, gesture: Gesture) -> Answer:
        """Change the number of denoising steps."""
        steps = self._world.denoising_steps
        if gesture.kind == "slide":
            steps = nearest_step(gesture.y)
        elif gesture.kind == "nudge":
            steps = next_step(steps, 1 if gesture.y > 0 else -1)
        elif gesture.kind == "key" and gesture.name == STEPS_KEY:
            steps = next_step(steps, -1 if gesture.on else 1)
        else:
            return Answer()
        self._world.denoising_steps = steps
        return Answer(redraw=True)

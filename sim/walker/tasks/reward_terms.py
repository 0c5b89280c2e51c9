"""Named reward terms of walking robots: weights that a scene declares, and what each multiplies.

    reward = Σ weight · quantity

Pure functions of batched arrays; nothing here steps or draws. The quantities are those of locomotion papers:
tracking of a velocity command, upright trunk, action rate (Rudin et al. 2022, table 2), and dm_control's
linear tolerance (Tassa et al. 2018, section 2.1) for speed. Flight, effort, power and action rate are costs:
their weights are negative.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from sim.fields import Validated
from sim.records import Array

SLOWEST_MARGIN = 0.5  # m/s: tolerance of target speeds that are slower


@dataclass(frozen=True)
class RewardTerms(Validated):
    """Weights of the reward's terms; 0 leaves a term out.

    Attributes:
        forward: speed of the trunk along the target direction, m/s, mean over the step.
        speed: 1 at the target speed, falling linearly to 0 at rest and at twice the target.
        alive: 1 in each step that does not end in a fall.
        posture: cosine of the trunk's tilt, from 1 (as it stands in the beginning) to −1 (upside down).
        height: the trunk's height over its height in the beginning, at most 1.
        direction: cosine between the trunk's heading and the target direction.
        flight: 1 while none of the `feet` touches the ground, which tells running from walking.
        effort: mean over the actuators of force², each in units of its limit; of motors that is control².
        power: Σ |force · velocity| of the actuators over the robot's weight, m/s: times the speed it is the
            cost of transport, whose smallest gives natural gaits (Fu et al. 2021).
        action_rate: mean over the actuators of the squared change of the action since the last step.
    """

    forward: float = 0.0
    speed: float = 0.0
    alive: float = 0.0
    posture: float = 0.0
    height: float = 0.0
    direction: float = 0.0
    flight: float = 0.0
    effort: float = 0.0
    power: float = 0.0
    action_rate: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a reward without any term.

        Raises:
            ValueError: naming the terms.
        """
        super().__post_init__()
        if not self.weights():
            raise ValueError(f"it needs at least one term: {', '.join(QUANTITIES)}")

    def weights(self) -> dict[str, float]:
        """The terms that count, with their weights, in a fixed order.

        >>> RewardTerms(effort=-0.1, forward=1.0).weights()
        {'forward': 1.0, 'effort': -0.1}
        """
        every = {field.name: float(getattr(self, field.name)) for field in fields(self)}
        return {name: weight for name, weight in every.items() if weight != 0.0}


@dataclass(frozen=True, slots=True)
class Reading:
    """Readings of N robots after a step, of which rewards and falls are made.

    Attributes:
        velocity: (N, 2) m/s, the trunk's over the ground, mean over the step.
        height: (N,) m, the trunk's above z = 0.
        upright: (N,) cosine of the trunk's tilt from how it stands in the beginning.
        heading: (N,) rad about the vertical, where the trunk points; 0 is along x.
        flight: (N,) 1 while no foot touches the ground, else 0.
        force: (N, actuators) in units of each actuator's limit.
        power: (N,) m/s, mechanical power over weight.
        action: (N, actuators) in [−1, 1].
        last_action: (N, actuators) of the step before; zeros in an episode's first.
        alive: (N,) bool, within the limits.
        target_speed: (N,) m/s.
        target_direction: (N,) rad.
        standing_height: m, the trunk's in the beginning.
    """

    velocity: Array
    height: Array
    upright: Array
    heading: Array
    flight: Array
    force: Array
    power: Array
    action: Array
    last_action: Array
    alive: Array
    target_speed: Array
    target_direction: Array
    standing_height: float


def forward(reading: Reading) -> Array:
    """(N,) m/s along the target direction."""
    x, y = reading.velocity[:, 0], reading.velocity[:, 1]
    return np.asarray(x * np.cos(reading.target_direction) + y * np.sin(reading.target_direction))


def _speed(reading: Reading) -> Array:
    margin = np.maximum(np.abs(reading.target_speed), SLOWEST_MARGIN)
    return np.asarray(np.maximum(0.0, 1.0 - np.abs(forward(reading) - reading.target_speed) / margin))


def _height(reading: Reading) -> Array:
    return np.asarray(np.minimum(reading.height / max(reading.standing_height, 1e-6), 1.0))


def _mean_square(values: Array) -> Array:
    return np.asarray(np.square(values).sum(axis=1) / values.shape[1])


#: Term → (N,) of it, without its weight.
QUANTITIES: dict[str, Callable[[Reading], Array]] = {
    "forward": forward,
    "speed": _speed,
    "alive": lambda reading: reading.alive.astype(np.float64),
    "posture": lambda reading: reading.upright,
    "height": _height,
    "direction": lambda reading: np.cos(reading.heading - reading.target_direction),
    "flight": lambda reading: reading.flight,
    "effort": lambda reading: _mean_square(reading.force),
    "power": lambda reading: reading.power,
    "action_rate": lambda reading: _mean_square(reading.action - reading.last_action),
}


def named_reward(terms: RewardTerms, reading: Reading) -> dict[str, Array]:
    """The reward's terms, (N,) each, weights included, by name; their sum is the reward."""
    return {name: weight * QUANTITIES[name](reading) for name, weight in terms.weights().items()}

"""Playing strength for sparring: `UCI_Elo` as simulations and temperature, and moves drawn by temperature.

The table is a guess, not a measurement: AlphaZero-like engines gain some 70 to 120 Elo for every doubling
of the simulations (shared experience of Lc0 and of small networks), and drawing moves in proportion to their
visits costs more the more moves are drawn. It is meant for a network that plays at about 1,500 with 800
simulations; `playfield evaluate --opponents stockfish:0` measures what a network really plays at.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from sim.records import Array

#: UCI_Elo → simulations and temperature; between two rows both change evenly, the simulations in doublings.
TABLE = (
    (600, 1, 1.5),
    (700, 2, 1.2),
    (800, 4, 1.0),
    (900, 8, 0.8),
    (1000, 16, 0.6),
    (1100, 32, 0.45),
    (1200, 64, 0.3),
    (1300, 160, 0.2),
    (1400, 360, 0.1),
    (1500, 800, 0.0),
)
LEAST_ELO, MOST_ELO = TABLE[0][0], TABLE[-1][0]
MOST_TEMPERATURE = 100.0


@dataclass(frozen=True)
class Strength:
    """How strong a move is searched and chosen.

    Attributes:
        simulations: at most; None for no limit.
        temperature: of the draw among the root's moves; 0 plays the best one.
    """

    simulations: int | None = None
    temperature: float = 0.0


def limited(elo: int) -> Strength:
    """Strength of an Elo rating, from `TABLE`.

    >>> limited(1200), limited(1250)
    (Strength(simulations=64, temperature=0.3), Strength(simulations=101, temperature=0.25))
    """
    elo = min(max(elo, LEAST_ELO), MOST_ELO)
    i = min(bisect_right([row[0] for row in TABLE], elo), len(TABLE) - 1)
    (low, few, hot), (high, many, cold) = TABLE[i - 1], TABLE[i]
    share = (elo - low) / (high - low)
    simulations = round(few * (many / few) ** share)
    return Strength(simulations, round(hot + share * (cold - hot), 4))


def drawn(weights: Array, temperature: float, generator: np.random.Generator) -> int:
    """Draw an index in proportion to ``weights ** (1 / temperature)``; at 0 the largest weight's.

    Args:
        weights: (K,) not negative, one at least positive.
        temperature: not negative.
        generator: of the draw.
    """
    if temperature <= 0:
        return int(weights.argmax())
    with np.errstate(divide="ignore"):
        logits = np.log(weights) / temperature
    odds = np.exp(logits - logits.max())
    return int(generator.choice(len(odds), p=odds / odds.sum()))


def parse_temperature(text: str) -> float:
    """Parse a temperature.

    Raises:
        ValueError: unless it is a number in 0…100.
    """
    try:
        temperature = float(text)
    except ValueError:
        temperature = math.nan
    if not 0 <= temperature <= MOST_TEMPERATURE:
        raise ValueError(f'Temperature must be a number in 0…{MOST_TEMPERATURE:.0f}, not "{text}"')
    return temperature

"""Baseline of dance music: tempo and metre of a sound, and a Gaussian for each class over them.

The onset strength's autocorrelation (Scheirer 1998; Ellis 2007, "Beat tracking by dynamic programming") is
read at the pulse, at its double, triple and quadruple; the logarithm of the pulse's period and these heights
are what a quadratic discriminant knows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sim.records import Array, Percept
from supervised.sound.log_mel import FRAMES_A_SECOND, log_mel, onset_strength

PERIODS = np.arange(0.09, 0.32, 0.001)  # seconds of the shortest regular note
COMB = 8  # multiples of a period that tell it
RIDGE = 1e-2  # added to the variances, of standardised numbers
MULTIPLES = (2, 3, 4, 6, 8)


def tempo_and_metre(sound: Array) -> Array:
    """(6,) float64: log of the pulse's period in s, and the autocorrelation at `MULTIPLES` of it.

    >>> clicks = np.zeros(80_000, np.float32)
    >>> clicks[::1600] = 1.0
    >>> float(np.exp(tempo_and_metre(clicks)[0]).round(2))
    0.2
    """
    strength = onset_strength(log_mel(sound))
    strength = strength - strength.mean()
    size = 2 * len(strength)
    raw = np.fft.irfft(np.abs(np.fft.rfft(strength, size)) ** 2, size)[: len(strength)]
    height = raw / (raw[0] or 1.0)
    lags = PERIODS[:, None] * FRAMES_A_SECOND * np.arange(1, COMB + 1)  # frames
    comb = np.interp(lags, np.arange(len(height)), height).mean(1)
    period = PERIODS[int(np.argmax(comb))]
    at = (period * FRAMES_A_SECOND * np.array(MULTIPLES)).astype(int)
    around = np.pad(height, (0, at[-1] + 2))[at[:, None] + [0, 1]]  # a peak lies between two frames
    return np.array([np.log(period), *around.max(1)])


class TempoRule:
    """Quadratic discriminant analysis of tempo and metre; a `supervised.task.Perceive`."""

    def __init__(self, sounds: Sequence[Array], labels: Sequence[str]) -> None:
        """Fit a Gaussian to each class."""
        x, y = np.stack([tempo_and_metre(sound) for sound in sounds]), np.array(labels)
        self._mean, self._std = x.mean(0), x.std(0) + 1e-9
        x = (x - self._mean) / self._std
        self.classes = tuple(np.unique(y).tolist())
        self._centres = np.stack([x[y == name].mean(0) for name in self.classes])
        eye = RIDGE * np.eye(x.shape[1])
        self._spreads = np.stack([np.cov(x[y == name].T, bias=True) + eye for name in self.classes])
        self._prior = np.log([np.mean(y == name) for name in self.classes])

    def __call__(self, sounds: Sequence[Array]) -> list[Percept]:
        """The most probable class of each sound."""
        x = np.stack([tempo_and_metre(sound) for sound in sounds])
        away = ((x - self._mean) / self._std)[:, None] - self._centres  # (N, C, D)
        exponent = np.einsum("ncd,cde,nce->nc", away, np.linalg.inv(self._spreads), away)
        logits = self._prior - 0.5 * (exponent + np.linalg.slogdet(self._spreads)[1])
        likely = np.exp(logits - logits.max(1, keepdims=True))
        likely /= likely.sum(1, keepdims=True)
        rows = enumerate(likely.argmax(1).tolist())
        return [Percept("model", label=self.classes[i], scores=likely[n, [i]]) for n, i in rows]

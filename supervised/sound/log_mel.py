"""Log-mel spectrogram: power of a short-time Fourier transform in triangular bands of equal width in mel.

The mel scale is m = 2595 log10(1 + f / 700) (O'Shaughnessy 1987), the bands reach to their neighbours'
centres and have height 1 (HTK's convention), the window is Hann's.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from sim.records import Array
from supervised.data.sources.audio_file import RATE

WINDOW = 512  # samples of a frame: 64 ms
HOP = 160  # samples between frames: 20 ms
BANDS = 64
LOW, HIGH = 80.0, 3_900.0  # Hz, of the bands' outer edges
FLOOR = 1e-6  # of the power; -60 dB of a tone at full scale is about 1e-2
FRAMES_A_SECOND = RATE / HOP


def mel(hertz: float) -> float:
    """Mel of a frequency in Hz.

    >>> round(mel(1000))
    1000
    """
    return 2595 * float(np.log10(1 + hertz / 700))


@cache
def filters() -> Array:
    """Weights of the bands, (BANDS, WINDOW // 2 + 1) float32, a row a band, a column a frequency."""
    marks = np.linspace(mel(LOW), mel(HIGH), BANDS + 2)
    edges = 700 * (10 ** (marks / 2595) - 1)
    hertz = np.arange(WINDOW // 2 + 1) * RATE / WINDOW
    rising = (hertz - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - hertz) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)


def centres() -> Array:
    """(BANDS,) centre frequency of each band, Hz."""
    marks = np.linspace(mel(LOW), mel(HIGH), BANDS + 2)[1:-1]
    found: Array = 700 * (10 ** (marks / 2595) - 1)
    return found


def log_mel(sound: Array) -> Array:
    """Log-mel spectrogram (F, BANDS) float32, in natural logarithms of the power.

    Args:
        sound: (T,) int16, or float in [-1, 1]; padded with silence to a whole window.

    Returns:
        A row each `HOP` samples, the first of the first `WINDOW` of them.
    """
    samples = np.asarray(sound, np.float32) / (32768 if np.asarray(sound).dtype.kind == "i" else 1)
    samples = np.pad(samples, (0, max(0, WINDOW - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]
    window = np.hanning(WINDOW + 1)[:-1].astype(np.float32)  # periodic
    power = np.abs(np.fft.rfft(frames * window)) ** 2
    return np.log(power @ filters().T + FLOOR).astype(np.float32)


def onset_strength(mels: Array) -> Array:
    """Rise of the spectrum from each frame to the next, (F - 1,): the half-wave rectified spectral flux."""
    found: Array = np.maximum(0, np.diff(mels, axis=0)).mean(1)
    return found

"""Synthesizer of melodies: additive and FM tones of random timbre, as 8 kHz sound.

Partials above half the sampling rate are left out, so that nothing folds back (FM by Chowning 1973, "The
synthesis of complex audio spectra by means of frequency modulation"). Sound that is synthesised is easier
than recorded sound: no other instrument, no room but a simple echo, and every note exactly as written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from sim.records import Array
from supervised.data.sources.audio_file import RATE

A4 = 440.0  # Hz, MIDI pitch 69
PARTIALS = 10
SHORTEST = 0.04  # seconds of a note
LOUDEST = 0.9  # of full scale
FACTOR = 8_192  # of the length of a Fourier transform, which is slow for large primes
Generator: TypeAlias = np.random.Generator


@dataclass(frozen=True)
class Timbre:
    """An instrument.

    Attributes:
        partials: (K,) amplitude of each harmonic.
        decay: (K,) how fast each fades, 1/s; 0 for one that is blown or bowed.
        attack: seconds until a note is at its loudest.
        release: seconds that it sounds on.
        vibrato: depth in semitones, and rate in Hz.
        modulation: index of the FM, radians; 0: none.
        ratio: of the modulating frequency to the note's.
    """

    partials: Array
    decay: Array
    attack: float
    release: float
    vibrato: tuple[float, float]
    modulation: float
    ratio: float

    @classmethod
    def drawn(cls, generator: Generator) -> Timbre:
        """A random one: bowed, blown or plucked, dark or bright, sometimes with odd harmonics alone or FM."""
        order = np.arange(1, PARTIALS + 1)
        partials = order ** -generator.uniform(0.6, 2.5) * generator.uniform(0.3, 1, PARTIALS)
        if generator.random() < 0.25:
            partials[1::2] *= 0.1
        plucked = generator.random() < 0.4
        decay = generator.uniform(2, 6) * order ** generator.uniform(0.2, 0.8) if plucked else 0.0 * order
        return cls(
            partials / partials.sum(),
            decay,
            attack=generator.uniform(0.002, 0.01) if plucked else generator.uniform(0.01, 0.04),
            release=generator.uniform(0.02, 0.08),
            vibrato=(generator.uniform(0, 0.25), generator.uniform(4, 7)),
            modulation=generator.uniform(0.5, 2.5) if generator.random() < 0.3 else 0.0,
            ratio=float(generator.choice([1.0, 2.0, 3.0])),
        )


def fading(timbre: Timbre, seconds: float) -> Array:
    """Amplitude of each partial over time, (K, T): what `tone` takes for notes up to that long."""
    t = np.arange(round((seconds + timbre.release) * RATE) + 1) / RATE
    return timbre.partials[:, None] * np.exp(-timbre.decay[:, None] * t)


def tone(pitch: float, seconds: float, timbre: Timbre, amplitudes: Array) -> Array:
    """One note as samples (T,) in [-1, 1], its release included.

    Args:
        pitch: MIDI, fractions allowed.
        seconds: that it is held.
        timbre: of the instrument.
        amplitudes: of its partials, from `fading`, at least as long as the note.
    """
    held = max(seconds, SHORTEST)
    t = np.arange(round((held + timbre.release) * RATE)) / RATE
    frequency = A4 * 2 ** ((pitch - 69) / 12)
    depth, rate = timbre.vibrato
    swing = frequency * (2 ** (depth / 12) - 1) / rate * (1 - np.cos(2 * np.pi * rate * t))
    phase = 2 * np.pi * frequency * t + swing
    if timbre.modulation:
        phase = phase + timbre.modulation * np.exp(-4 * t) * np.sin(timbre.ratio * phase)
    count = max(1, min(PARTIALS, int(RATE / 2 / (frequency * (1 + timbre.modulation)))))
    sound, before, partial = np.zeros(len(t)), np.zeros(len(t)), np.sin(phase)
    double = 2 * np.cos(phase)
    for amplitude in amplitudes[:count]:
        sound += amplitude[: len(t)] * partial
        # sin((k + 1)x) = 2 cos(x) sin(kx) - sin((k - 1)x)
        partial, before = double * partial - before, partial
    left = (held + timbre.release - t) / timbre.release
    return sound * np.minimum(1, np.minimum(t / timbre.attack, np.maximum(0, left)))


def melody(notes: Array, seconds: float, timbre: Timbre, generator: Generator) -> Array:
    """Notes played by one instrument, (T,) float64, before the room and the recording.

    Args:
        notes: (N, 4) onset and duration in seconds, MIDI pitch, loudness in (0, 1].
        seconds: of the sound; what lasts longer is cut off.
        timbre: of the instrument.
        generator: of small errors in time.
    """
    sound = np.zeros(round(seconds * RATE))
    amplitudes = fading(timbre, max(SHORTEST, *notes[:, 1], 0.0))
    for onset, duration, pitch, loudness in notes:
        at = round(max(0.0, onset + generator.normal(0, 0.006)) * RATE)
        one = loudness * tone(pitch, duration, timbre, amplitudes)[: max(0, len(sound) - at)]
        sound[at : at + len(one)] += one
    return sound


def recorded(sound: Array, generator: Generator) -> Array:
    """The sound in a room with some noise, at some loudness: (T,) int16."""
    echo = np.exp(-np.arange(RATE // 4) / (RATE * generator.uniform(0.02, 0.12)))
    echo *= generator.standard_normal(len(echo)) * generator.uniform(0, 0.12)
    echo[0] = 1.0
    sound, echo = sound.astype(np.float32), echo.astype(np.float32)
    size = -(-(len(sound) + len(echo)) // FACTOR) * FACTOR
    wet = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(echo, size), size)[: len(sound)]
    power = np.sqrt(np.mean(wet**2)) or 1.0
    hiss = power * 10 ** generator.uniform(-2.5, -1)
    wet = wet + hiss * generator.standard_normal(len(wet), np.float32)
    loudness = LOUDEST * 10 ** generator.uniform(-1, 0)
    samples: Array = np.round(wet / np.abs(wet).max() * loudness * 32767).astype(np.int16)
    return samples

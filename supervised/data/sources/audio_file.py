"""Audio files: WAV, FLAC, OGG, MP3 and what else PyAV decodes, as mono sound of one sampling rate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from sim.catalog import MissingPackageError, install_hint
from sim.records import Array
from supervised.data.sources.splits import DataError

RATE = 8_000  # samples a second, of every sound that a model reads
SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".aac", ".aiff", ".aif")
SECONDS_AT_MOST = 600.0  # of one file; what follows is not read
SHORTEST = 1.0  # seconds
SILENCE = 1e-3  # of full scale: -60 dB

#: Takes the name of an input that cannot be used, and why.
Fail: TypeAlias = Callable[[str, Exception], None]


class AudioError(DataError):
    """A file that gives no sound: damaged, silent, too short, or without an audio stream."""


def read_sounds(source: str, fail: Fail) -> Iterator[tuple[str, Array]]:
    """Sounds (T,) int16 mono at `RATE`: of a file, or of every audio file in a folder, in order of name.

    Raises:
        AudioError: if there is no such file, or no audio file in the folder.
        MissingPackageError: without PyAV.
    """
    path = Path(source)
    if not path.exists():
        raise AudioError(f"--input {source}: there is no such file or folder")
    files = audio_files(path) if path.is_dir() else [path]
    if not files:
        raise AudioError(f"--input {source}: there is no sound in this folder ({', '.join(SUFFIXES[:4])}, …)")
    for file in files:
        try:
            sound = read_audio(file)
        except AudioError as error:
            fail(str(file), error)
            continue
        yield str(file), sound


def audio_files(folder: Path) -> list[Path]:
    """The files in a folder that are sounds by their ending, in order of name."""
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)


def read_audio(file: Path, seconds: float = SECONDS_AT_MOST) -> Array:
    """The first audio stream of a file, mixed to mono and resampled: (T,) int16 at `RATE`.

    Args:
        file: of any format that PyAV decodes; of a video, its sound.
        seconds: that are read at most.

    Raises:
        AudioError: naming the file, if it is damaged, has no audio stream, is silent or too short.
        MissingPackageError: without PyAV.
    """
    try:
        import av
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"reading sounds needs {install_hint('av')}") from error
    try:
        sound = _decoded(av, file, round(seconds * RATE))
    except (av.FFmpegError, OSError, ValueError) as error:
        if isinstance(error, AudioError):
            raise
        raise AudioError(f"{file} cannot be read as sound: {error}") from error
    if len(sound) < SHORTEST * RATE:
        short = f"{len(sound) / RATE:.1f} s of sound"
        raise AudioError(f"{file} has {short}: at least {SHORTEST:.0f} s are needed")
    if np.abs(sound.astype(np.int32)).max() < SILENCE * 32767:
        raise AudioError(f"{file} is silent: nothing in it is louder than -60 dB")
    return sound


def _decoded(av: Any, file: Path, most: int) -> Array:
    """Up to `most` samples; damage after the first whole second only ends the sound."""
    parts, count = list[Array](), 0
    with av.open(str(file)) as container:
        if not container.streams.audio:
            raise AudioError(f"{file} has no audio stream")
        resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
        try:
            for frame in container.decode(container.streams.audio[0]):
                for piece in resampler.resample(frame):
                    parts.append(piece.to_ndarray()[0])
                    count += len(parts[-1])
                if count >= most:
                    break
            parts += [piece.to_ndarray()[0] for piece in resampler.resample(None)]
        except av.FFmpegError:
            if count < SHORTEST * RATE:
                raise
    sound: Array = np.concatenate([np.zeros(0, np.int16), *parts])[:most]
    return sound

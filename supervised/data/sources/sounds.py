"""Labelled sounds: the synthesised dances, or a user's folder with a subfolder for each class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sim.records import Array, Percept
from supervised.data.columns import RaggedColumn
from supervised.data.dataset import Dataset
from supervised.data.sources.audio_file import AudioError, audio_files, read_audio
from supervised.data.sources.splits import DataError, Source, Splits, sha256, three_parts
from supervised.data.sources.tunes import dance_splits

NAME = "dances"
FEWEST = 3  # sounds of a user's class
USED = 60.0  # seconds of each of them at most


def sound_splits(name: str, path: Path | None, *, renderings: int, seed: int) -> Splits:
    """The dances, or the sounds in a user's folder, whose subfolders are the classes.

    Args:
        name: ``dances``.
        path: of a folder; None for the dances.
        renderings: of each tune to learn from; tunes to validate and to test are rendered once.
        seed: of the split and the renderings.

    Raises:
        DataError: for an unknown name, or a folder that cannot be learned from.
        MissingPackageError: naming the package and the line that installs it.
    """
    if path is not None:
        return folder_splits(path, seed)
    if name != NAME:
        raise DataError(f'there are no data "{name}"; there is "{NAME}", or name a folder of sounds')
    return dance_splits(renderings=renderings, seed=seed)


def folder_splits(path: Path, seed: int) -> Splits:
    """A user's sounds: each subfolder is a class of at least three files; each file is a unit of the split.

    Raises:
        DataError: naming what is missing.
        MissingPackageError: without PyAV.
    """
    if not path.is_dir():
        raise DataError(f"{path} is a file: name a folder whose subfolders hold the sounds of each class")
    files = {folder.name: audio_files(folder) for folder in sorted(path.iterdir()) if folder.is_dir()}
    classes = tuple(name for name, own in files.items() if own)
    if len(classes) < 2:
        found = f"only {classes[0]}" if classes else "none"
        raise DataError(f"{path} needs subfolders with sounds, one a class; there is {found}")
    sounds, labels, faults, used = [], [], list[str](), list[Path]()
    for name in classes:
        for file in files[name]:
            try:
                sounds.append(read_audio(file, USED))
            except AudioError as error:
                faults.append(str(error))
                continue
            labels.append(name)
            used.append(file)
    few = [name for name in classes if labels.count(name) < FEWEST]
    if few:
        why = f"; {faults[0]}" if faults else ""
        raise DataError(f"{path}: {few[0]} has fewer than {FEWEST} sounds that can be used{why}")
    parts = _by_class(np.array(labels), seed)
    column = RaggedColumn.of(sounds)
    truths = tuple(Percept("truth", label=label) for label in labels)
    every = Dataset(values=column, truths=truths, episodes=np.arange(len(labels)))
    skipped = (f"{len(faults)} sounds: {faults[0]}",) if faults else ()
    source = Source(path.name, str(path), "", sha256(*used))
    train, validation, test = (every.take(rows) for rows in parts)
    return Splits(train, validation, test, "file", source, classes, skipped)


def _by_class(labels: Array, seed: int) -> list[Array]:
    """Rows of training, validation and test, with files of every class in each."""
    found: list[list[Array]] = [[], [], []]
    for name in np.unique(labels):
        own = np.flatnonzero(labels == name)
        for part, rows in zip(found, three_parts(own, seed), strict=True):
            part.append(own[rows])
    return [np.sort(np.concatenate(part)) for part in found]

"""`playfield perceive`: the scene's perception on a user's own pictures, or on frames of its world."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from scenes.build import chosen_device
from scenes.perceiving import build_perception, scene_vocabulary, told_by
from scenes.pictures import read_pictures
from scenes.schema import Scene, SceneError
from scenes.viewing import perception_config, scene_player, scene_sight, scene_views
from sim.catalog import mend
from sim.errors import RequestError
from sim.files import SaveError, reason
from sim.protocols import PerceptionModel
from sim.records import Array, Percept
from sim.viewer.show import Seen
from supervised.views import HELD_OUT, Taking

FRAMES = 10  # of the scene's world, where nothing is given to look at
EVERY = 97  # steps into the game
SHOWN_ACROSS = 640  # pixels: small pictures are enlarged by whole factors, so that what is drawn can be read


def perceive(
    scene: Scene,
    *,
    device: str,
    source: Path | None,
    out: Path,
    checkpoint: Path | None,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Look at pictures, and write each with what was seen drawn over it.

    Args:
        scene: its first perception looks.
        device: ``auto``, ``cpu`` or ``cuda``.
        source: a picture, a video or a folder of them; None for frames of the scene's world.
        out: a folder for what is written; made if there is none.
        checkpoint: instead of the scene's own.
        say: takes lines for a person.

    Returns:
        What ``--json`` says: ``percepts``, one for each picture, and ``files``.

    Raises:
        SceneError, PictureError, CheckpointError: if the request is wrong.
        SaveError: if a file cannot be written.
    """
    if not scene.perception:
        raise SceneError(f"{scene.source.name} has no [[perception]]: there is nothing to look with")
    try:
        from scenes.overlaid import overlaid, save_picture
    except ModuleNotFoundError as error:
        raise RequestError(f"drawing what is seen needs {mend(error.name or 'pygame')}") from error
    config, classes = perception_config(scene), scene_vocabulary(scene)
    bones = scene_sight(scene, config).bones()
    model, card = build_perception(scene, 0, classes, chosen_device(device), checkpoint)
    if card is None:
        say(f"{scene.name} has no checkpoint: an untrained {scene.perception[0].use} looks")
    if out.exists() and not out.is_dir():
        raise SceneError(f"{out} is a file: name a folder with --out")
    rows: list[dict[str, Any]] = []
    files: list[str] = []
    try:
        for name, rgb, percept in seen(model, inputs(scene, source)):
            out.mkdir(parents=True, exist_ok=True)
            file = out / f"{file_name(name)}.seen.png"
            kept = written(percept, out / file_name(name))
            factor = max(1, SHOWN_ACROSS // rgb.shape[1])
            shown = Seen(scene.perception[0].use, percept, classes=classes, edges=bones)
            save_picture(file, overlaid(rgb, shown, factor))
            rows.append(as_json(name, percept) | kept)
            files += [str(file), *kept.values()]
            say(f"{name}: {in_words(shown)}")
    except OSError as error:
        if isinstance(error, SaveError):
            raise
        raise SaveError(error.errno, f"could not write to {out}: {reason(error)}") from error
    most = getattr(config, "most", None)
    full = sum(len(row.get("boxes", ())) == most for row in rows)
    if full:
        say(f"{full} pictures with {most} boxes, as many as it tells: does it know pictures of this kind?")
    say(f"{len(rows)} pictures looked at; what was seen is drawn in {out}")
    return {"percepts": rows, "files": files}


def inputs(scene: Scene, source: Path | None) -> Iterator[tuple[str, Array]]:
    """Pictures by name: the user's, or frames of the scene's world that no training has seen."""
    if source is not None:
        yield from read_pictures(source)
        return
    config = perception_config(scene)
    taking = Taking(told_by(config), FRAMES, scene.seed + 3 * HELD_OUT, EVERY, held_out=True)
    views = scene_views(scene, config, taking, scene_player(scene))
    for i, rgb in enumerate(views.rgb):
        yield f"{scene.name}-{i}", rgb


def seen(
    model: PerceptionModel, pictures: Iterable[tuple[str, Array]]
) -> Iterator[tuple[str, Array, Percept]]:
    """Each picture with what the model says of it, one by one: a video need not fit into memory."""
    for name, rgb in pictures:
        yield name, rgb, model.perceive([rgb])[0]


def as_json(source: str, percept: Percept) -> dict[str, Any]:
    """A percept as ``--json`` gives it, without masks and depths, which are files; only what applies."""
    row: dict[str, Any] = {"source": source, "origin": percept.origin}
    if percept.boxes is not None:
        scores = [None] * len(percept.boxes) if percept.scores is None else percept.scores.tolist()
        row["boxes"] = [
            {"label": label, "score": score, "xyxy": [round(float(v), 2) for v in box]}
            for label, score, box in zip(percept.labels, scores, percept.boxes, strict=True)
        ]
    if percept.label is not None:
        row["label"] = percept.label
        if percept.boxes is None and percept.scores is not None:
            row["score"] = float(percept.scores[0])
    if percept.keypoints:
        row["keypoints"] = {name: list(point) for name, point in percept.keypoints.items()}
    for key in ("fen", "caption"):
        if getattr(percept, key) is not None:
            row[key] = getattr(percept, key)
    return row


def written(percept: Percept, stem: Path) -> dict[str, str]:
    """The files that a percept's mask (PNG, class numbers) and depth (NPY, metres) are written to."""
    kept: dict[str, str] = {}
    if percept.mask is not None:
        from scenes.overlaid import save_picture

        kept["mask"] = f"{stem}.mask.png"
        save_picture(Path(kept["mask"]), percept.mask.astype(np.uint8))
    if percept.depth is not None:
        kept["depth"] = f"{stem}.depth.npy"
        np.save(kept["depth"], percept.depth)
    return kept


def file_name(source: str) -> str:
    """A file name for what was seen in `source`.

    >>> file_name("clips/game.mp4#12")
    'game.mp4-12'
    """
    return Path(source).name.replace("#", "-")


def in_words(shown: Seen) -> str:
    """What was seen, in one line.

    >>> in_words(Seen("game-classifier", Percept("model", label="pong")))
    'pong'
    """
    from sim.viewer.sees import words

    return words(shown) or "nothing"

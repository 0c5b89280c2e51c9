"""What a window can go to from a scene: the other scenes, and the checkpoints of a run."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from scenes.schema import SHIPPED, Scene, SceneError, load_scene, shipped_scenes
from scenes.stage import SceneShow
from sim.runs import numbered
from sim.viewer.show import Listing, Programme


def programme(scene: Scene, *, device: str, run: Path | None = None) -> Programme:
    """The shipped scenes for Tab, this one among them, and the checkpoints of `run` for [ and ].

    The last checkpoint is the one that is followed: there the newest plays as it lands. Nothing is
    loaded before a person goes there.
    """

    def here(checkpoint: Path | None = None) -> SceneShow:
        return SceneShow(scene, device=device, checkpoint=checkpoint, run=run)

    def other(name: str) -> Listing:
        return Listing(title_of(name), lambda: SceneShow(load_scene(name), device=device))

    def checkpoints() -> list[Listing]:
        found = numbered(run / "checkpoints") if run else []
        older = [Listing(path.name, partial(here, path)) for path in found[:-1]]
        return older + [Listing(path.name, here) for path in found[-1:]]

    names = [name for name in shipped_scenes() if is_played(name)]
    if scene.name not in names or scene.source.parent != SHIPPED:
        names = [scene.name, *(name for name in names if name != scene.name)]
    listings = [Listing(scene.title, here) if name == scene.name else other(name) for name in names]
    label = timeline[-1].label if (timeline := checkpoints()) else ""
    return Programme(listings, names.index(scene.name), checkpoints, label, follows=run is not None)


def is_played(name: str) -> bool:
    """Whether a shipped scene has a world to watch; one that cannot be read is told of when gone to."""
    try:
        return load_scene(name).world is not None
    except SceneError:
        return True


def title_of(name: str) -> str:
    """The title of a shipped scene; its name, if its file cannot be read."""
    try:
        return load_scene(name).title
    except SceneError:
        return name

"""What a window can go to from a scene: the other scenes, and the checkpoints of a run."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from scenes.schema import SHIPPED, Scene, SceneError, load_scene, shipped_scenes
from scenes.watching.scene_show import MOST_WORLDS, SceneShow
from sim.storage.runs import numbered
from sim.viewer.contract.show import Playlist, PlaylistEntry, Show


def show_of(
    scene: Scene,
    *,
    device: str,
    checkpoint: Path | None = None,
    run: Path | None = None,
    attended: bool = True,
    say: Callable[[str], None] = lambda line: None,
) -> Show:
    """What there is to watch of a scene: its world, or what its sampler makes, if it has no world.

    Args:
        scene: whichever.
        device: ``auto``, ``cpu`` or ``cuda``.
        checkpoint: instead of the scene's own.
        run: a training run whose newest checkpoint is shown, if no other is given.
        attended: whether a person is there; if not, one world is enough, and a gallery goes by itself.
        say: takes lines for a person.

    Raises:
        SceneError, CheckpointError: if there is nothing to watch, or it does not fit.
    """
    if scene.world is not None or not scene.sampler:
        worlds = MOST_WORLDS if attended else 1
        return SceneShow(
            scene, device=device, checkpoint=checkpoint, run=run, most_worlds=worlds, attended=attended
        )
    from scenes.watching.sampler_gallery import SamplerStudio
    from sim.viewer.gallery.show import GalleryShow

    saved = numbered(run / "checkpoints") if run is not None else []
    newest = checkpoint or (saved[-1] if saved else None)
    studio = SamplerStudio(scene, device=device, checkpoint=newest, say=say)
    return GalleryShow(studio, attended=attended)


def playlist(
    scene: Scene, *, device: str, checkpoint: Path | None = None, run: Path | None = None
) -> Playlist:
    """The shipped scenes for Tab, this one among them, and the checkpoints of `run` for [ and ].

    This scene is shown with `checkpoint`, where one is given instead of its own.

    The last checkpoint is the one that is followed: there the newest plays as it lands. Nothing is
    loaded before a person goes there.
    """

    def here(checkpoint: Path | None = checkpoint) -> Show:
        return show_of(scene, device=device, checkpoint=checkpoint, run=run)

    def other(name: str) -> PlaylistEntry:
        return PlaylistEntry(title_of(name), lambda: show_of(load_scene(name), device=device))

    def checkpoints() -> list[PlaylistEntry]:
        found = numbered(run / "checkpoints") if run else []
        older = [PlaylistEntry(path.name, partial(here, path)) for path in found[:-1]]
        return older + [PlaylistEntry(path.name, here) for path in found[-1:]]

    names = shipped_scenes()
    if scene.name not in names or scene.source.parent != SHIPPED:
        names = [scene.name, *(name for name in names if name != scene.name)]
    entries = [PlaylistEntry(scene.title, here) if name == scene.name else other(name) for name in names]
    label = timeline[-1].label if (timeline := checkpoints()) else ""
    return Playlist(entries, names.index(scene.name), checkpoints, label, follows=run is not None)


def title_of(name: str) -> str:
    """The title of a shipped scene; its name, if its file cannot be read."""
    try:
        return load_scene(name).title
    except SceneError:
        return name

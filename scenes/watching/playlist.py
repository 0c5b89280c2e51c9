"""Playlist of the window: the shipped scenes, and the checkpoints of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from scenes.build.samplers import refuse_world_model
from scenes.data.agent_env import agent_env
from scenes.data.task_data import has_task
from scenes.lecture import lecture_scenes
from scenes.schema import SHIPPED, Perception, Sampler, Scene, SceneError, load_scene
from scenes.watching.labels import player_name, readable
from scenes.watching.live_agent import PLAIN_WORDS
from scenes.watching.pair_show import PairShow
from scenes.watching.posters import Posters
from scenes.watching.rotation_show import RotationShow, rotated_worlds
from scenes.watching.scene_show import SceneShow
from sim.progress import waiting
from sim.storage.runs import step_folders
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
    """Make the show of a scene: its world with its agent, its task's examples, or its sampler's gallery.

    Args:
        scene: with a world or a sampler.
        device: ``auto``, ``cpu`` or ``cuda``.
        checkpoint: instead of the scene's own.
        run: a training run to follow; its newest checkpoint is shown unless `checkpoint` is given.
        attended: whether a person watches; if not, one world is shown, step by step instead of frame by
            frame, and a gallery runs its demo.
        say: takes lines for a person.

    Raises:
        SceneError, CheckpointError: if there is nothing to watch, or it does not fit.
    """
    with waiting("loading PyTorch"):
        import torch  # noqa: F401
    if has_task(scene):
        from scenes.watching.examples_show import ExamplesShow

        with waiting("loading model and examples"):
            return ExamplesShow(scene, device=device, checkpoint=checkpoint, run=run)
    if attended and run is None and (board := _board_config(scene, device)) is not None:
        from scenes.watching.board_show import BoardShow

        with waiting("loading the players"):
            return BoardShow(scene, board, device=device, checkpoint=checkpoint)
    if names := rotated_worlds(scene):
        with waiting("loading the first world"):
            return RotationShow(
                scene, names, device=device, checkpoint=checkpoint, run=run, attended=attended
            )
    if scene.world is not None or not scene.sampler:
        return SceneShow(
            scene,
            device=device,
            checkpoint=checkpoint,
            run=run,
            most_worlds=None if attended else 1,
            attended=attended,
            every_frame=attended,
        )
    refuse_world_model(scene, "watch")
    from scenes.watching.sampler_gallery import SamplerGallerySource
    from sim.viewer.gallery.show import GalleryShow

    saved = step_folders(run / "checkpoints") if run is not None else []
    newest = checkpoint or (saved[-1] if saved else None)
    with waiting("loading the sampler"):
        source = SamplerGallerySource(scene, device=device, checkpoint=newest, say=say)
    return GalleryShow(source, attended=attended)


def _board_config(scene: Scene, device: str) -> Any:
    """Configuration of a chess world that is played at a board; None if it is another show.

    What perceptions and samplers have to do with, and many worlds at once, `SceneShow` shows.
    """
    if scene.world is None or scene.perception or scene.sampler:
        return None
    if scene.world.use.partition("/")[0] != "chess":
        return None
    from sim.chess.world import Chess

    config = agent_env(scene, device)
    return config if isinstance(config, Chess) else None


def playlist(
    scene: Scene, *, device: str, checkpoint: Path | None = None, run: Path | None = None
) -> Playlist:
    """Make the playlist: the shipped scenes (Tab), and the checkpoints of `run` ([ and ]).

    This scene is shown with `checkpoint`, where one is given instead of its own. The last entry of the
    checkpoints follows the run: the newest one plays as it lands. Nothing is loaded before it is chosen.
    """

    def here(checkpoint: Path | None = checkpoint) -> Show:
        return show_of(scene, device=device, checkpoint=checkpoint, run=run)

    def other(name: str) -> PlaylistEntry:
        found = load_shipped(name)
        title = name if found is None else found.title
        return PlaylistEntry(title, lambda: show_of(load_scene(name), device=device), about_scene(found))

    def checkpoints() -> list[PlaylistEntry]:
        found = step_folders(run / "checkpoints") if run else []
        older = [PlaylistEntry(path.name, partial(here, path)) for path in found[:-1]]
        return older + [PlaylistEntry(path.name, here) for path in found[-1:]]

    names = lecture_scenes()
    if scene.name not in names or scene.source.parent != SHIPPED:
        names = [scene.name, *(name for name in names if name != scene.name)]
    mine = PlaylistEntry(scene.title, here, about_scene(scene))
    entries = [mine if name == scene.name else other(name) for name in names]
    label = timeline[-1].label if (timeline := checkpoints()) else ""
    posters = Posters([scene.source if name == scene.name else SHIPPED / f"{name}.toml" for name in names])
    place, follows = names.index(scene.name), run is not None
    return Playlist(entries, place, checkpoints, label, follows=follows, posters=posters)


def pair_of(
    scene: Scene,
    checkpoints: tuple[Path | None, Path],
    others: Playlist | None,
    *,
    device: str,
    attended: bool,
) -> tuple[Show, Playlist | None]:
    """Two checkpoints side by side, and the playlist of a window with them in their scene's place.

    Raises:
        SceneError, CheckpointError: if there is no world or agent, or a checkpoint does not fit.
    """
    if scene.world is None:
        raise SceneError(f"{scene.name} has no world: --beside puts two agents side by side")

    def make() -> Show:
        return PairShow(scene, checkpoints, device=device, attended=attended)

    if others is None:
        return make(), None
    entries = list(others.scenes)
    entries[others.scene] = PlaylistEntry(scene.title, make, f"two checkpoints · {about_scene(scene)}")
    return make(), replace(others, scenes=entries)


def load_shipped(name: str) -> Scene | None:
    """A shipped scene; None if the file cannot be read."""
    try:
        return load_scene(name)
    except SceneError:
        return None


def about_scene(scene: Scene | None) -> str:
    """A line about a scene: what it has, and whether that is trained.

    >>> about_scene(load_scene("pong-detector"))
    'PPO, detector · trained'
    """
    if scene is None:
        return "cannot be read"
    names: list[str] = []
    models: tuple[Perception | Sampler, ...] = (*scene.perception, *scene.sampler)
    trained = [model.checkpoint is not None for model in models]
    if scene.agent is not None:
        name = scene.agent.use
        names.append(name if name in PLAIN_WORDS else player_name(name.upper()))
        trained = trained or [scene.agent.checkpoint is not None]
    names += [model.use.upper() if len(model.use) <= 3 else readable(model.use) for model in models]
    state = "trained" if trained and all(trained) else "untrained"
    return " · ".join(filter(None, (", ".join(dict.fromkeys(names)), state)))

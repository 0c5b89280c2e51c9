"""Action replays on the command line: from a file to a show and its playlist, and from a show to a file."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from scenes.schema import Scene
from scenes.watching.playlist import about_scene
from scenes.watching.replay_scene import scene_of_replay
from scenes.watching.replay_show import ReplayShow
from scenes.watching.scene_show import SceneShow
from sim.errors import RequestError, WorkError
from sim.storage.files import reason, special_file_kind, write_whole
from sim.storage.replays import ActionReplay, read_replay, replay_text
from sim.viewer.contract.gesture import Ability
from sim.viewer.contract.show import Playlist, PlaylistEntry, Show


def read(path: Path, say: Callable[[str], None]) -> tuple[ActionReplay, Scene]:
    """Read an action replay and its scene.

    Raises:
        ReplayFileError, SceneError: naming the file and what is wrong with it.
    """
    replay = read_replay(path)
    return replay, scene_of_replay(replay.scene, path, say)


def replay_of(
    replay: ActionReplay, scene: Scene, others: Playlist | None, *, device: str, attended: bool
) -> tuple[ReplayShow, Playlist | None]:
    """The show of a replay, and the playlist of a window with it in its scene's place."""

    def make() -> ReplayShow:
        return ReplayShow(replay, scene, device=device, attended=attended, every_frame=attended)

    if others is None:
        return make(), None
    entries = list(others.scenes)
    entries[others.scene] = PlaylistEntry(scene.title, make, f"action replay · {about_scene(scene)}")
    return make(), replace(others, scenes=entries)


def check_replay_target(path: Path, *, overwrite: bool) -> None:
    """Refuse a file that could not be written, before any work is done for it.

    Raises:
        RequestError: naming it.
    """
    if odd := special_file_kind(path):
        raise RequestError(f"cannot record to {path}: it is {odd}; name a file")
    if os.path.lexists(path) and not overwrite:
        raise RequestError(f"cannot record to {path}: it exists; name another file, or add --overwrite")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise RequestError(f"cannot record to {path}: {path.parent} is no folder that can be written")


def logging_show(show: Show | PlaylistEntry, path: Path) -> SceneShow:
    """The show, which from now on keeps the actions of all its episodes.

    Raises:
        RequestError: if it has no world whose actions tell all.
    """
    if not isinstance(show, SceneShow) or Ability.EPISODE not in show.abilities:
        if not isinstance(show, PlaylistEntry):
            show.close()
        raise RequestError(f"cannot record to {path}: only games and robots have action replays")
    show.log.keep_all = True
    return show


def write_replay(show: SceneShow, path: Path, *, overwrite: bool) -> Path:
    """Write all episodes of a show that has been closed, the last one as far as it went.

    Returns:
        The file; one that has come meanwhile stays, and the next free name is taken.

    Raises:
        WorkError: if nothing was played, or the disk is full.
    """
    try:
        text = replay_text(show.replay(show.log.episodes))
        return write_whole(path, lambda file: _write(file, text), overwrite=overwrite)
    except RequestError as error:
        raise WorkError(str(error)) from error
    except OSError as error:
        raise WorkError(f"recording {path} failed: {reason(error)}; choose another folder") from error


def _write(file: Path, text: str) -> None:
    file.write_text(text, "utf-8")

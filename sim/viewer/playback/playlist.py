"""Navigation among the scenes and checkpoints of the window."""

from __future__ import annotations

from sim.viewer.contract.show import Playlist, PlaylistEntry, Poster


class PlaylistPosition:
    """Position in a `Playlist` of scenes and checkpoints."""

    def __init__(self, playlist: Playlist) -> None:
        self._playlist = playlist
        self._scene = playlist.scene
        self._checkpoint = playlist.checkpoint
        self._held = False  # a person went back to an older checkpoint of a run that was followed

    @property
    def abilities(self) -> frozenset[str]:
        """``"scenes"`` and ``"checkpoints"``, where there are several or more may come."""
        found = {"scenes"} if len(self._playlist.scenes) > 1 else set()
        several = self._at_home and (self._playlist.follows or len(self._checkpoints()) > 1)
        return frozenset(found | ({"checkpoints"} if several else set()))

    @property
    def place(self) -> str:
        """Position on the timeline of checkpoints in words, such as ``"checkpoint 3 of 12"``."""
        labels = [entry.label for entry in self._checkpoints()]
        if self._checkpoint not in labels or (self._playlist.follows and not self._held):
            return ""
        return f"checkpoint {labels.index(self._checkpoint) + 1} of {len(labels)}"

    @property
    def _at_home(self) -> bool:
        return self._scene == self._playlist.scene

    def _checkpoints(self) -> list[PlaylistEntry]:
        return list(self._playlist.checkpoints()) if self._at_home else []

    def arrived(self, checkpoint: str) -> None:
        """Move to a checkpoint that the show has loaded by itself."""
        self._checkpoint = checkpoint or self._checkpoint

    def to_scene(self, by: int) -> PlaylistEntry | str:
        """Go on by `by` scenes, wrapping around; a message if there is no other."""
        scenes = self._playlist.scenes
        if len(scenes) < 2:
            return "no other scenes"
        self._scene = (self._scene + by) % len(scenes)
        self._checkpoint = self._playlist.checkpoint if self._at_home else ""
        self._held = False
        return scenes[self._scene]

    @property
    def scenes(self) -> tuple[tuple[str, str], ...]:
        """Title of each scene, and a line about it."""
        return tuple((entry.label, entry.about) for entry in self._playlist.scenes)

    def open_list(self) -> None:
        """Begin to make the scenes' posters."""
        if self._playlist.posters is not None:
            self._playlist.posters.begin()

    @property
    def posters(self) -> tuple[Poster | None, ...]:
        """A poster for each scene, where there is one; empty for none at all."""
        return () if self._playlist.posters is None else self._playlist.posters.pictures()

    def close(self) -> None:
        """Make no more posters."""
        if self._playlist.posters is not None:
            self._playlist.posters.close()

    def to_scene_at(self, index: int) -> PlaylistEntry | str:
        """Go to the scene with this place in `scenes`; a message if it is the present one."""
        return self.to_scene(index - self._scene) if index != self._scene else "this is that scene"

    def to_checkpoint(self, by: int) -> PlaylistEntry | str:
        """Go along the timeline by `by`, without wrapping around; a message where it ends."""
        timeline = self._checkpoints()
        labels = [entry.label for entry in timeline]
        here = labels.index(self._checkpoint) if self._checkpoint in labels else len(labels)
        there = here + by
        if self._playlist.follows and not self._held and self._at_home and by > 0:
            return "following: newer checkpoints play as they land"
        if len(timeline) < 2:
            return "no other checkpoints"
        if not 0 <= there < len(timeline):
            return "this is the newest checkpoint" if by > 0 else "this is the oldest checkpoint"
        self._checkpoint = labels[there]
        self._held = there < len(timeline) - 1
        return timeline[there]

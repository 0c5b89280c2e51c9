"""Where the window stands among scenes and checkpoints, and which show is next."""

from __future__ import annotations

from sim.viewer.show import Listing, Programme


class Tour:
    """A walk through a programme."""

    def __init__(self, programme: Programme) -> None:
        self._programme = programme
        self._scene = programme.scene
        self._checkpoint = programme.checkpoint

    @property
    def abilities(self) -> frozenset[str]:
        """``"scenes"`` and ``"checkpoints"``, where there are several."""
        found = {"scenes"} if len(self._programme.scenes) > 1 else set()
        return frozenset(found | ({"checkpoints"} if len(self._checkpoints()) > 1 else set()))

    @property
    def place(self) -> str:
        """Where the present show stands on the timeline, such as ``"checkpoint 3 of 12"``."""
        labels = [listing.label for listing in self._checkpoints()]
        if self._checkpoint not in labels:
            return ""
        return f"checkpoint {labels.index(self._checkpoint) + 1} of {len(labels)}"

    def _checkpoints(self) -> list[Listing]:
        at_home = self._scene == self._programme.scene
        return list(self._programme.checkpoints()) if at_home else []

    def to_scene(self, by: int) -> Listing | str:
        """Go to a scene so many places on, around the end; words if there is no other."""
        scenes = self._programme.scenes
        if len(scenes) < 2:
            return "no other scenes"
        self._scene = (self._scene + by) % len(scenes)
        self._checkpoint = self._programme.checkpoint if self._scene == self._programme.scene else ""
        return scenes[self._scene]

    def to_checkpoint(self, by: int) -> Listing | str:
        """Go along the timeline, not around its ends; words where there is nothing that way."""
        timeline = self._checkpoints()
        labels = [listing.label for listing in timeline]
        here = labels.index(self._checkpoint) if self._checkpoint in labels else len(labels)
        there = here + by
        if len(timeline) < 2:
            return "no other checkpoints"
        if not 0 <= there < len(timeline):
            return "this is the newest checkpoint" if by > 0 else "this is the oldest checkpoint"
        self._checkpoint = labels[there]
        return timeline[there]

"""Mouse input on the divider of a split view."""

from __future__ import annotations

from pygame import Rect

from sim.viewer.app.viewer import Viewer
from sim.viewer.overlays import split_view, world_picture


class DividerInput:
    """The mouse on the divider of one viewer's split view."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._dragged: Rect | None = None

    def press(self, at: tuple[int, int]) -> bool:
        """The button goes down: whether it takes the divider."""
        viewer, moment = self._viewer, self._viewer.view.moment
        chosen = viewer.choices
        if moment is None or chosen.grid or not chosen.percepts or chosen.split == "off":
            return False
        if split_view.dense(moment.seen) is None and "dense" not in viewer.facts.abilities:
            return False
        height, width = moment.pictures[0].shape[:2]
        layout = viewer.layout()
        picture = world_picture.place((width, height), layout.world, whole=layout.whole)
        if split_view.is_on_divider(viewer.ink, picture, chosen.divider, at):
            self._dragged = picture
        return self._dragged is not None

    def move(self, at: tuple[int, int]) -> None:
        """The mouse moves; a divider that is held moves with it."""
        if self._dragged is not None:
            viewer = self._viewer
            viewer.choices = viewer.choices.with_divider((at[0] - self._dragged.left) / self._dragged.width)

    def release(self) -> None:
        """The button goes up."""
        self._dragged = None

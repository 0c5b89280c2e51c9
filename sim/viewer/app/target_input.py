"""Mouse input of the target panel: a drag along a slider sets what the agent is told."""

from __future__ import annotations

from sim.viewer.app.text_entry import TextEntry
from sim.viewer.app.viewer import Viewer
from sim.viewer.contract.gesture import Gesture
from sim.viewer.draw import layout
from sim.viewer.draw.card import ROW
from sim.viewer.panels import latent_sliders, target_panel
from sim.viewer.panels.panels import inside_of

Point = tuple[int, int]


class TargetInput:
    """The mouse over one viewer's target panel."""

    def __init__(self, viewer: Viewer, entry: TextEntry) -> None:
        self._viewer, self._entry = viewer, entry
        self._held = -1  # number of the target whose knob is dragged

    def press(self, at: Point) -> None:
        """The button goes down."""
        rect = self._viewer.layout().panels.get(layout.TARGETS)
        if rect is not None and layout.TARGETS not in self._viewer.choices.folded:
            inside, targets = inside_of(rect, self._viewer.ink), target_panel.targets_of(self._viewer.view)
            row, ink = target_panel.row_at(inside, self._viewer.ink, at, targets), self._viewer.ink
            if row >= 0 and at[0] > latent_sliders.track(inside, ink, row, ink.px(ROW)).right:
                self._entry.begin_value(row)
                return
            self._held = row
            self.move(at)

    def move(self, at: Point) -> None:
        """The mouse moves; it may be anywhere."""
        rect = self._viewer.layout().panels.get(layout.TARGETS)
        targets = target_panel.targets_of(self._viewer.view)
        if rect is None or not 0 <= self._held < len(targets):
            return
        ink = self._viewer.ink
        line = latent_sliders.track(inside_of(rect, ink), ink, self._held, ink.px(ROW))
        value = latent_sliders.value_at(targets[self._held], line, at[0])
        self._viewer.tell(Gesture("slide", self._held, value))

    def release(self) -> None:
        """The button goes up."""
        self._held = -1

"""Export of what the charts show: comma-separated values, a file a chart."""

from __future__ import annotations

from sim.viewer.output import files
from sim.viewer.panels.panels import charted
from sim.viewer.playback.view import Choices, Facts, View


def save_charts(facts: Facts, choices: Choices, view: View) -> str:
    """Save the chart under the mouse, or else all of them; returns a line that says where they are."""
    found = charted(facts, view)
    if choices.hover is not None and choices.hover[0] in found:
        found = {choices.hover[0]: found[choices.hover[0]]}
    if not found:
        return "there is no chart with values to save"
    lines = [
        files.save_text(f"{facts.title} {points.name}", ".csv", points.csv()) for points in found.values()
    ]
    others = f" and {len(lines) - 1} more" if len(lines) > 1 else ""
    return f"{lines[0]}{others}"

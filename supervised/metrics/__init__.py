"""Metrics of perception: AP, mIoU, depth errors, PCK, accuracy, calibration, and bootstrap intervals.

`grade` gives the metrics of one kind of percept by their fixed names, `intervals` their bootstrap intervals
over episodes. Each task has a module with its own conventions (`detection`, `pixels`, `pose`, `answers`): it
compares every image once, into a *tally*, and a tally can be scored again with any weights of the images.
That is all that a bootstrap needs, so no image is matched twice.

In: `sim.records.Percept`, predicted and true, image by image. Out: plain numbers by name.
Does not know: models, worlds, torch.
"""

from sim.percept_kind import Kind
from supervised.metrics.grading import accumulate, grade, intervals

__all__ = ["Kind", "grade", "intervals", "accumulate"]

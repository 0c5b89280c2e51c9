"""How well percepts agree with the truth, in the conventions of each task's field.

`grade` gives the figures of one kind of percept by their fixed names, `intervals` how far they would vary
over other episodes. Each task has a module with its own rules (`detection`, `pixels`, `pose`, `answers`): it
counts every picture once, into a *tally*, and a tally can be scored again with any weights of the pictures.
That is all that a bootstrap needs, so no picture is matched twice.

In: `sim.records.Percept`, predicted and true, picture by picture. Out: plain numbers by name.
Does not know: models, worlds, torch.
"""

from supervised.metrics.grading import Kind, grade, intervals, tally

__all__ = ["Kind", "grade", "intervals", "tally"]

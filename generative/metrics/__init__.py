"""How good generated examples are, with no download: distances in feature space, and what is true of them.

Everything here is a pure function of arrays (N, D): rows are examples, as features of pictures (`encoder`) or
as vectors as they are. `grading.grade` gives all figures of one set of samples by their fixed names, beside
the floor that two sets of real examples reach and the baselines (a Gaussian, copies).

Reading order: `distances` (Fréchet, kernel, sliced Wasserstein), `neighbours` (density, coverage, copying),
`gaussian` (the baseline), `clusters` (agreement with classes), `truth` (what the simulator says), `grading`.
Does not know: models, scenes.
"""

from generative.metrics.grading import Grade, Grader, as_they_are

__all__ = ["Grade", "Grader", "as_they_are"]

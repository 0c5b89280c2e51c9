"""Metrics of generated samples: Fréchet, kernel and Wasserstein distances, density, coverage, memorisation.

Everything here is a pure function of arrays (N, D): rows are examples, as features of images (`encoder`) or
as vectors. `grading.Grader` gives all metrics of one set of samples by their fixed names, beside the floor
that two sets of real examples reach and the baselines (a Gaussian, copies).

Reading order: `distances` (Fréchet, kernel, sliced Wasserstein), `neighbours` (density, coverage, copying),
`gaussian` (the baseline), `clusters` (mutual information), `truth` (correctness of samples), `grading`.
Does not know: models, scenes.
"""

from generative.metrics.grading import Grade, Grader, standardised_vectors

__all__ = ["Grade", "Grader", "standardised_vectors"]

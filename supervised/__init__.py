"""Supervised models: pictures, text, sound, graphs and table rows to percepts.

In: pictures (H, W, 3) uint8, strings, waveforms, graphs or rows of numbers. Out: a `sim.records.Percept`
each. Does not know: agents, generative models, scenes. A model owns its normalisation.

A perception either looks at a world, whose labels come from the simulator, or is a task (`task`) that brings
a data set of its own. Rooms: `data` (data sets, their cache, `data/sources` for tasks), `vision` (a model a
file; start with `detector`), `tables`, `graphs`, `language`, `metrics` (percepts against the truth,
baselines), `observation` (percepts as an agent's observation). Beside them `fit` (the one fitting loop of
all that is not reinforcement learning), `figure` (the look of tasks' figures), `base_model`, `tensors` and
`precision`, and `distributed` (data-parallel training by torchrun, of agents, too).

To add a model that looks at worlds: copy `vision/detector.py` (config, network, loss, `fit`, `perceive`),
add its line to `catalog.PERCEPTIONS`, and `tests/supervised/test_perceptions_conform.py` checks it from then
on. To add a task: copy `tables/regressor.py` and `data/sources/growth.py`; `tests/supervised/task_checks.py`
is its conformance test.
"""

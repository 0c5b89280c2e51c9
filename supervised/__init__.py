"""Supervised models: detection, segmentation, depth, pose, classification, chess boards, captions.

In: pictures (H, W, 3) uint8, text, sound or graphs. Out: a `sim.records.Percept` for each input.
Does not know: agents, generative models, scenes. A model owns its normalisation.

Rooms: `data` (labelled data sets and their cache), `vision` (a model a file; start with `detector`),
`language` (caption grammars), `metrics` (percepts against the truth, constant baselines), `observation`
(percepts as an agent's observation). Beside them `fit` (the one fitting loop of all that is not reinforcement
learning), `base_model`, `tensors` and `precision` (agents and generative models use them too).

To add a model: copy `vision/detector.py` (config, network, loss, `fit`, `perceive`), add its line to
`catalog.PERCEPTIONS`, and `tests/supervised/test_perceptions_conform.py` checks it from then on.
"""

"""Supervised models: detection, segmentation, depth, pose, classification, chess boards, captions.

In: pictures (H, W, 3) uint8, text, sound or graphs. Out: a `sim.records.Percept` for each input.
Does not know: agents, generative models, scenes. A model owns its normalisation.

Reading order: `views` (labelled image data sets), `sights` (how each family of worlds is labelled) and
`keeping` (their cache on disk); `detector` (one model, top to bottom; `segmenter`, `depth` and `pose` share
`dense`, and all of them `unet`), `classifier`, `board_reader`, `captioner`, `learned` (the base class of all
models) and `fit` (the training loop of every model that is not reinforcement learning); `perceived` (percepts
as an agent's observation); `metrics` (percepts against the truth), `baselines` (constant predictions),
`noise` (noisy ground truth); `grammar` and `wording` (caption grammars); `numerics` (precision, tensors to
arrays and back; agents use it too).

To add a model: copy `detector.py` (config, network, loss, `fit`, `perceive`), add its line to
`catalog.PERCEPTIONS`, and `tests/supervised/test_perceptions_conform.py` checks it from then on.
"""

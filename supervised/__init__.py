"""Supervised models: detection, segmentation, depth, pose, classification, chess boards, captions.

In: pictures (H, W, 3) uint8, text, sound or graphs. Out: a `sim.records.Percept` for each input.
Does not know: agents, generative models, scenes. A model owns its normalisation.

Reading order: `views` (pictures with truths), `sights` (of each family of worlds) and `dataset_cache` (on
disk, with `source_digest` and `percept_arrays`; generative data sets lie there too);
`detector` (one model, top to bottom; `segmenter`, `depth` and `pose` share `dense`, and all of them `unet`),
`classifier`, `board_reader`, `captioner`, `learned` (what all models have in common) and `fit` (the one
fitting loop of every model that is not reinforcement learning); `perceived` (percepts as an agent's numbers);
`metrics` (percepts against the truth), `baselines` (what one would tell without looking), `noise`
(the truth made worse on purpose); `grammar` and `wording` (facts as sentences and back); `numerics` (number
formats, tensors to arrays and back; agents use it too).

To add a model: copy `detector.py` (config, network, loss, `fit`, `perceive`), add its line to
`catalog.PERCEPTIONS`, and `tests/supervised/test_perceptions_conform.py` checks it from then on.
"""

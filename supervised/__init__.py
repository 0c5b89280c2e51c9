"""Perception and language models: they look at the worlds and say what is there.

In: pictures (H, W, 3) uint8, text, sound or graphs. Out: a `sim.records.Percept` for each input.
Does not know: agents, generative models, scenes. A model owns its normalisation.

So far `fit.py` (the one fitting loop of every model that is not reinforcement learning) and `numerics.py`
(tensors to arrays and back, number formats), which agents use too. What comes: `catalog.py` (models by
name), and a file for each model. `metrics` grades percepts against the truth; `grammar.py` turns facts into
captions and back, in the words of `wording.py`.

To add a model: one file with config, network, loss and `perceive`, a line in the catalogue, and the
conformance test checks it.
"""

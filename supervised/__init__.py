"""Perception and language models: they look at the worlds and say what is there.

In: pictures (H, W, 3) uint8, text, sound or graphs. Out: a `sim.records.Percept` for each input.
Does not know: agents, generative models, scenes. A model owns its normalisation.

Empty so far. What comes: `catalog.py` (models by name), `fit.py` (the one fitting loop of every model
that is not reinforcement learning), `metrics.py`, and a file for each model.

To add a model, once `fit.py` stands: one file with config, network, loss and `perceive`, a line in the
catalogue, and the conformance test checks it.
"""

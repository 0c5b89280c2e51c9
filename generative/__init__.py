"""Generative models: they dream the worlds.

In: a `sim.records.Condition` (label, text, frame, mask or latent) and a seed. Out: `Samples` (n, …), pictures
uint8 or vectors float32. A model is fitted to a `collection.Collection` by `supervised.fit`, and knows its
data only by its `collection.Spec`. Does not know: agents, scenes.

Reading order: `collection.py`, `conditions.py`, `vae.py` (the model of a model file), `data/`, the others;
for diffusion `noise.py`, `denoising.py`, `canvas.py`, `diffusion.py`, `backdrop.py`, `one_step.py`,
`pipeline.py`, in that order;
`encoder.py` and `metrics/` (how good samples are), `gallery/` (how they are shown).

To add a sampler: one file with config, network, loss and `sample` (copy `vae.py`), a line in `catalog.py`;
`tests/generative/test_samplers_conform.py` then checks its promises.
"""

"""Generative models: VAE, GAN, normalising flows, diffusion, text to image, deep clustering; metrics.

In: a `sim.records.Condition` (label, text, frame, mask or latent) and a seed. Out: `Samples` (n, …), images
uint8 or vectors float32. A model is fitted to a `collection.Collection` by `supervised.fit`, and knows its
data only by its `collection.Spec`. Does not know: agents, scenes.

Reading order: `collection.py`, `conditions.py`, `vae.py` (the model of a model file), `data/`, the others;
for diffusion `noise.py` (schedule), `denoising.py` (sampling loop), `canvas.py` (image space),
`diffusion.py`, `backdrop.py` (mean images), `one_step.py` (consistency distillation), `pipeline.py`
(diffusers), in that order; `encoder.py` and `metrics/` (sample quality), `gallery/` (samples as a web page).

To add a sampler: one file with config, network, loss and `sample` (copy `vae.py`), a line in `catalog.py`;
`tests/generative/test_samplers_conform.py` then checks its contract.
"""

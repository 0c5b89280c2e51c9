"""Generative models: VAE, GAN, normalising flows, diffusion, text to image, deep clustering; metrics.

In: a `sim.records.Condition` (label, text, frame, mask or latent) and a seed. Out: `Samples` (n, …), images
uint8 or vectors float32. A model is fitted to a data set by `supervised.fit`, and knows of it only its
`Spec`. Does not know: agents, scenes.

Rooms: `data` (what is learned from), `models` (one algorithm a file; start with `vae`), `diffusion`,
`metrics` (quality of samples), `gallery` (samples as a page on disk). Beside them `conditions`, `latents`
(interpolation, traversal) and `images`.

To add a sampler: one file with config, network, loss and `sample` (copy `models/vae.py`), a line in
`catalog.py`; `tests/generative/test_samplers_conform.py` then checks its contract. To add worlds that are
models: a module ``world`` with their configuration, beside it ``names``, and a line in `catalog.WORLDS`;
`tests/scenes/linear_world.py` is the smallest one.
"""

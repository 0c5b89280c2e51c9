"""Generative models: they dream the worlds.

In: a `sim.records.Condition` (label, text, frame, mask or latent) and a seed. Out: `Samples` (n, …).
Does not know: agents, scenes. It may use `supervised`, whose fitting loop trains every model here.

Empty so far. What comes: `catalog.py`, a file for each family (GAN, VAE, flow, diffusion), `metrics.py`,
`gallery.py`, and `dream/`: worlds that a model makes up, which implement `gymnasium.Env` like any other.

To add a sampler, then: one file with config, network, loss and `sample`, a line in the catalogue, and the
conformance test checks it.
"""

"""Gallery of a generative model in the window: a grid of samples in the place of a world.

In: a `GallerySource` (`sim.viewer.contract.gallery_source`), which makes examples and finds the training
examples nearest to them. Out: a `Show` (`show.py`) that takes a person's gestures: choose a sample,
interpolate from one to another, move latent sliders, inpaint a part, watch the denoising steps.

Does not know: models. Latents are points (n, L), values are whatever the source can draw as pictures.

Reading order: `items`, `mask`, `worker`, `gallery` (the operations), `show`, `demo` (what runs unattended).
Its mosaic is drawn by `sim.viewer.overlays.gallery_mosaic`, its panels are in `sim.viewer.panels`.
"""

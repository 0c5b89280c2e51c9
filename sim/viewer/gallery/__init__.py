"""Gallery of a generative model in the window: a grid of samples in the place of a world.

In goes a `Studio` (`studio.py`), which makes examples and finds the training examples nearest to them; out
comes a `sim.viewer.show.Show` (`show.py`) that takes a person's gestures: choose a sample, interpolate from
one to another, move latent sliders, inpaint a part, watch the denoising steps.

It knows no model: latents are points (n, L), values are whatever the studio can draw as pictures.

Reading order: studio, sheet (the records), worker, gallery (the operations), show, mosaic, sliders, nearest,
wishes (the drawing), hand (the mouse).
"""

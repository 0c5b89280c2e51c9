"""The gallery in the window: samples side by side, in the place of a world.

In goes a `Studio` (`studio.py`), which makes examples and knows the real ones they resemble; out comes a
`sim.viewer.show.Show` (`show.py`) that takes a person's gestures: choose a sample, walk from one to another,
move sliders, paint away a part to be filled in, watch samples come out of noise.

It knows no model: latents are points (n, L), values are whatever the studio can draw as pictures.

Reading order: studio, sheet (what is handed around), worker, show (what happens), mosaic, sliders, nearest,
wishes (how it is drawn), hand (the mouse).
"""

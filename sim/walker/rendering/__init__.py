"""Pictures of walkers: one palette and two renderers, OpenGL and software.

In: positions of bodies in m, a camera. Out: pictures (H, W, 3) uint8, in OpenGL also segmentation and depth.
Does not know: rewards, batches, windows.

Reading order: `palette`, `software` (numpy), `opengl`, and `pictures`, which chooses between the two.
"""

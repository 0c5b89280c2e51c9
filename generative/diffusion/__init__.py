"""Diffusion models on diffusers' UNets and schedulers.

Reading order: `schedule`, `sampling` (the loop, inpainting), `guidance`, `pixel_maps` (pictures as the
network's space), `image_diffusion` (the model), `categorical` (cells as classes of a codebook), `mean_image`
(residual denoising), `text_to_image`, `consistency` (one-step distillation), `pipeline` (checkpoints opened
in diffusers).
"""

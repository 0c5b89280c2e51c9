"""Diffusion models: schedule, sampling loop, networks, distillation, diffusers pipelines."""

"""Diffusers pipeline for checkpoints of the diffusion model.

A checkpoint folder of `generative.diffusion.image_diffusion` is at the same time a diffusers folder:
``unet/`` and ``scheduler/`` are its own classes, and this `DiffusionPipeline` adds the folding of images and
the names of the classes. Two lines open the checkpoint of a scene or of a run::

    from generative.diffusion.pipeline import PicturePipeline
    pipeline = PicturePipeline.from_pretrained("scenes/checkpoints/frames-diffusion")

    pipeline(label="pong", batch_size=4, num_inference_steps=10).images[0].save("pong.png")

``UNet2DModel.from_pretrained(folder, subfolder="unet")`` opens the network alone. The scheduler may be
another one, as everywhere in diffusers: ``EulerDiscreteScheduler.from_config(pipeline.scheduler.config)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from diffusers import DiffusionPipeline, ImagePipelineOutput
from PIL import Image

from generative.conditions import check_condition
from generative.diffusion.categorical import CategoricalDenoiser, CategoricalMaps
from generative.diffusion.guidance import guided, labels_of
from generative.diffusion.mean_image import MeanImages, ResidualDenoiser
from generative.diffusion.pixel_maps import CHUNK, PixelMaps
from generative.diffusion.sampling import denoise, gaussian_noise, generators
from generative.diffusion.schedule import quiet
from sim.records import Array, Condition
from supervised.data.dataset import Spec


class PicturePipeline(DiffusionPipeline):  # type: ignore[misc]
    """Class-conditional image pipeline of diffusers: UNet, scheduler and mean images.

    Args:
        unet: `UNet2DModel` that denoises folded images, of each class and, last, of the null class.
        scheduler: any discrete one of diffusers; its ``prediction_type`` is the network's parametrisation.
        backdrop: the mean images, if the network predicts differences from them.
        fold: p × p pixels are one cell (`generative.diffusion.pixel_maps`).
        label_names: the classes.
        codebook: name of the patterns of which cells are classes, if they are
            (`generative.diffusion.categorical`).
    """

    _optional_components = ["backdrop"]

    def __init__(
        self,
        unet: Any,
        scheduler: Any,
        backdrop: MeanImages | None = None,
        fold: int = 1,
        label_names: Sequence[str] = ("all",),
        codebook: str = "",
    ) -> None:
        super().__init__()
        self.register_modules(unet=unet, scheduler=scheduler, backdrop=backdrop)
        self.register_to_config(fold=fold, label_names=list(label_names), codebook=codebook)

    @classmethod
    def load_config(cls, *arguments: Any, **options: Any) -> Any:
        """Read a folder's index; its mean images are opened by the class of today, whatever wrote them."""
        config = super().load_config(*arguments, **options)
        if any(config.get("backdrop") or ()):
            config["backdrop"] = [MeanImages.__module__, MeanImages.__name__]
        return config

    @property
    def canvas(self) -> PixelMaps:
        """The network's image space."""
        height, width = self.unet.config.sample_size
        fold, prediction = self.config.fold, self.scheduler.config.prediction_type
        shape = (height * fold, width * fold, 3)
        if self.config.codebook:
            return CategoricalMaps(shape, fold, prediction, codebook=self.config.codebook)
        return PixelMaps(shape, fold, prediction)

    @torch.no_grad()
    def __call__(
        self,
        batch_size: int = 1,
        label: str | None = None,
        num_inference_steps: int = 10,
        guidance_scale: float = 1.0,
        seed: int = 0,
        output_type: str = "pil",
        return_dict: bool = True,
    ) -> ImagePipelineOutput | tuple[Any]:
        """Sample images.

        Args:
            batch_size: how many.
            label: of which class; random ones where none is given.
            num_inference_steps: of the scheduler.
            guidance_scale: 1 is none.
            seed: sample i depends on (seed, i) alone, as in `playfield sample`.
            output_type: ``pil``, or ``np`` for (n, H, W, 3) uint8.
            return_dict: an `ImagePipelineOutput` with ``images``, or a tuple of them.

        Raises:
            ConditionError: for a label that it does not know.
        """
        canvas, names = self.canvas, tuple(self.config.label_names)
        check_condition(Condition(label=label), Spec(canvas.shape, names), {"label"})
        labels = torch.tensor(labels_of(names, label, batch_size, seed), device=self.device)
        network = self.unet
        if self.backdrop is not None:
            network = ResidualDenoiser(self.unet, self.backdrop).to(self.device)
        if isinstance(canvas, CategoricalMaps):
            alphas = np.cumprod(1 - np.array(self.scheduler.config.trained_betas)) ** 0.5
            network = CategoricalDenoiser(self.unet, canvas, alphas).to(self.device)
        parts: list[Array] = []
        for first in range(0, batch_size, CHUNK):
            numbers = labels[first : first + CHUNK]
            each = generators(seed, first, len(numbers))
            none = torch.full_like(numbers, len(names))
            denoiser = guided(network, numbers, none, guidance_scale)
            with quiet():
                self.scheduler.set_timesteps(num_inference_steps)
            noise = gaussian_noise((canvas.channels, *canvas.cells), each, self.device)
            *_, x = denoise(denoiser, self.scheduler, noise, each)
            parts.append(canvas.unfolded(x))
        pictures = np.concatenate(parts)
        images = [Image.fromarray(rgb) for rgb in pictures] if output_type == "pil" else pictures
        return ImagePipelineOutput(images=images) if return_dict else (images,)

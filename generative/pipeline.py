"""A diffusion checkpoint, opened in diffusers.

A checkpoint folder of `generative.diffusion` is at the same time a folder of diffusers: ``unet/`` and
``scheduler/`` are its own classes, and this pipeline is the little that they do not know, how pictures are
folded and what the classes are called::

    from generative.pipeline import PicturePipeline

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

from generative.backdrop import AgainstBackdrop, Backdrop
from generative.canvas import CHUNK, Canvas
from generative.collection import Spec
from generative.conditions import check_condition
from generative.denoising import denoised, drawn, generators
from generative.diffusion import guided, labels_of
from generative.noise import quiet
from sim.records import Array, Condition


class PicturePipeline(DiffusionPipeline):  # type: ignore[misc]
    """Network, scheduler, and what a picture is made of.

    Args:
        unet: `UNet2DModel` that denoises folded pictures, of each class and, last, of none.
        scheduler: any discrete one of diffusers; its ``prediction_type`` says what the network tells.
        backdrop: what the network tells the difference from, if it does.
        fold: p × p pixels are one cell (`generative.canvas`).
        label_names: the classes.
    """

    _optional_components = ["backdrop"]

    def __init__(
        self,
        unet: Any,
        scheduler: Any,
        backdrop: Backdrop | None = None,
        fold: int = 1,
        label_names: Sequence[str] = ("all",),
    ) -> None:
        super().__init__()
        self.register_modules(unet=unet, scheduler=scheduler, backdrop=backdrop)
        self.register_to_config(fold=fold, label_names=list(label_names))

    @property
    def canvas(self) -> Canvas:
        """What the network draws on."""
        height, width = self.unet.config.sample_size
        fold = self.config.fold
        return Canvas((height * fold, width * fold, 3), fold, self.scheduler.config.prediction_type)

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
        """Draw pictures.

        Args:
            batch_size: how many.
            label: of which class; each draws its own where none is given.
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
            network = AgainstBackdrop(self.unet, self.backdrop).to(self.device)
        parts: list[Array] = []
        for first in range(0, batch_size, CHUNK):
            numbers = labels[first : first + CHUNK]
            each = generators(seed, first, len(numbers))
            none = torch.full_like(numbers, len(names))
            denoiser = guided(network, numbers, none, guidance_scale)
            with quiet():
                self.scheduler.set_timesteps(num_inference_steps)
            noise = drawn((canvas.channels, *canvas.cells), each, self.device)
            *_, x = denoised(denoiser, self.scheduler, noise, each)
            parts.append(canvas.unfolded(x))
        pictures = np.concatenate(parts)
        images = [Image.fromarray(rgb) for rgb in pictures] if output_type == "pil" else pictures
        return ImagePipelineOutput(images=images) if return_dict else (images,)

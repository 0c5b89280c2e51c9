"""Image space of diffusion models: pixel unshuffle and scaling to unit variance; sampling in chunks.

A fold of p turns the p × p pixels of a square into channels (pixel unshuffle): the network's maps have 1/p²
of the cells, and nothing is lost. Images are scaled to [−2, 2], because in [−1, 1] their standard deviation
is about a half (σ_data of Karras et al. 2022), and a noise schedule assumes data of about unit variance.

Does not know: networks, labels, sentences.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from generative.conditions import ConditionError, latents_of
from generative.diffusion.sampling import Denoiser, denoise, gaussian_noise, generators, inpaint
from generative.diffusion.schedule import DEFAULT, Prediction, scheduler
from generative.images import from_rgb, to_rgb
from sim.progress import counting
from sim.records import Array, Condition, SampleOptions
from supervised.data.dataset import Spec

SIGMA_DATA = 0.5  # of images in [−1, 1]
CHUNK = 32  # samples in one batch

#: A range of sample indices → the denoiser with their conditions; labels and sentences stay the model's own.
DenoiserOf: TypeAlias = Callable[[range], Denoiser]


@dataclass(frozen=True)
class PixelMaps:
    """Image space of a diffusion model: images (H, W, 3) uint8 ↔ maps (3p², H/p, W/p) in [−2, 2].

    Attributes:
        shape: (H, W, 3).
        fold: p; it must divide H and W.
        prediction: the network's parametrisation, x_0 or velocity.
        shift: of the noise schedule, see `generative.diffusion.schedule`.
        scheduler: the default solver, by its name there.
    """

    shape: tuple[int, ...]
    fold: int
    prediction: Prediction = "sample"
    shift: float = 1.0
    scheduler: str = DEFAULT

    @property
    def channels(self) -> int:
        """Channels of a map, 3p²."""
        return self.shape[2] * self.fold**2

    @property
    def cells(self) -> tuple[int, int]:
        """Height and width of a map."""
        return self.shape[0] // self.fold, self.shape[1] // self.fold

    def folded(self, rgb: Tensor) -> Tensor:
        """Images (n, H, W, 3) uint8 → maps (n, 3p², H/p, W/p) in [−2, 2]."""
        return functional.pixel_unshuffle(from_rgb(rgb) / SIGMA_DATA, self.fold)

    def unfolded(self, x: Tensor, known: Tensor | None = None) -> Array:
        """Maps (n, 3p², H/p, W/p) → images (n, H, W, 3) uint8; `known` are the parts that were given."""
        return to_rgb(functional.pixel_shuffle(x, self.fold) * SIGMA_DATA)

    def hidden(self, mask: Tensor) -> Tensor:
        """Mask (1, 3, H, W) of pixels, 1 where to inpaint → the same as a map, bool."""
        return functional.pixel_unshuffle(mask, self.fold) > 0.5

    def noise_of(self, latents: Array) -> Tensor:
        """Latents (n, H·W·3) float32, standard normal in the order of pixels → initial noise as maps."""
        noise = torch.tensor(latents).reshape(-1, *self.shape)
        return functional.pixel_unshuffle(noise.permute(0, 3, 1, 2), self.fold)


def pixel_maps(spec: Spec, fold: int, halvings: int, **more: Any) -> PixelMaps:
    """Make the image space for a data set, checking that its images divide evenly.

    Args:
        spec: of the data.
        fold: see `PixelMaps`.
        halvings: how many downsamplings the network has.
        more: the rest of a `PixelMaps`.

    Raises:
        ValueError: if the data are no images, or their sides cannot be folded and halved evenly.
    """
    if not spec.pictures:
        raise ValueError("diffusion learns pictures, and these data are vectors: use a flow")
    divisor = fold * 2**halvings
    if any(side % divisor for side in spec.shape[:2]):
        height, width = spec.shape[:2]
        raise ValueError(
            f"pictures are {height} × {width}; fold {fold} and {halvings + 1} entries in channels need "
            f"multiples of {divisor}: set fold or channels"
        )
    return PixelMaps(spec.shape, fold, **more)


def trace(
    canvas: PixelMaps,
    denoiser_of: DenoiserOf,
    n: int,
    condition: Condition,
    options: SampleOptions,
    seed: int,
    device: torch.device,
) -> Iterator[Array]:
    """Denoising trajectory: images (n, H, W, 3) uint8 at the start, which is noise, and after each step.

    Raises:
        ConditionError: if a frame has no mask, or stands beside a latent.
        ValueError: for an unknown scheduler.
    """
    known = _given(canvas, condition, device)
    for maps in zip(*_walks(canvas, denoiser_of, n, condition, options, seed, device), strict=True):
        yield np.concatenate([canvas.unfolded(x, known) for x in maps])


def sample_images(
    canvas: PixelMaps,
    denoiser_of: DenoiserOf,
    n: int,
    condition: Condition,
    options: SampleOptions,
    seed: int,
    device: torch.device,
) -> Array:
    """Samples (n, H, W, 3) uint8: the end of `trace`, with its errors, one chunk after another."""
    walks = _walks(canvas, denoiser_of, n, condition, options, seed, device)
    ends = (deque(walk, maxlen=1)[0] for walk in walks)
    known = _given(canvas, condition, device)
    return np.concatenate([canvas.unfolded(x, known) for x in counting(ends)])


def _walks(
    canvas: PixelMaps,
    denoiser_of: DenoiserOf,
    n: int,
    condition: Condition,
    options: SampleOptions,
    seed: int,
    device: torch.device,
) -> Sequence[Iterator[Tensor]]:
    """One solver trajectory for each chunk of samples."""
    _check(condition, options)
    latents = latents_of(condition, n, int(np.prod(canvas.shape)))
    walks = []
    for first in range(0, n, CHUNK):
        rows = range(first, min(first + CHUNK, n))
        each, denoiser = generators(seed, first, len(rows)), denoiser_of(rows)
        if condition.frame is not None:
            known = canvas.folded(torch.from_numpy(np.array(condition.frame))[None]).to(device)
            hidden = _hidden(canvas, condition, device)
            walks.append(
                inpaint(denoiser, known, hidden, options.steps, each, canvas.prediction, shift=canvas.shift)
            )
            continue
        noise = gaussian_noise((canvas.channels, *canvas.cells), each, device)
        if latents is not None:
            noise = canvas.noise_of(latents[rows.start : rows.stop]).to(device)
        solver = scheduler(
            canvas.prediction, options.scheduler or canvas.scheduler, options.steps, canvas.shift
        )
        walks.append(denoise(denoiser, solver, noise, each))
    return walks


def _check(condition: Condition, options: SampleOptions) -> None:
    """Refuse conditions that exclude each other."""
    if condition.frame is None:
        return
    if condition.mask is None:
        raise ConditionError("a frame needs a mask of the pixels to inpaint")
    if condition.latent is not None:
        raise ConditionError("a latent is the initial noise, and inpainting draws its own: leave one out")
    if options.scheduler not in (None, DEFAULT, "ddpm"):
        raise ConditionError(
            f'inpainting takes ddpm steps, not "{options.scheduler}": leave the scheduler out'
        )


def _hidden(canvas: PixelMaps, condition: Condition, device: torch.device) -> Tensor:
    """The condition's mask as a map (1, …), True where to inpaint."""
    mask = torch.from_numpy(np.array(condition.mask)).float().expand(1, 3, -1, -1)
    return canvas.hidden(mask).to(device)


def _given(canvas: PixelMaps, condition: Condition, device: torch.device) -> Tensor | None:
    """The part (1, …) of a map that the condition's frame gives; None without a frame."""
    if condition.frame is None or condition.mask is None:
        return None
    return ~_hidden(canvas, condition, device)

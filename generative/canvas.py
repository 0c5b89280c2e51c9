"""What a diffusion model draws on: pictures folded into maps of unit size, and walks over them in portions.

A fold of p makes the p × p pixels of a square into channels: a network works on a map of 1/p² of the cells,
and loses nothing. Pictures lie in [−2, 2], because in [−1, 1] their standard deviation is about a half
(σ_data of Karras et al. 2022), and a noise schedule means what it says only for data of about unit size.

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

from generative.collection import Spec
from generative.conditions import ConditionError, latents_of
from generative.denoising import Denoiser, denoised, drawn, filled, generators
from generative.noise import DEFAULT, Prediction, scheduler
from generative.pictures import from_rgb, to_rgb
from sim.progress import counting
from sim.records import Array, Condition, SampleOptions

SIGMA_DATA = 0.5  # of pictures in [−1, 1]
CHUNK = 32  # samples that walk together

#: Numbers of samples → what the network says for these; how a model hides its labels and sentences.
DenoiserOf: TypeAlias = Callable[[range], Denoiser]


@dataclass(frozen=True)
class Canvas:
    """Pictures (H, W, 3) uint8 as maps (3p², H/p, W/p), and back.

    Attributes:
        shape: (H, W, 3).
        fold: p; it must divide H and W.
        prediction: what a network tells of a map.
        shift: of the noise schedule, see `generative.noise`.
        scheduler: which solver walks unless told otherwise, by its name there.
    """

    shape: tuple[int, ...]
    fold: int
    prediction: Prediction = "sample"
    shift: float = 1.0
    scheduler: str = DEFAULT

    @property
    def channels(self) -> int:
        """Of a map."""
        return self.shape[2] * self.fold**2

    @property
    def cells(self) -> tuple[int, int]:
        """Height and width of a map."""
        return self.shape[0] // self.fold, self.shape[1] // self.fold

    def folded(self, rgb: Tensor) -> Tensor:
        """(n, H, W, 3) uint8 → (n, 3p², H/p, W/p) in [−2, 2]."""
        return functional.pixel_unshuffle(from_rgb(rgb) / SIGMA_DATA, self.fold)

    def unfolded(self, x: Tensor) -> Array:
        """(n, 3p², H/p, W/p) → (n, H, W, 3) uint8."""
        return to_rgb(functional.pixel_shuffle(x, self.fold) * SIGMA_DATA)

    def noise_of(self, latents: Array) -> Tensor:
        """(n, H·W·3) float32, standard normal in the order of pixels → the noise of a walk, a map."""
        noise = torch.tensor(latents).reshape(-1, *self.shape)
        return functional.pixel_unshuffle(noise.permute(0, 3, 1, 2), self.fold)


def canvas_of(spec: Spec, fold: int, halvings: int, **more: Any) -> Canvas:
    """The canvas for data of one kind.

    Args:
        spec: of the data.
        fold: see `Canvas`.
        halvings: how often the network halves the map.
        more: the rest of a `Canvas`.

    Raises:
        ValueError: if the data are no pictures, or their sides cannot be folded and halved evenly.
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
    return Canvas(spec.shape, fold, **more)


def trace(
    canvas: Canvas,
    denoiser_of: DenoiserOf,
    n: int,
    condition: Condition,
    options: SampleOptions,
    seed: int,
    device: torch.device,
) -> Iterator[Array]:
    """From noise to samples: (n, H, W, 3) uint8 at the start and after each step; noise is seen as it is.

    Raises:
        ConditionError: if a frame has no mask, or stands beside a latent.
        ValueError: for an unknown scheduler.
    """
    for maps in zip(*_walks(canvas, denoiser_of, n, condition, options, seed, device), strict=True):
        yield np.concatenate([canvas.unfolded(x) for x in maps])


def sampled(
    canvas: Canvas,
    denoiser_of: DenoiserOf,
    n: int,
    condition: Condition,
    options: SampleOptions,
    seed: int,
    device: torch.device,
) -> Array:
    """(n, H, W, 3) uint8, the end of `trace`, one portion after another. Raises what it raises."""
    walks = _walks(canvas, denoiser_of, n, condition, options, seed, device)
    ends = (deque(walk, maxlen=1)[0] for walk in walks)
    return np.concatenate([canvas.unfolded(x) for x in counting(ends)])


def _walks(
    canvas: Canvas,
    denoiser_of: DenoiserOf,
    n: int,
    condition: Condition,
    options: SampleOptions,
    seed: int,
    device: torch.device,
) -> Sequence[Iterator[Tensor]]:
    """One walk a portion of samples."""
    _check(condition, options)
    latents = latents_of(condition, n, int(np.prod(canvas.shape)))
    walks = []
    for first in range(0, n, CHUNK):
        rows = range(first, min(first + CHUNK, n))
        each, denoiser = generators(seed, first, len(rows)), denoiser_of(rows)
        if condition.frame is not None:
            known, hidden = _known(canvas, condition, device)
            walks.append(
                filled(denoiser, known, hidden, options.steps, each, canvas.prediction, shift=canvas.shift)
            )
            continue
        noise = drawn((canvas.channels, *canvas.cells), each, device)
        if latents is not None:
            noise = canvas.noise_of(latents[rows.start : rows.stop]).to(device)
        solver = scheduler(
            canvas.prediction, options.scheduler or canvas.scheduler, options.steps, canvas.shift
        )
        walks.append(denoised(denoiser, solver, noise, each))
    return walks


def _check(condition: Condition, options: SampleOptions) -> None:
    """Refuse what goes ill together."""
    if condition.frame is None:
        return
    if condition.mask is None:
        raise ConditionError("a frame needs a mask: which of its pixels are to be filled in?")
    if condition.latent is not None:
        raise ConditionError("a latent starts a walk, and filling in draws its own noise: leave one out")
    if options.scheduler not in (None, DEFAULT, "ddpm"):
        raise ConditionError(
            f'filling in walks as ddpm does, not as "{options.scheduler}": leave the scheduler out'
        )


def _known(canvas: Canvas, condition: Condition, device: torch.device) -> tuple[Tensor, Tensor]:
    """The frame as a map (1, …), and where it is hidden."""
    assert condition.frame is not None and condition.mask is not None
    known = canvas.folded(torch.from_numpy(np.ascontiguousarray(condition.frame))[None])
    mask = torch.from_numpy(np.ascontiguousarray(condition.mask)).float().expand(1, 3, -1, -1)
    return known.to(device), (functional.pixel_unshuffle(mask, canvas.fold) > 0.5).to(device)

"""Gaussian diffusion of categorical cells: one-hot maps of a codebook's patterns, by cross-entropy.

Dieleman et al. 2022, "Continuous diffusion for categorical data": one-hot vectors of the classes are noised
as images are; the network predicts the class of each cell, and the mean of its prediction is the x_0 that a
solver takes. Schedules, solvers and inpainting are those of images.

The likelihood of a cell's own noisy vector is known, so that only the prior is left to the network:

    p(k | x_t) ∝ exp(√K α_t x_t[k] / σ_t²) · exp(network(x_t)[k])

Where two of the patterns occur exactly once in every image, as kings do, the classes of the cells are not
independent: the two places are a softmax over pairs of cells, and only the rest is predicted cell by cell.
So the mean has exactly one of each at any noise level, and few steps do not round it to none or to two.
Patterns have probability 0 in cells where they never are, and limits on their number are kept when a map is
decoded (`likeliest`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from generative.data.codebooks import codebook
from generative.diffusion.mean_image import coordinates
from generative.diffusion.pixel_maps import PixelMaps, pixel_maps
from generative.diffusion.schedule import TIMESTEPS, add_noise, alpha_at
from sim.records import Array
from supervised.data.dataset import Spec
from supervised.fit import Batch

IMPOSSIBLE = -1e9  # a logit below all others
SURE = 1e3  # by which what is known exceeds what is predicted
LEAST_LEFT = 1e-6  # probability that the two patterns have different cells, at least


@dataclass(frozen=True)
class CategoricalMaps(PixelMaps):
    """Image space of a codebook's images: (H, W, 3) uint8 ↔ maps (K, H/p, W/p), √K (one-hot − 1/K).

    Attributes:
        codebook: its name, of `generative.data.codebooks`.
    """

    codebook: str = field(kw_only=True)

    @property
    def channels(self) -> int:
        """Channels of a map, K."""
        return len(codebook(self.codebook).pictures)

    def folded(self, rgb: Tensor) -> Tensor:
        """Images (n, H, W, 3) uint8 → maps (n, K, H/p, W/p) of the nearest pattern in each cell."""
        known = self._cells(torch.from_numpy(codebook(self.codebook).pictures).to(rgb.device))
        agreement = torch.einsum("nhwd,khwd->nkhw", self._cells(rgb), known)
        nearest = (agreement - known.square().sum(-1) / 2).argmax(1)  # (n, h, w)
        return one_hot(nearest, self.channels)

    def unfolded(self, x: Tensor, known: Tensor | None = None) -> Array:
        """Maps (n, K, H/p, W/p) → images (n, H, W, 3) uint8 of the likeliest patterns that are allowed.

        Cells that are `known` (1, 1, H/p, W/p) are the last to be changed for it.
        """
        book = codebook(self.codebook)
        if known is not None:
            x = torch.where(known, SURE * x, x)
        codes = likeliest(x, book.once, book.most).cpu().numpy()
        at = codes.repeat(self.fold, 1).repeat(self.fold, 2)  # (n, H, W)
        rows, columns = np.indices(at.shape[1:])
        return np.asarray(book.pictures[at, rows, columns])

    def noise_of(self, latents: Array) -> Tensor:
        """Latents (n, H·W·3) standard normal → noise maps: of each cell's pixels the first K numbers."""
        return super().noise_of(latents)[:, : self.channels]

    def hidden(self, mask: Tensor) -> Tensor:
        """Mask (1, 3, H, W) of pixels → cells (1, 1, H/p, W/p) to inpaint: those with any such pixel."""
        return super().hidden(mask).any(1, keepdim=True)

    def _cells(self, rgb: Tensor) -> Tensor:
        """Images (n, H, W, 3) → their cells (n, H/p, W/p, 3p²) float32, in 0…1."""
        return functional.pixel_unshuffle(rgb.permute(0, 3, 1, 2).float() / 255, self.fold).permute(
            0, 2, 3, 1
        )


def categorical_maps(spec: Spec, fold: int, halvings: int, name: str, **more: Any) -> CategoricalMaps:
    """Make the image space of a codebook for a data set, checking that they fit; see `pixel_maps`.

    Raises:
        ValueError: if there is no such codebook, or it is of other images or cells.
    """
    pixel_maps(spec, fold, halvings)
    known = codebook(name)
    if (known.pictures.shape[1:], known.cell) != (spec.shape, fold):
        height, width = known.pictures.shape[1:3]
        raise ValueError(
            f'the codebook "{name}" is of pictures of {height} × {width} in cells of {known.cell}, these '
            f"data are {spec.shape[0]} × {spec.shape[1]}: set fold = {known.cell}, or leave codebook out"
        )
    return CategoricalMaps(spec.shape, fold, **more, codebook=name)


def one_hot(codes: Tensor, classes: int) -> Tensor:
    """Classes (n, h, w) int64 → maps (n, K, h, w) float32 that sum to 0 over K and have square sum K − 1.

    >>> one_hot(torch.tensor([[[1]]]), 4).flatten().tolist()
    [-0.5, 1.5, -0.5, -0.5]
    """
    return scaled(functional.one_hot(codes, classes).movedim(-1, 1).float())


def scaled(probabilities: Tensor) -> Tensor:
    """Probabilities (n, K, h, w) → the mean of the one-hot maps."""
    classes = probabilities.shape[1]
    maps: Tensor = classes**0.5 * (probabilities - 1 / classes)
    return maps


def likeliest(x: Tensor, once: tuple[int, int], most: Sequence[tuple[tuple[int, ...], int]] = ()) -> Tensor:
    """Classes (n, h, w) int64 of maps (n, K, h, w): the largest of each cell, within what a codebook allows.

    Each of `once` goes where it exceeds the other classes most. Where there are more of a set than `most`,
    those that exceed the classes without a limit least become the largest of these.
    """
    flat = x.flatten(2)
    limited = {code for codes, _ in most for code in codes} | set(once)
    free = flat.clone()
    free[:, list(limited)] = -torch.inf
    highest_free, free_codes = free.max(1)
    rest = flat.clone()
    rest[:, list(once)] = -torch.inf
    highest, codes = rest.max(1)
    for members, limit in most:
        inside = torch.isin(codes, torch.tensor(members, device=codes.device))
        lead = (highest - highest_free).masked_fill(~inside, -torch.inf)
        surplus = inside & (lead.argsort(1, descending=True).argsort(1) >= limit)
        codes = torch.where(surplus, free_codes, codes)
    taken = torch.zeros_like(codes, dtype=torch.bool)
    for code in once:
        lead = (flat[:, code] - highest).masked_fill(taken, -torch.inf)
        place = lead.argmax(1, keepdim=True)
        codes, taken = codes.scatter(1, place, code), taken.scatter(1, place, True)
    return codes.view(len(x), *x.shape[2:])


class ClassPrediction(NamedTuple):
    """Predicted distribution over the classes of all cells.

    Attributes:
        places: (n, 2, h·w) log-probabilities of the cell of each pattern that occurs once, by itself.
        apart: (n,) log-probability that they are two different cells, which is then given.
        rest: (n, K − 2, h·w) log-probabilities of the other classes in the remaining cells.
    """

    places: Tensor
    apart: Tensor
    rest: Tensor


def predict(logits: Tensor, once: tuple[int, int]) -> ClassPrediction:
    """Distribution of logits (n, K, h, w): cells independent, given that each of `once` occurs once."""
    logits = logits.flatten(2)
    others = [k for k in range(logits.shape[1]) if k not in once]
    rest = logits[:, others]
    odds = logits[:, list(once)] - rest.logsumexp(1, keepdim=True)
    places = odds.log_softmax(2)
    apart = (1 - places.sum(1).exp().sum(1)).clamp(min=LEAST_LEFT).log()
    return ClassPrediction(places, apart, rest.log_softmax(1))


def marginals(predicted: ClassPrediction, once: tuple[int, int]) -> Tensor:
    """Probabilities (n, K, h·w) of each class in each cell; each of `once` sums to 1 over the cells."""
    one, other = predicted.places.exp().unbind(1)
    kept = predicted.apart.exp()[:, None]
    pair = torch.stack([one * (1 - other), other * (1 - one)], 1) / kept[:, None]
    pair = pair / pair.sum(2, keepdim=True)
    left = (1 - pair.sum(1, keepdim=True)).clamp(min=0)
    parts = list((predicted.rest.exp() * left).unbind(1))
    for code, part in sorted(zip(once, pair.unbind(1), strict=True)):
        parts.insert(code, part)
    return torch.stack(parts, 1)


def negative_log_likelihood(predicted: ClassPrediction, codes: Tensor, once: tuple[int, int]) -> Tensor:
    """Negative log-likelihood (n,) of the classes (n, h, w) of whole images, in nats."""
    codes = codes.flatten(1)
    is_once = torch.stack([codes == code for code in once], 1)  # (n, 2, h·w)
    found = (predicted.places * is_once).sum((1, 2)) - predicted.apart
    others = [k for k in range(predicted.rest.shape[1] + 2) if k not in once]
    number = torch.zeros(len(others) + 2, dtype=torch.long, device=codes.device)
    number[others] = torch.arange(len(others), device=codes.device)
    rest = predicted.rest.gather(1, number[codes][:, None])[:, 0]
    return -found - (rest * ~is_once.any(1)).sum(1)


class CategoricalDenoiser(nn.Module):
    """Denoiser of categorical maps: x_t (n, K, h, w), t, conditions → ``.sample`` (n, K, h, w), the mean x_0.

    The input of `unet` is x_t, the likelihood of each cell as probabilities, and a position encoding
    (`beside`); its output is the log of the prior. ``.predicted`` is the distribution.
    """

    alphas: Tensor  # (1000,)
    places: Tensor  # (14, h, w)
    never: Tensor  # (K, h, w) bool

    def __init__(self, unet: nn.Module, canvas: CategoricalMaps, alphas: Array) -> None:
        super().__init__()
        known = codebook(canvas.codebook)
        self.unet, self.once = unet, known.once
        self.register_buffer("never", torch.from_numpy(known.never), persistent=False)
        self.register_buffer("alphas", torch.from_numpy(alphas).float(), persistent=False)
        self.register_buffer("places", coordinates(*canvas.cells), persistent=False)

    def forward(self, x: Tensor, t: Tensor, told: Tensor) -> Any:
        """See the class."""
        alpha = alpha_at(t, self.alphas).view(-1, 1, 1, 1)
        likelihood = x.shape[1] ** 0.5 * alpha / (1 - alpha**2) * x
        places = self.places.to(x).expand(len(x), -1, -1, -1)
        seen = torch.cat([x, likelihood.softmax(1), places], 1)
        logits = self.unet(seen, t, told).sample.float() + likelihood
        predicted = predict(logits.masked_fill(self.never, IMPOSSIBLE), self.once)
        mean = scaled(marginals(predicted, self.once)).view_as(x)
        return SimpleNamespace(sample=mean, predicted=predicted)


def categorical_loss(
    network: nn.Module, batch: Batch, canvas: CategoricalMaps
) -> tuple[Tensor, dict[str, Tensor]]:
    """Mean negative log-likelihood of the classes, in nats a cell, at the times of a batch."""
    x_0, t = canvas.folded(batch["rgb"]), batch["t"]
    x_t, _ = add_noise(x_0, batch["noise"], t, canvas.shift)
    predicted = network(x_t, t, batch["told"]).predicted
    nats = negative_log_likelihood(predicted, x_0.argmax(1), codebook(canvas.codebook).once)
    nats = nats / x_0[0, 0].numel()
    half = t < TIMESTEPS // 2
    return nats.mean(), {"faint": 2 * (nats * half).mean(), "strong": 2 * (nats * ~half).mean()}


def beside(canvas: CategoricalMaps) -> int:
    """Input channels of the network beside x_t."""
    return canvas.channels + len(coordinates(*canvas.cells))

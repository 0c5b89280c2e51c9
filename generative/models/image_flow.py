"""Normalising flow for images: TarFlow, an autoregressive transformer flow on patches.

Zhai et al. 2024, "Normalizing Flows are Capable Generative Models": an image is cut into patches; a block is
an affine autoregressive flow, whose shift and scale of each patch a causal transformer predicts from the
patches before it; the next block has the reverse order. Encoding takes all patches at once, sampling one
after another. Trained with Gaussian noise on the images; samples are denoised by one step along the score
(Tweedie's formula). Everything runs in float32: a log density is a difference of large numbers.

Beyond the paper the mean image of each class is subtracted first: most of a game's image never changes.

Read from top to bottom: the keys, the network, the loss, the model that samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from generative.conditions import check_condition, latents_of
from generative.data.class_means import class_means
from generative.images import from_rgb, to_rgb
from sim.progress import counting
from sim.records import Array, Condition, SampleOptions, Samples
from supervised.base_model import BaseModel
from supervised.data.dataset import Dataset, Spec
from supervised.fit import Batch, Fit, FitOptions

VALIDATE_EVERY = 50  # updates; also where a fit can be stopped and saved
CHUNK = 64  # images in one batch, outside of fitting
LEVELS = 256  # values of a pixel
PER_UNIT = (LEVELS - 1) / 2  # how many of them to a unit of [−1, 1], which the first and the last end
STEEPEST = 4.0  # largest absolute logarithm of what one block divides by


@dataclass(frozen=True)
class ImageFlow:
    """Configuration of the ``image-flow`` sampler; its fields are scene keys."""

    data: str = "frames"
    examples: int = 14_000
    patch: int = 4  # pixels on a side
    channels: int = 64  # of the transformers
    heads: int = 2
    blocks: int = 4
    layers: int = 2  # of each block's transformer
    noise: float = 0.05  # standard deviation of the noise on images in [−1, 1]
    learning_rate: float = 2e-3
    batch_size: int = 16
    ema: float = 0.995  # decay of the averaged weights that are kept

    def __post_init__(self) -> None:
        """Refuse values out of range.

        Raises:
            ValueError: naming the field.
        """
        for name in ("examples", "patch", "heads", "blocks", "layers", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.channels < 1 or self.channels % self.heads:
            raise ValueError(f"channels must be a multiple of heads ({self.heads}), not {self.channels}")
        if not 0 < self.noise < 1:
            raise ValueError(f"noise must be between 0 and 1, not {self.noise}")

    def build(self, spec: Spec, *, seed: int, device: str = "cpu") -> ImageFlowModel:
        """An untrained flow for images of `spec`.

        Raises:
            ValueError: if `spec` is of vectors, or the patch size does not divide the image's.
        """
        if not spec.pictures:
            raise ValueError('an "image-flow" is for pictures; for vectors there is "flow"')
        if spec.shape[0] % self.patch or spec.shape[1] % self.patch:
            raise ValueError(f"patch {self.patch} does not divide {spec.shape[0]} × {spec.shape[1]}")
        return ImageFlowModel(self, spec, seed, device)


class KeyValueCache:
    """Key–value cache of one attention layer: keys and values, each (B, heads, t, C / heads)."""

    def __init__(self) -> None:
        self.keys: Tensor | None = None
        self.values: Tensor | None = None

    def extended(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Append keys and values, and return all of them."""
        if self.keys is not None and self.values is not None:
            keys, values = torch.cat([self.keys, keys], 2), torch.cat([self.values, values], 2)
        self.keys, self.values = keys, values
        return keys, values


class Layer(nn.Module):
    """Transformer layer with causal attention and an MLP: (B, T, C) → (B, T, C)."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_widening = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.asking = nn.Linear(channels, 3 * channels)
        self.told = nn.Linear(channels, channels)
        self.widen, self.narrow = nn.Linear(channels, 4 * channels), nn.Linear(4 * channels, channels)

    def forward(self, x: Tensor, memory: KeyValueCache | None = None) -> Tensor:
        """See the class; with a key–value cache, x is the next token alone (B, 1, C)."""
        parts = self.asking(self.before_attention(x)).chunk(3, 2)
        query, key, value = (p.unflatten(2, (self.heads, -1)).transpose(1, 2) for p in parts)
        if memory is not None:
            key, value = memory.extended(key, value)
        seen = functional.scaled_dot_product_attention(query, key, value, is_causal=memory is None)
        x = x + self.told(seen.transpose(1, 2).flatten(2))
        return x + self.narrow(functional.gelu(self.widen(self.before_widening(x))))  # type: ignore[no-any-return]


class Block(nn.Module):
    """Flow block: affine autoregressive transformation of T patches (B, T, D), forwards or backwards."""

    def __init__(self, config: ImageFlow, tokens: int, size: int, classes: int, backwards: bool) -> None:
        super().__init__()
        self.backwards = backwards
        self.place = nn.Parameter(0.02 * torch.randn(tokens, config.channels))
        self.start = nn.Parameter(0.02 * torch.randn(classes, config.channels))
        self.enter = nn.Linear(size, config.channels)
        self.layers = nn.ModuleList(Layer(config.channels, config.heads) for _ in range(config.layers))
        self.leave = nn.Linear(config.channels, 2 * size)
        nn.init.zeros_(self.leave.weight)  # a block is the identity at initialisation
        nn.init.zeros_(self.leave.bias)

    def forward(self, x: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Encode towards noise: transformed patches (B, T, D), and the Jacobian's log determinant (B,)."""
        x = self.turned(x)
        start = self.start[label][:, None]  # (B, 1, C)
        h = torch.cat([start, self.enter(x[:, :-1]) + start], 1) + self.place
        for layer in self.layers:
            h = layer(h)
        shift, steepness = self.foretold(h)
        z = (x - shift) * (-steepness).exp()
        return self.turned(z), -steepness.flatten(1).sum(1)

    def inverse(self, z: Tensor, label: Tensor) -> Tensor:
        """Decode towards images, one patch after another, with a key–value cache."""
        z = self.turned(z)
        start = self.start[label][:, None]
        memories = [KeyValueCache() for _ in self.layers]
        patches: list[Tensor] = []
        for t in range(z.shape[1]):
            h = (self.enter(patches[-1]) + start if patches else start) + self.place[t]
            for layer, memory in zip(self.layers, memories, strict=True):
                h = layer(h, memory)
            shift, steepness = self.foretold(h)
            patches.append(z[:, t : t + 1] * steepness.exp() + shift)
        return self.turned(torch.cat(patches, 1))

    def foretold(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Shift and log scale of the patches, (B, t, D) each, from features (B, t, C)."""
        shift, steepness = self.leave(h).chunk(2, 2)
        return shift, STEEPEST * torch.tanh(steepness / STEEPEST)

    def turned(self, x: Tensor) -> Tensor:
        """Patches in this block's order; its own inverse."""
        return x.flip(1) if self.backwards else x


class ImageFlowNetwork(nn.Module):
    """TarFlow network: images (B, 3, H, W) in about [−1, 1] and labels (B,) ↔ noise of the same size."""

    means: Tensor

    def __init__(self, config: ImageFlow, spec: Spec) -> None:
        super().__init__()
        height, width = spec.shape[:2]
        self.patch, self.classes = config.patch, len(spec.label_names)
        self.across = width // config.patch
        tokens, size = height * width // config.patch**2, 3 * config.patch**2
        self.blocks = nn.ModuleList(
            Block(config, tokens, size, self.classes, backwards=i % 2 == 1) for i in range(config.blocks)
        )
        self.register_buffer("means", torch.zeros(self.classes, tokens, size))

    def measure(self, values: Array, labels: Array) -> None:
        """Compute the mean image of each class from images (N, H, W, 3) uint8."""
        for label, mean in class_means(values, labels):
            x = torch.from_numpy((mean / PER_UNIT - 1).astype(np.float32))
            self.means[label] = self.cut(x.permute(2, 0, 1)[None])[0]

    def forward(self, x: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Encode images: noise (B, T, D), and the log determinant (B,) of the Jacobian."""
        z = self.cut(x) - self.means[label]
        logarithm = z.new_zeros(len(z))
        for block in self.blocks:
            z, part = block(z, label)
            logarithm = logarithm + part
        return z, logarithm

    def inverse(self, z: Tensor, label: Tensor) -> Tensor:
        """Decode noise (B, T, D) into images (B, 3, H, W)."""
        for block in reversed(self.blocks):
            assert isinstance(block, Block)
            z = block.inverse(z, label)
        return self.joined(z + self.means[label])

    def log_prob(self, x: Tensor, label: Tensor) -> Tensor:
        """Log density log p(x | label), (B,) nats."""
        z, logarithm = self.forward(x, label)
        return logarithm - 0.5 * (z.square() + math.log(2 * math.pi)).flatten(1).sum(1)

    def cut(self, x: Tensor) -> Tensor:
        """Cut images (B, 3, H, W) into patches (B, T, D), row by row."""
        return functional.pixel_unshuffle(x, self.patch).flatten(2).transpose(1, 2)

    def joined(self, patches: Tensor) -> Tensor:
        """The inverse of `cut`."""
        batch, tokens, size = patches.shape
        maps = patches.transpose(1, 2).reshape(batch, size, tokens // self.across, self.across)
        return functional.pixel_shuffle(maps, self.patch)


class ImageFlowExamples:
    """Training examples of the image flow: images, labels and Gaussian noise."""

    def __init__(self, dataset: Dataset, noise: float) -> None:
        self._dataset, self._noise = dataset, noise

    def __len__(self) -> int:
        """How many pictures."""
        return len(self._dataset)

    def batch(self, rows: Array, generator: np.random.Generator) -> dict[str, Array]:
        """``rgb`` (B, H, W, 3) uint8, ``label`` (B,) int64, ``noise`` (B, 3, H, W) float32."""
        rgb = self._dataset.values_by_row[rows]
        height, width = rgb.shape[1:3]
        noise = generator.standard_normal((len(rows), 3, height, width), np.float32) * np.float32(self._noise)
        return {"rgb": rgb, "label": self._dataset.labels[rows], "noise": noise}


def image_flow_loss(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Negative log likelihood of noisy images in bits per dimension, in units of one of 256 pixel levels."""
    assert isinstance(network, ImageFlowNetwork)
    x = from_rgb(batch["rgb"]) + batch["noise"]
    bits = -network.log_prob(x, batch["label"]) / (x[0].numel() * math.log(2)) + math.log2(PER_UNIT)
    return bits.mean(), {"bits_per_dim": bits.mean()}


def dequantization_log_normalizer(x: Tensor, noise: float) -> Tensor:
    """Log normaliser of Gaussian dequantisation, (B,) nats: Σ log Σₖ N(x; level k, noise²) over all values.

    x are noisy images (B, …). The posterior of the true level is N(x; level, noise²) / Σₖ N(x; level k,
    noise²). Therefore log P(image) ≥ E[log p(x) − this] for any density p: the noise's own density cancels.
    """
    levels = torch.arange(LEVELS, device=x.device) / PER_UNIT - 1
    total = x.new_zeros(len(x), dtype=torch.float64)
    for i, picture in enumerate(x):
        exponents = -0.5 * ((picture.flatten()[:, None] - levels) / noise).square()
        total[i] = exponents.logsumexp(1).double().sum()
    return total - x[0].numel() * math.log(noise * math.sqrt(2 * math.pi))


class ImageFlowModel(BaseModel[ImageFlowNetwork]):
    """Normalising-flow sampler of images with a likelihood bound: a `SamplerModel` and `HasLikelihood`."""

    def __init__(self, config: ImageFlow, spec: Spec, seed: int, device: str) -> None:
        self.config, self.spec = config, spec
        super().__init__(lambda: ImageFlowNetwork(config, spec), seed=seed, device=device)

    def fit(self, train: Dataset, validation: Dataset, *, seed: int) -> Fit:
        """A fit of this flow to images."""
        self.network.measure(train.values_by_row, train.labels)
        options = FitOptions(
            learning_rate=self.config.learning_rate,
            weight_decay=1e-4,
            batch_size=self.config.batch_size,
            ema=self.config.ema,
            validate_every=VALIDATE_EVERY,
            precision="float32",
        )
        parts = ImageFlowExamples(train, self.config.noise), ImageFlowExamples(validation, self.config.noise)
        return Fit(self.network, image_flow_loss, *parts, options, seed=seed, device=str(self.device))

    def sample(self, n: int, condition: Condition, options: SampleOptions, seed: int) -> Samples:
        """`n` images (n, H, W, 3) uint8.

        Args:
            n: how many.
            condition: a `label`, or a `latent` (see `encode`).
            options: not used; it takes as many steps as there are patches, in each block.
            seed: of the noise.

        Raises:
            ConditionError: for any other condition.
        """
        check_condition(condition, self.spec, {"label", "latent"})
        latents = latents_of(condition, n, self.width)
        if latents is None:
            latents = self.draw_latents(n, condition.label, seed)
        parts = counting(torch.split(self._tensor(latents), CHUNK))
        chunks = [self._cleaned(*self._pictures(rows)) for rows in parts]
        return Samples(np.concatenate([to_rgb(x) for x in chunks]), seed, condition)

    @property
    def width(self) -> int:
        """L, the width of latents: the values of an image, and one number for each class."""
        return math.prod(self.spec.shape) + len(self.spec.label_names)

    def draw_latents(self, n: int, label: str | None, seed: int) -> Array:
        """Draw latents (n, L) float32, of one class or of all with equal probability."""
        names = self.spec.label_names
        classes = np.random.default_rng((seed, 1)).integers(len(names), size=n)
        if label is not None:
            classes = np.full(n, names.index(label))
        noise = np.random.default_rng(seed).standard_normal((n, math.prod(self.spec.shape)), np.float32)
        return np.concatenate([noise, np.eye(len(names), dtype=np.float32)[classes]], 1)

    @torch.no_grad()
    def encode(self, values: Array) -> Array:
        """Images (n, H, W, 3) uint8 → latents (n, L) float32: noise, and the likeliest class as one-hot."""
        found = []
        for rgb in torch.split(self._tensor(values), CHUNK):
            x = from_rgb(rgb)
            label = self._each_class(x).argmax(0)
            chosen = functional.one_hot(label, len(self.spec.label_names)).float()
            found.append(torch.cat([self.network(x, label)[0].flatten(1), chosen], 1))
        return torch.cat(found).cpu().numpy()

    @torch.no_grad()
    def decode(self, latents: Array) -> Array:
        """The inverse of `encode`; images of random latents keep the noise that `sample` removes."""
        made = [to_rgb(self._pictures(rows)[0]) for rows in torch.split(self._tensor(latents), CHUNK)]
        return np.concatenate(made)

    @torch.no_grad()
    def bits_per_dim(self, values: Array) -> Array:
        """Bits per dimension (n,) float64: an upper bound on −log₂ P(image) / D.

        The density of noisy images itself is exact, the bound comes from `dequantization_log_normalizer`; the
        noise has a fixed seed.
        """
        generator = torch.Generator().manual_seed(0)
        found = []
        for rgb in torch.split(self._tensor(values), CHUNK):
            x = from_rgb(rgb)
            x = x + self.config.noise * torch.randn(x.shape, generator=generator).to(self.device)
            density = self._each_class(x).logsumexp(0) - math.log(len(self.spec.label_names))
            found.append((dequantization_log_normalizer(x, self.config.noise) - density).cpu())
        return torch.cat(found).numpy() / (math.prod(self.spec.shape) * math.log(2))

    def _each_class(self, x: Tensor) -> Tensor:
        """Log densities log p(x | label), (K, B) nats, for each of the K labels."""
        labels = range(len(self.spec.label_names))
        each = [self.network.log_prob(x, torch.full((len(x),), k, device=x.device)) for k in labels]
        return torch.stack(each).double()

    @torch.no_grad()
    def _pictures(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Noisy images of latents (B, L), and their classes (B,)."""
        numbers = math.prod(self.spec.shape)
        label = latents[:, numbers:].argmax(1)
        patches = latents[:, :numbers].reshape(len(latents), -1, 3 * self.config.patch**2)
        return self.network.inverse(patches, label), label

    @torch.enable_grad()
    def _cleaned(self, x: Tensor, label: Tensor) -> Tensor:
        """Denoise images by Tweedie's formula: E[image | x] = x + σ² ∇ log p(x) (Efron 2011)."""
        x = x.detach().requires_grad_()
        (slope,) = torch.autograd.grad(self.network.log_prob(x, label).sum(), x)
        return (x + self.config.noise**2 * slope).detach()

    def _tensor(self, array: Array) -> Tensor:
        return torch.from_numpy(np.require(array, requirements=["C", "W"])).to(self.device)

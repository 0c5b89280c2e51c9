"""Variational autoencoder of images with a Gaussian-mixture prior and discretised logistic likelihood.

Kingma & Welling 2014, "Auto-Encoding Variational Bayes". The encoder gives q(z|x), a Gaussian with a diagonal
covariance. The decoder gives p(x|z), discretised logistic distributions over the 256 values of a pixel
(Salimans et al. 2017, "PixelCNN++"), so that bits per dimension can be compared with those of other models.
The prior p(z) is a mixture of one Gaussian a class, learned with the rest (Dilokthanakul et al. 2016), so
that samples can be conditioned on a class.

Read from top to bottom: the keys, the network, the loss, the model that samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from generative.conditions import check_condition, latents_of
from generative.data.class_means import class_means
from generative.images import from_rgb, to_rgb
from sim.records import Array, Condition, SampleOptions, Samples
from supervised.base_model import BaseModel
from supervised.data.dataset import Dataset, Spec
from supervised.fit import Batch, Fit, FitOptions
from supervised.tensors import Precision

VALIDATE_EVERY = 100  # updates; also where a fit can be stopped and saved
WARMUP = 30  # updates
SMALLEST = 4  # pixels on a side of the coarsest map
CHUNK = 64  # images in one batch, outside of fitting
SHARPEST = -7.0  # least log scale of the logistic, with pixels in [−1, 1]: nearly all mass on one value


@dataclass(frozen=True)
class VAE:
    """Configuration of the ``vae`` sampler; its fields are scene keys."""

    data: str = "frames"
    examples: int = 12_000
    latents: int = 48
    channels: int = 48  # at the finest map; half as many more at each coarser one
    beta: float = 1.0  # weight of the KL divergence; 1: a bound on the likelihood (Higgins et al. 2017)
    free_bits: float = 0.0  # nats of each latent's KL divergence that are not penalised; see `vae_loss`
    learning_rate: float = 5e-3
    batch_size: int = 64
    ema: float = 0.995
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        """Refuse values out of range.

        Raises:
            ValueError: naming the field.
        """
        for name in ("examples", "latents", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.channels < 16 or self.channels % 16:
            raise ValueError(f"channels must be a multiple of 16, not {self.channels}")
        if not 0 < self.beta <= 100:
            raise ValueError(f"beta must be above 0 and at most 100, not {self.beta}")
        if not 0 <= self.free_bits <= 10:
            raise ValueError(f"free_bits must be in 0…10, not {self.free_bits}")
        if not 0 < self.learning_rate:
            raise ValueError(f"learning_rate must be above 0, not {self.learning_rate}")

    def build(self, spec: Spec, *, seed: int, device: str = "cpu") -> VAEModel:
        """An untrained autoencoder for images of this kind.

        Raises:
            ValueError: if the data are no images, or their sides cannot be halved evenly.
        """
        if not spec.pictures:
            raise ValueError(f'a vae learns pictures, and "{self.data}" are vectors: use a flow')
        return VAEModel(self, spec, seed, device)


class VAENetwork(nn.Module):
    """Encoder, decoder and prior of a VAE for images (H, W, 3) in C classes with L latents.

    The decoder predicts the difference from the mean images of the classes, weighted by the class posterior
    of z. The logistic's scale is one number for all pixels (Rybkin et al. 2021, "Simple and Effective VAE
    Training with Calibrated Decoders"): with a scale for each pixel it would be uncertain wherever something
    may move rather than encode where it is.
    """

    means: Tensor

    def __init__(self, config: VAE, spec: Spec) -> None:
        super().__init__()
        height, width = spec.shape[:2]
        self.fold = 4 if min(height, width) >= 32 else 1  # pixels of a side that become channels
        narrow = config.channels
        widths = [narrow, narrow * 3 // 2, narrow * 2]
        halvings = max(0, round(math.log2(min(height, width) / self.fold / SMALLEST)))
        divisor = self.fold * 2**halvings
        if height % divisor or width % divisor:
            raise ValueError(f"pictures must have sides that {divisor} divides, not {height} × {width}")
        self.coarse = height // divisor, width // divisor
        steps = [widths[min(i, 2)] for i in range(halvings + 1)]
        values = 3 * self.fold**2
        flat = steps[-1] * self.coarse[0] * self.coarse[1]
        self.down = nn.Sequential(
            conv(values, steps[0]), *map(halving, steps, steps[1:]), conv(steps[-1], steps[-1])
        )
        self.to_latent = nn.Linear(flat, 2 * config.latents)
        self.from_latent = nn.Linear(config.latents, flat)
        self.up = nn.Sequential(
            conv(steps[-1], steps[-1]), *map(doubling, steps[::-1], steps[-2::-1]), conv(steps[0], steps[0])
        )
        self.head = nn.Conv2d(steps[0], values, 3, 1, 1)
        # −log scale over 10: the scale must change by orders of magnitude in training.
        self.certainty = nn.Parameter(torch.tensor(0.2))
        classes = len(spec.label_names)
        self.prior_mean = nn.Parameter(torch.randn(classes, config.latents))
        self.prior_log_scale = nn.Parameter(torch.zeros(classes, config.latents))
        self.register_buffer("means", torch.zeros(classes, 3, height, width))

    def measure(self, values: Array, labels: Array) -> None:
        """Compute the mean image of each class from images (N, H, W, 3) uint8."""
        for label, mean in class_means(values, labels):
            self.means[label] = from_rgb(torch.from_numpy(mean)[None])[0]

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Encode images (N, 3, H, W) in [−1, 1]: mean and log scale of q(z|x), (N, L) each."""
        h = self.down(functional.pixel_unshuffle(x, self.fold)).flatten(1)
        mean, log_scale = self.to_latent(h).float().chunk(2, 1)
        return mean, log_scale.clamp(-6, 3)

    def decode(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Decode latents (N, L): mean (N, 3, H, W) and log scale () of p(x|z)."""
        h = self.from_latent(z).unflatten(1, (-1, *self.coarse))
        mean = functional.pixel_shuffle(self.head(self.up(h)).float(), self.fold)
        of_class = self.class_logs(z).softmax(1)  # (N, C)
        mean = mean + (of_class @ self.means.flatten(1)).view_as(mean)
        return mean, (-10 * self.certainty).clamp(SHARPEST, 2)

    def class_logs(self, z: Tensor) -> Tensor:
        """Log density (N, C) of each class's prior at latents (N, L)."""
        return gaussian_log(z[:, None], self.prior_mean, self.prior_log_scale)

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruct images (N, 3, H, W) through the mean of q(z|x)."""
        return self.decode(self.encode(x)[0])[0]


def conv(inputs: int, outputs: int) -> nn.Sequential:
    """Convolution block: 3×3 convolution, group normalisation (Wu & He 2018), SiLU (Elfwing et al. 2018)."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False), nn.GroupNorm(8, outputs), nn.SiLU())


def halving(inputs: int, outputs: int) -> nn.Sequential:
    """Downsampling block by strided convolution: (N, C, H, W) → (N, C', H/2, W/2)."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False), nn.GroupNorm(8, outputs), nn.SiLU())


def doubling(inputs: int, outputs: int) -> nn.Sequential:
    """Upsampling block by pixel shuffle (Shi et al. 2016): (N, C, H, W) → (N, C', 2H, 2W)."""
    return nn.Sequential(
        nn.Conv2d(inputs, 4 * outputs, 1, bias=False),
        nn.PixelShuffle(2),
        nn.GroupNorm(8, outputs),
        nn.SiLU(),
        conv(outputs, outputs),
    )


def discretized_logistic(x: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """Discretised logistic log likelihood of each pixel (Salimans et al. 2017, eq. 2).

    Args:
        x: (…) values k/127.5 − 1 for k = 0 … 255; the first and the last also take what lies beyond.
        mean: (…).
        log_scale: (…).

    Returns:
        (…) natural logarithms; the 256 probabilities of a pixel sum to 1.
    """
    inverse, half = (-log_scale).exp(), 1 / 255
    above, below = (x - mean + half) * inverse, (x - mean - half) * inverse
    first, last = x < -1 + half, x > 1 - half
    # log(σ(a) − σ(b)) = log σ(a) + log σ(−b) + log(1 − e^(b − a)), which stays finite far out.
    inside = (
        functional.logsigmoid(above) + functional.logsigmoid(-below) + torch.log(-torch.expm1(below - above))
    )
    edges = torch.where(first, functional.logsigmoid(above), functional.logsigmoid(-below))
    return torch.where(first | last, edges, inside)


def gaussian_divergence(mean: Tensor, log_scale: Tensor, to_mean: Tensor, to_log_scale: Tensor) -> Tensor:
    """KL divergence KL(q‖p), nats, of diagonal Gaussians (…, L), latent by latent (ibid., appendix B)."""
    ratio = (2 * (log_scale - to_log_scale)).exp()
    distance = (mean - to_mean).square() * (-2 * to_log_scale).exp()
    return 0.5 * (ratio + distance - 1 - 2 * (log_scale - to_log_scale))


def gaussian_log(z: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """Log density of diagonal Gaussians (…, L) at z, nats, summed over L."""
    return (-0.5 * ((z - mean) * (-log_scale).exp()).square() - log_scale - 0.5 * math.log(2 * math.pi)).sum(
        -1
    )


def mixture_log(network: VAENetwork, z: Tensor) -> Tensor:
    """Log density (N,) of the mixture prior, the mean of the classes' Gaussians, at latents (N, L)."""
    parts = network.class_logs(z)
    return parts.logsumexp(1) - math.log(parts.shape[1])


class VAEExamples:
    """Training examples of the VAE: images, classes, and the noise of one draw from q(z|x)."""

    def __init__(self, dataset: Dataset, latents: int) -> None:
        self._dataset, self._latents = dataset, latents

    def __len__(self) -> int:
        """How many pictures."""
        return len(self._dataset)

    def batch(self, rows: Array, generator: np.random.Generator) -> dict[str, Array]:
        """``rgb`` (B, H, W, 3) uint8, ``label`` (B,) int64, ``noise`` (B, L) float32 standard normal."""
        noise = generator.standard_normal((len(rows), self._latents), np.float32)
        return {"rgb": self._dataset.values_by_row[rows], "label": self._dataset.labels[rows], "noise": noise}


def vae_loss(
    network: nn.Module, batch: Batch, beta: float = 1.0, free_bits: float = 0.0
) -> tuple[Tensor, dict[str, Tensor]]:
    """Negative ELBO in bits per dimension: reconstruction plus `beta` times the KL divergence.

    The divergence is that from the Gaussian of the image's own class, plus log C for the class; with `beta` =
    1 the loss is an upper bound on −log₂ p(x) over the number of values. Nearly all pixels of a game are
    background, and a decoder that learns those first ignores the latents (posterior collapse): below
    `free_bits` nats, in the mean over the batch, a latent's divergence is not reduced further (Kingma et al.
    2016, "Improved Variational Inference with Inverse Autoregressive Flow", appendix C.8).
    """
    assert isinstance(network, VAENetwork)
    x = from_rgb(batch["rgb"])
    mean, log_scale = network.encode(x)
    z = mean + log_scale.exp() * batch["noise"]
    pixels = -discretized_logistic(x, *network.decode(z)).flatten(1).sum(1)
    label = batch["label"]
    prior = network.prior_mean[label], network.prior_log_scale[label]
    each = gaussian_divergence(mean, log_scale, *prior).mean(0)  # (L,)
    which = math.log(len(network.prior_mean))
    bits = 1 / (math.log(2) * x[0].numel())
    loss = (pixels.mean() + beta * (each.clamp(min=free_bits).sum() + which)) * bits
    return loss, {"pixels": pixels.mean() * bits, "code": (each.sum() + which) * bits}


class VAEModel(BaseModel[VAENetwork]):
    """VAE sampler of images. Satisfies `sim.protocols.SamplerModel`, `Encodes` and `HasLikelihood`."""

    def __init__(self, config: VAE, spec: Spec, seed: int, device: str) -> None:
        self.config, self.spec = config, spec
        super().__init__(lambda: VAENetwork(config, spec), seed=seed, device=device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network.eval()

    def fit(self, train: Dataset, validation: Dataset, *, seed: int) -> Fit:
        """A fit of this autoencoder to images."""
        self.network.measure(train.values_by_row, train.labels)
        config = self.config
        options = FitOptions(
            learning_rate=config.learning_rate,
            batch_size=config.batch_size,
            ema=config.ema,
            precision=config.precision,
            weight_decay=1e-4,
            max_grad_norm=100.0,
            warmup_updates=WARMUP,
            validate_every=VALIDATE_EVERY,
        )
        examples = VAEExamples(train, config.latents), VAEExamples(validation, config.latents)
        loss = partial(vae_loss, beta=config.beta, free_bits=config.free_bits)
        return Fit(self.network, loss, *examples, options, seed=seed, device=str(self.device))

    def sample(self, n: int, condition: Condition, options: SampleOptions, seed: int) -> Samples:
        """`n` images: the means of p(x|z), without pixel noise; z from the prior.

        Args:
            n: how many.
            condition: a `label`, whose Gaussian z comes from; or a `latent`, which is z; or a `frame`, for
                which z is drawn from q(z|x), and whose `mask` is inpainted.
            options: `steps` of inpainting; without a mask it takes one.
            seed: of z.

        Raises:
            ConditionError: for any other condition.
        """
        check_condition(condition, self.spec, {"label", "latent", "frame", "mask"})
        if condition.frame is not None:
            return Samples(
                self.filled(n, condition.frame, condition.mask, options.steps, seed), seed, condition
            )
        latents = latents_of(condition, n, self.config.latents)
        if latents is None:
            latents = self.draw_latents(n, condition.label, seed)
        return Samples(self.decode(latents), seed, condition)

    @torch.no_grad()
    def filled(self, n: int, frame: Array, mask: Array | None, steps: int, seed: int) -> Array:
        """Inpaint `frame` (H, W, 3) where `mask` (H, W) is True, `n` times, by encoding and decoding.

        The masked part starts as the frame's mean colour and is resampled `steps` times, each time by
        encoding the whole and decoding a draw of z (Rezende et al. 2014, appendix F). Where all is masked,
        these are unconditional samples. Without a mask they are reconstructions from one draw of z.
        """
        generator = np.random.default_rng(seed)
        known = np.zeros(frame.shape[:2], bool) if mask is None else ~mask
        if mask is not None and not known.any():
            return self.decode(self.draw_latents(n, None, seed))
        start = frame if mask is None else np.where(known[..., None], frame, frame[known].mean(0).round())
        values = np.repeat(start[None], n, 0).astype(np.uint8)
        for _ in range(1 if mask is None else steps):
            drawn = []
            for x in self._chunks(values):
                mean, log_scale = self.network.encode(x)
                noise = torch.from_numpy(generator.standard_normal(mean.shape, np.float32))
                drawn.append(to_rgb(self.network.decode(mean + log_scale.exp() * noise.to(self.device))[0]))
            values = np.where(known[..., None], frame, np.concatenate(drawn))
        return values

    def draw_latents(self, n: int, label: str | None, seed: int) -> Array:
        """Draw latents (n, L) float32 from the prior, of one class or of all with equal probability."""
        generator = np.random.default_rng(seed)
        names = self.spec.label_names
        classes = generator.integers(len(names), size=n) if label is None else np.full(n, names.index(label))
        noise = generator.standard_normal((n, self.config.latents), np.float32)
        mean, log_scale = (
            to_numpy(p)[classes] for p in (self.network.prior_mean, self.network.prior_log_scale)
        )
        return (mean + np.exp(log_scale) * noise).astype(np.float32)

    @torch.no_grad()
    def encode(self, values: Array) -> Array:
        """Images (n, H, W, 3) uint8 → latents (n, L) float32, the means of q(z|x)."""
        found = [to_numpy(self.network.encode(x)[0]) for x in self._chunks(values)]
        return np.concatenate(found).astype(np.float32)

    @torch.no_grad()
    def decode(self, latents: Array) -> Array:
        """Latents (n, L) float32 → images (n, H, W, 3) uint8, the means of p(x|z)."""
        z = torch.from_numpy(np.array(latents, np.float32)).to(self.device)
        return np.concatenate([to_rgb(self.network.decode(part)[0]) for part in torch.split(z, CHUNK)])

    @torch.no_grad()
    def bits_per_dim(self, values: Array, draws: int = 1) -> Array:
        """Bits per dimension (n,) float64: an upper bound on −log₂ p(x) over the number of values.

        Args:
            values: (n, H, W, 3) uint8.
            draws: K points from q(z|x) each; more make the bound tighter (Burda et al. 2016, eq. 8).
        """
        generator = torch.Generator().manual_seed(0)  # the same points for the same images
        found = []
        for x in self._chunks(values):
            mean, log_scale = self.network.encode(x)
            weights = []
            for _ in range(draws):
                z = mean + log_scale.exp() * torch.randn(mean.shape, generator=generator).to(self.device)
                pixels = discretized_logistic(x, *self.network.decode(z)).double().flatten(1).sum(1)
                weights.append(pixels + mixture_log(self.network, z) - gaussian_log(z, mean, log_scale))
            log_p = torch.stack(weights).logsumexp(0) - math.log(draws)
            found.append(to_numpy(-log_p / (math.log(2) * x[0].numel())))
        return np.concatenate(found).astype(np.float64)

    def _chunks(self, values: Array) -> list[Tensor]:
        pictures = torch.split(torch.from_numpy(np.ascontiguousarray(values)), CHUNK)
        return [from_rgb(part.to(self.device)) for part in pictures]


def to_numpy(tensor: Tensor) -> Array:
    """Convert a tensor to an array on the CPU."""
    return np.asarray(tensor.detach().cpu().numpy())

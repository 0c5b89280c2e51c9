"""Normalising flow for vectors: masked autoregressive spline or affine flow with exact density and inverse.

Autoregressive transformations turn a vector into as many independent standard normal numbers and back
(Papamakarios et al. 2017, "Masked Autoregressive Flow"); each number goes through a monotone spline (Durkan
et al. 2019, "Neural Spline Flows") or an affine map. The transformations are zuko's; here are scaling,
labels, dequantisation of whole numbers and the sampler. Everything runs in float32: a log density is a
difference of large numbers.

Read from top to bottom: the keys, the network, the loss, the model that samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from zuko.distributions import NormalizingFlow
from zuko.flows import MAF, NSF

from generative.conditions import check_condition, latents_of
from sim.records import Array, Condition, SampleOptions, Samples
from supervised.base_model import BaseModel
from supervised.data.dataset import Dataset, Spec
from supervised.fit import Batch, Fit, FitOptions

VALIDATE_EVERY = 100  # updates; also where a fit can be stopped and saved
ROWS = 4096  # vectors in one batch, outside of fitting


@dataclass(frozen=True)
class Flow:
    """Configuration of the ``flow`` sampler; its fields are scene keys."""

    data: str = "states/walker2d"
    examples: int = 20_000
    kind: Literal["spline", "affine"] = "spline"
    transforms: int = 4  # each in the reverse order of the one before
    channels: int = 96  # width of the two hidden layers of each
    bins: int = 8  # of a spline, between −5 and 5 standard deviations
    conditional: bool = False  # one density for each class, instead of one for all
    whole: bool = False  # whole numbers, such as bytes: trained with uniform noise in ±½, sampled rounded
    learning_rate: float = 2e-3
    batch_size: int = 256
    ema: float = 0.99  # decay of the averaged weights that are kept

    def __post_init__(self) -> None:
        """Refuse values out of range.

        Raises:
            ValueError: naming the field.
        """
        for name in ("examples", "transforms", "channels", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.bins < 2:
            raise ValueError(f"bins must be at least 2, not {self.bins}")
        if self.kind not in ("spline", "affine"):
            raise ValueError(f'kind must be "spline" or "affine", not "{self.kind}"')

    def build(self, spec: Spec, *, seed: int, device: str = "cpu") -> FlowModel:
        """An untrained flow for vectors of `spec`.

        Raises:
            ValueError: if `spec` is of images.
        """
        if spec.pictures:
            raise ValueError('a "flow" is for vectors; for pictures there is "image-flow"')
        return FlowModel(self, spec, seed, device)


class FlowNetwork(nn.Module):
    """Conditional flow of standardised vectors (B, D) with labels (B,): densities, latents and inverse."""

    mean: Tensor
    scale: Tensor
    shares: Tensor

    def __init__(self, config: Flow, size: int, classes: int) -> None:
        super().__init__()
        self.classes = classes
        shared = {
            "features": size,
            "context": classes if classes > 1 else 0,
            "transforms": config.transforms,
            "hidden_features": (config.channels, config.channels),
        }
        self.flow = NSF(**shared, bins=config.bins) if config.kind == "spline" else MAF(**shared)
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))
        self.register_buffer("shares", torch.full((classes,), 1 / classes))

    def measure(self, values: Tensor, labels: Tensor) -> None:
        """Fit the standardisation of vectors (N, D), and the share of each label (N,)."""
        self.mean.copy_(values.mean(0))
        self.scale.copy_(values.std(0, correction=0))
        self.shares.copy_(torch.bincount(labels, minlength=self.classes) / len(labels))

    def given(self, labels: Tensor) -> NormalizingFlow:
        """The flow of standardised vectors, conditioned on labels (B,)."""
        if self.classes == 1:
            return self.flow()
        return self.flow(functional.one_hot(labels, self.classes).float())

    def log_prob(self, values: Tensor, labels: Tensor) -> Tensor:
        """Log density log p(x | label), (B,) nats, of vectors (B, D) in their own units."""
        scaled = (values - self.mean) / self.scale
        density: Tensor = self.given(labels).log_prob(scaled)
        return density - self.scale.log().sum()

    def log_prob_of_any(self, values: Tensor) -> Tensor:
        """Log density log p(x), (B,) nats, marginalised over labels by their shares in the data."""
        each = []
        for label in range(self.classes):
            labels = torch.full((len(values),), label, device=values.device)
            each.append(self.shares[label].log() + self.log_prob(values, labels))
        return torch.stack(each).logsumexp(0)

    def to_latents(self, values: Tensor, labels: Tensor) -> Tensor:
        """Latents (B, D), standard normal, of vectors (B, D)."""
        latents: Tensor = self.given(labels).transform((values - self.mean) / self.scale)
        return latents

    def to_values(self, latents: Tensor, labels: Tensor) -> Tensor:
        """The inverse of `to_latents`."""
        scaled: Tensor = self.given(labels).transform.inv(latents)
        return self.mean + self.scale * scaled


class FlowExamples:
    """Training examples of the flow: vectors, dequantised if whole numbers, and labels."""

    def __init__(self, dataset: Dataset, labels: Array, whole: bool) -> None:
        self._values, self._labels, self._whole = dataset.values, labels, whole

    def __len__(self) -> int:
        """How many vectors."""
        return len(self._values)

    def batch(self, rows: Array, generator: np.random.Generator) -> dict[str, Array]:
        """``values`` (B, D) float32, with noise where they are whole numbers, and ``label`` (B,) int64."""
        values = self._values[rows]
        return {
            "values": dequantise(values, generator) if self._whole else values,
            "label": self._labels[rows],
        }


def dequantise(values: Array, generator: np.random.Generator) -> Array:
    """Uniform dequantisation: whole numbers plus uniform noise in ±½ (Theis et al. 2016)."""
    return values + generator.uniform(-0.5, 0.5, values.shape).astype(np.float32)


def flow_loss(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Negative log likelihood in bits per dimension: −log₂ p(x | label) / D."""
    assert isinstance(network, FlowNetwork)
    values = batch["values"]
    loss = -network.log_prob(values, batch["label"]).mean() / (values.shape[1] * math.log(2))
    return loss, {"bits_per_dim": loss}


class FlowModel(BaseModel[FlowNetwork]):
    """Normalising-flow sampler of vectors with exact density.

    Satisfies `sim.protocols.SamplerModel`, `Encodes` and `HasLikelihood`.
    """

    def __init__(self, config: Flow, spec: Spec, seed: int, device: str) -> None:
        self.config, self.spec = config, spec
        self._classes = len(spec.label_names) if config.conditional else 1
        super().__init__(lambda: FlowNetwork(config, spec.shape[0], self._classes), seed=seed, device=device)

    def fit(self, train: Dataset, validation: Dataset, *, seed: int) -> Fit:
        """A fit of this flow to vectors.

        Raises:
            ValueError: if one of the numbers never changes: it has no density.
        """
        parts = self._examples(train), self._examples(validation)
        values = parts[0].batch(np.arange(len(train)), np.random.default_rng(seed))["values"]
        still = np.flatnonzero(values.std(0) < 1e-6)
        if len(still):
            raise ValueError(f"{self.spec.axes[still[0]]} never changes, so it has no density: leave it out")
        self.network.measure(self._tensor(values), self._tensor(self._labels(train)))
        options = FitOptions(
            learning_rate=self.config.learning_rate,
            batch_size=self.config.batch_size,
            ema=self.config.ema,
            validate_every=VALIDATE_EVERY,
            precision="float32",
        )
        return Fit(self.network, flow_loss, *parts, options, seed=seed, device=str(self.device))

    def sample(self, n: int, condition: Condition, options: SampleOptions, seed: int) -> Samples:
        """`n` vectors (n, D) float32.

        Args:
            n: how many.
            condition: a `label` where the flow is conditional, or a `latent`.
            options: not used; it takes one pass.
            seed: of the latents.

        Raises:
            ConditionError: for any other condition.
        """
        check_condition(condition, self.spec, {"label", "latent"} if self._classes > 1 else {"latent"})
        latents = latents_of(condition, n, self.width)
        if latents is None:
            latents = self.draw_latents(n, condition.label, seed)
        return Samples(self.decode(latents), seed, condition)

    @property
    def width(self) -> int:
        """L, the width of latents."""
        return self.spec.shape[0] + (self._classes if self._classes > 1 else 0)

    def draw_latents(self, n: int, label: str | None, seed: int) -> Array:
        """Draw latents (n, L) float32, of one label or of all in their shares in the data."""
        latents = np.random.default_rng(seed).standard_normal((n, self.spec.shape[0]), np.float32)
        if self._classes == 1:
            return latents
        shares = self.network.shares.double().cpu().numpy()
        labels = np.random.default_rng((seed, 1)).choice(self._classes, n, p=shares / shares.sum())
        if label is not None:
            labels = np.full(n, self.spec.label_names.index(label))
        return np.concatenate([latents, np.eye(self._classes, dtype=np.float32)[labels]], 1)

    @torch.no_grad()
    def encode(self, values: Array) -> Array:
        """Vectors (n, D) → latents (n, D), or (n, D + K) where the flow is conditional.

        The last K are the one-hot label with the highest posterior, so that `decode` is the inverse.
        """
        out = []
        for rows in _chunks(self._tensor(values)):
            labels = self._likeliest(rows)
            latents = self.network.to_latents(rows, labels)
            if self._classes > 1:
                latents = torch.cat([latents, functional.one_hot(labels, self._classes).float()], 1)
            out.append(latents)
        return torch.cat(out).cpu().numpy()

    @torch.no_grad()
    def decode(self, latents: Array) -> Array:
        """The inverse of `encode`.

        Raises:
            ValueError: if `latents` are not as wide as what `encode` gives.
        """
        size = self.spec.shape[0]
        if latents.ndim != 2 or latents.shape[1] != self.width:
            raise ValueError(f"latents of this flow are (n, {self.width}), not {latents.shape}")
        values = []
        for rows in _chunks(self._tensor(latents)):
            labels = rows[:, size:].argmax(1) if self._classes > 1 else rows.new_zeros(len(rows)).long()
            values.append(self.network.to_values(rows[:, :size], labels))
        made = torch.cat(values).cpu().numpy()
        return made.round() if self.config.whole else made

    @torch.no_grad()
    def bits_per_dim(self, values: Array) -> Array:
        """Bits per dimension (n,) float64: −log₂ p(x) / D, exact for continuous numbers in their own units.

        For whole numbers an upper bound, by uniform dequantisation with a fixed seed.
        """
        if self.config.whole:
            values = dequantise(values, np.random.default_rng(0))
        found = torch.cat([self.network.log_prob_of_any(rows) for rows in _chunks(self._tensor(values))])
        return -found.double().cpu().numpy() / (self.spec.shape[0] * math.log(2))

    def _likeliest(self, values: Tensor) -> Tensor:
        """The label (B,) with the highest posterior probability for each vector."""
        each = []
        for label in range(self._classes):
            labels = torch.full((len(values),), label, device=values.device)
            each.append(self.network.log_prob(values, labels) + self.network.shares[label].log())
        return torch.stack(each).argmax(0)

    def _examples(self, dataset: Dataset) -> FlowExamples:
        return FlowExamples(dataset, self._labels(dataset), self.config.whole)

    def _labels(self, dataset: Dataset) -> Array:
        return dataset.labels if self.config.conditional else np.zeros_like(dataset.labels)

    def _tensor(self, array: Array) -> Tensor:
        return torch.from_numpy(np.require(array, requirements=["C", "W"])).to(self.device)


def _chunks(rows: Tensor) -> tuple[Tensor, ...]:
    return torch.split(rows, ROWS)

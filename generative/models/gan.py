"""Generative adversarial network: conditional R3GAN with a relativistic loss and R1 and R2 penalties.

The loss is R3GAN's (Huang et al. 2024, "The GAN Is Dead; Long Live the GAN!"): each generated example is
paired with a real one, and only the difference of their scores counts (Jolicoeur-Martineau 2019); the
critic's gradient is penalised at real examples (R1, Mescheder et al. 2018) and at generated ones (R2). No
normalisation layers. Both networks step at the same time: one loss whose parts treat the other network as a
constant, so that the common training loop can fit it.

The latent space has one Gaussian a class, around a fixed random centre, so that classes can be interpolated;
the critic is a projection discriminator (Miyato & Koyama 2018).

Read from top to bottom: the keys, the networks, the loss, the model that samples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from generative.conditions import check_condition, latents_of
from generative.data.class_means import class_means
from sim.records import Array, Condition, SampleOptions, Samples
from supervised.base_model import BaseModel
from supervised.data.dataset import Dataset, Spec
from supervised.fit import Batch, Fit, FitOptions, Loss
from supervised.tensors import Precision

VALIDATE_EVERY = 50  # updates; also where a fit can be stopped and saved
SMALLEST = 4  # pixels on a side of the coarsest map
CHUNK = 64  # examples in one batch, outside of fitting
SLOPE = 0.2  # of leaky ReLU, below 0


@dataclass(frozen=True)
class GAN:
    """Configuration of the ``gan`` sampler; its fields are scene keys."""

    data: str = "frames"
    examples: int = 14_000
    latents: int = 64
    channels: int = 48  # at the finest map; twice as many at each coarser one, up to `widest`
    widest: int = 96
    gamma: float = 1.0  # weight of R1 and R2: larger is steadier, smaller is sharper
    penalised: float = 0.25  # share of each batch on which the costly R1 and R2 are computed
    learning_rate: float = 1e-3
    batch_size: int = 32
    ema: float = 0.998  # decay of the averaged weights that are kept: samples come from those
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        """Refuse values out of range.

        Raises:
            ValueError: naming the field.
        """
        for name in ("examples", "latents", "channels", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.widest < self.channels:
            raise ValueError(f"widest must be at least channels ({self.channels}), not {self.widest}")
        if self.gamma < 0:
            raise ValueError(f"gamma must not be below 0, not {self.gamma}")
        if not 0 < self.penalised <= 1:
            raise ValueError(f"penalised must be above 0 and at most 1, not {self.penalised}")

    def build(self, spec: Spec, *, seed: int, device: str = "cpu") -> GANModel:
        """An untrained generator and critic for examples of `spec`, images or vectors.

        Raises:
            ValueError: if the sides of the images cannot be halved evenly.
        """
        return GANModel(self, spec, seed, device)


class GANNetwork(nn.Module):
    """Generator, critic and the classes' centres in the latent space."""

    centres: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, config: GAN, spec: Spec) -> None:
        super().__init__()
        classes, size = len(spec.label_names), 1 if spec.pictures else spec.shape[0]
        self.register_buffer("centres", torch.randn(classes, config.latents) * (classes > 1))
        self.register_buffer("mean", torch.full((size,), 127.5))
        self.register_buffer("scale", torch.full((size,), 127.5))
        self.pictures = spec.pictures
        if spec.pictures:
            plan = FeatureMapPlan(spec.shape, config.channels, config.widest)
            self.generator: nn.Module = PictureGenerator(plan, classes, config.latents)
            self.critic: nn.Module = PictureCritic(plan, classes)
        else:
            self.generator = VectorGenerator(spec.shape[0], config.channels, config.latents)
            self.critic = VectorCritic(spec.shape[0], config.channels, classes)

    def forward(self, z: Tensor) -> Tensor:
        """Generate examples (B, …) from latents (B, L)."""
        made: Tensor = self.generator(z, self.belonging(z)) if self.pictures else self.generator(z)
        return made

    def belonging(self, z: Tensor) -> Tensor:
        """Class posterior (B, K) of latents (B, L): Bayes' rule for Gaussians of variance 1."""
        return (z @ self.centres.T - self.centres.square().sum(1) / 2).softmax(1)

    def measure(self, values: Array, labels: Array) -> None:
        """Compute the mean image of each class, or mean and deviation of each number of vectors (N, D)."""
        if isinstance(self.generator, PictureGenerator):
            for label, mean in class_means(values, labels):
                x = torch.from_numpy(mean.astype(np.float32))[None].to(self.mean.device)
                self.generator.means[label] = self.scaled(x)[0]
        else:
            self.mean.copy_(torch.from_numpy(values.mean(0)))
            self.scale.copy_(torch.from_numpy(values.std(0)).clamp(min=1e-6))

    def scaled(self, values: Tensor) -> Tensor:
        """Images (B, H, W, 3) uint8 → (B, 3, H, W) in [−1, 1]; vectors (B, D) → mean 0 and deviation 1."""
        x = (values.float() - self.mean) / self.scale
        return x.permute(0, 3, 1, 2) if values.dim() == 4 else x

    def unscaled(self, x: Tensor) -> Tensor:
        """The inverse of `scaled`; images are rounded and clipped to 0…255."""
        if x.dim() == 2:
            return x * self.scale + self.mean
        values = x.permute(0, 2, 3, 1) * self.scale + self.mean
        return values.round().clamp(0, 255).to(torch.uint8)


class FeatureMapPlan:
    """Widths and sizes of the feature maps for images (H, W, 3), from the finest to the coarsest."""

    def __init__(self, shape: tuple[int, ...], channels: int, widest: int) -> None:
        height, width = shape[:2]
        self.fold = max(1, min(height, width) // 16)  # pixels of a side that become channels
        halvings = max(0, round(math.log2(min(height, width) / self.fold / SMALLEST)))
        if halvings and any(side % (self.fold * 2**halvings) for side in (height, width)):
            halvings -= 1  # 28 pixels are halved to 7
        divisor = self.fold * 2**halvings
        if height % divisor or width % divisor:
            raise ValueError(f"pictures must have sides that {divisor} divides, not {height} × {width}")
        self.widths = [min(channels * 2**i, widest) for i in range(halvings + 1)]
        self.finest = height // self.fold, width // self.fold
        self.coarsest = height // divisor, width // divisor
        self.values = 3 * self.fold**2


class PictureGenerator(nn.Module):
    """Image generator: latents (B, L) → images (B, 3, H, W) in about [−1, 1], class mean plus a residual."""

    means: Tensor

    def __init__(self, plan: FeatureMapPlan, classes: int, latents: int) -> None:
        super().__init__()
        widths = plan.widths[::-1]
        self.plan = plan
        self.stem = nn.Linear(latents, widths[0] * plan.coarsest[0] * plan.coarsest[1])
        self.steps = nn.Sequential(Residual(widths[0]), *map(Doubling, widths, widths[1:]))
        self.ground = nn.Parameter(torch.zeros(classes, widths[-1], *plan.finest))
        # What every image of a class shows, a game's walls and lettering, need not come from the latents.
        sides = plan.finest[0] * plan.fold, plan.finest[1] * plan.fold
        self.register_buffer("means", torch.zeros(classes, 3, *sides))
        self.finish = Residual(widths[-1])
        self.head = nn.Conv2d(widths[-1], plan.values, 1)
        nn.init.normal_(self.head.weight, std=0.01)

    def forward(self, z: Tensor, belonging: Tensor) -> Tensor:
        """See the class; `belonging` (B, K) is the class posterior."""
        x = self.steps(self.stem(z).unflatten(1, (-1, *self.plan.coarsest)))
        x = x + torch.einsum("bk,kchw->bchw", belonging, self.ground)
        x = self.head(functional.leaky_relu(self.finish(x), SLOPE))
        mean = torch.einsum("bk,kchw->bchw", belonging, self.means)
        return mean + functional.pixel_shuffle(x, self.plan.fold)


class PictureCritic(nn.Module):
    """Image critic: images (B, 3, H, W) and classes (B,) → scores (B,), higher for real ones."""

    def __init__(self, plan: FeatureMapPlan, classes: int) -> None:
        super().__init__()
        widths = plan.widths
        self.fold = plan.fold
        self.stem = nn.Conv2d(plan.values, widths[0], 3, 1, 1)
        self.steps = nn.Sequential(*map(Halving, widths, widths[1:]), Residual(widths[-1]))
        self.head = ClassScore(widths[-1] * plan.coarsest[0] * plan.coarsest[1], widths[-1], classes)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        """See the class."""
        x = self.steps(self.stem(functional.pixel_unshuffle(x, self.fold)))
        score: Tensor = self.head(functional.leaky_relu(x, SLOPE).flatten(1), label)
        return score


class VectorGenerator(nn.Module):
    """Vector generator: latents (B, L) → vectors (B, D)."""

    def __init__(self, size: int, channels: int, latents: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*dense(latents, channels), *dense(channels, channels))
        self.head = nn.Linear(channels, size)

    def forward(self, z: Tensor) -> Tensor:
        """See the class."""
        x: Tensor = self.head(self.layers(z))
        return x


class VectorCritic(nn.Module):
    """Vector critic: vectors (B, D) and classes (B,) → scores (B,), higher for real ones."""

    def __init__(self, size: int, channels: int, classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*dense(size, channels), *dense(channels, channels))
        self.head = ClassScore(channels, channels, classes)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        """See the class."""
        score: Tensor = self.head(self.layers(x), label)
        return score


class ClassScore(nn.Module):
    """Projection discriminator (Miyato & Koyama 2018): features (B, F) and classes (B,) → scores (B,)."""

    def __init__(self, features: int, width: int, classes: int) -> None:
        super().__init__()
        self.basis = nn.Linear(features, width)
        self.real = nn.Linear(width, 1)
        self.directions = nn.Embedding(classes, width)
        nn.init.normal_(self.directions.weight, std=width**-0.5)

    def forward(self, features: Tensor, label: Tensor) -> Tensor:
        """See the class."""
        basis = self.basis(features)
        score: Tensor = self.real(basis)[:, 0] + (basis * self.directions(label)).sum(1)
        return score


class Residual(nn.Module):
    """Residual block of two convolutions, the identity at initialisation (Zhang et al. 2019, "Fixup")."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, 1, 1)
        self.second = nn.Conv2d(channels, channels, 3, 1, 1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        inner = self.first(functional.leaky_relu(x, SLOPE))
        return x + self.second(functional.leaky_relu(inner, SLOPE))  # type: ignore[no-any-return]


class Doubling(nn.Module):
    """Upsampling block by pixel shuffle: (B, C, H, W) → (B, C', 2H, 2W)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.widen = nn.Conv2d(inputs, 4 * outputs, 1)
        self.residual = Residual(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """See the class (Shi et al. 2016)."""
        return self.residual(functional.pixel_shuffle(self.widen(x), 2))  # type: ignore[no-any-return]


class Halving(nn.Module):
    """Downsampling block by pixel unshuffle: (B, C, H, W) → (B, C', H/2, W/2)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.residual = Residual(inputs)
        self.narrow = nn.Conv2d(4 * inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return self.narrow(functional.pixel_unshuffle(self.residual(x), 2))  # type: ignore[no-any-return]


def dense(inputs: int, outputs: int) -> list[nn.Module]:
    """Fully connected layer with leaky ReLU."""
    return [nn.Linear(inputs, outputs), nn.LeakyReLU(SLOPE)]


class GANExamples:
    """Training examples of the GAN: real examples, each with latents of the same class."""

    def __init__(self, dataset: Dataset, centres: Array) -> None:
        self._values, self._labels, self._centres = dataset.values_by_row, dataset.labels, centres

    def __len__(self) -> int:
        """How many real examples."""
        return len(self._values)

    def batch(self, rows: Array, generator: np.random.Generator) -> dict[str, Array]:
        """``real`` (B, …) as in the dataset, ``label`` (B,) int64, ``z`` (B, L) float32."""
        label = self._labels[rows]
        noise = generator.standard_normal((len(rows), self._centres.shape[1]), np.float32)
        return {"real": self._values[rows], "label": label, "z": self._centres[label] + noise}


def gan_loss(gamma: float, penalised: float) -> Loss:
    """R3GAN loss of a `GANNetwork`: generator's plus critic's, each with the other network as a constant.

    Args:
        gamma: weight of the penalties, γ in Huang et al. 2024, eq. 5.
        penalised: the share of the batch on which they are computed; their mean does not depend on it.
    """

    def loss(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        assert isinstance(network, GANNetwork)
        label, real = batch["label"], network.scaled(batch["real"])
        made = network(batch["z"]).float()
        few = max(1, round(penalised * len(label))) if network.training else 0
        scores, slopes = scores_and_penalties(network.critic, torch.stack([real, made.detach()]), label, few)
        critic_loss = relativistic_loss(scores[0], scores[1])
        frozen = {name: p.detach() for name, p in network.critic.named_parameters()}
        judged = functional_call(network.critic, frozen, (made, label))
        generator_loss = relativistic_loss(judged, scores[0].detach())
        figures = {"generator": generator_loss, "critic": critic_loss}
        figures["gap"] = (scores[0] - scores[1]).mean()
        penalty = gamma / 2 * slopes.sum()
        return generator_loss + critic_loss + penalty, figures | {"penalty": penalty}

    return loss


def relativistic_loss(wanted_above: Tensor, wanted_below: Tensor) -> Tensor:
    """Relativistic loss of paired scores (B,): the mean of log(1 + e^(below − above))."""
    return functional.softplus(wanted_below - wanted_above).mean()


def scores_and_penalties(
    critic: nn.Module, examples: Tensor, label: Tensor, few: int
) -> tuple[Tensor, Tensor]:
    """Critic scores and gradient penalties of real and generated examples.

    Args:
        critic: of examples and labels.
        examples: (2, B, …) real ones and generated ones, in pairs.
        label: (B,).
        few: on how many of the B the penalties are computed.

    Returns:
        scores (2, B), and (2,) R1 and R2: the mean over `few` of ‖∇ₓ critic(x)‖²; zeros if `few` is 0. In
        float32 even under autocast: they are differentiated twice.
    """
    penalties = torch.zeros(2, device=examples.device)
    parts = []
    if few:
        with torch.autocast(examples.device.type, enabled=False):
            x = examples[:, :few].float().flatten(0, 1).requires_grad_()
            score = critic(x, label[:few].repeat(2))
            (slope,) = torch.autograd.grad(score.sum(), x, create_graph=True)
        penalties = slope.flatten(1).square().sum(1).view(2, few).mean(1)
        parts.append(score.view(2, few))
    if few < len(label):
        rest = critic(examples[:, few:].flatten(0, 1), label[few:].repeat(2))
        parts.append(rest.float().view(2, -1))
    return torch.cat(parts, 1), penalties


class GANModel(BaseModel[GANNetwork]):
    """GAN sampler of images or vectors in one pass. Satisfies `sim.protocols.SamplerModel` and `Decodes`."""

    def __init__(self, config: GAN, spec: Spec, seed: int, device: str) -> None:
        self.config, self.spec = config, spec
        super().__init__(lambda: GANNetwork(config, spec), seed=seed, device=device)

    def fit(self, train: Dataset, validation: Dataset, *, seed: int) -> Fit:
        """A fit of generator and critic to examples."""
        self.network.measure(train.values_by_row if self.spec.pictures else train.values, train.labels)
        options = FitOptions(
            learning_rate=self.config.learning_rate,
            betas=(0.0, 0.99),  # the other network moves the target: no momentum (Huang et al. 2024)
            batch_size=self.config.batch_size,
            max_grad_norm=1e3,  # a safeguard, not a part of the method
            ema=self.config.ema,
            precision=self.config.precision,
            validate_every=VALIDATE_EVERY,
        )
        centres = self.network.centres.cpu().numpy()
        pairs = GANExamples(train, centres), GANExamples(validation, centres)
        loss = gan_loss(self.config.gamma, self.config.penalised)
        return Fit(self.network, loss, *pairs, options, seed=seed, device=str(self.device))

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """Load weights from a checkpoint; one without the critic is enough to sample.

        Raises:
            ValueError: if names or shapes differ from this network's.
        """
        if not any(name.startswith("critic.") for name in weights):
            own = {name: array for name, array in self.weights().items() if name.startswith("critic.")}
            weights = own | dict(weights)
        super().load_weights(weights)

    def sample(self, n: int, condition: Condition, options: SampleOptions, seed: int) -> Samples:
        """`n` examples.

        Args:
            n: how many.
            condition: a `label`, or a `latent`.
            options: not used; it takes one pass.
            seed: of the latents.

        Raises:
            ConditionError: for any other condition.
        """
        check_condition(condition, self.spec, {"label", "latent"})
        latents = latents_of(condition, n, self.config.latents)
        if latents is None:
            latents = self.draw_latents(n, condition.label, seed)
        return Samples(self.decode(latents), seed, condition)

    def draw_latents(self, n: int, label: str | None, seed: int) -> Array:
        """Draw latents (n, L) float32, of one class or of all with equal probability."""
        names = self.spec.label_names
        classes = np.random.default_rng((seed, 1)).integers(len(names), size=n)
        if label is not None:
            classes = np.full(n, names.index(label))
        noise = np.random.default_rng(seed).standard_normal((n, self.config.latents), np.float32)
        centres: Array = self.network.centres.cpu().numpy()
        return centres[classes] + noise

    @torch.no_grad()
    def decode(self, latents: Array) -> Array:
        """Latents (n, L) float32 → images (n, H, W, 3) uint8, or vectors (n, D) float32."""
        z = torch.from_numpy(np.array(latents, np.float32)).to(self.device)
        made = [self.network.unscaled(self.network(part)).cpu() for part in torch.split(z, CHUNK)]
        return torch.cat(made).numpy()

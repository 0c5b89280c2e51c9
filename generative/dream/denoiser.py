"""Denoiser of a world model: the next frame's pixel classes, given the last frames and actions.

Diffusion of categorical pixels (Dieleman et al. 2022, "Continuous diffusion for categorical data") in the
noise levels of Karras et al. 2022 ("EDM"), conditioned as DIAMOND is (Alonso et al. 2024, "Diffusion for
World Modeling: Visual Details Matter in Atari"): past frames beside the noisy one, actions in every residual
block.

    x_σ = x_0 + σ ε,   x_0 = √K (one-hot − 1/K)
    p(k | x_σ, past) ∝ exp(√K x_σ[k] / σ²) · exp(network(x_σ / √(σ² + 1), past, actions)[k])

The first factor, the likelihood of the pixel's own noisy vector, is known; it takes the place of EDM's skip
connection. The mean of that distribution is the denoised frame D(x_σ; σ) that a solver follows. The loss is
the negative log-likelihood of the frame: a ball of four pixels that is missing costs as much as it should,
which a squared error over 6,400 pixels does not notice.

Past frames are noised as well, with their level as an input (Valevski et al. 2024, "GameNGen"), so that the
network does not trust them blindly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from generative.diffusion.mean_image import coordinates

SIGMA_MAX, SIGMA_MIN = 10.0, 0.5  # of training: nothing is seen above, nothing is left to do below
SIGMA_LAST = 1.0  # of the last step of sampling
CONTEXT_NOISE = 0.7  # σ of past frames in training, at most
GROUPS = 8  # of group normalisation; divides every width
SELF_FED = 2  # S, frames of a context that are dreamed in training's last part
HEAD = 32  # channels of the reward and end head
OUTCOMES = (-1.0, 0.0, 1.0)  # signs of rewards


class WorldModelNetwork(nn.Module):
    """Network of a world model: a UNet that denoises, embeddings that condition it, a reward and end head.

    Attributes:
        unet: diffusers' `UNet2DModel`, on maps of unshuffled pixels.
        conditioning: actions and the level of the context's noise → the vector that scales and shifts every
            residual block.
        head: reward and end.
    """

    places: Tensor  # (14, h, w)

    def __init__(
        self,
        *,
        classes: int,
        shape: tuple[int, int],
        fold: int,
        context: int,
        actions: int,
        channels: Sequence[int],
        layers: int,
    ) -> None:
        """Make the network.

        Args:
            classes: K of a pixel.
            shape: height and width of a frame.
            fold: p; p × p pixels become one cell of the finest map.
            context: L past frames.
            actions: A.
            channels: of the finest map, of the one of half its size, and so on.
            layers: residual blocks a level.
        """
        super().__init__()
        self.classes, self.fold, self.actions = classes, fold, actions
        height, width = shape[0] // fold, shape[1] // fold
        of_frame = classes * fold**2
        places = coordinates(height, width)
        self.register_buffer("places", places, persistent=False)
        self.unet = _unet(of_frame * (1 + context) + len(places), of_frame, (height, width), channels, layers)
        wide = 4 * channels[0]  # of diffusers' time embedding
        self.conditioning = nn.Sequential(
            nn.Linear(context * actions + 1, wide), nn.SiLU(), nn.Linear(wide, wide)
        )
        self.head = RewardEndHead(of_frame * (1 + context), (height, width), context * actions)

    def maps(self, frames: Tensor) -> Tensor:
        """Frames (…, H, W) of classes → maps (…, K p², H/p, W/p) float32 with mean 0 over a pixel's classes.

        A pixel's vector has square length K − 1.
        """
        *lead, height, width = frames.shape
        fold = self.fold
        cells = frames.reshape(-1, height // fold, fold, width // fold, fold)
        cells = cells.permute(0, 2, 4, 1, 3).contiguous()  # (…, p, p, H/p, W/p)
        classes = torch.arange(self.classes, dtype=frames.dtype, device=frames.device)
        one_hot = cells[:, None] == classes.view(1, -1, 1, 1, 1, 1)  # (…, K, p, p, H/p, W/p)
        maps: Tensor = self.classes**0.5 * (one_hot.float() - 1 / self.classes)
        return maps.view(*lead, -1, height // fold, width // fold)

    def frames(self, x: Tensor) -> Tensor:
        """Maps (N, K p², h, w) → the largest class of each pixel, (N, H, W) uint8."""
        return functional.pixel_shuffle(x, self.fold).argmax(1).to(torch.uint8)

    def acts(self, actions: Tensor) -> Tensor:
        """Actions (N, L) int64 → (N, L·A) float32."""
        return functional.one_hot(actions, self.actions).flatten(1).float()

    def logits(
        self, x: Tensor, sigma: Tensor, past: Tensor, actions: Tensor, level: Tensor | None = None
    ) -> Tensor:
        """Log-probabilities, up to a constant, of the classes of every pixel: (N, K, H, W) float32.

        Args:
            x: noisy maps (N, K p², h, w).
            sigma: (N,) noise level.
            past: maps (N, L, K p², h, w) of the past frames.
            actions: (N, L) int64; the last one leads to the frame that is predicted.
            level: (N,) noise level of `past`; None: 0.
        """
        level = torch.zeros_like(sigma) if level is None else level
        scale = (sigma.square() + 1).rsqrt().view(-1, 1, 1, 1)
        places = self.places.expand(len(x), -1, -1, -1)
        seen = torch.cat([x * scale, past.flatten(1, 2), places], 1)
        told = self.conditioning(torch.cat([self.acts(actions), level[:, None]], 1))
        prior = self.unet(seen, timesteps_of(sigma), class_labels=told).sample.float()
        # One-hot directions of a pixel's noisy vector: √K x[k] / σ² is the class's log-likelihood.
        likelihood = self.classes**0.5 * x / sigma.square().view(-1, 1, 1, 1)
        return functional.pixel_shuffle(prior + likelihood, self.fold)

    def mean(self, logits: Tensor) -> Tensor:
        """Logits (N, K, H, W) → the denoised maps D (N, K p², h, w)."""
        mean = self.classes**0.5 * (logits.softmax(1) - 1 / self.classes)
        return functional.pixel_unshuffle(mean, self.fold)

    def denoise(self, noise: Tensor, past: Tensor, actions: Tensor, steps: int) -> tuple[Tensor, Tensor]:
        """Sample frames by Euler's method (Karras et al. 2022, algorithm 1, deterministic).

        Args:
            noise: standard normal maps (N, K p², h, w).
            past: see `logits`.
            actions: see `logits`.
            steps: network evaluations.

        Returns:
            Frames (N, H, W) uint8, and whether all that the network gave for them was finite, (N,) bool.
        """
        sigmas = noise_levels(steps)
        x = noise * sigmas[0]
        finite = torch.ones(len(x), dtype=torch.bool, device=x.device)
        mean = x
        for now, then in zip(sigmas, [*sigmas[1:], 0.0], strict=True):
            logits = self.logits(x, torch.full((len(x),), now, device=x.device), past, actions)
            finite &= logits.isfinite().flatten(1).all(1)
            mean = self.mean(logits)
            x = mean + (then / now) * (x - mean)
        return self.frames(mean), finite

    @torch.inference_mode()
    def dream(
        self, noise: Tensor, past: Tensor, actions: Tensor, steps: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Dream one step of N worlds.

        Args:
            noise: standard normal maps (N, K p², h, w).
            past: the last frames (N, L, H, W) uint8.
            actions: (N, L) int64; the last one leads to the frame that is dreamed.
            steps: network evaluations.

        Returns:
            Frames (N, H, W) uint8, logits of the reward's sign (N, 3) and of the end (N,). Where a frame's
            were not finite, it is the last one again, and those of the reward are NaN.
        """
        known = self.maps(past)
        frames, finite = self.denoise(noise, known, actions, steps)
        frames = torch.where(finite[:, None, None], frames, past[:, -1])
        signs, end = self.head(torch.cat([known, self.maps(frames)[:, None]], 1), self.acts(actions))
        return frames, signs.masked_fill(~finite[:, None], torch.nan), end


class RewardEndHead(nn.Module):
    """Reward and end of a step, from the frames before and after it and the actions (as in DIAMOND)."""

    def __init__(self, channels: int, size: tuple[int, int], actions: int) -> None:
        super().__init__()
        cells = math.prod((side + 3) // 4 for side in size)  # two convolutions of stride 2
        self.look = nn.Sequential(
            nn.Conv2d(channels, HEAD, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(HEAD, HEAD, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Flatten(),
        )
        self.tell = nn.Sequential(
            nn.Linear(HEAD * cells + actions, 2 * HEAD), nn.SiLU(), nn.Linear(2 * HEAD, len(OUTCOMES) + 1)
        )

    def forward(self, frames: Tensor, acts: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the reward's sign (N, 3) and of the end (N,), of maps (N, L + 1, K p², h, w)."""
        told = self.tell(torch.cat([self.look(frames.flatten(1, 2)), acts], 1)).float()
        return told[:, :-1], told[:, -1]


def _unet(
    channels_in: int, channels_out: int, size: tuple[int, int], channels: Sequence[int], layers: int
) -> nn.Module:
    """Diffusers' `UNet2DModel`, whose ``class_labels`` are a vector that is added to the time embedding."""
    from diffusers import UNet2DModel

    levels = len(channels)
    return cast(
        nn.Module,
        UNet2DModel(
            sample_size=size,
            in_channels=channels_in,
            out_channels=channels_out,
            block_out_channels=tuple(channels),
            down_block_types=("DownBlock2D",) * levels,
            up_block_types=("UpBlock2D",) * levels,
            layers_per_block=layers,
            norm_num_groups=GROUPS,
            add_attention=False,
            class_embed_type="identity",
            resnet_time_scale_shift="scale_shift",
        ),
    )


def timesteps_of(sigma: Tensor) -> Tensor:
    """Noise levels (N,) as times of diffusers' sinusoidal embedding: 250 ln σ, as EDM's ¼ ln σ by 1,000.

    >>> timesteps_of(torch.tensor([1.0])).tolist()
    [0.0]
    """
    return 250 * sigma.log()


def noise_levels(steps: int) -> list[float]:
    """Noise levels of a solver's steps, from `SIGMA_MAX` in equal ratios to `SIGMA_LAST`.

    >>> noise_levels(1), noise_levels(2)
    ([10.0], [10.0, 1.0])
    """
    if steps == 1:
        return [SIGMA_MAX]
    return [SIGMA_MAX * (SIGMA_LAST / SIGMA_MAX) ** (i / (steps - 1)) for i in range(steps)]


def world_model_loss(network: Any, batch: dict[str, Tensor], fed: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Negative log-likelihood of the next frame, of the reward's sign and of the end.

    Args:
        network: a `WorldModelNetwork`.
        batch: see `generative.dream.windows.Windows`.
        fed: of how many rows, from the last one back, the newest frames of the context are dreamed first.

    Returns:
        Nats a cell of the finest map plus nats of reward and end; and these three by name.
    """
    frames, actions = batch["frames"], batch["actions"]  # (N, S + L + 1, H, W), (N, S + L)
    noise, sigma, level = batch["noise"], batch["sigma"], batch["level"]
    length = actions.shape[1] - SELF_FED  # L
    past, acts = frames[:, -1 - length : -1], actions[:, -length:]
    if fed:
        dreamed = self_fed_context(network, frames[-fed:], actions[-fed:], noise, length)
        past = torch.cat([past[:-fed], dreamed])
    target = network.maps(frames[:, -1])
    known = network.maps(past)
    noisy = known.clone()
    for i in range(length):  # each frame with the noise of another row, which is independent of this one's
        noisy[:, i] += level.view(-1, 1, 1, 1) * noise.roll(i + 1, 0)
    x = target + sigma.view(-1, 1, 1, 1) * noise
    logits = network.logits(x, sigma, noisy, acts, level)
    nats = functional.cross_entropy(logits, frames[:, -1].long(), reduction="none").sum((1, 2))
    reward, end = network.head(torch.cat([known, target[:, None]], 1), network.acts(acts))
    rewarded = functional.cross_entropy(reward, batch["outcome"])
    ended = functional.binary_cross_entropy_with_logits(end, batch["ended"])
    frame = nats.mean()
    loss = frame / target[0, 0].numel() + rewarded + ended
    return loss, {"frame_nats": frame, "reward_nats": rewarded, "end_nats": ended}


@torch.no_grad()
def self_fed_context(network: Any, frames: Tensor, actions: Tensor, noise: Tensor, length: int) -> Tensor:
    """Contexts (N, L, H, W) uint8 whose newest S frames the network has dreamed, one step each.

    As a model's own frames are its context when it dreams (Alonso et al. 2024, section 3.1).

    Args:
        network: a `WorldModelNetwork`; its weights are not changed.
        frames: (N, S + L + 1, H, W) uint8; the last one is to be predicted from the context.
        actions: (N, S + L) int64.
        noise: (M, K p², h, w) standard normal, M ≥ N.
        length: L.
    """
    past = frames[:, :length]
    for i in range(SELF_FED):
        acts = actions[:, i : i + length]
        made, _ = network.denoise(noise[i : i + len(frames)], network.maps(past), acts, 1)
        past = torch.cat([past[:, 1:], made[:, None]], 1)
    return past

"""Packed world model: a network's weights prepared once for dreaming on a CPU with bfloat16 arithmetic.

Convolutions run in bfloat16 by weights in oneDNN's own layout, on maps whose channels lie innermost; group
normalisation, scale and shift by the actions, and SiLU in float32. The operators are those to which PyTorch's
compiler lowers frozen networks on CPUs (``torch/_inductor/fx_passes/mkldnn_fusion.py``). Frames as one-hot
maps are exact in bfloat16; the noise is not, so that a pixel of which two classes are about as likely may
become the other one: a dream differs from the float32 network's, its grades do not (docs/results.md).

A world's frame does not depend on the batch that it is dreamed in: batches are dreamed `ROWS` at a time, and
the arithmetic of a row is the same in any number of them.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from generative.dream.denoiser import WorldModelNetwork, noise_levels, timesteps_of
from supervised.precision import bfloat16_pays

ROWS = 16  # dreamed at once: more leave the second-level cache, fewer spend their time between operators


def can_pack(device: torch.device) -> bool:
    """Whether this PyTorch has the operators, and `device` is a CPU that multiplies bfloat16."""
    operators = torch.ops.mkldnn
    return (
        device.type == "cpu"
        and bfloat16_pays(device)
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and hasattr(torch._C._nn, "mkldnn_reorder_conv2d_weight")
        and hasattr(operators, "_convolution_pointwise")
    )


class PackedConvolution:
    """A convolution in bfloat16: maps (N, h, w, C) bfloat16 → (N, h', w', C') bfloat16."""

    def __init__(self, layer: nn.Conv2d, weight: Tensor | None = None, *, bias: bool = True) -> None:
        """Pack a layer, or one with another `weight` in its place."""
        self._padding, self._stride = list(cast("Any", layer.padding)), list(layer.stride)
        plain = (layer.weight if weight is None else weight).detach().bfloat16().contiguous().to_mkldnn()
        self._weight = torch._C._nn.mkldnn_reorder_conv2d_weight(
            plain, self._padding, self._stride, [1, 1], 1
        )
        self._bias = layer.bias.detach().bfloat16() if bias and layer.bias is not None else None

    def __call__(self, maps: Tensor) -> Tensor:
        """Convolve."""
        x = maps.permute(0, 3, 1, 2)
        rest: Any = self._padding, self._stride, [1, 1], 1, "none", [], ""
        made: Tensor = torch.ops.mkldnn._convolution_pointwise(x, self._weight, self._bias, *rest)
        return made.permute(0, 2, 3, 1)


class PackedLinear:
    """Linear layers in bfloat16: (N, C) float32 → (N, C') float32 of all of them, one after the other.

    In float32 a row's last bit would depend on the number of rows.
    """

    def __init__(self, *layers: nn.Linear) -> None:
        self._weight = torch.cat([layer.weight.detach() for layer in layers]).bfloat16()
        self._bias = torch.cat([layer.bias.detach() for layer in layers])

    def __call__(self, x: Tensor) -> Tensor:
        """Apply."""
        return functional.linear(x.bfloat16(), self._weight).float() + self._bias


class PackedNorm:
    """Group normalisation, a scale and shift a channel, and SiLU: (N, h, w, C) → the same in bfloat16."""

    def __init__(self, layer: nn.GroupNorm, cells: int) -> None:
        """For maps of `cells` = h·w places."""
        self._groups = layer.num_groups, layer.num_channels // layer.num_groups
        self._average = torch.full((1, cells), 1 / (cells * self._groups[1]))
        self.scale, self.shift = layer.weight.detach().clone(), layer.bias.detach().clone()
        self._eps = layer.eps

    def __call__(self, maps: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """Normalise with a scale and shift (C) or (N, 1, C)."""
        n, height, width, channels = maps.shape
        x = maps.float().view(n, -1, channels)
        mean, square = self._mean(x), self._mean(x * x)
        gain = (square - mean * mean).clamp_(min=0).add_(self._eps).rsqrt_() * scale
        y = torch.addcmul(shift - mean * gain, x, gain)
        return functional.silu(y, inplace=True).bfloat16().view(maps.shape)

    def _mean(self, x: Tensor) -> Tensor:
        """Of (N, cells, C) the mean of each group, (N, 1, C)."""
        n, _, channels = x.shape
        each = torch.bmm(self._average.expand(n, -1, -1), x).view(n, 1, *self._groups)
        return each.sum(-1, keepdim=True).expand_as(each).reshape(n, 1, channels)


class PackedBlock(NamedTuple):
    """Residual block of diffusers' `ResnetBlock2D`, whose second norm is scaled and shifted."""

    norms: tuple[PackedNorm, PackedNorm]
    convolutions: tuple[PackedConvolution, PackedConvolution]
    shortcut: PackedConvolution | None
    place: slice  # of its scales and shifts in those of all blocks

    def __call__(self, x: Tensor, conditioning: Tensor) -> Tensor:
        """Maps (N, h, w, C) and all blocks' scales and shifts (N, 1, S)."""
        first, second = self.norms
        h = self.convolutions[0](first(x, first.scale, first.shift))
        scale, shift = conditioning[..., self.place].chunk(2, -1)
        h = second(h, second.scale * (1 + scale), second.shift * (1 + scale) + shift)
        h = self.convolutions[1](h)
        return h + (x if self.shortcut is None else self.shortcut(x))


def packed_block(block: Any, cells: int, projections: list[nn.Linear]) -> PackedBlock:
    """Pack a `ResnetBlock2D` for maps of `cells` places; its projection of the conditioning is appended."""
    first = sum(layer.out_features for layer in projections)
    projections.append(block.time_emb_proj)
    return PackedBlock(
        (PackedNorm(block.norm1, cells), PackedNorm(block.norm2, cells)),
        (PackedConvolution(block.conv1), PackedConvolution(block.conv2)),
        None if block.conv_shortcut is None else PackedConvolution(block.conv_shortcut),
        slice(first, first + block.time_emb_proj.out_features),
    )


class PackedUNet:
    """Pass of the `UNet2DModel` that `WorldModelNetwork` makes, in three parts.

    `seen` of past frames' maps and `conditioning` of actions and a noise level, then `__call__` of both and
    the noisy maps (N, h, w, K p²): logits (N, h, w, K p²), as of the UNet.
    """

    def __init__(self, network: WorldModelNetwork, size: int) -> None:
        """Pack a network whose noisy maps have `size` = K p² channels."""
        unet: Any = network.unet
        self._network = network
        projections: list[nn.Linear] = []
        cells = network.places.shape[-2] * network.places.shape[-1]
        first = unet.conv_in.weight
        frames = first.shape[1] - len(network.places)
        self._noisy = PackedConvolution(unet.conv_in, first[:, :size], bias=False)
        self._known = PackedConvolution(
            unet.conv_in, classes_last(first[:, size:frames], network.classes, network.fold)
        )
        where = functional.conv2d(network.places[None], first[:, frames:], padding=unet.conv_in.padding)
        self._places = where.detach().permute(0, 2, 3, 1).bfloat16()

        def blocks(level: Any) -> list[PackedBlock]:
            return [packed_block(block, cells, projections) for block in level.resnets]

        self._down: list[tuple[list[PackedBlock], PackedConvolution | None]] = []
        for level in unet.down_blocks:
            halve = PackedConvolution(level.downsamplers[0].conv) if level.downsamplers else None
            self._down.append((blocks(level), halve))
            cells //= 4 if halve else 1
        self._middle = blocks(unet.mid_block)
        self._up: list[tuple[list[PackedBlock], PackedConvolution | None]] = []
        for level in unet.up_blocks:
            double = PackedConvolution(level.upsamplers[0].conv) if level.upsamplers else None
            self._up.append((blocks(level), double))
            cells *= 4 if double else 1
        self._norm = PackedNorm(unet.conv_norm_out, cells)
        self._last = PackedConvolution(unet.conv_out)
        self._projections = PackedLinear(*projections)

    def seen(self, known: Tensor) -> Tensor:
        """What the first convolution makes of past frames (N, h, w, L p² K)."""
        return self._known(known) + self._places

    def conditioning(self, told: Tensor, sigma: float) -> Tensor:
        """Scales and shifts (N, 1, S) of all blocks, of the actions' embedding (N, E) and a noise level."""
        unet: Any = self._network.unet
        time = unet.time_embedding(unet.time_proj(timesteps_of(torch.tensor([sigma]))))
        return self._projections(functional.silu(told + time))[:, None]

    def __call__(self, x: Tensor, seen: Tensor, conditioning: Tensor) -> Tensor:
        """One pass."""
        x = seen + self._noisy(x)
        skipped = [x]
        for blocks, halve in self._down:
            for block in blocks:
                x = block(x, conditioning)
                skipped.append(x)
            if halve:
                x = halve(x)
                skipped.append(x)
        for block in self._middle:
            x = block(x, conditioning)
        for blocks, double in self._up:
            for block in blocks:
                x = block(torch.cat([x, skipped.pop()], -1), conditioning)
            if double:
                n, height, width, channels = x.shape
                wide = x[:, :, None, :, None].expand(-1, -1, 2, -1, 2, -1)
                x = double(wide.reshape(n, 2 * height, 2 * width, channels))
        return self._last(self._norm(x, self._norm.scale, self._norm.shift))


class PackedWorldModel:
    """The present weights of a world model's network, packed; `dream` as the network's."""

    def __init__(self, network: WorldModelNetwork) -> None:
        """Pack."""
        self._network = network
        k, fold = network.classes, network.fold
        self._unet = PackedUNet(network, k * fold**2)
        into, _, out = network.conditioning
        self._conditioning = PackedLinear(cast(nn.Linear, into)), PackedLinear(cast(nn.Linear, out))
        first, _, second, *_ = (cast(nn.Conv2d, layer) for layer in network.head.look)
        weight = classes_last(first.weight, k, fold)
        self._look = PackedConvolution(first, weight), PackedConvolution(second)
        into, _, out = network.head.tell
        self._tell = PackedLinear(cast(nn.Linear, into)), PackedLinear(cast(nn.Linear, out))
        self._one_hot = OneHotMaps(k, fold)

    @torch.inference_mode()
    def dream(
        self, noise: Tensor, past: Tensor, actions: Tensor, steps: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See `WorldModelNetwork.dream`."""
        parts = [slice(at, at + ROWS) for at in range(0, len(noise), ROWS)]
        made = [self._rows(noise[part], past[part], actions[part], steps) for part in parts]
        frames, signs, end = (torch.cat(of) for of in zip(*made, strict=True))
        return frames, signs, end

    def _rows(
        self, noise: Tensor, past: Tensor, actions: Tensor, steps: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """At most `ROWS` worlds."""
        network, k, fold = self._network, self._network.classes, self._network.fold
        n = len(past)
        acts = network.acts(actions)
        into, out = self._conditioning
        told = out(functional.silu(into(torch.cat([acts, acts.new_zeros(n, 1)], 1))))
        known = self._one_hot(past)
        seen = self._unet.seen(known)
        sigmas = noise_levels(steps)
        x = logits = noise.permute(0, 2, 3, 1) * sigmas[0]  # (N, h, w, K p²)
        for now, then in zip(sigmas, [*sigmas[1:], 0.0], strict=True):
            scaled = (x * (now**2 + 1) ** -0.5).bfloat16()
            prior = self._unet(scaled, seen, self._unet.conditioning(told, now))
            logits = torch.add(prior, x, alpha=k**0.5 / now**2)
            if then:
                chance = logits.view(*x.shape[:3], k, -1).softmax(-2)
                mean = chance.sub_(1 / k).mul_(k**0.5).view(x.shape)
                x = mean.lerp_(x, then / now)
        height, width = x.shape[1:3]
        cells, finite = largest(logits.view(n, -1, k, fold**2))
        frames = cells.view(n, height, width, fold, fold).transpose(2, 3).reshape(n, height * fold, -1)
        frames[~finite] = past[~finite, -1]
        signs, end = self._outcome(torch.cat([known, self._one_hot(frames[:, None])], -1), acts)
        signs[~finite] = torch.nan
        return frames, signs, end

    def _outcome(self, maps: Tensor, acts: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the reward's sign (N, 3) and of the end (N,)."""
        look, (into, out) = self._look, self._tell
        seen = functional.silu(look[1](functional.silu(look[0](maps)))).float()
        told = out(functional.silu(into(torch.cat([seen.permute(0, 3, 1, 2).flatten(1), acts], 1))))
        return told[:, :-1], told[:, -1]


def classes_last(weight: Tensor, classes: int, fold: int) -> Tensor:
    """Weights (C', L K p², …) of a convolution over maps, for `OneHotMaps`: (C', L p² K, …)."""
    out, channels, *kernel = weight.shape
    return weight.reshape(out, -1, classes, fold**2, *kernel).transpose(2, 3).reshape(out, channels, *kernel)


class OneHotMaps:
    """Maps of frames by a table: (N, L, H, W) uint8 → (N, H/p, W/p, L p² K) bfloat16.

    The numbers are those of `WorldModelNetwork.maps`, in another order of channels: a pixel's classes lie
    innermost, so that several pixels of a row are looked up at once.
    """

    def __init__(self, classes: int, fold: int) -> None:
        self._classes, self._fold = classes, fold
        self._together = max(m for m in range(1, fold + 1) if fold % m == 0 and classes**m <= 256)
        numbers = torch.cartesian_prod(*[torch.arange(classes)] * self._together).view(-1, self._together)
        one_hot = functional.one_hot(numbers, classes).float()  # (K^m, m, K)
        self._table = (classes**0.5 * (one_hot - 1 / classes)).flatten(1).bfloat16()

    def __call__(self, frames: Tensor) -> Tensor:
        """Maps."""
        n, length, height, width = frames.shape
        fold, together = self._fold, self._together
        number, *others = frames.view(n, length, height, -1, together).unbind(-1)
        for each in others:
            number = number * self._classes + each  # below 256
        cells = number.view(n, length, height // fold, fold, width // fold, fold // together)
        cells = cells.permute(0, 2, 4, 1, 3, 5).to(torch.int32)  # (N, H/p, W/p, L, p, p/m)
        maps = functional.embedding(cells.reshape(-1), self._table)
        return maps.view(n, height // fold, width // fold, -1)


def largest(logits: Tensor) -> tuple[Tensor, Tensor]:
    """The largest of K logits, (N, …, K, M) → (N, …, M) uint8, and whether a row's are finite, (N,) bool.

    Of equal ones the first. PyTorch's ``argmax`` takes six times as long.

    >>> largest(torch.tensor([[[0.0, 3.0], [1.0, 3.0]], [[0.0, torch.nan], [1.0, 0.0]]]))
    (tensor([[1, 0],
            [1, 0]], dtype=torch.uint8), tensor([ True, False]))
    """
    first, *others = logits.unbind(-2)
    number, most = torch.zeros(first.shape, dtype=torch.uint8), first
    for k, each in enumerate(others, 1):
        number = torch.maximum(number, (each > most).view(torch.uint8) * k)
        most = torch.maximum(most, each)
    return number, most.flatten(1).sum(1).isfinite()

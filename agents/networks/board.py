"""Residual networks of board games: trunk of planes, policy head of move planes, value head.

The shape is AlphaZero's (Silver et al. 2018), much smaller and without batch normalisation: blocks start near
the identity instead. Blocks with squeeze and excitation (Hu et al. 2018) are those of Lc0 and Maia, which
also add a bias to each channel.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from agents.networks.layers import image_convolution, keep_channels_last, orthogonal
from agents.networks.memory_format import channels_last

VALUE_CHANNELS, VALUE_HIDDEN = 16, 128
SQUEEZE = 8  # channels for each hidden unit of a squeeze; Lc0's ratio


class BoardShape(NamedTuple):
    """Size of a trunk: channels, residual blocks, and whether these have squeeze and excitation."""

    channels: int
    blocks: int
    excited: bool


BOARD = {
    "board": BoardShape(64, 4, False),
    "board32": BoardShape(32, 4, False),
    "se64": BoardShape(64, 6, True),
    "se32": BoardShape(32, 4, True),
}


class Board(nn.Module):
    """Residual trunk for board games: planes (N, C, 8, 8) uint8 → features (N, F), flattened maps.

    Attributes:
        excited: whether its blocks have squeeze and excitation.
        kernel: result of `first_kernel`, in an `agents.networks.inference` copy; None: made at each pass.
    """

    kernel: Tensor | None = None

    def __init__(self, name: str, planes: int, generator: torch.Generator, layer_norm: bool = False) -> None:
        super().__init__()
        self.channels, blocks, self.excited = BOARD[name]
        channels = self.channels
        self.features = channels * 64
        self.stem = orthogonal(nn.Conv2d(planes, channels, 3, padding=1), 2**0.5, generator)
        self.blocks = nn.ModuleList()
        for _ in range(blocks):
            first = orthogonal(nn.Conv2d(channels, channels, 3, padding=1), 2**0.5, generator)
            # A block that starts near the identity trains deep networks without batch norm.
            second = orthogonal(nn.Conv2d(channels, channels, 3, padding=1), 0.1, generator)
            between = nn.Sequential(nn.GroupNorm(1, channels), nn.ReLU()) if layer_norm else nn.ReLU()
            excitation = [SqueezeExcitation(channels, generator)] if self.excited else []
            self.blocks.append(nn.Sequential(first, between, second, *excitation))
        keep_channels_last(self)

    def arrange(self, obs: Tensor) -> Tensor:
        """Convert planes (N, C, 8, 8) to channels-last memory."""
        return channels_last(obs)

    def forward(self, obs: Tensor) -> Tensor:
        """Planes (N, C, 8, 8) uint8, 255 for a set square → features (N, F)."""
        kernel = self.first_kernel() if self.kernel is None else self.kernel
        x = torch.relu(image_convolution(obs, kernel, self.stem.bias, padding=1))
        for block in self.blocks:
            x = torch.relu(x + block(x))
        return x.flatten(1)

    def first_kernel(self) -> Tensor:
        """Weights (O, C, 3, 3) of the first convolution, for planes of 0 and 255."""
        return self.stem.weight / 255


class SqueezeExcitation(nn.Module):
    """Squeeze and excitation: each channel is scaled and shifted by what the whole board shows."""

    def __init__(self, channels: int, generator: torch.Generator) -> None:
        super().__init__()
        squeezed = max(4, channels // SQUEEZE)
        self.squeeze = orthogonal(nn.Linear(channels, squeezed), 2**0.5, generator)
        self.excite = orthogonal(nn.Linear(squeezed, 2 * channels), 1.0, generator)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (N, C, 8, 8) → (N, C, 8, 8)."""
        scale, shift = self.excite(torch.relu(self.squeeze(maps.mean((2, 3))))).chunk(2, dim=1)
        gated: Tensor = maps * torch.sigmoid(scale)[:, :, None, None] + shift[:, :, None, None]
        return gated


class MovePlanes(nn.Module):
    """Policy head of board games, a 1×1 convolution to move planes: features (N, F) → (N, 64 · planes).

    Behind a trunk with squeeze and excitation a 3×3 convolution comes before it, as in Lc0.
    """

    def __init__(self, trunk: Board, planes: int, gain: float, generator: torch.Generator) -> None:
        super().__init__()
        self.channels = channels = trunk.channels
        self.hidden: nn.Module = nn.Identity()
        if trunk.excited:
            hidden = orthogonal(nn.Conv2d(channels, channels, 3, padding=1), 2**0.5, generator)
            self.hidden = nn.Sequential(hidden, nn.ReLU())
        self.moves = orthogonal(nn.Conv2d(channels, planes, 1), gain, generator)
        keep_channels_last(self)

    def forward(self, features: Tensor) -> Tensor:
        """Logits by plane, then by square, in the order of `sim.chess.rules.encoding`."""
        maps = features.view(-1, self.channels, 8, 8)
        moves: Tensor = self.moves(self.hidden(maps))
        return moves.flatten(1)


class ValueLayers(nn.Module):
    """Value head of board games: features (N, F) → (N, values), by a 1×1 convolution and a hidden layer."""

    def __init__(self, trunk: Board, values: int, generator: torch.Generator) -> None:
        super().__init__()
        self.channels = trunk.channels
        self.squares = orthogonal(nn.Conv2d(trunk.channels, VALUE_CHANNELS, 1), 2**0.5, generator)
        hidden = orthogonal(nn.Linear(64 * VALUE_CHANNELS, VALUE_HIDDEN), 2**0.5, generator)
        out = orthogonal(nn.Linear(VALUE_HIDDEN, values), 1.0, generator)
        self.layers = nn.Sequential(nn.ReLU(), nn.Flatten(), hidden, nn.ReLU(), out)
        keep_channels_last(self)

    def forward(self, features: Tensor) -> Tensor:
        """Numbers (N, values) of features (N, F)."""
        numbers: Tensor = self.layers(self.squares(features.view(-1, self.channels, 8, 8)))
        return numbers

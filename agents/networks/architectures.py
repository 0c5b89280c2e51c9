"""Neural networks of agents by name: convolutional, MLP and board trunks, actor-critic and Q-networks.

    nature   32 8×8/4, 64 4×4/2, 64 3×3/1, 512 (Mnih et al. 2015, Methods)
    small    16 8×8/4, 32 4×4/2, 256 (Mnih et al. 2013), a quarter of the work
    mlp      64, 64 with tanh, one for the policy and one for the value
    mlp256   256, 256, the same
    board    4 residual blocks of 64 channels on 8×8, moves as planes (Silver et al. 2018, much smaller)
    board32  the same of 32 channels, a third of the work
    se64     6 blocks of 64 channels with squeeze and excitation, larger heads (`agents.networks.board`)
    se32     4 of 32 channels
    gru      a GRU behind the trunk that suits the observations, for PPO (`agents.networks.recurrent`)

Where a scene names none it is ``nature`` for pictures, ``board`` for planes of 8×8 and ``mlp`` for vectors.
Pictures are taken as uint8 and scaled to [0, 1] inside; weights start orthogonal
(Saxe et al. 2014; gain √2 in the trunk).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Annotated, TypeAlias

import gymnasium
import torch
from gymnasium.spaces import Box, Discrete, MultiBinary
from torch import Tensor, nn

from agents.networks.board import BOARD, Board, MovePlanes, ValueLayers
from agents.networks.layers import image_convolution, keep_channels_last, orthogonal
from agents.networks.memory_format import fold, fold_kernel
from sim.errors import RequestError
from sim.fields import OneOf

CONVOLUTIONS = {  # channels, kernel, stride
    "nature": ((32, 8, 4), (64, 4, 2), (64, 3, 1)),
    "small": ((16, 8, 4), (32, 4, 2)),
}
SMALLEST = 36  # pixels a side that the convolutions leave something of
HIDDEN = {"nature": 512, "small": 256}
MLP = {"mlp": (64, 64), "mlp256": (256, 256)}
NETWORKS = (*CONVOLUTIONS, *MLP, *BOARD)
RECURRENT = ("gru",)  # see agents.networks.recurrent
NetworkName: TypeAlias = Annotated[str, OneOf(NETWORKS)]
RecurrentNetworkName: TypeAlias = Annotated[str, OneOf((*NETWORKS, *RECURRENT))]


class NetworkError(RequestError, ValueError):
    """A network that does not fit the world's observations or actions."""


class Pixels(nn.Module):
    """Convolutional trunk of Atari agents: images (N, C, H, W) uint8 → features (N, F).

    Attributes:
        kernel: result of `first_kernel`, in an `agents.networks.inference` copy; None: made at each pass.
        packed: pass of the copy's layers at once (`agents.networks.packed`); None: layer by layer.
    """

    kernel: Tensor | None = None
    packed: Callable[[Tensor], Tensor] | None = None

    def __init__(
        self, name: str, shape: Sequence[int], generator: torch.Generator, layer_norm: bool = False
    ) -> None:
        super().__init__()
        self.stride = CONVOLUTIONS[name][0][2]
        layers: list[nn.Module] = []
        channels = shape[0]
        for width, kernel, stride in CONVOLUTIONS[name]:
            layers.append(nn.Conv2d(channels, width, kernel, stride))
            if layer_norm:
                layers.append(nn.GroupNorm(1, width))  # over channels and positions, a gain a channel
            layers.append(nn.ReLU())
            channels = width
        self.convolutions = nn.Sequential(*layers)
        flat = self.convolutions(torch.zeros(1, *shape)).flatten(1).shape[1]
        self.features = HIDDEN[name]
        self.hidden = nn.Linear(flat, self.features)
        self.norm = nn.LayerNorm(self.features) if layer_norm else nn.Identity()
        for layer in self.convolutions:
            if isinstance(layer, nn.Conv2d):
                orthogonal(layer, 2**0.5, generator)
        orthogonal(self.hidden, 2**0.5, generator)
        keep_channels_last(self.convolutions)

    def arrange(self, obs: Tensor) -> Tensor:
        """Convert images (N, C, H, W) to the layout of `forward`; see `agents.networks.memory_format`."""
        return fold(obs, self.stride)

    def forward(self, obs: Tensor) -> Tensor:
        """Arranged images uint8 → features (N, F), in the precision of the surrounding autocast."""
        if self.packed is not None:
            return self.packed(obs)
        first, *others = self.convolutions
        assert isinstance(first, nn.Conv2d)
        x = image_convolution(obs, self.first_kernel() if self.kernel is None else self.kernel, first.bias)
        for layer in others:
            x = layer(x)
        return torch.relu(self.norm(self.hidden(x.flatten(1))))

    def first_kernel(self) -> Tensor:
        """Weights (O, C · s², K/s, K/s) of the first convolution, for arranged images of 0 to 255."""
        first = self.convolutions[0]
        assert isinstance(first, nn.Conv2d)
        return fold_kernel(first.weight, self.stride) / 255


class Vector(nn.Module):
    """MLP trunk: vectors (N, …) → features (N, F); discrete states are one-hot encoded."""

    def __init__(
        self, name: str, inputs: int, one_hot: bool, generator: torch.Generator, layer_norm: bool = False
    ) -> None:
        super().__init__()
        self.inputs, self.one_hot = inputs, one_hot
        self.features = MLP[name][-1]
        self.layers = nn.Sequential()
        for i, (wide, narrow) in enumerate(pairwise((inputs, *MLP[name]))):
            layer = nn.Linear(wide, narrow)
            orthogonal(layer, 2**0.5, generator)
            self.layers.add_module(f"linear{i}", layer)
            if layer_norm:
                self.layers.add_module(f"norm{i}", nn.LayerNorm(narrow))
            self.layers.add_module(f"tanh{i}", nn.Tanh())

    def arrange(self, obs: Tensor) -> Tensor:
        """Return the observations as they are."""
        return obs

    def forward(self, obs: Tensor) -> Tensor:
        """Numbers of any shape, flattened to (N, inputs), or states (N,) → features (N, F)."""
        x = nn.functional.one_hot(obs.long(), self.inputs) if self.one_hot else obs.flatten(1)
        features: Tensor = self.layers(x.float())
        return features


Trunk: TypeAlias = Pixels | Vector | Board


def is_pictures(space: gymnasium.Space[object]) -> bool:
    """Whether observations of `space` are images (C, H, W) uint8."""
    return isinstance(space, Box) and len(space.shape) == 3 and space.dtype == "uint8"


def trunk_for(
    name: str, space: gymnasium.Space[object], generator: torch.Generator, layer_norm: bool = False
) -> Trunk:
    """Make the trunk `name` for observations of `space`.

    With `layer_norm` every hidden layer is normalised before its activation (Ba et al. 2016).

    Raises:
        NetworkError: if there is none of that name, or it cannot read such observations.
    """
    pictures, shape = is_pictures(space), space.shape or ()
    if name in CONVOLUTIONS:
        if not pictures or min(shape[1:]) < SMALLEST:
            raise NetworkError(
                f'network "{name}" looks at pictures (C, H, W) uint8 of at least {SMALLEST}×{SMALLEST}, but '
                f'the world gives {space}; use network = "{network_for(space)}"'
            )
        return Pixels(name, shape, generator, layer_norm)
    if name in BOARD:
        if not pictures or shape[1:] != (8, 8):
            raise NetworkError(
                f'network "{name}" looks at planes (C, 8, 8) uint8, but the world gives {space}'
            )
        return Board(name, shape[0], generator, layer_norm)
    if name not in MLP:
        raise NetworkError(f'there is no network "{name}"; there are {", ".join(NETWORKS)}')
    if isinstance(space, Discrete):
        return Vector(name, int(space.n), True, generator, layer_norm)
    if isinstance(space, Box | MultiBinary) and space.shape is not None:
        return Vector(name, int(torch.Size(space.shape).numel()), False, generator, layer_norm)
    raise NetworkError(f'network "mlp" cannot read observations of {space}')


def network_for(space: gymnasium.Space[object]) -> str:
    """The network that suits observations of `space`, for a scene that names none.

    >>> network_for(Box(0, 255, (4, 84, 84), "uint8")), network_for(Box(-1, 1, (17,)))
    ('nature', 'mlp')
    """
    shape = space.shape or ()
    if isinstance(space, Box) and len(shape) == 3 and space.dtype == "uint8":
        if shape[1:] == (8, 8):
            return "board"
        if min(shape[1:]) >= SMALLEST:
            return "nature"
    return "mlp"


def output_layer(trunk: Trunk, outputs: int, gain: float, generator: torch.Generator) -> nn.Module:
    """Make the output layer from a trunk's features to `outputs` numbers; boards get move planes."""
    if isinstance(trunk, Board) and outputs % 64 == 0:
        return MovePlanes(trunk, outputs // 64, gain, generator)
    return orthogonal(nn.Linear(trunk.features, outputs), gain, generator)


def value_layer(trunk: Trunk, values: int, generator: torch.Generator) -> nn.Module:
    """Make the layer from a trunk's features to `values` numbers that tell an observation's value."""
    if isinstance(trunk, Board) and trunk.excited:
        return ValueLayers(trunk, values, generator)
    return orthogonal(nn.Linear(trunk.features, values), 1.0, generator)


def last_layer(module: nn.Module) -> nn.Linear:
    """The linear layer that gives a value layer's numbers."""
    last = [layer for layer in module.modules() if isinstance(layer, nn.Linear)][-1]
    return last


class ActorCritic(nn.Module):
    """Actor-critic network: policy parameters and a value for each observation.

    Image networks share one trunk between the two (Mnih et al. 2016); vectors get two, because
    sharing costs score there (Andrychowicz et al. 2021, section 3.2).
    """

    def __init__(
        self,
        name: str,
        observation_space: gymnasium.Space[object],
        outputs: int,
        generator: torch.Generator,
        values: int = 1,
    ) -> None:
        super().__init__()
        self.trunk = trunk_for(name, observation_space, generator)
        self.value_trunk = trunk_for(name, observation_space, generator) if name in MLP else None
        self.policy = output_layer(self.trunk, outputs, 0.01, generator)
        self.value = value_layer(self.trunk, values, generator)

    def forward(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """Arranged observations (N, …) → policy parameters (N, outputs) and values (N,), float32.

        With several `values` these are (N, values), such as logits of win, draw and loss.
        """
        features = self.trunk(obs)
        other = features if self.value_trunk is None else self.value_trunk(obs)
        return self.policy(features).float(), self.value(other).float().squeeze(-1)


class QNetwork(nn.Module):
    """Q-network with return quantiles for each action, optionally dueling: (N, …) → (N, A, K)."""

    def __init__(
        self,
        name: str,
        observation_space: gymnasium.Space[object],
        actions: int,
        quantiles: int,
        dueling: bool,
        layer_norm: bool,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.actions, self.quantiles = actions, quantiles
        self.trunk = trunk_for(name, observation_space, generator, layer_norm)
        self.advantage = output_layer(self.trunk, actions * quantiles, 0.1, generator)
        self.value = (
            orthogonal(nn.Linear(self.trunk.features, quantiles), 0.1, generator) if dueling else None
        )

    def forward(self, obs: Tensor) -> Tensor:
        """Arranged observations (N, …) → quantiles (N, A, K)."""
        features = self.trunk(obs)
        advantage: Tensor = self.advantage(features).view(-1, self.actions, self.quantiles)
        if self.value is None:
            return advantage
        value = self.value(features).view(-1, 1, self.quantiles)
        dueling: Tensor = value + advantage - advantage.mean(1, keepdim=True)  # Wang et al. 2016, eq. 9
        return dueling

"""Networks by name, shared by every algorithm: pixels or vectors in, features out.

    nature   32 8×8/4, 64 4×4/2, 64 3×3/1, 512 (Mnih et al. 2015, Methods)
    small    16 8×8/4, 32 4×4/2, 256 (Mnih et al. 2013), a quarter of the work
    mlp      64, 64 with tanh, one for the policy and one for the value

Pictures are taken as uint8 and scaled to [0, 1] inside; weights start orthogonal
(Saxe et al. 2014; gain √2 in the trunk).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

import gymnasium
import torch
from gymnasium.spaces import Box, Discrete, MultiBinary
from torch import Tensor, nn

from sim.errors import RequestError

Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)

CONVOLUTIONS = {  # channels, kernel, stride
    "nature": ((32, 8, 4), (64, 4, 2), (64, 3, 1)),
    "small": ((16, 8, 4), (32, 4, 2)),
}
HIDDEN = {"nature": 512, "small": 256}
MLP = (64, 64)
NETWORKS = (*CONVOLUTIONS, "mlp")


class NetworkError(RequestError, ValueError):
    """A network that does not fit the world."""


class Pixels(nn.Module):
    """(N, C, H, W) uint8 → (N, features)."""

    def __init__(self, name: str, shape: Sequence[int], generator: torch.Generator) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = shape[0]
        for width, kernel, stride in CONVOLUTIONS[name]:
            layers += [nn.Conv2d(channels, width, kernel, stride), nn.ReLU()]
            channels = width
        self.convolutions = nn.Sequential(*layers)
        flat = self.convolutions(torch.zeros(1, *shape)).flatten(1).shape[1]
        self.features = HIDDEN[name]
        self.hidden = nn.Linear(flat, self.features)
        for layer in self.convolutions:
            if isinstance(layer, nn.Conv2d):
                orthogonal(layer, 2**0.5, generator)
        orthogonal(self.hidden, 2**0.5, generator)
        for parameter in self.convolutions.parameters():
            if parameter.dim() == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)

    def forward(self, obs: Tensor) -> Tensor:
        """(N, C, H, W) uint8 → (N, features), in the number format of the autocast around it."""
        dtype = (
            torch.get_autocast_dtype(obs.device.type) if torch.is_autocast_enabled(obs.device.type) else None
        )
        x = obs.to(dtype or torch.float32, memory_format=torch.channels_last).mul_(1 / 255)
        return torch.relu(self.hidden(self.convolutions(x).flatten(1)))


class Vector(nn.Module):
    """(N, …) numbers → (N, features); whole numbers that only name a state become one-hot."""

    def __init__(self, inputs: int, one_hot: bool, generator: torch.Generator) -> None:
        super().__init__()
        self.inputs, self.one_hot = inputs, one_hot
        self.features = MLP[-1]
        self.layers = nn.Sequential()
        for i, (wide, narrow) in enumerate(pairwise((inputs, *MLP))):
            layer = nn.Linear(wide, narrow)
            orthogonal(layer, 2**0.5, generator)
            self.layers.add_module(f"linear{i}", layer)
            self.layers.add_module(f"tanh{i}", nn.Tanh())

    def forward(self, obs: Tensor) -> Tensor:
        """Numbers of any shape, flattened to (N, inputs), or (N,) states → (N, features)."""
        x = nn.functional.one_hot(obs.long(), self.inputs) if self.one_hot else obs.flatten(1)
        features: Tensor = self.layers(x.float())
        return features


def trunk_for(name: str, space: gymnasium.Space[object], generator: torch.Generator) -> Pixels | Vector:
    """The trunk called `name` for observations of `space`.

    Raises:
        NetworkError: if there is none of that name, or it cannot read such observations.
    """
    if name in CONVOLUTIONS:
        if not (isinstance(space, Box) and len(space.shape) == 3 and space.dtype == "uint8"):
            raise NetworkError(
                f'network "{name}" looks at pictures (C, H, W) uint8, but the world gives {space}; '
                'use network = "mlp"'
            )
        return Pixels(name, space.shape, generator)
    if name != "mlp":
        raise NetworkError(f'there is no network "{name}"; there are {", ".join(NETWORKS)}')
    if isinstance(space, Discrete):
        return Vector(int(space.n), True, generator)
    if isinstance(space, Box | MultiBinary) and space.shape is not None:
        return Vector(int(torch.Size(space.shape).numel()), False, generator)
    raise NetworkError(f'network "mlp" cannot read observations of {space}')


class ActorCritic(nn.Module):
    """A policy's parameters and a value for each observation.

    Pictures share one trunk between the two (Mnih et al. 2016); vectors get two, because
    sharing costs score there (Andrychowicz et al. 2021, section 3.2).
    """

    def __init__(
        self,
        name: str,
        observation_space: gymnasium.Space[object],
        outputs: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.trunk = trunk_for(name, observation_space, generator)
        self.value_trunk = trunk_for(name, observation_space, generator) if name == "mlp" else None
        self.policy = orthogonal(nn.Linear(self.trunk.features, outputs), 0.01, generator)
        self.value = orthogonal(nn.Linear(self.trunk.features, 1), 1.0, generator)

    def forward(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """Observations (N, …) → policy parameters (N, outputs) and values (N,), float32."""
        features = self.trunk(obs)
        other = features if self.value_trunk is None else self.value_trunk(obs)
        return self.policy(features).float(), self.value(other).float().squeeze(-1)


class QNetwork(nn.Module):
    """Quantiles of the return for each action: (N, …) → (N, actions, quantiles)."""

    def __init__(
        self,
        name: str,
        observation_space: gymnasium.Space[object],
        actions: int,
        quantiles: int,
        dueling: bool,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.actions, self.quantiles = actions, quantiles
        self.trunk = trunk_for(name, observation_space, generator)
        self.advantage = orthogonal(nn.Linear(self.trunk.features, actions * quantiles), 0.1, generator)
        self.value = (
            orthogonal(nn.Linear(self.trunk.features, quantiles), 0.1, generator) if dueling else None
        )

    def forward(self, obs: Tensor) -> Tensor:
        """Observations (N, …) → (N, actions, quantiles)."""
        features = self.trunk(obs)
        advantage: Tensor = self.advantage(features).view(-1, self.actions, self.quantiles)
        if self.value is None:
            return advantage
        value = self.value(features).view(-1, 1, self.quantiles)
        dueling: Tensor = value + advantage - advantage.mean(1, keepdim=True)  # Wang et al. 2016, eq. 9
        return dueling


def orthogonal(layer: Layer, gain: float, generator: torch.Generator) -> Layer:
    """Start `layer` with orthogonal weights and no bias, and hand it back."""
    nn.init.orthogonal_(layer.weight, gain, generator=generator)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer

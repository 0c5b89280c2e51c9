"""Base class of models with one network: seeded initialisation, device, weights as arrays.

All that perceptions and samplers have in common: keys, loss, fit and inference are in each model's own file.
Agents initialise their networks in their own ways, and give their weights in this one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

import torch
from torch import nn

from sim.records import Array
from supervised.tensors import from_arrays, to_arrays

Network = TypeVar("Network", bound=nn.Module)

_SEEDING = threading.RLock()  # a network may be made of others that are seeded too


class WithWeights(Generic[Network]):
    """Mixin that gives and loads the weights of `network` as arrays."""

    network: Network

    def weights(self) -> dict[str, Array]:
        """The network's parameters by name: the content of a checkpoint."""
        return to_arrays(self.network.state_dict())

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """Take up parameters from a checkpoint.

        Raises:
            ValueError: if names or shapes differ from this network's.
        """
        from_arrays(self.network, weights)


class BaseModel(WithWeights[Network]):
    """Base class of perceptions and samplers with one network.

    Attributes:
        network: the one that is trained.
        device: where its weights are.
    """

    def __init__(self, make: Callable[[], Network], *, seed: int, device: str) -> None:
        """Initialise the network.

        Args:
            make: gives an untrained network; called once, under `seed`.
            seed: of its initial weights.
            device: such as ``cpu`` or ``cuda``.
        """
        self.device = torch.device(device)
        self.network = seeded(make, seed).to(self.device)


def seeded(make: Callable[[], Network], seed: int) -> Network:
    """The network that `make` gives under `seed`; the CPU's global generator is restored afterwards.

    That generator is one for all threads, so they take turns.
    """
    with _SEEDING, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()

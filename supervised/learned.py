"""A model that is one network: drawn from a seed, put on a device, handed over as arrays.

What every perception and every sampler has in common, and no more: keys, loss, fit and what the network is
asked are the model's own, in its own file. Agents draw their networks in their own ways, and hand them over
in this one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

import torch
from torch import nn

from sim.records import Array
from supervised.numerics import from_arrays, to_arrays

Network = TypeVar("Network", bound=nn.Module)


class WithWeights(Generic[Network]):
    """Hands over the weights of its `network`."""

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


class Learned(WithWeights[Network]):
    """A model around one network.

    Attributes:
        network: what is fitted.
        device: where it lives.
    """

    def __init__(self, make: Callable[[], Network], *, seed: int, device: str) -> None:
        """Draw the network.

        Args:
            make: gives a fresh network; called once, under `seed`; on the CPU nobody else's random numbers
                move on.
            seed: of its first weights.
            device: such as ``cpu`` or ``cuda``.
        """
        self.device = torch.device(device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = make()
        self.network = network.to(self.device)

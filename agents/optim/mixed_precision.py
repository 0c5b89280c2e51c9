"""Optimiser steps on float32 weights by the gradients of a bfloat16 copy (Micikevicius et al. 2018).

Autocast rounds every weight in each pass, and its gradients one by one; for networks as small as those of
continuous control that takes longer than the products. Here the weights of a network are parts of one vector:
it is rounded once after each step, and Adam and moving averages work on it as a whole.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cached_property
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from agents.networks.continuous import UnitWeights
from sim.records import State
from supervised.tensors import optimizer_state, restore_optimizer

Network = TypeVar("Network", bound=nn.Module)


def flattened(tensors: Sequence[Tensor]) -> Tensor:
    """Move tensors into one vector, of which they become views.

    >>> weight, bias = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.zeros(2))
    >>> flattened([weight, bias]).mul_(3)
    tensor([3., 3., 3., 3., 0., 0.])
    >>> weight.tolist()
    [[3.0, 3.0], [3.0, 3.0]]
    """
    vector = torch.cat([tensor.detach().flatten() for tensor in tensors])
    for tensor, part in zip(tensors, torch.split(vector, [t.numel() for t in tensors]), strict=True):
        tensor.data = part.view(tensor.shape)
    return vector


class HalfCopy(Generic[Network]):
    """A network whose wide linear layers are bfloat16, and whose other parameters are the original's own.

    Attributes:
        network: to run and differentiate; the original itself where `half` is off.
        weights: the original's parameters, and those `beside` it, as one float32 vector.
        parameters: what the gradient is of: those of `network`, in the order of `weights`.
    """

    def __init__(self, network: Network, *, half: bool, beside: Sequence[nn.Parameter] = ()) -> None:
        """Flatten and copy.

        Args:
            network: the original, on its device. Linear layers with an attribute ``exact`` are not copied.
            half: whether to copy at all.
            beside: more float32 parameters that are optimised together with the network's.
        """
        self.network = copy.deepcopy(network) if half else network
        masters: list[Tensor] = []
        copies: list[Tensor] = []
        others: list[Tensor] = []
        for mine, theirs in zip(self.network.modules(), network.modules(), strict=True):
            if half and isinstance(mine, nn.Linear) and not getattr(theirs, "exact", False):
                mine.bfloat16()
                copies += mine.parameters(recurse=False)
                masters += theirs.parameters(recurse=False)
            else:
                mine._parameters, mine._buffers = theirs._parameters, theirs._buffers
                others += theirs.parameters(recurse=False)
        others += beside
        self.weights = flattened([*masters, *others])
        self._copies = flattened(copies) if copies else self.weights[:0]
        self.parameters = [*copies, *others]
        self.refresh()

    @torch.no_grad()
    def refresh(self) -> None:
        """Round the weights anew, after they have changed."""
        self._copies.copy_(self.weights[: len(self._copies)])

    @property
    def tensors(self) -> tuple[Tensor, Tensor]:
        """All that a step changes."""
        return self.weights, self._copies


class WeightStep(Generic[Network]):
    """Adam step of a `HalfCopy`'s weights, after which each unit's may be scaled to norm 1.

    Attributes:
        half: the network, its weights and their copy.

    >>> master = nn.Sequential(nn.Linear(8, 4))
    >>> step = WeightStep(master, 0.5, half=True, unit_weights=False)
    >>> before = master[0].weight.detach().clone()
    >>> step(step.half.network(torch.ones(2, 8, dtype=torch.bfloat16)).float().sum())
    >>> torch.allclose(before - master[0].weight, torch.tensor(0.5))  # Adam's first step has a fixed length
    True
    """

    def __init__(
        self,
        network: Network,
        learning_rate: float,
        *,
        half: bool,
        unit_weights: bool,
        beside: Sequence[nn.Parameter] = (),
    ) -> None:
        """Scale, flatten and copy the weights; the arguments are those of `HalfCopy`, and `UnitWeights`."""
        self._unit_weights = UnitWeights([network] if unit_weights else [])
        self._unit_weights()
        self.half = HalfCopy(network, half=half, beside=beside)
        self._vector, self._learning_rate = nn.Parameter(self.half.weights), learning_rate
        self._vector.grad = torch.zeros_like(self._vector)
        parts = torch.split(self._vector.grad, [p.numel() for p in self.half.parameters])
        self._gradients = [part.view(p.shape) for part, p in zip(parts, self.half.parameters, strict=True)]

    @cached_property
    def optimizer(self) -> torch.optim.Adam:
        """Adam of the weights as one vector; see `ActorCriticLearner._optimizer`."""
        rate = torch.tensor(self._learning_rate, device=self._vector.device)
        return torch.optim.Adam([self._vector], rate, fused=True, capturable=self._vector.is_cuda)

    def __call__(self, loss: Tensor) -> None:
        """Take a step down the gradient of a loss ()."""
        gradients = torch.autograd.grad(loss, self.half.parameters)
        with torch.no_grad():
            torch._foreach_copy_(self._gradients, gradients)
        self.optimizer.step()
        self._unit_weights()
        self.half.refresh()

    def state(self) -> State:
        """State of the optimiser; the weights are the network's."""
        return optimizer_state(self.optimizer)

    def restore(self, state: State) -> None:
        """Restore a state, once the network's weights have been."""
        restore_optimizer(self.optimizer, state)
        self.half.refresh()

    def set_learning_rate(self, learning_rate: float) -> None:
        """Set the learning rate of the next steps."""
        for group in self.optimizer.param_groups:
            group["lr"].fill_(learning_rate)

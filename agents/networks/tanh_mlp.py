"""Tanh MLP forwards and back without autograd, for networks smaller than the overhead of a graph."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class TanhMLP:
    """Linear layers with tanh between them: activations, and gradients written in place.

    >>> layers = nn.Linear(2, 3), nn.Linear(3, 1)
    >>> for layer in layers:
    ...     layer.weight.grad, layer.bias.grad = torch.zeros_like(layer.weight), torch.zeros_like(layer.bias)
    >>> mlp, x = TanhMLP(layers), torch.tensor([[1.0, -1.0]])
    >>> torch.equal(mlp.forward(x)[-1], layers[1](layers[0](x).tanh()))
    True
    >>> mlp.backward(mlp.forward(x), torch.ones(1, 1))
    >>> layers[1].bias.grad, torch.equal(layers[1].weight.grad, layers[0](x).tanh())
    (tensor([1.]), True)
    """

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        """Keep hold of the layers' weights and gradients, which must stay where they are in memory."""
        self._weights = [layer.weight.detach() for layer in layers]
        self._transposed = [weight.t() for weight in self._weights]
        self._biases = [layer.bias.detach() for layer in layers]
        self._gradients = [(layer.weight.grad, layer.bias.grad) for layer in layers]

    @torch.no_grad()
    def forward(self, x: Tensor) -> list[Tensor]:
        """Inputs (N, I) → what each layer reads, the inputs first, and at last the outputs (N, O)."""
        found = [x]
        for bias, weight in zip(self._biases[:-1], self._transposed[:-1], strict=True):
            found.append(torch.addmm(bias, found[-1], weight).tanh_())
        return [*found, torch.addmm(self._biases[-1], found[-1], self._transposed[-1])]

    @torch.no_grad()
    def backward(self, found: Sequence[Tensor], slope: Tensor) -> None:
        """Set the gradients of a scalar from `slope` (N, O), that by the outputs of `found`."""
        for layer in reversed(range(len(self._weights))):
            weight, bias = self._gradients[layer]
            torch.mm(slope.t(), found[layer], out=weight)
            torch.sum(slope, 0, out=bias)
            if layer > 0:
                slope = torch.ops.aten.tanh_backward(slope @ self._weights[layer], found[layer])

"""Packed weights: a convolutional trunk in bfloat16 by weights in oneDNN's own layout, with ReLU fused.

PyTorch's layers hand oneDNN weights in plain layout, which it rearranges at every call, and each ReLU is a
pass of its own: for a few observations that is a third of the time. The operators here are those to which
PyTorch's compiler lowers frozen networks on CPUs (``torch/_inductor/fx_passes/mkldnn_fusion.py``). Where this
PyTorch or this processor has them not there is no packed trunk, and layers compute the same, one by one.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from agents.networks.architectures import Pixels

#: Observations for which the layout is chosen; any number can be passed.
USUAL = 8


def can_pack() -> bool:
    """Whether this PyTorch and this processor have the operators, in bfloat16."""
    operators = torch.ops.mkldnn
    names = ("_convolution_pointwise", "_linear_pointwise", "_reorder_linear_weight")
    return (
        torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and hasattr(torch._C._nn, "mkldnn_reorder_conv2d_weight")
        and all(hasattr(operators, name) for name in (*names, "_is_mkldnn_bf16_supported"))
        and bool(operators._is_mkldnn_bf16_supported())
    )


class PackedPixels:
    """Pass of a `Pixels` trunk without normalisation layers, with the numbers of autocast bit by bit.

    Arranged images (N, C · s², H/s, W/s) uint8 → features (N, F) bfloat16.
    """

    def __init__(self, trunk: Pixels) -> None:
        """Pack the present weights of a trunk whose convolutions, `kernel` and hidden layer are bfloat16."""
        assert trunk.kernel is not None
        layers = [layer for layer in trunk.convolutions if isinstance(layer, nn.Conv2d)]
        weights = [trunk.kernel, *(layer.weight.detach() for layer in layers[1:])]
        strides = [1, *(layer.stride[0] for layer in layers[1:])]
        self._convolutions: list[tuple[Any, Tensor | None, list[int]]] = []
        for layer, weight, stride in zip(layers, weights, strides, strict=True):
            both = [stride, stride]
            packed = torch._C._nn.mkldnn_reorder_conv2d_weight(weight.to_mkldnn(), [0, 0], both, [1, 1], 1)
            self._convolutions.append((packed, layer.bias, both))
        self._hidden = torch.ops.mkldnn._reorder_linear_weight(trunk.hidden.weight.detach(), USUAL)
        self._bias = trunk.hidden.bias

    def __call__(self, obs: Tensor) -> Tensor:
        """Features (N, F)."""
        x = obs.to(torch.bfloat16)
        for weight, bias, stride in self._convolutions:
            x = torch.ops.mkldnn._convolution_pointwise(
                x, weight, bias, [0, 0], stride, [1, 1], 1, "relu", [], ""
            )
        features: Tensor = torch.ops.mkldnn._linear_pointwise(
            x.flatten(1), self._hidden, self._bias, "relu", [], ""
        )
        return features

"""Number formats: the autocast cache changes no number, and lasts no longer than its block."""

from __future__ import annotations

import torch
from torch import nn

from supervised.precision import autocast_cache

CPU = torch.device("cpu")


def forward(layer, x):
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        return layer(x).float()


def test_weights_rounded_once_give_the_same_numbers_and_new_weights_count_afterwards():
    torch.manual_seed(0)
    layer, x = nn.Linear(64, 32), torch.randn(5, 64)
    plain = forward(layer, x)
    with autocast_cache(CPU, True):
        assert torch.equal(forward(layer, x), plain)
        with torch.no_grad():
            layer.weight += 1.0
        assert torch.equal(forward(layer, x), plain), "inside the block the first rounding stays"
    assert not torch.equal(forward(layer, x), plain)


def test_gradients_flow_after_a_block_without_them():
    layer, x = nn.Linear(8, 4), torch.randn(3, 8)
    with autocast_cache(CPU, True):
        forward(layer, x)
    with torch.autocast("cpu", torch.bfloat16):
        layer(x).float().sum().backward()
    assert layer.weight.grad is not None and layer.weight.grad.any()

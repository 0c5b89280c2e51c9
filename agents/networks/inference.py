"""Inference copy of a network: weights rounded to bfloat16 and folded once, not at every forward pass.

Under autocast PyTorch rounds all weights at each pass without gradients, and the first convolution is folded
and scaled each time; for the few observations of a decision that takes longer than the pass itself. The copy
holds the weights as the arithmetic needs them, those of a convolutional trunk in bfloat16 also in the layout
that the processor's kernels need (`agents.networks.packed`). Its results equal the network's bit by bit.
"""

from __future__ import annotations

import copy
from typing import Generic, TypeVar, cast

import torch
from torch import nn

from agents.networks.architectures import Pixels
from agents.networks.board import Board
from agents.networks.packed import PackedPixels, can_pack
from agents.networks.recurrent import RecurrentActorCritic

Network = TypeVar("Network", bound=nn.Module)


class InferenceCopy(Generic[Network]):
    """A network and its copy for passes without gradients, renewed after the network's weights changed.

    A change shows in PyTorch's version counter of each tensor, which in-place operations raise, and
    `agents.optim.train_step.adam` for its fused ones. Replayed CUDA graphs do not: on CUDA there is no copy.

    >>> from gymnasium.spaces import Box
    >>> from agents.networks.architectures import ActorCritic
    >>> network = ActorCritic("small", Box(0, 255, (4, 84, 84), "uint8"), 6, torch.Generator())
    >>> inference = InferenceCopy(network, half=True)
    >>> inference.current().policy.weight.dtype, inference.current() is inference.current()
    (torch.bfloat16, True)
    """

    def __init__(self, network: Network, *, half: bool, graphed: bool = False) -> None:
        """Store the network; it is copied at the first pass.

        Args:
            network: of which the copy is made.
            half: it runs under bfloat16 autocast, and so does the copy.
            graphed: it runs in a CUDA graph, whose replays would not renew a copy: there is none.
        """
        self._network, self._half = network, half
        pays = not graphed and (half or any(isinstance(part, Pixels | Board) for part in network.modules()))
        self._tensors = [*network.parameters(), *network.buffers()] if pays else []
        self._copy: Network | None = None
        self._stamps: list[tuple[int, int]] = []

    def current(self) -> Network:
        """The copy with the network's present weights, not to be trained.

        It is the network itself on CUDA, and where there is nothing to prepare.
        """
        tensors = self._tensors
        if not tensors or tensors[0].device.type != "cpu":
            return self._network
        stamps = [(tensor._version, tensor.data_ptr()) for tensor in tensors]
        if self._copy is None or stamps != self._stamps:
            self._copy = self._renewed(self._copy)
            self._stamps = stamps
        return self._copy

    @torch.no_grad()
    def _renewed(self, old: Network | None) -> Network:
        """The copy `old`, or a new one, with the network's weights."""
        made = self._new() if old is None else old
        for mine, theirs in zip((*made.parameters(), *made.buffers()), self._tensors, strict=True):
            mine.copy_(theirs)
        for part, original in zip(made.modules(), self._network.modules(), strict=True):
            if isinstance(original, Pixels | Board):
                kernel = original.first_kernel()
                cast("Pixels | Board", part).kernel = kernel.bfloat16() if self._half else kernel
            if self._half and isinstance(part, Pixels) and isinstance(part.norm, nn.Identity) and can_pack():
                part.packed = PackedPixels(part)
        return made

    def _new(self) -> Network:
        """A copy of the network whose layers have the number format that autocast gives them."""
        made = copy.deepcopy(self._network).requires_grad_(False)
        rounded: nn.Module = made.trunk if isinstance(made, RecurrentActorCritic) else made
        for layer in rounded.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d) and self._half:
                layer.bfloat16()  # autocast leaves normalisation layers as they are
            if isinstance(layer, nn.ReLU):
                layer.inplace = True
        return made

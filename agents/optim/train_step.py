"""Optimiser step of PPO, PQN, DQN and AlphaZero with gradient clipping, optionally by torch.compile.

    loss → backward → clip the gradient's norm → optimiser

A learner gives its loss as one function of tensors. Nothing here waits for the device: metrics are returned
as tensors, and scheduled values (learning rate, coefficients) are tensors too, refilled in place, so that a
compiled loss is not recompiled.

With ``compile = true`` the loss and its gradient run under `torch.compile`: fused kernels from a C++
compiler on CPU; on CUDA Triton's, replayed as CUDA graphs. The clipping and the fused optimiser stay eager,
a handful of kernels over all parameters at once. With ``cuda_graphs = true`` the whole step is one CUDA
graph, compiled or not; see `agents.optim.cuda_graphs`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from functools import partial
from importlib.util import find_spec
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from agents.optim.cuda_graphs import GraphChoice, GraphedFunction, snapshot, uses_graphs
from agents.optim.flat_adam import FlatAdam
from sim.errors import RequestError
from supervised.distributed import process_group, sum_gradients

COMPILERS = ("g++", "clang++", "c++", "cl")

#: Of a minibatch: the loss (), metrics (K,) to log, and whatever else the learner needs.
Loss: TypeAlias = Callable[..., tuple[Tensor, ...]]


class CompileError(RequestError):
    """``compile = true`` without an installed compiler."""


class MinibatchError(RequestError, ValueError):
    """A minibatch larger than one rollout."""


class GradientStep:
    """Optimiser step with gradient clipping and optional compilation; see the module.

    Attributes:
        optimizer: what takes the step.
        backend: of `torch.compile`, until `prepare`; "eager" traces only.

    >>> weight = nn.Parameter(torch.tensor(3.0))
    >>> def loss(target):
    ...     error = weight - target
    ...     return error.square(), error[None]
    >>> step = GradientStep(loss, torch.optim.SGD([weight], torch.tensor(0.25)), max_grad_norm=2.0)
    >>> step(torch.tensor(1.0))[0].tolist(), weight.item()  # error 2, gradient 4 cut to 2: 3 − ¼ · 2
    ([2.0, 4.0], 2.5)
    """

    backend = "inductor"

    def __init__(
        self,
        loss: Loss,
        optimizer: torch.optim.Optimizer,
        max_grad_norm: float,
        *,
        compile: bool = False,
        cuda_graphs: GraphChoice = False,
        gather: Callable[..., tuple[Any, ...]] | None = None,
        gradient: Callable[..., Tensor] | None = None,
    ) -> None:
        """Store the parts of a step; nothing is compiled before `prepare`.

        Args:
            loss: of the tensors of one minibatch; must not wait for the device.
            optimizer: its learning rates are tensors; see `adam`.
            max_grad_norm: gradients of a larger norm are scaled down to it.
            compile: see the module.
            cuda_graphs: see the module; "auto" is on CUDA.
            gather: turns the arguments of a call into the minibatch, inside the step; None: they are it.
            gradient: sets all gradients of the loss and returns its metrics, where that is faster than
                autograd; taken for a single process, and uncompiled.
        """
        self.optimizer, self._max_grad_norm, self._compile = optimizer, max_grad_norm, compile
        self._parameters: list[Tensor] = [p for g in optimizer.param_groups for p in g["params"]]
        self._clip: Callable[[float], Tensor] = partial(nn.utils.clip_grad_norm_, self._parameters)
        if isinstance(optimizer, FlatAdam):
            self._parameters, self._clip = [optimizer.whole], optimizer.clip_grad_norm
        self._device = self._parameters[0].device
        self._graphs = False  # those of torch.compile
        self._loss, self._gather = loss, gather
        self._group = process_group()
        self._gradient = gradient if self._group.size == 1 and not compile else None
        # What NCCL sums is no part of a graph here.
        self._whole = uses_graphs(cuda_graphs, self._device) and self._group.size == 1
        self._graphed: GraphedFunction | None = None

    def prepare(self) -> None:
        """Before the first step: compile the loss if requested, and make cuDNN deterministic.

        Graphs are captured anew: what they write to, an optimiser's state, may have been restored.

        Raises:
            CompileError: naming what is missing; or with several ranks, whose shares of minibatches vary.
        """
        if self._compile and self._group.size > 1:
            raise CompileError(
                f"agent.compile cannot be with {self._group.size} ranks: each has more rows of one minibatch "
                "and fewer of another, and every number is another compilation; leave it at false"
            )
        if self._compile:
            self._compile = False  # once
            self._graphs = self._device.type == "cuda" and self.backend == "inductor" and not self._whole
            if self.backend == "inductor":
                check_compiler(self._device)
            mode = "reduce-overhead" if self._graphs else None
            # Minibatches may differ by one row: two sizes are two compilations, no more.
            self._loss = torch.compile(self._loss, backend=self.backend, mode=mode, dynamic=False)
        if self._device.type == "cuda":  # cuDNN may otherwise pick algorithms whose order of sums varies
            torch.backends.cudnn.deterministic = True
        if self._whole:
            self._graphed = GraphedFunction(
                self._step, self._device, partial(snapshot, self._parameters, (self.optimizer,))
            )

    def set_learning_rate(self, learning_rate: float | Tensor) -> None:
        """Set the learning rate of the next steps; one on the device is not waited for."""
        for group in self.optimizer.param_groups:
            group["lr"].fill_(learning_rate)

    def __call__(self, *minibatch: Any, weight: float = 1.0) -> tuple[Tensor, ...]:
        """Take one step; returns the loss's metrics with the gradient's norm appended (K + 1,), and the rest.

        The results are on the device and are not overwritten by later steps.

        Args:
            minibatch: the loss's arguments.
            weight: of this rank's rows in the mean over all ranks; loss and metrics are means over rows.
        """
        if self._graphed is None:
            return self._step(*minibatch, weight=weight)
        return tuple(tensor for tensor in self._graphed(*minibatch) if tensor is not None)

    def _step(self, *minibatch: Any, weight: float = 1.0) -> tuple[Tensor, ...]:
        if self._gather is not None:
            minibatch = self._gather(*minibatch)
        if self._graphs:  # gradients are a graph's memory too: gone before its next replay
            self.optimizer.zero_grad()
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        if self._gradient is not None:
            figures, rest = self._gradient(*minibatch), []
        else:
            loss, figures, *rest = self._loss(*minibatch)
            # Not before the loss: a CPU's pages would be freed and faulted in again.
            self.optimizer.zero_grad()
            if self._group.size == 1:
                torch.autograd.backward(loss)
            else:
                torch.autograd.backward(loss * weight)
                figures = sum_gradients(self._group, self._parameters, figures.detach() * weight)
        norm = self._clip(self._max_grad_norm)
        self.optimizer.step()
        # `cat` copies, and so does `clone`: a graph's outputs are gone with its next replay.
        kept = [tensor.detach().clone() if self._graphs else tensor.detach() for tensor in rest]
        return torch.cat([figures.detach(), norm.detach()[None]]), *kept


def adam(parameters: Iterable[nn.Parameter], learning_rate: float, epsilon: float) -> torch.optim.Adam:
    """Fused Adam optimiser (Kingma & Ba 2015), on CUDA capturable in CUDA graphs, of MLPs on a CPU flat."""
    parameters = list(parameters)
    device = parameters[0].device
    rate = torch.tensor(learning_rate, device=device)
    optimizer = (
        FlatAdam(parameters, rate, epsilon)
        if FlatAdam.suits(parameters)
        else torch.optim.Adam(parameters, lr=rate, eps=epsilon, fused=True, capturable=device.type == "cuda")
    )
    optimizer.register_step_post_hook(count_change)
    return optimizer


def count_change(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    """Raise the version counters of the parameters, as in-place operations do; fused kernels do not.

    Copies made of the weights are renewed by it; see `agents.networks.inference`.
    """
    for group in optimizer.param_groups:
        torch.autograd.graph.increment_version(group["params"])


def radam(parameters: Iterable[nn.Parameter], learning_rate: float) -> torch.optim.RAdam:
    """Rectified Adam optimiser (Liu et al. 2020), which PQN uses; see `adam`."""
    parameters = list(parameters)
    device = parameters[0].device
    return torch.optim.RAdam(
        parameters, lr=torch.tensor(learning_rate, device=device), capturable=device.type == "cuda"
    )


def minibatches(order: Tensor, size: int) -> tuple[Tensor, ...]:
    """Rows `order` (B,) in minibatches of at most `size`, as few and as equal as can be.

    A last one of a few left-over rows would count as much as a whole one, and normalising their advantages,
    which is done in each minibatch (Huang et al. 2022, detail 7), would make ±0.7 of any two.

    >>> [len(part) for part in minibatches(torch.arange(10), 4)], minibatches(torch.arange(4), 2)
    ([4, 3, 3], (tensor([0, 1]), tensor([2, 3])))
    """
    return torch.tensor_split(order, -(-len(order) // size))


def check_minibatch(minibatch_size: int, num_steps: int, num_envs: int) -> None:
    """Check that a minibatch is not larger than a rollout.

    Raises:
        MinibatchError: naming the keys and their values.
    """
    rows = num_steps * num_envs
    if minibatch_size > rows:
        raise MinibatchError(
            f"minibatch_size is {minibatch_size:,}, but a rollout has num_steps × num_envs = {num_steps:,} × "
            f"{num_envs:,} = {rows:,} steps: set agent.minibatch_size to at most {rows:,}, or more num_steps"
        )


def check_compiler(device: torch.device) -> None:
    """Check that a compiler for `torch.compile` is installed.

    Raises:
        CompileError: naming what is missing.
    """
    mend = "or leave agent.compile at false"
    if device.type == "cuda" and find_spec("triton") is None:
        raise CompileError(f"agent.compile needs Triton on CUDA: pip install triton, {mend}")
    names = (os.environ.get("CXX", COMPILERS[0]), *COMPILERS)
    if not any(shutil.which(name) for name in names):
        raise CompileError(
            f"agent.compile needs a C++ compiler, and none of {', '.join(dict.fromkeys(names))} is found: "
            f"install one, {mend}"
        )

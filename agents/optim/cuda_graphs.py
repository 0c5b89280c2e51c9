"""CUDA graphs of functions of tensors: hundreds of kernels launched at once, without Python in between.

A graph reads and writes fixed memory. So a `GraphedFunction` copies its inputs into buffers of its own, and
what it returns are copies of the graph's outputs, which the next replay overwrites. Every combination of
shapes has a graph of its own. Before it is captured the function is rehearsed, which compiles kernels and
makes an optimiser's state, and what that changed is put back: every result is a replay's, in a resumed run
too.

The function must not wait for the device, and what changes from call to call must be a tensor: an input, or
one that is refilled in place. It may write to tensors that stay where they are, as an optimiser does. Random
numbers are inputs. PyTorch's "CUDA semantics" (section CUDA graphs) has the rules.

On the CPU the same buffers are used and nothing is captured, so a result that depends on a tensor that should
have been an input is wrong there too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

REHEARSALS = 3  # before the capture, as PyTorch's documentation has it

#: Whether to use CUDA graphs; "auto": on CUDA.
GraphChoice: TypeAlias = Literal[True, False, "auto"]

#: Remembers what a function changes; what it returns puts that back, into the same memory.
Snapshot: TypeAlias = Callable[[], Callable[[], None]]


def snapshot(tensors: Sequence[Tensor], optimizers: Sequence[torch.optim.Optimizer]) -> Callable[[], None]:
    """Remember tensors and the state of optimisers, which is zero before their first step."""
    before = [tensor.detach().clone() for tensor in tensors]
    slots = [
        {
            parameter: {name: slot.clone() for name, slot in known.items()}
            for parameter, known in o.state.items()
        }
        for o in optimizers
    ]

    @torch.no_grad()
    def put_back() -> None:
        for tensor, value in zip(tensors, before, strict=True):
            tensor.copy_(value)
        for optimizer, known in zip(optimizers, slots, strict=True):
            for parameter, state in optimizer.state.items():
                for name, slot in state.items():
                    slot.copy_(known[parameter][name]) if parameter in known else slot.zero_()

    return put_back


def uses_graphs(choice: GraphChoice, device: torch.device) -> bool:
    """Whether functions become `GraphedFunction`s on a device."""
    return device.type == "cuda" if choice == "auto" else choice


@dataclass
class _Capture:
    """Buffers of one combination of shapes, and the graph that reads and writes them."""

    arguments: tuple[Any, ...]  # of the function, made of the buffers
    inputs: list[Tensor]
    graph: torch.cuda.CUDAGraph | None = None
    outputs: tuple[Tensor | None, ...] = field(default=())


class GraphedFunction:
    """A function of tensors that is captured as a CUDA graph and replayed; see the module.

    >>> weight = torch.tensor(2.0)
    >>> double = GraphedFunction(lambda x: (weight * x, x.sum()), torch.device("cpu"))
    >>> double(torch.ones(2)), double(torch.zeros(2))
    ((tensor([2., 2.]), tensor(2.)), (tensor([0., 0.]), tensor(0.)))
    """

    def __init__(
        self,
        function: Callable[..., tuple[Tensor | None, ...]],
        device: torch.device,
        snapshot: Snapshot | None = None,
    ) -> None:
        """Capture nothing yet.

        Args:
            function: of tensors, None and dataclasses of those; returns a tuple of tensors and None.
            device: of all tensors.
            snapshot: of what the function changes beside its result; None: nothing.
        """
        self._function, self._device, self._snapshot = function, device, snapshot
        self._captures: dict[tuple[Any, ...], _Capture] = {}
        self._stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def __call__(self, *arguments: Any) -> tuple[Tensor | None, ...]:
        """Call the function; returns tensors that no later call overwrites."""
        given = [tensor for argument in arguments for tensor in _tensors(argument)]
        key = tuple(_shape(argument) for argument in arguments)
        new = key not in self._captures
        if new:
            inputs = [torch.empty_like(tensor) for tensor in given]
            buffers = iter(inputs)
            filled = tuple(_with_tensors(argument, buffers) for argument in arguments)
            self._captures[key] = _Capture(filled, inputs)
        capture = self._captures[key]
        with torch.no_grad():
            for buffer, tensor in zip(capture.inputs, given, strict=True):
                buffer.copy_(tensor)
        if new:
            self._rehearse(capture)
        self._run(capture)
        return tuple(None if output is None else output.detach().clone() for output in capture.outputs)

    @property
    def captured(self) -> int:
        """How many graphs there are."""
        return sum(capture.graph is not None for capture in self._captures.values())

    def _rehearse(self, capture: _Capture) -> None:
        """Call the function a few times, on the stream of the capture, and put back what it changed."""
        put_back = None if self._snapshot is None else self._snapshot()
        with self._on_stream(), _uncached_autocast():
            for _ in range(REHEARSALS):
                self._function(*capture.arguments)
        if put_back is not None:
            put_back()

    def _run(self, capture: _Capture) -> None:
        """Fill `outputs` from `inputs`: at first capturing, then replaying."""
        if self._stream is None:
            with _uncached_autocast():
                outputs = _detached(self._function(*capture.arguments))
            if not capture.outputs:
                capture.outputs = tuple(None if one is None else one.clone() for one in outputs)
            for buffer, output in zip(capture.outputs, outputs, strict=True):
                if buffer is not None and output is not None:
                    buffer.copy_(output)
            return
        if capture.graph is None:
            capture.graph = torch.cuda.CUDAGraph()
            with _uncached_autocast(), torch.cuda.graph(capture.graph, stream=self._stream):
                capture.outputs = _detached(self._function(*capture.arguments))
        capture.graph.replay()

    @contextmanager
    def _on_stream(self) -> Iterator[None]:
        """Work on the stream of the capture, after what was begun and before what follows."""
        if self._stream is None:
            yield
            return
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            yield
        current.wait_stream(self._stream)


@contextmanager
def _uncached_autocast() -> Iterator[None]:
    """Let a graph round weights itself: autocast's copies are gone where autocast ends, and a graph stays."""
    before = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    try:
        yield
    finally:
        torch.set_autocast_cache_enabled(before)


def _detached(outputs: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
    return tuple(None if output is None else output.detach() for output in outputs)


def _tensors(argument: Any) -> list[Tensor]:
    """The tensors of an argument, in order."""
    if isinstance(argument, Tensor):
        return [argument]
    if is_dataclass(argument):
        return [tensor for f in fields(argument) for tensor in _tensors(getattr(argument, f.name))]
    assert argument is None, f"a graph's input is a tensor, None or a dataclass of those, not {argument!r}"
    return []


def _with_tensors(argument: Any, tensors: Iterator[Tensor]) -> Any:
    """The argument with other tensors, in the order of `_tensors`."""
    if isinstance(argument, Tensor):
        return next(tensors)
    if argument is None or isinstance(argument, type):
        return None
    return replace(
        argument, **{f.name: _with_tensors(getattr(argument, f.name), tensors) for f in fields(argument)}
    )


def _shape(argument: Any) -> Any:
    """What a capture depends on: shapes, types and memory formats."""
    if isinstance(argument, Tensor):
        return argument.shape, argument.dtype, argument.stride()
    if argument is None:
        return None
    return tuple(_shape(getattr(argument, f.name)) for f in fields(argument))

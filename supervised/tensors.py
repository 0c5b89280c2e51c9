"""Numerics of PyTorch models: tensors to arrays and back, optimiser state, bfloat16 autocast."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from sim.records import Array, State

Precision: TypeAlias = Literal["auto", "float32", "bfloat16"]


class NonFiniteError(ArithmeticError):
    """A loss, gradient or metric that is not finite; nothing of that update may be kept."""

    @classmethod
    def check(cls, metrics: Mapping[str, float], update: int) -> None:
        """Raise it, naming the culprits and the update, unless all of `metrics` are finite."""
        bad = [name for name, value in metrics.items() if not math.isfinite(value)]
        if bad:
            raise cls(f"{', '.join(bad)} not finite in update {update}")


def on_device(array: Array, device: torch.device) -> Tensor:
    """Copy an array to a tensor on `device`.

    To CUDA it is copied asynchronously through pinned memory, which PyTorch keeps until the copy is done. On
    the CPU the tensor shares the array's memory where it is contiguous.
    """
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def to_arrays(tensors: Mapping[str, Tensor]) -> dict[str, Array]:
    """Copy tensors to contiguous numpy arrays: safetensors garbles channels_last ones."""
    return {name: np.array(t.detach().cpu().numpy(), order="C") for name, t in tensors.items()}


def from_arrays(module: nn.Module, arrays: Mapping[str, Array]) -> None:
    """Copy arrays into a module's own tensors, keeping its memory format; half precision is widened.

    Raises:
        ValueError: naming the first missing, surplus or misshapen array.
    """
    tensors = module.state_dict()
    for name in sorted(set(tensors) ^ set(arrays)):
        raise ValueError(f"weights {'lack' if name in tensors else 'have a surplus'} {name}")
    for name, tensor in tensors.items():
        if tuple(tensor.shape) != arrays[name].shape:
            raise ValueError(f"{name} has shape {arrays[name].shape}, this network's {tuple(tensor.shape)}")
        tensor.copy_(torch.tensor(arrays[name]))


def optimizer_state(optimizer: torch.optim.Optimizer) -> State:
    """State of an optimiser as arrays: its moments and counters by parameter number."""
    slots = optimizer.state_dict()["state"]
    return {str(i): to_arrays(slot) for i, slot in slots.items()}


def restore_optimizer(optimizer: torch.optim.Optimizer, state: State) -> None:
    """Restore an optimiser from `optimizer_state`, in each parameter's own memory format.

    The format matters: a fused optimiser reads parameter and moments in memory order. Step counters go to the
    device where the optimiser expects them, as in `torch.optim.Optimizer.load_state_dict`.
    """
    parameters = [(p, group) for group in optimizer.param_groups for p in group["params"]]
    for i, slot in state.items():
        parameter, group = parameters[int(i)]
        for name, array in slot.items():
            value = torch.tensor(array)
            kept = optimizer.state[parameter].get(name)
            if kept is not None and kept.shape == value.shape:
                kept.copy_(value)  # which may be a view of a buffer
                continue
            if name == "step":
                if group.get("capturable") or group.get("fused"):
                    value = value.to(parameter.device)
            elif value.shape == parameter.shape:
                value = torch.empty_like(parameter).copy_(value)
            else:
                value = value.to(parameter.device)
            optimizer.state[parameter][name] = value

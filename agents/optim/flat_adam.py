"""Adam over one flat buffer, for networks so small that a step is the overhead of its operations.

An MLP of 64 units has a dozen parameters of a few hundred numbers each. Clipping their gradients and stepping
them one by one takes longer than computing the gradients, so all of them are views of one buffer here, and
so are the gradients and the moments: every operation of a step is one on the whole buffer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

LARGEST = 2**20  # parameters; of larger networks the arithmetic takes the time


class FlatAdam(torch.optim.Adam):
    """Adam (Kingma & Ba 2015) of parameters that become views of one buffer; its state is that of `Adam`.

    Attributes:
        whole: (P,) the buffer; its `grad` is that of the gradients.

    >>> pair = nn.Parameter(torch.tensor([1.0, 2.0])), nn.Parameter(torch.tensor(3.0))
    >>> optimizer = FlatAdam(pair, torch.tensor(0.5), 1e-8)
    >>> optimizer.zero_grad()
    >>> (pair[0].sum() - pair[1]).backward()
    >>> optimizer.whole.grad
    tensor([ 1.,  1., -1.])
    >>> optimizer.step()
    >>> [x.round(decimals=4).tolist() for x in (optimizer.whole, pair[0])]
    [[0.5, 1.5, 3.5], [0.5, 1.5]]
    """

    def __init__(self, parameters: Iterable[nn.Parameter], learning_rate: Tensor, epsilon: float) -> None:
        """Move the parameters into a buffer; each must be contiguous, and stay where it is from now on."""
        self._parameters = list(parameters)
        super().__init__(self._parameters, lr=learning_rate, eps=epsilon, fused=True)
        self.whole = nn.Parameter(torch.cat([p.detach().flatten() for p in self._parameters]))
        self._grad, self._mean, self._square = (torch.zeros_like(self.whole.data) for _ in range(3))
        self._steps = torch.tensor(0.0)
        self.whole.grad = self._grad
        self._grads = self._views(self._grad)
        buffers = [self._views(buffer) for buffer in (self.whole.data, self._mean, self._square)]
        for parameter, values, mean, square in zip(self._parameters, *buffers, strict=True):
            parameter.data = values
            self.state[parameter] = {"step": self._steps, "exp_avg": mean, "exp_avg_sq": square}
        self.zero_grad()

    @staticmethod
    def suits(parameters: Sequence[nn.Parameter]) -> bool:
        """Whether the parameters are few, contiguous and on the CPU, where each operation takes its time."""
        return sum(p.numel() for p in parameters) <= LARGEST and all(
            p.device.type == "cpu" and p.dtype == torch.float32 and p.is_contiguous() for p in parameters
        )

    def _views(self, buffer: Tensor) -> list[Tensor]:
        parts = torch.split(buffer, [p.numel() for p in self._parameters])
        return [part.view(p.shape) for part, p in zip(parts, self._parameters, strict=True)]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Set the gradients to zero in the buffer, whatever `set_to_none` says."""
        for parameter, grad in zip(self._parameters, self._grads, strict=True):
            parameter.grad = grad  # which another optimiser of the same network may have let go
        self._grad.zero_()

    def clip_grad_norm(self, max_norm: float) -> Tensor:
        """Scale the gradient down to a norm of `max_norm`; returns the norm () that it had."""
        norm: Tensor = torch.linalg.vector_norm(self._grad)
        self._grad.mul_((max_norm / (norm + 1e-6)).clamp(max=1.0))  # as `torch.nn.utils.clip_grad_norm_`
        return norm

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Take a step by the gradients in the buffer."""
        group = self.param_groups[0]
        beta1, beta2 = group["betas"]
        self._steps.add_(1)
        torch._fused_adam_(
            [self.whole], [self._grad], [self._mean], [self._square], [], [self._steps],
            amsgrad=False, beta1=beta1, beta2=beta2, lr=group["lr"], eps=group["eps"],
            weight_decay=0.0, maximize=False,
        )  # fmt: skip

"""Low-rank adaptation of a GPT: W + A B in the place of every matrix W of a frozen base network.

LoRA (Hu et al. 2022): A (R, K) is zero at first, so that the adapted network begins as the base. The base is
no part of the parameters, and both networks can be read from one object: a tuned policy and its reference.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from supervised.language.generation.gpt import Gpt

SEPARATOR = "/"  # in the place of the dots in a parameter's name, which a ParameterDict refuses


class AdaptedGpt(nn.Module):
    """A frozen GPT with low-rank updates of its weight matrices (LoRA).

    Args:
        base: whose parameters are left as they are; no part of `state_dict` and `parameters`.
        rank: K, of each change.
        only: the beginning of the names of the matrices that are changed, such as ``blocks.``.
    """

    base_digest: Tensor

    def __init__(self, base: Gpt, rank: int, only: str = "") -> None:
        super().__init__()
        self._held = (base.eval().requires_grad_(False),)  # a tuple hides it from torch
        self.register_buffer("base_digest", torch.zeros(32, dtype=torch.uint8))
        self.left, self.right = nn.ParameterDict(), nn.ParameterDict()
        for name, matrix in base.named_parameters():
            if matrix.dim() == 2 and name.startswith(only):
                rows, columns = matrix.shape
                key = name.replace(".", SEPARATOR)
                self.left[key] = nn.Parameter(torch.zeros(rows, rank))
                self.right[key] = nn.Parameter(torch.randn(rank, columns) * columns**-0.5)

    @property
    def base(self) -> Gpt:
        """The network that is not changed."""
        return self._held[0]

    def adapted(self) -> dict[str, Tensor]:
        """The changed matrices by their names in the base."""
        own = dict(self.base.named_parameters())
        names = {key: key.replace(SEPARATOR, ".") for key in self.left}
        return {name: own[name] + self.left[key] @ self.right[key] for key, name in names.items()}

    def forward(self, *inputs: Any, **options: Any) -> Tensor:
        """Logits of the adapted network; see `supervised.language.generation.gpt.Gpt.forward`."""
        logits: Tensor = functional_call(self.base, self.adapted(), inputs, options)
        return logits

    def stream(self, *inputs: Any) -> Tensor:
        """The adapted network's stream; see `supervised.language.generation.gpt.Gpt.stream`."""
        named = {f"network.{name}": matrix for name, matrix in self.adapted().items()}
        stream: Tensor = functional_call(_Stream(self.base), named, inputs)
        return stream


class _Stream(nn.Module):
    """A GPT's stream as the output of a module, which is all that `functional_call` can call."""

    def __init__(self, network: Gpt) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Any) -> Tensor:
        return self.network.stream(*inputs)

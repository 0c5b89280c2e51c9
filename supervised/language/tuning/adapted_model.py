"""Base class of models that adapt a frozen language model of chess; the base is told by a digest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
import torch

from sim.records import Array
from supervised.base_model import BaseModel
from supervised.language.generation.gpt import Gpt
from supervised.language.generation.language_model import LanguageModel, LanguageModelNet
from supervised.language.generation.notation import MoveNotation
from supervised.language.tuning.low_rank import AdaptedGpt
from supervised.tensors import from_arrays

Network = TypeVar("Network", bound=AdaptedGpt)


class AdaptedModel(BaseModel[Network]):
    """A model whose network adapts a base. Satisfies `supervised.task.HasBase`.

    Args:
        base: configuration of the base.
        make: gives the network of a base.
        seed: of initial weights.
        device: such as ``cpu``.
    """

    def __init__(self, base: LanguageModel, make: Callable[[Gpt], Network], seed: int, device: str) -> None:
        self.notation = MoveNotation()
        self._base = LanguageModelNet(base, (), seed, device)
        super().__init__(lambda: make(self._base.network), seed=seed, device=device)

    def load_base(self, weights: Mapping[str, Array]) -> None:
        """Take up the base's weights; those of the adaptation come after.

        Raises:
            ValueError: if they are of another network.
        """
        self._base.load_weights(weights)
        digest = hashlib.sha256()
        for name in sorted(weights):
            digest.update(np.ascontiguousarray(weights[name]).tobytes())
        self.network.base_digest.copy_(torch.tensor(list(digest.digest()), dtype=torch.uint8))

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """See `supervised.base_model.WithWeights`.

        Raises:
            ValueError: also if they adapt another base.
        """
        self.check_base(weights)
        from_arrays(self.network, weights)

    def check_base(self, weights: Mapping[str, Array]) -> None:
        """Refuse weights that adapt another base.

        Raises:
            ValueError: saying so.
        """
        own = self.network.base_digest.cpu().numpy()
        if "base_digest" in weights and not np.array_equal(weights["base_digest"], own):
            raise ValueError("it was tuned on top of another base_checkpoint")

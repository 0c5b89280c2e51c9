"""Cross-entropy of the next token together with the semantic loss of what the rules allow.

The semantic loss is −log of the probability that all allowed tokens have together (Xu et al. 2018, "A
semantic loss function for deep learning with symbolic knowledge"): it teaches which moves there are, not
which one to make. Both come from one softmax with a gradient written out, since over 2,000 tokens the
exponentials are the dearest part of a small model.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

TINY = 1e-30


class RulesLoss(torch.autograd.Function):
    """Mean of −log p(target) − weight · log Σ p(allowed), from logits.

    Gradient by logit v: p_v (1 + w) − [v is the target] − w p_v [v is allowed] / Σ p(allowed).
    """

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, targets: Tensor, allowed: Tensor, weight: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Loss (), cross-entropy () in nats and the probability () of what is not allowed.

        Args:
            ctx: of autograd.
            logits: (N, V).
            targets: (N,) int64.
            allowed: (N, K) int64 numbers of distinct allowed tokens, the target among them; -1 for none.
            weight: w of the semantic loss.
        """
        probability = logits.float().softmax(-1)
        of_target = probability.gather(-1, targets[:, None])[:, 0]
        of_allowed = probability.gather(-1, allowed.clamp_min(0)).masked_fill(allowed < 0, 0)  # (N, K)
        total = of_allowed.sum(-1).clamp(TINY, 1)
        ctx.save_for_backward(probability, targets, allowed.clamp_min(0), of_allowed / total[:, None])
        ctx.weight = weight
        entropy = -of_target.clamp_min(TINY).log().mean()
        loss = entropy - weight * total.log().mean()
        unlawful = (1 - total).mean()
        ctx.mark_non_differentiable(entropy, unlawful)
        return loss, entropy, unlawful

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, None, None, None]:
        """See the class."""
        probability, targets, allowed, share = ctx.saved_tensors
        found = probability * (1 + ctx.weight)
        found.scatter_add_(1, targets[:, None], found.new_full((len(targets), 1), -1.0))
        found.scatter_add_(1, allowed, -ctx.weight * share)
        return found * (gradients[0] / len(targets)), None, None, None

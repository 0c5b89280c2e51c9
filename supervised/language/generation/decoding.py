"""Decoding: choosing tokens one after another from a GPT's probabilities, with a key-value cache.

Temperature divides the logits; top-k keeps the k likeliest tokens (Fan et al. 2018), top-p the fewest that
have together at least p (Holtzman et al. 2020, "The curious case of neural text degeneration"). Knows no
notation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from supervised.language.generation.gpt import Gpt, KeyValueCache


@dataclass(frozen=True)
class Decoding:
    """How tokens are chosen.

    Attributes:
        temperature: above 0; 1 is the model's own distribution.
        top_k: how many of the likeliest tokens are kept; 0: all.
        top_p: as many of the likeliest as have this probability together; 1: all.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def protocol(self) -> dict[str, str]:
        """As keys of a protocol stamp."""
        return {"temperature": f"{self.temperature:g}", "top_k": str(self.top_k), "top_p": f"{self.top_p:g}"}


def probabilities(logits: Tensor, decoding: Decoding) -> Tensor:
    """Probabilities (B, V) that tokens are drawn with, from logits (B, V).

    >>> odds = torch.tensor([[4.0, 2.0, 1.0, 1.0]]).log()
    >>> [round(p, 3) for p in probabilities(odds, Decoding(top_p=0.6))[0].tolist()]
    [0.667, 0.333, 0.0, 0.0]
    """
    scaled = (logits.double() / decoding.temperature).softmax(-1)
    ordered, order = scaled.sort(dim=-1, descending=True, stable=True)
    before = ordered.cumsum(-1) - ordered  # of likelier tokens
    kept = ordered.masked_fill(before >= decoding.top_p, 0)
    if decoding.top_k:
        kept[:, decoding.top_k :] = 0
    kept = kept / kept.sum(-1, keepdim=True)
    return torch.zeros_like(kept).scatter(-1, order, kept)


@dataclass(frozen=True)
class DecodingStep:
    """One token chosen for each of B texts.

    Attributes:
        logits: (B, V) of the model.
        tokens: (B,) the chosen ones.
    """

    logits: Tensor
    tokens: Tensor


@torch.no_grad()
def decode(
    network: Gpt,
    tokens: Tensor,
    marks: Tensor,
    choose: Callable[[Tensor], Tensor],
    push: Callable[[Tensor], tuple[Tensor, Tensor | None]],
    features: Tensor | None = None,
) -> Iterator[DecodingStep]:
    """Choose tokens without end; the caller stops.

    Where the attention's block is full, the later half of it is read anew and goes on as if the text began
    there.

    Args:
        network: in evaluation mode.
        tokens: (B, T) the prompts, with the token that begins them, of equal length; at most the last
            `block` are read.
        marks: (B, T).
        choose: logits (B, V) → tokens (B,).
        push: tokens (B,) → their marks (B,) and features (B, F / 8); called once with each that was chosen.
        features: (B, T, F / 8) uint8 of the prompts; None of texts.
    """
    block = network.shape.block
    cache: KeyValueCache = []
    parts: list[Tensor | None] = [tokens, marks, features]
    parts = [None if part is None else part[:, -block:] for part in parts]
    fresh = min(tokens.shape[1], block)  # not in the cache yet
    while True:
        read = [None if part is None else part[:, -fresh:] for part in parts]
        logits = network(*read, cache=cache)[:, -1].float()
        chosen = choose(logits)
        yield DecodingStep(logits, chosen)
        grown = (chosen, *push(chosen))
        parts = [
            None if part is None or own is None else torch.cat([part, own[:, None]], 1)
            for part, own in zip(parts, grown, strict=True)
        ]
        fresh, length = 1, cache[0][0].shape[2] + 1
        if length > block:
            parts = [None if part is None else part[:, -(block // 2) :] for part in parts]
            fresh, cache = block // 2, []


def sampler(decoding: Decoding, seed: int) -> Callable[[Tensor], Tensor]:
    """A choice at random: logits (B, V) → tokens (B,), from a generator of its own."""
    generator = torch.Generator().manual_seed(seed)

    def choose(logits: Tensor) -> Tensor:
        drawn = torch.multinomial(probabilities(logits, decoding).cpu(), 1, generator=generator)
        return drawn[:, 0].to(logits.device)

    return choose


def greedy(logits: Tensor) -> Tensor:
    """The likeliest token (B,) of logits (B, V)."""
    return logits.argmax(-1)

"""Multi-head attention and pre-norm transformer blocks, of encoders and of decoders with a key-value cache.

Vaswani et al. 2017, "Attention is all you need"; the norm before each part as in Xiong et al. 2020, "On layer
normalization in the transformer architecture". Masks are True where attention may look.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class KeysValues(NamedTuple):
    """Keys and values of attention, (B, H, S, D) each."""

    keys: Tensor
    values: Tensor

    def joined(self, later: KeysValues) -> KeysValues:
        """These followed by `later` ones: how a cache grows."""
        return KeysValues(torch.cat([self.keys, later.keys], 2), torch.cat([self.values, later.values], 2))

    def take(self, rows: Tensor) -> KeysValues:
        """Those of the sequences `rows` (K,), in that order."""
        return KeysValues(self.keys[rows], self.values[rows])


class Attention(nn.Module):
    """Multi-head attention: queries from (B, T, C) over keys and values of S positions → (B, T, C)."""

    def __init__(self, width: int, heads: int) -> None:
        """Draw the projections.

        Raises:
            ValueError: unless `heads` divides `width`.
        """
        super().__init__()
        if width % heads:
            raise ValueError(f"a width of {width} cannot be shared by {heads} heads")
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def keys_values(self, context: Tensor) -> KeysValues:
        """Keys and values of a context (B, S, C)."""
        return KeysValues(*map(self._by_head, self.key_value(context).chunk(2, 2)))

    def forward(self, x: Tensor, over: KeysValues, mask: Tensor | None = None) -> Tensor:
        """Attention of `x` (B, T, C); `mask` broadcasts to (B, H, T, S)."""
        query = self._by_head(self.query(x))
        seen = functional.scaled_dot_product_attention(query, over.keys, over.values, mask)
        out: Tensor = self.out(seen.transpose(1, 2).flatten(2))
        return out

    def shares(self, x: Tensor, over: KeysValues, mask: Tensor | None = None) -> Tensor:
        """Attention weights (B, H, T, S) of `forward`, which sum to 1 over S."""
        logits = self._by_head(self.query(x)) @ over.keys.transpose(2, 3)
        logits = logits / math.sqrt(over.keys.shape[3])
        return (logits if mask is None else logits.masked_fill(~mask, -math.inf)).softmax(3)

    def _by_head(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)  # (B, H, T, D)


class Block(nn.Module):
    """Transformer block: self-attention, attention over another sequence if `crossed`, GELU layers."""

    def __init__(
        self, width: int, heads: int, dropout: float, *, crossed: bool = False, feed: int = 4
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.crossed_norm = nn.LayerNorm(width) if crossed else None
        self.crossed = Attention(width, heads) if crossed else None
        self.feed_norm = nn.LayerNorm(width)
        self.feed = nn.Sequential(
            nn.Linear(width, feed * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(feed * width, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        mask: Tensor | None = None,
        *,
        cache: KeysValues | None = None,
        context: KeysValues | None = None,
        context_mask: Tensor | None = None,
    ) -> tuple[Tensor, KeysValues]:
        """One block.

        Args:
            x: (B, T, C).
            mask: of self-attention, broadcast to (B, H, T, S + T).
            cache: keys and values of the S positions before `x`.
            context: of the other sequence, by `crossed.keys_values`.
            context_mask: of attention over it.

        Returns:
            (B, T, C), and the cache with the keys and values of `x` after it.
        """
        normed = self.norm(x)
        own = self.attention.keys_values(normed)
        own = own if cache is None else cache.joined(own)
        x = x + self.dropout(self.attention(normed, own, mask))
        if self.crossed is not None and self.crossed_norm is not None and context is not None:
            x = x + self.dropout(self.crossed(self.crossed_norm(x), context, context_mask))
        return x + self.dropout(self.feed(self.feed_norm(x))), own


def positions(length: int, width: int, start: int = 0) -> Tensor:
    """Sinusoidal position embeddings (length, width) of the positions from `start` on (ibid., 3.5).

    >>> positions(2, 4).round(decimals=2).tolist()
    [[0.0, 1.0, 0.0, 1.0], [0.8399999737739563, 0.5400000214576721, 0.009999999776482582, 1.0]]
    """
    at = torch.arange(start, start + length, dtype=torch.float32)[:, None]
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000) / width))
    return torch.stack([torch.sin(at * rate), torch.cos(at * rate)], 2).flatten(1)[:, :width]

"""GPT: a decoder-only transformer over tokens, with learned positions and a key-value cache.

Pre-norm blocks of causal attention and a feed-forward layer (Radford et al. 2019, "Language models are
unsupervised multitask learners"; Karpathy's nanoGPT), layer norm without parameters, squared ReLU as in his
nanochat. Output and input embeddings are the same matrix (Press & Wolf 2017). Does not know what tokens mean,
nor how they are chosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Embeddings (V, C) of the tokens, and what a state's hidden units add to their logits (V, S), if any.
Tables: TypeAlias = tuple[Tensor, Tensor | None]

#: Keys and values of the tokens so far, (B, H, T, D) each, of every layer.
KeyValueCache: TypeAlias = list[tuple[Tensor, Tensor]]

EMBEDDING_STD = 0.02
STATE_UNITS = 256  # of the hidden layer that reads a state
BARRED = -1e4  # added to the scores of what attention may not see


@dataclass(frozen=True)
class GptShape:
    """Sizes of a GPT.

    Attributes:
        vocabulary: V, how many tokens there are.
        marks: how many marks a token can bear beside its identity, such as "captures"; 0 is none.
        features: how many bits of a state of the world go with each token, such as a board's; 0 for texts.
        width: C, of the residual stream.
        layers: how many blocks.
        heads: of attention; C is a multiple of them.
        block: the most tokens that attention spans.
    """

    vocabulary: int
    marks: int
    features: int
    width: int
    layers: int
    heads: int
    block: int


class Gpt(nn.Module):
    """Tokens (B, T) int64 → logits (B, T, V) of the next token at each place.

    Args:
        shape: its sizes.
        parts: (V, P) int64, what each token consists of, such as the squares of a move; the embedding of a
            token is its own and those of its parts together. None: tokens have no parts.
        dropout: probability.
    """

    parts: Tensor

    def __init__(self, shape: GptShape, parts: Tensor | None = None, dropout: float = 0.0) -> None:
        super().__init__()
        self.shape = shape
        self.tokens = nn.Embedding(shape.vocabulary, shape.width)
        parts = torch.zeros(shape.vocabulary, 1, dtype=torch.int64) if parts is None else parts
        self.register_buffer("parts", parts, persistent=False)
        self.parts_of_tokens = nn.Embedding(int(parts.max()) + 1, shape.width)
        self.marks = nn.Embedding(shape.marks, shape.width)
        self.positions = nn.Embedding(shape.block, shape.width)
        self.state = StateEncoder(shape.features) if shape.features else None
        if shape.features:
            self.state_to_stream = nn.Linear(STATE_UNITS, shape.width, bias=False)
            self.state_to_parts = nn.Embedding(int(parts.max()) + 1, STATE_UNITS)
        self.blocks = nn.ModuleList(Block(shape, dropout) for _ in range(shape.layers))
        self.dropout = nn.Dropout(dropout)
        self.bias = nn.Parameter(torch.zeros(shape.vocabulary))
        for name, parameter in self.named_parameters():
            if name.startswith(("state.", "state_to_stream")):
                continue
            if name.endswith(("attention.out.weight", "feed_forward.2.weight", "bias")):
                nn.init.zeros_(parameter)  # each block begins as the identity
            else:
                nn.init.normal_(parameter, std=shape.width**-0.5 if "blocks" in name else EMBEDDING_STD)

    def forward(
        self,
        tokens: Tensor,
        marks: Tensor,
        features: Tensor | None = None,
        documents: Tensor | None = None,
        positions: Tensor | None = None,
        cache: KeyValueCache | None = None,
        since: int = 0,
        tables: Tables | None = None,
    ) -> Tensor:
        """Logits (B, T − since, V).

        Args:
            tokens: (B, T) int64; with a cache those that follow the ones in it.
            marks: (B, T) int64.
            features: (B, T, F / 8) uint8, packed bits of the state after each token; None of texts.
            documents: (B, T) int64, the document of each token of packed rows: attention stays within it.
            positions: (B, T) int64, the place of each token within its document; None: one document a row.
            cache: empty at first; keys and values of `tokens` are appended to it.
            since: the first place whose logits are wanted, as they are the dearest part.
            tables: of `tables`, where many passes are made with the same weights.
        """
        embedding, by_state = self.tables() if tables is None else tables
        x, hidden = self._stream(embedding, tokens, marks, features, documents, positions, cache)
        logits: Tensor = functional.linear(x[:, since:], embedding, self.bias)
        if hidden is not None and by_state is not None:
            # contiguous, as matmul copies its matrix for each row of a slice
            logits = logits + functional.linear(hidden[:, since:].contiguous(), by_state)
        return logits

    def embedding(self) -> Tensor:
        """(V, C) of the tokens, their parts included."""
        whole: Tensor = self.tokens.weight + self.parts_of_tokens(self.parts).sum(1)
        return whole

    def tables(self) -> Tables:
        """What `forward` looks up by token, which follows from the weights alone."""
        by_state = None if self.state is None else self.state_to_parts(self.parts).sum(1)
        return self.embedding(), by_state

    def stream(self, tokens: Tensor, marks: Tensor, features: Tensor | None = None) -> Tensor:
        """(B, T, C), the normed residual stream that logits are read from; arguments as of `forward`."""
        return self._stream(self.embedding(), tokens, marks, features)[0]

    def _stream(
        self,
        embedding: Tensor,
        tokens: Tensor,
        marks: Tensor,
        features: Tensor | None = None,
        documents: Tensor | None = None,
        positions: Tensor | None = None,
        cache: KeyValueCache | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """The stream (B, T, C), and the hidden units (B, T, S) of the states."""
        seen = cache[0][0].shape[2] if cache else 0
        if positions is None:
            positions = torch.arange(seen, seen + tokens.shape[1], device=tokens.device)
        mask = causal_mask(tokens.shape[1], seen, documents, tokens.device)
        x = functional.embedding(tokens, embedding) + self.marks(marks) + self.positions(positions)
        hidden = None if self.state is None or features is None else self.state(features)  # (B, T, S)
        if hidden is not None:
            x = x + self.state_to_stream(hidden)
        x = self.dropout(_norm(x))  # (B, T, C)
        for number, block in enumerate(self.blocks):
            x = block(x, mask, cache, number)
        return _norm(x), hidden


class StateEncoder(nn.Module):
    """Packed bits (B, T, F / 8) uint8 of a state → (B, T, S) hidden units.

    They are added to the residual stream and, by the parts of tokens, to the logits: through the stream alone
    fewer numbers reach the logits than there are squares to leave and to go to.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(features, STATE_UNITS)

    def forward(self, bits: Tensor) -> Tensor:
        """See the class; bits are in little order."""
        shifts = torch.arange(8, dtype=torch.uint8, device=bits.device)
        unpacked = (bits[..., None] >> shifts) & 1  # (B, T, F / 8, 8)
        return functional.relu(self.hidden(unpacked.flatten(-2).to(self.hidden.weight.dtype)))


class Block(nn.Module):
    """Residual attention and residual feed-forward layer, each of normed activations."""

    def __init__(self, shape: GptShape, dropout: float) -> None:
        super().__init__()
        self.attention = Attention(shape)
        self.feed_forward = nn.Sequential(
            nn.Linear(shape.width, 4 * shape.width, bias=False),
            _SquaredReLU(),
            nn.Linear(4 * shape.width, shape.width, bias=False),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor, cache: KeyValueCache | None, number: int) -> Tensor:
        """(B, T, C) → (B, T, C)."""
        x = x + self.dropout(self.attention(_norm(x), mask, cache, number))
        y: Tensor = x + self.dropout(self.feed_forward(_norm(x)))
        return y


class Attention(nn.Module):
    """Causal multi-head attention."""

    def __init__(self, shape: GptShape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.qkv = nn.Linear(shape.width, 3 * shape.width, bias=False)
        self.out = nn.Linear(shape.width, shape.width, bias=False)

    def forward(self, x: Tensor, mask: Tensor, cache: KeyValueCache | None, number: int) -> Tensor:
        """(B, T, C) → (B, T, C); `number` is this layer's place in the cache."""
        b, t, c = x.shape
        q, k, v = (
            self.qkv(x).view(b, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        )  # (B, H, T, D)
        if cache is not None:
            if number < len(cache):
                k, v = (torch.cat(pair, 2) for pair in zip(cache[number], (k, v), strict=True))
                cache[number] = k, v
            else:
                cache.append((k, v))
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2) + mask.to(q.dtype)  # (B, H, T, T)
        y = scores.softmax(-1) @ v
        out: Tensor = self.out(y.transpose(1, 2).reshape(b, t, c))
        return out


class _SquaredReLU(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x).square()


def _norm(x: Tensor) -> Tensor:
    return functional.layer_norm(x, (x.shape[-1],))


def causal_mask(length: int, seen: int, documents: Tensor | None, device: torch.device) -> Tensor:
    """What is added to attention's scores, (B or 1, 1, T, seen + T): 0 where a token may look, else very low.

    A token sees itself and earlier ones, in packed rows those of its own document.

    >>> causal_mask(2, 1, None, torch.device("cpu"))[0, 0].tolist()
    [[0.0, 0.0, -10000.0], [0.0, 0.0, 0.0]]
    """
    may = torch.ones(length, seen + length, dtype=torch.bool, device=device).tril(seen)[None]
    if documents is not None:
        may = may & (documents[:, :, None] == documents[:, None, :])
    return torch.zeros(may.shape, device=device).masked_fill(~may, BARRED)[:, None]

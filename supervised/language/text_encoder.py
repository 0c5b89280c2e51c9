"""Transformer encoders of texts: masked-subword pretraining, then binary classification, in one loss.

For the first updates the encoders learn to fill in masked subwords of the training texts themselves (Devlin
et al. 2019, "BERT"; on the task's own text: Krishna et al. 2023, "Downstream datasets make surprisingly good
pretraining corpora"), and from then on the classes. They share an embedding, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sim.records import Array
from supervised.fit import Batch
from supervised.language.attention import Block, positions
from supervised.language.subwords import MASK, PAD, ROOM, SPECIALS

if TYPE_CHECKING:
    from tokenizers import Tokenizer

LENGTH = 96  # subwords that an encoder reads; of a longer text the beginning, and the end in the last quarter
MASKED = 0.3  # of the subwords, in pretraining
WORD_DROPOUT = 0.15  # of the subwords, while the classes are learned
NEIGHBOURS = 5  # subwords on either side that the first embedding counts
SMOOTHING = 0.1  # of the classes: 1 and 0 become .95 and .05


class Encoder(nn.Module):
    """Transformer encoder: embedded subwords (B, T, C) → (B, T, C)."""

    def __init__(self, width: int, layers: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.fill = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
        self.classify = nn.Linear(width, 1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Encode; `mask` (B, 1, 1, T) is False for padding."""
        for block in self.blocks:
            x, _ = block(x, mask)
        out: Tensor = self.norm(x)
        return out


class TextNetwork(nn.Module):
    """Subwords (B, T) → log-odds (M, B) of the first class by M encoders; holds tokenizer and n-grams too.

    Args:
        subwords: size of the vocabulary.
        width: C.
        layers: of each encoder.
        heads: of attention.
        encoders: M.
        dropout: in training.
        pretraining: updates before the classes are learned.
        ngrams: that are kept.
    """

    def __init__(
        self,
        *,
        subwords: int,
        width: int,
        layers: int,
        heads: int,
        encoders: int,
        dropout: float,
        pretraining: int,
        ngrams: int,
    ) -> None:
        super().__init__()
        self.pretraining = pretraining
        self.embedding = nn.Embedding(subwords, width, padding_idx=PAD)
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        self.frequency = nn.Parameter(
            torch.zeros(subwords)
        )  # logits of the subwords, whatever is around them
        self.encoders = nn.ModuleList(Encoder(width, layers, heads, dropout) for _ in range(encoders))
        self.dropout = nn.Dropout(dropout)
        self.updates: Tensor
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.register_buffer("tokenizer", torch.zeros(ROOM, dtype=torch.uint8))
        self.register_buffer("ngram_hashes", torch.full((ngrams,), 2**31 - 1, dtype=torch.int32))
        for name, shape in (("ratio", (ngrams,)), ("rarity", (ngrams,)), ("weights", (2, ngrams))):
            self.register_buffer(f"ngram_{name}", torch.zeros(shape))
        self.register_buffer(
            "ngram_line", torch.tensor([1.0, 0.0])
        )  # slope and bias of the n-grams' log-odds

    def encoded(self, tokens: Tensor) -> list[Tensor]:
        """What each encoder makes of `tokens` (B, T): (B, T, C)."""
        width = self.embedding.embedding_dim
        x = self.embedding(tokens) * width**0.5
        x = self.dropout(x + positions(tokens.shape[1], width).to(x.device))
        mask = (tokens != PAD)[:, None, None]
        return [encoder(x, mask) for encoder in self.encoders]

    def forward(self, tokens: Tensor) -> Tensor:
        """Log-odds (M, B), from the mean over the subwords."""
        there = (tokens != PAD).float()[..., None]
        pooled = [(x * there).sum(1) / there.sum(1).clamp(min=1) for x in self.encoded(tokens)]
        each = [
            encoder.classify(self.dropout(x))[:, 0]  # type: ignore[operator]
            for encoder, x in zip(self.encoders, pooled, strict=True)
        ]
        return torch.stack(each)

    def pretrains(self) -> bool:
        """Count an update; whether it is one of pretraining."""
        self.updates += 1
        return int(self.updates) <= self.pretraining

    def filled(self, tokens: Tensor, at: Tensor) -> Tensor:
        """Logits (M, K, vocabulary) of the subwords at the K places where `at` (B, T) is True."""
        each = [
            encoder.fill(x[at]) @ self.embedding.weight.T + self.frequency  # type: ignore[operator]
            for encoder, x in zip(self.encoders, self.encoded(tokens), strict=True)
        ]
        return torch.stack(each)


class Texts:
    """Training examples: subwords of texts, with and without masks, and their classes.

    Args:
        texts: N.
        positive: (N,) bool.
        tokenizer: gives the subwords.
        noisy: whether subwords are dropped, as in training.
    """

    def __init__(self, texts: Sequence[str], positive: Array, tokenizer: Tokenizer, *, noisy: bool) -> None:
        self._ids = [np.array(one.ids, np.int64) for one in tokenizer.encode_batch(list(texts))]
        self._positive = positive.astype(np.float32)
        self._size = tokenizer.get_vocab_size()
        self._noisy = noisy

    def __len__(self) -> int:
        """N."""
        return len(self._ids)

    def batch(self, rows: Array, generator: np.random.Generator) -> dict[str, Array]:
        """``tokens`` (B, T), ``masked`` and ``wanted`` (B, T) of pretraining, ``positive`` (B,).

        ``wanted`` is `PAD` wherever nothing was masked.
        """
        tokens = padded([shortened(self._ids[row]) for row in rows])
        whole = padded([_window(self._ids[row], generator) for row in rows])
        masked, wanted = masked_subwords(whole, self._size, generator)
        if self._noisy:
            dropped = (generator.random(tokens.shape) < WORD_DROPOUT) & (tokens != PAD)
            tokens = np.where(dropped, MASK, tokens)
        return {"tokens": tokens, "masked": masked, "wanted": wanted, "positive": self._positive[rows]}


def cooccurrence_embedding(ids: Sequence[Array], size: int, width: int) -> Array:
    """Embedding (size, width) of subwords by what stands around them, rows of mean square 1 / width.

    Singular vectors of positive pointwise mutual information, contexts smoothed by the power ¾ (Levy et al.
    2015, "Improving distributional similarity with lessons learned from word embeddings").

    Args:
        ids: subwords of the training texts, (T,) each.
        size: of the vocabulary.
        width: C.
    """
    counts = np.zeros((size, size))
    for row in ids:
        for distance in range(1, NEIGHBOURS + 1):
            np.add.at(counts, (row[:-distance], row[distance:]), 1.0)
    counts += counts.T
    context = counts.sum(0) ** 0.75
    chance = np.outer(counts.sum(1), context / max(context.sum(), 1.0))
    ratio = np.divide(counts, chance, out=np.ones_like(counts), where=(chance > 0) & (counts > 0))
    values, vectors = np.linalg.eigh(np.log(np.maximum(ratio, 1.0)))
    best = np.argsort(-np.abs(values))[:width]
    found = vectors[:, best] * np.sqrt(np.abs(values[best]))
    found = np.pad(found, ((0, 0), (0, width - len(best))))
    length = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(found / np.where(length > 0, length, 1.0), np.float32)


def masked_subwords(tokens: Array, size: int, generator: np.random.Generator) -> tuple[Array, Array]:
    """Hide `MASKED` of the subwords: of those 8 in 10 as ``<mask>``, 1 as another subword, 1 stays.

    Args:
        tokens: (B, T).
        size: of the vocabulary.
        generator: of what is hidden.

    Returns:
        What the encoder reads, and the subwords that it must find, `PAD` elsewhere; (B, T) each.
    """
    hidden = (generator.random(tokens.shape) < MASKED) & (tokens != PAD)
    how = generator.random(tokens.shape)
    other = generator.integers(len(SPECIALS), max(size, len(SPECIALS) + 1), tokens.shape)
    read = np.where(hidden & (how < 0.8), MASK, np.where(hidden & (how > 0.9), other, tokens))
    return read, np.where(hidden, tokens, PAD)


def shortened(ids: Array) -> Array:
    """At most `LENGTH` subwords of a text (T,): its beginning, and its end in the last quarter.

    >>> shortened(np.arange(200))[[0, 71, 72, 95]].tolist()
    [0, 71, 176, 199]
    """
    if len(ids) <= LENGTH:
        return ids
    end = LENGTH // 4
    return np.concatenate([ids[: LENGTH - end], ids[-end:]])


def padded(rows: Sequence[Array]) -> Array:
    """(B, T) of rows of at most T subwords, filled up with `PAD`; at least one column."""
    table = np.full((len(rows), max([1, *map(len, rows)])), PAD, np.int64)
    for line, row in zip(table, rows, strict=True):
        line[: len(row)] = row
    return table


def _window(ids: Array, generator: np.random.Generator) -> Array:
    """`LENGTH` successive subwords of a longer text, from anywhere in it."""
    start = int(generator.integers(max(1, len(ids) - LENGTH + 1)))
    return ids[start : start + LENGTH]


def text_loss(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Masked subwords while the network is pretrained, then the classes; sums over the encoders.

    In validation always the cross-entropy of the classes by the mean log-odds, in nats.
    """
    if not network.training:
        odds = network(batch["tokens"]).mean(0)
        loss = functional.binary_cross_entropy_with_logits(odds, batch["positive"])
        right = ((odds > 0) == (batch["positive"] > 0)).float().mean()
        return loss, {"accuracy": right, "masked": _masked_loss(network, batch) / len(network.encoders)}  # type: ignore[arg-type]
    if network.pretrains():  # type: ignore[operator]
        return _masked_loss(network, batch), {}
    wanted = batch["positive"] * (1 - SMOOTHING) + SMOOTHING / 2
    each = network(batch["tokens"])
    loss = functional.binary_cross_entropy_with_logits(each, wanted.expand_as(each), reduction="none")
    return loss.mean(1).sum(), {}


def _masked_loss(network: nn.Module, batch: Batch) -> Tensor:
    """Cross-entropy of the hidden subwords in nats, summed over the encoders."""
    at = batch["wanted"] != PAD
    logits = network.filled(batch["masked"], at)  # type: ignore[operator]
    if not logits.shape[1]:
        empty: Tensor = logits.sum()
        return empty
    wanted = batch["wanted"][at].expand(len(logits), -1)
    loss: Tensor = functional.cross_entropy(logits.flatten(0, 1), wanted.flatten()) * len(logits)
    return loss

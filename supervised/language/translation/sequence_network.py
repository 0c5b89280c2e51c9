"""Transformer encoder-decoder with a pointer: subwords of a message and a draft → those of a translation.

Vaswani et al. 2017, with one embedding for source, target and output (Press & Wolf 2017, "Using the output
embedding to improve language models"). A gate mixes the vocabulary's softmax with what an attention points at
(See, Liu & Manning 2017, "Get to the point: summarization with pointer-generator networks"), so that
placeholders, names and whatever the draft has right are copied. The pointer's logits know what follows the
last subword in message and draft, so that the network starts as one that repeats the draft.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sim.records import Array
from supervised.fit import Batch
from supervised.language.attention import Block, KeysValues, positions
from supervised.language.subwords import BEGIN, END, PAD, UNKNOWN
from supervised.language.text_encoder import padded

if TYPE_CHECKING:
    from tokenizers import Tokenizer

LENGTH = 80  # subwords of a message, a draft or a translation that are read
WORD_DROPOUT = 0.1  # of the subwords of messages, in training
SMOOTHING = 0.1  # of the labels
TOKENIZER_ROOM = 16_384  # bytes of the packed tokenizer
PHRASE_ROOM = 98_304  # bytes of the packed phrase table
FOLLOWS = (1.0, 5.0)  # first logit of the pointer for what follows the last subword, in message and draft
GATE = -1.5  # first logit of the vocabulary against the pointer: an untrained network repeats the draft
TINY = 1e-9  # added to probabilities under a logarithm


@dataclass(frozen=True)
class Memory:
    """Encoder outputs that the decoder attends to.

    Attributes:
        tokens: (B, S) subwords of message and draft.
        mask: (B, 1, 1, S), False for padding.
        contexts: keys and values, of each decoder layer.
        pointers: (B, S, C) keys of the pointer.
        before: (B, S) the subword before each, `BEGIN` before the draft, `PAD` before the message.
        parts: (B, S), 1 for the draft.
    """

    tokens: Tensor
    mask: Tensor
    contexts: tuple[KeysValues, ...]
    pointers: Tensor
    before: Tensor
    parts: Tensor


class SequenceNetwork(nn.Module):
    """Encoder-decoder with a pointer; holds its tokenizer and phrase table too.

    Args:
        subwords: V, size of the vocabulary.
        width: C.
        layers: of the encoder, and of the decoder.
        heads: of attention.
        dropout: in training.
    """

    def __init__(self, *, subwords: int, width: int, layers: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(subwords, width, padding_idx=PAD)
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        self.part = nn.Embedding(2, width)  # of the message, of the draft
        self.encoder = nn.ModuleList(Block(width, heads, dropout, feed=2) for _ in range(layers))
        self.encoder_norm = nn.LayerNorm(width)
        self.decoder = nn.ModuleList(
            Block(width, heads, dropout, crossed=True, feed=2) for _ in range(layers)
        )
        self.decoder_norm = nn.LayerNorm(width)
        self.asks, self.points = nn.Linear(width, width), nn.Linear(width, width)
        self.follows = nn.Parameter(torch.tensor(FOLLOWS))
        self.gate = nn.Linear(width, 1)
        nn.init.constant_(self.gate.bias, GATE)
        self.frequency = nn.Parameter(torch.zeros(subwords))
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("tokenizer", torch.zeros(TOKENIZER_ROOM, dtype=torch.uint8))
        self.register_buffer("phrases", torch.zeros(PHRASE_ROOM, dtype=torch.uint8))

    def encode(self, tokens: Tensor, parts: Tensor) -> Memory:
        """Read messages and drafts.

        Args:
            tokens: (B, S).
            parts: (B, S), 0 where it is the message, 1 where it is the draft.
        """
        x = self._embedded(tokens, 0) + self.part(parts)
        mask = (tokens != PAD)[:, None, None]
        for block in self.encoder:
            x, _ = block(x, mask)
        x = self.encoder_norm(x)
        contexts = tuple(block.crossed.keys_values(x) for block in self.decoder)  # type: ignore[union-attr,operator]
        before = functional.pad(tokens[:, :-1], (1, 0), value=PAD)
        starts = (parts == 1) & (functional.pad(parts[:, :-1], (1, 0)) == 0)
        before = before.masked_fill(starts, BEGIN)
        return Memory(tokens, mask, contexts, self.points(x), before, parts)

    def decode(
        self, tokens: Tensor, memory: Memory, caches: Sequence[KeysValues | None] | None = None
    ) -> tuple[Tensor, Tensor, list[KeysValues]]:
        """Predict the subword after each of `tokens` (B, T).

        Args:
            tokens: what was said; with caches only the newest.
            memory: of `encode`, B of them.
            caches: of each layer, of the positions before `tokens`.

        Returns:
            Log-probabilities (B, T, V), the pointer's attention (B, T, S), the caches with these positions.
        """
        caches = caches or [None] * len(self.decoder)
        start = 0 if caches[0] is None else caches[0].keys.shape[2]
        length = tokens.shape[1]
        ones = torch.ones(length, start + length, dtype=torch.bool, device=tokens.device)
        x, grown = self._embedded(tokens, start), []
        for block, cache, context in zip(self.decoder, caches, memory.contexts, strict=True):
            x, now = block(x, ones.tril(start), cache=cache, context=context, context_mask=memory.mask)
            grown.append(now)
        x = self.decoder_norm(x)
        logits = self.asks(x) @ memory.pointers.transpose(1, 2) / x.shape[2] ** 0.5  # (B, T, S)
        last = tokens.clone()
        if not start:
            last[:, 0] = BEGIN
        goes_on = last[:, :, None] == memory.before[:, None]  # (B, T, S)
        logits = logits + goes_on * self.follows[memory.parts][:, None]
        points = logits.masked_fill(~memory.mask[:, 0], -torch.inf).softmax(2)
        said = (x @ self.embedding.weight.T + self.frequency).softmax(2)
        gate = torch.sigmoid(self.gate(x))
        copied = torch.zeros_like(said).scatter_add(
            2, memory.tokens[:, None].expand(-1, length, -1), points * (1 - gate)
        )
        return (gate * said + copied + TINY).log(), points, grown

    def crossed_shares(self, tokens: Tensor, memory: Memory) -> Tensor:
        """Attention (B, T, S) of the last decoder layer over message and draft, the mean of its heads."""
        x, shares = self._embedded(tokens, 0), tokens.new_zeros(0)
        ones = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool, device=tokens.device).tril()
        for block, context in zip(self.decoder, memory.contexts, strict=True):
            normed = block.norm(x)  # type: ignore[operator]
            own = block.attention.keys_values(normed)  # type: ignore[union-attr,operator]
            asks = block.crossed_norm(x + block.attention(normed, own, ones))  # type: ignore[operator]
            shares = block.crossed.shares(asks, context, memory.mask).mean(1)  # type: ignore[union-attr,operator]
            x, _ = block(x, ones, context=context, context_mask=memory.mask)
        return shares

    def _embedded(self, tokens: Tensor, start: int) -> Tensor:
        width = self.embedding.embedding_dim
        x = self.embedding(tokens) * width**0.5
        out: Tensor = self.dropout(x + positions(tokens.shape[1], width, start).to(x.device))
        return out


class SentencePairs:
    """Training examples: batches of pairs of similar length, so that little of them is padding.

    Args:
        messages: N.
        drafts: N.
        translations: N.
        begins: (N,) first token of each translation, that of its language.
        tokenizer: gives the subwords.
        size: subwords of the messages and drafts of one batch, padding among them.
        noisy: whether subwords are dropped, as in training.
    """

    def __init__(
        self,
        messages: Sequence[str],
        drafts: Sequence[str],
        translations: Sequence[str],
        begins: Array,
        tokenizer: Tokenizer,
        *,
        size: int,
        noisy: bool,
    ) -> None:
        self._read = [read_subwords(*both, tokenizer) for both in zip(messages, drafts, strict=True)]
        self._said = [
            np.array([begin, *coded.ids[:LENGTH], END], np.int64)
            for begin, coded in zip(begins, tokenizer.encode_batch(list(translations)), strict=True)
        ]
        self._noisy = noisy
        self._together = similar_lengths([len(tokens) for tokens, _ in self._read], size)

    def __len__(self) -> int:
        """How many batches."""
        return len(self._together)

    def batch(self, rows: Array, generator: np.random.Generator) -> dict[str, Array]:
        """``tokens`` and ``parts`` (B, S) of message and draft, ``said`` (B, T) from first token to end.

        Of all pairs of the batches `rows`.
        """
        rows = np.concatenate([self._together[row] for row in rows])
        tokens, parts = (padded([self._read[row][i] for row in rows]) for i in range(2))
        if self._noisy:
            dropped = (generator.random(tokens.shape) < WORD_DROPOUT) & (tokens > END) & (parts == 0)
            tokens = np.where(dropped, UNKNOWN, tokens)
        return {"tokens": tokens, "parts": parts, "said": padded([self._said[row] for row in rows])}


def similar_lengths(lengths: Sequence[int], size: int) -> list[Array]:
    """Batches of rows of similar length: as many as `size` tokens hold when all are as long as the longest.

    >>> [batch.tolist() for batch in similar_lengths([9, 2, 3, 2], 8)]
    [[1, 3], [2], [0]]
    """
    batches: list[list[int]] = []
    for row in np.argsort(lengths, kind="stable").tolist():
        if batches and (len(batches[-1]) + 1) * lengths[row] <= size:
            batches[-1].append(row)
        else:
            batches.append([row])
    return [np.array(batch, np.int64) for batch in batches]


def read_subwords(message: str, draft: str, tokenizer: Tokenizer) -> tuple[Array, Array]:
    """Subwords (S,) of a message and its draft, each with an end, and which of the two they are (S,)."""
    first, second = ([*tokenizer.encode(text).ids[:LENGTH], END] for text in (message, draft))
    parts = np.repeat(np.arange(2), [len(first), len(second)])
    return np.array([*first, *second], np.int64), parts


def translation_loss(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Cross-entropy in nats a subword, with smoothed labels in training; the share of right subwords."""
    said = batch["said"]
    memory = network.encode(batch["tokens"], batch["parts"])  # type: ignore[operator]
    log, _, _ = network.decode(said[:, :-1], memory)  # type: ignore[operator]
    wanted = said[:, 1:]
    there = wanted != PAD
    smoothing = SMOOTHING if network.training else 0.0
    loss = functional.cross_entropy(log[there], wanted[there], label_smoothing=smoothing)
    return loss, {"right": (log.argmax(2) == wanted)[there].float().mean()}

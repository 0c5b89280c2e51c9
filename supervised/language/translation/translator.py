"""Machine translation on little data: a transformer encoder-decoder that reads a phrase table's draft too.

A phrase table (`supervised.language.translation.word_alignment`) translates what it has seen; the
transformer (`supervised.language.translation.sequence_network`) reads the message and that draft, and writes
the translation, copying from both where it likes (as automatic post-editing does: Junczys-Dowmunt &
Grundkiewicz 2017, "An exploration of neural sequence-to-sequence architectures for automatic post-editing").
Drafts of the training messages come from tables of other messages, so that they are as bad as those of new
ones. Where the transformer is unsure, which with some hundred messages is often, the draft stands. One model
learns several languages, told by its first token; the first of them is graded.

Read from top to bottom: the keys, the model, its baselines and its figure.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
import torch
from torch import Tensor

from sim.fields import Range, Validated
from sim.percept_kind import Kind
from sim.records import Array, Percept
from supervised.base_model import BaseModel
from supervised.data.dataset import Dataset
from supervised.data.sources.splits import Splits
from supervised.data.sources.translations import (
    PLACEHOLDERS,
    hide_placeholders,
    hide_same,
    show_placeholders,
    tidy,
    translation_splits,
)
from supervised.fit import Fit, FitOptions
from supervised.language.attention import KeysValues
from supervised.language.subwords import (
    END,
    SPECIALS,
    learn_subwords,
    pack_subwords,
    pack_text,
    unpack_subwords,
    unpack_text,
)
from supervised.language.translation.alignment_figure import draw_alignment
from supervised.language.translation.beam_search import beam_search
from supervised.language.translation.sequence_network import (
    LENGTH,
    PHRASE_ROOM,
    TOKENIZER_ROOM,
    Memory,
    SentencePairs,
    SequenceNetwork,
    read_subwords,
    translation_loss,
)
from supervised.language.translation.word_alignment import PhraseTable, phrase_table, word_table
from supervised.metrics.percept_metrics import PerceptMetrics
from supervised.metrics.translation import TRANSLATION
from supervised.task import Perceive

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from tokenizers import Tokenizer

VALIDATE_EVERY = 100
FOLDS = 5  # of the training messages, for drafts by tables of the others
#: Message and translation, placeholders hidden in both.
Pair = tuple[str, str]


@dataclass(frozen=True)
class Translator(Validated):
    """Configuration of the ``translator`` perception; its fields are scene keys."""

    reads: ClassVar[str] = "text"
    tells: ClassVar[Kind] = "caption"
    metrics: ClassVar[PerceptMetrics] = TRANSLATION

    data: str = "django"  # of `supervised.data.sources.translations`, or the path of a CSV or folder
    languages: tuple[str, ...] = ("fr", "es", "it")  # that are learned from English; the first is graded
    subwords: Annotated[int, Range(ge=64, le=8192)] = 1000  # of all languages together
    width: Annotated[int, Range(ge=8, le=512)] = 88
    layers: Annotated[int, Range(ge=1, le=12)] = 2  # of the encoder, and of the decoder
    heads: Annotated[int, Range(ge=1, le=16)] = 4
    dropout: Annotated[float, Range(ge=0, lt=1)] = 0.2
    beams: Annotated[int, Range(ge=1, le=64)] = 4
    confidence: Annotated[float, Range(le=0)] = -0.5  # nats a subword, below which the draft stands
    learning_rate: Annotated[float, Range(gt=0)] = 2e-3
    batch_subwords: Annotated[int, Range(ge=1)] = 1500  # of messages and drafts
    weight_decay: Annotated[float, Range(ge=0)] = 1e-2

    def splits(self, path: Path | None, *, seed: int) -> Splits:
        """See `supervised.task.TaskConfig`."""
        return translation_splits(self.data, path, self.languages, seed=seed)

    def build(self, classes: Sequence[str], *, seed: int, device: str = "cpu") -> TranslatorModel:
        """An untrained translator from English to the languages `classes`."""
        return TranslatorModel(self, tuple(classes), seed, device)

    def baselines(self, train: Dataset, *, seed: int) -> Mapping[str, Perceive]:
        """A phrase table, word by word, and the message itself, all with placeholders kept."""
        pairs = hidden_pairs(
            train, np.flatnonzero([one == train["languages"][0] for one in train["languages"]])
        )
        return {
            "phrase table": partial(_each, phrase_table(pairs).translate),
            "word by word": partial(_each, word_table(pairs).translate),
            "copy": partial(_each, str),
        }


class TranslatorModel(BaseModel[SequenceNetwork]):
    """Translator: English strings → captions. Satisfies `supervised.task.TaskModel`."""

    reads = "text"

    def __init__(self, config: Translator, languages: tuple[str, ...], seed: int, device: str) -> None:
        self.config, self.languages = config, languages
        self._packed: bytes | None = None
        self._tokenizer: Tokenizer | None = None
        self._table = PhraseTable({})
        make = partial(
            SequenceNetwork,
            subwords=config.subwords,
            width=config.width,
            layers=config.layers,
            heads=config.heads,
            dropout=config.dropout,
        )
        super().__init__(make, seed=seed, device=device)

    def fit(self, train: Dataset, validation: Dataset, *, seed: int) -> Fit:
        """A fit of the transformer; tokenizer, phrase table and drafts are made here, at once."""
        pairs, drafts = hidden_pairs(train), drafts_of(train)
        own = [i for i, language in enumerate(train["languages"]) if language == self.languages[0]]
        table = phrase_table([pairs[i] for i in own])
        self.network.phrases.copy_(torch.from_numpy(packed_phrases(table)))  # type: ignore[operator]
        if not self.network.tokenizer.any():  # type: ignore[operator]
            self._begin(pairs)
        tokenizer, table = self._unpacked()
        assert tokenizer is not None
        held = hidden_pairs(validation)
        begins = np.array([self._begin_token(language) for language in train["languages"]], np.int64)
        size = self.config.batch_subwords
        examples = (
            SentencePairs(
                [one for one, _ in pairs],
                drafts,
                [one for _, one in pairs],
                begins,
                tokenizer,
                size=size,
                noisy=True,
            ),
            SentencePairs(
                [one for one, _ in held],
                [table.translate(one) for one, _ in held],
                [one for _, one in held],
                np.full(len(held), self._begin_token(self.languages[0])),
                tokenizer,
                size=size,
                noisy=False,
            ),
        )
        options = FitOptions(
            learning_rate=self.config.learning_rate,
            batch_size=1,  # of batches of similar length
            weight_decay=self.config.weight_decay,
            betas=(0.9, 0.98),
            validate_every=VALIDATE_EVERY,
            precision="float32",
        )
        return Fit(self.network, translation_loss, *examples, options, seed=seed, device=str(self.device))

    def _begin(self, pairs: Sequence[Pair]) -> None:
        """Learn the subwords of all languages, and start their logits from how often they stand there."""
        texts = [text for pair in dict.fromkeys(pairs) for text in pair]
        extra = [f"<{language}>" for language in self.languages]
        size = self.config.subwords
        tokenizer = learn_subwords([*texts, *PLACEHOLDERS], size, lowercase=False, extra=extra)
        self.network.tokenizer.copy_(torch.from_numpy(pack_subwords(tokenizer, TOKENIZER_ROOM)))  # type: ignore[operator]
        ids = np.concatenate([one.ids for one in tokenizer.encode_batch([said for _, said in pairs])])
        times = np.bincount(ids.astype(np.int64), minlength=size) + 1.0
        times[END] = len(pairs)
        with torch.no_grad():
            self.network.frequency.copy_(torch.from_numpy(np.log(times / times.sum())))

    def _begin_token(self, language: str) -> int:
        return len(SPECIALS) + self.languages.index(language)

    def _unpacked(self) -> tuple[Tokenizer | None, PhraseTable]:
        """Tokenizer and phrase table of the present weights; None and an empty one before any training."""
        buffers = [getattr(self.network, name).cpu().numpy() for name in ("tokenizer", "phrases")]
        packed = b"".join(buffer.tobytes() for buffer in buffers)
        if packed != self._packed:
            self._packed = packed
            self._tokenizer = unpack_subwords(buffers[0])
            self._table = unpacked_phrases(buffers[1])
        return self._tokenizer, self._table

    def perceive(self, inputs: Sequence[str]) -> list[Percept]:
        """The translation of each text into the first language."""
        return [Percept("model", caption=self.translate(text)) for text in inputs]

    def translate(self, text: str, language: str = "") -> str:
        """The best translation of beam search, or the draft where that is unsure; "" before any training.

        Args:
            text: English.
            language: one of `languages`, the first by default; drafts are of the first.
        """
        tokenizer, table = self._unpacked()
        message, places = hide_placeholders(tidy(text))
        if tokenizer is None or not message:
            return ""
        draft = table.translate(message)
        memory = self._read(message, draft, tokenizer)
        begin = self._begin_token(language or self.languages[0])
        search = CachedDecoder(self.network, memory)
        found = beam_search(
            search.extend, begin=begin, end=END, beams=self.config.beams, longest=LENGTH, alpha=1.0
        )
        sure = found[0].log_probability / (len(found[0].tokens) + 1)
        said = tokenizer.decode(list(found[0].tokens)) if sure >= self.config.confidence else draft
        return " ".join(show_placeholders(said, places).split())

    @torch.no_grad()
    def _read(self, message: str, draft: str, tokenizer: Tokenizer) -> Memory:
        self.network.eval()
        tokens, parts = read_subwords(message, draft, tokenizer)
        read = (torch.from_numpy(array)[None].to(self.device) for array in (tokens, parts))
        memory: Memory = self.network.encode(*read)
        return memory

    @torch.no_grad()
    def alignment(self, text: str, said: str) -> tuple[list[str], list[str], Array]:
        """Words of a translation, words of its message, and where attention looks for each of the former.

        Returns:
            T words of `said`, S words of the message, and (T, S + 1) shares; the last column is the draft's.
        """
        tokenizer, table = self._unpacked()
        message, places = hide_placeholders(tidy(text))
        target = hide_same(said, places)
        if tokenizer is None or not message or not target:
            return [], [], np.zeros((0, 1))
        memory = self._read(message, table.translate(message), tokenizer)
        read, wrote = tokenizer.encode(message), tokenizer.encode(target)
        begin = self._begin_token(self.languages[0])
        tokens = torch.tensor([[begin, *wrote.ids[: LENGTH - 1]]], device=self.device)
        shares = self.network.crossed_shares(tokens, memory)[0, : len(wrote.ids)].double().cpu().numpy()
        rows, columns = (_words_of(one.offsets, x) for one, x in ((wrote, target), (read, message)))
        whole = len(read.ids[:LENGTH])
        table_of = np.zeros((max(rows, default=-1) + 1, max(columns, default=-1) + 2))
        for row, share in zip(rows, shares, strict=False):
            np.add.at(table_of[row], columns[:whole], share[:whole])
            table_of[row, -1] += share[whole + 1 :].sum()
        table_of /= np.maximum(table_of.sum(1, keepdims=True), 1e-9)
        show = partial(show_placeholders, found=places)
        return [show(one) for one in target.split()], [show(one) for one in message.split()], table_of

    def draw(self, figure: Figure, value: str, percept: Percept, truth: Percept | None) -> None:
        """Message, draft, translation and what is right; below them where each word was read."""
        _, table = self._unpacked()
        message, places = hide_placeholders(tidy(value))
        lines = {
            "English": tidy(value),
            "phrase table": show_placeholders(table.translate(message), places),
            "model": percept.caption or "",
        }
        if truth is not None:
            lines["in truth"] = truth.caption or ""
        draw_alignment(figure, lines, *self.alignment(value, percept.caption or ""))


class CachedDecoder:
    """Decoder of one message with a key-value cache: extends hypotheses of a beam search by a token each.

    Args:
        network: in evaluation mode.
        memory: of one message.
    """

    def __init__(self, network: SequenceNetwork, memory: Memory) -> None:
        self._network, self._memory = network, memory
        self._caches: list[KeysValues] | None = None

    @torch.no_grad()
    def extend(self, parents: Sequence[int], tokens: Sequence[int]) -> Array:
        """See `supervised.language.translation.beam_search.Extend`."""
        device = self._memory.tokens.device
        rows = torch.tensor(parents, device=device)
        if self._caches is not None:
            self._caches = [cache.take(rows) for cache in self._caches]
        newest = torch.tensor(tokens, device=device)[:, None]
        log, _, self._caches = self._network.decode(newest, _repeated(self._memory, len(rows)), self._caches)
        return log[:, 0].double().cpu().numpy()


def _repeated(memory: Memory, times: int) -> Memory:
    """One message's memory for several hypotheses, without copying."""

    def wide(x: Tensor) -> Tensor:
        return x.expand(times, *x.shape[1:])

    contexts = tuple(KeysValues(wide(one.keys), wide(one.values)) for one in memory.contexts)
    tokens, mask, pointers = wide(memory.tokens), wide(memory.mask), wide(memory.pointers)
    return Memory(tokens, mask, contexts, pointers, wide(memory.before), wide(memory.parts))


def hidden_pairs(data: Dataset, rows: Array | None = None) -> list[Pair]:
    """Messages and translations with their placeholders hidden; those of `rows`, or all."""
    chosen = data if rows is None else data.take(rows)
    pairs = []
    for message, truth in zip(chosen.values, chosen.truths, strict=True):
        hidden, places = hide_placeholders(message)
        pairs.append((hidden, hide_same(truth.caption or "", places)))
    return pairs


def drafts_of(train: Dataset) -> list[str]:
    """A draft of each training message, by a table of its language that knows no message of its fold."""
    pairs, languages = hidden_pairs(train), list(train["languages"])
    fold = train.episodes % FOLDS
    drafts = [""] * len(pairs)
    for language in dict.fromkeys(languages):
        of = np.array([one == language for one in languages])
        for number in range(FOLDS):
            others = np.flatnonzero(of & (fold != number))
            table = phrase_table([pairs[i] for i in others]) if len(others) else PhraseTable({})
            for i in np.flatnonzero(of & (fold == number)):
                drafts[i] = table.translate(pairs[i][0])
    return drafts


def packed_phrases(table: PhraseTable) -> Array:
    """A phrase table as (PHRASE_ROOM,) uint8; where it is too large, without its longest phrases."""
    rows = sorted(
        ([" ".join(key), said] for key, said in table.phrases.items()), key=lambda r: r[0].count(" ")
    )
    while True:
        try:
            return pack_text(json.dumps(rows, ensure_ascii=False), PHRASE_ROOM)
        except ValueError:
            rows = rows[: len(rows) * 9 // 10]


def unpacked_phrases(packed: Array) -> PhraseTable:
    """The inverse of `packed_phrases`; empty for zeros."""
    rows = json.loads(unpack_text(packed)) if packed.any() else []
    return PhraseTable({tuple(key.split(" ")): said for key, said in rows})


def _words_of(offsets: Sequence[tuple[int, int]], text: str) -> list[int]:
    """Number of the word that each subword ends in; words stand between spaces."""
    return [text[:end].rstrip().count(" ") for _, end in offsets]


def _each(translate: Callable[[str], str], inputs: Sequence[str]) -> list[Percept]:
    """Translate with placeholders hidden, and put them back."""
    percepts = []
    for text in inputs:
        hidden, places = hide_placeholders(tidy(text))
        percepts.append(Percept("model", caption=show_placeholders(translate(hidden), places)))
    return percepts

"""Text classification in two classes: transformer encoders pretrained by masked words, added to n-grams.

With a few thousand texts n-grams are hard to beat, and the encoders err elsewhere: the log-odds of both
are averaged (after Thongtan & Phienthrakul 2019, "Sentiment classification using document embeddings trained
with cosine similarity", and Li et al. 2022, "The document vectors using cosine similarity revisited").

Read from top to bottom: the keys, the model, its baselines and its figure.
`supervised.language.classification.ngram_features` has the n-grams, `supervised.language.text_encoder` the
encoders.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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
from supervised.data.sources.reviews import plain_text, review_splits
from supervised.data.sources.splits import Splits
from supervised.fit import Fit, FitOptions
from supervised.language.classification.ngram_features import (
    WORD,
    NgramClassifier,
    fit_ngrams,
    fit_tfidf,
    logistic_regression,
)
from supervised.language.classification.word_figure import draw_words
from supervised.language.subwords import MASK, learn_subwords, pack_subwords, unpack_subwords
from supervised.language.text_encoder import (
    TextNetwork,
    Texts,
    cooccurrence_embedding,
    padded,
    shortened,
    text_loss,
)
from supervised.metrics.binary import BINARY
from supervised.metrics.percept_metrics import PerceptMetrics
from supervised.task import Perceive

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from tokenizers import Tokenizer

VALIDATE_EVERY = 100
HIDDEN_AT_ONCE = 64  # texts with one word hidden each, of the figure


@dataclass(frozen=True)
class TextClassifier(Validated):
    """Configuration of the ``text_classifier`` perception; its fields are scene keys."""

    reads: ClassVar[str] = "text"
    tells: ClassVar[Kind] = "label"
    metrics: ClassVar[PerceptMetrics] = BINARY

    data: str = "fine-foods"  # of `supervised.data.sources.reviews`, or the path of a CSV: text, label
    subwords: Annotated[int, Range(ge=64, le=4096)] = 1200
    width: Annotated[int, Range(ge=8, le=512)] = 64  # of the encoders
    layers: Annotated[int, Range(ge=1, le=12)] = 1  # of each encoder
    heads: Annotated[int, Range(ge=1, le=16)] = 4  # of attention; they share the width
    encoders: Annotated[int, Range(ge=1, le=8)] = 2
    share: Annotated[float, Range(ge=0, le=1)] = 0.35  # of the encoders in the log-odds, by validation
    dropout: Annotated[float, Range(ge=0, lt=1)] = 0.1
    pretraining: Annotated[int, Range(ge=0)] = 1500  # updates on masked subwords, the first of them
    ngrams: Annotated[int, Range(ge=1, le=1_000_000)] = 8192  # that are kept
    learning_rate: Annotated[float, Range(gt=0)] = 3e-3
    batch_size: Annotated[int, Range(ge=1)] = 32
    weight_decay: Annotated[float, Range(ge=0)] = 1e-2

    def splits(self, path: Path | None, *, seed: int) -> Splits:
        """See `supervised.task.TaskConfig`."""
        return review_splits(self.data, path, seed=seed)

    def build(self, classes: Sequence[str], *, seed: int, device: str = "cpu") -> TextClassifierModel:
        """An untrained classifier of two classes.

        Raises:
            ValueError: for another number of classes, or heads that do not share the width evenly.
        """
        if len(classes) != 2:
            raise ValueError(f"a text classifier has two classes, not {len(classes)}")
        return TextClassifierModel(self, tuple(classes), seed, device)

    def baselines(self, train: Dataset, *, seed: int) -> Mapping[str, Perceive]:
        """TF-IDF of words and pairs with logistic regression, as usual; the model's n-grams alone."""
        classes = tuple(sorted({truth.label or "" for truth in train.truths}))
        texts, positive = list(train.values), _positive(train, classes)
        tfidf, ngrams = fit_tfidf(texts, positive), fit_ngrams(texts, positive, self.ngrams)
        return {
            "TF-IDF": partial(_by_ngrams, tfidf, classes),
            "n-grams": partial(_by_ngrams, ngrams, classes),
        }


class TextClassifierModel(BaseModel[TextNetwork]):
    """Text classifier: strings → one of two labels, and how sure. Satisfies `supervised.task.TaskModel`."""

    reads = "text"

    def __init__(self, config: TextClassifier, classes: tuple[str, ...], seed: int, device: str) -> None:
        self.config, self.classes = config, classes
        self._packed: bytes | None = None
        self._tokenizer: Tokenizer | None = None
        make = partial(
            TextNetwork,
            subwords=config.subwords,
            width=config.width,
            layers=config.layers,
            heads=config.heads,
            encoders=config.encoders,
            dropout=config.dropout,
            pretraining=config.pretraining,
            ngrams=config.ngrams,
        )
        super().__init__(make, seed=seed, device=device)

    def fit(self, train: Dataset, validation: Dataset, *, seed: int) -> Fit:
        """A fit of the encoders; tokenizer, first embedding and n-grams are learned here, at once."""
        texts = list(train.values)
        positive, held = _positive(train, self.classes), _positive(validation, self.classes)
        ngrams = fit_ngrams(texts, positive, self.config.ngrams)
        self._take(ngrams, calibration(ngrams.logits(list(validation.values)), held))
        if not self.network.tokenizer.any():  # type: ignore[operator]
            self._begin_encoders(texts)
        tokenizer = self._subwords()
        assert tokenizer is not None
        options = FitOptions(
            learning_rate=self.config.learning_rate,
            batch_size=min(self.config.batch_size, len(train)),
            weight_decay=self.config.weight_decay,
            validate_every=VALIDATE_EVERY,
            precision="float32",
        )
        examples = (
            Texts(texts, positive, tokenizer, noisy=True),
            Texts(list(validation.values), held, tokenizer, noisy=False),
        )
        return Fit(self.network, text_loss, *examples, options, seed=seed, device=str(self.device))

    def _take(self, ngrams: NgramClassifier, line: tuple[float, float]) -> None:
        """Put the n-grams into the network; `line` is slope and bias of their calibrated log-odds."""
        kept, network = len(ngrams.hashes), self.network
        network.ngram_hashes[:kept] = torch.from_numpy(ngrams.hashes)  # type: ignore[operator]
        for name, array in (("ratio", ngrams.ratio), ("rarity", ngrams.rarity), ("weights", ngrams.weights)):
            getattr(network, f"ngram_{name}")[..., :kept] = torch.from_numpy(array)
        slope, bias = line
        network.ngram_line.copy_(torch.tensor([slope, slope * ngrams.bias + bias]))  # type: ignore[operator]

    def _begin_encoders(self, texts: Sequence[str]) -> None:
        """Learn the subwords, and start their embedding and logits from how they stand in the texts."""
        network, size = self.network, self.config.subwords
        tokenizer = learn_subwords(texts, size, lowercase=True)
        network.tokenizer.copy_(torch.from_numpy(pack_subwords(tokenizer)))  # type: ignore[operator]
        ids = [np.array(one.ids, np.int64) for one in tokenizer.encode_batch(list(texts))]
        times = np.bincount(np.concatenate(ids), minlength=size) + 1.0
        with torch.no_grad():
            first = cooccurrence_embedding(ids, size, self.config.width)
            network.embedding.weight[: len(first)].copy_(torch.from_numpy(first))
            network.frequency.copy_(torch.from_numpy(np.log(times / times.sum())))

    def _subwords(self) -> Tokenizer | None:
        """The tokenizer of the present weights; None before any training."""
        packed = self.network.tokenizer.cpu().numpy().tobytes()  # type: ignore[operator]
        if packed != self._packed:
            self._packed = packed
            self._tokenizer = unpack_subwords(np.frombuffer(packed, np.uint8))
        return self._tokenizer

    def _ngrams(self) -> NgramClassifier:
        """The n-gram classifier of the present weights, its log-odds calibrated."""
        parts = [
            getattr(self.network, f"ngram_{name}").cpu().numpy()
            for name in ("hashes", "ratio", "rarity", "weights", "line")
        ]
        hashes, ratio, rarity, weights, (slope, bias) = parts
        return NgramClassifier(hashes.astype(np.int64), ratio, rarity, slope * weights, float(bias))

    def log_odds(self, texts: Sequence[str]) -> tuple[Array, Array]:
        """Log-odds (N,) of the first class, by the n-grams and by the encoders."""
        tokenizer = self._subwords()
        if tokenizer is None:
            return np.zeros(len(texts)), np.zeros(len(texts))
        ids = [shortened(np.array(one.ids, np.int64)) for one in tokenizer.encode_batch(list(texts))]
        return self._ngrams().logits(texts), self._encoded(ids)

    @torch.no_grad()
    def _encoded(self, ids: Sequence[Array]) -> Array:
        """Mean log-odds (N,) by the encoders, of subwords (T,) each."""
        self.network.eval()
        parts = [ids[i : i + HIDDEN_AT_ONCE] for i in range(0, len(ids), HIDDEN_AT_ONCE)]
        each: list[Tensor] = [
            self.network(torch.from_numpy(padded(part)).to(self.device)).mean(0) for part in parts
        ]
        return torch.cat(each).double().cpu().numpy() if each else np.zeros(0)

    def perceive(self, inputs: Sequence[str]) -> list[Percept]:
        """The likelier class of each text, and its probability."""
        if not len(inputs):
            return []
        by_ngrams, by_encoders = self.log_odds([plain_text(text) for text in inputs])
        share = self.config.share
        return _labelled((1 - share) * by_ngrams + share * by_encoders, self.classes)

    def word_contributions(self, text: str) -> tuple[list[str], Array]:
        """The words of a plain text, and (W,) what each adds to the log-odds of the first class.

        What it adds to the n-grams, exactly, and by how much the encoders' log-odds fall when its subwords
        are hidden, where they read them; each by its share.
        """
        spans = [(found.start(), found.end()) for found in re.finditer(r"\S+", text)]
        words = [text[start:end] for start, end in spans]
        added = np.zeros(len(words))
        tokenizer = self._subwords()
        if tokenizer is None or not words:
            return words, added
        at = np.zeros(len(text) + 1, np.int64)  # character → number of its word
        for number, (start, end) in enumerate(spans):
            at[start:end] = number
        parts = self._ngrams().contributions(text)
        for found, part in zip(WORD.finditer(text), parts.tolist(), strict=True):
            added[at[found.start()]] += part * (1 - self.config.share)
        coded = tokenizer.encode(text)
        ids = shortened(np.array(coded.ids, np.int64))
        owner = shortened(at[[end - 1 for _, end in coded.offsets]])
        seen = np.unique(owner)
        odds = self._encoded([ids, *(np.where(owner == one, MASK, ids) for one in seen)])
        added[seen] += (odds[0] - odds[1:]) * self.config.share
        return words, added

    def draw(self, figure: Figure, value: str, percept: Percept, truth: Percept | None) -> None:
        """The text, its words coloured by what they add to the log-odds."""
        text = plain_text(value)
        words, added = self.word_contributions(text)
        by_ngrams, by_encoders = (float(odds[0]) for odds in self.log_odds([text]))
        sure = "" if percept.scores is None else f"  {float(percept.scores[0]):.0%}"
        right = "" if truth is None else f"   (in truth {truth.label})"
        first, second = self.classes
        share = self.config.share
        draw_words(
            figure,
            words,
            added,
            heading=f"{percept.label}{sure}{right}",
            note=f'log-odds of "{first}": {1 - share:.0%} n-grams {by_ngrams:+.2f}, '
            f"{share:.0%} encoders {by_encoders:+.2f}",
            sides=(second, first),
        )


def calibration(odds: Array, positive: Array) -> tuple[float, float]:
    """Slope and bias that make log-odds fit held-out classes (Platt 1999); (1, 0) where one class lacks.

    >>> odds = np.repeat([2.0, -2.0], 50)
    >>> slope, bias = calibration(odds, np.arange(100) % 50 < 25)
    >>> abs(round(slope, 3)), abs(round(bias, 3))
    (0.0, 0.0)
    """
    from scipy import sparse

    if positive.all() or not positive.any():
        return 1.0, 0.0
    weights, bias = logistic_regression(sparse.csr_array(odds[:, None]), positive, 1.0)
    return max(float(weights[0]), 0.0), bias


def _positive(data: Dataset, classes: Sequence[str]) -> Array:
    """(N,) bool: whose class is the first."""
    return np.array([truth.label == classes[0] for truth in data.truths])


def _labelled(odds: Array, classes: Sequence[str]) -> list[Percept]:
    """Labels with confidences, of log-odds (N,) of the first class."""
    sure = 1 / (1 + np.exp(-np.abs(np.clip(odds, -500, 500))))
    return [
        Percept("model", label=classes[int(one < 0)], scores=np.array([share]))
        for one, share in zip(odds.tolist(), sure.tolist(), strict=True)
    ]


def _by_ngrams(ngrams: NgramClassifier, classes: Sequence[str], inputs: Sequence[str]) -> list[Percept]:
    return _labelled(ngrams.logits([plain_text(text) for text in inputs]), classes)

"""Language model: a small GPT that learns to tell the next token of a text, and writes by doing so.

Chess games are read as moves, all else as characters. Beside the cross-entropy of the next token, a model of
games learns which moves the rules allow (`supervised.language.generation.rules_loss`), as 5,000 games show
too few of them. What it writes is not checked by the rules: an illegal move ends a game and counts as such.

Read from top to bottom: the keys, the model, its loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sim.fields import Range, Validated
from sim.percept_kind import Kind
from sim.records import Percept
from sim.viewer.contract.moment import Readout
from supervised.base_model import BaseModel
from supervised.data.dataset import Dataset
from supervised.data.sources.splits import DataError, Splits
from supervised.data.sources.texts import game_splits, text_splits
from supervised.fit import Batch, Fit, FitOptions
from supervised.language.generation.decoding import (
    Decoding,
    DecodingStep,
    decode,
    greedy,
    probabilities,
    sampler,
)
from supervised.language.generation.figures import draw_text, draw_writing
from supervised.language.generation.gpt import Gpt, GptShape
from supervised.language.generation.notation import (
    CharacterNotation,
    Encoded,
    GameTranscript,
    MoveNotation,
    Notation,
    Transcript,
    numbered,
)
from supervised.language.generation.packing import IGNORED, Document, PackedRows
from supervised.language.generation.rules_loss import RulesLoss
from supervised.metrics.percept_metrics import PerceptMetrics
from supervised.metrics.text import TEXT, SampleGrades, ShareTally
from supervised.task import Frame, Perceive, WrittenText

if TYPE_CHECKING:
    pass

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Takes tokens (B,); gives their marks (B,) and states (B, F / 8).
Push: TypeAlias = Callable[[Tensor], tuple[Tensor, Tensor | None]]

VALIDATE_EVERY = 50
FOLLOWING = 4  # tokens of the continuation that `perceive` tells; of characters this times ten
LIKELIEST = 8  # next tokens that `perceive` tells with their probabilities
LEGAL_PLIES = 40  # to which generated games are graded
SHOWN = 10  # likeliest tokens in the window
GRADED = 250  # generated games: a minute


@dataclass(frozen=True)
class LanguageModel(Validated):
    """Configuration of the ``language_model`` perception; its fields are scene keys."""

    reads: ClassVar[str] = "text"
    tells: ClassVar[Kind] = "caption"
    metrics: ClassVar[PerceptMetrics] = TEXT

    data: str = "master-games"  # of `supervised.data.sources.texts`, or the path of a file
    tokens: Literal["moves", "characters"] = "moves"
    documents: Annotated[int, Range(ge=10)] = 5_000  # at most, drawn at random
    width: Annotated[int, Range(ge=8, le=4096)] = 80
    layers: Annotated[int, Range(ge=1, le=64)] = 2
    heads: Annotated[int, Range(ge=1, le=64)] = 4
    block: Annotated[int, Range(ge=8, le=8192)] = 256  # tokens that attention spans
    board: bool = True  # beside each move the position it leads to, which the moves before it imply
    rules: Annotated[float, Range(ge=0)] = 5.0  # weight of the semantic loss of legal moves
    dropout: Annotated[float, Range(ge=0, lt=1)] = 0.0
    learning_rate: Annotated[float, Range(gt=0)] = 3e-3
    batch_size: Annotated[int, Range(ge=1)] = 16  # rows of `block` tokens
    weight_decay: Annotated[float, Range(ge=0)] = 0.1
    temperature: Annotated[float, Range(gt=0, le=10)] = 0.5  # of what it writes
    top_k: Annotated[int, Range(ge=0)] = 0  # most likely tokens that are drawn from; 0: all
    top_p: Annotated[float, Range(gt=0, le=1)] = 0.9  # or as many as have this probability together

    def __post_init__(self) -> None:
        """Refuse a width that the heads cannot share.

        Raises:
            ValueError: naming both.
        """
        super().__post_init__()
        if self.width % self.heads:
            raise ValueError(f"width {self.width} cannot be shared evenly by {self.heads} heads")

    def splits(self, path: Path | None, *, seed: int) -> Splits:
        """See `supervised.task.TaskConfig`."""
        read = game_splits if self.tokens == "moves" else text_splits
        return read(self.data, path, most=self.documents, seed=seed)

    def build(self, classes: Sequence[str], *, seed: int, device: str = "cpu") -> LanguageModelNet:
        """An untrained model; `classes` are the characters, none where tokens are moves."""
        return LanguageModelNet(self, tuple(classes), seed, device)

    def baselines(self, train: Dataset, *, seed: int) -> Mapping[str, Perceive]:
        """Kneser–Ney n-grams of characters, and of moves where tokens are those; xz."""
        from supervised.language.generation.ngram_language_model import text_baselines

        return text_baselines(train, self.tokens == "moves")

    @property
    def decoding(self) -> Decoding:
        """How it chooses what it writes."""
        return Decoding(self.temperature, self.top_k, self.top_p)

    def grade_samples(self, model: LanguageModelNet, splits: Splits, *, seed: int) -> SampleGrades | None:
        """Share of games that it writes whose first 40 plies are legal; None of other texts."""
        if self.tokens != "moves":
            return None
        written = model.write(GRADED, "", seed, most=LEGAL_PLIES)
        legal = np.array([one.legal for one in written])
        different = len({one.text for one in written}) / len(written)
        return SampleGrades(
            ShareTally({"legal": legal}),
            breakdown={"generated games": {"different": different}},
            protocol=self.decoding.protocol() | {"generated": str(GRADED), "plies": str(LEGAL_PLIES)},
        )


class LanguageModelNet(BaseModel[Gpt]):
    """Language model: texts → how likely they are, and what comes next.

    Satisfies `supervised.task.TaskModel`, `supervised.task.Writes` and `supervised.task.Performs`.
    """

    reads = "text"
    pace = 1.5  # tokens a second in the window

    def __init__(self, config: LanguageModel, classes: tuple[str, ...], seed: int, device: str) -> None:
        self.config = config
        self.notation: Notation = MoveNotation() if config.tokens == "moves" else CharacterNotation(classes)
        shape = GptShape(
            self.notation.size,
            self.notation.marks,
            self.notation.features if config.board else 0,
            config.width,
            config.layers,
            config.heads,
            config.block,
        )
        own = self.notation.parts
        parts = None if own is None else torch.from_numpy(own)
        super().__init__(lambda: Gpt(shape, parts, config.dropout), seed=seed, device=device)
        self.network.eval()

    def fit(self, train: Dataset, validation: Dataset, *, seed: int) -> Fit:
        """A fit to packed rows of whole texts."""
        config = self.config
        learned, held_out = (packed(self.notation, part, config.block) for part in (train, validation))
        options = FitOptions(
            learning_rate=config.learning_rate,
            batch_size=config.batch_size,
            weight_decay=config.weight_decay,
            betas=(0.9, 0.99),
            warmup_updates=30,
            validate_every=VALIDATE_EVERY,
        )
        loss = partial(next_token_loss, rules=config.rules)
        return Fit(self.network, loss, learned, held_out, options, seed=seed, device=str(self.device))

    def perceive(self, inputs: Sequence[str]) -> list[Percept]:
        """For each text its most likely continuation, and as extras what `supervised.metrics.text` reads.

        Raises:
            DataError: for a text that is none of this notation, such as a game with an illegal move.
        """
        return [self._told(text) for text in inputs]

    @torch.no_grad()
    def _told(self, text: str) -> Percept:
        self.network.eval()
        encoded = self._encode(text)
        logits = self.logits(encoded)  # (T + 1, V)
        targets = torch.from_numpy(encoded.tokens).to(self.device)
        nats = functional.cross_entropy(logits[:-1], targets, reduction="none").cpu().numpy()
        probability, numbers = logits[-1].softmax(-1).topk(LIKELIEST)
        transcript = self.notation.transcript(text)
        names = [transcript.name(int(number)) for number in numbers]
        extras: dict[str, Any] = {
            "nats": nats,
            "characters": int(encoded.characters.sum()),
            "words": encoded.words,
            "next": list(zip(names, probability.tolist(), strict=True)),
        }
        return Percept("model", caption=self._continuation(text, encoded), extras=extras)

    def _encode(self, text: str) -> Encoded:
        try:
            return self.notation.encode(text)
        except ValueError as error:
            raise DataError(f'"{text[:40]}": {error}') from error

    @torch.no_grad()
    def logits(self, encoded: Encoded) -> Tensor:
        """(T + 1, V) float64: of the token at each place of a text given those before, and of the next one.

        A text longer than the block is read in pieces, each as if it began there.
        """
        inputs, block = self._inputs(encoded), self.config.block
        found = []
        for at in range(0, len(encoded.tokens) + 1, block):
            piece = [None if part is None else part[:, at : at + block] for part in inputs]
            found.append(self.network(*piece)[0])
        return torch.cat(found).double()

    def _inputs(self, encoded: Encoded) -> list[Tensor | None]:
        """Tokens and marks (1, T + 1), with the start before them, and states (1, T + 1, F / 8)."""
        tokens = np.concatenate([[self.notation.start], encoded.tokens])
        marks = np.concatenate([[0], encoded.marks])
        parts = (tokens, marks, encoded.states)
        return [None if part is None else torch.from_numpy(part)[None].to(self.device) for part in parts]

    def _continuation(self, text: str, encoded: Encoded) -> str:
        """The likeliest tokens one after another; of moves each with its probability."""
        transcript = self.notation.transcript(text)
        begun = len(transcript.words)
        moves = isinstance(self.notation, MoveNotation)
        odds = []
        following = FOLLOWING if moves else FOLLOWING * 10
        for step in self._decode(self._inputs(encoded), greedy, [transcript]):
            if transcript.over or len(transcript.words) - begun >= following:
                break
            odds.append(float(step.logits[0].softmax(-1).max()))
        words = transcript.words[begun:]
        if not moves:
            return "".join(words)
        told = [f"{word} ({p:.0%})" for word, p in zip(words, odds, strict=True)]
        return numbered(told, begun)

    def _pushed(self, transcripts: Sequence[Transcript]) -> Push:
        """Appends tokens (B,) to the transcripts that go on; gives their marks (B,) and states (B, F / 8)."""

        def push(tokens: Tensor) -> tuple[Tensor, Tensor | None]:
            pairs = zip(transcripts, tokens.tolist(), strict=True)
            marks = torch.tensor([0 if one.over else one.push(token) for one, token in pairs])
            states = [state for one in transcripts if (state := one.state()) is not None]
            features = torch.from_numpy(np.stack(states)).to(tokens.device) if states else None
            return marks.to(tokens.device), features

        return push

    def draw(self, figure: Figure, value: str, percept: Percept, truth: Percept | None) -> None:
        """See `supervised.language.generation.figures.draw_text`."""
        draw_text(figure, percept, truth)

    def perform(self, splits: Splits, *, seed: int) -> Iterator[Frame]:
        """Texts that it writes, one after another, token by token, with the probability of each next one."""
        for number in count():
            transcript = self.notation.transcript("")
            choose = sampler(self.config.decoding, seed + number)
            inputs = self._inputs(self._encode(""))
            self.network.eval()
            for step in self._decode(inputs, choose, [transcript]):
                yield self._frame(transcript, step)
                if transcript.over or len(transcript.words) + 2 >= self.config.block:
                    break

    def _frame(self, transcript: Transcript, step: DecodingStep) -> Frame:
        """The token that is about to be appended to a transcript."""
        odds = probabilities(step.logits, self.config.decoding)[0]
        own = step.logits[0].softmax(-1)
        p, numbers = own.topk(SHOWN)
        bars = [(transcript.name(int(i)), float(q)) for i, q in zip(numbers, p, strict=True)]
        token = int(step.tokens[0])
        chosen = transcript.name(token)
        game = isinstance(transcript, GameTranscript)
        text = numbered([*transcript.words, chosen]) if game else transcript.text() + chosen
        board = transcript.picture() if isinstance(transcript, GameTranscript) else None
        readouts = (
            Readout("drawn", chosen),
            Readout("probability", round(float(own[token]), 3)),
            Readout("tokens drawn from", f"{int((odds > 0).sum()):,}"),
        )
        draw = partial(draw_writing, text=text, odds=bars, chosen=chosen, board=board)
        return Frame(draw, readouts=readouts)

    def _decode(
        self,
        inputs: Sequence[Tensor | None],
        choose: Callable[[Tensor], Tensor],
        transcripts: Sequence[Transcript],
    ) -> Iterator[DecodingStep]:
        """Choose tokens that are appended to the transcripts; see `decoding.decode`."""
        tokens, marks, features = inputs
        assert tokens is not None and marks is not None
        return decode(self.network, tokens, marks, choose, self._pushed(transcripts), features)

    def write(self, n: int, prompt: str, seed: int, *, most: int | None = None) -> list[WrittenText]:
        """Texts that go on from a prompt, drawn with the scene's temperature, top-k and top-p.

        Args:
            n: how many.
            prompt: the beginning of all of them; empty for none.
            seed: of the draw.
            most: tokens of a text at most, the prompt's too; None: as many as attention spans.

        Raises:
            DataError: for a prompt that is no text of this notation.
        """
        encoded = self._encode(prompt)
        most = self.config.block - 1 if most is None else most
        transcripts = [self.notation.transcript(prompt) for _ in range(n)]
        inputs = [None if part is None else part.repeat_interleave(n, 0) for part in self._inputs(encoded)]
        self.network.eval()
        odds: list[list[float]] = [[] for _ in range(n)]
        choose = sampler(self.config.decoding, seed)
        for step in self._decode(inputs, choose, transcripts):
            chosen = step.logits.softmax(-1).gather(-1, step.tokens[:, None])[:, 0].tolist()
            for one, own, p in zip(transcripts, odds, chosen, strict=True):
                own += [] if one.over else [p]
            if all(one.over or len(one.words) + 1 >= most for one in transcripts):
                break
        begun = len(encoded.words)
        return [
            WrittenText(one.text(), tuple(one.words[begun:]), tuple(own), one.legal)
            for one, own in zip(transcripts, odds, strict=True)
        ]


def packed(notation: Notation, data: Dataset, block: int) -> PackedRows:
    """Training examples of a data set of `supervised.data.sources.texts`."""
    if not isinstance(notation, MoveNotation):
        nothing = np.zeros(0, np.int64)
        whole = [f"{text}{truth.caption}" for text, truth in zip(data.values, data.truths, strict=True)]
        encoded = [notation.encode(text) for text in whole]
        ends = [(notation.start, nothing, np.zeros(len(one.tokens) + 1, np.int64)) for one in encoded]
    else:
        results = np.arange(len(notation.moves), notation.start + 1)
        encoded, ends = [], []
        names = ("moves", "boards", "legal", "legal_counts")
        columns = (data.values, *(data[name] for name in names), data.truths)
        for text, moves, boards, legal, counts, truth in zip(*columns, strict=True):
            encoded.append(notation.encoded(tuple(text.split()), moves, boards))
            allowed = np.concatenate([legal, results])
            ends.append((notation.end(truth.caption or ""), allowed, np.append(counts, len(results))))
    documents = [
        Document(
            np.concatenate([[notation.start], one.tokens]),
            np.concatenate([[0], one.marks]),
            np.concatenate([one.tokens, [end]]),
            one.states,
            allowed.astype(np.int64),
            counts.astype(np.int64),
        )
        for one, (end, allowed, counts) in zip(encoded, ends, strict=True)
    ]
    return PackedRows(documents, block)


def next_token_loss(network: nn.Module, batch: Batch, rules: float) -> tuple[Tensor, dict[str, Tensor]]:
    """Cross-entropy of the next token, in nats, and where there are rules the semantic loss of them.

    In validation the loss is the cross-entropy alone.
    """
    names = ("tokens", "marks", "features", "documents", "positions")
    logits = network(*(batch.get(name) for name in names))
    learned = batch["targets"] != IGNORED
    targets = batch["targets"][learned]
    if "allowed" not in batch:
        return functional.cross_entropy(logits[learned].float(), targets), {}
    weight = rules if network.training else 0.0
    loss, entropy, unlawful = RulesLoss.apply(logits[learned], targets, batch["allowed"][learned], weight)  # type: ignore[no-untyped-call]
    return loss, {"nats": entropy, "illegal": unlawful}

"""Image captioning of games: a recurrent decoder with attention, constrained to a caption grammar.

A convolutional encoder gives a map of features, 16 pixels a cell, plus a learned position embedding; a GRU
decoder gives one token at a time and attends to the cells before each (Xu et al. 2015, "Show, Attend and
Tell"; several heads as in Vaswani et al. 2017, section 3.2.2). Decoding is greedy among the tokens that
`supervised.captions.constrained_decoding` allows, so every caption is a sentence of a grammar.

One image does not show motion: the sentences are those of `supervised.captions.caption_grammars.STILLS`.

Read from top to bottom: the keys, the network, examples, loss, the captioner that perceives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from sim.percept_kind import Kind
from sim.records import Array, Percept
from supervised.base_model import BaseModel
from supervised.captions.caption_grammars import STILLS, parse
from supervised.captions.constrained_decoding import ConstrainedDecoder
from supervised.captions.grammar import join, split
from supervised.data.dataset import Dataset
from supervised.fit import Batch, Fit, FitOptions
from supervised.tensors import Precision
from supervised.vision.unet import conv

HEIGHT, WIDTH = 210, 160  # pixels of an Atari screen, which other images are scaled to
CELL = 16  # pixels
SMALL = 64  # pixels on a side of generated images
ROWS, COLUMNS = -(-HEIGHT // CELL), WIDTH // CELL
GLANCES = 4  # attention heads
VALIDATE_EVERY = 250  # updates; also where a fit can be stopped and saved
NOTHING = 0  # begin-of-sequence and padding token; words count from 1


@dataclass(frozen=True)
class Captioner:
    """Configuration of the ``captioner`` perception; its fields are scene keys."""

    tells: ClassVar[Kind] = "caption"

    worlds: tuple[str, ...] = ()  # that it captions; none: the scene's own
    channels: int = 16  # at half resolution; twice, four and six times as many at coarser ones
    learning_rate: float = 2e-3
    batch_size: int = 16
    views: int = 6_000  # training images; a tenth as many more to validate
    shrunk: float = 0.0  # the share of them downscaled to 64 × 64, the size of generated images
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        """Refuse values out of range.

        Raises:
            ValueError: naming the field.
        """
        for name in ("channels", "batch_size", "views"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.channels % 4:
            raise ValueError(f"channels must be a multiple of 4, not {self.channels}")
        if not 0 <= self.shrunk <= 1:
            raise ValueError(f"shrunk must be in [0, 1], not {self.shrunk}")
        if not 0 < self.learning_rate:
            raise ValueError(f"learning_rate must be above 0, not {self.learning_rate}")

    def build(self, classes: Sequence[str], *, seed: int, device: str = "cpu") -> CaptionerModel:
        """An untrained captioner with the vocabulary `classes`.

        Raises:
            ValueError: if no game's grammar has all its tokens among them.
        """
        return CaptionerModel(self, tuple(classes), seed, device)


class CaptionNetwork(nn.Module):
    """Captioning network: images (N, 3, HEIGHT, WIDTH) in [0, 1] and tokens (N, T) → next-token logits."""

    def __init__(self, channels: int, words: int) -> None:
        super().__init__()
        wide = 6 * channels
        self.encoder = nn.Sequential(
            conv(3, channels, 2), conv(channels, 2 * channels, 2), conv(2 * channels, 4 * channels, 2),
            conv(4 * channels, wide, 2), nn.Conv2d(wide, wide, 3, 1, 1),
        )  # fmt: skip
        self.rows = nn.Parameter(torch.randn(ROWS, 1, wide) / 2)
        self.columns = nn.Parameter(torch.randn(1, COLUMNS, wide) / 2)
        self.cell = nn.Linear(wide, 2 * wide)  # keys and values
        self.words = nn.Embedding(words + 1, wide)
        self.memory = nn.GRUCell(2 * wide, wide)
        self.question = nn.Linear(wide, wide)
        self.answer = nn.Sequential(nn.Linear(2 * wide, 2 * wide), nn.ReLU(), nn.Linear(2 * wide, words + 1))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Encode images: attention keys (N, GLANCES, D, cells) and values (N, GLANCES, cells, D)."""
        cells = self.encoder(x).permute(0, 2, 3, 1) + self.rows + self.columns  # (N, ROWS, COLUMNS, C)
        keys, values = self.cell(functional.relu(cells.flatten(1, 2))).chunk(2, 2)
        keys, values = (part.unflatten(2, (GLANCES, -1)).transpose(1, 2) for part in (keys, values))
        return keys.transpose(2, 3), values

    def begin(self, n: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """The decoder's initial state: hidden vector and attended features, zeros (N, C) each."""
        return (torch.zeros(n, self.question.in_features, device=device),) * 2

    def step(
        self, cells: tuple[Tensor, Tensor], state: tuple[Tensor, Tensor], token: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """One decoder step after `token` (N,): features (N, 2 C) of the next token, and the new state."""
        keys, values = cells
        memory, seen = state
        memory = self.memory(torch.cat([self.words(token), seen], 1), memory)
        question = self.question(memory).unflatten(1, (GLANCES, 1, -1))
        share = (question @ keys / question.shape[-1] ** 0.5).softmax(3)  # (N, GLANCES, 1, cells)
        seen = (share @ values).flatten(1)
        return torch.cat([memory, seen], 1), (memory, seen)

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """Logits (N, T, words + 1) of the tokens that follow each of `tokens` (N, T)."""
        cells, state = self.encode(x), self.begin(len(x), x.device)
        each = []
        for token in tokens.unbind(1):
            told, state = self.step(cells, state, token)
            each.append(told)
        logits: Tensor = self.answer(torch.stack(each, 1))
        return logits


class CaptionExamples:
    """Training examples of the captioner: images, a share of them downscaled, and token indices."""

    def __init__(self, views: Dataset, words: Sequence[str], shrunk: float) -> None:
        self._views, self._shrunk = views, shrunk
        number = {word: i for i, word in enumerate(words, start=1)}
        said = [[number[token] for token in split(truth.caption or "")] for truth in views.truths]
        self._tokens = np.full((len(said), 1 + max(map(len, said))), NOTHING, np.int64)
        for row, tokens in zip(self._tokens, said, strict=True):
            row[1 : 1 + len(tokens)] = tokens

    def __len__(self) -> int:
        """How many pictures."""
        return len(self._views)

    def batch(self, rows: Array, generator: np.random.Generator) -> dict[str, Array]:
        """Images (B, H, W, 3) uint8, and ``tokens`` (B, 1 + T) int64, begun and padded with `NOTHING`."""
        rgb = self._views.values[rows]
        for i in np.flatnonzero(generator.random(len(rows)) < self._shrunk):
            rgb[i] = reduce_resolution(rgb[i])
        return {"rgb": rgb, "tokens": self._tokens[rows]}


def reduce_resolution(rgb: Array) -> Array:
    """Downscale an image (H, W, 3) uint8 to 64 × 64 and upscale it again, as generated images are."""
    small = Image.fromarray(rgb).resize((SMALL, SMALL), Image.Resampling.BOX)
    return np.asarray(small.resize((rgb.shape[1], rgb.shape[0]), Image.Resampling.BILINEAR))


def caption_loss(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Cross-entropy of each token given the image and the true tokens before it (teacher forcing)."""
    tokens = batch["tokens"]
    logits = network(from_rgb(batch["rgb"]), tokens[:, :-1]).float()
    wanted = tokens[:, 1:]
    loss = functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=NOTHING)
    right = (logits.argmax(2) == wanted) | (wanted == NOTHING)
    return loss, {"tokens": right.float().mean(), "sentences": right.all(1).float().mean()}


def from_rgb(rgb: Tensor) -> Tensor:
    """Images (N, H, W, 3) uint8 of any size → (N, 3, HEIGHT, WIDTH) in [0, 1]."""
    x = rgb.permute(0, 3, 1, 2).float() / 255
    if x.shape[2:] != (HEIGHT, WIDTH):
        x = functional.interpolate(x, (HEIGHT, WIDTH), mode="bilinear", antialias=True)
    return x


class CaptionerModel(BaseModel[CaptionNetwork]):
    """Captioner: images → sentences and the numbers in them. Satisfies `sim.protocols.Perception`."""

    reads = "rgb"

    def __init__(self, config: Captioner, words: tuple[str, ...], seed: int, device: str) -> None:
        self.config, self.words = config, words
        known = set(words)
        self._ways = ConstrainedDecoder([one for one in STILLS.values() if known.issuperset(one.vocabulary)])
        self._number = {word: i for i, word in enumerate(words, start=1)}
        super().__init__(lambda: CaptionNetwork(config.channels, len(words)), seed=seed, device=device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def fit(self, train: Dataset, validation: Dataset, *, seed: int) -> Fit:
        """A fit of this captioner to captioned images."""
        options = FitOptions(
            learning_rate=self.config.learning_rate,
            batch_size=self.config.batch_size,
            precision=self.config.precision,
            weight_decay=1e-3,
            max_grad_norm=1.0,
            validate_every=VALIDATE_EVERY,
        )
        shrunk = self.config.shrunk
        examples = CaptionExamples(train, self.words, shrunk), CaptionExamples(validation, self.words, shrunk)
        return Fit(self.network, caption_loss, *examples, options, seed=seed, device=str(self.device))

    @torch.no_grad()
    def perceive(self, inputs: Sequence[Array]) -> list[Percept]:
        """A caption, and the numbers in it as facts, of each image (H, W, 3) uint8 of any size."""
        return [self._said(rgb) for rgb in inputs]

    def _said(self, rgb: Array) -> Percept:
        picture = torch.from_numpy(np.ascontiguousarray(rgb))[None].to(self.device)
        caption = join(self._spoken(from_rgb(picture)))
        facts = {name: value for name, value in parse(caption).items() if isinstance(value, int)}
        return Percept(origin="model", caption=caption, facts=facts)

    def _spoken(self, picture: Tensor) -> list[str]:
        """Greedy constrained decoding: the tokens of a caption of one image (1, 3, HEIGHT, WIDTH)."""
        network = self.network
        cells, state = network.encode(picture), network.begin(1, self.device)
        place, token, tokens = self._ways.start, NOTHING, list[str]()
        while choices := self._ways.choices(place):
            told, state = network.step(cells, state, torch.tensor([token], device=self.device))
            word = choices[0]
            if len(choices) > 1:  # a single choice needs no logits
                allowed = [self._number[choice] for choice in choices]
                word = choices[int(network.answer(told)[0, allowed].argmax())]
            tokens.append(word)
            token, place = self._number[word], self._ways.after(place, word)
        return tokens

"""Pictures from sentences: diffusion against a sketch of what the caption says.

A small transformer (Vaswani et al. 2017) reads the sentence, in words of its own captions, and a small
decoder turns the meaning into a sketch: the mean of all pictures that this sentence fits, in which digits
stand where they must and a paddle is a shadow over all the places that it may have; and beside it, because a
ball of two pixels that may be anywhere in a ninth of the picture hardly shows in a mean, how much stands out
in each neighbourhood. To learn a mean from captions takes minutes, and many captions: from 10,000 of Pong it
learns by heart what goes together by chance and is further from unseen pictures than the mean of all, from
43,000 it is not. What is left to the denoising network is to choose, place by place, what the noise
shows of what the sketch allows; so it may be small, as it hears of the sentence where it matters.

(A network that attends to words, as in Rombach et al. 2022, learned next to nothing in the same time: what a
word means is then only told by how well noise is taken away, and in small things that is little. For the same
reason nothing of how well the denoising network does comes back to the sketch.)

Beside the noise the network is shown the sketch and where each cell lies (Liu et al. 2018, "CoordConv").
Guidance works as with classes: in one example of ten the sentence is withheld, and an empty one stands for
none.

Sentences come from a grammar (`supervised.wording`), so that what a picture shows can be held to what
was asked for. A word that no caption has is refused by name.

Read from top to bottom: the keys, tokens, reader and sketch, the network, the loss, the model that samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from generative.canvas import Canvas, DenoiserOf, sampled, trace
from generative.collection import Collection, Spec
from generative.conditions import ConditionError, check_condition
from generative.diffusion import (
    WEIGHTS,
    WITHHELD,
    Diffusion,
    Noised,
    diffusion_loss,
    fit_options,
    guided,
    unet,
)
from sim.checkpoints import Layout
from sim.records import Array, Condition, SampleOptions, Samples
from supervised.fit import Batch, Fit
from supervised.grammar import split
from supervised.learned import Learned

LONGEST = 48  # tokens of a sentence
NOTHING = 0  # the token that fills the places behind a sentence
HEADS = 4
LEAST = 4  # cells on a side where a sketch begins
NEAR = (2, 4, 8)  # cells on a side of the neighbourhoods that a sketch tells of
WEIGHT_NEAR = 0.02  # of what it tells of them in its error: pixels stray about a fiftieth as much


@dataclass(frozen=True)
class TextToImage(Diffusion):
    """The scene keys of ``text_to_image``."""

    data: str = "frames/pong"
    channels: tuple[int, ...] = (24, 32, 32)
    attention: bool = True
    backdrop: bool = True  # always: the sketch
    width: int = 64  # of the reader
    depth: int = 2  # layers of the reader

    def __post_init__(self) -> None:
        """Refuse values out of range.

        Raises:
            ValueError: naming the field.
        """
        super().__post_init__()
        if self.width < HEADS or self.width % HEADS:
            raise ValueError(f"width must be a multiple of {HEADS}, not {self.width}")
        if self.depth < 1:
            raise ValueError(f"depth must be at least 1, not {self.depth}")
        if not self.backdrop:
            raise ValueError("text_to_image always draws against its sketch: leave backdrop out")

    def build(self, spec: Spec, *, seed: int, device: str = "cpu") -> TextToImageModel:  # type: ignore[override]
        """A fresh model for pictures with captions.

        Raises:
            ValueError: if the data have no captions, are no pictures, or cannot be folded and halved evenly.
        """
        if not spec.words:
            raise ValueError(f'the data "{self.data}" have no captions to draw from: use diffusion')
        return TextToImageModel(self, spec, seed, device)


def tokens(sentences: Sequence[str], words: Sequence[str]) -> Array:
    """(N, 48) int64: each word's place among `words`, from 1, and 0 behind the sentence.

    Raises:
        ConditionError: if a sentence is too long.

    >>> tokens(["The ball rests.", ""], [".", "ball", "rests", "the"])[:, :6].tolist()
    [[4, 2, 3, 1, 0, 0], [0, 0, 0, 0, 0, 0]]
    """
    number = {word: i for i, word in enumerate(words, start=1)}
    found = np.full((len(sentences), LONGEST), NOTHING, np.int64)
    for row, sentence in zip(found, sentences, strict=True):
        said = [number[word] for word in split(sentence)]
        if len(said) > LONGEST:
            raise ConditionError(f"the text has {len(said)} words and stops, at most {LONGEST} are read")
        row[: len(said)] = said
    return found


class Reader(nn.Module):
    """(n, 48) tokens → (n, `width`), what a sentence says.

    In float32 throughout: it is too small to gain by less, and both fits in bfloat16 on CUDA became NaN,
    where five of reader and sketch alone in float32 did not.
    """

    def __init__(self, words: int, width: int, depth: int) -> None:
        super().__init__()
        self.word = nn.Embedding(words + 1, width)
        self.place = nn.Parameter(0.02 * torch.randn(LONGEST + 1, width))
        self.whole = nn.Parameter(0.02 * torch.randn(1, 1, width))  # reads along and gathers the meaning
        layer = nn.TransformerEncoderLayer(
            width, HEADS, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.out = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width))

    def forward(self, sentence: Tensor) -> Tensor:
        """See the class."""
        x = torch.cat([self.whole.expand(len(sentence), -1, -1), self.word(sentence)], 1) + self.place
        silent = nn.functional.pad(sentence == NOTHING, (1, 0))  # never the place that reads along
        read: Tensor = self.out(self.layers(x, src_key_padding_mask=silent)[:, 0])
        return read


class Sketch(nn.Module):
    """(n, `width`) → (n, `channels`, h, w), how the pictures of what was read differ from all, on average."""

    def __init__(self, width: int, channels: int, cells: tuple[int, int]) -> None:
        super().__init__()
        doublings = max(0, math.ceil(math.log2(max(cells) / LEAST)))
        self._cells, self._least = cells, [-(-side // 2**doublings) for side in cells]
        widths = [64, *[48] * doublings]
        self.start = nn.Linear(width, widths[0] * math.prod(self._least))
        self.grow = nn.Sequential(nn.SiLU())
        for before, after in pairwise(widths):
            self.grow.append(nn.ConvTranspose2d(before, after, 4, stride=2, padding=1)).append(nn.SiLU())
        self.grow.append(nn.Conv2d(widths[-1], channels, 1))

    def forward(self, read: Tensor) -> Tensor:
        """See the class."""
        height, width = self._cells
        differs: Tensor = self.grow(self.start(read).view(len(read), -1, *self._least))
        return differs[..., :height, :width]  # where doubling went beyond


class TextNetwork(nn.Module):
    """Reader, sketch and UNet: (n, c, h, w), t, (n, 48) tokens → ``.sample`` (n, c, h, w)."""

    def __init__(self, config: TextToImage, canvas: Canvas, words: int) -> None:
        from generative.backdrop import AgainstSketch, coordinates  # imports diffusers

        super().__init__()
        told = canvas.channels + len(NEAR)
        beside = told + len(coordinates(*canvas.cells))
        self.drawing = AgainstSketch(unet(config, canvas, beside=beside), canvas)
        self.text = nn.ModuleDict(
            {
                "reader": Reader(words, config.width, config.depth),
                "sketch": Sketch(config.width, told, canvas.cells),
            }
        )

    def sketched(self, sentence: Tensor) -> Tensor:
        """(n, 48) tokens → (n, c + 3, h, w): the picture, and how much stands out near each cell."""
        with torch.autocast(sentence.device.type, enabled=False):
            read = self.text["reader"](sentence)
        told: Tensor = self.text["sketch"](read)
        return told

    def forward(self, x: Tensor, t: Tensor, sentence: Tensor) -> Any:
        """See the class."""
        return self.drawing(x, t, self.sketched(sentence))


def text_loss(network: TextNetwork, batch: Batch, canvas: Canvas) -> tuple[Tensor, dict[str, Tensor]]:
    """The velocity's error, as `diffusion_loss`, and the sketch's: what has the least is the mean picture."""
    sketch = network.sketched(batch["told"])
    loss, figures = diffusion_loss(network.drawing, {**batch, "told": sketch.detach()}, canvas)
    differs = canvas.folded(batch["rgb"]) - network.drawing.backdrop.pictures
    error = (sketch[:, : canvas.channels].float() - differs).square().mean()
    error_near = (sketch[:, canvas.channels :].float() - standing_out(differs)).square().mean()
    return loss + error + WEIGHT_NEAR * error_near, figures | {"sketch": error, "near": error_near}


def standing_out(differs: Tensor) -> Tensor:
    """(n, c, h, w) → (n, 3, h, w): the most that a pixel of the same 2 × 2, 4 × 4 and 8 × 8 cells differs."""
    most = differs.abs().amax(1, keepdim=True)
    height, width = most.shape[-2:]
    blocks = [nn.functional.max_pool2d(most, k, ceil_mode=True) for k in NEAR]
    spread = [
        block.repeat_interleave(k, 2).repeat_interleave(k, 3)[..., :height, :width]
        for k, block in zip(NEAR, blocks, strict=True)
    ]
    return torch.cat(spread, 1)


class TextToImageModel(Learned[TextNetwork]):
    """Draws what a sentence says. Satisfies `sim.protocols.SamplerModel` and `Traces`."""

    def __init__(self, config: TextToImage, spec: Spec, seed: int, device: str) -> None:
        self.config, self.spec = config, spec
        self.canvas = config.canvas(spec)
        super().__init__(lambda: TextNetwork(config, self.canvas, len(spec.words)), seed=seed, device=device)
        self.network.eval()

    def fit(self, train: Collection, validation: Collection, *, seed: int) -> Fit:
        """A fit of this model to pictures and their captions; what is kept are averaged weights."""
        self.network.drawing.backdrop.measure(train.values, train.labels, self.canvas)
        train_examples = self._examples(train, WITHHELD)
        validation_examples = self._examples(validation, 0.0)
        return Fit(
            self.network,
            partial(text_loss, canvas=self.canvas),
            train_examples,
            validation_examples,
            fit_options(self.config),
            seed=seed,
            device=str(self.device),
        )

    def _examples(self, collection: Collection, withheld: float) -> Noised:
        """Its pictures and tokens; where nothing is said of a picture, it is learned without a sentence."""
        silence = np.full(LONGEST, NOTHING, np.int64)
        return Noised(
            collection.values, tokens(collection.captions, self.spec.words), silence, self.canvas, withheld
        )

    def layout(self) -> Layout:
        """A checkpoint's files: the UNet and the scheduler as diffusers keeps them, the rest beside."""
        network: Any = self.network.drawing.unet
        files = {
            "drawing.unet.": f"unet/{WEIGHTS}",
            "drawing.backdrop.": f"backdrop/{WEIGHTS}",
            "text.": "text/model.safetensors",
        }
        told = {
            "unet/config.json": network.to_json_string(),
            "backdrop/config.json": self.network.drawing.backdrop.to_json_string(),
            "scheduler/scheduler_config.json": self.config.solver().to_json_string(),
        }
        return Layout(files, told)

    def sample(self, n: int, condition: Condition, options: SampleOptions, seed: int) -> Samples:
        """`n` pictures.

        Args:
            n: how many.
            condition: a `text` that all of them show, or anything goes; a `frame` with a `mask`, of which
                what is hidden is filled in; or a `latent` (H·W·3,) or (n, H·W·3), the noise to start from.
            options: all of them; filling in has its own scheduler.
            seed: of noise; sample i depends on (seed, i) alone.

        Raises:
            ConditionError: for a condition that it cannot honour, such as a word that no caption has.
            ValueError: for an unknown scheduler.
        """
        denoisers = self._denoisers(condition, [condition.text or ""], options)
        drawn = sampled(self.canvas, denoisers, n, condition, options, seed, self.device)
        return Samples(drawn, seed, condition)

    def trace(self, n: int, condition: Condition, options: SampleOptions, seed: int) -> Iterator[Array]:
        """The same pictures (n, H, W, 3) uint8 in the making: the noise, then one yield a step."""
        denoisers = self._denoisers(condition, [condition.text or ""], options)
        return trace(self.canvas, denoisers, n, condition, options, seed, self.device)

    def illustrate(self, texts: Sequence[str], options: SampleOptions, seed: int) -> Array:
        """A picture (H, W, 3) uint8 of each of n sentences; of one it is the first that `sample` gives.

        Raises:
            ConditionError: for a word that no caption has.
        """
        for text in texts:
            check_condition(Condition(text=text), self.spec, {"text"})
        denoisers = self._denoisers(Condition(), texts, options)
        return sampled(self.canvas, denoisers, len(texts), Condition(), options, seed, self.device)

    @torch.no_grad()
    def _denoisers(self, condition: Condition, texts: Sequence[str], options: SampleOptions) -> DenoiserOf:
        """Numbers of samples → what the network says of those, which are told one text each, or all the one.

        Texts are read once.
        """
        check_condition(condition, self.spec, {"text", "frame", "mask", "latent"})
        sentences = torch.from_numpy(tokens([*texts, ""], self.spec.words)).to(self.device)
        told, untold = torch.split(self.network.sketched(sentences), [len(texts), 1])

        def of(rows: range) -> Any:
            own = told[rows.start : rows.stop] if len(texts) > 1 else told.expand(len(rows), -1, -1, -1)
            return guided(self.network.drawing, own, untold.expand(len(rows), -1, -1, -1), options.guidance)

        return of

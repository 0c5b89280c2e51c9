"""Pictures from sentences: diffusion that is told what a caption says.

A small transformer (Vaswani et al. 2017) reads the sentence, in words of its own captions, and its answer
joins the time in every block of the network (as classes do in Dhariwal & Nichol 2021). Guidance works as
with classes: in one example of ten the sentence is withheld, and an empty one stands for none.

Sentences come from a grammar (`supervised.wording`), so that what a picture shows can be held to what
was asked for. A word that no caption has is refused by name.

Read from top to bottom: the keys, tokens, the reader, the network, the model that samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from generative.canvas import Canvas, DenoiserOf, canvas_of, sampled, trace
from generative.collection import Collection, Spec
from generative.conditions import ConditionError, check_condition
from generative.diffusion import (
    WEIGHTS,
    WITHHELD,
    Diffusion,
    Noised,
    against_backdrop,
    diffusion_loss,
    fit_options,
    guided,
    unet,
)
from generative.noise import scheduler
from sim.checkpoints import Layout
from sim.records import Array, Condition, SampleOptions, Samples
from supervised.fit import Fit
from supervised.grammar import split
from supervised.learned import Learned

LONGEST = 48  # tokens of a sentence
NOTHING = 0  # the token that fills the places behind a sentence
HEADS = 4


@dataclass(frozen=True)
class TextToImage(Diffusion):
    """The scene keys of ``text_to_image``."""

    data: str = "frames/pong"
    channels: tuple[int, ...] = (48, 64, 64)
    fold: int = 4
    width: int = 128  # of the reader
    depth: int = 2  # its layers

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
    """(n, 48) tokens → (n, `out`): what a sentence says."""

    def __init__(self, words: int, width: int, depth: int, out: int) -> None:
        super().__init__()
        self.word = nn.Embedding(words + 1, width)
        self.place = nn.Parameter(0.02 * torch.randn(LONGEST + 1, width))
        self.whole = nn.Parameter(0.02 * torch.randn(1, 1, width))  # reads along and gathers the meaning
        layer = nn.TransformerEncoderLayer(
            width, HEADS, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.out = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, out))

    def forward(self, sentence: Tensor) -> Tensor:
        """See the class."""
        x = torch.cat([self.whole.expand(len(sentence), -1, -1), self.word(sentence)], 1) + self.place
        silent = nn.functional.pad(sentence == NOTHING, (1, 0))  # never the place that reads along
        meaning: Tensor = self.out(self.layers(x, src_key_padding_mask=silent)[:, 0])
        return meaning


class TextNetwork(nn.Module):
    """The reader beside diffusers' UNet: (n, 3p², h, w), t, (n, 48) tokens → ``.sample`` (n, 3p², h, w)."""

    def __init__(self, config: TextToImage, canvas: Canvas, words: int) -> None:
        super().__init__()
        told_meaning = unet(config, canvas, class_embed_type="identity")
        self.unet = against_backdrop(config, told_meaning, canvas, classes=0)
        # As wide as the time's embedding, which diffusers makes four times the first map's channels.
        self.text = Reader(words, config.width, config.depth, 4 * config.channels[0])

    def forward(self, x: Tensor, t: Tensor, sentence: Tensor) -> Any:
        """See the class."""
        return self.unet(x, t, self.text(sentence))


class TextToImageModel(Learned[TextNetwork]):
    """Draws what a sentence says. Satisfies `sim.protocols.SamplerModel` and `Traces`."""

    def __init__(self, config: TextToImage, spec: Spec, seed: int, device: str) -> None:
        self.config, self.spec = config, spec
        self.canvas = canvas_of(spec, config.fold, len(config.channels) - 1, config.prediction)
        super().__init__(lambda: TextNetwork(config, self.canvas, len(spec.words)), seed=seed, device=device)
        self.network.eval()

    def fit(self, train: Collection, validation: Collection, *, seed: int) -> Fit:
        """A fit of this model to pictures and their captions; what is kept are averaged weights."""
        if self.config.backdrop:
            drawing: Any = self.network.unet
            drawing.backdrop.measure(train.values, train.labels, self.canvas)
        train_examples = self._examples(train, WITHHELD)
        validation_examples = self._examples(validation, 0.0)
        options, loss = fit_options(self.config), partial(diffusion_loss, canvas=self.canvas)
        return Fit(
            self.network,
            loss,
            train_examples,
            validation_examples,
            options,
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
        """A checkpoint's files: the UNet and the scheduler as diffusers keeps them, the reader beside."""
        network: Any = self.network.unet
        files = {"unet.": f"unet/{WEIGHTS}"}
        told = {"scheduler/scheduler_config.json": scheduler(self.config.prediction).to_json_string()}
        if self.config.backdrop:
            files = {"unet.unet.": f"unet/{WEIGHTS}", "unet.backdrop.": f"backdrop/{WEIGHTS}"}
            told["backdrop/config.json"] = network.backdrop.to_json_string()
            network = network.unet
        told["unet/config.json"] = network.to_json_string()
        return Layout(files | {"text.": "text/model.safetensors"}, told)

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
        denoisers = self._denoisers(condition, options)
        drawn = sampled(self.canvas, denoisers, n, condition, options, seed, self.device)
        return Samples(drawn, seed, condition)

    def trace(self, n: int, condition: Condition, options: SampleOptions, seed: int) -> Iterator[Array]:
        """The same pictures (n, H, W, 3) uint8 in the making: the noise, then one yield a step."""
        denoisers = self._denoisers(condition, options)
        return trace(self.canvas, denoisers, n, condition, options, seed, self.device)

    @torch.no_grad()
    def _denoisers(self, condition: Condition, options: SampleOptions) -> DenoiserOf:
        """Numbers of samples → what the network says of those; the sentence is read once."""
        check_condition(condition, self.spec, {"text", "frame", "mask", "latent"})
        both = torch.from_numpy(tokens([condition.text or "", ""], self.spec.words)).to(self.device)
        told, untold = self.network.text(both).split(1)

        def of(rows: range) -> Any:
            n = len(rows)
            return guided(self.network.unet, told.expand(n, -1), untold.expand(n, -1), options.guidance)

        return of

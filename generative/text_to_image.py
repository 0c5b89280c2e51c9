"""Pictures from sentences: diffusion that is told what a caption says.

A small transformer (Vaswani et al. 2017) reads the sentence, in words of its own captions. On all but its
finest map the network attends to every word (Rombach et al. 2022), and the meaning of the whole joins the
time in every block (as classes do in Dhariwal & Nichol 2021). Beside the noise it is shown where each cell
lies (Liu et al. 2018, "CoordConv"): without that a convolution knows of "high on the left" only what seeps in
from the edges. Guidance works as with classes: in one example of ten the sentence is withheld, and an empty
one stands for none.

Sentences come from a grammar (`supervised.wording`), so that what a picture shows can be held to what
was asked for. A word that no caption has is refused by name.

Read from top to bottom: the keys, tokens, the reader, the network, the model that samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from generative.canvas import Canvas, DenoiserOf, sampled, trace
from generative.collection import Collection, Spec
from generative.conditions import ConditionError, check_condition
from generative.diffusion import (
    GROUPS,
    WEIGHTS,
    WITHHELD,
    Diffusion,
    Noised,
    against_backdrop,
    diffusion_loss,
    fit_options,
    guided,
)
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
    attention: bool = False  # to words on the finest map too; on the coarser ones always
    width: int = 64  # of the reader and of the time's embedding
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
    """(n, 48) tokens → (n, 49, `width`): what a sentence says, whole and at each word; silence is zeros."""

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
        read: Tensor = self.out(self.layers(x, src_key_padding_mask=silent))
        return read.masked_fill(silent[..., None], 0.0)


def attentive_unet(config: TextToImage, canvas: Canvas) -> nn.Module:
    """The `UNet2DConditionModel` of diffusers: words are attended to on all maps, or all but the finest."""
    from diffusers import UNet2DConditionModel  # seconds of imports that listing and refusing do without

    coarser = len(config.channels) - 1
    finest = "CrossAttn" if config.attention else ""
    network: Any = UNet2DConditionModel(
        sample_size=canvas.cells,
        in_channels=canvas.channels + len(coordinates(*canvas.cells)),
        out_channels=canvas.channels,
        block_out_channels=config.channels,
        down_block_types=(f"{finest}DownBlock2D", *["CrossAttnDownBlock2D"] * coarser),
        up_block_types=(*["CrossAttnUpBlock2D"] * coarser, f"{finest}UpBlock2D"),
        layers_per_block=config.layers,
        norm_num_groups=GROUPS,
        resnet_time_scale_shift="scale_shift",
        cross_attention_dim=config.width,
        attention_head_dim=HEADS,  # diffusers means their number
        time_embedding_dim=config.width,
        class_embed_type="identity",  # the meaning of the whole, just added to the time
    )
    network.set_default_attn_processor()  # on a CPU, PyTorch's fused attention learns maps this small slowly
    attentive: nn.Module = network
    return attentive


def coordinates(height: int, width: int) -> Tensor:
    """(14, `height`, `width`): y and x from −1 to 1, and sines and cosines of a half, one and two turns."""
    y, x = torch.linspace(-1, 1, height), torch.linspace(-1, 1, width)
    at = torch.stack(torch.meshgrid(y, x, indexing="ij"))
    turns = torch.cat([math.pi * k * at for k in (0.5, 1, 2)])
    return torch.cat([at, turns.sin(), turns.cos()])


class Placed(nn.Module):
    """x (n, 3p², h, w), t, what was read (n, 49, width) → ``.sample`` (n, 3p², h, w); `unet` sees places."""

    places: Tensor  # (14, h, w)

    def __init__(self, unet: nn.Module, cells: tuple[int, int]) -> None:
        super().__init__()
        self.unet = unet
        self.register_buffer("places", coordinates(*cells), persistent=False)

    def forward(self, x: Tensor, t: Tensor, read: Tensor) -> Any:
        """See the class."""
        x = torch.cat([x, self.places.to(x).expand(len(x), -1, -1, -1)], 1)
        return self.unet(x, t, read, class_labels=read[:, 0], encoder_attention_mask=read.any(-1))


class TextNetwork(nn.Module):
    """The reader beside the UNet: (n, 3p², h, w), t, (n, 48) tokens → ``.sample`` (n, 3p², h, w)."""

    def __init__(self, config: TextToImage, canvas: Canvas, words: int) -> None:
        super().__init__()
        placed = Placed(attentive_unet(config, canvas), canvas.cells)
        self.drawing = against_backdrop(config, placed, canvas, classes=0)
        self.text = Reader(words, config.width, config.depth)

    def forward(self, x: Tensor, t: Tensor, sentence: Tensor) -> Any:
        """See the class."""
        return self.drawing(x, t, self.text(sentence))


class TextToImageModel(Learned[TextNetwork]):
    """Draws what a sentence says. Satisfies `sim.protocols.SamplerModel` and `Traces`."""

    def __init__(self, config: TextToImage, spec: Spec, seed: int, device: str) -> None:
        self.config, self.spec = config, spec
        self.canvas = config.canvas(spec)
        super().__init__(lambda: TextNetwork(config, self.canvas, len(spec.words)), seed=seed, device=device)
        self.network.eval()

    def fit(self, train: Collection, validation: Collection, *, seed: int) -> Fit:
        """A fit of this model to pictures and their captions; what is kept are averaged weights."""
        if self.config.backdrop:
            drawing: Any = self.network.drawing
            drawing.backdrop.measure(train.values, train.labels, self.canvas)
        train_examples = self._examples(train, WITHHELD)
        validation_examples = self._examples(validation, 0.0)
        return Fit(
            self.network,
            partial(diffusion_loss, canvas=self.canvas),
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
        """A checkpoint's files: the UNet and the scheduler as diffusers keeps them, the reader beside."""
        drawing: Any = self.network.drawing
        inside, files = "drawing.", {}
        told = {"scheduler/scheduler_config.json": self.config.solver().to_json_string()}
        if self.config.backdrop:
            inside, files = "drawing.unet.", {"drawing.backdrop.": f"backdrop/{WEIGHTS}"}
            told["backdrop/config.json"] = drawing.backdrop.to_json_string()
            drawing = drawing.unet
        told["unet/config.json"] = drawing.unet.to_json_string()
        files = {f"{inside}unet.": f"unet/{WEIGHTS}"} | files | {"text.": "text/model.safetensors"}
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
        sentences = torch.from_numpy(tokens([condition.text or "", ""], self.spec.words)).to(self.device)
        told, untold = self.network.text(sentences).split(1)

        def of(rows: range) -> Any:
            n = len(rows)
            both = told.expand(n, -1, -1), untold.expand(n, -1, -1)
            return guided(self.network.drawing, *both, options.guidance)

        return of

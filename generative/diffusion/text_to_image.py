"""Text to image: diffusion conditioned on a sketch, the mean image predicted from the caption.

A small transformer (Vaswani et al. 2017) encodes the caption, and a small decoder predicts a sketch from it:
the mean of all images with this caption, in which digits are sharp and a paddle is a blur over its possible
places; and beside it, because a ball of two pixels somewhere in a ninth of the image hardly shows in a mean,
the largest deviation from the mean in each neighbourhood. Learning the mean takes minutes, and many captions:
from 10,000 of Pong it overfits to chance correlations and is further from held-out images than the mean of
all, from 43,000 it is not. The denoising network then only has to choose among what the sketch allows, so it
may be small: the condition is given to it where it matters.

(A network that attends to words, as in Rombach et al. 2022, learned next to nothing in the same time: it
learns a word's meaning only from the denoising loss, to which small objects contribute little. For the same
reason no gradient of the denoising loss reaches the sketch.)

The network's input is the noisy image, the sketch and a position encoding (Liu et al. 2018, "CoordConv").
Classifier-free guidance works as with classes: the caption is dropped in one example of ten, and an empty one
is the null condition.

Captions come from a grammar (`supervised.captions.caption_grammars`), so that samples can be checked against
their prompt. A word that no caption has is refused by name.

Read from top to bottom: the keys, tokens, text encoder and sketch, the network, the loss, the sampler.
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

from generative.conditions import ConditionError, check_condition
from generative.diffusion.guidance import guided
from generative.diffusion.image_diffusion import (
    WEIGHTS,
    WITHHELD,
    Diffusion,
    DiffusionExamples,
    diffusion_loss,
    fit_options,
    unet,
)
from generative.diffusion.pixel_maps import DenoiserOf, PixelMaps, sample_images, trace
from sim.records import Array, Condition, SampleOptions, Samples
from sim.storage.checkpoints import CheckpointLayout
from supervised.base_model import BaseModel
from supervised.captions.grammar import split
from supervised.data.dataset import Dataset, Spec
from supervised.fit import Batch, Fit

LONGEST = 48  # tokens of a caption at most
NOTHING = 0  # the padding token
HEADS = 4
LEAST = 4  # cells on a side of the sketch decoder's coarsest map
NEAR = (2, 4, 8)  # cells on a side of the neighbourhoods of local maximum deviations
WEIGHT_NEAR = 0.02  # loss weight of the local maximum deviations: pixels vary about a fiftieth as much


@dataclass(frozen=True)
class TextToImage(Diffusion):
    """Configuration of the ``text_to_image`` sampler; its fields are scene keys."""

    data: str = "frames/pong"
    channels: tuple[int, ...] = (24, 32, 32)
    attention: bool = True
    backdrop: bool = True  # always: the sketch
    width: int = 64  # of the text encoder
    depth: int = 2  # layers of the text encoder

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
        """An untrained model for images with captions.

        Raises:
            ValueError: if the data have no captions, are no images, or cannot be folded and halved evenly.
        """
        if not spec.words:
            raise ValueError(f'the data "{self.data}" have no captions to draw from: use diffusion')
        return TextToImageModel(self, spec, seed, device)


def tokens(sentences: Sequence[str], words: Sequence[str]) -> Array:
    """Tokenize sentences: (N, 48) int64, each word's index in `words` from 1, padded with 0.

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


class TextEncoder(nn.Module):
    """Text encoder, a transformer: tokens (n, 48) → embeddings (n, `width`).

    In float32 throughout: it is too small to gain by less, and both fits in bfloat16 on CUDA became NaN,
    where five of reader and sketch alone in float32 did not.
    """

    def __init__(self, words: int, width: int, depth: int) -> None:
        super().__init__()
        self.word = nn.Embedding(words + 1, width)
        self.place = nn.Parameter(0.02 * torch.randn(LONGEST + 1, width))
        self.whole = nn.Parameter(0.02 * torch.randn(1, 1, width))  # class token
        layer = nn.TransformerEncoderLayer(
            width, HEADS, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.out = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width))

    def forward(self, sentence: Tensor) -> Tensor:
        """See the class."""
        x = torch.cat([self.whole.expand(len(sentence), -1, -1), self.word(sentence)], 1) + self.place
        silent = nn.functional.pad(sentence == NOTHING, (1, 0))  # padding; never the class token
        read: Tensor = self.out(self.layers(x, src_key_padding_mask=silent)[:, 0])
        return read


class SketchDecoder(nn.Module):
    """Sketch decoder: text embeddings (n, `width`) → predicted mean residual images (n, `channels`, h, w)."""

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
        return differs[..., :height, :width]  # upsampling may give more


class TextNetwork(nn.Module):
    """Text encoder, sketch decoder and UNet: x_t (n, c, h, w), t, tokens (n, 48) → ``.sample`` like x_t."""

    def __init__(self, config: TextToImage, canvas: PixelMaps, words: int) -> None:
        from generative.diffusion.mean_image import SketchResidualDenoiser, coordinates  # imports diffusers

        super().__init__()
        told = canvas.channels + len(NEAR)
        beside = told + len(coordinates(*canvas.cells))
        self.drawing = SketchResidualDenoiser(unet(config, canvas, beside=beside), canvas)
        self.text = nn.ModuleDict(
            {
                "reader": TextEncoder(words, config.width, config.depth),
                "sketch": SketchDecoder(config.width, told, canvas.cells),
            }
        )

    def sketched(self, sentence: Tensor) -> Tensor:
        """Sketches (n, c + 3, h, w) of tokens (n, 48): mean residual image and local maximum deviations."""
        with torch.autocast(sentence.device.type, enabled=False):
            read = self.text["reader"](sentence)
        told: Tensor = self.text["sketch"](read)
        return told

    def forward(self, x: Tensor, t: Tensor, sentence: Tensor) -> Any:
        """See the class."""
        return self.drawing(x, t, self.sketched(sentence))


def text_loss(network: TextNetwork, batch: Batch, canvas: PixelMaps) -> tuple[Tensor, dict[str, Tensor]]:
    """Text-to-image loss: `diffusion_loss` plus the sketch's squared error, which the mean minimises."""
    sketch = network.sketched(batch["told"])
    loss, figures = diffusion_loss(network.drawing, {**batch, "told": sketch.detach()}, canvas)
    differs = canvas.folded(batch["rgb"]) - network.drawing.backdrop.pictures
    error = (sketch[:, : canvas.channels].float() - differs).square().mean()
    error_near = (sketch[:, canvas.channels :].float() - local_max_deviation(differs)).square().mean()
    return loss + error + WEIGHT_NEAR * error_near, figures | {"sketch": error, "near": error_near}


def local_max_deviation(differs: Tensor) -> Tensor:
    """Local maximum deviation: residuals (n, c, h, w) → (n, 3, h, w), maxima in blocks of 2², 4² and 8²."""
    most = differs.abs().amax(1, keepdim=True)
    height, width = most.shape[-2:]
    blocks = [nn.functional.max_pool2d(most, k, ceil_mode=True) for k in NEAR]
    spread = [
        block.repeat_interleave(k, 2).repeat_interleave(k, 3)[..., :height, :width]
        for k, block in zip(NEAR, blocks, strict=True)
    ]
    return torch.cat(spread, 1)


class TextToImageModel(BaseModel[TextNetwork]):
    """Text-to-image diffusion sampler. Satisfies `sim.protocols.SamplerModel` and `Traces`."""

    def __init__(self, config: TextToImage, spec: Spec, seed: int, device: str) -> None:
        self.config, self.spec = config, spec
        self.canvas = config.canvas(spec)
        super().__init__(lambda: TextNetwork(config, self.canvas, len(spec.words)), seed=seed, device=device)
        self.network.eval()

    def fit(self, train: Dataset, validation: Dataset, *, seed: int) -> Fit:
        """A fit of this model to captioned images; its averaged weights (EMA) are kept."""
        self.network.drawing.backdrop.measure(train.values_by_row, train.labels, self.canvas)
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

    def _examples(self, dataset: Dataset, withheld: float) -> DiffusionExamples:
        """Training examples of a data set; an empty caption is the null condition."""
        silence = np.full(LONGEST, NOTHING, np.int64)
        return DiffusionExamples(
            dataset.values_by_row, tokens(dataset.captions, self.spec.words), silence, self.canvas, withheld
        )

    def layout(self) -> CheckpointLayout:
        """A checkpoint's files: UNet and scheduler in the layout of diffusers, the rest beside them."""
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
        return CheckpointLayout(files, told)

    def sample(self, n: int, condition: Condition, options: SampleOptions, seed: int) -> Samples:
        """`n` images (n, H, W, 3) uint8.

        Args:
            n: how many.
            condition: a `text` for all of them, else unconditional; a `frame` with a `mask`, whose True part
                is inpainted; or a `latent` (H·W·3,) or (n, H·W·3), the initial noise.
            options: all of them; inpainting has its own scheduler.
            seed: of noise; sample i depends on (seed, i) alone.

        Raises:
            ConditionError: for a condition that it does not support, such as a word that no caption has.
            ValueError: for an unknown scheduler.
        """
        denoisers = self._denoisers(condition, [condition.text or ""], options)
        drawn = sample_images(self.canvas, denoisers, n, condition, options, seed, self.device)
        return Samples(drawn, seed, condition)

    def trace(self, n: int, condition: Condition, options: SampleOptions, seed: int) -> Iterator[Array]:
        """Denoising trajectory of the same images (n, H, W, 3) uint8: the noise, then one yield a step."""
        denoisers = self._denoisers(condition, [condition.text or ""], options)
        return trace(self.canvas, denoisers, n, condition, options, seed, self.device)

    def illustrate(self, texts: Sequence[str], options: SampleOptions, seed: int) -> Array:
        """An image (H, W, 3) uint8 for each of n texts; for a single text it is the first of `sample`.

        Raises:
            ConditionError: for a word that no caption has.
        """
        for text in texts:
            check_condition(Condition(text=text), self.spec, {"text"})
        denoisers = self._denoisers(Condition(), texts, options)
        return sample_images(self.canvas, denoisers, len(texts), Condition(), options, seed, self.device)

    @torch.no_grad()
    def _denoisers(self, condition: Condition, texts: Sequence[str], options: SampleOptions) -> DenoiserOf:
        """A range of sample indices → the guided denoiser with their texts: one each, or the one for all.

        Texts are encoded once.
        """
        check_condition(condition, self.spec, {"text", "frame", "mask", "latent"})
        sentences = torch.from_numpy(tokens([*texts, ""], self.spec.words)).to(self.device)
        told, untold = torch.split(self.network.sketched(sentences), [len(texts), 1])

        def of(rows: range) -> Any:
            own = told[rows.start : rows.stop] if len(texts) > 1 else told.expand(len(rows), -1, -1, -1)
            return guided(self.network.drawing, own, untold.expand(len(rows), -1, -1, -1), options.guidance)

        return of

"""Chess board recognition: an image of a board → the pieces on its 64 squares, as FEN.

    image ──► localisation ──────────────────► rectified board ──► 13-way logits for each square
          (2 passes, then a contrast search)     └──► coordinate labels ──► whether Black is at the bottom

A small network predicts the board's position, scale and rotation, and once more from a crop of what it found
(spatial transformers, Jaderberg et al. 2015; the second pass, Lin & Lucey 2017). It is right to half a
square. From there the board is shifted, rotated and scaled until light and dark squares differ most, which
needs no learning and is right to a twentieth of a square. In the rectified board every square lies at the
same place, and convolutions with a total stride of one square classify each. In training, the classifier is
given the true position with a small error, so that it does not depend on how far the locator has come.

The hues of training images are rotated at random, so that boards in unseen colours are read too.

Read from top to bottom: the keys, frames, the networks, examples, loss, the reader that perceives.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sim.chess.diagrams.truth import CORNERS
from sim.percept_kind import Kind
from sim.records import Array, Percept
from supervised.base_model import BaseModel
from supervised.data.dataset import Dataset
from supervised.fit import Batch, Fit, FitOptions
from supervised.metrics.answers import squares
from supervised.tensors import Precision
from supervised.vision.unet import conv

PIECES = ".PNBRQKpnbrqk"  # the classes of a square; "." is empty
SIDE = 128  # pixels of the rectified board
GLANCE = 64  # pixels of the locator's input
GLYPH = 16  # pixels of the quarter of a square that a coordinate label stands in
LOOKS = 2  # passes of the locator
NEAR = 0.9  # the share of the second pass's width that the board takes
SLIDES = (0.05, 0.05, 0.04, 0.04, 0.03, 0.02, 0.01, 0.01)  # step sizes of the search, in halves of the board
#: The least share of squares on the right side of the threshold between light and dark for it to be a board.
#: Of 2,000 drawn boards 0.5 % are below, and of 1,000 pictures of noise and of blots none is above.
ALTERNATING = 0.75
VALIDATE_EVERY = 250  # updates; also where a fit can be stopped and saved


@dataclass(frozen=True)
class BoardReader:
    """Configuration of the ``board_reader`` perception; its fields are scene keys."""

    tells: ClassVar[Kind] = "fen"

    channels: int = 16  # at half resolution; twice, four and five times as many at coarser ones
    learning_rate: float = 2e-3
    batch_size: int = 16
    views: int = 10_000  # training images; a tenth as many more to validate
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
        if not 0 < self.learning_rate:
            raise ValueError(f"learning_rate must be above 0, not {self.learning_rate}")

    def build(self, classes: Sequence[str], *, seed: int, device: str = "cpu") -> BoardReaderModel:
        """An untrained reader; its classes are always `PIECES`, whatever `classes`."""
        return BoardReaderModel(self, seed, device)


# A frame is a similarity transform from a square to an image, as two complex numbers (…, 2): translation, and
# scale times rotation. Both have coordinates from −1 to 1 over their widths; x is real, y imaginary and down.
WHOLE = np.array([0, 1], np.complex64)
MOVES = np.array([[1, 0], [1j, 0], [0, 1], [0, 1j]], np.complex64)  # right, down, larger, clockwise
ENDS = np.array([-1 - 1j, 1 - 1j, 1 + 1j, -1 + 1j], np.complex64)  # corners clockwise from the top left


def compose_frames(outer: Tensor, inner: Tensor) -> Tensor:
    """Composition of two frames: `inner`, given within `outer`, as a frame of the image; (B, 2) complex each.

    >>> compose_frames(torch.tensor([[1 + 0j, 0.5]]), torch.tensor([[1j, 0.5]])).tolist()
    [[(1+0.5j), (0.25+0j)]]
    """
    return torch.stack([outer[:, 0] + outer[:, 1] * inner[:, 0], outer[:, 1] * inner[:, 1]], 1)


def frame_of(percept: Percept, side: int) -> Array:
    """The frame (2,) complex64 of a board from its true corners, in a square image of `side` pixels."""
    points = np.array([complex(*percept.keypoints[name][:2]) for name in CORNERS])
    points = 2 * points / side - (1 + 1j)
    middle = points.mean()
    across = ((points - middle) / ENDS).mean()
    if not percept.facts["white_at_bottom"]:
        across = -across
    return np.array([middle, across], np.complex64)


def sample_frames(pictures: Tensor, frame: Tensor, at: Tensor) -> Tensor:
    """Bilinear sampling of images (B, C, S, S) at points `at` (h, w) of frames (B, 2); gives (B, C, h, w)."""
    points = torch.view_as_real(frame[:, :1, None] + frame[:, 1:, None] * at)
    return functional.grid_sample(pictures, points, padding_mode="border", align_corners=False)


def frame_grid(size: int) -> Tensor:
    """The sampling grid of size × size pixel centres over a frame, complex (size, size)."""
    along = (2 * torch.arange(size) + 1) / size - 1
    return torch.complex(along.expand(size, size), along[:, None].expand(size, size))


def label_grid() -> Tensor:
    """The sampling grid of a board's 16 coordinate labels, complex (16 · GLYPH, GLYPH).

    A label stands at the top left of the first square of each row, at the bottom right of each square of the
    last row.
    """
    quarter = frame_grid(GLYPH) / 16  # half a square; a square is a quarter of 1 wide
    middles = [complex(-1 + 1 / 16, -1 + row / 4 + 1 / 16) for row in range(8)]
    middles += [complex(-1 + (column + 1) / 4 - 1 / 16, 1 - 1 / 16) for column in range(8)]
    return torch.cat([quarter + middle for middle in middles])


class BoardNetwork(nn.Module):
    """The networks of the board reader: locator, piece classifier and coordinate-label reader."""

    at_glance: Tensor
    at_board: Tensor
    at_rim: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.locator = nn.Sequential(
            conv(3, 24, 2), conv(24, 48, 2), conv(48, 64, 2), conv(64, 64), nn.Flatten(),
            nn.Linear(64 * (GLANCE // 8) ** 2, 64), nn.ReLU(), nn.Linear(64, 4),
        )  # fmt: skip
        self.reader = SquareReader(channels)
        self.glyphs = GlyphReader()
        self.places = nn.Linear(64 * len(PIECES), 1)
        nn.init.zeros_(self.places.weight)
        self.register_buffer("at_glance", frame_grid(GLANCE), persistent=False)
        self.register_buffer("at_board", frame_grid(SIDE), persistent=False)
        self.register_buffer("at_rim", label_grid(), persistent=False)

    def located(self, pictures: Tensor, frame: Tensor) -> Tensor:
        """One pass of the locator: frames (B, 2) within `frame` of the boards in images (B, 3, S, S)."""
        seen = standardise(sample_frames(pictures, frame, self.at_glance))
        told = torch.view_as_complex(self.locator(seen).float().view(-1, 2, 2))
        return told + torch.tensor(WHOLE * NEAR, device=told.device)

    def found(self, pictures: Tensor) -> Tensor:
        """Frames (B, 2) of the boards in images (B, 3, S, S), after `LOOKS` passes of the locator."""
        frame = torch.tensor(WHOLE, device=pictures.device).expand(len(pictures), 2)
        for _ in range(LOOKS):
            frame = compose_frames(frame, self.located(pictures, frame))
            nearer = compose_frames(frame, torch.tensor(WHOLE / NEAR, device=frame.device)[None])
            board, frame = frame, nearer
        return board

    def forward(self, pictures: Tensor, frame: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Classify the squares and the orientation of boards that lie at `frame`.

        Returns:
            Logits (B, 13, 64) of the squares' classes, row by row from the top left; logits (B,) that Black
            is at the bottom, from the coordinate labels alone; and the same from the pieces' places as well.
        """
        answers = self.reader(standardise(sample_frames(pictures, frame, self.at_board)))
        quarters = sample_frames(pictures, frame, self.at_rim)
        written = self.glyphs(quarters.view(len(quarters), -1, 16, GLYPH, GLYPH))
        standing = self.places(answers.detach().softmax(1).flatten(1))[:, 0]
        return answers, written, written.detach() + standing


class SquareReader(nn.Module):
    """Piece classifier: rectified boards (B, 3, SIDE, SIDE) → logits (B, 13, 64) for each square."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        near, far, square = 2 * channels, 4 * channels, 5 * channels
        self.body = nn.Sequential(
            conv(3, channels, 2), conv(channels, near, 2), conv(near, near),
            conv(near, far, 2), conv(far, far), conv(far, square, 2),
        )  # fmt: skip
        self.palette = nn.Linear(square, square)  # the board's colours show in all squares together
        self.head = nn.Sequential(conv(square, square), nn.Conv2d(square, len(PIECES), 1))

    def forward(self, boards: Tensor) -> Tensor:
        """See the class."""
        x = self.body(boards)  # (B, C, 8, 8)
        x = x + self.palette(x.mean((2, 3)))[:, :, None, None]
        answers: Tensor = self.head(x).flatten(2)
        return answers


class GlyphReader(nn.Module):
    """Orientation classifier: crops of coordinate labels (B, 3, 16, GLYPH, GLYPH) → logit (B,)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(3, 16), conv(16, 24, 2), conv(24, 32, 2), nn.Flatten(),
            nn.Linear(32 * (GLYPH // 4) ** 2, 32), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(16 * 32, 1)

    def forward(self, quarters: Tensor) -> Tensor:
        """See the class."""
        each = standardise(quarters.transpose(1, 2).flatten(0, 1))  # (16 B, 3, GLYPH, GLYPH)
        logit: Tensor = self.head(self.body(each).unflatten(0, (-1, 16)).flatten(1))[:, 0]
        return logit


def standardise(x: Tensor) -> Tensor:
    """Standardise each image of (B, C, H, W) to mean 0 and deviation 1; those of one colour become 0."""
    centred = x - x.mean((1, 2, 3), keepdim=True)
    return centred / (centred.square().mean((1, 2, 3), keepdim=True).sqrt() + 0.02)


class BoardExamples:
    """Training examples of the board reader: images with the board's frame, squares and augmentations."""

    def __init__(self, views: Dataset) -> None:
        self._views = views
        side = views.values.shape[1]
        self._frame = np.stack([frame_of(truth, side) for truth in views.truths])  # (N, 2)
        self._turned = np.array([not truth.facts["white_at_bottom"] for truth in views.truths])
        said = np.array([[PIECES.index(one) for one in squares(truth.fen or "")] for truth in views.truths])
        self._squares = np.where(self._turned[:, None], said[:, ::-1], said)  # (N, 64) from above left

    def __len__(self) -> int:
        """How many pictures."""
        return len(self._views)

    def batch(self, rows: Array, generator: np.random.Generator) -> dict[str, Array]:
        """Images (B, S, S, 3) uint8 with their targets and augmentations.

        ``board`` (B, 2) complex64: its frame; ``look`` (B, 2): the board's frame within the locator's input;
        ``off`` (B, 2): the error of the classifier's frame; ``colours`` (B, 3, 3) float32: colour matrices;
        ``squares`` (B, 64) int64: index into `PIECES`, from the top left; ``turned`` (B,) float32: 1 where
        Black is at the bottom.
        """
        n = len(rows)
        far = generator.random(n) < 0.5  # the locator's first pass, or a later one
        return {
            "rgb": self._views.values[rows],
            "board": self._frame[rows],
            "look": np.where(
                far[:, None], random_frames(n, generator), jittered_frames(n, generator, NEAR, 0.06)
            ),
            "off": jittered_frames(n, generator, 1.0, 0.012),
            "colours": random_hue_rotations(n, generator),
            "squares": self._squares[rows],
            "turned": self._turned[rows].astype(np.float32),
        }


def random_frames(n: int, generator: np.random.Generator) -> Array:
    """Random frames (N, 2) of boards that fill most of an image: the locator's first pass."""
    scale = generator.uniform(0.7, 1.05, n)
    turn = np.exp(1j * np.radians(generator.uniform(-6, 6, n)))
    room = np.maximum(1 - scale, 0) + 0.08
    middle = generator.uniform(-room, room) + 1j * generator.uniform(-room, room)
    return np.stack([middle, scale * turn], 1).astype(np.complex64)


def jittered_frames(n: int, generator: np.random.Generator, scale: float, by: float) -> Array:
    """Random frames (N, 2): centred and `scale` wide, with errors of at most `by` in each parameter."""
    middle, across = generator.uniform(-by, by, (2, n)) + 1j * generator.uniform(-by, by, (2, n))
    return np.stack([middle, scale * (1 + across)], 1).astype(np.complex64)


def random_hue_rotations(n: int, generator: np.random.Generator) -> Array:
    """Random colour matrices (N, 3, 3): hue rotation by any angle, and a change of saturation."""
    angle, full = generator.uniform(-math.pi, math.pi, n), generator.uniform(0.3, 1.4, n)
    angle, full = np.where(generator.random(n) < 0.25, ((0.0,), (1.0,)), (angle, full))
    # Rodrigues' rotation about (1, 1, 1)/√3; grey stays grey.
    grey = np.full((3, 3), 1 / 3)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    cos, sin = (full * turn(angle) for turn in (np.cos, np.sin))
    parts = cos[:, None, None] * (np.eye(3) - grey) + sin[:, None, None] * cross
    mixes: Array = (grey + parts).astype(np.float32)
    return mixes


def reading_loss(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Smooth L1 loss of the board's frame plus cross-entropy of its squares and its orientation."""
    assert isinstance(network, BoardNetwork)
    pictures = torch.einsum("bij,bjhw->bihw", batch["colours"], from_rgb(batch["rgb"])).clamp(0, 1)
    board, look = batch["board"], batch["look"]
    across = board[:, 1] / look[:, 1]
    window = torch.stack([board[:, 0] - across * look[:, 0], across], 1)  # in it the board lies at `look`
    miss = torch.view_as_real(network.located(pictures, window) - look)
    place = functional.smooth_l1_loss(miss, torch.zeros_like(miss), beta=0.01)
    answers, written, both = network(pictures, compose_frames(board, batch["off"]))
    square = functional.cross_entropy(answers.float(), batch["squares"])
    turned = batch["turned"]
    side = sum(functional.binary_cross_entropy_with_logits(one.float(), turned) for one in (written, both))
    right = (answers.argmax(1) == batch["squares"]).all(1)
    seated = (both > 0) == (turned > 0.5)
    figures = {
        "square": square,
        "side": torch.as_tensor(side),
        "miss": miss.abs().mean() * 4,  # in squares
        "boards": right.float().mean(),
        "seated": seated.float().mean(),
    }
    return 10 * square + side + 10 * place, figures


def from_rgb(rgb: Tensor) -> Tensor:
    """Images (N, S, S, 3) uint8 → (N, 3, S, S) in [0, 1]."""
    return rgb.permute(0, 3, 1, 2).float() / 255


def refine_frame(picture: Tensor, frame: Tensor) -> Tensor:
    """Frame refinement: the frame (1, 2) near `frame` with the highest `checkered` contrast.

    At each step size all four parameters are tried both ways, and each moves to the top of the parabola
    through its three values: for a board they are nearly independent.
    """
    moves = torch.tensor(MOVES, device=frame.device)
    for step in SLIDES:
        tried = torch.cat([torch.zeros_like(moves[:1]), step * moves, -step * moves])
        seen = checkered(picture.expand(len(tried), -1, -1, -1), perturb_frame(frame, tried))
        here, there, back = seen[0], seen[1:5], seen[5:]
        bend = (2 * here - there - back).clamp(min=1e-6)
        far = ((there - back) / (2 * bend)).clamp(-1, 1) * step
        frame = perturb_frame(frame, (far[:, None] * moves).sum(0, keepdim=True))
    return frame


def perturb_frame(frame: Tensor, moves: Tensor) -> Tensor:
    """A frame (1, 2) after each of K moves (K, 2), in units of the frame's own size; gives (K, 2)."""
    return torch.stack([frame[:, 0] + frame[:, 1] * moves[:, 0], frame[:, 1] * (1 + moves[:, 1])], 1)


def checkered(pictures: Tensor, frame: Tensor) -> Tensor:
    """Checkerboard contrast (B,): colour difference of light and dark squares, boards at `frame` (B, 2)."""
    square = torch.arange(32, device=frame.device) // 4  # of 32 × 32 points
    sign = 1 - 2 * ((square[:, None] + square) % 2).float()
    difference = (sample_frames(pictures, frame, frame_grid(32).to(frame.device)) * sign).mean(
        (2, 3)
    )  # (B, 3)
    return difference.square().sum(1).sqrt()


def alternation(pictures: Tensor, frame: Tensor) -> Tensor:
    """Share (B,) of squares whose brightness fits a checkerboard at `frame` (B, 2): 1 all, 0.5 by chance.

    The colour of a square is taken at its corners, which pieces leave free.
    """
    corners = torch.tensor(ENDS) * 0.7 / 8
    at = (frame_grid(8).flatten()[:, None] + corners).to(frame.device)  # (64, 4)
    colours = sample_frames(pictures, frame, at).median(3).values  # (B, 3, 64)
    dark = (torch.arange(64) + torch.arange(64) // 8) % 2 == 1
    light_one, dark_one = (colours[:, :, part].median(2, keepdim=True).values for part in (~dark, dark))
    side = ((colours - (light_one + dark_one) / 2) * (light_one - dark_one)).sum(1)  # (B, 64)
    return ((side[:, ~dark] > 0).float().mean(1) + (side[:, dark] < 0).float().mean(1)) / 2


def fen_of(pieces: Sequence[str], turned: bool) -> str:
    """The FEN's first field of 64 squares from the top left; `turned` where Black is at the bottom.

    >>> fen_of("." * 61 + "K.k", False)
    '8/8/8/8/8/8/8/5K1k'
    """
    order = "".join(reversed(pieces) if turned else pieces)
    ranks = [order[i : i + 8] for i in range(0, 64, 8)]
    runs = [
        "".join(str(len(list(run))) if one == "." else "".join(run) for one, run in groupby(rank))
        for rank in ranks
    ]
    return "/".join(runs)


class BoardReaderModel(BaseModel[BoardNetwork]):
    """Board reader: images → FEN and corners. Satisfies `sim.protocols.Perception`."""

    reads = "rgb"

    def __init__(self, config: BoardReader, seed: int, device: str) -> None:
        self.config = config
        super().__init__(lambda: BoardNetwork(config.channels), seed=seed, device=device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def fit(self, train: Dataset, validation: Dataset, *, seed: int) -> Fit:
        """A fit of this reader to labelled images."""
        options = FitOptions(
            learning_rate=self.config.learning_rate,
            batch_size=self.config.batch_size,
            precision=self.config.precision,
            weight_decay=1e-3,
            max_grad_norm=5.0,
            validate_every=VALIDATE_EVERY,
        )
        examples = BoardExamples(train), BoardExamples(validation)
        return Fit(self.network, reading_loss, *examples, options, seed=seed, device=str(self.device))

    @torch.no_grad()
    def perceive(self, inputs: Sequence[Array]) -> list[Percept]:
        """FEN, corners and orientation of the board in each image (H, W, 3) uint8 of any size.

        In ``extras["certainty"]`` the probability of each square's piece, (64,) from a8 to h1.

        The FEN is empty, and nothing else is given, where no checkerboard is found.
        """
        return [self._read(rgb) for rgb in inputs]

    def _read(self, rgb: Array) -> Percept:
        picture, side = resize_square(torch.from_numpy(np.ascontiguousarray(rgb))[None].to(self.device))
        frame = refine_frame(picture, self.network.found(picture))
        if alternation(picture, frame)[0] < ALTERNATING:
            return Percept(origin="model", fen="")
        answers, _, turned = self.network(picture, frame)
        black = bool(turned[0] > 0)
        certainty = answers[0].float().softmax(0).amax(0).cpu().numpy()  # (64,) from the top left
        ends = torch.tensor(np.roll(ENDS, 2) if black else ENDS, device=self.device)
        corners = (torch.view_as_real(frame[0, 0] + frame[0, 1] * ends).cpu().numpy() + 1) * side / 2
        return Percept(
            origin="model",
            fen=fen_of([PIECES[i] for i in answers[0].argmax(0).tolist()], black),
            keypoints={
                name: (float(x), float(y), 1.0) for name, (x, y) in zip(CORNERS, corners, strict=True)
            },
            facts={"white_at_bottom": int(not black)},
            extras={"certainty": certainty[::-1] if black else certainty},
        )


def resize_square(rgb: Tensor) -> tuple[Tensor, int]:
    """Resize an image (1, H, W, 3) uint8 to (1, 3, SIDE, SIDE) in [0, 1]; also its side in its own pixels.

    One that is not square is padded with its last row or column.
    """
    height, width = rgb.shape[1:3]
    side = max(height, width)
    x = functional.pad(from_rgb(rgb), (0, side - width, 0, side - height), mode="replicate")
    if side != SIDE:
        x = functional.interpolate(x, (SIDE, SIDE), mode="bilinear", antialias=True)
    return x, side

"""Commentary of chess positions: picture → pieces on 64 squares → a sentence in the language of a prompt.

A convolutional encoder gives, for each square, how probable each piece is, and whether a king there glows; a
transformer decoder (Vaswani et al. 2017) that starts from the token of a language writes the sentence, and
attends to a vector for each kind of piece, where its pieces stand and how many there are, and to one for all
of them, which has the balance of the pieces' known values. A position in FEN
enters between the two, as certain pieces. The decoder also learns from boards that were never drawn:
positions of the games with pieces taken away and moved, which costs no picture.

Read from top to bottom: the keys, the networks, examples, loss, the model and its figure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sim.fields import Range, Validated
from sim.percept_kind import Kind
from sim.records import Array, Percept
from supervised.base_model import BaseModel
from supervised.captions.chess_commentary import LANGUAGES, POINTS, joined, tokens
from supervised.data.dataset import Dataset
from supervised.data.sources.chess_games.chess_positions import (
    BETWEEN,
    PIECES,
    SIDE,
    caption,
    decoded,
    encoded_fen,
    position_splits,
)
from supervised.data.sources.splits import Splits
from supervised.figure import MUTED, NEGATIVE, POSITIVE, TEXT
from supervised.fit import Batch, Fit, FitOptions
from supervised.metrics.commentary import COMMENTARY
from supervised.metrics.percept_metrics import PerceptMetrics
from supervised.task import Perceive

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CHANNELS = len(PIECES) + 1  # of a square: each piece and the empty square, and a king's glow
MOST = 8  # of one piece, that are told apart
MOST_AHEAD = 40  # points
GLOWING = 16.0  # weight of the loss of a king's glow, which is rare
LENGTH = 56  # tokens of a sentence at most
HEADS = 4
TOGETHER = 64  # sentences written at once
UNDRAWN = 3  # boards that are learned from for each picture
VALIDATE_EVERY = 100
PADDING = 0  # then a token for each language, then the words
THUMB = 16  # pixels on a side, of the pictures that the nearest-neighbour baseline compares


@dataclass(frozen=True)
class Commentator(Validated):
    """Configuration of the ``commentator`` perception; its fields are scene keys."""

    reads: ClassVar[str] = "rgb"
    tells: ClassVar[Kind] = "caption"
    metrics: ClassVar[PerceptMetrics] = COMMENTARY

    data: str = "random-games"  # or the path of a user's games in PGN
    language: Literal["both", "en", "fr"] = "both"  # of the sentences, a line each for both
    pictures: Annotated[int, Range(ge=16, le=100_000)] = 2_000  # to learn from
    hidden: Annotated[int, Range(ge=16, le=512)] = 80
    layers: Annotated[int, Range(ge=1, le=8)] = 2
    learning_rate: Annotated[float, Range(gt=0)] = 2e-3
    batch_size: Annotated[int, Range(ge=1)] = 16  # pictures, and `UNDRAWN` times as many boards
    weight_decay: Annotated[float, Range(ge=0)] = 1e-2

    def splits(self, path: Path | None, *, seed: int) -> Splits:
        """See `supervised.task.TaskConfig`."""
        return position_splits(self.data, path, language=self.language, pictures=self.pictures, seed=seed)

    def build(self, classes: Sequence[str], *, seed: int, device: str = "cpu") -> CommentatorModel:
        """An untrained commentator with the vocabulary `classes`."""
        return CommentatorModel(self, tuple(classes), seed, device)

    def baselines(self, train: Dataset, *, seed: int) -> Mapping[str, Perceive]:
        """The sentence of the picture of the training set that is nearest in grey levels."""
        return {"nearest picture": NearestPicture(train)}

    def read_text(self, text: str) -> Array:
        """A board of a FEN, in the place of a picture; see `supervised.task.ReadsText`.

        Raises:
            DataError: for what is no FEN.
        """
        return encoded_fen(text)


class SquareReader(nn.Module):
    """Pictures (B, 3, SIDE, SIDE) in [0, 1] → logits of the squares (B, 64, CHANNELS), from a8 to h1."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 32, 4, 4), nn.ReLU(),
            nn.Conv2d(32, 64, 2, 2), nn.ReLU(),
            nn.Conv2d(64, 128, 2, 2), nn.ReLU(),
            nn.Conv2d(128, 64, 1), nn.ReLU(),
            nn.Conv2d(64, CHANNELS, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        logits: Tensor = self.body(x - 0.5).flatten(2).transpose(1, 2)
        return logits


class CommentaryNetwork(nn.Module):
    """Squares (B, 64, CHANNELS) and tokens (B, T) → logits of the next tokens (B, T, words)."""

    def __init__(self, hidden: int, layers: int, words: int) -> None:
        super().__init__()
        self.reader = SquareReader()
        kinds, counts = len(PIECES) - 1, MOST + 1
        self.piece = nn.Sequential(nn.Linear(65 + counts, hidden), nn.ReLU(), nn.Linear(hidden, hidden))
        self.kind = nn.Parameter(torch.randn(kinds, hidden) / 4)
        self.counts = nn.Linear(kinds * counts, hidden)
        self.balance = nn.Linear(2 * MOST_AHEAD + 1, hidden)
        self.words = nn.Embedding(words, hidden)
        self.order = nn.Parameter(torch.randn(LENGTH, hidden) / 4)
        self.decoder = nn.ModuleList(
            nn.TransformerDecoderLayer(
                hidden, HEADS, 2 * hidden, dropout=0.0, batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(hidden)
        self.head = nn.Linear(hidden, words)

    def forward(self, squares: Tensor, words: Tensor) -> Tensor:
        """See the class."""
        counts = counted(squares)
        stand = squares[..., 1:-1].transpose(1, 2)  # (B, 12, 64)
        glow = stand @ squares[..., -1:]
        pieces = self.piece(torch.cat([stand, glow, counts], 2)) + self.kind
        whole = self.counts(counts.flatten(1)) + self.balance(balanced(squares))
        memory = torch.cat([pieces, whole[:, None]], 1)
        x = self.words(words) + self.order[: words.shape[1]]
        later = torch.triu(torch.full((words.shape[1],) * 2, -torch.inf, device=x.device), 1)
        for layer in self.decoder:
            x = layer(x, memory, tgt_mask=later)
        logits: Tensor = self.head(self.norm(x))
        return logits


def probable(logits: Tensor) -> Tensor:
    """Squares (B, 64, CHANNELS): probabilities of the pieces, and of a king's glow."""
    return torch.cat([logits[..., :-1].softmax(-1), logits[..., -1:].sigmoid()], -1)


def counted(squares: Tensor) -> Tensor:
    """How many there are of each piece, (B, 12, MOST + 1): a triangle of height 1 about each number.

    >>> board = torch.zeros(1, 64, CHANNELS)
    >>> board[0, :2, 1] = 1
    >>> counted(board)[0, 0, :4].tolist()
    [0.0, 0.0, 1.0, 0.0]
    """
    sums = squares[..., 1:-1].sum(1)[..., None].clamp(max=MOST)
    return functional.relu(1 - (sums - torch.arange(MOST + 1, device=sums.device)).abs())


def balanced(squares: Tensor) -> Tensor:
    """White's lead in points, (B, 2 · MOST_AHEAD + 1): a triangle of height 1 about each number."""
    worth = [POINTS[piece.lower()] * (1 if piece.isupper() else -1) for piece in PIECES[1:]]
    lead = (squares[..., 1:-1].sum(1) * torch.tensor(worth, device=squares.device)).sum(1, keepdim=True)
    numbers = torch.arange(-MOST_AHEAD, MOST_AHEAD + 1, device=squares.device)
    return functional.relu(1 - (lead.clamp(-MOST_AHEAD, MOST_AHEAD) - numbers).abs())


def certain(boards: Array) -> Array:
    """Boards (B, 65) uint8 as squares (B, 64, CHANNELS) float32; the king of the side in check glows."""
    squares = np.zeros((len(boards), 64, CHANNELS), np.float32)
    np.put_along_axis(squares, boards[:, :64, None].astype(np.int64), 1.0, axis=2)
    kings = np.array([255, PIECES.index("K"), PIECES.index("k")])[boards[:, 64]]
    squares[..., -1] = boards[:, :64] == kings[:, None]
    return squares


def changed(board: Array, generator: np.random.Generator) -> Array:
    """A board (65,) with some pieces taken away and some moved, and another king in check, or none.

    Such a position may be impossible; what is said of it is right all the same.
    """
    board = board.copy()
    kings = np.isin(board[:64], [PIECES.index("K"), PIECES.index("k")])
    others = np.flatnonzero((board[:64] > 0) & ~kings)
    board[others[generator.random(len(others)) < generator.uniform(0, 0.7)]] = 0
    left = generator.permutation(np.flatnonzero(board[:64] > 0))
    for at in left[: int(generator.integers(len(left) + 1))].tolist():
        to = int(generator.integers(8, 56))  # where pawns may stand
        if board[to] == 0:
            board[to], board[at] = board[at], 0
    board[64] = generator.choice([0, 0, 1, 2])
    return board


class Positions:
    """Training examples of the commentator: pictures with their sentences, and boards that are not drawn."""

    def __init__(self, data: Dataset, model: CommentatorModel, *, augment: bool) -> None:
        self._rgb, self._boards = data.values, np.asarray(data["boards"])
        self._model, self._augment = model, augment

    def __len__(self) -> int:
        """How many pictures."""
        return len(self._boards)

    def batch(self, rows: Array, generator: np.random.Generator) -> dict[str, Array]:
        """``rgb`` (B, S, S, 3) uint8; ``boards`` (B + K, 65) uint8, their ``squares`` and ``tokens``.

        The last K are those that are not drawn.
        """
        boards = self._boards[rows]
        others = [changed(board, generator) for board in np.repeat(boards, UNDRAWN * self._augment, 0)]
        every = np.stack([*boards, *others])
        chosen = generator.integers(len(self._model.languages), size=len(every))
        said = [
            self._model.tokens_of(board, self._model.languages[i])
            for board, i in zip(every, chosen, strict=True)
        ]
        return {"rgb": self._rgb[rows], "boards": every, "squares": certain(every), "tokens": np.stack(said)}


class CommentatorModel(BaseModel[CommentaryNetwork]):
    """Commentator: pictures, or boards of a FEN, → sentences. Satisfies `supervised.task.TaskModel`."""

    reads = "rgb"

    def __init__(self, config: Commentator, classes: tuple[str, ...], seed: int, device: str) -> None:
        self.config, self.classes = config, classes
        self.languages = LANGUAGES if config.language == "both" else (config.language,)
        self._words = ("", *LANGUAGES, *classes)
        self._number = {word: i for i, word in enumerate(self._words) if i > len(LANGUAGES)}
        size = (config.hidden, config.layers, len(self._words))
        super().__init__(lambda: CommentaryNetwork(*size), seed=seed, device=device)

    def tokens_of(self, board: Array, language: str) -> Array:
        """(LENGTH,) int64: the language, the words of a board's sentence, and `PADDING`."""
        numbers = [1 + LANGUAGES.index(language)]
        numbers += [self._number[word] for word in tokens(caption(board, language))]
        return np.array(numbers + [PADDING] * (LENGTH - len(numbers)), np.int64)

    def fit(self, train: Dataset, validation: Dataset, *, seed: int) -> Fit:
        """A fit to pictures and their boards."""
        options = FitOptions(
            learning_rate=self.config.learning_rate,
            batch_size=self.config.batch_size,
            weight_decay=self.config.weight_decay,
            validate_every=VALIDATE_EVERY,
            validate_on=96,
            precision="float32",
        )
        examples = Positions(train, self, augment=True), Positions(validation, self, augment=False)
        return Fit(self.network, commentary_loss, *examples, options, seed=seed, device=str(self.device))

    def perceive(self, inputs: Sequence[Array]) -> list[Percept]:
        """Sentences about each picture (H, W, 3) uint8 of a whole board, or board (65,) uint8 of a FEN."""
        found: list[Percept] = []
        for begin in range(0, len(inputs), TOGETHER):
            found += self._said(inputs[begin : begin + TOGETHER])
        return found

    @torch.no_grad()
    def squares(self, inputs: Sequence[Array]) -> Tensor:
        """What is seen of each input, (B, 64, CHANNELS) of probabilities."""
        self.network.eval()
        return torch.stack([self._seen(one) for one in inputs])

    def _seen(self, one: Array) -> Tensor:
        if one.ndim == 1:
            return torch.from_numpy(certain(np.asarray(one)[None])[0]).to(self.device)
        rgb = torch.from_numpy(np.ascontiguousarray(one))[None].to(self.device)
        return probable(self.network.reader(from_rgb(rgb)))[0]

    @torch.no_grad()
    def _said(self, inputs: Sequence[Array]) -> list[Percept]:
        squares = self.squares(inputs)
        lines = [self._written(squares, language) for language in self.languages]
        return [Percept("model", caption=BETWEEN.join(said)) for said in zip(*lines, strict=True)]

    def _written(self, squares: Tensor, language: str) -> list[str]:
        """Greedy decoding: a sentence for each of (B, 64, CHANNELS), up to its full stop."""
        stop = self._number["."]
        words = torch.full((len(squares), 1), 1 + LANGUAGES.index(language), device=self.device)
        while words.shape[1] < LENGTH and not (words == stop).any(1).all():
            following = self.network(squares, words)[:, -1].argmax(1, keepdim=True)
            words = torch.cat([words, following], 1)
        return [self._sentence(row) for row in words[:, 1:].tolist()]

    def _sentence(self, numbers: list[int]) -> str:
        stop = self._number["."]
        end = numbers.index(stop) + 1 if stop in numbers else len(numbers)
        return joined([self._words[number] for number in numbers[:end]])

    def draw(self, figure: Figure, value: Array, percept: Percept, truth: Percept | None) -> None:
        """The position with the squares that are read unsurely, and the sentences below it."""
        board, text = figure.subplots(2, 1, height_ratios=(4, 1))
        seen = self.squares([value])[0].cpu().numpy()
        rgb = value if value.ndim == 3 else drawn(value)
        board.imshow(rgb, extent=(0, 8, 0, 8), interpolation="nearest")
        board.set_xticks(np.arange(8) + 0.5, list("abcdefgh"))
        board.set_yticks(np.arange(8) + 0.5, [str(rank) for rank in range(1, 9)])
        board.tick_params(length=0)
        sure = float(seen[:, :-1].max(1).min())
        board.set_title(f"least sure square {sure:.0%}; below 90% outlined", fontsize=10)
        text.axis("off")
        self._mark(board, seen)
        self._tell(text, percept, truth)

    def _mark(self, board: Any, seen: Array) -> None:
        """Outline the squares that the reader is unsure of."""
        from matplotlib.patches import Rectangle

        for at in np.flatnonzero(seen[:, :-1].max(1) < 0.9).tolist():
            corner = (at % 8 + 0.05, 7 - at // 8 + 0.05)
            board.add_patch(Rectangle(corner, 0.9, 0.9, fill=False, edgecolor=NEGATIVE, linewidth=2))

    def _tell(self, axes: Any, percept: Percept, truth: Percept | None) -> None:
        import textwrap

        right = [] if truth is None else (truth.caption or "").split(BETWEEN)
        y = 1.0
        for i, line in enumerate((percept.caption or "").split(BETWEEN)):
            colour = TEXT if not right else POSITIVE if i < len(right) and right[i] == line else NEGATIVE
            wrapped = textwrap.wrap(line, 100)
            axes.text(0.5, y, "\n".join(wrapped), ha="center", va="top", color=colour, fontsize=10)
            y -= 0.2 * (len(wrapped) + 0.6)
        if right:
            axes.text(
                0.5, y, "green: every fact right; red: not", ha="center", va="top", color=MUTED, fontsize=8
            )


def from_rgb(rgb: Tensor) -> Tensor:
    """Pictures (B, H, W, 3) uint8 of any size → (B, 3, SIDE, SIDE) in [0, 1]."""
    x = rgb.permute(0, 3, 1, 2).float() / 255
    if x.shape[2:] != (SIDE, SIDE):
        x = functional.interpolate(x, (SIDE, SIDE), mode="bilinear", antialias=True)
    return x


def commentary_loss(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Cross-entropy of the next token, seen and known boards alike, plus that of each square of a picture."""
    assert isinstance(network, CommentaryNetwork)
    n = len(batch["rgb"])
    logits = network.reader(from_rgb(batch["rgb"]))
    pieces = functional.cross_entropy(
        logits[..., :-1].flatten(0, 1), batch["boards"][:n, :64].flatten().long()
    )
    glow = functional.binary_cross_entropy_with_logits(logits[..., -1], batch["squares"][:n, :, -1])
    squares = torch.cat([probable(logits), batch["squares"][n:]])
    told, wanted = network(squares, batch["tokens"][:, :-1]), batch["tokens"][:, 1:]
    said = functional.cross_entropy(told.flatten(0, 1), wanted.flatten(), ignore_index=PADDING)
    right = ((told.argmax(2) == wanted) | (wanted == PADDING)).all(1).float()
    return said + pieces + GLOWING * glow, {"sentences": right[:n].mean(), "words": said, "squares": pieces}


def drawn(board: Array) -> Array:
    """A picture (480, 480, 3) uint8 of a board (65,); the king of the side in check glows."""
    import chess

    from sim.chess.diagrams.draw import draw_board

    squares, check = decoded(board)
    position = chess.Board(None)
    for at, piece in enumerate(squares):
        if piece != ".":
            position.set_piece_at(chess.square(at % 8, 7 - at // 8), chess.Piece.from_symbol(piece))
    position.turn = check != "black"
    return draw_board(position)


class NearestPicture:
    """Baseline: the sentences of the nearest training picture in grey levels, at `THUMB` pixels."""

    def __init__(self, train: Dataset) -> None:
        self._thumbs = np.stack([_thumb(rgb) for rgb in train.values])
        self._captions = [truth.caption or "" for truth in train.truths]

    def __call__(self, inputs: Sequence[Array]) -> list[Percept]:
        """A caption for each picture (H, W, 3) uint8."""
        thumbs = np.stack([_thumb(rgb) for rgb in inputs])
        away = (thumbs**2).sum(1)[:, None] + (self._thumbs**2).sum(1) - 2 * thumbs @ self._thumbs.T
        return [Percept("model", caption=self._captions[at]) for at in away.argmin(1).tolist()]


def _thumb(rgb: Array) -> Array:
    small = functional.adaptive_avg_pool2d(
        torch.from_numpy(np.ascontiguousarray(rgb)).float().mean(2)[None], THUMB
    )
    flat = small.flatten().numpy()
    found: Array = (flat - flat.mean()) / (flat.std() + 1)
    return found

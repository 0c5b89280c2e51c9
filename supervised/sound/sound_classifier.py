"""Sound classification: log-mel spectrogram, recurrent network, logits over time.

Convolutions over time, then a GRU (Cho et al. 2014; Choi et al. 2017, "Convolutional recurrent neural
networks for music classification"). Every step has logits of its own and a sound's are their mean, so that
the picture of the class over time shows what the answer is made of. In training passages are cut out at
random and spectrograms masked (Park et al. 2019, "SpecAugment"), moved along the bands and given a noise
floor.

Read from top to bottom: the keys, the network, examples, loss, the model and its figure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sim.fields import Range, Validated
from sim.percept_kind import Kind
from sim.records import Array, Percept
from supervised.base_model import BaseModel
from supervised.data.dataset import Dataset
from supervised.data.sources.audio_file import RATE
from supervised.data.sources.sounds import sound_splits
from supervised.data.sources.splits import Splits
from supervised.figure import ACCENT, SERIES
from supervised.fit import Batch, Fit, FitOptions
from supervised.metrics.label_accuracy import ACCURACY
from supervised.metrics.percept_metrics import PerceptMetrics
from supervised.sound.log_mel import BANDS, FRAMES_A_SECOND, HIGH, LOW, log_mel, mel
from supervised.sound.tempo_rule import TempoRule
from supervised.task import Perceive

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WINDOW_SECONDS = 10.0  # that are heard together; longer sounds in windows that overlap by half
STRIDE = 4  # frames of the spectrogram a step of the network
DILATIONS = (1, 3)  # steps
GROUPS = 8  # of channels that are normalised together, where that divides them
SPREAD = 3.0  # of log-mel spectrograms
LEVEL = 0.1  # weight of the bands beside their rise, which is that much smaller
SHIFT = 3  # bands up or down, in training
MASKED = 11  # bands at most
VALIDATE_EVERY = 100
RULED = 800  # training sounds that the baseline is fitted to: enough for four Gaussians
TICKS = (250, 500, 1_000, 2_000, 3_500)  # Hz
SMOOTH = 2.0  # seconds that the drawn probabilities are averaged over


@dataclass(frozen=True)
class SoundClassifier(Validated):
    """Configuration of the ``sound_classifier`` perception; its fields are scene keys."""

    reads: ClassVar[str] = "sound"
    tells: ClassVar[Kind] = "label"
    metrics: ClassVar[PerceptMetrics] = ACCURACY

    data: str = "dances"  # of `supervised.data.sources.tunes`, or a folder whose subfolders are the classes
    renderings: Annotated[int, Range(ge=1, le=100)] = 2  # of each tune to learn from
    channels: Annotated[int, Range(ge=1, le=1024)] = 64
    hidden: Annotated[int, Range(ge=1, le=1024)] = 64  # units of the GRU
    seconds: Annotated[float, Range(ge=1, le=60)] = 8.0  # of a passage in training
    dropout: Annotated[float, Range(ge=0, lt=1)] = 0.1
    learning_rate: Annotated[float, Range(gt=0)] = 4e-3
    batch_size: Annotated[int, Range(ge=1)] = 32
    weight_decay: Annotated[float, Range(ge=0)] = 1e-2
    smoothing: Annotated[float, Range(ge=0, lt=1)] = 0.05  # label smoothing

    def splits(self, path: Path | None, *, seed: int) -> Splits:
        """See `supervised.task.TaskConfig`."""
        return sound_splits(self.data, path, renderings=self.renderings, seed=seed)

    def build(self, classes: Sequence[str], *, seed: int, device: str = "cpu") -> SoundClassifierModel:
        """An untrained classifier of sounds into `classes`."""
        return SoundClassifierModel(self, tuple(classes), seed, device)

    def baselines(self, train: Dataset, *, seed: int) -> Mapping[str, Perceive]:
        """Tempo and metre from the sound's own onsets, with a Gaussian for each class."""
        few = np.unique(np.linspace(0, len(train) - 1, RULED).astype(int)).tolist()
        labels = [train.truths[i].label or "" for i in few]
        return {"tempo and metre": TempoRule([train.values[i] for i in few], labels)}


class SoundNetwork(nn.Module):
    """Log-mel spectrograms (B, F, BANDS) → logits (B, steps, classes), a step `STRIDE` frames.

    Beside the bands it reads how much each rises from frame to frame, which is where notes begin: without
    that a rhythm is learned many times more slowly. Dilated convolutions see about two seconds, the GRU all
    that came before.
    """

    def __init__(self, channels: int, hidden: int, classes: int, dropout: float) -> None:
        super().__init__()
        groups = math.gcd(GROUPS, channels)
        self.stem = nn.ModuleList(
            nn.Sequential(nn.Conv1d(size, channels, 5, 2, 2), nn.GroupNorm(groups, channels))
            for size in (2 * BANDS, channels)
        )
        self.context = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(channels, channels, 5, padding=2 * apart, dilation=apart),
                nn.GroupNorm(groups, channels),
            )
            for apart in DILATIONS
        )
        self.memory = nn.GRU(channels, hidden, batch_first=True)
        self.head = nn.Linear(hidden, classes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        x = x.transpose(1, 2)
        rise = functional.pad(functional.relu(x[..., 1:] - x[..., :-1]), (1, 0))
        x = torch.cat([rise, LEVEL * x], 1)
        for layer in self.stem:
            x = self.dropout(functional.relu(layer(x)))
        for layer in self.context:
            x = x + self.dropout(functional.relu(layer(x)))
        told, _ = self.memory(x.transpose(1, 2))
        logits: Tensor = self.head(self.dropout(told))
        return logits


def normalized(mels: Array) -> Array:
    """Spectrogram (F, BANDS) without its loudness, of about unit variance."""
    found: Array = (mels - mels.mean()) / SPREAD
    return found


class Passages:
    """Training examples of the classifier: passages of spectrograms, augmented; whole ones to validate."""

    def __init__(self, data: Dataset, classes: Sequence[str], frames: int, *, augment: bool) -> None:
        number = {name: i for i, name in enumerate(classes)}
        self._mels = [log_mel(sound).astype(np.float16) for sound in data.values]
        self._label = np.array([number[truth.label or ""] for truth in data.truths], np.int64)
        self._frames, self._augment = frames, augment

    def __len__(self) -> int:
        """How many."""
        return len(self._label)

    def batch(self, rows: Array, generator: np.random.Generator) -> dict[str, Array]:
        """``mels`` (B, frames, BANDS) float32, normalised, and ``label`` (B,) int64."""
        mels = [self._passage(self._mels[row], generator) for row in rows.tolist()]
        return {"mels": np.stack(mels), "label": self._label[rows]}

    def _passage(self, mels: Array, generator: np.random.Generator) -> Array:
        spare = max(0, len(mels) - self._frames)
        begin = int(generator.integers(spare + 1)) if self._augment else spare // 2
        part = mels[begin : begin + self._frames].astype(np.float32)
        if len(part) < self._frames:  # heard again from the beginning
            part = np.resize(part, (self._frames, BANDS))
        return augmented(part, generator) if self._augment else normalized(part)


def augmented(mels: Array, generator: np.random.Generator) -> Array:
    """Move a spectrogram (F, BANDS) along the bands, add a noise floor, mask bands; normalised."""
    floor = mels.mean() + generator.uniform(-6, -1)
    mels = np.maximum(np.roll(mels, int(generator.integers(-SHIFT, SHIFT + 1)), axis=1), np.float32(floor))
    found = normalized(mels)
    width = int(generator.integers(MASKED + 1))
    begin = int(generator.integers(BANDS - width))
    found[:, begin : begin + width] = 0
    return found


class SoundClassifierModel(BaseModel[SoundNetwork]):
    """Sound classifier: sounds (T,) → label and probability. Satisfies `supervised.task.TaskModel`."""

    reads = "sound"

    def __init__(self, config: SoundClassifier, classes: tuple[str, ...], seed: int, device: str) -> None:
        self.config, self.classes = config, classes
        make = (config.channels, config.hidden, len(classes), config.dropout)
        super().__init__(lambda: SoundNetwork(*make), seed=seed, device=device)

    def fit(self, train: Dataset, validation: Dataset, *, seed: int) -> Fit:
        """A fit to labelled sounds."""
        options = FitOptions(
            learning_rate=self.config.learning_rate,
            batch_size=self.config.batch_size,
            weight_decay=self.config.weight_decay,
            validate_every=VALIDATE_EVERY,
            precision="float32",
        )
        frames = round(self.config.seconds * FRAMES_A_SECOND)
        heard = round(WINDOW_SECONDS * FRAMES_A_SECOND)
        examples = (
            Passages(train, self.classes, frames, augment=True),
            Passages(validation, self.classes, heard, augment=False),
        )
        return Fit(self.network, self._loss, *examples, options, seed=seed, device=str(self.device))

    def _loss(self, network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy of the mean logits against smoothed labels, and the share that is right."""
        logits, label = network(batch["mels"]).mean(1), batch["label"]
        loss = functional.cross_entropy(logits, label, label_smoothing=self.config.smoothing)
        return loss, {"accuracy": (logits.argmax(1) == label).float().mean()}

    def perceive(self, inputs: Sequence[Array]) -> list[Percept]:
        """The most probable class of each sound (T,), and its probability."""
        return [self._heard(sound) for sound in inputs]

    def _heard(self, sound: Array) -> Percept:
        mean = torch.from_numpy(self.over_time(sound).mean(0))
        likely, best = mean.softmax(0).max(0)
        return Percept("model", label=self.classes[int(best)], scores=np.array([float(likely)]))

    @torch.no_grad()
    def over_time(self, sound: Array) -> Array:
        """Logits over time, (steps, classes) float64, a step `STRIDE` / `FRAMES_A_SECOND` seconds."""
        self.network.eval()
        mels = log_mel(sound)
        heard = round(WINDOW_SECONDS * FRAMES_A_SECOND)
        steps, last = -(-len(mels) // STRIDE), -(-max(0, len(mels) - heard) // STRIDE) * STRIDE
        begins = [*range(0, last, heard // 2 // STRIDE * STRIDE), last]
        total, times = np.zeros((steps, len(self.classes))), np.zeros((steps, 1))
        for begin in begins:
            part = torch.from_numpy(normalized(mels[begin : begin + heard]))[None].to(self.device)
            logits = self.network(part)[0].double().cpu().numpy()
            at = begin // STRIDE
            total[at : at + len(logits)] += logits
            times[at : at + len(logits)] += 1
        found: Array = total / times
        return found

    def draw(self, figure: Figure, value: Array, percept: Percept, truth: Percept | None) -> None:
        """The spectrogram, and below it the probability of each class over time."""
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        end = len(value) / RATE
        mels = log_mel(value)
        low, high = np.percentile(mels, (5, 99.8))
        extent = (0.0, end, mel(LOW), mel(HIGH))
        above.imshow(mels.T, origin="lower", aspect="auto", extent=extent, vmin=low, vmax=max(high, low + 1))
        above.set_yticks([mel(hertz) for hertz in TICKS], [f"{hertz:,}" for hertz in TICKS])
        right = "" if truth is None else f", in truth {truth.label}"
        sure = 1.0 if percept.scores is None else float(percept.scores[0])
        above.set(ylabel="frequency (Hz, mel scale)", title=f"{percept.label}, {sure:.0%} sure{right}")
        logits = self.over_time(value)
        times = (np.arange(len(logits)) + 0.5) * STRIDE / FRAMES_A_SECOND
        smooth = torch.from_numpy(smoothed(logits, round(SMOOTH * FRAMES_A_SECOND / STRIDE)))
        for i, (name, line) in enumerate(zip(self.classes, smooth.softmax(1).T.numpy(), strict=True)):
            chosen = name == percept.label
            colour = ACCENT if chosen else SERIES[i % len(SERIES)]
            below.plot(times, line, color=colour, label=name, linewidth=2.5 if chosen else 1.5)
        below.set(xlabel="time (s)", ylabel=f"probability ({SMOOTH:.0f} s mean)", xlim=(0, end))
        below.set_ylim(-0.02, 1.02)
        figure.align_ylabels()
        below.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))


def smoothed(logits: Array, width: int) -> Array:
    """Moving average over at most `width` rows about each row of (steps, classes)."""
    sums = np.concatenate([np.zeros((1, logits.shape[1])), np.cumsum(logits, 0)])
    rows = np.arange(len(logits))
    low, high = np.maximum(0, rows - width // 2), np.minimum(len(logits), rows + width - width // 2)
    found: Array = (sums[high] - sums[low]) / (high - low)[:, None]
    return found

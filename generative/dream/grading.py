"""Grades of a world model by what the emulator did: objects, rewards, ends, and what an action moves.

The model dreams on from held-out contexts with the actions that were played there. Its frames are compared
with the emulator's: positions in pixels of a frame, from the console's memory on one side and from the
dreamed pixels on the other. Beside it stand two predictions without any learning: the last frame again, and
each object going on in a straight line. Intervals are bootstraps over stretches of play that do not overlap.

Does not know: scenes, files, how results are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from generative.diffusion.sampling import generators
from generative.dream.world_model import DiffusionWorldModel
from sim.progress import track
from sim.records import Array
from supervised.data.dataset import Dataset

HORIZONS = (1, 5, 15, 30, 60)  # frames ahead
FREE = 15  # frames over which the ball of `ball_error` meets no paddle, for horizons up to it
STRETCHES = 48  # held-out stretches of each kind
LONG, LONG_STRETCHES = 1_000, 4  # frames of a long dream, and how many
PLAIN = 800  # steps without a reward whose prediction is checked, beside all with one
ASTRAY = 4.0  # pixels by which an object is off where a dream has diverged
MISSING = 40.0  # pixels: the error of an object that is not there, half the field
PAUSE = 16  # frames without a ball between two points, at most
PUSHED = 4  # frames for which an action is held
EDGE = 14.0  # pixels from the field's edge, nearer to which a paddle may be unable to move
RESAMPLES = 1_000
BALL = "ball"

Figures = dict[str, float]


@dataclass
class WorldModelGrade:
    """Grade of a world model.

    Attributes:
        metrics: by name.
        ci95: 95 % intervals of them.
        n: how many stretches, steps or frames each name rests on.
        baselines: name of the baseline → the metrics that it has.
        medians: of metrics that are means.
        missing: of them, the share of values that count a missing object.
    """

    metrics: Figures = field(default_factory=dict)
    ci95: dict[str, list[float]] = field(default_factory=dict)
    n: dict[str, int] = field(default_factory=dict)
    baselines: dict[str, Figures] = field(default_factory=dict)
    medians: Figures = field(default_factory=dict)
    missing: Figures = field(default_factory=dict)

    def note(self, name: str, values: Array, seed: int, **baselines: Array) -> None:
        """Add a mean over independent values (N,), NaN left out, and those of baselines."""
        values = values[~np.isnan(values)]
        self.n[name] = len(values)
        if not len(values):
            return
        self.metrics[name] = float(values.mean())
        self.ci95[name] = interval(lambda rows: float(values[rows].mean()), len(values), seed)
        for of, others in baselines.items():
            self.baselines.setdefault(of, {})[name] = float(np.nanmean(others))


def interval(statistic: Callable[[Array], float], n: int, seed: int) -> list[float]:
    """Percentile bootstrap (95 %) of a statistic of rows (n,)."""
    generator = np.random.default_rng(seed)
    found = [statistic(generator.integers(0, n, n)) for _ in range(RESAMPLES)]
    low, high = np.nanquantile(found, (0.025, 0.975))
    return [float(low), float(high)]


def grade_world_model(
    model: DiffusionWorldModel, held_out: Dataset, *, steps: int, seed: int = 0, long: int | None = None
) -> WorldModelGrade:
    """Grade a world model on held-out gameplay.

    Args:
        model: fitted.
        held_out: of `generative.data.gameplay`, of episodes that the model has not learned from.
        steps: of denoising a frame.
        seed: of the choice of stretches and of the noise.
        long: frames of a long dream; None: `LONG`.

    Raises:
        ValueError: if no held-out episode is long enough.
    """
    grade = WorldModelGrade()
    free = stretches(model, held_out, FREE, seed, free_ball=True)
    grade_free_flight(grade, model, free, steps, seed)
    grade_stretches(grade, model, stretches(model, held_out, max(HORIZONS), seed), steps, seed)
    grade_steps(grade, model, held_out, steps, seed)
    grade_actions(grade, model, free, steps, seed)
    grade_long(grade, model, held_out, steps, seed, long or LONG)
    return grade


@dataclass(frozen=True)
class Stretches:
    """N stretches of real play: a context of L frames and T steps after it.

    Attributes:
        frames: (N, L + T, H, W) uint8.
        actions: (N, L + T − 1) int64.
        positions: (N, L + T, K − 1, 2) of the objects, from the console's memory; NaN where there is none.
        length: L.
    """

    frames: Array
    actions: Array
    positions: Array
    length: int

    @property
    def truth(self) -> Array:
        """Positions (N, 1 + T, K − 1, 2), of the context's last frame first."""
        return self.positions[:, self.length - 1 :]


def stretches(
    model: DiffusionWorldModel, data: Dataset, ahead: int, seed: int, *, free_ball: bool = False
) -> Stretches:
    """Up to `STRETCHES` of held-out play that do not overlap.

    Args:
        model: for the length of its context.
        data: held out.
        ahead: T.
        seed: of the choice.
        free_ball: only those in which the ball is seen in every frame from the context's last but one on, and
            meets no paddle.

    Raises:
        ValueError: if there is none.
    """
    length = model.config.context
    windows = data.windows(length + ahead)
    positions = np.asarray(data["positions"])
    if free_ball:
        windows = windows[flies_freely(ball_of(model, positions[windows])[:, length - 2 :])]
    chosen = apart(windows, len(data), np.random.default_rng((seed, ahead)))[:STRETCHES]
    if not len(chosen):
        raise ValueError(f"no held-out stretch of {length + ahead} frames: collect more examples")
    frames = data.values_by_row[chosen.ravel()]
    return Stretches(
        frames.reshape(*chosen.shape, *frames.shape[1:]),
        np.asarray(data["actions"])[chosen[:, :-1]],
        positions[chosen],
        length,
    )


def apart(windows: Array, rows: int, generator: np.random.Generator) -> Array:
    """Some of the windows (K, T), in random order, of which no two share a row."""
    taken = np.zeros(rows, bool)
    kept = []
    for window in windows[generator.permutation(len(windows))]:
        if not taken[window].any():
            taken[window] = True
            kept.append(window)
    return np.array(kept, np.int64).reshape(-1, windows.shape[1])


def ball_of(model: DiffusionWorldModel, positions: Array) -> Array:
    """The ball's (…, 2) of positions (…, K − 1, 2)."""
    return np.asarray(positions[..., model.palette.classes.index(BALL) - 1, :])


def flies_freely(ball: Array) -> Array:
    """Whether the ball (N, T, 2) is seen in all frames and never turns left or right, (N,) bool."""
    across = np.sign(np.diff(ball[..., 0], axis=1))
    return np.asarray((across == across[:, :1]).all(1) & (across[:, 0] != 0) & ~np.isnan(ball).any((1, 2)))


def dream(
    model: DiffusionWorldModel, context: Array, actions: Array, steps: int, seed: int
) -> Iterator[tuple[Array, Array, Array]]:
    """Dream on: yields frames, rewards and ends of each step, see `DiffusionWorldModel.next_frames`.

    Args:
        model: dreams.
        context: (N, L, H, W) uint8.
        actions: (N, L − 1 + T) int64, the L − 1 inside the context first.
        steps: of denoising.
        seed: row i depends on (seed, i) alone.
    """
    length = context.shape[1]
    each = generators(seed, 0, len(context))
    for t in range(actions.shape[1] - length + 1):
        frames, reward, ended = model.next_frames(
            context, actions[:, t : t + length], steps=steps, generator=each
        )
        context = np.concatenate([context[:, 1:], frames[:, None]], 1)
        yield frames, reward, ended


def dreamed_positions(model: DiffusionWorldModel, play: Stretches, steps: int, seed: int) -> Array:
    """Positions (N, 1 + T, K − 1, 2) in a dream of the same actions; first those of the last real frame."""
    context = play.frames[:, : play.length]
    found = [model.palette.positions(context[:, -1])]
    ahead = play.frames.shape[1] - play.length
    told = track(dream(model, context, play.actions, steps, seed), f"dreaming {ahead} frames", ahead)
    found += [model.palette.positions(frames) for frames, _, _ in told]
    return np.stack(found, 1)


def straight(positions: Array, ahead: int, size: tuple[int, int]) -> Array:
    """Linear extrapolation (N, 1 + `ahead`, K − 1, 2) from the last two of positions (N, L, K − 1, 2)."""
    last, speed = positions[:, -1], positions[:, -1] - positions[:, -2]
    speed = np.nan_to_num(speed)
    steps = np.arange(ahead + 1).reshape(1, -1, 1, 1)
    return np.asarray(np.clip(last[:, None] + steps * speed[:, None], 0, (size[1], size[0])))


def distance(made: Array, truth: Array) -> Array:
    """Pixels (…,) between positions (…, 2); `MISSING` where one was not made, NaN where there is none."""
    off = np.linalg.norm(made - truth, axis=-1)
    off = np.where(np.isnan(made).any(-1), MISSING, off)
    return np.where(np.isnan(truth).any(-1), np.nan, off)


def grade_free_flight(
    grade: WorldModelGrade, model: DiffusionWorldModel, play: Stretches, steps: int, seed: int
) -> None:
    """``ball_error_1``, ``_5``, ``_15``: where the ball meets no paddle."""
    made = dreamed_positions(model, play, steps, seed)
    others = baselines(model, play, FREE)
    off = {name: distance(ball_of(model, at), ball_of(model, play.truth)) for name, at in others.items()}
    own = distance(ball_of(model, made), ball_of(model, play.truth))
    for h in HORIZONS:
        if h <= FREE:
            name = f"ball_error_{h}"
            grade.note(name, own[:, h], seed, **{of: each[:, h] for of, each in off.items()})
            grade.medians[name] = float(np.median(own[:, h]))
            grade.missing[name] = float(np.isnan(ball_of(model, made)[:, h]).any(-1).mean())


def baselines(model: DiffusionWorldModel, play: Stretches, ahead: int) -> dict[str, Array]:
    """Positions (N, 1 + T, K − 1, 2) by name of the baseline: the last frame's, and in a straight line."""
    last = play.truth[:, :1].repeat(ahead + 1, 1)
    context = play.positions[:, : play.length]
    return {"copy_last": last, "straight_line": straight(context, ahead, model.frame_shape)}


def grade_stretches(
    grade: WorldModelGrade, model: DiffusionWorldModel, play: Stretches, steps: int, seed: int
) -> None:
    """Any play: ``paddle_error_h``, ``ball_any_error_h``, ``frames_until_divergence``."""
    ahead = max(HORIZONS)
    made, others = dreamed_positions(model, play, steps, seed), baselines(model, play, ahead)
    ball = model.palette.classes.index(BALL) - 1
    paddles = [i for i in range(len(model.palette.classes) - 1) if i != ball]
    off = {name: distance(at, play.truth) for name, at in {"": made, **others}.items()}
    for h in HORIZONS:
        for name, chosen in (("paddle_error", paddles), ("ball_any_error", [ball])):
            with np.errstate(all="ignore"):
                each = {of: _mean(at[:, h, chosen]) for of, at in off.items()}
            grade.note(f"{name}_{h}", each.pop(""), seed, **each)
    until = {name: frames_until_divergence(at, play.truth) for name, at in {"": made, **others}.items()}
    grade.note("frames_until_divergence", until.pop(""), seed, **until)


def _mean(values: Array) -> Array:
    """Means over the last axis without NaN; NaN where nothing is left."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0).sum(-1)
    return np.where(known.any(-1), total / np.maximum(known.sum(-1), 1), np.nan)


def frames_until_divergence(made: Array, truth: Array) -> Array:
    """Frames (N,) float64 until an object is off by more than `ASTRAY` or only on one side; T if none is.

    >>> truth = np.zeros((1, 4, 1, 2))
    >>> made = truth + np.array([0.0, 1, 5, 0]).reshape(1, 4, 1, 1)
    >>> frames_until_divergence(made, truth).tolist()
    [2.0]
    """
    there = ~np.isnan(made).any(-1), ~np.isnan(truth).any(-1)
    off = np.nan_to_num(np.linalg.norm(made - truth, axis=-1)) > ASTRAY
    apart_ = (off | (there[0] != there[1])).any(-1)[:, 1:]  # (N, T)
    first = np.where(apart_.any(1), apart_.argmax(1) + 1, apart_.shape[1])
    return np.asarray(first, np.float64)


def grade_steps(
    grade: WorldModelGrade, model: DiffusionWorldModel, data: Dataset, steps: int, seed: int
) -> None:
    """One step from real contexts: ``reward_f1``, ``end_f1``, ``psnr``.

    All steps with a reward or an end, and `PLAIN` others, which count for all that there are of them. The end
    is that of the points, as a dreamed world counts them, or the head's.
    """
    length = model.config.context
    windows = data.windows(length + 1)
    reward, ended = np.sign(data["rewards"]), np.asarray(data["terminated"])
    marked = (reward[windows[:, -2]] != 0) | ended[windows[:, -2]]
    plain = np.random.default_rng((seed, 1)).permutation(np.flatnonzero(~marked))[:PLAIN]
    rows = windows[np.concatenate([np.flatnonzero(marked), plain])]
    weight = np.where(np.arange(len(rows)) < marked.sum(), 1.0, (~marked).sum() / max(1, len(plain)))
    each = generators(seed + 1, 0, len(rows))
    made = []
    for at in track(range(0, len(rows), 64), "predicting steps", len(rows) // 64):
        part = rows[at : at + 64]
        frames = data.values_by_row[part[:, :-1].ravel()].reshape(*part[:, :-1].shape, *model.frame_shape)
        actions = np.asarray(data["actions"])[part[:, :-1]]
        made.append(model.next_frames(frames, actions, steps=steps, generator=each[at : at + 64]))
    frames, told, over = (np.concatenate(parts) for parts in zip(*made, strict=True))
    most = model.palette.most_points
    if most is not None:
        points = np.asarray(data["scores"])[rows[:, -2]] + np.stack([told > 0, told < 0], 1)
        over = over | (points >= most).any(1)
    true = reward[rows[:, -2]]
    note_f1(grade, "reward_f1", told != 0, true != 0, told == true, weight, seed)
    note_f1(grade, "end_f1", over, ended[rows[:, -2]], np.ones(len(rows), bool), weight, seed)
    note_psnr(grade, model, frames, data.values_by_row[rows[:, -1]], data.values_by_row[rows[:, -2]], weight)


def note_f1(
    grade: WorldModelGrade, name: str, told: Array, true: Array, right: Array, weight: Array, seed: int
) -> None:
    """Add an F1 score: told and true (N,) bool, `right` whether a told one is of the true kind."""

    def score(rows: Array) -> float:
        hits = (weight * (told & true & right))[rows].sum()
        return float(2 * hits / max(1e-9, (weight * told)[rows].sum() + (weight * true)[rows].sum()))

    grade.n[name] = int(true.sum())
    if true.any():
        grade.metrics[name] = score(np.arange(len(told)))
        grade.ci95[name] = interval(score, len(told), seed)
        grade.baselines.setdefault("copy_last", {})[name] = 0.0


def note_psnr(
    grade: WorldModelGrade, model: DiffusionWorldModel, made: Array, true: Array, last: Array, weight: Array
) -> None:
    """Add ``psnr`` in dB, of the mean squared error over all frames: single ones are often exact."""
    pictures = model.palette.picture(true).astype(np.float32)
    errors = {
        name: (model.palette.picture(frames).astype(np.float32) - pictures).__pow__(2).mean((1, 2, 3))
        for name, frames in {"": made, "copy_last": last}.items()
    }

    def decibel(error: Array, rows: Array | slice = slice(None)) -> float:
        mean = float((weight * error)[rows].sum() / weight[rows].sum())
        return float(10 * np.log10(255**2 / max(mean, 1e-3)))

    grade.metrics["psnr"], grade.n["psnr"] = decibel(errors[""]), len(made)
    grade.ci95["psnr"] = interval(lambda rows: decibel(errors[""], rows), len(made), 0)
    grade.baselines.setdefault("copy_last", {})["psnr"] = decibel(errors["copy_last"])


def grade_actions(
    grade: WorldModelGrade, model: DiffusionWorldModel, play: Stretches, steps: int, seed: int
) -> None:
    """``action_response``: whether a held action moves the player's paddle the right way, up and down."""
    (mover, names) = next(iter(model.palette.movable.items()))
    index = model.palette.classes.index(mover) - 1
    before = play.truth[:, 0, index, 1]
    inside = (before > EDGE) & (before < model.frame_shape[0] - EDGE)
    context = play.frames[inside, : play.length]
    found = []
    for sign, name in zip((-1, 1), names, strict=True):
        number = model.config.action_names.index(name)
        held = np.full((len(context), PUSHED), number, np.int64)
        actions = np.concatenate([play.actions[inside, : play.length - 1], held], 1)
        if len(context):
            *_, (frames, _, _) = dream(model, context, actions, steps, seed)
            moved = model.palette.positions(frames)[:, index, 1] - before[inside]
            found.append(np.sign(moved) == sign)
    if found:
        grade.note("action_response", np.concatenate(found).astype(np.float64), seed)


def grade_long(
    grade: WorldModelGrade, model: DiffusionWorldModel, data: Dataset, steps: int, seed: int, frames: int
) -> None:
    """``objects_right`` over long dreams of held-out actions, beside the emulator's own share."""
    length = model.config.context
    starts = apart(data.windows(length), len(data), np.random.default_rng((seed, 2)))[:LONG_STRETCHES]
    context = data.values_by_row[starts.ravel()].reshape(*starts.shape, *model.frame_shape)
    played = np.asarray(data["actions"])
    rows = (starts[:, -1:] + np.arange(frames)) % len(played)  # the actions that follow, of all episodes
    actions = np.concatenate([played[starts[:, :-1]], played[rows]], 1)
    told = track(dream(model, context, actions, steps, seed), f"dreaming {frames} frames", frames)
    seen = np.stack([made for made, _, _ in told], 1)  # (N, T, H, W)
    shares = np.array([objects_right(model, each) for each in seen])
    tenths = shares[:, : frames // 10 * 10].reshape(-1, max(1, frames // 10)).mean(1)
    grade.note("objects_right", tenths, seed)
    grade.n["objects_right"] = shares.size
    grade.metrics["objects_right_late"] = float(shares[:, -max(1, frames // 10) :].mean())
    real = data.windows(200, 200)[:8]
    own = [objects_right(model, data.values_by_row[each]).mean() for each in real]
    if own:
        grade.baselines.setdefault("emulator", {})["objects_right"] = float(np.mean(own))


def objects_right(model: DiffusionWorldModel, frames: Array) -> Array:
    """Whether each of a dream's frames (T, H, W) shows what the game may show, (T,) bool.

    Each paddle at most once and none of them larger than it is drawn, the player's exactly once, the ball
    exactly once or, between two points, not at all for at most `PAUSE` frames.
    """
    right = np.zeros(len(frames), bool)
    without = 0
    for t, frame in enumerate(frames):
        counts = model.palette.counts(frame)
        balls = counts.pop(BALL)
        without = without + 1 if balls == 0 else 0
        paddles: Mapping[str, Any] = counts
        fine = all(0 <= count <= 1 for count in paddles.values())
        fine &= all(paddles[name] == 1 for name in model.palette.movable)
        right[t] = fine and 0 <= balls <= 1 and without <= PAUSE
    return right

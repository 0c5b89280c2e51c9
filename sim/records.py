"""Frozen records of numpy arrays and numbers: decisions, episodes, budgets, percepts, conditions, samples.

Nothing here acts, learns or draws; every other module passes these around.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

#: A nested dict with string keys whose leaves are numpy arrays, segments, numbers, strings, booleans or
#: None, or lists of these: what `sim.storage.runs` can write without pickle and read back bit for bit.
State: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Segment:
    """An immutable part of a `State`, which is therefore written to disk only once.

    Attributes:
        name: unique in the run; two segments of one name are the same.
        read: gives the content; asked only where it has to be written, for it may lie on a GPU.
    """

    name: str
    read: Callable[[], dict[str, Array]]


#: Where a percept comes from: the simulator itself, a model, or the truth with noise added.
Origin: TypeAlias = Literal["truth", "model", "noisy truth"]


@dataclass(frozen=True, slots=True)
class Decision:
    """A policy's decision in N worlds: actions, and the probabilities, values or visit counts behind them.

    Attributes:
        actions: (N,) int64 for discrete worlds, (N, D) float32 for continuous ones.
        probabilities: (N, A) in [0, 1], rows sum to 1; None if the policy has none.
        q_values: (N, A) expected discounted returns; None if the policy has none.
        value: (N,) expected discounted return of the state; None if the policy has none.
        visits: (N, A) search visit counts; None without search.
        wdl: (N, 3) probabilities of win, draw and loss for the agent; None if the policy has none.
        lines: N principal variations, the actions of both sides from the one chosen on; None without search.
    """

    actions: Array
    probabilities: Array | None = None
    q_values: Array | None = None
    value: Array | None = None
    visits: Array | None = None
    wdl: Array | None = None
    lines: tuple[tuple[int, ...], ...] | None = None


@dataclass(frozen=True, slots=True)
class Episode:
    """A finished episode.

    Attributes:
        score: its unclipped return.
        length: in agent steps.
        outcome: ``"win"``, ``"draw"`` or ``"loss"`` in games that have one, otherwise empty; a game that was
            cut off has none either.
        mate: whether it was won by mating.
        statistics: figures of the world beside the score by name, such as the speed of a walker; a figure
            that does not apply is not a number. Only where they are kept (`Worlds.keep_statistics`).
        traces: time series (length,) by name; their times are ``seconds``.
        pushed: whether a person pushed the robot, so that its score is none of the agent's.
    """

    score: float
    length: int
    outcome: str = ""
    mate: bool = False
    statistics: Mapping[str, float] = field(default_factory=dict)
    traces: Mapping[str, Array] = field(default_factory=dict)
    pushed: bool = False


@dataclass(frozen=True, slots=True)
class Budget:
    """Training budget in agent steps or updates: exactly one is set, counted from the start of the run."""

    env_steps: int | None = None
    updates: int | None = None

    def __post_init__(self) -> None:
        """Refuse an empty, double or negative budget.

        Raises:
            ValueError: unless exactly one of the two is a positive number.
        """
        given = [amount for amount in (self.env_steps, self.updates) if amount is not None]
        if len(given) != 1 or given[0] <= 0:
            raise ValueError("a budget is a positive number of either env_steps or updates")

    @property
    def amount(self) -> int:
        """How many of whichever of the two is set."""
        return self.env_steps or self.updates or 0

    def share(self, env_steps: int, updates: int) -> float:
        """How much of it so many env steps and updates have spent; above 1 once they went beyond.

        >>> Budget(env_steps=1000).share(250, updates=2), Budget(updates=8).share(250, updates=2)
        (0.25, 0.25)
        """
        return (updates if self.env_steps is None else env_steps) / self.amount

    def spent(self, env_steps: int, updates: int) -> bool:
        """Whether so many env steps and updates have used it up."""
        return (updates if self.env_steps is None else env_steps) >= self.amount

    def total_updates(self, env_steps: int, updates: int, env_steps_per_update: int) -> int:
        """How many updates there will have been in the end: those so far, and whole ones for the rest.

        What an update is may have changed on the way, at a resume, so it is not counted from the start.
        """
        if self.env_steps is None:
            return self.amount
        return updates - min(0, env_steps - self.env_steps) // env_steps_per_update


@dataclass(frozen=True, slots=True)
class Progress:
    """Training progress at a safe stopping point, between two updates of a learner.

    Attributes:
        env_steps: agent steps in all worlds together since the start of the run.
        updates: updates since the start of the run.
        total_updates: updates at which the budget is spent.
        metrics: the newest figures, by name.
        episodes: the episodes that ended since the last yield.
    """

    env_steps: int
    updates: int
    total_updates: int
    metrics: Mapping[str, float]
    episodes: tuple[Episode, ...] = ()


@dataclass(frozen=True, slots=True)
class Percept:
    """Percept of one input, of one kind or several of `sim.percept_kinds`; only fields that apply are set.

    Attributes:
        origin: where it comes from: the simulator, a model, or the truth with noise.
        boxes: (K, 4) float32 x0, y0, x1, y1, half-open, in the input's own pixels.
        labels: K class names, one a box.
        scores: (K,) confidences in [0, 1]; None where the origin is the truth.
        mask: (H, W) integer class of each pixel.
        depth: (H, W) metres.
        keypoints: name → (x, y, visible).
        places: name of a keypoint → (right, down, ahead) of the camera, metres.
        label: the class of the whole input.
        caption: a sentence about the whole input.
        fen: the pieces on a chess board, the first field of Forsyth–Edwards notation, rank 8 first.
        facts: name → a whole number about the whole input, such as a score, lives or a position in pixels.
        extras: kind → its value, for kinds of percept that have no field here; see `sim.percept_kinds`. Also
            ``likeliest``, (label, probability) of the likeliest labels, and ``certainty``, (64,) of the
            squares a8 … h1: the probability of what is read there.
    """

    origin: Origin
    boxes: Array | None = None
    labels: tuple[str, ...] = ()
    scores: Array | None = None
    mask: Array | None = None
    depth: Array | None = None
    keypoints: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    places: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    label: str | None = None
    caption: str | None = None
    fen: str | None = None
    facts: Mapping[str, int] = field(default_factory=dict)
    extras: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Condition:
    """Condition of a sampler; unset fields are unconditioned."""

    label: str | None = None
    text: str | None = None
    frame: Array | None = None
    mask: Array | None = None
    latent: Array | None = None


@dataclass(frozen=True, slots=True)
class SampleOptions:
    """Sampling options: denoising steps, scheduler by name, guidance weight (1: none)."""

    steps: int = 10
    scheduler: str | None = None
    guidance: float = 1.0


@dataclass(frozen=True, slots=True)
class Samples:
    """Generated examples: (n, …) values and the seed that gives them again."""

    values: Array
    seed: int
    condition: Condition

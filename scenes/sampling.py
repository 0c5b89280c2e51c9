"""A scene's samplers: built, trained on a data set, and given their checkpoints' weights."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from generative.catalog import SAMPLERS
from generative.collection import Collection, Spec
from generative.data.catalog import at_hand, collected
from generative.split import SHUFFLED
from scenes.build import build_policy, chosen_device, scene_world
from scenes.perceiving import trains_perception
from scenes.schema import Sampler, Scene, SceneError, load_scene, own_keys
from sim.catalog import load
from sim.checkpoints import (
    PLAIN,
    Card,
    CheckpointError,
    Layout,
    check_fits,
    load_card,
    load_checkpoint,
    make_card,
)
from sim.fields import construct
from sim.protocols import Policy, SamplerConfig, SamplerModel, Taught
from sim.records import Array, Budget, Progress, SampleOptions, State
from supervised.fit import Fit, fits_exactly

HELD_OUT_SHARE = 0.1  # of the examples, in whole episodes, that validate and are graded against
TEACHER = "diffusion"  # what students learn from
FEW = 600  # examples beside which a gallery hangs where no data set is at hand
#: World → the shipped scenes whose agents play it for data: a fixed list, or data sets would change with it.
CAST = {"atari/pong": ("pong", "pong-hour"), "walker/walker2d": ("walker",)}


@dataclass(frozen=True)
class ShippedPlayer:
    """The trained agent of a shipped scene; see `generative.data.wish.Player`."""

    scene: str
    device: str

    @property
    def name(self) -> str:
        """The scene's, and which weights."""
        scene = load_scene(self.scene)
        assert scene.agent is not None and scene.agent.checkpoint is not None
        return f"{self.scene} {load_card(scene.resolve(scene.agent.checkpoint))['weights']['sha256']}"

    def policy(self, worlds: Any) -> Policy:
        """Its agent, for these worlds."""
        scene = load_scene(self.scene)
        policy, _ = build_policy(scene, worlds, scene_world(scene), self.device)
        return policy


def players(device: str) -> dict[str, Sequence[ShippedPlayer]]:
    """Who plays for data, by world."""
    return {world: [ShippedPlayer(name, device) for name in names] for world, names in CAST.items()}


def trains_sampler(scene: Scene) -> bool:
    """Whether training the scene is about its first sampler: nothing else in it learns."""
    return bool(scene.sampler) and scene.agent is None and not trains_perception(scene)


def sampler_config(scene: Scene, number: int = 0) -> SamplerConfig:
    """The keys of one of the scene's samplers.

    Raises:
        SceneError: if the scene has none.
        CatalogError, FieldError, MissingPackageError: see `sim.catalog`.
    """
    if number >= len(scene.sampler):
        raise SceneError(f"{scene.source.name} has no [[sampler]]")
    table = scene.sampler[number]
    cls = load(SAMPLERS, table.use, "sampler")
    where = f"{scene.source.name}, [[sampler]] number {number}"
    config: SamplerConfig = construct(cls, table.fields, where, own_keys(table))
    return config


def own_options(config: SamplerConfig) -> SampleOptions:
    """How a sampler samples by its own keys."""
    own = SampleOptions()
    names = ("steps", "guidance")  # its scheduler it knows itself
    return SampleOptions(**{name: getattr(config, name, getattr(own, name)) for name in names})


@dataclass(frozen=True)
class Examples:
    """What a sampler learns from, and what is held out of it; no episode is in both."""

    train: Collection
    validation: Collection
    spec: Spec


def scene_examples(scene: Scene, config: SamplerConfig, device: str) -> Examples:
    """The examples of one of the scene's samplers.

    Raises:
        DataError: if its data cannot be had.
        SceneError: if they are a single episode.
    """
    whole = collected(data_name(scene, config), config.examples, seed=scene.seed, players=players(device))
    try:
        train, validation = whole.parted(HELD_OUT_SHARE, scene.seed, SHUFFLED)
    except ValueError as error:
        raise SceneError(f'{scene.source.name}, data = "{config.data}": {error}') from error
    return Examples(train, validation, whole.spec())


def data_name(scene: Scene, config: SamplerConfig) -> str:
    """What its data are called: folders are relative to the scene file."""
    folder = scene.resolve(config.data)
    return str(folder) if folder.is_dir() else config.data


def some_examples(scene: Scene, config: SamplerConfig, device: str, say: Callable[[str], None]) -> Examples:
    """The examples of a sampler, or where they would first have to be played, fewer of them.

    To hang a gallery nobody should wait for minutes of play.
    """
    cast, data = players(device), data_name(scene, config)
    if not at_hand(data, config.examples, seed=scene.seed, players=cast):
        count = min(FEW, config.examples)
        if not at_hand(data, count, seed=scene.seed, players=cast):
            say(f"{config.data} is not on this machine yet: playing {count:,} examples of it")
        config = replace(config, examples=count)  # type: ignore[type-var]
    return scene_examples(scene, config, device)


def build_sampler(
    scene: Scene, number: int, device: str, checkpoint: Path | None = None
) -> tuple[SamplerModel, Card | None]:
    """One of the scene's samplers, with the weights of its checkpoint where it has one.

    Without a checkpoint the data are fetched, to know what it would learn.

    Args:
        scene: says which.
        number: of its samplers.
        device: `chosen_device`.
        checkpoint: instead of the scene's own.

    Returns:
        The sampler and the card of its checkpoint; None if it is untrained.

    Raises:
        CheckpointError: if the checkpoint is damaged or made for something else.
    """
    config, table = sampler_config(scene, number), scene.sampler[number]
    if checkpoint is None and table.checkpoint:
        checkpoint = scene.resolve(table.checkpoint)
    if checkpoint is None:
        return built(scene, config, scene_examples(scene, config, device).spec, device), None
    return load_sampler(scene, number, device, checkpoint)


def load_sampler(scene: Scene, number: int, device: str, folder: Path) -> tuple[SamplerModel, Card]:
    """A sampler with the weights of a checkpoint, for the data that its card tells of.

    Raises:
        CheckpointError: if the checkpoint is damaged or made for something else.
    """
    config, table = sampler_config(scene, number), scene.sampler[number]
    loaded = load_checkpoint(folder)
    check_fits(loaded, kind="sampler", name=table.use)
    try:
        model = config.build(Spec.of(loaded.card.get("spec", {})), seed=scene.seed, device=device)
    except ValueError as error:
        raise CheckpointError(f"{folder} does not fit: {error}") from error
    loaded.give(model)
    return model, loaded.card


def built(scene: Scene, config: SamplerConfig, spec: Spec, device: str) -> SamplerModel:
    """A fresh sampler.

    Raises:
        SceneError: if it cannot learn such data.
    """
    try:
        return config.build(spec, seed=scene.seed, device=device)
    except ValueError as error:
        raise SceneError(f"{scene.source.name}, [[sampler]]: {error}") from error


class SamplerTrainee:
    """The scene's first sampler, learning from its data set; see `scenes.trainees.Trainee`."""

    unit = "updates"
    learning_rate_key = "sampler.0.learning_rate"

    def __init__(self, scene: Scene, device: str, start_from: Path | None) -> None:
        """Fetch the data and build the model.

        Raises:
            SceneError, FieldError, DataError, CheckpointError: if the request is wrong.
        """
        self._scene, self._device = scene, chosen_device(device)
        self.resumes_exactly = fits_exactly(self._device)
        self._config = sampler_config(scene)
        self.learning_rate: float | None = getattr(self._config, "learning_rate", None)
        print(f"fetching {self._config.examples:,} examples of {self._config.data} …", file=sys.stderr)
        self._examples = scene_examples(scene, self._config, self._device)
        self.model = built(scene, self._config, self._examples.spec, self._device)
        if isinstance(self.model, Taught):
            self._learn_from(scene.resolve(self._config.teacher), self.model)  # type: ignore[attr-defined]
        if start_from is not None:  # otherwise from nothing, whatever the scene ships with
            self._start_from(start_from)

    def _learn_from(self, folder: Path, student: Taught) -> None:
        """Load the teacher that the scene names; at a resume too, for it is in no state.

        Raises:
            CheckpointError: if it is missing, damaged, or knows other data or another network.
        """
        loaded = load_checkpoint(folder)
        check_fits(loaded, kind="sampler", name=TEACHER)
        if Spec.of(loaded.card.get("spec", {})) != self._examples.spec:
            raise CheckpointError(f"{folder} cannot teach: it knows other data than {self._config.data}")
        try:
            student.learn_from(loaded.weights)
        except ValueError as error:
            raise CheckpointError(f"{folder} cannot teach: {error}") from error

    def _start_from(self, folder: Path) -> None:
        other, _ = load_sampler(self._scene, 0, self._device, folder)
        if other.spec != self._examples.spec:
            raise CheckpointError(
                f"{folder} does not fit: it was made for other data than {self._config.data}"
            )
        self.model.load_weights(other.weights())

    @cached_property
    def _fit(self) -> Fit:
        examples = self._examples
        fit: Fit = self.model.fit(examples.train, examples.validation, seed=self._scene.seed)
        return fit

    def learn(self, budget: Budget) -> Iterator[Progress]:
        """See `Trainee`."""
        return self._fit.learn(budget)

    def state(self) -> State:
        """See `Trainee`; the examples are not in it, for the same seed gives the same ones."""
        return self._fit.state()

    def restore(self, state: State) -> None:
        """See `Trainee`."""
        self._fit.restore(state)

    def weights(self) -> dict[str, Array]:
        """See `Trainee`."""
        return self._fit.weights()

    @property
    def layout(self) -> Layout:
        """In which files a checkpoint lies: the model's own way, or the usual one."""
        laid_out: Callable[[], Layout] | None = getattr(self.model, "layout", None)
        return PLAIN if laid_out is None else laid_out()

    def card(self, trained: Mapping[str, Any], scores: Mapping[str, Any]) -> Card:
        """See `Trainee`."""
        examples = self._examples
        return sampler_card(self._scene, self._config, examples.spec, len(examples.train), trained, scores)

    def evaluate(self) -> dict[str, float]:
        """See `Trainee`: the loss and figures on held-out examples."""
        return self._fit.validate()

    def estimated_rate(self, budget: Budget) -> None:
        """See `Trainee`: fits are short, and the bar tells soon enough."""

    def close(self) -> None:
        """See `Trainee`."""


def sampler_card(
    scene: Scene,
    config: SamplerConfig,
    spec: Spec,
    examples: int,
    trained: Mapping[str, Any],
    scores: Mapping[str, Any] | None = None,
) -> Card:
    """The card of the scene's first sampler."""
    table: Sampler = scene.sampler[0]
    card = make_card(
        "sampler",
        table.use,
        asdict(config),  # type: ignore[call-overload]
        seed=scene.seed,
        trained=trained,
        preprocessing="pictures (H, W, 3) uint8 or vectors (D,) float32; the model scales them itself",
        protocol={"data": config.data, "examples": examples, "held_out_share": HELD_OUT_SHARE},
        scores=scores,
    )
    return card | {"spec": spec.table()}

"""A scene's samplers: built, trained on a data set, and given their checkpoints' weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from generative.catalog import SAMPLERS
from generative.collection import Spec
from generative.split import SHUFFLED
from scenes.build import chosen_device
from scenes.perceiving import trains_perception
from scenes.sampler_data import DataRecipe, Examples, asked_of, fetch_examples, same_name
from scenes.schema import Sampler, Scene, SceneError, own_keys
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
from sim.protocols import Illustrates, SamplerConfig, SamplerModel, Taught
from sim.records import Array, Budget, Progress, SampleOptions, State
from supervised.fit import Fit, fits_exactly

TEACHER = "diffusion"  # what students learn from


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
        examples = fetch_examples(scene, DataRecipe.of_scene(scene, config))
        return built(scene, config, examples.spec, device), None
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


def same_data(model: SamplerModel, one: Spec, other: Spec) -> bool:
    """Whether what a model learned of some data holds for others.

    Which words occur floats with the captions that are drawn, and counts only for who reads them.
    """
    if not isinstance(model, Illustrates):
        one, other = replace(one, words=()), replace(other, words=())
    return one == other


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
        self._examples = fetch_examples(scene, self._recipe(start_from))
        self.model = built(scene, self._config, self._examples.spec, self._device)
        if isinstance(self.model, Taught):
            self._learn_from(scene.resolve(self._config.teacher), self.model)  # type: ignore[attr-defined]
        if start_from is not None:  # otherwise from nothing, whatever the scene ships with
            self._start_from(start_from)

    def _recipe(self, start_from: Path | None) -> DataRecipe:
        """The scene's data; what a teacher or a beginning has not seen of the same data stays held out.

        Raises:
            CheckpointError: if either is damaged.
        """
        recipe = DataRecipe.of_scene(self._scene, self._config)
        teacher: str | None = getattr(self._config, "teacher", None)
        parents = [self._scene.resolve(teacher)] if teacher else []
        for folder in parents if start_from is None else [start_from, *parents]:
            card = load_card(folder)
            known = DataRecipe.of_scene(self._scene, self._config, card)
            data = asked_of(card).get("data", recipe.data)
            if known.seed == recipe.seed and same_name(self._scene, data, recipe.data):
                recipe = known
        return recipe

    def _learn_from(self, folder: Path, student: Taught) -> None:
        """Load the teacher that the scene names; at a resume too, for it is in no state.

        Raises:
            CheckpointError: if it is missing, damaged, or knows other data or another network.
        """
        loaded = load_checkpoint(folder)
        check_fits(loaded, kind="sampler", name=TEACHER)
        if not same_data(self.model, Spec.of(loaded.card.get("spec", {})), self._examples.spec):
            raise CheckpointError(f"{folder} cannot teach: it knows other data than {self._config.data}")
        try:
            student.learn_from(loaded.weights)
        except ValueError as error:
            raise CheckpointError(f"{folder} cannot teach: {error}") from error

    def _start_from(self, folder: Path) -> None:
        other, _ = load_sampler(self._scene, 0, self._device, folder)
        if not same_data(self.model, other.spec, self._examples.spec):
            raise CheckpointError(
                f"{folder} does not fit: it was made for other data than {self._config.data}"
            )
        self.model.load_weights(other.weights())

    @cached_property
    def _fit(self) -> Fit:
        examples = self._examples
        fit: Fit = self.model.fit(examples.train, examples.validation, seed=self._scene.seed)
        return fit

    @property
    def scene(self) -> Scene:
        """See `Trainee`."""
        return self._scene

    def learn(self, budget: Budget) -> Iterator[Progress]:
        """See `Trainee`."""
        return self._fit.learn(budget)

    def state(self) -> State:
        """See `Trainee`; the examples are not in it, for the same recipe gives the same ones."""
        assert self._examples.recipe is not None
        return self._fit.state() | {"split": self._examples.recipe.split}

    def restore(self, state: State) -> None:
        """See `Trainee`; what was held out when the run began stays so."""
        recipe = self._examples.recipe
        assert recipe is not None
        kept = replace(recipe, split=state.get("split", SHUFFLED))
        if kept != recipe:
            self._examples = fetch_examples(self._scene, kept)
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
        return sampler_card(self._scene, self._config, self._examples, trained, scores)

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
    examples: Examples,
    trained: Mapping[str, Any],
    scores: Mapping[str, Any] | None = None,
) -> Card:
    """The card of the scene's first sampler."""
    table: Sampler = scene.sampler[0]
    recipe = examples.recipe or DataRecipe.of_scene(scene, config)
    card = make_card(
        "sampler",
        table.use,
        asdict(config),  # type: ignore[call-overload]
        seed=scene.seed,
        trained=trained,
        preprocessing="pictures (H, W, 3) uint8 or vectors (D,) float32; the model scales them itself",
        protocol=recipe.protocol() | {"learned_from": len(examples.train)},
        scores=scores,
    )
    return card | {"spec": examples.spec.table()}

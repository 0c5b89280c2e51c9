"""The sampler of a scene as a trainee: model, data set, teacher, checkpoint card and validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from scenes.build.devices import chosen_device
from scenes.build.samplers import build_untrained, load_sampler, same_data, sampler_config
from scenes.data.sampler_data import DataRecipe, DataSplit, fetch_examples, requested_data, same_name
from scenes.schema import Sampler, Scene
from scenes.training.fitted_trainee import FittedTrainee
from sim.protocols import Distillable, SamplerConfig
from sim.records import State
from sim.storage.checkpoints import (
    PLAIN,
    Card,
    CheckpointError,
    CheckpointLayout,
    check_fits,
    load_card,
    load_checkpoint,
    make_card,
)
from supervised.data.dataset import Spec
from supervised.data.split import SHUFFLED
from supervised.fit import Fit

TEACHER = "diffusion"  # key of a distilled sampler: its teacher's checkpoint


class SamplerTrainee(FittedTrainee):
    """The scene's first sampler as a `Trainee`: learns from its data set."""

    learning_rate_key = "sampler.0.learning_rate"

    def __init__(self, scene: Scene, device: str, start_from: Path | None) -> None:
        """Make or read the data set and build the model.

        Raises:
            SceneError, FieldError, DataError, CheckpointError: if the request is wrong.
        """
        self._config = sampler_config(scene)
        super().__init__(scene, chosen_device(device), getattr(self._config, "learning_rate", None))
        self._examples = fetch_examples(scene, self._recipe(start_from))
        self.model = build_untrained(scene, self._config, self._examples.spec, self._device)
        if isinstance(self.model, Distillable):
            self._learn_from(scene.resolve(self._config.teacher), self.model)  # type: ignore[attr-defined]
        if start_from is not None:  # else from random weights, even if the scene ships with a checkpoint
            self._start_from(start_from)

    def _recipe(self, start_from: Path | None) -> DataRecipe:
        """Request for the scene's data; what its teacher or `--from` checkpoint held out stays held out.

        Raises:
            CheckpointError: if either is damaged.
        """
        recipe = DataRecipe.of_scene(self._scene, self._config)
        teacher: str | None = getattr(self._config, "teacher", None)
        parents = [self._scene.resolve(teacher)] if teacher else []
        for folder in parents if start_from is None else [start_from, *parents]:
            card = load_card(folder)
            known = DataRecipe.of_scene(self._scene, self._config, card)
            data = requested_data(card).get("data", recipe.data)
            if known.seed == recipe.seed and same_name(self._scene, data, recipe.data):
                recipe = known
        return recipe

    def _learn_from(self, folder: Path, student: Distillable) -> None:
        """Load the teacher that the scene names, at a resume too: states do not contain it.

        Raises:
            CheckpointError: if it is missing, damaged, or has other data or another network.
        """
        loaded = load_checkpoint(folder)
        check_fits(loaded, kind="sampler", name=TEACHER)
        if not same_data(self.model, Spec.of(loaded.card.get("spec", {})), self._examples.spec):
            raise CheckpointError(
                f"{folder} is no teacher: it was trained on other data than {self._config.data}"
            )
        try:
            student.learn_from(loaded.weights)
        except ValueError as error:
            raise CheckpointError(f"{folder} is no teacher: {error}") from error

    def _start_from(self, folder: Path) -> None:
        other, _ = load_sampler(self._scene, 0, self._device, folder)
        if not same_data(self.model, other.spec, self._examples.spec):
            raise CheckpointError(
                f"{folder} does not fit: it was made for other data than {self._config.data}"
            )
        self.model.load_weights(other.weights())

    def _make_fit(self) -> Fit:
        examples = self._examples
        fit: Fit = self.model.fit(examples.train, examples.validation, seed=self._scene.seed)
        return fit

    @property
    def recipe(self) -> DataRecipe:
        """Where the examples come from."""
        assert self._examples.recipe is not None
        return self._examples.recipe

    def state(self) -> State:
        """See `Trainee`; the examples are not part of it, as the same request gives the same ones."""
        return self._fit.state() | {"split": self.recipe.split}

    def restore(self, state: State) -> None:
        """See `Trainee`; the split is that of the run's beginning."""
        recipe = self.recipe
        kept = replace(recipe, split=state.get("split", SHUFFLED))
        if kept != recipe:
            self._examples = fetch_examples(self._scene, kept)
        self._fit.restore(state)

    @property
    def layout(self) -> CheckpointLayout:
        """File layout of the checkpoint: the model's own, or the default."""
        laid_out: Callable[[], CheckpointLayout] | None = getattr(self.model, "layout", None)
        return PLAIN if laid_out is None else laid_out()

    def card(self, trained: Mapping[str, Any], scores: Mapping[str, Any]) -> Card:
        """See `Trainee`."""
        return sampler_card(self._scene, self._config, self._examples, trained, scores)


def sampler_card(
    scene: Scene,
    config: SamplerConfig,
    examples: DataSplit,
    trained: Mapping[str, Any],
    scores: Mapping[str, Any] | None = None,
) -> Card:
    """Make the model card of the scene's first sampler."""
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

"""Training and held-out data of a scene's samplers: the request, the policies that play, the split.

A checkpoint's card stores the request (`DataRecipe`), not the data: games that are played again differ a
little between processors. Evaluation of a checkpoint follows its card, so that no episode of its training
set is held out, whichever seed its samples are drawn with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from generative.data.catalog import is_available, load_dataset, players_of
from scenes.build.agents import build_policy, scene_world
from scenes.build.samplers import build_untrained, load_sampler, sampler_config
from scenes.schema import Scene, SceneError, load_scene
from sim.protocols import Policy, SamplerConfig, SamplerModel
from sim.storage.checkpoints import Card, load_card
from supervised.data.columns import ArrayColumn, LabelColumn
from supervised.data.dataset import Dataset, Spec
from supervised.data.source_digest import versions
from supervised.data.split import HASHED, SHUFFLED

HELD_OUT_SHARE = 0.1  # share of the examples, in whole episodes
FEW = 600  # examples for a gallery where the whole data set is not cached
#: World → shipped scenes whose agents play for data; a fixed list, as data sets follow from it.
CAST = {"atari/pong": ("pong", "pong-hour"), "walker/walker2d": ("walker",)}
#: Family of data sets → packages whose version may change them.
PACKAGES = {
    "boards": ("chess",),
    "frames": ("ale-py", "torch"),
    "gameplay": ("ale-py", "torch"),
    "states": ("ale-py", "mujoco", "torch"),
}


@dataclass(frozen=True)
class ShippedPlayer:
    """The trained agent of a shipped scene; see `generative.data.data_request.Player`.

    It acts on the CPU whatever the model is trained on: a GPU would round otherwise and play other games.
    """

    scene: str

    @property
    def name(self) -> str:
        """Name of the scene and hash of the agent's weights."""
        scene = load_scene(self.scene)
        assert scene.agent is not None and scene.agent.checkpoint is not None
        return f"{self.scene} {load_card(scene.resolve(scene.agent.checkpoint))['weights']['sha256']}"

    def policy(self, worlds: Any) -> Policy:
        """Build the scene's agent for these worlds."""
        scene = load_scene(self.scene)
        policy, _ = build_policy(scene, worlds, scene_world(scene), "cpu")
        return policy


def players() -> dict[str, Sequence[ShippedPlayer]]:
    """Policies that play while data are collected, by name of world."""
    return {world: [ShippedPlayer(name) for name in names] for world, names in CAST.items()}


@dataclass(frozen=True)
class DataRecipe:
    """Request for the data of a sampler; the number of examples that are found may be smaller.

    Attributes:
        data: name of the data set, as in the scene.
        examples: number of examples requested.
        seed: of play and of the split, not of sampling.
        held_out_share: share of the examples that is held out.
        split: the rule by which episodes are held out, of `supervised.data.split`.
    """

    data: str
    examples: int
    seed: int
    held_out_share: float = HELD_OUT_SHARE
    split: str = HASHED

    @classmethod
    def of_scene(cls, scene: Scene, config: SamplerConfig, card: Card | None = None) -> DataRecipe:
        """Request of one of the scene's samplers; with a checkpoint's card, the one that it was trained on.

        Cards that name no split rule are older than the second rule and mean the first.
        """
        recipe = cls(config.data, config.examples, scene.seed)
        if card is None:
            return recipe
        told = card.get("protocol", {})
        return replace(
            recipe,
            seed=told.get("data_seed", card.get("seed", scene.seed)),
            held_out_share=told.get("held_out_share", HELD_OUT_SHARE),
            split=told.get("split", SHUFFLED),
        )

    def protocol(self) -> dict[str, Any]:
        """The request as keys of a protocol stamp."""
        who = [player for cast in players_of(self.data, players()).values() for player in cast]
        short = [name + " " + weights[:12] for name, _, weights in (p.name.rpartition(" ") for p in who)]
        return {
            "data": self.data,
            "examples": self.examples,
            "data_seed": self.seed,
            **({"players": ", ".join(short)} if who else {}),
            "held_out_share": self.held_out_share,
            "split": self.split,
        }


def requested_data(card: Card) -> dict[str, Any]:
    """The ``data`` and number of ``examples`` that a card's model requested, as far as the card has them.

    In cards without a split rule the protocol's ``examples`` counts those found; the config has the request.
    """
    told = card.get("protocol", {})
    sources = {"data": told, "examples": told if "split" in told else card.get("config", {})}
    return {key: source[key] for key, source in sources.items() if key in source}


def check_recipe(scene: Scene, name: str, number: int, card: Card, recipe: DataRecipe) -> None:
    """Refuse to evaluate a checkpoint on other data than it was trained on.

    Args:
        scene: to whose file folders are relative.
        name: of the checkpoint.
        number: of its table in the scene.
        card: of the checkpoint.
        recipe: of the data to evaluate on.

    Raises:
        SceneError: naming what differs and the key that mends it.
    """
    for key, learned in requested_data(card).items():
        here = getattr(recipe, key)
        same = same_name(scene, learned, here) if key == "data" else learned == here
        if not same:
            raise SceneError(
                f"{name} learned from other examples: its {key} is {learned}, this scene's is {here}; what "
                "is held out here may not have been held out there: "
                f"set sampler.{number}.{key}={learned}"
            )


def differences(card: Card, recipe: DataRecipe, had: int) -> Iterator[str]:
    """Reasons why a checkpoint's training data may differ from the data here, a sentence each.

    Args:
        card: of the checkpoint.
        recipe: of its data.
        had: number of training examples here.
    """
    told = card.get("protocol", {})
    theirs, ours = (of.get("players", "chance alone") for of in (told, recipe.protocol()))
    if "split" in told and theirs != ours:
        yield f"its examples were played by {theirs}, here by {ours}"
    packages = PACKAGES.get(recipe.data.partition("/")[0], ())
    then, now = card.get("versions", {}), versions(packages)
    for package in packages:
        theirs, ours = (of.get(package, "").partition("+")[0] for of in (then, now))
        if ours and theirs and ours != theirs:
            yield f"its examples were made with {package} {theirs}, here with {ours}"
    learned = told.get("learned_from", had)
    if recipe.split == SHUFFLED and learned != had:
        yield (
            f"it learned from {learned:,} examples and here there are {had:,}: its older split rule shuffles "
            "by how many episodes there are, so that it may have learned from some of those held out here"
        )


@dataclass(frozen=True)
class DataSplit:
    """Training and held-out examples of a sampler, split by episode."""

    train: Dataset
    validation: Dataset
    spec: Spec
    recipe: DataRecipe | None = None


def fetch_examples(scene: Scene, recipe: DataRecipe) -> DataSplit:
    """Make or read the examples of a request, and split them.

    Raises:
        DataError: if the data set does not exist or is damaged.
        SceneError: if they are a single episode, or there is no such split rule.
    """
    name = data_name(scene, recipe.data)
    whole = load_dataset(name, recipe.examples, seed=recipe.seed, players=players())
    try:
        train, validation = whole.parted(recipe.held_out_share, recipe.seed, recipe.split)
    except ValueError as error:
        raise SceneError(f'{scene.source.name}, data = "{recipe.data}": {error}') from error
    return DataSplit(train, validation, whole.spec(), recipe)


def data_name(scene: Scene, data: str) -> str:
    """Name of a data set; a folder, relative to the scene file, as an absolute path."""
    folder = scene.resolve(data)
    return str(folder) if folder.is_dir() else data


def same_name(scene: Scene, one: str, other: str) -> bool:
    """Whether two names mean the same data set: a resumed run has a folder's absolute path."""
    return data_name(scene, one) == data_name(scene, other)


def at_hand(scene: Scene, recipe: DataRecipe) -> DataRecipe:
    """The request for a gallery: at most `FEW` examples where not all of them are cached.

    A gallery should not wait for minutes of play.
    """
    return recipe if _is_here(scene, recipe) else replace(recipe, examples=min(FEW, recipe.examples))


def some_examples(
    scene: Scene, recipe: DataRecipe, say: Callable[[str], None], spec: Spec | None = None
) -> DataSplit:
    """The examples of a gallery's request (`at_hand`), played where they are not cached.

    Args:
        scene: to whose file folders are relative.
        recipe: the sampler's request.
        say: takes a line for a person: what is waited for.
        spec: of the sampler, to have no examples at all instead of playing them; None to play them.
    """
    recipe = at_hand(scene, recipe)
    if not _is_here(scene, recipe):
        if spec is not None:
            say(
                f"{recipe.data} is not on this machine, and --no-neighbours plays no examples of it: "
                "the page has no real pictures to compare with"
            )
            return no_examples(spec)
        say(
            f"{recipe.data} is not on this machine yet: playing {recipe.examples:,} examples of it, once, "
            "for nearest neighbours and real pictures"
        )
    return fetch_examples(scene, recipe)


def no_examples(spec: Spec) -> DataSplit:
    """A split without any example, for what does without them."""
    values = np.zeros((0, *spec.shape), np.uint8 if spec.pictures else np.float32)
    nothing = np.zeros(0, np.int64)
    empty = Dataset(
        values=ArrayColumn(values, spec.axes), labels=LabelColumn(nothing, spec.label_names), episodes=nothing
    )
    return DataSplit(empty, empty, spec)


def _is_here(scene: Scene, recipe: DataRecipe) -> bool:
    name = data_name(scene, recipe.data)
    return is_available(name, recipe.examples, seed=recipe.seed, players=players())


def build_sampler(
    scene: Scene, number: int, device: str, checkpoint: Path | None = None
) -> tuple[SamplerModel, Card | None]:
    """Build one of the scene's samplers, with the weights of its checkpoint where it has one.

    Without a checkpoint the data set is made or read for its specification.

    Args:
        scene: with samplers.
        number: which of them.
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
        return build_untrained(scene, config, examples.spec, device), None
    return load_sampler(scene, number, device, checkpoint)

"""Agent, perception and sampler of an opened scene with their weights, with defaults from the scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from sim.catalog import load
from sim.errors import RequestError
from sim.fields import nearest
from sim.protocols import PerceptionModel, Policy, SamplerModel
from sim.records import Array, Condition, Decision, Percept, SampleOptions
from sim.storage.checkpoints import Card
from sim.vector import reset_memory


class InputError(RequestError, ValueError):
    """An input, condition or option that a loaded model cannot take; the message names it."""


@dataclass
class LoadedAgent:
    """A policy with the weights of its checkpoint, and its recurrent memory between calls.

    Attributes:
        policy: the `sim.protocols.Policy`.
        card: of its checkpoint; None if it is untrained.
        greedy: whether it takes the best action or samples one, as the scene says.
        shape: of one world's observation.
        memory: what a recurrent `policy` remembers of each world's episode; set it to None after ``reset()``.

    >>> import playfield
    >>> scene = playfield.open("cartpole")
    >>> agent, worlds = scene.agent(), scene.worlds(2)
    >>> decision = agent.act(*worlds.reset(seed=0))
    >>> decision.actions.shape, decision.probabilities.shape
    ((2,), (2, 2))
    """

    policy: Policy
    card: Card | None
    greedy: bool
    shape: tuple[int, ...] | None = None
    memory: Any = None

    def act(self, obs: Array, info: Mapping[str, Any], *, greedy: bool | None = None) -> Decision:
        """Choose an action in each of N worlds.

        Args:
            obs: (N, …) observations of a batch of worlds.
            info: what came with them; actions that ``info["action_mask"]`` rules out are never chosen.
            greedy: instead of `self.greedy`.

        Returns:
            ``actions`` (N, …) for ``worlds.step``; probabilities, values or visits where it has them.

        Raises:
            InputError: for observations of another shape, such as of one world without a batch's axis.
        """
        if self.shape is not None and (len(found := np.shape(obs)) < 1 or found[1:] != self.shape):
            wanted = ", ".join(["N", *map(str, self.shape)])
            hint = "; of one world give obs[None]" if found == self.shape else ""
            raise InputError(f"this agent observes ({wanted}), not {found}{hint}")
        greedy = self.greedy if greedy is None else greedy
        if (ended := info.get("_episode")) is not None:
            self.memory = reset_memory(self.memory, ended)
        decision, self.memory = self.policy.act(obs, info, self.memory, greedy=greedy)
        return decision


@dataclass(frozen=True)
class LoadedPerception:
    """A perception with the weights of its checkpoint.

    Attributes:
        model: the `sim.protocols.PerceptionModel`.
        card: of its checkpoint; None if it is untrained.
        classes: the names that it chooses from.
    """

    model: PerceptionModel
    card: Card | None
    classes: tuple[str, ...]

    def perceive(self, inputs: Sequence[Any] | Array | str | Path) -> list[Percept]:
        """One percept an input.

        Args:
            inputs: of the kind that the model reads: pictures (H, W, 3) uint8 of any sizes, a batch of them
                (N, H, W, 3), or the path of a picture, a video or a folder of them; of other kinds also what
                ``playfield perceive --input`` takes, such as a text or a file.

        Raises:
            InputError: naming the input that is no picture.
            PictureError: naming the file that cannot be read.

        >>> import playfield
        >>> scene = playfield.open("board-reader")
        >>> world = playfield.make_world("chess")
        >>> _ = world.reset()
        >>> scene.perception().perceive([world.render()])[0].fen
        'rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR'
        """
        if isinstance(inputs, str | Path) and self.model.reads != "rgb":
            from supervised.catalog import READERS

            def refuse(name: str, error: Exception) -> None:
                raise error

            read = load(READERS, self.model.reads, "kind of input")
            inputs = [value for _, value in read(str(inputs), refuse)]
        elif isinstance(inputs, str | Path):
            from scenes.data.images import read_pictures

            inputs = [rgb for _, rgb in read_pictures(Path(inputs))]
        elif self.model.reads == "rgb":
            check_pictures(inputs)
        return self.model.perceive(list(inputs))


@dataclass(frozen=True)
class LoadedSampler:
    """A sampler with the weights of its checkpoint.

    Attributes:
        model: the `sim.protocols.SamplerModel`; some also decode, trace or tell likelihoods
            (`sim.protocols.Decodes` and those after it).
        card: of its checkpoint; None if it is untrained.
        options: steps, scheduler and guidance, as the scene says.
        seed: of the scene.
    """

    model: SamplerModel
    card: Card | None
    options: SampleOptions = field(default_factory=SampleOptions)
    seed: int = 0

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes that can be asked for, where it is conditional on them."""
        names: tuple[str, ...] = self.model.spec.label_names
        return names

    def sample(
        self,
        n: int = 1,
        *,
        label: str | None = None,
        text: str | None = None,
        frame: Array | None = None,
        mask: Array | None = None,
        latent: Array | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> Array:
        """`n` new examples, (n, H, W, 3) uint8 pictures or (n, D) float32 vectors.

        Args:
            n: how many.
            label: of which class.
            text: a sentence that describes them.
            frame: an example of which a part is filled in.
            mask: (H, W) bool, which part that is.
            latent: a point of the latent space.
            seed: instead of the scene's; the same gives the same samples.
            options: ``steps``, ``scheduler`` or ``guidance``, instead of the scene's.

        Raises:
            InputError: naming what this sampler cannot honour.

        >>> import playfield
        >>> playfield.open("digits-gan").sampler().sample(2, label="7").shape
        (2, 8, 8, 3)
        """
        condition = Condition(label, text, frame, mask, latent)
        if n < 1:
            raise InputError(f"n must be at least 1, not {n}")
        if unknown := set(options) - {field.name for field in fields(SampleOptions)}:
            name = min(unknown)
            known = [field.name for kind in (Condition, SampleOptions) for field in fields(kind)]
            raise InputError(f'sample has no "{name}"; {nearest(name, [*known, "seed"])}')
        chosen = replace(self.options, **options)
        try:
            return self.model.sample(n, condition, chosen, self.seed if seed is None else seed).values
        except ValueError as error:
            raise InputError(str(error)) from error


def check_pictures(inputs: Sequence[Any] | Array) -> None:
    """Refuse what is no picture.

    Raises:
        InputError: naming the first input that is none, its shape and type.
    """
    if isinstance(inputs, np.ndarray) and inputs.ndim == 3:
        raise InputError("inputs are a list of pictures or a batch (N, H, W, 3): write [picture]")
    for i, rgb in enumerate(inputs):
        shape: tuple[int, ...] = getattr(rgb, "shape", ())
        kind = getattr(rgb, "dtype", type(rgb).__name__)
        if len(shape) != 3 or shape[2] != 3 or kind != np.uint8:
            raise InputError(f"inputs[{i}] must be a picture (H, W, 3) uint8, not {shape} {kind}")

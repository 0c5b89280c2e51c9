"""Agent, perception and sampler of an opened scene with their weights, with defaults from the scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sim.protocols import PerceptionModel, Policy, SamplerModel
from sim.records import Array, Condition, Decision, Percept, SampleOptions
from sim.storage.checkpoints import Card
from sim.vector import reset_memory


@dataclass
class LoadedAgent:
    """A policy with the weights of its checkpoint, and its recurrent memory between calls.

    Attributes:
        policy: the `sim.protocols.Policy`.
        card: of its checkpoint; None if it is untrained.
        greedy: whether it takes the best action or samples one, as the scene says.
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
    memory: Any = None

    def act(self, obs: Array, info: Mapping[str, Any], *, greedy: bool | None = None) -> Decision:
        """Choose an action in each of N worlds.

        Args:
            obs: (N, …) observations of a batch of worlds.
            info: what came with them; actions that ``info["action_mask"]`` rules out are never chosen.
            greedy: instead of `self.greedy`.

        Returns:
            ``actions`` (N, …) for ``worlds.step``; probabilities, values or visits where it has them.
        """
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

    def perceive(self, inputs: Sequence[Array]) -> list[Percept]:
        """One percept an input.

        Args:
            inputs: pictures (H, W, 3) uint8 of any size.

        >>> import playfield
        >>> scene = playfield.open("board-reader")
        >>> world = playfield.make_world("chess")
        >>> _ = world.reset()
        >>> scene.perception().perceive([world.render()])[0].fen
        'rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR'
        """
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
            ValueError: naming what this sampler cannot honour.

        >>> import playfield
        >>> playfield.open("digits-gan").sampler().sample(2, label="7").shape
        (2, 8, 8, 3)
        """
        condition = Condition(label, text, frame, mask, latent)
        chosen = replace(self.options, **options)
        return self.model.sample(n, condition, chosen, self.seed if seed is None else seed).values

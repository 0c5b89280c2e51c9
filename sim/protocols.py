"""Interfaces (`typing.Protocol`) of worlds, policies, learners, perceptions, samplers and games.

All of them are structural (`typing.Protocol`): nothing inherits from them, and
`sim.conformance` checks that every catalogue entry keeps them. Arguments and results are arrays, not tensors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import gymnasium

from sim.records import Array, Budget, Condition, Decision, Percept, Progress, SampleOptions, Samples, State
from sim.vector import Worlds


class WorldConfig(Protocol):
    """A catalogue entry for worlds: a dataclass whose fields are the scene's keys."""

    @property
    def name(self) -> str:
        """The world's full catalogue name, such as ``atari/pong``."""

    def make(self, seed: int) -> gymnasium.Env[Any, Any]:
        """Make one world whose ``render()`` gives RGB; its first reset uses `seed`."""

    def make_batch(self, num_envs: int, seed: int) -> Worlds:
        """Make a batch of `num_envs` worlds that step together."""

    def protocol(self) -> dict[str, str | int | float | bool]:
        """The evaluation rules that go with a score; equal rules compare equal."""


@runtime_checkable
class Policy(Protocol):
    """A policy: chooses actions for N worlds at once."""

    def act(
        self, obs: Array, info: Mapping[str, Any], memory: Any = None, *, greedy: bool = False
    ) -> tuple[Decision, Any]:
        """Choose N actions; returns the decision and the memory: an array (N, …), or None of who has none.

        Args:
            obs: (N, …) observations as the world gives them.
            info: the world's info; ``info["action_mask"]`` (N, A) bool, where there is one, is kept.
            memory: what the last call returned, set to zero where an episode has ended since
                (`sim.vector.reset_memory`); None, at first, is zero everywhere.
            greedy: the best action instead of a sample.
        """

    def seed(self, seed: int) -> None:
        """Start the generator that samples actions anew."""


@runtime_checkable
class Ponders(Protocol):
    """A policy whose search of one position can be followed while it goes on, and stopped in between."""

    def ponder(self, game: Any) -> Iterator[Decision]:
        """Decisions (N = 1) of the side to move in a `Game`, each after more search; the last is played.

        One must come at least every 50 ms: between two of them the caller may stop.
        """


@runtime_checkable
class Learner(Policy, Protocol):
    """A policy that also learns, and whose training can be stopped and resumed exactly."""

    def learn(self, worlds: Worlds, budget: Budget) -> Iterator[Progress]:
        """Train until the budget is spent, yielding where it is safe to stop."""

    def state(self) -> State:
        """Everything that an exact resume needs, the worlds included."""

    def restore(self, state: State) -> None:
        """Load `state`; the next `learn` goes on from there."""

    def weights(self) -> dict[str, Array]:
        """The arrays that acting needs, and no more: the content of a checkpoint."""

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """Load weights from a checkpoint."""


class AgentConfig(Protocol):
    """A catalogue entry for agents: a dataclass whose fields are the scene's keys."""

    @property
    def greedy(self) -> bool:
        """Whether the agent plays greedily or samples when watched and evaluated."""

    def build(
        self,
        observation_space: gymnasium.Space[Any],
        action_space: gymnasium.Space[Any],
        *,
        seed: int,
        device: str,
    ) -> Policy:
        """Make the agent for one world's spaces."""


@runtime_checkable
class LearnerConfig(Protocol):
    """A catalogue entry for agents that learn: an `AgentConfig` that builds a `Learner` and has a `probe`.

    Attributes:
        fixed_at_resume: the fields that give a state its shape (networks, memories), which a resume cannot
            change.
    """

    fixed_at_resume: ClassVar[tuple[str, ...]]

    @property
    def greedy(self) -> bool:
        """See `AgentConfig`."""

    def build(
        self,
        observation_space: gymnasium.Space[Any],
        action_space: gymnasium.Space[Any],
        *,
        seed: int,
        device: str,
    ) -> Learner:
        """Make a fresh learner for one world's spaces."""

    def probe(self) -> LearnerConfig:
        """A configuration with the same work a step in shorter updates, to estimate the training time."""


#: Kinds of input of a perception: pictures (H, W, 3) uint8, strings, waveforms (samples,) float32, graphs,
#: table rows (D,) float32.
READS = ("rgb", "text", "sound", "graph", "table")


class Perception(Protocol):
    """A perception: maps inputs of one kind to percepts, such as boxes or masks.

    Attributes:
        reads: the kind of its inputs, one of `READS`; `scenes.build.perceptions` gives it no other.
    """

    reads: str

    def perceive(self, inputs: Sequence[Any]) -> list[Percept]:
        """One percept an input."""


class PerceptionModel(Perception, Protocol):
    """A trainable perception."""

    def fit(self, train: Any, validation: Any, *, seed: int) -> Any:
        """Training (`supervised.fit.Fit`) of this model on two labelled `supervised.data.dataset.Dataset`."""

    def weights(self) -> dict[str, Array]:
        """The arrays that `perceive` needs: the content of a checkpoint."""

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """Load weights from a checkpoint."""


class PerceptionConfig(Protocol):
    """A catalogue entry for perceptions: a dataclass whose fields are the scene's keys.

    One that learns from several worlds at once has a field ``worlds``, a tuple of their catalogue names.
    """

    @property
    def tells(self) -> str:
        """The percept field that it predicts: boxes, mask, depth, keypoints, label, fen or caption."""

    @property
    def views(self) -> int:
        """How many pictures to train on."""

    def build(self, classes: Sequence[str], *, seed: int, device: str) -> PerceptionModel:
        """Make the model for these names.

        Args:
            classes: classes of boxes, parts of masks by number, keypoints, labels, or the words of captions;
                none for depths and boards.
            seed: of its first weights.
            device: of the model, such as ``cpu`` or ``cuda``.
        """


class Sampler(Protocol):
    """A generative sampler: draws new examples, conditioned or not."""

    def sample(self, n: int, condition: Condition, options: SampleOptions, seed: int) -> Samples:
        """`n` examples; the same seed gives the same ones.

        Raises:
            ValueError: naming a part of `condition` that it cannot honour, and what it can.
        """


class SamplerModel(Sampler, Protocol):
    """A trainable sampler of the distribution of the examples that it is fitted to.

    `Encodes`, `Traces`, `HasLikelihood` and `Clusters` are optional.

    Attributes:
        spec: of its data (`supervised.data.dataset.Spec`): the shape of an example, names of labels.
    """

    spec: Any

    def fit(self, train: Any, validation: Any, *, seed: int) -> Any:
        """Training (`supervised.fit.Fit`) of this model on two `supervised.data.dataset.Dataset`."""

    def weights(self) -> dict[str, Array]:
        """The arrays that `sample` needs: the content of a checkpoint."""

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """Load weights from a checkpoint."""


class SamplerConfig(Protocol):
    """A catalogue entry for samplers: a dataclass whose fields are the scene's keys."""

    @property
    def data(self) -> str:
        """The training data: a name of `generative.data.catalog`, or a folder."""

    @property
    def examples(self) -> int:
        """How many examples to train on."""

    def build(self, spec: Any, *, seed: int, device: str) -> SamplerModel:
        """Make the model for data of this `supervised.data.dataset.Spec`."""


@runtime_checkable
class Distillable(Protocol):
    """A sampler distilled from another one; its config names that one's checkpoint as `teacher`."""

    def learn_from(self, teacher: Mapping[str, Array]) -> None:
        """Load a teacher's weights, before `fit`.

        Raises:
            ValueError: if they do not fit this sampler.
        """


@runtime_checkable
class Decodes(Protocol):
    """A sampler with a decoder from points of a latent space to examples."""

    def decode(self, latents: Array) -> Array:
        """(n, L) float32 → (n, …) examples."""


@runtime_checkable
class Encodes(Decodes, Protocol):
    """A sampler that also has an encoder from examples to latent points."""

    def encode(self, values: Array) -> Array:
        """(n, …) examples → (n, L) float32."""


@runtime_checkable
class Traces(Protocol):
    """A sampler that works in steps, such as denoising steps, and gives the examples after each."""

    def trace(self, n: int, condition: Condition, options: SampleOptions, seed: int) -> Iterator[Array]:
        """(n, …) examples from noise to what `sample` returns, one after each step."""


@runtime_checkable
class TextConditional(Protocol):
    """A text-conditional sampler that takes a batch of sentences."""

    def illustrate(self, texts: Sequence[str], options: SampleOptions, seed: int) -> Array:
        """(n, …) one example for each of n sentences."""


@runtime_checkable
class HasLikelihood(Protocol):
    """A sampler with a likelihood, exact or as a bound."""

    def bits_per_dim(self, values: Array) -> Array:
        """(n,) float64: −log₂ p of each example, over the number of its values; some give an upper bound."""


@runtime_checkable
class Clusters(Protocol):
    """A sampler that clusters examples without labels."""

    def assign(self, values: Array) -> Array:
        """(n, …) examples → (n,) int64, the index of each one's cluster."""


class Game(Protocol):
    """An immutable position of a two-player game, for tree search."""

    def legal_actions(self) -> Array:
        """(K,) int64 indices of the legal actions, ascending; none when the game is over."""

    def play(self, action: int) -> Game:
        """The position after `action`."""

    def outcome(self) -> float | None:
        """+1, 0 or −1 for the player to move, or None while the game goes on."""

    def to_play(self) -> int:
        """0 or 1."""

    def observe(self, games: Sequence[Any]) -> Array:
        """(N, C, H, W) uint8 of N positions, each from its mover's side, as a world shows them."""

    @property
    def repetitions(self) -> int:
        """How often this position occurred before in its game, as far as the rules count it."""
        return 0

    def for_search(self) -> Game:
        """The position in the form in which search plays it fastest; equal in all that this protocol has."""
        return self

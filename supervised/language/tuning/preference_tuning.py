"""Preference tuning: a language model of chess games, tuned to what a rule prefers, and held near its base.

The base is a trained `supervised.language.generation.language_model`; its low-rank adaptation plays the side
to move of a prompt, the base answers. Two methods: direct preference optimisation of pairs that the base
wrote, or a policy gradient on what the tuned model writes itself, rewarded by the rule or by a reward model
(`supervised.language.tuning.reward_model`; Ouyang et al. 2022). What it writes is not checked by the rules.

Read from top to bottom: the keys, the model, its loss.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from sim.fields import Range, Validated
from sim.percept_kind import Kind
from sim.records import Array, Percept
from supervised.data.dataset import Dataset
from supervised.data.sources.game_prompts import prompt_splits
from supervised.data.sources.splits import DataError, Splits
from supervised.fit import Batch, Fit, FitOptions
from supervised.language.generation.language_model import LanguageModel
from supervised.language.generation.notation import Encoded, numbered
from supervised.language.tuning.adapted_model import AdaptedModel
from supervised.language.tuning.low_rank import AdaptedGpt
from supervised.language.tuning.preference_losses import (
    dpo_loss,
    first_learned,
    kl_estimate,
    policy_gradient_loss,
    ranked_right,
    text_log_probabilities,
)
from supervised.language.tuning.preference_pairs import (
    PairExamples,
    PromptExamples,
    drawn_pairs,
    preference_pairs,
)
from supervised.language.tuning.reward_network import LearnedReward, RewardNetwork
from supervised.language.tuning.rollouts import Roller, Rollouts
from supervised.language.tuning.tuning_figure import draw_tuning, signed
from supervised.metrics.percept_metrics import PerceptMetrics
from supervised.metrics.rewards import REWARDS, MeanTally
from supervised.metrics.text import SampleGrades, ShareTally
from supervised.task import Perceive, WrittenText

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Gives the rewards (N,) of N rollouts.
Rewards: TypeAlias = Callable[[Rollouts], Array]

SAMPLES = 4  # continuations that a prompt is graded by


@dataclass(frozen=True)
class PreferenceTuning(Validated):
    """Configuration of the ``preference_tuning`` perception; its fields are scene keys."""

    reads: ClassVar[str] = "text"
    tells: ClassVar[Kind] = "caption"
    metrics: ClassVar[PerceptMetrics] = REWARDS

    data: str = "master-games"  # whose beginnings are the prompts
    base_checkpoint: str = ""  # a language model of chess moves; none: random weights
    method: Literal["dpo", "policy_gradient"] = "dpo"
    documents: Annotated[int, Range(ge=10)] = 5_000  # games at most, drawn at random
    prompts: Annotated[int, Range(ge=2)] = 5_000  # of the training games, that are learned from
    candidates: Annotated[int, Range(ge=2, le=64)] = 8  # continuations of each, for pairs or the gradient
    plies: Annotated[int, Range(ge=2, le=64)] = 10  # of a continuation, the answers too
    beta: Annotated[float, Range(gt=0)] = 0.1  # how dear it is to leave the base, a nat
    reward: Literal["rule", "learned"] = "rule"  # of the policy gradient
    reward_checkpoint: str = ""  # of the reward model that the learned one is; on the same base
    anchor: Annotated[float, Range(ge=0)] = 0.0  # of DPO: weight of the preferred text's −log probability
    rank: Annotated[int, Range(ge=1, le=64)] = 8  # of the adaptation
    width: Annotated[int, Range(ge=8, le=4096)] = 80  # these as in the base
    layers: Annotated[int, Range(ge=1, le=64)] = 2
    heads: Annotated[int, Range(ge=1, le=64)] = 4
    block: Annotated[int, Range(ge=64, le=8192)] = 256
    learning_rate: Annotated[float, Range(gt=0)] = 1e-3
    batch_size: Annotated[int, Range(ge=1)] = 64  # pairs, or prompts
    temperature: Annotated[float, Range(gt=0, le=10)] = 1.0  # of policy and base, in training as afterwards

    def __post_init__(self) -> None:
        """Refuse a width that the heads cannot share, and a learned reward that nothing gives or takes.

        Raises:
            ValueError: naming the keys.
        """
        super().__post_init__()
        self.base_config()
        if self.reward == "learned" and self.method != "policy_gradient":
            raise ValueError(f'reward = "learned" needs method = "policy_gradient", not "{self.method}"')
        if self.reward == "learned" and not self.reward_checkpoint:
            raise ValueError('reward = "learned" needs a reward_checkpoint')

    def base_config(self) -> LanguageModel:
        """Configuration of the base."""
        return LanguageModel(width=self.width, layers=self.layers, heads=self.heads, block=self.block)

    def splits(self, path: Path | None, *, seed: int) -> Splits:
        """See `supervised.task.TaskConfig`."""
        return prompt_splits(self.data, path, most=self.documents, plies=self.plies, seed=seed)

    def build(self, classes: Sequence[str], *, seed: int, device: str = "cpu") -> TunedModel:
        """A model that is its base, yet untrained too; see `TunedModel.load_base`."""
        return TunedModel(self, seed, device)

    def baselines(self, train: Dataset, *, seed: int) -> Mapping[str, Perceive]:
        """None: the base model is one, and comes with `grade_samples`."""
        return {}

    def grade_samples(self, model: TunedModel, splits: Splits, *, seed: int) -> SampleGrades:
        """The base model's reward on the test prompts, and how the tuned model ranks the base's pairs."""
        prompts = [model.encode(text) for text in splits.test.values]
        base = model.continuations(splits.test.values, tuned=False)
        pairs = drawn_pairs(model.roller, prompts, SAMPLES, seed)
        right = model.ranked_right(pairs)
        rewards = MeanTally(
            {"reward": base.rewards, "kl": np.zeros(len(base.rewards)), "legal": base.legal.astype(float)}
        )
        return SampleGrades(
            ShareTally({"pair_accuracy": right}),
            {"base model": rewards.score(np.ones(len(rewards))) | {"pair_accuracy": 0.5}},
            protocol={
                "method": self.method,
                "plies": str(self.plies),
                "temperature": f"{self.temperature:g}",
                "continuations": str(SAMPLES),
            },
        )


class TunedModel(AdaptedModel[AdaptedGpt]):
    """Tuned language model: a prompt → how it goes on, with its reward and how far it is from the base.

    Satisfies `supervised.task.TaskModel`, `supervised.task.Writes`, `supervised.task.HasBase` and
    `supervised.task.HasRewardModel`.
    """

    reads = "text"

    def __init__(self, config: PreferenceTuning, seed: int, device: str) -> None:
        self.config, self._seed = config, seed
        super().__init__(config.base_config(), lambda base: AdaptedGpt(base, config.rank), seed, device)
        self._proxy: Rewards | None = None  # that it learns from in the place of the rule
        self.roller = Roller(self.network, self.notation, config.plies, config.temperature)

    def load_reward_model(self, weights: Mapping[str, Array]) -> None:
        """Take up the reward model's weights where rewards are learned; see `supervised.task`.

        Raises:
            ValueError: if they are of another network or base.
        """
        if self.config.reward == "learned":
            self.check_base(weights)
            self._proxy = LearnedReward(RewardNetwork.from_weights(self.network.base, weights))

    def fit(self, train: Dataset, validation: Dataset, *, seed: int) -> Fit:
        """A fit of the adaptation by the scene's method; pairs are drawn first, or taken from the cache."""
        config = self.config
        learned, held_out = (
            [self.encode(text) for text in part.values[: config.prompts]] for part in (train, validation)
        )
        options = FitOptions(
            learning_rate=config.learning_rate,
            batch_size=config.batch_size,
            betas=(0.9, 0.99),
            warmup_updates=10,
            validate_every=25,
            precision="float32",  # log-ratios are small differences
        )
        if config.method == "dpo":
            pairs, held_pairs = (
                PairExamples(self._pairs(part, own)) for part, own in ((learned, seed), (held_out, seed + 1))
            )
            loss = partial(preference_loss, roller=self.roller, beta=config.beta, anchor=config.anchor)
            return Fit(self.network, loss, pairs, held_pairs, options, seed=seed, device=str(self.device))
        examples, held = (
            PromptExamples(part, config.candidates, config.plies) for part in (learned, held_out)
        )
        gradient = partial(
            reward_loss,
            roller=self.roller,
            beta=config.beta,
            prompts=(learned, held_out),
            proxy=self._proxy,
        )
        return Fit(self.network, gradient, examples, held, options, seed=seed, device=str(self.device))

    def _pairs(self, prompts: Sequence[Encoded], seed: int) -> Dataset:
        pairs = preference_pairs(self.roller, prompts, self.config.candidates, seed)
        if not len(pairs):
            raise DataError(f"of {len(prompts)} prompts none has continuations that differ in reward")
        return pairs

    def encode(self, text: str) -> Encoded:
        """The tokens of a prompt.

        Raises:
            DataError: for what is no game, is over, or is too long to go on.
        """
        try:
            encoded = self.notation.encode(text)
        except ValueError as error:
            raise DataError(f'"{text[:40]}": {error}') from error
        longest = self.config.block - self.config.plies
        if len(encoded.tokens) >= longest:
            raise DataError(f'"{text[:40]}": {len(encoded.tokens)} plies; fewer than {longest} can go on')
        if not any(self.notation.transcript(text).board.generate_legal_moves()):
            raise DataError(f'"{text[:40]}": the game is over')
        return encoded

    def continuations(self, texts: Sequence[str], *, tuned: bool = True) -> Rollouts:
        """`SAMPLES` continuations of each prompt, one after another; the same at every call."""
        shape = SAMPLES, self.config.plies
        draws = [
            np.random.default_rng((self._seed, zlib.crc32(text.encode()))).random(shape) for text in texts
        ]
        prompts = [encoded for text in texts for encoded in [self.encode(text)] * shape[0]]
        return self.roller.roll_out(prompts, np.concatenate(draws), tuned=tuned)

    def perceive(self, inputs: Sequence[str]) -> list[Percept]:
        """For each prompt a continuation; as extras mean reward and log-ratio of several, the base's beside.

        Raises:
            DataError: see `encode`.
        """
        if not len(inputs):
            return []
        after = self.continuations(inputs)
        before = self.continuations(inputs, tuned=False)
        return [
            self._told(text, after, before, slice(i * SAMPLES, (i + 1) * SAMPLES))
            for i, text in enumerate(inputs)
        ]

    def _told(self, text: str, after: Rollouts, before: Rollouts, rows: slice) -> Percept:
        begun = len(self.notation.transcript(text).words)
        written = {
            name: [
                (numbered(words, begun), reward)
                for words, reward in zip(drawn.texts[rows], drawn.rewards[rows].tolist(), strict=True)
            ]
            for name, drawn in (("after", after), ("before", before))
        }
        ratios = torch.from_numpy(after.log_policy[rows]), torch.from_numpy(after.log_base[rows])
        extras: dict[str, Any] = {
            "reward": float(after.rewards[rows].mean()),
            "kl": float(kl_estimate(*ratios)),
            "legal": float(after.legal[rows].mean()),
            "base_reward": float(before.rewards[rows].mean()),
            "samples": written,
        }
        return Percept("model", caption=written["after"][0][0], extras=extras)

    @torch.no_grad()
    def ranked_right(self, pairs: Dataset) -> Array:
        """(P,) whether DPO's implicit reward ranks a pair like the rule, equal ones a half; NaN of none."""
        found = []
        examples = PairExamples(pairs)
        for at in range(0, len(pairs), self.config.batch_size):
            rows = np.arange(at, min(at + self.config.batch_size, len(pairs)))
            arrays = examples.batch(rows, np.random.default_rng(0))
            batch = {name: torch.from_numpy(array).to(self.device) for name, array in arrays.items()}
            ratio = pair_log_probabilities(self.network, batch, self.roller) - batch["base"]
            found.append(ranked_right(ratio[:, 0] - ratio[:, 1]).cpu().numpy())
        return np.concatenate(found or [np.full(1, np.nan)])

    def draw(self, figure: Figure, value: str, percept: Percept, truth: Percept | None) -> None:
        """See `supervised.language.tuning.tuning_figure.draw_tuning`."""
        draw_tuning(figure, value, percept)

    def write(self, n: int, prompt: str, seed: int) -> list[WrittenText]:
        """Continuations of a prompt of the scene's length; the base's answers are part of them."""
        encoded = self.encode(prompt)
        uniforms = np.random.default_rng(seed).random((n, self.config.plies))
        drawn = self.roller.roll_out([encoded] * n, uniforms)
        begun = numbered(encoded.words)
        return [
            WrittenText(
                f"{begun} {numbered(words, len(encoded.words))} ({signed(reward)})".strip(),
                words,
                (),
                bool(legal),
            )
            for words, reward, legal in zip(drawn.texts, drawn.rewards, drawn.legal, strict=True)
        ]


def pair_log_probabilities(network: nn.Module, batch: Batch, roller: Roller) -> Tensor:
    """(B, 2) log-probabilities of the pairs' texts by the adapted network."""
    tokens, marks, targets, features = (
        batch[name].flatten(0, 1) for name in ("tokens", "marks", "targets", "features")
    )
    since = first_learned(targets)
    log_odds = roller.log_odds(network(tokens, marks, features, since=since))
    return text_log_probabilities(log_odds, targets[:, since:]).view(-1, 2)


def preference_loss(
    network: nn.Module, batch: Batch, roller: Roller, beta: float, anchor: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """DPO's loss of a batch of pairs."""
    return dpo_loss(pair_log_probabilities(network, batch, roller), batch["base"], beta, anchor)


def reward_loss(
    network: nn.Module,
    batch: Batch,
    roller: Roller,
    beta: float,
    prompts: tuple[Sequence[Encoded], Sequence[Encoded]],
    proxy: Rewards | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Policy-gradient loss of a batch of prompts; in validation minus the penalised reward.

    Args:
        network: the adapted one, that of `roller`.
        batch: of `supervised.language.tuning.preference_pairs.PromptExamples`.
        roller: draws the continuations.
        beta: of the KL penalty.
        prompts: that ``rows`` number in training, and in validation.
        proxy: gives the rewards that are learned from; None: those of the rule, which are only told else.
    """
    own = prompts[0 if network.training else 1]
    samples = batch["uniforms"].shape[1]
    several = [own[row] for row in batch["rows"].tolist() for _ in range(samples)]
    drawn = roller.roll_out(several, batch["uniforms"].flatten(0, 1).cpu().numpy())
    device = batch["uniforms"].device
    learned = drawn.rewards if proxy is None else proxy(drawn)
    rewards, base, gold, policy = (
        torch.from_numpy(array).float().to(device).view(-1, samples)
        for array in (learned, drawn.log_base, drawn.rewards, drawn.log_policy)
    )
    ratio = policy - base
    metrics = {"reward": gold.mean(), "kl": ratio.mean()}
    if proxy is not None:
        metrics["proxy"] = rewards.mean()
    if not network.training:
        return beta * ratio.mean() - rewards.mean(), metrics
    read = [torch.from_numpy(array).to(device) for array in (drawn.tokens, drawn.marks, drawn.features)]
    targets = torch.from_numpy(drawn.targets).to(device)
    since = first_learned(targets)
    policy = text_log_probabilities(roller.log_odds(network(*read, since=since)), targets[:, since:])
    return policy_gradient_loss(policy.view(-1, samples), base, rewards, beta), metrics

"""Reward model: learns from pairs of texts which of them is preferred, and gives any text a number.

The middle of InstructGPT's three stages (Ouyang et al. 2022): a base model writes several continuations of a
prompt, a judge says which of two is better, and the model maximises the likelihood of what the judge said
(Bradley & Terry 1952). It never sees the numbers of the rule that judges here. A policy gradient can learn
from it in the place of the rule; see `supervised.language.tuning.preference_tuning`.

Read from top to bottom: the keys, the model, its loss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from sim.fields import Range, Validated
from sim.percept_kind import Kind
from sim.records import Array, Percept
from supervised.data.dataset import Dataset
from supervised.data.sources.splits import DataError, Splits
from supervised.fit import Batch, Fit, FitOptions
from supervised.language.generation.language_model import LanguageModel
from supervised.language.generation.notation import Encoded
from supervised.language.tuning.adapted_model import AdaptedModel
from supervised.language.tuning.game_reward import ILLEGAL, MATE, VALUES
from supervised.language.tuning.played_games import played_splits
from supervised.language.tuning.preference_losses import bradley_terry_loss
from supervised.language.tuning.preference_pairs import PairExamples, drawn_pairs, preference_pairs
from supervised.language.tuning.reward_figure import draw_reward
from supervised.language.tuning.reward_network import VALUED, RewardNetwork, pieces_won
from supervised.language.tuning.rollouts import Roller
from supervised.metrics.percept_metrics import PerceptMetrics
from supervised.metrics.preferences import PREFERENCES, REWARD, PairTally
from supervised.metrics.text import SampleGrades
from supervised.task import Perceive

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SAMPLES = 4  # continuations of a test prompt, two pairs


@dataclass(frozen=True)
class RewardModel(Validated):
    """Configuration of the ``reward_model`` perception; its fields are scene keys."""

    reads: ClassVar[str] = "text"
    tells: ClassVar[Kind] = "value"
    metrics: ClassVar[PerceptMetrics] = PREFERENCES

    data: str = "master-games"  # whose beginnings are the prompts
    base_checkpoint: str = ""  # a language model of chess moves; none: random weights
    documents: Annotated[int, Range(ge=10)] = 5_000  # games at most, drawn at random
    prompts: Annotated[int, Range(ge=2)] = 5_000  # of the training games, that are learned from
    candidates: Annotated[int, Range(ge=2, le=64)] = 8  # continuations of each, for pairs
    plies: Annotated[int, Range(ge=2, le=64)] = 10  # of a continuation, the answers too
    pieces: bool = True  # a learned value of each piece won; else the adapted base alone
    rank: Annotated[int, Range(ge=1, le=64)] = 8  # of the adaptation
    width: Annotated[int, Range(ge=8, le=4096)] = 80  # these as in the base
    layers: Annotated[int, Range(ge=1, le=64)] = 2
    heads: Annotated[int, Range(ge=1, le=64)] = 4
    block: Annotated[int, Range(ge=64, le=8192)] = 256
    learning_rate: Annotated[float, Range(gt=0)] = 1e-3
    batch_size: Annotated[int, Range(ge=1)] = 64  # pairs
    temperature: Annotated[float, Range(gt=0, le=10)] = 1.0  # of what the base writes

    def __post_init__(self) -> None:
        """Refuse a width that the heads cannot share.

        Raises:
            ValueError: naming both.
        """
        super().__post_init__()
        self.base_config()

    def base_config(self) -> LanguageModel:
        """Configuration of the base."""
        return LanguageModel(width=self.width, layers=self.layers, heads=self.heads, block=self.block)

    def splits(self, path: Path | None, *, seed: int) -> Splits:
        """See `supervised.task.TaskConfig`; the rule's reward is told of games that nobody learns from."""
        return played_splits(self.data, path, most=self.documents, plies=self.plies, seed=seed)

    def build(self, classes: Sequence[str], *, seed: int, device: str = "cpu") -> TrainedReward:
        """An untrained model, which gives every text the same."""
        return TrainedReward(self, seed, device)

    def baselines(self, train: Dataset, *, seed: int) -> Mapping[str, Perceive]:
        """None of single texts; those of pairs come with `grade_samples`."""
        return {}

    def grade_samples(self, model: TrainedReward, splits: Splits, *, seed: int) -> SampleGrades:
        """How the model ranks pairs that the base writes on test prompts, and how simpler judges do."""
        pairs = drawn_pairs(model.roller, model.prompts_of(splits.test), SAMPLES, seed)
        won, prompts = model.pieces_won(pairs), pairs.episodes
        if not len(pairs):
            raise DataError("no test prompt has continuations that differ in reward; give more games")
        judges = {
            "material by hand": won @ np.array(VALUES),
            "log-probability of the base": pairs["base"][:],
            "constant": np.zeros((len(pairs), 2)),
        }
        margins = {name: rewards[:, 0] - rewards[:, 1] for name, rewards in judges.items()}
        own = model.margins(pairs)
        kinds = _kinds(pairs["rewards"][:])
        parts = {name: PairTally(own[rows], prompts[rows]) for name, rows in kinds.items() if rows.any()}
        return SampleGrades(
            PairTally(own, prompts),
            {name: _scored(PairTally(margin, prompts)) for name, margin in margins.items()},
            {name: _scored(part) for name, part in parts.items()},
            {
                "pairs": str(len(pairs)),
                "plies": str(self.plies),
                "temperature": f"{self.temperature:g}",
                "continuations": str(SAMPLES),
            },
        )


def _kinds(rewards: Array) -> dict[str, Array]:
    """Which of the pairs (M, 2) have an illegal move, a mate, or neither."""
    illegal, mate = ((rewards == ILLEGAL).any(1), (np.abs(rewards) == MATE).any(1))
    return {
        "pairs with an illegal move": illegal,
        "pairs with a mate": mate & ~illegal,
        "pairs of material": ~illegal & ~mate,
    }


def _scored(tally: PairTally) -> dict[str, float]:
    return tally.score(np.ones(len(tally)))


class TrainedReward(AdaptedModel[RewardNetwork]):
    """Reward model: a game → the reward of its last plies, for the side that plays the first of these.

    Satisfies `supervised.task.TaskModel` and `supervised.task.HasBase`.
    """

    reads = "text"
    classes = (REWARD,)

    def __init__(self, config: RewardModel, seed: int, device: str) -> None:
        self.config = config
        super().__init__(config.base_config(), lambda base: RewardNetwork(base, config.rank), seed, device)
        self.network.pieces.requires_grad_(config.pieces)
        self.roller = Roller(self.network, self.notation, config.plies, config.temperature)

    def fit(self, train: Dataset, validation: Dataset, *, seed: int) -> Fit:
        """A fit to pairs that the base writes; they are drawn first, or taken from the cache."""
        config = self.config
        learned, held_out = (
            PairExamples(self._pairs(part, own)) for part, own in ((train, seed), (validation, seed + 1))
        )
        options = FitOptions(
            learning_rate=config.learning_rate,
            batch_size=config.batch_size,
            betas=(0.9, 0.99),
            warmup_updates=10,
            validate_every=25,
            precision="float32",
        )
        return Fit(
            self.network, reward_model_loss, learned, held_out, options, seed=seed, device=str(self.device)
        )

    def _pairs(self, games: Dataset, seed: int) -> Dataset:
        prompts = self.prompts_of(games)[: self.config.prompts]
        pairs = preference_pairs(self.roller, prompts, self.config.candidates, seed)
        if not len(pairs):
            raise DataError(f"of {len(prompts)} prompts none has continuations that differ in reward")
        return pairs

    def prompts_of(self, games: Dataset) -> list[Encoded]:
        """The beginnings of games, without the plies that are graded."""
        plies = self.config.plies
        return [self.encode(" ".join(text.split()[:-plies])) for text in games.values]

    def encode(self, text: str) -> Encoded:
        """The tokens of a game.

        Raises:
            DataError: for what is no game, has no move, or is too long.
        """
        try:
            encoded = self.notation.encode(text)
        except ValueError as error:
            raise DataError(f'"{text[:40]}": {error}') from error
        if not len(encoded.tokens):
            raise DataError(f'"{text[:40]}": there is no move to reward')
        if len(encoded.tokens) >= self.config.block:
            raise DataError(
                f'"{text[:40]}": {len(encoded.tokens)} plies; {self.config.block - 1} can be read'
            )
        return encoded

    @torch.no_grad()
    def perceive(self, inputs: Sequence[str]) -> list[Percept]:
        """The reward of the last plies of each game, in nats; 0 is the mean of what the base writes.

        Extras: ``piece_gain``, kind of piece → how many more of it were won than lost; ``plies``, how many
        were read; ``side``, whose they begin with.

        Raises:
            DataError: see `encode`.
        """
        if not len(inputs):
            return []
        encoded = [self.encode(text) for text in inputs]
        batch = self._batch(encoded)
        self.network.eval()
        rewards = self.network.centred(self.network(*batch.values())).double().tolist()
        won = pieces_won(batch["features"], batch["begins"], batch["ends"]).tolist()
        return [
            self._told(reward, gained, begin, end)
            for reward, gained, begin, end in zip(
                rewards, won, batch["begins"].tolist(), batch["ends"].tolist(), strict=True
            )
        ]

    def _told(self, reward: float, won: Sequence[float], begin: int, end: int) -> Percept:
        extras = {
            "value": {REWARD: reward},
            "piece_gain": {name: round(count) for name, count in zip(VALUED, won, strict=True)},
            "plies": end - begin,
            "side": "black" if begin % 2 else "white",
        }
        return Percept("model", extras=extras)

    def _batch(self, games: Sequence[Encoded]) -> dict[str, Tensor]:
        """Games as the network reads them, padded at the end."""
        ends = np.array([len(game.tokens) for game in games])
        shape = len(games), int(ends.max()) + 1
        columns = {
            "tokens": np.full(shape, self.notation.start),
            "marks": np.zeros(shape, np.int64),
            "features": np.zeros((*shape, self.notation.features // 8), np.uint8),
            "begins": np.maximum(0, ends - self.config.plies),
            "ends": ends,
        }
        for row, game in enumerate(games):
            assert game.states is not None
            columns["tokens"][row, 1 : ends[row] + 1] = game.tokens
            columns["marks"][row, 1 : ends[row] + 1] = game.marks
            columns["features"][row, : ends[row] + 1] = game.states
        return {name: torch.from_numpy(array).to(self.device) for name, array in columns.items()}

    @torch.no_grad()
    def margins(self, pairs: Dataset) -> Array:
        """(M,) r(preferred) − r(other) of pairs, in nats."""
        self.network.eval()
        found = [np.zeros(0)]
        for batch in self._batches(pairs):
            rewards = pair_rewards(self.network, batch).double().cpu().numpy()
            found.append(rewards[:, 0] - rewards[:, 1])
        return np.concatenate(found)

    def pieces_won(self, pairs: Dataset) -> Array:
        """(M, 2, 5) what each text of a pair won less what it lost, of `VALUED`."""
        found = [np.zeros((0, 2, len(VALUED)))]
        for batch in self._batches(pairs):
            features, begins, ends = (batch[name].flatten(0, 1) for name in ("features", "begins", "ends"))
            found.append(pieces_won(features, begins, ends).view(-1, 2, len(VALUED)).cpu().numpy())
        return np.concatenate(found)

    def _batches(self, pairs: Dataset) -> list[Batch]:
        examples, size = PairExamples(pairs), self.config.batch_size
        generator = np.random.default_rng(0)
        parts = [np.arange(at, min(at + size, len(pairs))) for at in range(0, len(pairs), size)]
        arrays = [examples.batch(rows, generator) for rows in parts]
        return [{k: torch.from_numpy(v).to(self.device) for k, v in batch.items()} for batch in arrays]

    def draw(self, figure: Figure, value: str, percept: Percept, truth: Percept | None) -> None:
        """See `supervised.language.tuning.reward_figure.draw_reward`."""
        values = self.network.piece_values.detach().cpu().numpy()
        draw_reward(figure, value, percept, truth, values, self.network.margins.cpu().numpy())


def pair_rewards(network: nn.Module, batch: Batch) -> Tensor:
    """(B, 2) rewards of the preferred and the other text of pairs."""
    names = ("tokens", "marks", "features", "begins", "ends")
    rewards: Tensor = network(*(batch[name].flatten(0, 1) for name in names)).view(-1, 2)
    return rewards


def reward_model_loss(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Bradley and Terry's loss of a batch of pairs; the margins of held-out ones are kept for the figure."""
    rewards = pair_rewards(network, batch)
    assert isinstance(network, RewardNetwork)
    network.note(rewards)
    return bradley_terry_loss(rewards)

"""Graph regression: several real properties of a molecule, with a spread, from its atoms and bonds.

An ensemble of graph networks (`supervised.graphs.graph_network`) learns what a ridge regression on computed
descriptors leaves over. Loss: squared error of the known targets, plus that of the descriptors as an
auxiliary task, plus a Gaussian negative log-likelihood that trains the spread alone.

Read from top to bottom: the keys, the examples, the model, its loss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sim.fields import Range, Validated
from sim.percept_kind import Kind
from sim.records import Array, Percept
from supervised.base_model import BaseModel
from supervised.data.dataset import Dataset
from supervised.data.molecules.molecule import Molecule
from supervised.data.molecules.notation import from_text
from supervised.data.sources.molecules import molecule_splits
from supervised.data.sources.splits import Splits
from supervised.fit import Batch, Fit, FitOptions
from supervised.graphs.contributions import atom_contributions
from supervised.graphs.depiction import draw_prediction
from supervised.graphs.descriptors import NAMES
from supervised.graphs.features import graphs, padded
from supervised.graphs.graph_network import SMALLEST, GraphEnsemble
from supervised.graphs.molecule_baselines import molecule_baselines, target_table
from supervised.graphs.molecule_metrics import MOLECULE
from supervised.metrics.percept_metrics import PerceptMetrics
from supervised.metrics.regression import quantity
from supervised.task import Perceive

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RIDGE = 10.0  # penalty of the linear model, in standard units
SPREAD = 0.1  # weight of the likelihood that trains the spread
UNSEEN = 1e4  # scale of a descriptor that never differs in training: nothing was learned of other values
SHOWN = (1.0, 99.0)  # percentiles of the training data, between which a figure's axis runs
VALIDATE_EVERY = 100


@dataclass(frozen=True)
class GraphRegressor(Validated):
    """Configuration of the ``graph_regressor`` perception; its fields are scene keys."""

    reads: ClassVar[str] = "graph"
    tells: ClassVar[Kind] = "value"
    metrics: ClassVar[PerceptMetrics] = MOLECULE

    data: str = "solubility"  # of `supervised.data.sources.molecules`, or the path of an SDF or CSV
    targets: str = ""  # fields of one's own file, with commas between; "": the last one of numbers
    members: Annotated[int, Range(ge=1, le=50)] = 5  # networks of the ensemble
    hidden: Annotated[int, Range(ge=4, le=1024)] = 56
    layers: Annotated[int, Range(ge=1, le=12)] = 3  # of message passing
    dropout: Annotated[float, Range(ge=0, lt=1)] = 0.1
    auxiliary: Annotated[float, Range(ge=0)] = 0.1  # weight of the computed descriptors in the loss
    learning_rate: Annotated[float, Range(gt=0)] = 2e-3
    batch_size: Annotated[int, Range(ge=1)] = 64
    weight_decay: Annotated[float, Range(ge=0)] = 1e-2
    patience: Annotated[int, Range(ge=0)] = 0  # validations without a better one before it stops; 0: never

    def splits(self, path: Path | None, *, seed: int) -> Splits:
        """See `supervised.task.TaskConfig`."""
        names = [name.strip() for name in self.targets.split(",") if name.strip()]
        return molecule_splits(self.data, path, names, seed=seed)

    def build(self, classes: Sequence[str], *, seed: int, device: str = "cpu") -> GraphRegressorModel:
        """An untrained regressor whose targets have the names `classes`."""
        return GraphRegressorModel(self, tuple(classes), seed, device)

    def baselines(self, train: Dataset, *, seed: int) -> Mapping[str, Perceive]:
        """Random forest and least squares on computed descriptors."""
        names = dict.fromkeys(name for truth in train.truths for name in truth.extras["value"])
        return molecule_baselines(train, tuple(names), seed)


class MoleculeExamples:
    """Training examples of the regressor."""

    def __init__(self, data: Dataset, targets: Sequence[str]) -> None:
        self.graphs = graphs([from_text(text) for text in data.values])
        self.targets = target_table(data, targets).astype(np.float32)

    def __len__(self) -> int:
        """How many."""
        return len(self.graphs)

    def batch(self, rows: Array, generator: np.random.Generator) -> dict[str, Array]:
        """Padded graphs, ``targets`` (B, T), NaN for unknown ones, and ``seeds`` (B,) of dropout."""
        seeds = generator.integers(2**31, size=len(rows))
        return padded([self.graphs[row] for row in rows]) | {"targets": self.targets[rows], "seeds": seeds}


class GraphRegressorModel(BaseModel[GraphEnsemble]):
    """Regressor: molecules as texts → values and spreads. Satisfies `supervised.task.TaskModel`."""

    reads = "graph"

    def __init__(self, config: GraphRegressor, classes: tuple[str, ...], seed: int, device: str) -> None:
        self.config, self.classes = config, classes
        make = partial(
            GraphEnsemble,
            len(classes),
            len(NAMES),
            members=config.members,
            hidden=config.hidden,
            layers=config.layers,
            dropout=config.dropout,
        )
        super().__init__(make, seed=seed, device=device)

    def fit(self, train: Dataset, validation: Dataset, *, seed: int) -> Fit:
        """A fit to molecules; scales and the linear model are those of the training data."""
        examples = MoleculeExamples(train, self.classes)
        self._scale(examples)
        options = FitOptions(
            learning_rate=self.config.learning_rate,
            batch_size=min(self.config.batch_size, len(examples)),
            weight_decay=self.config.weight_decay,
            patience=self.config.patience,
            validate_every=VALIDATE_EVERY,
            max_grad_norm=self.config.members**0.5,
            precision="float32",
        )
        held = MoleculeExamples(validation, self.classes)
        loss = partial(ensemble_loss, auxiliary=self.config.auxiliary)
        return Fit(self.network, loss, examples, held, options, seed=seed, device=str(self.device))

    def _scale(self, examples: MoleculeExamples) -> None:
        """Scales of descriptors and targets, and the ridge regression of one on the other."""
        x = np.stack([graph.descriptors for graph in examples.graphs]).astype(np.float64)
        y = examples.targets.astype(np.float64)
        network = self.network
        spread = np.where(x.std(0) > 0, x.std(0), UNSEEN)
        found = {"x_mean": x.mean(0), "x_std": spread, "y_mean": np.nanmean(y, 0), "y_std": np.nanstd(y, 0)}
        found["y_range"] = np.nanpercentile(y, SHOWN, axis=0)
        for name, array in found.items():
            getattr(network, name).copy_(torch.from_numpy(array))
        scaled = network.standardized(torch.from_numpy(x).to(network.x_mean)).double().cpu().numpy()
        standard = (y - found["y_mean"]) / found["y_std"]
        for target, known in enumerate(np.isfinite(y).T):
            rows = scaled[known]
            penalty = RIDGE * np.eye(rows.shape[1])
            slope = np.linalg.solve(rows.T @ rows + penalty, rows.T @ standard[known, target])
            network.slope[:, target].copy_(torch.from_numpy(slope))

    def predict(self, molecules: Sequence[Molecule]) -> tuple[Array, Array]:
        """Means and standard deviations (N, T) float64 of the targets of N molecules."""
        arrays = padded(graphs(molecules))
        batch = {name: torch.from_numpy(array).to(self.device) for name, array in arrays.items()}
        network = self.network.eval()
        with torch.no_grad():
            means, stds = (part.double().cpu().numpy() for part in network.predict(batch))
        return means, stds

    def perceive(self, inputs: Sequence[str]) -> list[Percept]:
        """Value and standard deviation of each target for each molecule.

        Args:
            inputs: V2000 records or SMILES strings; see `supervised.data.molecules.notation`.

        Raises:
            MoleculeError: for a text that is no molecule.
        """
        if not len(inputs):
            return []
        means, stds = self.predict([from_text(text) for text in inputs])
        return [
            quantity("model", *(dict(zip(self.classes, row, strict=True)) for row in rows))
            for rows in zip(means.tolist(), stds.tolist(), strict=True)
        ]

    def draw(self, figure: Figure, value: str, percept: Percept, truth: Percept | None) -> None:
        """The molecule with what each atom contributes to the first target, and every target on an axis."""
        whole = from_text(value)
        parts = atom_contributions(whole, lambda several: self.predict(several)[0][:, 0])
        ranges = self.network.y_range.double().cpu().numpy().T
        draw_prediction(
            figure, whole, parts, percept, truth, dict(zip(self.classes, ranges.tolist(), strict=True))
        )


def ensemble_loss(network: nn.Module, batch: Batch, *, auxiliary: float) -> tuple[Tensor, dict[str, Tensor]]:
    """Summed loss of the networks, in standard units; see the module. Each learns on its own."""
    ensemble = cast(GraphEnsemble, network)
    with torch.random.fork_rng(devices=[]):  # dropout follows from the batch, so that resuming is exact
        torch.manual_seed(int(batch["seeds"][0]))
        means, spreads, descriptors = ensemble(batch)  # (K, B, T), (K, B, T), (K, B, D)
    targets = (batch["targets"] - ensemble.y_mean) / ensemble.y_std  # (B, T)
    known = targets.isfinite()
    error = torch.where(known, means - targets.nan_to_num(), 0).square()
    std = functional.softplus(spreads) + SMALLEST
    nll = torch.where(known, 0.5 * error.detach() / std.square() + std.log(), 0)
    count = known.sum().clamp(min=1)
    fit, spread = error.sum((1, 2)).sum() / count, nll.sum((1, 2)).sum() / count
    described = (descriptors - ensemble.standardized(batch["descriptors"])).square().mean((1, 2)).sum()
    members = len(means)
    return fit + SPREAD * spread + auxiliary * described, {
        "mse": fit / members,
        "descriptor_mse": described / members,
    }

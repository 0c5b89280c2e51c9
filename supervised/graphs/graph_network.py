"""Message passing over molecular graphs: an ensemble of graph isomorphism networks with edge features.

Layers are torch-geometric's `GINEConv` (Hu et al. 2020, "Strategies for pre-training graph neural networks";
Xu et al. 2019). Each network of the ensemble reads atoms and bonds into a vector of the graph, from which it
predicts the molecule's computed descriptors (an auxiliary task; Burns et al. 2025, "CheMeleon") and, with the
descriptors themselves beside it, the targets. Ensemble: Lakshminarayanan et al. 2017, "Deep ensembles".
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn
from torch.nn import functional

from supervised.graphs.features import ATOM_FEATURES, BOND_FEATURES

with warnings.catch_warnings():  # of torch, on what torch-geometric compiles when it is imported
    warnings.simplefilter("ignore", DeprecationWarning)
    from torch_geometric.nn import GINEConv, global_add_pool, global_max_pool, global_mean_pool

SIZE = 20.0  # atoms of a usual molecule: the scale of sums over atoms
FAR = 4.0  # standard deviations; descriptors further out are cut off there
SMALLEST = 0.05  # standard deviation, of the target's own


class GraphNetwork(nn.Module):
    """One network: B graphs → targets, their log standard deviations and descriptors, in standard units."""

    def __init__(self, targets: int, descriptors: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.atoms = nn.Linear(ATOM_FEATURES, hidden)
        self.layers = nn.ModuleList(
            GINEConv(
                nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, hidden)),
                edge_dim=BOND_FEATURES,
            )
            for _ in range(layers)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(layers))
        self.dropout = nn.Dropout(dropout)
        self.auxiliary = nn.Linear(3 * hidden, descriptors)
        self.head = nn.Sequential(
            nn.Linear(3 * hidden + descriptors, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, targets),
        )
        self.spread = nn.Sequential(
            nn.Linear(3 * hidden + descriptors, 16), nn.ReLU(), nn.Linear(16, targets)
        )

    def forward(
        self, atoms: Tensor, edges: Tensor, bonds: Tensor, graph: Tensor, descriptors: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Predict.

        Args:
            atoms: (N, F) of all graphs one after another.
            edges: (2, E) from and to.
            bonds: (E, G).
            graph: (N,) the graph of each atom.
            descriptors: (B, D) standardised.

        Returns:
            Means (B, T), log standard deviations (B, T), descriptors (B, D).
        """
        x = self.atoms(atoms)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = x + self.dropout(functional.relu(norm(layer(x, edges, bonds))))
        count = len(descriptors)
        pooled = torch.cat(
            [
                global_add_pool(x, graph, count) / SIZE,
                global_mean_pool(x, graph, count),
                global_max_pool(x, graph, count),
            ],
            1,
        )
        both = torch.cat([pooled, descriptors], 1)
        return self.head(both), self.spread(both.detach()), self.auxiliary(pooled)


class GraphEnsemble(nn.Module):
    """Ensemble of networks over one linear model of the descriptors, with the scales of inputs and targets.

    The networks learn what the linear model leaves over.

    Attributes:
        x_mean, x_std: (D,) scales of the descriptors.
        y_mean, y_std: (T,) scales of the targets.
        y_range: (2, T) low and high of the training data, for figures.
        slope: (D, T) of the linear model, in standard units.
    """

    x_mean: Tensor
    x_std: Tensor
    y_mean: Tensor
    y_std: Tensor
    y_range: Tensor
    slope: Tensor

    def __init__(
        self, targets: int, descriptors: int, *, members: int, hidden: int, layers: int, dropout: float
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(
            GraphNetwork(targets, descriptors, hidden, layers, dropout) for _ in range(members)
        )
        self.register_buffer("x_mean", torch.zeros(descriptors))
        self.register_buffer("x_std", torch.ones(descriptors))
        self.register_buffer("y_mean", torch.zeros(targets))
        self.register_buffer("y_std", torch.ones(targets))
        self.register_buffer("y_range", torch.zeros(2, targets))
        self.register_buffer("slope", torch.zeros(descriptors, targets))

    def standardized(self, descriptors: Tensor) -> Tensor:
        """(B, D) in standard deviations, cut off where they are far out."""
        return ((descriptors - self.x_mean) / self.x_std).clamp(-FAR, FAR)

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Predict with every network, in standard units.

        Args:
            batch: of `supervised.graphs.features.padded`.

        Returns:
            Means (K, B, T), log standard deviations (K, B, T), descriptors (K, B, D) of K networks.
        """
        atoms, edges, bonds, graph = flat(batch)
        x = self.standardized(batch["descriptors"])
        found = [member(atoms, edges, bonds, graph, x) for member in self.members]
        means, spreads, descriptors = (torch.stack(part) for part in zip(*found, strict=True))
        return means + x @ self.slope, spreads, descriptors

    def predict(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (B, T) of the mixture of all networks, in the targets' units."""
        means, spreads, _ = self(batch)
        variance = (functional.softplus(spreads) + SMALLEST).square().mean(0) + means.var(0, correction=0)
        return means.mean(0) * self.y_std + self.y_mean, variance.sqrt() * self.y_std


def flat(batch: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Atoms (N, F), edges (2, E), bonds (E, G) and each atom's graph (N,), without padding."""
    counts, links = batch["atom_counts"], batch["edge_counts"]
    rows = torch.arange(len(counts), device=counts.device)
    real = torch.arange(batch["atoms"].shape[1], device=counts.device) < counts[:, None]
    linked = torch.arange(batch["edges"].shape[1], device=counts.device) < links[:, None]
    first = torch.cumsum(counts, 0) - counts
    edges = (batch["edges"] + first[:, None, None])[linked].T.contiguous()
    return batch["atoms"][real], edges, batch["bonds"][linked], torch.repeat_interleave(rows, counts)

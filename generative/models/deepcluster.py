"""DeepCluster: unsupervised features by alternating k-means and classification (Caron et al. 2018).

In turn: k-means clusters the network's features of all images, and the network is trained to predict an
image's cluster from an augmented view of it. No label is used. Features are PCA-whitened and L2-normalised
before clustering; an empty cluster takes half of the largest; clusters are weighted equally, without which
one cluster would take all; the last layer is reinitialised with each clustering.

It is among the samplers because it is fitted to the same data sets: it partitions a distribution instead of
making new examples. A sample is a stored training image of a cluster. Clusters are named afterwards by the
majority label of their images, so that they can be conditioned on.

Read from top to bottom: the keys, the network, clustering, the loss, the alternating fit, the model.
"""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from generative.conditions import ConditionError, check_condition
from generative.images import from_rgb
from generative.metrics.clusters import normalized_mutual_information
from sim.records import Array, Budget, Condition, Progress, SampleOptions, Samples, State
from supervised.base_model import BaseModel
from supervised.data.dataset import Dataset, Spec
from supervised.fit import Batch, Fit, FitOptions
from supervised.tensors import Precision

CHUNK = 256  # images in one batch, outside of fitting
REMEMBERED = 6  # stored images of each cluster
IMAGES = "remembered"  # the name of these among the weights
TRIES = 3  # restarts of k-means
ROUNDS = 30  # iterations of each, at most
LEAST_VARIANCE = 1e-4  # of a principal component, relative to the largest: what is less is noise


@dataclass(frozen=True)
class DeepCluster:
    """Configuration of the ``deepcluster`` sampler; its fields are scene keys."""

    data: str = "frames"
    examples: int = 6_000
    clusters: int = 12  # more than there are classes: the paper takes ten times as many
    channels: int = 24  # of the first layer; twice and four times as many in the next two
    components: int = 8  # principal components that are clustered; whitening amplifies noise in further ones
    shift: int = 4  # pixels of random translation in each direction
    regroup_every: int = 50  # updates; the paper: an epoch. Also where a fit can be stopped and saved
    learning_rate: float = 2e-3
    batch_size: int = 64
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        """Refuse values out of range.

        Raises:
            ValueError: naming the field.
        """
        for name in ("examples", "channels", "components", "regroup_every", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.clusters < 2:
            raise ValueError(f"clusters must be at least 2, not {self.clusters}")
        if self.components > 4 * self.channels:
            raise ValueError(f"components must be at most 4 × channels, not {self.components}")
        if self.shift < 0:
            raise ValueError(f"shift must not be below 0, not {self.shift}")

    def build(self, spec: Spec, *, seed: int, device: str = "cpu") -> DeepClusterModel:
        """An untrained clustering of images of `spec`.

        Raises:
            ValueError: if `spec` is of vectors.
        """
        if not spec.pictures:
            raise ValueError(f'deepcluster groups pictures, and "{self.data}" are vectors')
        return DeepClusterModel(self, spec, seed, device)


class ClusterNetwork(nn.Module):
    """DeepCluster network: images (B, 3, H, W) in [−1, 1] → cluster logits (B, K); whitening, centroids."""

    middle: Tensor
    whitening: Tensor
    centroids: Tensor
    names: Tensor
    remembered: Tensor

    def __init__(self, config: DeepCluster, spec: Spec) -> None:
        super().__init__()
        narrow, groups = config.channels, config.clusters
        self.fold = max(1, min(spec.shape[:2]) // 16)  # pixels of a side that become channels
        self.trunk = nn.Sequential(
            conv(3 * self.fold**2, narrow, 1), conv(narrow, 2 * narrow, 2), conv(2 * narrow, 4 * narrow, 2)
        )
        self.head = nn.Linear(4 * narrow, groups)
        self.register_buffer("middle", torch.zeros(4 * narrow))
        self.register_buffer("whitening", torch.eye(4 * narrow, config.components))
        self.register_buffer("centroids", functional.normalize(torch.randn(groups, config.components)))
        self.register_buffer("names", torch.zeros(groups, dtype=torch.int64))
        noise = torch.randint(0, 256, (groups, REMEMBERED, *spec.shape), dtype=torch.uint8)
        self.register_buffer("remembered", noise)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        logits: Tensor = self.head(self.features(x))
        return logits

    def features(self, x: Tensor) -> Tensor:
        """Features (B, F): the mean of each channel."""
        folded = functional.pixel_unshuffle(x, self.fold)
        found: Tensor = self.trunk(folded).mean((2, 3))
        return found.float()

    def whitened(self, features: Tensor) -> Tensor:
        """Whiten and L2-normalise features: (B, F) → (B, W)."""
        return functional.normalize((features - self.middle) @ self.whitening)

    def measure(self, features: Tensor) -> None:
        """Fit the whitening: mean and principal components of features (N, F), each scaled to variance 1."""
        self.middle.copy_(features.mean(0))
        centred = (features - self.middle).double()
        variances, directions = torch.linalg.eigh(centred.T @ centred / len(features))
        variances, directions = variances.flip(0), directions.flip(1)
        directions = directions * directions.sum(0).sign()  # the sign of an eigenvector is arbitrary
        floor = LEAST_VARIANCE * variances[0].clamp(min=1e-12)
        scaled = directions / (variances.clamp(min=0) + floor).sqrt()
        self.whitening.copy_(scaled[:, : self.whitening.shape[1]])


def conv(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """Convolution block: 3×3 convolution, group normalisation (Wu & He 2018), ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.GroupNorm(4, outputs), nn.ReLU()
    )


def k_means(points: Tensor, groups: int, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
    """K-means clustering by scikit-learn, with no cluster left empty.

    Args:
        points: (N, W).
        groups: K ≤ N.
        generator: of the initial centroids.

    Returns:
        (K, W) centroids, and (N,) the cluster of each point.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    means = KMeans(
        groups, n_init=TRIES, max_iter=ROUNDS, tol=0.0, random_state=int(generator.integers(2**31))
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different points than clusters
        found = torch.from_numpy(means.fit_predict(points.cpu().numpy())).long().to(points.device)
    assigned = without_empty(found, groups)
    if torch.equal(assigned, found):
        return torch.from_numpy(means.cluster_centers_).to(points), assigned
    return centroids_of(points, assigned, groups), assigned


def without_empty(assigned: Tensor, groups: int) -> Tensor:
    """Refill empty clusters: each takes every second member of the largest; assignments (N,)."""
    assigned = assigned.clone()
    for group in range(groups):
        counts = torch.bincount(assigned, minlength=groups)
        if counts[group] == 0:
            assigned[torch.nonzero(assigned == counts.argmax())[::2, 0]] = group
    return assigned


def centroids_of(points: Tensor, assigned: Tensor, groups: int) -> Tensor:
    """Centroids (K, W): the mean of each cluster."""
    sums = points.new_zeros(groups, points.shape[1]).index_add_(0, assigned, points)
    return sums / torch.bincount(assigned, minlength=groups)[:, None]


class ClusterExamples:
    """Training examples of DeepCluster: augmented images with their cluster as label.

    Colour channels are permuted so that shapes must be learned; the paper takes gradients of grey images
    instead.
    """

    def __init__(self, values: Array, shift: int) -> None:
        self.values, self._shift = values, shift
        self.groups = np.zeros(len(values), np.int64)
        self.weights = np.ones(len(values), np.float32)

    def __len__(self) -> int:
        """How many pictures."""
        return len(self.values)

    def assign(self, groups: Array, count: int) -> None:
        """Set the clusters (N,) of a new clustering; each of the `count` has the same total weight."""
        self.groups = groups
        sizes = np.bincount(groups, minlength=count)
        self.weights = (len(groups) / (count * np.maximum(sizes, 1)))[groups].astype(np.float32)

    def batch(self, rows: Array, generator: np.random.Generator) -> dict[str, Array]:
        """``rgb`` (B, H, W, 3) uint8, ``group`` (B,) int64 and ``weight`` (B,) float32."""
        rgb = augment(self.values[rows], self._shift, generator)
        return {"rgb": rgb, "group": self.groups[rows], "weight": self.weights[rows]}


def augment(values: Array, shift: int, generator: np.random.Generator) -> Array:
    """Augment images (B, H, W, 3) uint8: translation by up to `shift` pixels, channel permutation, darkening.

    Translation repeats the last row or column at the edge.
    """
    height, width = values.shape[1:3]
    padded = np.pad(values, ((0, 0), (shift, shift), (shift, shift), (0, 0)), mode="edge")
    out = np.empty_like(values)
    moves = generator.integers(0, 2 * shift + 1, (len(values), 2))
    for b, (down, right) in enumerate(moves):
        moved = padded[b, down : down + height, right : right + width]
        out[b] = moved[:, :, generator.permutation(3)] * generator.uniform(0.6, 1.0)
    return out


def cluster_loss(network: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Cross-entropy of the images' clusters, each cluster weighted equally."""
    logits = network(from_rgb(batch["rgb"])).float()
    each = functional.cross_entropy(logits, batch["group"], reduction="none")
    accuracy = (logits.argmax(1) == batch["group"]).float().mean()
    return (each * batch["weight"]).mean(), {"accuracy": accuracy}


class AlternatingFit:
    """Alternating fit: `supervised.fit.Fit` with a new clustering at each validation; the same methods."""

    def __init__(self, model: DeepClusterModel, train: Dataset, validation: Dataset, seed: int) -> None:
        self._model, self._labels, self._seed = model, (train.labels, validation.labels), seed
        config = model.config
        self._train = ClusterExamples(train.values, config.shift)
        self._validation = ClusterExamples(validation.values, config.shift)
        options = FitOptions(
            learning_rate=config.learning_rate,
            weight_decay=1e-4,
            batch_size=config.batch_size,
            validate_every=config.regroup_every,
            precision=config.precision,
        )
        self._fit = Fit(
            model.network,
            cluster_loss,
            self._train,
            self._validation,
            options,
            seed=seed,
            device=str(model.device),
        )
        self._updates = 0
        self._found: dict[str, float] = {}  # by the last validation

    def learn(self, budget: Budget) -> Iterator[Progress]:
        """Fit and cluster in turn until the budget is spent; see `Fit.learn`.

        The metrics add ``agreement_with_last``, the normalised mutual information with the previous
        clustering, and ``nmi``, that with the labels of validation images, which are never trained on.
        """
        if self._updates == 0:
            self._group()
        for progress in self._fit.learn(budget):
            self._updates = progress.updates
            before = self._train.groups
            self._group()
            metrics = dict(progress.metrics)
            metrics["agreement_with_last"] = normalized_mutual_information(self._train.groups, before)
            metrics["nmi"] = normalized_mutual_information(self._validation.groups, self._labels[1])
            told, mark = progress.metrics, "validation_"
            self._found = {name.removeprefix(mark): told[name] for name in told if name.startswith(mark)}
            yield replace(progress, metrics=metrics)

    def validate(self) -> dict[str, float]:
        """The metrics of `Fit.validate` before the last clustering, which reinitialised the last layer."""
        return self._found or self._fit.validate()

    def state(self) -> State:
        """State of the fit, and the current clusters."""
        groups = {"train": self._train.groups, "validation": self._validation.groups}
        return {"fit": self._fit.state(), "groups": groups, "updates": self._updates}

    def restore(self, state: State) -> None:
        """Take up a state from `state`; `learn` goes on from there."""
        self._fit.restore(state["fit"])
        self._updates = int(state["updates"])
        for part, name in ((self._train, "train"), (self._validation, "validation")):
            part.assign(state["groups"][name], self._model.config.clusters)

    def weights(self) -> dict[str, Array]:
        """See `DeepClusterModel.weights`."""
        return packed(self._fit.weights())

    def _group(self) -> None:
        """Cluster all images by their current features, and reinitialise the last layer."""
        network, count = self._model.network, self._model.config.clusters
        generator = np.random.default_rng((self._seed, self._updates))
        features = self._model.features(self._train.values)
        network.measure(features)
        centroids, assigned = k_means(network.whitened(features), count, generator)
        network.centroids.copy_(centroids)
        groups = assigned.cpu().numpy()
        self._train.assign(groups, count)
        self._validation.assign(self._model.assign(self._validation.values), count)
        self._remember(groups, generator)
        fresh = generator.normal(0, 0.01, network.head.weight.shape).astype(np.float32)
        with torch.no_grad():
            network.head.weight.copy_(torch.from_numpy(fresh))
            network.head.bias.zero_()
        self._fit.forget(network.head.parameters())

    def _remember(self, groups: Array, generator: np.random.Generator) -> None:
        """Store some images of each cluster, and its majority label."""
        network = self._model.network
        for group in range(self._model.config.clusters):
            members = np.flatnonzero(groups == group)
            kept = generator.choice(members, REMEMBERED, replace=len(members) < REMEMBERED)
            network.remembered[group] = torch.from_numpy(self._train.values[kept])
            network.names[group] = int(np.bincount(self._labels[0][members]).argmax())


def packed(weights: Mapping[str, Array]) -> dict[str, Array]:
    """Weights with the stored images as one zlib stream (bytes,) uint8, a thirtieth of frames of games."""
    stream = zlib.compress(np.ascontiguousarray(weights[IMAGES]).tobytes(), 9)
    return {**weights, IMAGES: np.frombuffer(stream, np.uint8)}


def unpacked(weights: Mapping[str, Array], shape: tuple[int, ...]) -> dict[str, Array]:
    """The inverse of `packed`, for stored images of a `shape`.

    Raises:
        ValueError: if the stream does not hold so many.
    """
    stored = weights.get(IMAGES)
    if stored is None or stored.ndim != 1:  # missing, or as they are
        return dict(weights)
    try:
        images = np.frombuffer(zlib.decompress(stored.tobytes()), np.uint8).reshape(shape)
    except zlib.error as error:
        raise ValueError(f"{IMAGES} cannot be read: {error}") from error
    return {**weights, IMAGES: images.copy()}


class DeepClusterModel(BaseModel[ClusterNetwork]):
    """Deep clustering of images; a sample is a stored image of a cluster. A `SamplerModel`, `Clusters`.

    The protocols are those of `sim.protocols`.
    """

    def __init__(self, config: DeepCluster, spec: Spec, seed: int, device: str) -> None:
        self.config, self.spec, self.groups = config, spec, config.clusters
        super().__init__(lambda: ClusterNetwork(config, spec), seed=seed, device=device)

    def weights(self) -> dict[str, Array]:
        """The network's parameters, whitening, centroids and stored images, these compressed."""
        return packed(super().weights())

    def load_weights(self, weights: Mapping[str, Array]) -> None:
        """Load weights from a checkpoint.

        Raises:
            ValueError: if they are not of this network.
        """
        super().load_weights(unpacked(weights, tuple(self.network.remembered.shape)))

    def fit(self, train: Dataset, validation: Dataset, *, seed: int) -> AlternatingFit:
        """A fit of this clustering to images; labels only name the clusters.

        Raises:
            ValueError: if there are fewer images than clusters.
        """
        if len(train) < self.config.clusters:
            raise ValueError(f"{len(train)} pictures cannot fill {self.config.clusters} clusters")
        return AlternatingFit(self, train, validation, seed)

    def assign(self, values: Array) -> Array:
        """Cluster (n,) int64 of each image (n, H, W, 3) uint8."""
        points = self.network.whitened(self.features(values))
        return torch.cdist(points, self.network.centroids).argmin(1).cpu().numpy()

    @torch.no_grad()
    def features(self, values: Array) -> Tensor:
        """Features (n, F) of images (n, H, W, 3) uint8, on the model's device."""
        chunks = torch.split(torch.from_numpy(np.ascontiguousarray(values)), CHUNK)
        return torch.cat([self.network.features(from_rgb(rgb.to(self.device))) for rgb in chunks])

    def sample(self, n: int, condition: Condition, options: SampleOptions, seed: int) -> Samples:
        """`n` stored training images (n, H, W, 3) uint8 of clusters drawn at random.

        Args:
            n: how many.
            condition: a `label`: from the clusters of which it is the majority label.
            options: not used.
            seed: of the draw.

        Raises:
            ConditionError: for any other condition, and where no cluster has that majority label.
        """
        check_condition(condition, self.spec, {"label"})
        groups = np.arange(self.config.clusters)
        if condition.label is not None:
            names = self.network.names.cpu().numpy()
            groups = np.flatnonzero(names == self.spec.label_names.index(condition.label))
            if not len(groups):
                raise ConditionError(f'no cluster is mostly of the label "{condition.label}"')
        draws = np.random.default_rng(seed).random((n, 2))
        group = groups[(draws[:, 0] * len(groups)).astype(int)]
        which = (draws[:, 1] * REMEMBERED).astype(int)
        return Samples(self.network.remembered.cpu().numpy()[group, which], seed, condition)

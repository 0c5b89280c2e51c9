"""Training loop for everything that is not reinforcement learning: AdamW, EMA, validation, exact resume.

A model gives its network, its loss and its examples; the loop owns batches, optimiser, learning-rate
schedule, precision, averaged weights, validation, early stopping and the exact state of all that. It does not
know what is being learned, nor of files, progress bars and signals: like a reinforcement learner it yields
where it is safe to stop, and its caller saves, shows and stops.

Batches are a function of (seed, update) alone, so a resumed fit sees the same examples as one that was never
stopped. Under ``torchrun`` every rank draws the whole batch, noise included, and learns from its share of it;
gradients are averaged. Where the loss is a mean over examples the result does not depend on the number of
ranks, but for rounding; what dropout drops, and means over anything else, such as words, do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from sim.machine import check_memory
from sim.records import Array, Budget, Progress, State
from supervised.distributed import ALONE, ProcessGroup, even_share, process_group, sum_gradients
from supervised.precision import in_half
from supervised.tensors import (
    NonFiniteError,
    Precision,
    from_arrays,
    optimizer_state,
    restore_optimizer,
    to_arrays,
)

#: Examples of one batch by name, each (B, …), on the fit's device.
Batch: TypeAlias = dict[str, Tensor]

#: The loss of a batch (), and metrics () to log.
Loss: TypeAlias = Callable[[nn.Module, Batch], tuple[Tensor, dict[str, Tensor]]]


#: What generators are for, beside the order of epochs: one for update 3 is no other thing's generator 3.
AUGMENTATION, VALIDATION, DROPPED = 1, 2, 3
#: Modules that draw from torch's global generator while they learn.
DROPOUT = (nn.modules.dropout._DropoutNd,)

LARGE = 10_000  # examples of a batch from which on it is asked whether memory holds it


class Examples(Protocol):
    """Data set of numbered training examples, read in batches."""

    def __len__(self) -> int:
        """How many."""

    def batch(self, rows: Array, generator: np.random.Generator) -> Mapping[str, Array]:
        """Examples `rows` (B,) int64 by name, each (B, …); `generator` for augmentation."""


@dataclass(frozen=True)
class FitOptions:
    """Hyperparameters of a fit; models offer those that matter to them as scene keys."""

    learning_rate: float = 1e-3
    weight_decay: float = 0.0  # AdamW (Loshchilov & Hutter 2019), on matrices and kernels only
    betas: tuple[float, float] = (0.9, 0.999)  # decay of the gradients' first and second moments
    batch_size: int = 64
    warmup_updates: int = 100  # of linear warm-up; a half-cosine decay to 0 follows
    max_grad_norm: float = 1.0
    ema: float = 0.0  # decay of the moving average of weights, which is then what counts; 0: none
    validate_every: int = 200  # updates
    validate_on: int = 0  # examples at most, evenly spread; 0: all
    patience: int = 0  # validations without a new best loss before it stops; 0: never
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        """Refuse values out of range.

        Raises:
            ValueError: naming the field.
        """
        for name in ("learning_rate", "max_grad_norm"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")
        for name in ("batch_size", "validate_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("weight_decay", "warmup_updates", "patience", "validate_on"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be below 0, not {getattr(self, name)}")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas must be in [0, 1), not {self.betas}")
        if not 0 <= self.ema < 1:
            raise ValueError(f"ema must be in [0, 1), not {self.ema}")


class Fit:
    """Training of one network by AdamW, resumable; see the module."""

    data_parallel = True  # several ranks can share it; other loops have no such attribute

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        train: Examples,
        validation: Examples,
        options: FitOptions,
        *,
        seed: int,
        device: str = "cpu",
    ) -> None:
        """Prepare; nothing is learned yet.

        Args:
            network: fitted in place.
            loss: of the network and a batch; called in training mode and, for validation, in evaluation mode.
            train: at least one example.
            validation: at least one example, of other episodes, seeds or authors than `train`.
            options: see `FitOptions`.
            seed: of the order of examples and of augmentation.
            device: where the network lives.

        Raises:
            ValueError: if there are no examples.
            ShareError: if a batch cannot be shared evenly by the ranks.
            MemoryRefused: if a batch does not fit into memory.
        """
        self._group = process_group()
        even_share(options.batch_size, self._group, "batch_size")
        self._share = slice(self._group.rank, None, self._group.size)
        for name, examples in (("train", train), ("validation", validation)):
            if not len(examples):
                raise ValueError(f"there are no {name} examples")
        _check_batch(options.batch_size, train)
        self.device = torch.device(device)
        self.network = network.to(self.device)
        self.options = options
        self._loss, self._train, self._validation, self._seed = loss, train, validation, seed
        plain = [p for p in network.parameters() if p.dim() <= 1]
        self._optimizer = torch.optim.AdamW(
            [p for p in network.parameters() if p.dim() > 1],
            lr=options.learning_rate,
            weight_decay=options.weight_decay,
            betas=options.betas,
            fused=True,
        )
        if plain:
            self._optimizer.add_param_group({"params": plain, "weight_decay": 0.0})
        self._half = in_half(options.precision, self.device)
        self._drops = any(isinstance(module, DROPOUT) for module in network.modules())
        averaging = get_ema_multi_avg_fn(options.ema)  # type: ignore[no-untyped-call]
        self._average = (
            AveragedModel(network, multi_avg_fn=averaging, use_buffers=True) if options.ema else None
        )
        self._drawing: ThreadPoolExecutor | None = None  # while it learns
        self._ahead: tuple[int, Future[Mapping[str, Array]]] | None = None  # an update's number and examples
        self._order: tuple[int, Array] | None = None  # of an epoch: drawing millions takes a while
        self._updates = 0
        self._best = math.inf
        self._best_weights: dict[str, Array] | None = None
        self._since_best = 0

    @property
    def kept(self) -> nn.Module:
        """The network that is validated and saved: the averaged one where `ema` is set."""
        return self.network if self._average is None else self._average.module

    def learn(self, budget: Budget) -> Iterator[Progress]:
        """Train until the budget of updates or the patience is spent; yields after each validation.

        Raises:
            NonFiniteError: if a loss or gradient is not finite; nothing since the last yield may be kept.
            ValueError: if the budget is in env steps.
        """
        if budget.updates is None:
            raise ValueError("a fit counts updates: set updates in [train], not env_steps")
        with ThreadPoolExecutor(1, "examples") as self._drawing:
            yield from self._learn(budget.updates)
        if self._best_weights is not None:
            from_arrays(self.kept, self._best_weights)

    def _learn(self, total: int) -> Iterator[Progress]:
        every = self.options.validate_every
        while self._updates < total and not self.out_of_patience:
            figures: list[dict[str, Tensor]] = []
            for _ in range(min(every - self._updates % every, total - self._updates)):
                figures.append(self._update(total))
            metrics = {f"train_{name}": value for name, value in _means(figures).items()}
            NonFiniteError.check(metrics, self._updates)
            metrics |= {f"validation_{name}": value for name, value in self.validate(self._group).items()}
            NonFiniteError.check(metrics, self._updates)
            self._judge(metrics["validation_loss"])
            metrics["learning_rate"] = self._rate(total)
            yield Progress(0, self._updates, total, metrics)

    @property
    def out_of_patience(self) -> bool:
        """Whether the validation loss has not improved for `patience` validations."""
        return 0 < self.options.patience <= self._since_best

    @torch.no_grad()
    def validate(self, group: ProcessGroup = ALONE) -> dict[str, float]:
        """Mean loss and metrics of the network `kept` over the validation examples, at most `validate_on`.

        The ranks of a `group` take the batches in turn.
        """
        network = self.kept.eval()
        size = self.options.batch_size
        figures: dict[int, tuple[dict[str, Tensor], float]] = {}
        most = self.options.validate_on or len(self._validation)
        spread = np.arange(0, len(self._validation), -(-len(self._validation) // most))
        for start in range(group.rank * size, len(spread), group.size * size):
            rows = spread[start : start + size]
            arrays = self._validation.batch(rows, np.random.default_rng((self._seed, start, VALIDATION)))
            told = self._figures(network, self._moved(arrays))
            if group.size > 1:  # else without a wait for the device in every batch
                told = {name: value.cpu() for name, value in told.items()}
            figures[start] = (told, float(len(rows)))
        self.network.train()
        everyones = {start: part for rank in group.all_gather_object(figures) for start, part in rank.items()}
        parts = [everyones[start] for start in sorted(everyones)]
        return _means([part for part, _ in parts], [count for _, count in parts])

    def state(self) -> State:
        """Network, average, optimiser, counters and the best weights so far."""
        return {
            "updates": self._updates,
            "network": to_arrays(self.network.state_dict()),
            "average": None if self._average is None else to_arrays(self._average.state_dict()),
            "optimizer": optimizer_state(self._optimizer),
            "best": self._best,
            "best_weights": self._best_weights,
            "since_best": self._since_best,
        }

    def restore(self, state: State) -> None:
        """Take up a state from `state`; `learn` goes on from there."""
        self._updates = int(state["updates"])
        from_arrays(self.network, state["network"])
        if self._average is not None:
            from_arrays(self._average, state["average"])
        restore_optimizer(self._optimizer, state["optimizer"])
        self._best, self._since_best = float(state["best"]), int(state["since_best"])
        self._best_weights = state["best_weights"]

    def forget(self, parameters: Iterable[nn.Parameter]) -> None:
        """Delete the optimiser's moments of `parameters`, such as of a head that was drawn anew."""
        for parameter in parameters:
            self._optimizer.state.pop(parameter, None)

    def weights(self) -> dict[str, Array]:
        """The best validated weights where patience is set, else the newest; averaged where `ema` is."""
        return to_arrays(self.kept.state_dict()) if self._best_weights is None else dict(self._best_weights)

    def _update(self, total: int) -> dict[str, Tensor]:
        """One optimiser step; returns the figures, still on the device."""
        self.network.train()
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate(total)
        with self._dropout():
            figures = self._figures(self.network, self._next_batch(total))
        self._optimizer.zero_grad()
        torch.autograd.backward(figures["loss"])
        figures = self._averaged(figures)
        figures["grad_norm"] = nn.utils.clip_grad_norm_(self.network.parameters(), self.options.max_grad_norm)
        self._optimizer.step()
        if self._average is not None:
            self._average.update_parameters(self.network)
        self._updates += 1
        return {name: value.detach() for name, value in figures.items()}

    @contextmanager
    def _dropout(self) -> Iterator[None]:
        """Context in which what is dropped follows from (seed, update): a resumed fit drops the same."""
        if not self._drops:
            yield
            return
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            rank = (self._group.rank,) if self._group.size > 1 else ()
            generator = np.random.default_rng((self._seed, self._updates, DROPPED, *rank))
            torch.manual_seed(int(generator.integers(2**63)))
            yield

    def _figures(self, network: nn.Module, batch: Batch) -> dict[str, Tensor]:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._half):
            loss, figures = self._loss(network, batch)
        return {"loss": loss.float()} | figures

    def _rate(self, total: int) -> float:
        """The learning rate of the next update."""
        options = self.options
        rising = min(1.0, (self._updates + 1) / max(1, options.warmup_updates))
        falling = 0.5 * (1 + math.cos(math.pi * min(1.0, self._updates / total)))
        return options.learning_rate * rising * falling

    def _rows(self, update: int) -> Array:
        """The indices of one update's examples: whole epochs, each in an order of its own."""
        size, n = self.options.batch_size, len(self._train)
        at = np.arange(update * size, (update + 1) * size)
        rows = np.empty(size, np.int64)
        for epoch in np.unique(at // n):
            inside = at // n == epoch
            rows[inside] = self._epoch_order(int(epoch))[at[inside] % n]
        return rows

    def _epoch_order(self, epoch: int) -> Array:
        """The order (N,) int64 of one epoch's examples."""
        held = self._order  # another thread may replace it
        if held is None or held[0] != epoch:
            order = np.random.default_rng((self._seed, epoch)).permutation(len(self._train))
            held = self._order = epoch, order
        return held[1]

    def _drawn(self, update: int) -> Mapping[str, Array]:
        """This process's share of the examples of one update; they depend on its number alone."""
        generator = np.random.default_rng((self._seed, update, AUGMENTATION))
        whole = self._train.batch(self._rows(update), generator)
        return {name: array[self._share] for name, array in whole.items()}

    def _next_batch(self, total: int) -> Batch:
        """This update's batch; a thread prepares the next one meanwhile: on CUDA drawing noise takes longest.

        Not beyond the next validation, where the examples may change.
        """
        update, ahead = self._updates, self._ahead
        arrays = ahead[1].result() if ahead is not None and ahead[0] == update else self._drawn(update)
        update += 1
        more = update < total and update % self.options.validate_every
        drawing = self._drawing if more else None
        self._ahead = None if drawing is None else (update, drawing.submit(self._drawn, update))
        return self._moved(arrays)

    def _moved(self, arrays: Mapping[str, Array]) -> Batch:
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        if self.device.type == "cuda":  # from pinned memory, so that the next update is prepared meanwhile
            return {name: x.pin_memory().to(self.device, non_blocking=True) for name, x in tensors.items()}
        return {name: x.to(self.device) for name, x in tensors.items()}

    def _averaged(self, figures: dict[str, Tensor]) -> dict[str, Tensor]:
        """Average gradients, in place, and figures over the ranks."""
        ranks = self._group.size
        if ranks == 1:
            return figures
        parameters = list(self.network.parameters())
        told = torch.stack([value.detach().float() for value in figures.values()])
        means = sum_gradients(self._group, parameters, told) / ranks
        torch._foreach_div_([p.grad for p in parameters if p.grad is not None], ranks)
        return dict(zip(figures, means, strict=True))

    def _judge(self, loss: float) -> None:
        """Remember the best validation loss, and with patience its weights."""
        if loss < self._best:
            self._best, self._since_best = loss, 0
            if self.options.patience:
                self._best_weights = to_arrays(self.kept.state_dict())
        else:
            self._since_best += 1


def _check_batch(size: int, examples: Examples) -> None:
    """Refuse batches that no memory holds, two of them: one is drawn while another is learned from."""
    if size < LARGE:
        return
    one = examples.batch(np.zeros(1, np.int64), np.random.default_rng(0))
    check_memory(
        2 * size * sum(array.nbytes for array in one.values()),
        f"a batch of {size:,} examples, with the next one drawn ahead,",
        "set a smaller batch_size",
    )


def fits_exactly(device: str) -> bool:
    """Whether resuming a fit is bit-exact on `device`: on CUDA the order of some sums varies."""
    return torch.device(device).type == "cpu"


def _means(figures: list[dict[str, Tensor]], weights: list[float] | None = None) -> dict[str, float]:
    """Each metric's weighted mean; the only wait for the device."""
    share = torch.tensor(weights or [1.0] * len(figures))
    share = share / share.sum()
    return {
        name: float((torch.stack([f[name].float().cpu() for f in figures]) * share).sum())
        for name in figures[0]
    }

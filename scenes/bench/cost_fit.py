"""Fit of PPO's cost model: seconds of emulation, inference, update and communication, linear in their size.

    seconds of a call = fixed + n · each + n / threads · shared

where n are worlds, or the samples of a minibatch; communication has a latency and a time for each byte. The
coefficients are zero or more and minimise the relative error to what `scenes.bench.cost_measurement` found.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from scenes.bench.cost_measurement import Parts, Setting
from sim.records import Array

PARTS = ("emulation", "inference", "update")
EPOCHS = 4  # of what is predicted: the defaults of Schulman et al. 2017 for Atari


def nonnegative_least_squares(features: Array, target: Array) -> Array:
    """Coefficients (F,) ≥ 0 that minimise the squared error of `features` (B, F) to `target` (B,), F small.

    Of all subsets of features the best whose own least-squares solution has no negative coefficient; that is
    the exact solution (Lawson & Hanson 1974, chapter 23).

    >>> falling = np.array([[1.0, 1.0], [1.0, 2.0], [1.0, 3.0]]), np.array([1.0, 0.5, 0.3])
    >>> nonnegative_least_squares(*falling).round(3).tolist()
    [0.6, 0.0]
    """
    count = features.shape[1]
    best, least = np.zeros(count), float(np.square(target).sum())
    for size in range(1, count + 1):
        for chosen in map(list, combinations(range(count), size)):
            solution = np.linalg.lstsq(features[:, chosen], target, rcond=None)[0]
            error = float(np.square(features[:, chosen] @ solution - target).sum())
            if (solution >= 0).all() and error < least * (1 - 1e-9):
                best, least = np.zeros(count), error
                best[chosen] = solution
    return best


def features(amount: float, threads: int) -> tuple[float, float, float]:
    """Features of a call on `amount` worlds or samples: fixed, each, shared among threads."""
    return 1.0, amount, amount / threads


@dataclass(frozen=True)
class CostModel:
    """Fitted coefficients.

    Attributes:
        parts: of each of `PARTS`: fixed, each, shared, in seconds.
        rest: seconds of an env step outside of all parts, one thread.
        all_reduce: between two processes: latency in seconds, and seconds a byte.
        shard: the same of an object of Ray's from one process to another.
    """

    parts: Mapping[str, tuple[float, float, float]]
    rest: float
    all_reduce: tuple[float, float]
    shard: tuple[float, float]

    @classmethod
    def fit(cls, data: Mapping[str, Any]) -> CostModel:
        """Fit to the measurements ``data["fit"]``, ``data["all_reduce"]`` and ``data["ray"]``."""
        runs = [(Setting(**run["setting"]), Parts(**run["parts"])) for run in data["fit"]]
        parts = {}
        for name in PARTS:
            known = [(s, getattr(found, name)) for s, found in runs if getattr(found, name) is not None]
            rows = [features(amount(setting, name), setting.threads) for setting, _ in known]
            parts[name] = fitted(rows, [seconds for _, seconds in known])
        rests = [found.rest for _, found in runs if found.rest is not None]
        pairs = {
            name: fitted([(1.0, float(size)) for size in data[name]], list(data[name].values()))
            for name in ("all_reduce", "ray")
        }
        return cls(parts, float(np.mean(rests)), pairs["all_reduce"], pairs["ray"])  # type: ignore[arg-type]

    def call(self, part: str, amount: float, threads: int = 1) -> float:
        """Seconds of one call of a part."""
        return float(np.dot(self.parts[part], features(amount, threads)))

    def play(self, num_envs: int, threads: int = 1) -> float:
        """Seconds of an env step for emulation and inference, with `num_envs` worlds stepped together."""
        return (
            self.call("emulation", num_envs, threads) + self.call("inference", num_envs, threads)
        ) / num_envs

    def learn(self, minibatch: int, threads: int = 1, exchange: float = 0.0) -> float:
        """Seconds of an env step for learning, with seconds of `exchange` in each gradient step."""
        return EPOCHS * (self.call("update", minibatch, threads) + exchange) / minibatch + self.rest


def amount(setting: Setting, part: str) -> int:
    """What a part's time is linear in: the samples of a minibatch, or worlds."""
    return setting.minibatch_size if part == "update" else setting.num_envs


def fitted(rows: Sequence[Sequence[float]], seconds: Sequence[float]) -> tuple[float, ...]:
    """Coefficients by least squares of the relative error."""
    target = np.asarray(seconds)
    weighted = np.asarray(rows) / target[:, None]
    scale = np.abs(weighted).max(0)  # a byte's time is a millionth of a latency
    return tuple((nonnegative_least_squares(weighted / scale, np.ones(len(target))) / scale).tolist())


def held_out_errors(model: CostModel, data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Prediction against measurement of each held-out setting, by part that was measured.

    Seconds of a call; ``env_step`` is the sum of all parts for one env step, where all were measured.
    """
    rows = []
    for run in data["held_out"]:
        setting, found = Setting(**run["setting"]), Parts(**run["parts"])
        row: dict[str, Any] = {"setting": asdict(setting)}
        totals = np.zeros(2)
        for name in PARTS:
            many, measured = amount(setting, name), getattr(found, name)
            predicted = model.call(name, many, setting.threads)
            row[name] = None if measured is None else compared(predicted, measured)
            calls = EPOCHS / many if name == "update" else 1 / many  # of an env step
            totals += calls * np.array([predicted, math.nan if measured is None else measured])
        row["env_step"] = None if np.isnan(totals).any() else compared(*totals.tolist())
        rows.append(row)
    return rows


def compared(predicted: float, measured: float) -> dict[str, float]:
    """A prediction beside its measurement, with the relative error."""
    return {"predicted": predicted, "measured": measured, "error": predicted / measured - 1}

"""Benchmark of learning Atari on a GPU: ``python -m scenes.bench.gpu``, all figures in eight minutes.

Env steps a second of PPO, PQN and DQN on Pong by number of worlds, plain, with CUDA graphs, and with graphs
in double-buffered worlds; the time of a step by part; Stable-Baselines3's PPO where it is installed; then
``pytest -m gpu``. The most important rows come first; those that the minutes do not suffice for have no
figure. Results are printed as one JSON object, and written to ``--out`` after every row.

With ``--device cpu --quick`` the same code runs on the CPU in a few seconds; such figures say nothing.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agents.dqn import DQN
from agents.ppo import PPO, PPOLearner
from agents.pqn import PQN
from agents.rollouts.double_buffer import rollout_collector
from agents.rollouts.frame_stacks import FrameStacks
from scenes.bench import report
from scenes.bench.learning import count_learning_steps, stable_baselines3_ppo
from scenes.bench.worker import Settings
from scenes.build.devices import chosen_device
from sim.atari.world import Atari
from sim.errors import RequestError
from sim.machine import processors
from sim.vector import Worlds

TESTS = Path(__file__).parents[2] / "tests" / "agents"
TESTS_SECONDS = 150.0  # kept for the tests
LINES = 80  # of what the tests say
LEAST = 1.0  # seconds; a row is left out rather than measured for less
VARIANTS = ((True, True), (True, False), (False, False))  # (cuda_graphs, double_buffered)


@dataclass(frozen=True)
class Plan:
    """What to measure, for how long and on which device."""

    device: str = "cuda"
    minutes: float = 8.0
    worlds: tuple[int, ...] = (256, 128, 64)
    few_worlds: int = 8  # as LeanRL's published figure and Stable-Baselines3 have
    network: str = "nature"
    num_steps: int = 128
    minibatch_size: int = 2048
    replay: int = 100_000
    dqn_steps: int = 4_000  # env steps between two yields
    seed_every: int = 32_000  # see `sim.atari.world.Atari`
    parts_seconds: float = 1.5  # for each part of a step
    tests: bool = True


#: The same in a few seconds, on a CPU.
QUICK = Plan(
    "cpu", 0.3, worlds=(2,), few_worlds=1, network="small", num_steps=2, minibatch_size=4, replay=600,
    dqn_steps=20, parts_seconds=0.01, tests=False,
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One setting of one learner.

    Attributes:
        agent: ``ppo``, ``pqn`` or ``dqn``.
        worlds: how many.
        cuda_graphs: see `agents.optim.cuda_graphs`.
        double_buffered: see `sim.double_buffer`.
        env_steps_per_second: measured; None where time did not suffice.
        seconds: that it was measured for.
    """

    agent: str
    worlds: int
    cuda_graphs: bool
    double_buffered: bool
    env_steps_per_second: float | None = None
    seconds: float = 0.0


def rows_of(plan: Plan) -> list[Row]:
    """The rows in the order of their importance."""
    rows = []
    for worlds, (graphs, halves) in itertools.product(plan.worlds, VARIANTS):
        rows += [Row(agent, worlds, graphs, halves) for agent in ("ppo", "pqn", "dqn")]
    few = [Row("ppo", plan.few_worlds, graphs, False) for graphs in (True, False)]
    return rows[: len(VARIANTS) * 3] + few + rows[len(VARIANTS) * 3 :]


def config_of(row: Row, plan: Plan) -> PPO | PQN | DQN:
    """The learner's configuration: that of ``playfield bench``, with minibatches that fill a GPU."""
    common: dict[str, Any] = {"network": plan.network, "cuda_graphs": row.cuda_graphs}
    minibatch = min(plan.minibatch_size, -(-plan.num_steps * row.worlds // 4))
    if row.agent == "ppo":
        return PPO(num_steps=plan.num_steps, num_epochs=4, minibatch_size=minibatch, **common)
    if row.agent == "pqn":
        steps = max(2, plan.num_steps // 4)
        return PQN(num_steps=steps, num_epochs=2, minibatch_size=max(1, minibatch // 2), **common)
    return DQN(
        buffer_size=plan.replay,
        batch_size=min(256, plan.replay // 8),
        learning_starts=min(1_000, plan.replay // 8),
        train_frequency=32,
        target_frequency=8_000,
        **common,
    )


class Bench:
    """A run of the benchmark; `results` is what is known so far."""

    def __init__(self, plan: Plan, out: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._plan, self._out, self._clock = plan, out, clock
        self._deadline = clock() + 60 * plan.minutes - (TESTS_SECONDS if plan.tests else 0.0)
        self._worlds: dict[tuple[int, bool], Worlds] = {}
        self.results: dict[str, Any] = {
            "plan": asdict(plan),
            "machine": report.machine(processors(), plan.device, report.load()),
            "rows": [],
        }

    def run(self) -> dict[str, Any]:
        """Measure everything; returns `results`."""
        rows, largest = rows_of(self._plan), self._plan.worlds[0]
        for number, row in enumerate(rows):
            share = (self._deadline - self._clock()) / (len(rows) - number + 2)
            self.results["rows"].append(asdict(self._measured(row, share)))
            if row == rows[0]:
                self.results["milliseconds"] = self.parts(largest)
            self._save()
        self.results["peer"] = self._peer((self._deadline - self._clock()) / 2)
        for worlds in self._worlds.values():
            worlds.close()
        self._save()
        if self._plan.tests:
            self.results["tests"] = gpu_tests(TESTS_SECONDS)
            self._save()
        return self.results

    def worlds(self, count: int, double_buffered: bool) -> Worlds:
        """A batch of Pong, made once: loading 256 cartridges takes seconds."""
        key = count, double_buffered
        if key not in self._worlds:
            game = Atari("pong", double_buffered=double_buffered, seed_every=self._plan.seed_every)
            made = game.make_batch(count, seed=0)
            made.seed_rarely()
            self._worlds[key] = made
        return self._worlds[key]

    def parts(self, count: int) -> dict[str, float]:
        """Milliseconds of each part of PPO in `count` worlds: three of a step of all, and the update.

        The plain policy is measured as well as its CUDA graph; the update is one graph a minibatch.
        """
        worlds = self.worlds(count, False)
        found = {"policy": self._policy(Row("ppo", count, False, False), worlds)}
        learner: PPOLearner = self._learner(row := Row("ppo", count, True, False), worlds)
        found["policy_graph"] = self._policy(row, worlds)
        obs, info = worlds.reset()
        stacks, ended = FrameStacks(learner, worlds.frame_stack, obs), np.zeros(count, bool)
        found["copies"] = self._timed(no_grad(lambda: stacks.step(obs, ended)))
        learner.gradient_step.prepare()
        collector = rollout_collector(learner, worlds, (obs, info), clip_reward=True)
        rollout = collector.collect(self._plan.num_steps)
        found["update"] = self._timed(lambda: learner.run_epochs(rollout), warm_up=1)
        actions = np.random.default_rng(0).integers(learner.head.outputs, size=(64, count))
        turns = itertools.cycle(actions)
        found["emulation"] = self._timed(lambda: worlds.step(next(turns)))
        return found

    def _policy(self, row: Row, worlds: Worlds) -> float:
        """Milliseconds of choosing actions for all worlds."""
        learner: PPOLearner = self._learner(row, worlds)
        seen = learner.observe(worlds.reset()[0])
        return self._timed(no_grad(lambda: learner.choose(seen, None, None)))

    def _measured(self, row: Row, seconds: float) -> Row:
        """Measure one learner for about `seconds`, its start included."""
        if seconds < LEAST and self._plan.tests:
            return row
        began = self._clock()
        learner = self._learner(row, worlds := self.worlds(row.worlds, row.double_buffered))
        sign = "policy_loss" if row.agent == "ppo" else "loss"
        rate, measured = self._rate(count_learning_steps(learner, worlds, sign), began + seconds)
        return replace(row, env_steps_per_second=rate, seconds=measured)

    def _rate(self, work: Iterator[int], end: float) -> tuple[float, float]:
        """Env steps a second of `work` until `end` after its first yield, at least of one more; seconds."""
        next(work)
        self._wait()
        started, steps = self._clock(), 0
        while steps == 0 or self._clock() < end:
            steps += next(work)
        self._wait()
        elapsed = self._clock() - started
        return round(steps / elapsed, 1), round(elapsed, 3)

    def _peer(self, seconds: float) -> dict[str, Any] | str:
        """Stable-Baselines3's PPO in few worlds."""
        lacking = [name for name in ("stable_baselines3", "cv2") if importlib.util.find_spec(name) is None]
        if lacking or (self._plan.tests and seconds < LEAST):
            return f"{lacking[0]} is not installed" if lacking else "time did not suffice"
        if self._plan.device == "cpu":
            return "not on the CPU: see playfield bench ppo"
        threads = processors()
        work = stable_baselines3_ppo(Settings(0, self._plan.device, threads, threads))
        rate, measured = self._rate(work, self._clock() + seconds)
        return {
            "name": "Stable-Baselines3 PPO",
            "worlds": 8,
            "env_steps_per_second": rate,
            "seconds": measured,
        }

    def _learner(self, row: Row, worlds: Worlds) -> Any:
        spaces = worlds.single_observation_space, worlds.single_action_space
        learner: Any = config_of(row, self._plan).build(*spaces, seed=0, device=self._plan.device)
        learner.yield_every = self._plan.dqn_steps
        return learner

    def _timed(self, function: Callable[[], object], warm_up: int = 5) -> float:
        """Milliseconds of a call, warm and with all of the device's work, over `Plan.parts_seconds`."""
        for _ in range(warm_up):
            function()
        self._wait()
        started, calls = self._clock(), 0
        while calls == 0 or self._clock() < started + self._plan.parts_seconds:
            function()
            self._wait()
            calls += 1
        return round(1e3 * (self._clock() - started) / calls, 4)

    def _wait(self) -> None:
        if self._plan.device == "cuda":
            torch.cuda.synchronize()

    def _save(self) -> None:
        if self._out is not None:
            self._out.write_text(json.dumps(self.results, indent=1) + "\n", "utf-8")


def no_grad(function: Callable[[], object]) -> Callable[[], object]:
    """The function without gradients, as in rollouts."""

    def call() -> object:
        with torch.no_grad():
            return function()

    return call


def gpu_tests(seconds: float) -> dict[str, Any] | str:
    """Run ``pytest -m gpu``, compiled learners last; returns exit status (None: stopped) and what it said."""
    if not TESTS.is_dir():
        return f"there are no tests at {TESTS}: run from a checkout"
    end, found = time.monotonic() + seconds, {}
    for which in ("not compiled", "compiled"):
        chosen = ["-n", "0", "-v", "-m", "gpu", "-k", which, str(TESTS)]
        try:
            done = subprocess.run(
                [sys.executable, "-u", "-m", "pytest", *chosen],
                cwd=TESTS.parents[1],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=max(1.0, end - time.monotonic()),
                check=False,
            )
            status, told = done.returncode, done.stdout
        except subprocess.TimeoutExpired as stopped:
            status, told = None, stopped.stdout or b""
        found[which] = {"exit": status, "tail": told.decode("utf-8", "replace").splitlines()[-LINES:]}
    return found


def main(words: Sequence[str] | None = None) -> int:
    """Run from the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m scenes.bench.gpu", description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--minutes", type=float, help="of the whole run (default: 8)")
    parser.add_argument("--quick", action="store_true", help="a few seconds, to see that it runs")
    parser.add_argument("--out", type=Path, metavar="FILE", help="JSON file, written after every row")
    given = parser.parse_args(words)
    plan = replace(QUICK if given.quick else Plan(), device=given.device)
    try:
        if given.minutes is not None:
            if not 0 < given.minutes < float("inf"):
                raise RequestError(f"--minutes must be above 0, not {given.minutes}")
            plan = replace(plan, minutes=given.minutes)
        if given.out is not None and given.out.exists():
            raise RequestError(f"{given.out} exists: name another file with --out")
        chosen_device(plan.device)
        if plan.device == "cpu" and not given.quick:
            raise RequestError("all figures are of a GPU: use --device cuda, or --quick to see that it runs")
        print(json.dumps(Bench(plan, given.out).run()))
    except RequestError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

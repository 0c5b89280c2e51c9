"""Options of ``train``, ``sweep`` and ``plot``: runs, searches of hyperparameters, learning curves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, UseAppendAction

from scenes.cli.options.common import Common, SceneName, arg
from scenes.cli.outcome import DONE, INTERRUPTED
from sim.errors import RequestError


@dataclass(frozen=True, kw_only=True)
class Train(Common):
    """Train the scene's agent, perception or sampler, in a run folder that can be resumed."""

    scene: SceneName
    run: Annotated[Path | None, arg(help="the run folder [runs/SCENE-DATE-TIME]", metavar="DIR")] = None
    steps: Annotated[int | None, arg(help="instead of the scene's budget", metavar="N")] = None
    resume: Annotated[bool, arg(help="go on, exactly where --run or the newest run stopped")] = False
    start_from: Annotated[Path | None, arg(name="from", help="start with a checkpoint", metavar="DIR")] = None
    seeds: Annotated[int, arg(help="how many, each into RUN/seed-<n>", metavar="K")] = 1
    actors: Annotated[int | None, arg(help="leave the playing to so many Ray actors", metavar="N")] = None
    cluster: Annotated[
        str | None,
        arg(help="their Ray: local, auto (the one that runs here) or host:port [local]", metavar="ADDRESS"),
    ] = None
    max_staleness: Annotated[
        int | None,
        arg(help="refuse play by weights more updates old [4 × actors, at least 8]", metavar="S"),
    ] = None

    def execute(self) -> tuple[dict[str, Any], int]:
        """The run and its figures."""
        from scenes.cli import verbs

        answer, interrupted = verbs.train(
            self.scene,
            self.set,
            self.seed,
            device=self.device,
            run=self.run,
            steps=self.steps,
            resume=self.resume,
            start_from=self.start_from,
            seeds=self.seeds,
            actors=self.actors,
            cluster=self.cluster,
            max_staleness=self.max_staleness,
        )
        return answer, INTERRUPTED if interrupted else DONE


@dataclass(frozen=True, kw_only=True)
class Sweep(Common):
    """Search hyperparameters: many short trainings by Optuna, on this machine or a Ray cluster."""

    scene: SceneName
    search: Annotated[
        UseAppendAction[tuple[str, ...]],
        arg(
            metavar="KEY=RANGE",
            help="what to search, as log:1e-4..1e-2, 0.9..0.99, 8..64 or 32,64,128; repeatable",
        ),
    ] = ()
    trials: Annotated[int | None, arg(help="how many in all [20]", metavar="N")] = None
    seeds: Annotated[int | None, arg(help="each trial trains; its score is their mean [1]", metavar="K")] = (
        None
    )
    parallel: Annotated[int, arg(help="trials at a time", metavar="P")] = 1
    minutes: Annotated[float | None, arg(help="then all stop, to be resumed", metavar="M")] = None
    steps: Annotated[int | None, arg(help="of each seed, instead of the scene's", metavar="N")] = None
    run: Annotated[Path | None, arg(help="the folder [runs/SCENE-sweep-DATE-TIME]", metavar="DIR")] = None
    resume: Annotated[bool, arg(help="go on with --run, or join processes that train it")] = False
    overwrite: Annotated[bool, arg(help="replace a sweep that is there already")] = False
    cluster: Annotated[
        str | None, arg(help="train on a Ray cluster: auto, local or host:port", metavar="ADDRESS")
    ] = None

    def execute(self) -> tuple[dict[str, Any], int]:
        """A row for each trial, and the best."""
        from scenes.cli import verbs

        answer, interrupted = verbs.sweep(self)
        return answer, INTERRUPTED if interrupted else DONE


@dataclass(frozen=True, kw_only=True)
class Plot(Common):
    """Plot the learning curves of runs, by steps and by time, as PNG and CSV."""

    runs: Annotated[
        Positional[tuple[Path, ...]],
        arg(metavar="RUN …", help="run folders; one that holds seed-<n> runs is one curve, their mean"),
    ]
    out: Annotated[
        Path | None, arg(help="the picture; the table goes beside it [RUN.png]", metavar="FILE.png")
    ] = None
    metric: Annotated[
        str | None, arg(help="by its name in metrics.jsonl [return_mean, or the loss]", metavar="NAME")
    ] = None
    x: Annotated[Literal["both", "steps", "time"], arg(help="the panels")] = "both"
    overwrite: Annotated[bool, arg(help="replace --out where it exists")] = False

    def execute(self) -> tuple[dict[str, Any], int]:
        """Files, and a row a curve."""
        from scenes.cli import verbs

        if self.set:
            raise RequestError("--set changes a key of a scene, and plot has none")
        answer = verbs.plot(self.runs, out=self.out, metric=self.metric, x=self.x, overwrite=self.overwrite)
        verbs.show_curves(answer)
        return answer, DONE

"""Options of ``evaluate``, ``compare`` and ``bench``: scores, their differences, speed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, Suppress, UseAppendAction

from scenes.cli.options.common import Common, SceneName, arg
from scenes.cli.outcome import DONE, FAILED, INTERRUPTED
from sim.errors import RequestError


@dataclass(frozen=True, kw_only=True)
class Evaluate(Common):
    """Score the scene's agent, perception or samplers, beside a baseline."""

    scene: SceneName
    episodes: Annotated[int | None, arg(help="how many, from each seed [20]", metavar="N")] = None
    seeds: Annotated[int, arg(help="how many seeds, --seed the first; each is a stratum", metavar="N")] = 1
    checkpoint: Annotated[
        Path | None,
        arg(help="instead of the scene's own; of a run its newest one", metavar="DIR"),
    ] = None
    opponents: Annotated[
        UseAppendAction[tuple[str, ...]],
        arg(
            help="chess: matches of --episodes games, both colours of each opening, against random, greedy, "
            "perfect, stockfish, stockfish:SKILL, stockfish:elo=N, uci:COMMAND (these with @nodes=N or "
            "@movetime=MS), scene:NAME or a checkpoint's folder",
            metavar="NAME,…",
        ),
    ] = ()
    pgn: Annotated[Path | None, arg(help="write the games of --opponents", metavar="FILE")] = None
    perturb: Annotated[
        bool,
        arg(
            help="walkers: also under other masses, friction, weak or late motors, pushes and slopes, in turn"
        ),
    ] = False
    figure: Annotated[
        Path | None, arg(help="walkers: draw the foot contacts of an episode", metavar="FILE.png")
    ] = None
    overwrite: Annotated[bool, arg(help="replace --pgn or --figure where it exists")] = False

    def execute(self) -> tuple[dict[str, Any], int]:
        """Metrics, baseline and intervals."""
        from scenes.cli import verbs
        from scenes.schema import load_scene

        if self.opponents:
            return self._match()
        if self.pgn is not None:
            raise RequestError("--pgn is for the games of --opponents: name some")
        if self.overwrite and self.figure is None:
            raise RequestError("--overwrite replaces the file of --pgn or --figure: name one")
        answer = verbs.evaluate(
            load_scene(self.scene, self.set, self.seed),
            device=self.device,
            episodes=self.episodes,
            seeds=self.seeds,
            checkpoint=self.checkpoint,
            perturb=self.perturb,
            figure=self.figure,
            overwrite=self.overwrite,
        )
        return answer, DONE

    def _match(self) -> tuple[dict[str, Any], int]:
        """Metrics by opponent."""
        from scenes.cli import verbs
        from scenes.schema import load_scene

        if self.perturb or self.figure is not None:
            raise RequestError("--perturb and --figure are for walkers, --opponents for chess: give one")
        if self.seeds != 1:
            raise RequestError("--seeds is for whole episodes: games of --opponents differ by their opening")
        answer, interrupted = verbs.match(
            load_scene(self.scene, self.set, self.seed),
            self.opponents,
            device=self.device,
            episodes=self.episodes,
            checkpoint=self.checkpoint,
            pgn=self.pgn,
            overwrite=self.overwrite,
        )
        if interrupted:
            return answer, INTERRUPTED
        return answer, FAILED if "error" in answer else DONE


@dataclass(frozen=True, kw_only=True)
class Compare(Common):
    """Compare runs: probability of improvement and score differences, with intervals."""

    runs: Annotated[
        Positional[tuple[Path, ...]],
        arg(metavar="RUN RUN …", help="run folders, checkpoint folders, or scenes that ship trained"),
    ]
    seed: Annotated[int | None, arg(help="of worlds and sampling, for all [0]", metavar="N")] = None
    episodes: Annotated[int, arg(help="whole games of each", metavar="N")] = 20
    across_protocols: Annotated[bool, arg(help="runs by different rules, too")] = False
    figure: Annotated[Path | None, arg(help="draw the tables as a chart", metavar="FILE.png")] = None
    overwrite: Annotated[bool, arg(help="replace --figure where it exists")] = False

    def execute(self) -> tuple[dict[str, Any], int]:
        """A row for every pair."""
        from scenes.cli import verbs

        if self.overwrite and self.figure is None:
            raise RequestError("--overwrite replaces the file of --figure: name one")

        answer = verbs.compare(
            self.runs,
            self.set,
            self.seed,
            device=self.device,
            episodes=self.episodes,
            across_protocols=self.across_protocols,
            figure=self.figure,
            overwrite=self.overwrite,
        )
        return answer, DONE


@dataclass(frozen=True, kw_only=True)
class Bench(Common):
    """Measure speed on this machine, side by side with a named peer."""

    set: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="KEY.PATH=VALUE"), Suppress] = ()
    idle = ("set",)

    names: Annotated[
        Positional[tuple[str, ...]],
        arg(metavar="[NAME …]", help="rows or families, such as ppo or walker; none: all quick rows"),
    ] = ()
    rounds: Annotated[int, arg(help="how often both sides run in turn", metavar="N")] = 5
    seconds: Annotated[float | None, arg(help="of each side in each round [2; training 10]", metavar="S")] = (
        None
    )
    threads: Annotated[int | None, arg(help="for each side [all processors]", metavar="N")] = None
    history: Annotated[
        Path | None,
        arg(
            help="file that each row is appended to, with --json always [bench.jsonl in "
            "~/.local/state/playfield]",
            metavar="FILE",
        ),
    ] = None
    check: Annotated[
        tuple[str, ...] | None,
        arg(
            help="fail (1) where a ratio fell by more than 15 percent since COMMIT in the history "
            "[the newest other one]",
            metavar="[COMMIT]",
        ),
    ] = None

    def execute(self) -> tuple[dict[str, Any], int]:
        """Rows, the machine they were measured on, and the check against earlier ones."""
        from scenes.bench.command import Record, bench

        if self.check is not None and len(self.check) > 1:
            raise RequestError(
                f"--check takes one commit, not {' '.join(self.check)}: names of rows go before it"
            )
        check = None if self.check is None else "".join(self.check)
        answer, interrupted = bench(
            self.names,
            seed=self.seed or 0,
            device=self.device,
            rounds=self.rounds,
            seconds=self.seconds,
            threads=self.threads,
            record=Record(self.history, self.json, check),
        )
        if interrupted:
            return answer, INTERRUPTED
        return answer, FAILED if any(row["fell"] for row in answer.get("check", ())) else DONE

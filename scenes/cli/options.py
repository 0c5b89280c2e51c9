"""Options of each verb of the command line, as dataclasses that tyro parses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from tyro.conf import Positional, Suppress, UseAppendAction, subcommand

from scenes.cli.collect_options import Collect
from scenes.cli.common_options import Common, Overwrite, SceneName, WithoutScene, arg
from scenes.cli.outcome import DONE, FAILED, INTERRUPTED
from sim.errors import RequestError


@dataclass(frozen=True, kw_only=True)
class List(WithoutScene):
    """List worlds, agents, perceptions, samplers and scenes, and which scenes ship with weights."""

    what: Annotated[
        Positional[str | None],
        arg(metavar="[KIND]", help="worlds, agents, perceptions, samplers or scenes; none: all"),
    ] = None

    def execute(self) -> tuple[dict[str, Any], int]:
        """The names, by kind."""
        from scenes.cli import listing

        answer = listing.list_all(self.what)
        listing.show_list(answer)
        return answer, DONE


@dataclass(frozen=True, kw_only=True)
class Watch(Common):
    """Open the window and watch the scene's agent play."""

    scene: Annotated[
        Positional[str],
        arg(metavar="SCENE", help="a shipped scene, a scene file's path, or an action replay (.pfr)"),
    ]
    run: Annotated[Path | None, arg(help="follow a run's newest checkpoint as it lands", metavar="DIR")] = (
        None
    )
    checkpoint: Annotated[
        Path | None,
        arg(help="instead of the scene's own; of a run its newest one", metavar="DIR"),
    ] = None
    beside: Annotated[
        Path | None,
        arg(help="a second checkpoint, side by side with the first on the same seeds", metavar="DIR"),
    ] = None
    headless: Annotated[bool, arg(help="draw without a window, as fast as it goes")] = False
    frames: Annotated[int | None, arg(help="stop after so many pictures", metavar="N")] = None
    record: Annotated[
        Path | None, arg(help="write a video, .mp4 or .gif, or the actions, .pfr", metavar="FILE")
    ] = None
    overwrite: Overwrite = False
    pgn: Annotated[Path | None, arg(help="analyse a game of chess instead, move by move", metavar="FILE")] = (
        None
    )
    game: Annotated[int | None, arg(help="which one of the file, from 1 [1]", metavar="N")] = None

    person: ClassVar[bool] = False

    def execute(self) -> tuple[dict[str, Any], int]:
        """Frames, episodes and returns."""
        from scenes.cli import verbs
        from scenes.schema import load_scene

        if self.scene.lower().endswith(".pfr"):
            answer, interrupted = verbs.watch_replay(self)
            return answer, INTERRUPTED if interrupted else DONE
        if self.pgn is not None or self.game is not None:
            answer, interrupted = verbs.watch_game(
                load_scene(self.scene, self.set, self.seed),
                device=self.device,
                person=self.person,
                run=self.run,
                checkpoint=self.checkpoint,
                headless=self.headless,
                frames=self.frames,
                record=self.record,
                overwrite=self.overwrite,
                pgn=self.pgn,
                game=self.game,
            )
            return answer, INTERRUPTED if interrupted else DONE
        answer, interrupted = verbs.watch(
            load_scene(self.scene, self.set, self.seed),
            device=self.device,
            person=self.person,
            run=self.run,
            checkpoint=self.checkpoint,
            beside=self.beside,
            headless=self.headless,
            frames=self.frames,
            record=self.record,
            overwrite=self.overwrite,
        )
        return answer, INTERRUPTED if interrupted else DONE


@dataclass(frozen=True, kw_only=True)
class Play(Watch):
    """Open the window with yourself in control; M hands over to the agent."""

    person: ClassVar[bool] = True


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


@dataclass(frozen=True, kw_only=True)
class Perceive(Common):
    """Run the scene's perception on images, videos, text, sound, molecules, or frames of its world."""

    scene: SceneName
    input: Annotated[
        str | None,
        arg(
            help="a picture, a video or a folder of them; or a text, a table row, their file, - for stdin, "
            "a sound, a molecule, as the model reads [frames of the world, or test examples]",
            metavar="INPUT",
        ),
    ] = None
    out: Annotated[
        Path | None, arg(help="folder for images with their percepts [perceived]", metavar="DIR")
    ] = None
    checkpoint: Annotated[Path | None, arg(help="instead of the scene's own", metavar="DIR")] = None
    overwrite: Overwrite = False

    def execute(self) -> tuple[dict[str, Any], int]:
        """Percepts and files."""
        from scenes.cli import verbs
        from scenes.schema import load_scene

        scene = load_scene(self.scene, self.set, self.seed)
        answer, interrupted = verbs.perceive(
            scene,
            device=self.device,
            source=self.input,
            out=self.out,
            checkpoint=self.checkpoint,
            overwrite=self.overwrite,
        )
        if interrupted:
            return answer, INTERRUPTED
        return answer, FAILED if answer["failed"] else DONE


@dataclass(frozen=True, kw_only=True)
class Sample(Common):
    """Draw samples from the scene's sampler into a gallery: images, videos and an HTML page."""

    scene: SceneName
    n: Annotated[int, arg(help="how many", metavar="N")] = 64
    out: Annotated[Path | None, arg(help="the gallery's folder [gallery]", metavar="DIR")] = None
    condition: Annotated[
        UseAppendAction[tuple[str, ...]],
        arg(metavar="KEY=VALUE", help="label, text, board, frame or mask; repeatable"),
    ] = ()
    steps: Annotated[int | None, arg(help="of denoising [the sampler's]", metavar="N")] = None
    scheduler: Annotated[str | None, arg(help="by name [the sampler's]", metavar="NAME")] = None
    guidance: Annotated[float | None, arg(help="weight; 1: none [the sampler's]", metavar="W")] = None
    checkpoint: Annotated[Path | None, arg(help="instead of the scene's own", metavar="DIR")] = None
    overwrite: Overwrite = False
    no_neighbours: Annotated[
        bool, arg(help="search no nearest training examples, play no examples for them")
    ] = False

    def execute(self) -> tuple[dict[str, Any], int]:
        """Files and metrics."""
        from scenes.cli import verbs
        from scenes.schema import load_scene

        answer, interrupted = verbs.sample(
            load_scene(self.scene, self.set, self.seed),
            device=self.device,
            out=self.out,
            n=self.n,
            conditions=self.condition,
            steps=self.steps,
            scheduler=self.scheduler,
            guidance=self.guidance,
            checkpoint=self.checkpoint,
            overwrite=self.overwrite,
            neighbours=not self.no_neighbours,
        )
        return answer, INTERRUPTED if interrupted else DONE


@dataclass(frozen=True, kw_only=True)
class Uci(Common):
    """Serve the scene's chess agent as a UCI engine, on stdin and stdout."""

    quick = True  # stdout and stderr are the chess program's

    scene: SceneName
    checkpoint: Annotated[Path | None, arg(help="instead of the scene's own", metavar="DIR")] = None

    def execute(self) -> tuple[dict[str, Any], int]:
        """Nothing: all was said by the protocol."""
        from scenes.schema import load_scene
        from scenes.uci.command import serve  # not by `verbs`: a chess program waits for the first answer

        scene = load_scene(self.scene, self.set, self.seed)
        serve(scene, device=self.device, checkpoint=self.checkpoint, seed=self.seed)
        return {}, DONE


@dataclass(frozen=True, kw_only=True)
class Doctor(WithoutScene):
    """Check this installation: what is missing, and the command that installs it."""

    def execute(self) -> tuple[dict[str, Any], int]:
        """All checks."""
        from scenes.cli import listing

        answer = listing.doctor()
        listing.show_checks(answer)
        return answer, DONE


@dataclass(frozen=True, kw_only=True)
class Lecture(WithoutScene):
    """List the systems of an introductory lecture in its order, and walk through them in the window."""

    window: Annotated[
        bool, arg(help="open the walk in the window where there is a display, after the list")
    ] = True

    def execute(self) -> tuple[dict[str, Any], int]:
        """One row a system."""
        from scenes.cli import listing

        return listing.lecture(window=self.window and not self.json), DONE


Verb = (
    Annotated[List, subcommand("list")]
    | Annotated[Watch, subcommand("watch")]
    | Annotated[Play, subcommand("play")]
    | Annotated[Train, subcommand("train")]
    | Annotated[Sweep, subcommand("sweep")]
    | Annotated[Evaluate, subcommand("evaluate")]
    | Annotated[Compare, subcommand("compare")]
    | Annotated[Plot, subcommand("plot")]
    | Annotated[Perceive, subcommand("perceive")]
    | Annotated[Sample, subcommand("sample")]
    | Annotated[Collect, subcommand("collect")]
    | Annotated[Bench, subcommand("bench")]
    | Annotated[Uci, subcommand("uci")]
    | Annotated[Lecture, subcommand("lecture")]
    | Annotated[Doctor, subcommand("doctor")]
)

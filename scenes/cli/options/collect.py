"""Options of the verb ``collect``: recording episodes, and converting recorded chess games."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import UseAppendAction

from scenes.cli.options.common import Common, Overwrite, SceneName, arg
from scenes.cli.outcome import DONE, INTERRUPTED
from sim.errors import RequestError

#: Options of `Collect` that go with labels.
LABELLING = ("nodes", "multipv", "label_positions", "resume")


@dataclass(frozen=True, kw_only=True)
class Collect(Common):
    """Record whole episodes as a Minari data set, or convert recorded chess games into positions."""

    scene: SceneName
    out: Annotated[Path, arg(help="the data set's folder; a new one", metavar="DIR")]
    episodes: Annotated[int | None, arg(help="how many [20, or as many as --steps takes]", metavar="N")] = (
        None
    )
    steps: Annotated[int | None, arg(help="begin no other episode after so many", metavar="N")] = None
    checkpoint: Annotated[Path | None, arg(help="instead of the scene's own", metavar="DIR")] = None
    frames: Annotated[bool, arg(help="store the rendered picture, too")] = False
    play: Annotated[bool, arg(help="open the window and record what you play")] = False
    files: Annotated[
        UseAppendAction[tuple[tuple[Path, ...], ...]],
        arg(name="from", help="convert chess games: PGN or lines of SAN, also compressed", metavar="FILE …"),
    ] = ()
    label: Annotated[
        str | None,
        arg(help="add values and policies to positions: stockfish, if installed", metavar="ENGINE"),
    ] = None
    play_out: Annotated[
        bool, arg(help="play games that were resigned on to mate, by Stockfish, if installed")
    ] = False
    nodes: Annotated[
        int | None, arg(help="of each search that labels [200] or plays out [400]", metavar="N")
    ] = None
    multipv: Annotated[int | None, arg(help="moves that a label ranks [1, the best]", metavar="K")] = None
    label_positions: Annotated[int | None, arg(help="how many to label [all]", metavar="M")] = None
    resume: Annotated[bool, arg(help="go on labelling the folder")] = False
    overwrite: Overwrite = False

    def execute(self) -> tuple[dict[str, Any], int]:
        """Episodes, steps and path."""
        from scenes.cli import verbs
        from scenes.schema import load_scene

        scene = load_scene(self.scene, self.set, self.seed)
        files = tuple(file for group in self.files for file in group)
        if not all(self.files):
            raise RequestError("--from names no file: a PGN or lines of SAN are wanted")
        self._check_labels()
        if files or self.label:
            self._refuse_recording()
            answer, interrupted = verbs.collect_games(
                scene,
                files,
                out=self.out,
                overwrite=self.overwrite,
                resume=self.resume,
                labels=None
                if self.label is None
                else {"nodes": self.nodes, "multipv": self.multipv, "positions": self.label_positions},
                play_out=self.play_out,
                nodes=self.nodes,
            )
            return answer, INTERRUPTED if interrupted else DONE
        answer, interrupted = verbs.collect(
            scene,
            device=self.device,
            out=self.out,
            episodes=self.episodes,
            steps=self.steps,
            checkpoint=self.checkpoint,
            frames=self.frames,
            play=self.play,
            overwrite=self.overwrite,
        )
        return answer, INTERRUPTED if interrupted else DONE

    def _check_labels(self) -> None:
        """Refuse other engines than there are, and options of labels where none are asked for."""
        if self.label not in (None, "stockfish"):
            raise RequestError(f'--label knows no engine "{self.label}": take stockfish')
        if self.play_out and not self.files:
            raise RequestError("--play-out plays recorded games on: add --from FILE")
        if self.nodes is not None and self.nodes < 1:
            raise RequestError(f"--nodes must be at least 1, not {self.nodes}")
        names = ("multipv", "label_positions", "resume") if self.play_out else LABELLING
        for name in names:
            if self.label is None and getattr(self, name) not in (None, False):
                raise RequestError(f"--{name.replace('_', '-')} is for labels: add --label stockfish")

    def _refuse_recording(self) -> None:
        """Refuse options of recording, which say nothing about files of games."""
        for name in ("episodes", "steps", "checkpoint", "frames", "play"):
            if getattr(self, name) not in (None, False):
                raise RequestError(f"--{name} is for recording: it does not go with --from or --label")

"""Options of ``watch`` and ``play``: the window, a recording, a game or a replay to look at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from tyro.conf import Positional

from scenes.cli.options.common import Common, Overwrite, arg
from scenes.cli.outcome import DONE, INTERRUPTED


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
        from scenes.cli import watching
        from scenes.schema import load_scene

        if self.scene.lower().endswith(".pfr"):
            answer, interrupted = watching.watch_replay(self)
            return answer, INTERRUPTED if interrupted else DONE
        if self.pgn is not None or self.game is not None:
            answer, interrupted = watching.watch_game(
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
        answer, interrupted = watching.watch(
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

"""Options of ``perceive`` and ``sample``: percepts of inputs, galleries of samples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import UseAppendAction

from scenes.cli.options.common import Common, Overwrite, SceneName, arg
from scenes.cli.outcome import DONE, FAILED, INTERRUPTED


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

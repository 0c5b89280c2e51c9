"""Pair show: two checkpoints of a scene side by side, in lockstep, each episode of both from one seed.

Where one's episode ends first, its last picture stands with its return until the other's has ended too: then
both begin the next one, from the next seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from scenes.schema import Scene, SceneError
from scenes.watching.scene_show import SceneShow
from sim.records import Array, Decision
from sim.viewer.contract.gesture import Ability, Answer, Gesture
from sim.viewer.contract.moment import Moment

_KEPT = frozenset(
    {Ability.ORBIT, Ability.FOLLOW, Ability.SALIENCY, Ability.PERCEPTS, Ability.ORIGIN, Ability.FLIP}
)
_TAKEN = frozenset(
    {"resize", "tile", "grid", "orbit", "zoom", "follow", "camera", "coarse", "origin", "flip"}
)


class PairShow:
    """Show of two worlds with an agent each. Satisfies `sim.viewer.contract.show.Show` and `Interactive`.

    What the window tells of the first world is of the left one.
    """

    num_worlds = 2
    waits = False

    def __init__(
        self, scene: Scene, checkpoints: tuple[Path | None, Path], *, device: str, attended: bool = True
    ) -> None:
        """Build both.

        Args:
            scene: what is played.
            checkpoints: of the left agent, None for the scene's own, and of the right one.
            device: for the agents.
            attended: see `SceneShow`.

        Raises:
            SceneError, CheckpointError: if there is no agent, or a checkpoint does not fit.
        """
        if scene.agent is None:
            raise SceneError(f"{scene.name} has no agent: there are no checkpoints to put side by side")
        self._sides: list[SceneShow] = []
        try:
            for checkpoint in checkpoints:
                self._sides.append(
                    SceneShow(
                        scene,
                        device=device,
                        checkpoint=checkpoint,
                        most_worlds=1,
                        attended=attended,
                        every_frame=attended,
                    )
                )
        except BaseException:
            self.close()
            raise
        left, right = self._sides
        self.names = names_of(left.training, right.training, checkpoints)
        self.title, self.agent, self.protocol = scene.title, left.agent, left.protocol
        self.training = f"{self.names[0]} beside {self.names[1]}"
        self.action_names, self.action_labels = left.action_names, left.action_labels
        self.action_limit = left.action_limit
        self.steps_per_second, self.frames_per_step = left.steps_per_second, left.frames_per_step
        self.abilities = left.abilities & _KEPT | {Ability.PAIR}
        self._shown: list[Moment] = []  # of each side
        self._next: list[Moment | None] = [
            None,
            None,
        ]  # of a side whose episode is over: the next one's first

    def start(self, seed: int | None) -> Moment:
        """Begin anew, both from one seed."""
        self._next = [None, None]
        self._shown = [side.start(seed) for side in self._sides]
        return self._together(self._shown)

    def step(self, person: int | None, *, drawn: bool = True) -> Moment:
        """Step those that have not ended; where both have, begin their next episodes."""
        if all(begun is not None for begun in self._next):
            self._shown = [replace(begun, reward=np.zeros(1), episodes=()) for begun in self._next if begun]
            self._next = [None, None]
            return self._together(self._shown)
        moments = []
        for number, side in enumerate(self._sides):
            if self._next[number] is not None:
                self._shown[number] = replace(self._shown[number], reward=np.zeros(1), episodes=())
            else:
                self._shown[number] = self._stepped(number, side.step(None, drawn=drawn))
            moments.append(self._shown[number])
        return self._together(moments)

    def _stepped(self, number: int, moment: Moment) -> Moment:
        """A side's moment; at the end of its episode, the one before with the return."""
        if not moment.episodes:
            return moment
        self._next[number] = moment
        (episode,) = moment.episodes
        score, length = np.array([episode.score]), np.array([episode.length])
        last = replace(self._shown[number], score=score, length=length)
        return replace(last, reward=moment.reward, actions=moment.actions, episodes=moment.episodes)

    def touch(self, gesture: Gesture) -> Answer:
        """Take what only changes how they look, on both sides."""
        if gesture.kind not in _TAKEN:
            return Answer()
        return Answer(redraw=any([side.touch(gesture).redraw for side in self._sides]))

    def look(self) -> Moment:
        """The newest moment, drawn again; the end of an episode stays as it is."""
        for number, side in enumerate(self._sides):
            if self._next[number] is None:
                self._shown[number] = side.look()
        return self._together(self._shown)

    def close(self) -> None:
        """Close both."""
        for side in self._sides:
            side.close()

    def _together(self, moments: list[Moment]) -> Moment:
        left, right = moments

        def both(part: Callable[[Moment], Array]) -> Array:
            return np.concatenate([part(left), part(right)])

        return replace(
            left,
            pictures=(left.pictures[0], right.pictures[0]),
            reward=both(lambda moment: moment.reward),
            score=both(lambda moment: moment.score),
            length=both(lambda moment: moment.length),
            actions=joined_actions(left, right),
            decision=joined(left.decision, right.decision),
            episodes=left.episodes + right.episodes,
            names=self.names,
        )


def names_of(left: str, right: str, checkpoints: tuple[Path | None, Path]) -> tuple[str, str]:
    """What tells two agents apart: their training, or where that is the same their folders.

    >>> names_of("0.5 M steps", "4.0 M steps", (None, Path("b")))
    ('0.5 M steps', '4.0 M steps')
    >>> names_of("4.0 M steps", "4.0 M steps", (None, Path("runs/b/checkpoints/40")))
    ("the scene's own", 'b · 40')
    """
    if left != right:
        return left, right

    def folder(path: Path | None) -> str:
        if path is None:
            return "the scene's own"
        of_run = path.parent.name == "checkpoints" and path.name.isdigit()
        return f"{path.parent.parent.name} · {path.name}" if of_run else path.name

    return folder(checkpoints[0]), folder(checkpoints[1])


def joined_actions(left: Moment, right: Moment) -> Array | None:
    """The actions that led to both; None after a start."""
    if left.actions is None or right.actions is None:
        return None
    return np.concatenate([left.actions, right.actions])


def joined(left: Decision | None, right: Decision | None) -> Decision | None:
    """The decisions of two batches as that of one; what only one has is left out, and None without both."""
    if left is None or right is None:
        return None

    def both(name: str) -> Any:
        pair = getattr(left, name), getattr(right, name)
        if any(one is None for one in pair):
            return None
        return (*pair[0], *pair[1]) if name == "lines" else np.concatenate(pair)

    return Decision(**{field.name: both(field.name) for field in fields(Decision)})

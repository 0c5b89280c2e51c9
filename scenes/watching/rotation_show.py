"""Rotation show: a perception of several worlds looks at one after another, for a few seconds each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from scenes.build.perceptions import perception_config, scene_worlds, trains_perception
from scenes.schema import Agent, Scene
from scenes.watching.labels import RANDOM
from scenes.watching.scene_show import SceneShow
from sim.viewer.contract.gesture import Ability, Answer, Gesture
from sim.viewer.contract.moment import Moment

SECONDS = 4.0  # of each world in turn


def rotated_worlds(scene: Scene) -> tuple[str, ...]:
    """Names of the worlds that the scene's perception learned from, its own first; none if there is but one.

    >>> from scenes.schema import load_scene
    >>> rotated_worlds(load_scene("game-classifier"))[:2], rotated_worlds(load_scene("pong-detector"))
    (('atari/pong', 'atari/asterix'), ())
    """
    if scene.world is None or not trains_perception(scene):
        return ()
    names = dict.fromkeys(world.name for world in scene_worlds(scene, perception_config(scene, 0)))
    own = scene.world.use
    return (own, *(name for name in names if name != own)) if len(names) > 1 else ()


class RotationShow:
    """Show of one perception on several worlds in turn. Satisfies `contract.show.Show` and `Interactive`.

    They are examples, played at random: an agent of one world has no policy for the others, and their
    actions differ. Worlds are built when their turn first comes.
    """

    def __init__(
        self,
        scene: Scene,
        names: tuple[str, ...],
        *,
        device: str,
        checkpoint: Path | None = None,
        run: Path | None = None,
        attended: bool = True,
    ) -> None:
        """Build the first world.

        Args:
            scene: with a perception of several worlds.
            names: of the worlds, see `rotated_worlds`.
            device: for the models.
            checkpoint: of the perception, instead of the scene's own.
            run: a training run whose newest checkpoint looks.
            attended: whether a person watches, whom a model must not keep waiting.
        """
        self._scene, self._names = scene, names
        self._built = {"device": device, "checkpoint": checkpoint, "run": run, "attended": attended}
        self._shows: dict[str, SceneShow] = {}
        self._origins: dict[str, int] = {}  # how often each show has gone on to the next origin
        self._asked = 0  # how often it was asked for
        self._turn = self._steps = 0
        self._seed: int | None = None
        self._show = self._of_turn()
        first = self._show
        self.title, self.agent, self.training = scene.title, RANDOM, ""
        self.protocol, self.num_worlds = first.protocol, 1
        self.action_names: tuple[str, ...] = ()
        self.action_labels: tuple[str, ...] = ()
        self.action_limit, self.steps_per_second = first.action_limit, first.steps_per_second
        self.abilities = first.abilities | {Ability.EXAMPLES}

    @property
    def world(self) -> str:
        """Name of the world whose turn it is."""
        return self._names[self._turn]

    @property
    def waits(self) -> bool:
        """Whether a person is to move."""
        return self._show.waits

    def start(self, seed: int | None) -> Moment:
        """Begin anew with the first world; see `sim.viewer.contract.show.Show`."""
        self._turn, self._seed = 0, seed
        return self._begin()

    def step(self, person: int | None, *, drawn: bool = True) -> Moment:
        """Step the world whose turn it is, or begin the next one's; see `sim.viewer.contract.show.Show`."""
        self._steps += 1
        if self._steps > SECONDS * self.steps_per_second:
            self._turn = (self._turn + 1) % len(self._names)
            return self._begin()
        return self._show.step(person, drawn=drawn)

    def touch(self, gesture: Gesture) -> Answer:
        """Give a gesture to the world whose turn it is; the others follow when theirs comes."""
        if gesture.kind == "origin":
            self._asked += 1
            self._origins[self.world] = self._asked
        return self._show.touch(gesture)

    def look(self) -> Moment:
        """The newest moment, drawn again."""
        return self._show.look()

    def close(self) -> None:
        """Close all worlds."""
        for show in self._shows.values():
            show.close()

    def _begin(self) -> Moment:
        self._steps = 0
        self._show = self._of_turn()
        for _ in range(self._asked - self._origins.get(self.world, 0)):
            self._show.touch(Gesture("origin"))
        self._origins[self.world] = self._asked
        return self._show.start(self._seed)

    def _of_turn(self) -> SceneShow:
        """The show of the world whose turn it is."""
        if self.world not in self._shows:
            assert self._scene.world is not None
            own = self.world == self._scene.world.use
            fields = self._scene.world.fields if own else {}
            world = replace(self._scene.world, use=self.world, num_envs=1, fields=fields)
            scene = replace(self._scene, world=world, agent=Agent(RANDOM))
            self._shows[self.world] = SceneShow(scene, most_worlds=1, **self._built)  # type: ignore[arg-type]
        return self._shows[self.world]

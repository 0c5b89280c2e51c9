"""Scene show: a scene's worlds, agent, perceptions and samples as a `Show` that the window steps.

The agent sees what it was trained on; the audience sees the world's own picture. Both come from
the same world, so nothing is replayed or guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scenes.build.devices import chosen_device
from scenes.build.perceptions import trains_perception
from scenes.data.agent_env import agent_env
from scenes.schema import Scene
from scenes.watching.action_log import ActionLog, LoggedEpisode
from scenes.watching.action_options import action_options
from scenes.watching.labels import RANDOM, action_names, chip, player_name
from scenes.watching.live_agent import LiveAgent
from scenes.watching.perception_overlay import LivePerceptions
from scenes.watching.replay_scene import replay_scene
from scenes.watching.staged_worlds import StagedWorlds
from sim.errors import RequestError
from sim.plurals import number_of
from sim.progress import waiting
from sim.protocols import WorldConfig
from sim.records import Array, Episode
from sim.starts import Starts
from sim.storage.replays import SUFFIX, ActionReplay, replay_text, stepping_versions
from sim.storage.runs import step_folders
from sim.vector import Info, finished
from sim.viewer.contract.board import BoardState
from sim.viewer.contract.gesture import (
    Ability,
    Answer,
    DrawsBoardGame,
    DrawsRobot,
    Gesture,
    HasTargets,
    LabelsPicture,
)
from sim.viewer.contract.moment import Attribution, Moment, Options, Readout, Role
from sim.viewer.contract.robot import RobotState

if TYPE_CHECKING:
    from scenes.watching.sample_panel import SamplePanel

MOST_WORLDS = 9  # in the grid; more would be too small to follow
INTRODUCED_SECONDS = 3.0  # that it is told who is who, after a hand-over
MOST_ROBOTS = 16  # likewise, where a world is a robot in an empty place
STACKED = 8  # frames of an observation at most, (frames, H, W); what has more first is a picture's height
PLAIN_RATE = 30.0  # steps/s of a world that does not say its own
#: Gestures that change the first world and are no actions, and why there is then no replay.
UNTOLD: dict[str, str] = {
    "push": "a push is no action",
    "shove": "a push is no action",
    "nudge": "its target was moved by hand",
    "slide": "its target was moved by hand",
}
WAITING = "waiting for the run's first checkpoint"


class SceneShow:
    """Show of a scene: steps worlds and agent. Satisfies `sim.viewer.contract.show.Show`, `Interactive`."""

    def __init__(
        self,
        scene: Scene,
        *,
        device: str,
        checkpoint: Path | None = None,
        run: Path | None = None,
        most_worlds: int | None = None,
        attended: bool = True,
        every_frame: bool = False,
    ) -> None:
        """Build worlds and agent.

        Args:
            scene: what is played.
            device: for the agent, see `chosen_device`.
            checkpoint: instead of the scene's own.
            run: a training run that is followed, see `LiveAgent`.
            most_worlds: side by side; None: as many as one can follow.
            attended: whether a person watches, whom models that look or draw must not keep waiting.
            every_frame: make a moment of each emulator frame, in which a person's action acts at once; the
                agent still decides once a step. Otherwise of each step.
        """
        config = agent_env(scene, device)
        assert scene.world is not None
        if most_worlds is None:
            most_worlds = MOST_ROBOTS if scene.world.use.startswith("walker/") else MOST_WORLDS
        count = min(scene.world.num_envs, most_worlds)
        with waiting(f"opening {number_of(count, 'world')} of {scene.world.use}"):
            self.worlds = StagedWorlds.open(config, count, scene.seed, every_frame=every_frame)
        self._renderer = self.worlds.renderers[0]
        self._scene, self.log = scene, ActionLog()
        self._robot = self._renderer if isinstance(self._renderer, DrawsRobot) else None
        self._starts: Starts[Any] | None = getattr(config, "starts", None)
        self._describe(scene, config)
        mine = None
        if trains_perception(scene):  # then run and checkpoint are the perception's, and the agent its own
            saved = step_folders(run / "checkpoints") if run is not None else []
            mine, run, checkpoint = checkpoint or (saved[-1] if saved else None), None, None
        self._shown = checkpoint, mine
        with waiting("loading perceptions and samplers"):
            self._perceptions = LivePerceptions(
                scene, self.worlds.envs[0], chosen_device(device), mine, self._renderer, attended=attended
            )
            self._samples = _sample_panel(scene, device=device, attended=attended)
        with waiting("loading the agent"):
            self.live_agent = LiveAgent(
                scene, self.worlds, config, device=device, checkpoint=checkpoint, run=run
            )
        self.agent, self.training = player_name(self.live_agent.name), self.live_agent.training
        self.abilities = self._renderer.abilities | self._perceptions.abilities | self.live_agent.abilities
        if not self._renderer.turns:
            self.abilities |= {Ability.EPISODE}
        self._moment: Moment | None = None
        self._obs: Array = np.zeros(0)
        self._input: Array = np.zeros(0)  # the first world's observation
        self._attribution: Attribution | None = None
        self._info: Info = {}
        self._person = self._grid = False
        self._count = 0  # of moments
        self._introduced = 0  # the moment until which it is told who is who
        self._outcome_values = getattr(config, "reward", "") == "outcome"
        self._ended = False  # the end of a game is on show, and the next one has begun behind it

    def _describe(self, scene: Scene, config: WorldConfig) -> None:
        """Set what the window's heading and charts say of the worlds."""
        first = self.worlds.envs[0]
        self.title = scene.title
        self.num_worlds = self.worlds.num_envs
        self.action_names = () if Ability.POINT in self._renderer.abilities else action_names(first)
        labels = first.get_wrapper_attr("action_labels") if first.has_wrapper_attr("action_labels") else ()
        self.action_labels: tuple[str, ...] = tuple(labels)
        self.action_limit = float(np.max(getattr(first.action_space, "high", 1.0)))
        self.protocol = chip(config.protocol())
        space = self.worlds.single_observation_space
        shape = space.shape or ()
        self._stacks = space.dtype == np.uint8 and len(shape) == 3 and shape[0] <= STACKED
        self.frames_per_step = self.worlds.frames_per_step
        self.steps_per_second = float(first.metadata.get("render_fps") or PLAIN_RATE) * self.frames_per_step

    # Show

    def start(self, seed: int | None) -> Moment:
        """Begin anew; see `sim.viewer.contract.show.Show`."""
        newest = self._obs[0] if self._obs.size else None
        self._obs, self._info = self.worlds.reset(seed=seed)
        self.log.begin(int(self.worlds.episode_seed[0]), self._count, newest)
        self.live_agent.start(seed)
        self._decide()
        return self._begin()

    def step(self, person: int | None, *, drawn: bool = True) -> Moment:
        """Step all worlds once, or by one frame; see `sim.viewer.contract.show.Show`.

        Where worlds take turns, the end of a game stays for a step of its own.
        """
        if self._ended:
            return self._begin()
        actions = self.live_agent.actions(self._info)
        if person is not None:
            actions[0] = person
        return self._advance(actions, person is not None, drawn)

    def _advance(self, actions: Array, person: bool, drawn: bool) -> Moment:
        """Play actions (N, …) for a step, or for a frame of it; `person`: the first one is a person's."""
        if (earned := self.worlds.play_frame(actions)) is not None:
            self.log.note(actions[0], earned[0], person=self._person)
            self._moment = self._seen(earned, actions, person, [], drawn)
            return self._moment
        before = self.worlds.earned
        self._obs, reward, terminated, truncated, self._info = self.worlds.step(actions)
        self.log.note(actions[0], float(reward[0] - before[0]), person=self._person)
        if (terminated | truncated)[0]:
            self.log.end(float(self._info["episode"]["r"][0]), self._info["final_obs"][0])
            self.log.begin(int(self.worlds.episode_seed[0]), self._count)
        self.live_agent.forget(terminated | truncated)
        self.live_agent.take_over()
        self._decide()
        ended = [replace(e, length=e.length * self.frames_per_step) for e in finished(self._info)]
        moment = self._seen(reward - before, actions, person, ended, drawn)
        if self._renderer.turns and "_episode" in self._info and self._info["_episode"][0]:
            moment = self._with_ending(moment)
            self._ended = True
        self._moment = moment
        return moment

    def close(self) -> None:
        """Close the worlds, and only them; follow no longer."""
        self.live_agent.close()
        if self._samples is not None:
            self._samples.close()
        self.worlds.close()

    # Interactive

    @property
    def waits(self) -> bool:
        """Whether a person is to move; see `sim.viewer.contract.gesture.Interactive`."""
        return self._person and self._renderer.turns

    def touch(self, gesture: Gesture) -> Answer:
        """Take a gesture; see `sim.viewer.contract.gesture.Interactive`."""
        if gesture.kind == "person":
            self._person = gesture.on
            self._play_fair()
            self._introduced = self._count + round(INTRODUCED_SECONDS * self.steps_per_second)
        if gesture.kind == "grid":
            self._grid = gesture.on
        if gesture.kind == "origin":
            self._perceptions.next_origin()
            return Answer(redraw=True)
        if gesture.kind == "save" and Ability.EPISODE in self.abilities:
            return self._save(int(gesture.x))
        if gesture.kind in UNTOLD and not self._renderer.turns:
            self.log.spoil(UNTOLD[gesture.kind])
        return self.worlds.touch(gesture)

    def _save(self, number: int) -> Answer:
        """The episode of moment `number` as an action replay."""
        episode = self.log.at(number)
        try:
            text = replay_text(self.replay([] if episode is None else [episode]))
        except RequestError as error:
            return Answer(message=str(error))
        return Answer(document=(SUFFIX, text))

    def replay(self, episodes: Sequence[LoggedEpisode]) -> ActionReplay:
        """Some of the logged episodes as an action replay.

        Raises:
            RequestError: where their seeds and actions do not tell all.
        """
        if self._starts is not None:
            raise RequestError("no replay: these episodes begin from generated states, not from seeds")
        if spoiled := next((e.spoiled for e in episodes if e.spoiled), ""):
            raise RequestError(f"no replay of this episode: {spoiled}")
        if not episodes:
            raise RequestError("no replay: nothing has been played yet")
        scene = replay_scene(self._scene, self._shown, followed=self.live_agent.follower is not None)
        made = tuple(episode.replay(self._obs[0]) for episode in episodes)
        return ActionReplay(scene, self.frames_per_step, made, stepping_versions())

    def _play_fair(self) -> None:
        """Take sticky actions away while a person plays the first world; the agent has them again."""
        first = self.worlds.envs[0]
        if first.has_wrapper_attr("set_sticky_actions"):
            first.get_wrapper_attr("set_sticky_actions")(not self._person)

    def look(self) -> Moment:
        """The newest moment, drawn again."""
        assert self._moment is not None
        pictures = self.worlds.pictures(grid=self._grid)
        seen = self._perceptions.look(pictures[0])
        perceive = self._perceptions.completion(seen)
        self._moment = replace(self._moment, pictures=pictures, seen=seen, perceive=perceive, **self._said())
        return self._moment

    # Moments

    def _decide(self) -> None:
        """Let the agent decide on the newest observations."""
        self.live_agent.decide(self._obs, self._info)
        self._input = np.array(self._obs[0])  # a copy: memory must not hold on to those of all worlds
        self._attribution = self.live_agent.attribution(self._input, self._info)

    def _begin(self) -> Moment:
        self._ended = False
        self.worlds.note()
        self._moment = self._seen(np.zeros(self.num_worlds), None, False, [], True)
        return self._moment

    def _seen(
        self, reward: Array, actions: Array | None, person: bool, episodes: list[Episode], drawn: bool
    ) -> Moment:
        if not self._renderer.turns:
            self.worlds.note()
        fresh = drawn or self._moment is None or self.worlds.cheap
        if fresh or self._moment is None:
            pictures = self.worlds.pictures(grid=self._grid)
            if self._moment is not None and self.worlds.frames_played and self._perceptions.feeds:
                seen = self._moment.seen  # what the agent goes by until it decides again
            else:
                seen = self._perceptions.look(pictures[0])
        else:
            pictures, seen = self._moment.pictures, self._moment.seen
        agent = self.live_agent
        self._count += 1
        return Moment(
            pictures=pictures,
            seen=seen,
            perceive=self._perceptions.completion(seen),
            reward=reward,
            score=self.worlds.score,
            length=self.worlds.frames,
            decision=agent.decision,
            actions=actions,
            person=person,
            episodes=tuple(episodes),
            options=self._options(),
            exploration=agent.exploration(self._info),
            selection=agent.selection,
            roles=self._roles() if self._count <= self._introduced else (),
            learning=agent.learning,
            attribution=self._attribution,
            observation=self._input if self._stacks else None,
            samples=None if self._samples is None else self._samples.step(),
            **self._said(drawn=fresh),
        )

    def _with_ending(self, moment: Moment) -> Moment:
        """The moment as it was when the first world's game ended, before the next one began."""
        score, length = moment.score.copy(), moment.length.copy()
        score[0] = self._info["episode"]["r"][0]
        length[0] = self._info["episode"]["l"][0] * self.frames_per_step
        return replace(
            moment, score=score, length=length, options=Options("", (), 0), exploration=None, selection=""
        )

    def _roles(self) -> tuple[Role, ...]:
        """Who moves what in the first picture: the player, and in a game for two its opponent."""
        world: Any = self.worlds.envs[0].unwrapped
        if not hasattr(world, "ram"):  # of a robot or a board it is plain
            return ()
        from sim.atari.truth import NoTruthError

        try:
            truth = world.truth()
        except NoTruthError:
            return ()
        own = "YOU" if self._person else "AGENT"
        names = {"player": own, "paddle": own, "enemy": "OPPONENT"}
        boxes = zip(truth.labels, truth.boxes.tolist(), strict=True)
        return tuple(Role(names[label], tuple(box)) for label, box in boxes if label in names)

    def _options(self) -> Options | None:
        """The first world's legal actions; None where all are always legal."""
        if "action_mask" not in self._info:
            return None
        mask, decision = self._info["action_mask"][0], self.live_agent.decision
        return action_options(self.worlds.envs[0], self.action_names, mask, decision)

    def _said(self, *, drawn: bool = True) -> dict[str, Any]:
        """What the first world's renderer says and asks for; `drawn`: with its picture."""
        learning = self.live_agent.learning
        waiting = "" if learning is None or learning.checkpoint else WAITING
        readouts = (*self._read_starts(), *self._read_fairness(), *self._renderer.readouts)
        return {
            "asks": self._renderer.asks,
            "caption": self._renderer.caption or waiting,
            "readouts": readouts,
            "board": self._board_state(),
            "robot": self._robot_state(drawn),
            "targets": self._renderer.targets if isinstance(self._renderer, HasTargets) else (),
            "labels": self._renderer.labels if isinstance(self._renderer, LabelsPicture) else (),
        }

    def _robot_state(self, drawn: bool) -> RobotState | None:
        """The first world's robot; None if it is none."""
        if self._robot is None:
            return None
        return self._robot.robot(None if drawn or self._moment is None else self._moment.robot)

    def _board_state(self) -> BoardState | None:
        """The first world's board game; None if it is none."""
        if not isinstance(self._renderer, DrawsBoardGame):
            return None
        agent = self.live_agent
        name = player_name(agent.name) or RANDOM
        decision = None if self._info.get("_episode", [False])[0] else agent.decision
        return self._renderer.state(
            decision, self._count - 1, agent=name, outcome_values=self._outcome_values
        )

    def _read_fairness(self) -> tuple[Readout, ...]:
        """That a person plays by other rules than the agent, where that is so."""
        if not self._person or "sticky" not in self.protocol:
            return ()
        off = Readout("sticky actions", "off while you play")
        return (off, Readout("your keys", "act at the next frame")) if self.frames_per_step > 1 else (off,)

    def _read_starts(self) -> tuple[Readout, ...]:
        """How many of the states that episodes might have begun from were legal, and why others were not."""
        if self._starts is None:
            return ()
        legal, refused = self._starts.ledger.in_words()
        return (Readout("starts", legal), *((Readout("refused", refused),) if refused else ()))


def _sample_panel(scene: Scene, *, device: str, attended: bool) -> SamplePanel | None:
    """What hangs beside the world; nothing of `generative` is imported where nothing does."""
    if all(table.feed != "gallery" for table in scene.sampler):
        return None
    from scenes.watching.sample_panel import sample_panel

    return sample_panel(scene, device=device, attended=attended)

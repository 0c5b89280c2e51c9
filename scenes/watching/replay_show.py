"""Replay show: plays an action replay (.pfr) exactly, with what the agent thought of it.

The world does what it did: it is reset from the episode's seed and takes its actions under the rules under
which they were played. The end of each episode is compared with what was recorded.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete

from scenes.schema import Scene, SceneError
from scenes.watching.scene_show import SceneShow
from sim.records import Array
from sim.storage.replays import ActionReplay, EpisodeReplay, fingerprint, stepping_versions
from sim.viewer.contract.gesture import Ability, Answer, Gesture
from sim.viewer.contract.moment import Moment
from sim.viewer.output.play_recorder import ReplayError

OVER = "end of the replay · R plays it again"
_TAKEN = frozenset(
    {"resize", "tile", "grid", "orbit", "zoom", "follow", "camera", "coarse", "origin", "news"}
)


class ReplayShow(SceneShow):
    """Show of an action replay: one world, whose actions are the recorded ones."""

    def __init__(
        self,
        replay: ActionReplay,
        scene: Scene,
        *,
        device: str,
        attended: bool = True,
        every_frame: bool = True,
    ) -> None:
        """Build the world, and the agent that decides beside it.

        Args:
            replay: what is played.
            scene: of the replay; see `scenes.watching.replay_scene`.
            device: for the agent.
            attended: see `SceneShow`.
            every_frame: make a moment of each emulator frame, also where an action lasted for a whole step.

        Raises:
            SceneError: if an action is not one of the world's.
        """
        frames = replay.frames_per_step
        super().__init__(
            scene, device=device, most_worlds=1, attended=attended, every_frame=every_frame or frames > 1
        )
        self._name = scene.name
        if frames not in (1, self.frames_per_step):
            self.close()
            raise SceneError(
                f"{scene.name} is damaged: its world has {self.frames_per_step} frames a step, not {frames}"
            )
        self._each = self.frames_per_step // frames  # moments that one of its actions lasts
        self._replay = replay
        self._check_actions()
        self.abilities = self.abilities - {Ability.EPISODE, Ability.ROBOT, Ability.TARGETS} | {Ability.REPLAY}
        self._episode = self._at = 0
        self._over = False

    def _check_actions(self) -> None:
        space = self.worlds.single_action_space
        for number, episode in enumerate(self._replay.episodes, 1):
            kinds = "f" if isinstance(space, Box) else "iu"
            fits = episode.actions.shape[1:] == space.shape and episode.actions.dtype.kind in kinds
            if fits and isinstance(space, Discrete):
                numbers = episode.actions.astype(np.int64) - space.start
                fits = bool((numbers >= 0).all() and (numbers < space.n).all())
            if not fits:
                self.close()
                raise SceneError(
                    f"{self._name} is damaged: episode {number} has actions that its world has not"
                )

    @property
    def moments(self) -> int:
        """How many moments the whole replay has."""
        return self._replay.steps * self._each + len(self._replay.episodes)

    # Show

    def start(self, seed: int | None) -> Moment:
        """Begin with the first episode; a replay has its own seeds."""
        self._episode, self._over = 0, False
        return self._begin_episode()

    def step(self, person: int | None, *, drawn: bool = True) -> Moment:
        """Play the next recorded action, or begin the next episode."""
        if self._over:
            return self.look()
        if self._at == self._each * len(self._now.actions):
            self._episode += 1
            return self._begin_episode()
        index = self._at // self._each
        self._rule(bool(self._now.person[index]))
        action = self._now.actions[index]
        actions = np.array([action], self.worlds.single_action_space.dtype)
        moment = self._advance(actions, self._person, drawn)
        self._at += 1
        whole = self._at == self._each * len(self._now.actions)
        self._check(moment, whole=whole)
        self._over = whole and self._episode + 1 == len(self._replay.episodes)
        return self._shown_as_recorded(moment)

    @property
    def waits(self) -> bool:
        """Whether it is over: until it is started again no step makes sense."""
        return self._over

    def touch(self, gesture: Gesture) -> Answer:
        """Take what only changes how it looks."""
        return super().touch(gesture) if gesture.kind in _TAKEN else Answer()

    def look(self) -> Moment:
        """The newest moment, drawn again."""
        return self._shown_as_recorded(super().look())

    @property
    def _now(self) -> EpisodeReplay:
        return self._replay.episodes[self._episode]

    def _begin_episode(self) -> Moment:
        self._at = 0
        self._rule(bool(self._now.person[0]))
        self._obs, self._info = self.worlds.reset(seed=np.array([self._now.seed]))
        self.log.begin(self._now.seed, self._count)
        self.live_agent.start(self._scene.seed if self._episode == 0 else None)
        self._decide()
        return self._shown_as_recorded(self._begin())

    def _rule(self, person: bool) -> None:
        """Play on by a person's rules, or by the agent's."""
        if person != self._person:
            self._person = person
            self._play_fair()

    def _check(self, moment: Moment, *, whole: bool) -> None:
        """Compare with what was recorded.

        Raises:
            ReplayError: if the episode is over too early or too late, or its end is another one.
        """
        episode = self.log.episodes[-1] if whole else None
        ended = bool(moment.episodes)
        if ended != (whole and self._now.ended):
            raise self._differs(
                f"it is {'over' if ended else 'not over'} after {self._at // self._each} actions"
            )
        if episode is None:
            return
        if not np.isclose(episode.score, self._now.score, rtol=0, atol=1e-9):
            raise self._differs(f"its return is {episode.score:g} instead of {self._now.score:g}")
        seen = episode.observation or fingerprint(self._obs[0])
        if self._now.observation not in ("", seen) and not self._perceptions.feeds:
            raise self._differs("its last observation is another one")

    def _differs(self, how: str) -> ReplayError:
        made, here = self._replay.made_with, stepping_versions()
        others = [f"{name} {made[name]}" for name in made if made[name] != here.get(name)]
        why = f"; it was made with {', '.join(others)}" if others else ""
        return ReplayError(
            f"episode {self._episode + 1} of {self._name} is not what was recorded: {how}{why}"
        )

    def _shown_as_recorded(self, moment: Moment) -> Moment:
        """The moment with the recorded action as the one that is chosen next."""
        index = self._at // self._each
        changed: dict[str, Any] = {"person": self._person}
        if moment.decision is not None and index < len(self._now.actions):
            chosen: Array = np.array([self._now.actions[index]], self.worlds.single_action_space.dtype)
            changed["decision"] = replace(moment.decision, actions=chosen)
        if self._over:
            changed["caption"] = OVER
        return replace(moment, **changed)

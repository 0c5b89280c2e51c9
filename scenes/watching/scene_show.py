"""The stage: a scene's world and agent as a `Show` that the window can step.

The agent sees what it was trained on; the audience sees the world's own picture. Both come from
the same world, so nothing is replayed or guessed.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from agents.saliency import Explainer, is_picture
from scenes.build.agents import build_policy, check_agent, scene_agent
from scenes.build.devices import chosen_device
from scenes.build.perceptions import trains_perception
from scenes.data.agent_env import agent_env
from scenes.schema import Scene, SceneError
from scenes.watching.labels import action_names, chip, exploration, in_words
from scenes.watching.perception_overlay import LivePerceptions
from scenes.watching.run_follower import Follower
from scenes.watching.sample_panel import sample_panel
from sim.protocols import AgentConfig, Learner, LearnerConfig, Policy, WorldConfig
from sim.records import Array, Decision, Episode
from sim.starts import Starts
from sim.storage.checkpoints import Checkpoint, CheckpointError
from sim.storage.runs import numbered
from sim.vector import EnvWorlds, Info, finished, reset_memory
from sim.viewer.contract.gesture import Answer, Gesture, InteractiveRenderer, Offer
from sim.viewer.contract.moment import Attribution, Choice, Moment, Options, Readout, measured

MOST_WORLDS = 9  # in the grid; more would be too small to follow
MOST_OPTIONS = 18  # named in a moment
PLAIN_WORDS = ("random", "greedy")  # agents whose names are not acronyms
PLAIN_RATE = 30.0  # steps/s of a world that does not say its own
#: Where gymnasium's own worlds keep what they draw on; closing one that has it ends all of pygame, and with
#: it the window that another scene is shown in by then.
OWN_SURFACES = {"screen", "window", "window_surface"}
WAITING = "waiting for the run's first checkpoint"
CHEAP = 0.002  # s; pictures that take less are drawn although nobody looks, to be scrubbed through


class PlainRenderer:
    """Draws a world that brings no easel of its own, and takes nothing."""

    offers: frozenset[Offer] = frozenset()
    turns = False
    asks: tuple[str, ...] = ()
    caption = ""
    readouts: tuple[Readout, ...] = ()

    def __init__(self, world: gymnasium.Env[Any, Any]) -> None:
        self._world = world

    def note(self) -> None:
        """Nothing to remember."""

    def draw(self) -> Array:
        """The world's own picture."""
        return np.asarray(self._world.render())

    def touch(self, gesture: Gesture) -> Answer:
        """Take nothing."""
        return Answer()


class StagedWorlds(EnvWorlds):
    """Worlds whose easels note how an episode ended, before the next one begins."""

    easels: tuple[InteractiveRenderer, ...] = ()

    def _step_rows(self, actions: Array) -> tuple[Array, Array, Array, Array, Info]:
        result = super()._step_rows(actions)
        for easel in self.easels:
            easel.note()
        return result

    def open_easels(self) -> None:
        """Give every world its easel."""
        self.easels = tuple(
            world.get_wrapper_attr("easel")() if world.has_wrapper_attr("easel") else PlainRenderer(world)
            for world in self.envs
        )


class SceneShow:
    """Plays a scene step by step. Satisfies `sim.viewer.contract.show.Show` and `Interactive`."""

    def __init__(
        self,
        scene: Scene,
        *,
        device: str,
        checkpoint: Path | None = None,
        run: Path | None = None,
        most_worlds: int = MOST_WORLDS,
        attended: bool = True,
    ) -> None:
        """Build worlds and agent.

        Args:
            scene: what is played.
            device: for the agent, see `chosen_device`.
            checkpoint: instead of the scene's own.
            run: a training run whose newest checkpoint is played, from now on and as they land, or whose
                `checkpoint` is, if one is given. A run that has none yet begins untrained.
            most_worlds: side by side.
            attended: whether a person watches.
        """
        config = agent_env(scene, device)
        assert scene.world is not None
        self.num_worlds = min(scene.world.num_envs, most_worlds)
        self._worlds = self._open(config, scene.seed)
        first = self._worlds.envs[0]
        self._easel = self._worlds.easels[0]
        self.offers = self._easel.offers
        self.title = scene.title
        self.action_names = () if Offer.POINT in self.offers else action_names(first)
        labels = first.get_wrapper_attr("action_labels") if first.has_wrapper_attr("action_labels") else ()
        self.action_labels: tuple[str, ...] = tuple(labels)
        self.action_limit = float(np.max(getattr(first.action_space, "high", 1.0)))
        self.protocol = chip(config.protocol())
        self.steps_per_second = float(first.metadata.get("render_fps") or PLAIN_RATE)
        self.agent, self.training = "", ""
        self._policy: Policy | None = None
        self._greedy = False
        self._weights: Mapping[str, Array] = {}  # what plays, for those who look on
        self._explainer: Explainer | None = None
        self._follower: Follower | None = None
        self._moment: Moment | None = None
        mine = None
        if trains_perception(scene):  # then run and checkpoint are the perception's, and the agent its own
            saved = numbered(run / "checkpoints") if run is not None else []
            mine, run, checkpoint = checkpoint or (saved[-1] if saved else None), None, None
        self._eyes = LivePerceptions(scene, first, chosen_device(device), mine, self._easel)
        self._beside = sample_panel(scene, device=device, attended=attended)
        self._starts: Starts[Any] | None = getattr(config, "starts", None)
        if len(self._eyes):
            self.offers = (
                self.offers | {Offer.PERCEPTS} | ({Offer.ORIGIN} if self._eyes.changeable else set())
            )
        if scene.agent is not None:
            self.agent = scene.agent.use if scene.agent.use in PLAIN_WORDS else scene.agent.use.upper()
            agent = scene_agent(scene)
            self._greedy = agent.greedy
            place = chosen_device(device, agent)
            if run is not None:
                blank = replace(scene, agent=replace(scene.agent, checkpoint=None))
                self._policy, card = build_policy(blank, self._worlds, config, place)
                self._follow(run, checkpoint, partial(check_agent, scene, worlds=self._worlds, config=config))
            else:
                self._policy, card = build_policy(scene, self._worlds, config, place, checkpoint)
                self.training = in_words(card["trained"]) if card else "untrained"
            self._explain(agent, place, scene.seed)
        self._generator = np.random.default_rng(scene.seed)
        self._obs: Array = np.zeros(0)
        self._info: Info = {}
        self._memory: Any = None
        self._decision: Decision | None = None
        self._person = self._grid = False
        self._ended = False  # the end of a game is on show, and the next one has begun behind it
        self._drawing_seconds = 0.0

    def _open(self, config: WorldConfig, seed: int) -> StagedWorlds:
        worlds = StagedWorlds([lambda: config.make(seed) for _ in range(self.num_worlds)], seed)
        if worlds.envs[0].render_mode != "rgb_array":
            worlds.close()
            raise SceneError(f"{config.name} has no picture to show: it does not render to rgb_array")
        worlds.open_easels()
        return worlds

    def _follow(self, run: Path, held: Path | None, check: Callable[[Checkpoint], None]) -> None:
        if not isinstance(self._policy, Learner):
            raise SceneError(f'agent "{self.agent.lower()}" has nothing to learn: it cannot follow a run')
        self._follower = Follower(run, check, held=held)
        self._follower.open()
        self._take_over()
        self.training = self._follower.learning.training

    def _explain(self, agent: AgentConfig, device: str, seed: int) -> None:
        """Offer to tell what moves decisions, where the agent looks at pictures and can be copied."""
        spaces = self._worlds.single_observation_space, self._worlds.single_action_space
        if isinstance(agent, LearnerConfig) and isinstance(self._policy, Learner) and is_picture(spaces[0]):
            # Differences between nearly equal outputs would drown in the rounding of half precision.
            made: Any = getattr(self._policy, "config", agent)  # its weights' network, not the recipe's
            exact = replace(made, precision="float32") if hasattr(made, "precision") else made
            self._explainer = Explainer(lambda: exact.build(*spaces, seed=seed, device=device))
            self._weights = self._weights or self._policy.weights()
            self.offers = self.offers | {Offer.SALIENCY}

    # Show

    def start(self, seed: int | None) -> Moment:
        """Begin anew; see `sim.viewer.contract.show.Show`."""
        if self._follower is not None:
            self._follower.start()
        self._obs, self._info = self._worlds.reset(seed=seed)
        self._memory = None
        if seed is not None:
            self._generator = np.random.default_rng(seed)
            if self._policy is not None:
                self._policy.seed(seed)
        self._decide()
        return self._begin()

    def step(self, person: int | None, *, drawn: bool = True) -> Moment:
        """Step all worlds once; see `sim.viewer.contract.show.Show`.

        Where worlds take turns, the end of a game stays for a step of its own.
        """
        if self._ended:
            return self._begin()
        actions = self._actions()
        if person is not None:
            actions[0] = person
        self._obs, reward, terminated, truncated, self._info = self._worlds.step(actions)
        self._memory = reset_memory(self._memory, terminated | truncated)
        self._take_over()
        self._decide()
        episodes = finished(self._info)
        moment = self._seen(reward, actions, person is not None, episodes, drawn)
        if self._easel.turns and "_episode" in self._info and self._info["_episode"][0]:
            moment = self._with_ending(moment)
            self._ended = True
        self._moment = moment
        return moment

    def close(self) -> None:
        """Close the worlds, and only them; follow no longer."""
        if self._follower is not None:
            self._follower.close()
        if self._beside is not None:
            self._beside.close()
        for world in self._worlds.envs:
            for name in OWN_SURFACES & vars(world.unwrapped).keys():
                setattr(world.unwrapped, name, None)
        self._worlds.close()

    # Interactive

    @property
    def waits(self) -> bool:
        """Whether a person is to move; see `sim.viewer.contract.gesture.Interactive`."""
        return self._person and self._easel.turns

    def touch(self, gesture: Gesture) -> Answer:
        """Take a gesture; see `sim.viewer.contract.gesture.Interactive`."""
        if gesture.kind == "person":
            self._person = gesture.on
        if gesture.kind == "grid":
            self._grid = gesture.on
            return Answer(redraw=True)
        if gesture.kind == "origin":
            self._eyes.next_origin()
            return Answer(redraw=True)
        answer = self._easel.touch(gesture)
        if gesture.kind in ("orbit", "zoom", "follow", "flip"):
            for easel in self._worlds.easels[1:]:
                easel.touch(gesture)
        elif gesture.kind == "resize":  # the others are only seen in the grid
            columns = math.ceil(math.sqrt(self.num_worlds))
            for easel in self._worlds.easels[1:]:
                easel.touch(Gesture("resize", gesture.x // columns, gesture.y // columns))
        return answer

    def look(self) -> Moment:
        """The newest moment, drawn again."""
        assert self._moment is not None
        pictures = self._pictures()
        seen = self._eyes.look(pictures[0])
        self._moment = replace(self._moment, pictures=pictures, seen=seen, **self._on_easel())
        return self._moment

    def _on_easel(self) -> dict[str, Any]:
        learning = None if self._follower is None else self._follower.learning
        waiting = "" if learning is None or learning.checkpoint else WAITING
        caption = self._easel.caption or waiting
        readouts = (*self._on_starts(), *self._easel.readouts)
        return {"asks": self._easel.asks, "caption": caption, "readouts": readouts}

    def _on_starts(self) -> tuple[Readout, ...]:
        """How many of the states that episodes might have begun from were legal, and why others were not."""
        if self._starts is None:
            return ()
        legal, refused = self._starts.ledger.in_words()
        return (Readout("starts", legal), *((Readout("refused", refused),) if refused else ()))

    # What is acted and what is seen

    def _take_over(self) -> None:
        """Play on with the newest checkpoint of the run, if another has landed: in the middle of a game."""
        taken = None if self._follower is None else self._follower.take()
        if self._follower is None or taken is None or not isinstance(self._policy, Learner):
            return
        before = self._weights or self._policy.weights()
        try:
            taken.give(self._policy)
        except CheckpointError as error:
            if self._moment is None:
                raise
            self._policy.load_weights(before)
            self._follower.say(str(error))
        else:
            self._weights = taken.weights
            self._follower.plays(taken)

    def _attribution(self) -> Attribution | None:
        if self._explainer is None:
            return None
        mask = self._info.get("action_mask")
        row = None if mask is None else np.array(mask[0])
        return partial(self._explainer.explain, self._weights, np.array(self._obs[0]), row)

    def _decide(self) -> None:
        if self._policy is not None:
            self._decision, self._memory = self._policy.act(
                self._obs, self._info, self._memory, greedy=self._greedy
            )

    def _actions(self) -> Array:
        """(N, …) what is decided; where nobody acts, any legal action, or nothing where all are legal."""
        space = self._worlds.action_space
        mask = self._info.get("action_mask")
        if self._decision is not None:
            return self._decision.actions.copy()
        if mask is None:
            return np.zeros(space.shape or (self.num_worlds,), space.dtype)
        return np.array([self._generator.choice(np.flatnonzero(row)) for row in mask])

    def _begin(self) -> Moment:
        self._ended = False
        for easel in self._worlds.easels:
            easel.note()
        self._moment = self._seen(np.zeros(self.num_worlds), None, False, [], True)
        return self._moment

    def _seen(
        self, reward: Array, actions: Array | None, person: bool, episodes: list[Episode], drawn: bool
    ) -> Moment:
        if not self._easel.turns:
            for easel in self._worlds.easels:
                easel.note()
        if drawn or self._moment is None or self._drawing_seconds < CHEAP:
            pictures = self._pictures()
            seen = self._eyes.look(pictures[0]) if drawn else ()
        else:
            pictures, seen = self._moment.pictures, self._moment.seen
        return Moment(
            pictures=pictures,
            seen=seen,
            reward=reward,
            score=self._worlds.score,
            length=self._worlds.length,
            decision=self._decision,
            actions=actions,
            person=person,
            episodes=tuple(episodes),
            options=self._options(),
            exploration=exploration(self._policy, self._decision, self._info, greedy=self._greedy),
            learning=None if self._follower is None else self._follower.learning,
            attribution=self._attribution(),
            hung=None if self._beside is None else self._beside.step(),
            **self._on_easel(),
        )

    def _with_ending(self, moment: Moment) -> Moment:
        """The moment as it was when the first world's game ended, before the next one began."""
        score, length = moment.score.copy(), moment.length.copy()
        score[0] = self._info["episode"]["r"][0]
        length[0] = self._info["episode"]["l"][0]
        return replace(moment, score=score, length=length, options=Options("", (), 0), exploration=None)

    def _pictures(self) -> tuple[Array, ...]:
        """Of all worlds; where drawing is dear and only the first is looked at, the others' last ones."""
        begun = time.perf_counter()
        first = self._easel.draw()
        self._drawing_seconds = time.perf_counter() - begun
        if self._moment is not None and not self._grid and self._drawing_seconds > CHEAP:
            return (first, *self._moment.pictures[1:])
        return (first, *(easel.draw() for easel in self._worlds.easels[1:]))

    def _options(self) -> Options | None:
        """What the first world's mask allows, by the world's own names."""
        if "action_mask" not in self._info:
            return None
        legal = np.flatnonzero(self._info["action_mask"][0])
        measure, values = measured(self._decision)
        chosen = -1 if self._decision is None else int(self._decision.actions[0])
        weights = np.zeros(len(legal)) if values is None else values[legal]
        shown = legal[np.argsort(-weights, kind="stable")[:MOST_OPTIONS]].tolist()
        if chosen in legal and chosen not in shown:
            shown[-1] = chosen
        world = self._worlds.envs[0]
        name = world.get_wrapper_attr("action_name") if world.has_wrapper_attr("action_name") else None
        name = name or self.action_names.__getitem__
        choices = tuple(
            Choice(
                name(action),
                None if values is None else float(values[action]),
                action == chosen,
            )
            for action in shown
        )
        return Options(measure, choices, len(legal) - len(choices))

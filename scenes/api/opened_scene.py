"""An opened scene: its worlds, models, evaluation and training, as objects and functions of Python."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scenes.api.arguments import Changes, Source, change_lines, newest
from scenes.schema import Scene, SceneError, load_scene
from sim.fields import whole_number

if TYPE_CHECKING:
    import gymnasium

    from scenes.api.loaded import LoadedAgent, LoadedPerception, LoadedSampler
    from scenes.training.session import Training
    from sim.records import Array, Percept
    from sim.vector import Worlds

logger = logging.getLogger("playfield")


class OpenedScene:
    """A scene with its changes applied and checked; nothing is built before it is asked for.

    Attributes:
        scene: what the file says (`scenes.schema.Scene`).
        device: ``auto``, ``cpu`` or ``cuda``.

    Every method raises a `sim.errors.RequestError` that names the culprit and the mend where the scene cannot
    give what is asked for.

    >>> import playfield
    >>> scene = playfield.open("cartpole", {"world.num_envs": 4, "agent.gamma": 0.9})
    >>> scene.title, scene.worlds().num_envs
    ('CartPole', 4)
    """

    def __init__(
        self,
        name: Source,
        changes: Changes | None = None,
        *,
        seed: int | None = None,
        device: str = "auto",
        extra_worlds: Mapping[str, str] | None = None,
    ) -> None:
        """Read a scene.

        Args:
            name: of a shipped scene, or the path of a scene file.
            changes: key → value, such as ``{"world.num_envs": 4, "perception.0.origin": "truth"}``.
            seed: instead of the scene's own.
            device: where models run; ``auto`` is a GPU where there is one.
            extra_worlds: families of worlds beside the catalogues': name → ``"module:class"``.

        Raises:
            SceneError: naming file, key and the nearest valid name.
        """
        self._name, self._seed = str(name), None if seed is None else whole_number(seed, "seed")
        self._changes = change_lines(changes)
        self.device = device
        self.scene: Scene = load_scene(self._name, self._changes, self._seed, extra_worlds)

    def __repr__(self) -> str:
        return f"<scene {self.scene.asked()}>"

    @property
    def title(self) -> str:
        """What the scene is called."""
        return self.scene.title

    def worlds(self, num_envs: int | None = None, *, seed: int | None = None) -> Worlds:
        """A batch of the scene's worlds as its agent meets them: a `gymnasium.vector.VectorEnv`.

        Args:
            num_envs: how many; None: as many as the scene trains in.
            seed: world i starts its first episode from ``seed + i``; None: the scene's.

        >>> import playfield
        >>> worlds = playfield.open("cartpole").worlds(3)
        >>> obs, info = worlds.reset()
        >>> obs.shape, worlds.step(worlds.action_space.sample())[1].shape
        ((3, 4), (3,))
        """
        from scenes.data.agent_env import agent_env
        from sim.vector import checked_count, checked_seed

        config = agent_env(self.scene, self.device)
        assert self.scene.world is not None
        count = self.scene.world.num_envs if num_envs is None else num_envs
        start = self.scene.seed if seed is None else seed
        return config.make_batch(checked_count(count), checked_seed(start))

    def world(self, *, seed: int | None = None) -> gymnasium.Env[Any, Any]:
        """One of the scene's worlds, with ``render()``: a `gymnasium.Env`.

        >>> import playfield
        >>> world = playfield.open("cartpole").world(seed=3)
        >>> world.reset()[0].shape
        (4,)
        """
        from scenes.data.agent_env import agent_env
        from sim.vector import checked_seed

        start = self.scene.seed if seed is None else seed
        return agent_env(self.scene, self.device).make(checked_seed(start))

    def agent(self, *, checkpoint: Source | None = None) -> LoadedAgent:
        """The scene's agent with its weights.

        Args:
            checkpoint: a checkpoint's folder, or a run's, which stands for its newest; None: the scene's own,
                or none, where it has none.

        Raises:
            CheckpointError: if the checkpoint is damaged or made for something else.
        """
        from scenes.api.loaded import LoadedAgent
        from scenes.build.agents import build_policy, scene_agent
        from scenes.build.devices import chosen_device
        from scenes.data.agent_env import agent_env

        config, agent = agent_env(self.scene, self.device), scene_agent(self.scene)
        place = chosen_device(self.device, agent)
        worlds = config.make_batch(1, self.scene.seed)
        shape = worlds.single_observation_space.shape
        try:
            policy, card = build_policy(self.scene, worlds, config, place, newest(checkpoint))
        finally:
            worlds.close()
        return LoadedAgent(policy, card, agent.greedy, shape)

    def perception(self, number: int = 0, *, checkpoint: Source | None = None) -> LoadedPerception:
        """One of the scene's perceptions with its weights.

        Args:
            number: of the scene's ``[[perception]]`` tables, from 0 on.
            checkpoint: see `agent`.

        Raises:
            CheckpointError: if the checkpoint is damaged or made for something else.
        """
        from scenes.api.loaded import LoadedPerception
        from scenes.build.devices import chosen_device
        from scenes.build.perceptions import build_perception, scene_vocabulary
        from scenes.data.task_data import build_task, has_task, task_config

        self._check_number("perception", number)
        place = chosen_device(self.device)
        if number == 0 and has_task(self.scene):
            task, card = build_task(self.scene, task_config(self.scene), place, newest(checkpoint))
            return LoadedPerception(task, card, tuple(task.classes))
        classes = scene_vocabulary(self.scene, number)
        model, card = build_perception(self.scene, number, classes, place, newest(checkpoint))
        return LoadedPerception(model, card, classes)

    def sampler(self, number: int = 0, *, checkpoint: Source | None = None) -> LoadedSampler:
        """One of the scene's samplers with its weights.

        Args:
            number: of the scene's ``[[sampler]]`` tables, from 0 on.
            checkpoint: see `agent`; where there is none, the training data are fetched to know their shape.

        Raises:
            CheckpointError: if the checkpoint is damaged or made for something else.
        """
        from scenes.api.loaded import LoadedSampler
        from scenes.build.devices import chosen_device
        from scenes.build.samplers import own_options, sampler_config
        from scenes.data.sampler_data import build_sampler

        self._check_number("sampler", number)
        options = own_options(sampler_config(self.scene, number))
        model, card = build_sampler(self.scene, number, chosen_device(self.device), newest(checkpoint))
        return LoadedSampler(model, card, options, self.scene.seed)

    def checkpoint(self) -> Path:
        """The folder of the weights of what the scene is about, such as diffusers' pipelines open it.

        Raises:
            SceneError: if it has none.

        >>> import playfield
        >>> playfield.open("frames-diffusion").checkpoint().name
        'frames-diffusion'
        """
        scene = self.scene
        if scene.perception and scene.perception[0].feed == "overlay":
            path = scene.perception[0].checkpoint
        elif scene.agent is not None:
            path = scene.agent.checkpoint
        else:
            path = scene.sampler[0].checkpoint if scene.sampler else None
        if path is None:
            raise SceneError(f"{scene.source.name} names no checkpoint: train it, and use the run's newest")
        return scene.resolve(path)

    def evaluate(
        self,
        episodes: int | None = None,
        *,
        seeds: int = 1,
        checkpoint: Source | None = None,
        opponents: Sequence[str] = (),
        perturb: bool = False,
    ) -> dict[str, Any]:
        """Score what the scene is about, beside a baseline: the JSON object of ``playfield evaluate``.

        Args:
            episodes: whole games from each seed, of an agent, or against each opponent; 20, unless told.
            seeds: how many seeds of evaluation, of an agent.
            checkpoint: instead of the scene's own; of a training of several seeds, all of them.
            opponents: of a chess agent, in matches of paired openings, such as ``["random", "stockfish:0"]``.
            perturb: of a walker: ``breakdown`` by perturbation, such as masses and slopes.

        Returns:
            ``metrics`` and ``baseline`` (name → figure), ``breakdown``, ``n``, ``ci95`` and ``protocol``.

        Raises:
            WorkError: if a world or a model broke down.

        >>> import playfield
        >>> found = playfield.open("cartpole").evaluate(episodes=2)
        >>> found["n"], found["metrics"]["return_mean"] > found["baseline"]["return_mean"]
        (2, True)
        """
        from scenes.api.evaluate import evaluate

        return evaluate(
            self.scene,
            device=self.device,
            episodes=None if episodes is None else whole_number(episodes, "episodes"),
            seeds=whole_number(seeds, "seeds"),
            checkpoint=None if checkpoint is None else Path(checkpoint),
            say=logger.info,
            opponents=opponents,
            perturb=perturb,
        ).whole()

    def sample(
        self, n: int = 1, *, number: int = 0, checkpoint: Source | None = None, **condition: Any
    ) -> Array:
        """`n` new examples by one of the scene's samplers, whose weights are loaded for this call.

        Args:
            n: how many.
            number: of the scene's ``[[sampler]]`` tables, from 0 on.
            checkpoint: see `agent`.
            condition: and options, see `scenes.api.loaded.LoadedSampler.sample`.

        Returns:
            (n, H, W, 3) uint8 pictures or (n, D) float32 vectors.

        >>> import playfield
        >>> playfield.open("digits-gan").sample(2, label="7", seed=3).shape
        (2, 8, 8, 3)
        """
        return self.sampler(number, checkpoint=checkpoint).sample(n, **condition)

    def write_gallery(
        self,
        out: Source | None = None,
        *,
        n: int = 64,
        condition: Mapping[str, str] | None = None,
        checkpoint: Source | None = None,
        steps: int | None = None,
        scheduler: str | None = None,
        guidance: float | None = None,
        overwrite: bool = False,
    ) -> dict[str, Any]:
        """Draw samples into a folder with a page: the JSON object of ``playfield sample``.

        Args:
            out: the folder; None: ``gallery``, or the next free name.
            n: how many samples.
            condition: key → value as after ``--condition``: label, text, board, frame, mask.
            checkpoint: see `agent`.
            steps: of a sampler that takes several, instead of the scene's.
            scheduler: of a diffusion model, instead of the scene's.
            guidance: weight of the condition, instead of the scene's.
            overwrite: replace a gallery that is there.

        Returns:
            ``files`` and ``metrics``.

        Raises:
            SaveError: if the disk is full; finished files stay.
            KeyboardInterrupt: after Ctrl-C, once the files that were begun are finished.
        """
        from scenes.sampling.command import SampleRequest
        from scenes.sampling.command import sample as work

        pairs = [f"{key}={value}" for key, value in (condition or {}).items()]
        folder = None if out is None else Path(out)
        request = SampleRequest(folder, n, pairs, newest(checkpoint), steps, scheduler, guidance, overwrite)
        return work(self.scene, request, device=self.device, say=logger.info).whole()

    def perceive(self, inputs: Any, *, number: int = 0, checkpoint: Source | None = None) -> list[Percept]:
        """One percept an input, by one of the scene's perceptions, whose weights are loaded for this call.

        Args:
            inputs: see `scenes.api.loaded.LoadedPerception.perceive`.
            number: of the scene's ``[[perception]]`` tables, from 0 on.
            checkpoint: see `agent`.

        >>> import playfield
        >>> world = playfield.make_world("chess")
        >>> _ = world.reset()
        >>> playfield.open("board-reader").perceive([world.render()])[0].fen
        'rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR'
        """
        return self.perception(number, checkpoint=checkpoint).perceive(inputs)

    def write_percepts(
        self,
        out: Source | None = None,
        *,
        source: Source | None = None,
        checkpoint: Source | None = None,
        overwrite: bool = False,
    ) -> dict[str, Any]:
        """Write pictures with percepts drawn over them: the JSON object of ``playfield perceive``.

        Args:
            out: the folder; None: ``perceived``, or the next free name.
            source: a picture, a video or a folder of them, or what else the model reads; None:
                held-out frames of the scene's world, or test examples.
            checkpoint: see `agent`.
            overwrite: replace files that are there.

        Returns:
            ``percepts``, ``files`` and ``failed``: pictures that were left out.

        Raises:
            SaveError: if the disk is full; finished files stay.
            KeyboardInterrupt: after Ctrl-C, once the files of a picture are finished.
        """
        from scenes.perceiving.command import perceive as work
        from scenes.perceiving.request import PerceiveRequest

        folder = None if out is None else Path(out)
        given = None if source is None else str(source)
        request = PerceiveRequest(given, folder, newest(checkpoint), overwrite)
        return work(self.scene, request, device=self.device, say=logger.info).whole()

    def train(
        self,
        run: Source | None = None,
        *,
        steps: int | None = None,
        resume: bool = False,
        start_from: Source | None = None,
    ) -> Training:
        """Train what the scene is about: an iterator of one `sim.records.Progress` an update.

        The run folder is that of ``playfield train``: metrics, checkpoints, states. Stopped before its end,
        by leaving its ``with`` block, by ``close()`` or by Ctrl-C, it saves the last update, and
        ``resume=True`` goes on from there exactly.

        Args:
            run: the run folder; None: ``runs/<scene>-<date>-<time>``.
            steps: the budget in env steps or updates, instead of the scene's.
            resume: go on from the newest state in `run`.
            start_from: a checkpoint whose weights to start with.

        Raises:
            RunError: if `run` exists and is not to be resumed.
            TrainingFailed: while iterating, if it could not go on; what had been saved stays.

        >>> import playfield, tempfile
        >>> folder = tempfile.mkdtemp()
        >>> with playfield.open("cartpole").train(f"{folder}/run", steps=512) as training:
        ...     env_steps = [progress.env_steps for progress in training]
        >>> env_steps, training.result.folder.name
        ([256, 512], 'run')
        """
        from scenes.training.resume import training_scene
        from scenes.training.session import start_training

        scene, folder = training_scene(
            self._name,
            self._changes,
            self._seed,
            run=None if run is None else Path(run),
            steps=None if steps is None else whole_number(steps, "steps"),
            resume=resume,
            extra_worlds=self.scene.extra_worlds,
        )
        return start_training(
            scene,
            folder,
            device=self.device,
            resume=resume,
            start_from=newest(start_from),
            say=logger.info,
        )

    def _check_number(self, kind: str, number: int) -> None:
        count = len(getattr(self.scene, kind))
        if not 0 <= number < count:
            has = f"has {count} [[{kind}]]" if count else f"has no [[{kind}]]"
            raise SceneError(f"{self.scene.source.name} {has}: there is no number {number}")

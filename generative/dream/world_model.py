"""Diffusion world model of an Atari game: predicts the next frame, reward and end from frames and actions.

Alonso et al. 2024, "Diffusion for World Modeling: Visual Details Matter in Atari" (DIAMOND), with pixels as
classes of the game's palette: see `generative.dream.denoiser`. A dreamed frame consists of exact colours, so
that errors do not add up as blur from one frame to the next.

It is a sampler as well, whose samples are frames dreamed some steps after a blank field. A checkpoint is at
the same time a diffusers folder: ``UNet2DModel.from_pretrained(folder, subfolder="unet")``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from generative.conditions import check_condition
from generative.data.palette import PALETTES, palette
from generative.diffusion.sampling import gaussian_noise, generators
from generative.dream.denoiser import OUTCOMES, WorldModelNetwork, world_model_loss
from generative.dream.packed import PackedWorldModel, can_pack
from generative.dream.windows import Windows
from sim.fields import PositiveFloat, PositiveInt, Validated, construct
from sim.records import Array, Condition, SampleOptions, Samples
from sim.storage.checkpoints import (
    CheckpointError,
    CheckpointLayout,
    Storage,
    check_fits,
    load_checkpoint,
    make_card,
    save_checkpoint,
)
from supervised.base_model import BaseModel
from supervised.data.dataset import Dataset, Spec
from supervised.fit import Fit, FitOptions
from supervised.tensors import Precision

KIND, NAME = "sampler", "world-model"  # of a card
WEIGHTS = "unet/diffusion_pytorch_model.safetensors"  # diffusers' file name
VALIDATE_EVERY = 100  # updates; also where a fit can be stopped and saved
VALIDATE_ON = 512  # windows
SELF_FED_FROM = 0.7  # share of the training after which half of the contexts are dreamed in part
LEAD_IN = 30  # frames that are dreamed before one is a sample
GROUPS = 8


@dataclass(frozen=True)
class DiffusionWorldModelConfig(Validated):
    """Configuration of the ``world-model`` sampler; its fields are scene keys."""

    data: str = "gameplay/pong"
    examples: PositiveInt = 48_000  # steps of play
    action_names: tuple[str, ...] = ()  # of the emulator, in order; none: those of the data's game
    context: PositiveInt = 4  # past frames
    fold: PositiveInt = 4  # p × p pixels become one cell of the finest map
    channels: tuple[int, ...] = (32, 64, 64)  # at the finest map, at half its size, and so on
    layers: PositiveInt = 1  # residual blocks a level on the way down; one more on the way up
    learning_rate: PositiveFloat = 1e-3
    batch_size: PositiveInt = 64
    ema: float = 0.999
    precision: Precision = "auto"
    steps: PositiveInt = 3  # of denoising a frame, by default

    def __post_init__(self) -> None:
        """Refuse values out of range.

        Raises:
            ValueError: naming the field.
        """
        super().__post_init__()
        if not self.channels or any(width < GROUPS or width % GROUPS for width in self.channels):
            raise ValueError(f"channels must be multiples of {GROUPS}, not {list(self.channels)}")
        if not self.action_names and self.game in PALETTES:  # so that a card tells them
            object.__setattr__(self, "action_names", palette(self.game).action_names)

    @property
    def game(self) -> str:
        """The game of its data, such as ``pong``."""
        return self.data.partition("/")[2]

    def build(self, spec: Spec, *, seed: int, device: str = "cpu") -> DiffusionWorldModel:
        """An untrained model for frames of this kind.

        Raises:
            ValueError: if they are not frames of the game that `data` names, its actions are others, or the
                field cannot be folded and halved evenly.
        """
        return DiffusionWorldModel(self, spec, seed=seed, device=device)


class DiffusionWorldModel(BaseModel[WorldModelNetwork]):
    """World model: `next_frames` dreams a step. Satisfies `sim.protocols.SamplerModel`.

    Attributes:
        config: with the game, the names of its actions, the context's length and the default steps.
        palette: of the game.
        spec: of its data.
    """

    def __init__(
        self,
        config: DiffusionWorldModelConfig,
        spec: Spec | None = None,
        *,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        """Of random weights; see `DiffusionWorldModelConfig.build`."""
        game = palette(config.game)
        names = config.action_names
        if names != game.action_names:
            raise ValueError(
                f"action_names are {', '.join(names)}; "
                f"those of {game.game} are {', '.join(game.action_names)}"
            )
        self.config = config
        self.palette = game
        self.spec = spec or Spec(game.shape, (game.game,))
        if (self.spec.shape, self.spec.label_names) != (game.shape, (game.game,)):
            raise ValueError(
                f"a world model of {game.game} learns frames {game.shape} of that game: "
                f'set data = "gameplay/{game.game}"'
            )
        across = config.fold * 2 ** (len(config.channels) - 1)
        if any(side % across for side in game.shape):
            raise ValueError(
                f"frames of {game.shape} cannot be folded by {config.fold} and halved "
                f"{len(config.channels) - 1} times: set fold and channels so that {across} divides both sides"
            )

        def network() -> WorldModelNetwork:
            return WorldModelNetwork(
                classes=len(game.classes),
                shape=game.shape,
                fold=config.fold,
                context=config.context,
                actions=len(names),
                channels=config.channels,
                layers=config.layers,
            )

        super().__init__(network, seed=seed, device=device)
        self.network.eval()
        self._packed: PackedWorldModel | None = None
        self._stamps: list[tuple[int, int]] = []  # of the weights that are packed

    @property
    def frame_shape(self) -> tuple[int, int]:
        """Height and width of a frame."""
        return self.palette.shape

    def encode(self, screen: Array) -> Array:
        """See `Palette.encode`."""
        return self.palette.encode(screen)

    def picture(self, frame: Array) -> Array:
        """See `Palette.picture`."""
        return self.palette.picture(frame)

    def screen(self, frame: Array) -> Array:
        """See `Palette.screen`."""
        return self.palette.screen(frame)

    def objects(self, frame: Array) -> dict[str, tuple[float, float] | None]:
        """See `Palette.objects`."""
        return self.palette.objects(frame)

    @property
    def map_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the network's maps."""
        height, width = self.frame_shape
        fold = self.config.fold
        return len(self.palette.classes) * fold**2, height // fold, width // fold

    @torch.no_grad()
    def next_frames(
        self,
        context: Array,
        actions: Array,
        *,
        steps: int | None = None,
        generator: torch.Generator | Sequence[torch.Generator],
    ) -> tuple[Array, Array, Array]:
        """Dream one step of N worlds.

        Args:
            context: (N, L, H, W) uint8 the last frames as classes, oldest first.
            actions: (N, L) int64; the one at place l followed frame l.
            steps: of denoising, at least 1; None: the configuration's.
            generator: of the noise: N, one a row, each of which is then independent of the others; or one
                for all rows.

        Returns:
            Frames (N, H, W) uint8, reward (N,) float32 as −1, 0 or 1, ended (N,) bool. Where the network gave
            no finite number the frame is the last one again and the reward NaN.

        Raises:
            ValueError: if the context is of another shape, or an action is none of the game's.
        """
        self._check(context, actions)
        steps = self.config.steps if steps is None else steps
        if steps < 1:
            raise ValueError(f"steps must be at least 1, not {steps}")
        n = len(context)
        if isinstance(generator, torch.Generator):
            noise = torch.randn((n, *self.map_shape), generator=generator).to(self.device)
        else:
            noise = gaussian_noise(self.map_shape, generator, self.device)
        past = torch.from_numpy(np.ascontiguousarray(context)).to(self.device)
        acts = torch.from_numpy(np.ascontiguousarray(actions)).to(self.device)
        frames, signs, end = self._dreamer().dream(noise, past, acts, steps)
        broken = ~(signs.isfinite().all(1) & end.isfinite())
        reward = torch.tensor(OUTCOMES, device=self.device)[signs.argmax(1)]
        reward = torch.where(broken, torch.full_like(reward, torch.nan), reward)
        ended = (end > 0) & ~broken
        return frames.cpu().numpy(), reward.cpu().numpy(), ended.cpu().numpy()

    def _dreamer(self) -> WorldModelNetwork | PackedWorldModel:
        """The network, or where there can be one a packed copy of its present weights."""
        if not can_pack(self.device):
            return self.network
        stamps = [(tensor._version, tensor.data_ptr()) for tensor in self.network.parameters()]
        if self._packed is None or stamps != self._stamps:
            self._packed, self._stamps = PackedWorldModel(self.network), stamps
        return self._packed

    def _check(self, context: Array, actions: Array) -> None:
        length, shape = self.config.context, self.frame_shape
        if context.ndim != 4 or context.shape[1:] != (length, *shape) or context.dtype != np.uint8:
            raise ValueError(
                f"a context of {self.config.game} is uint8 (N, {length}, {shape[0]}, {shape[1]}), "
                f"not {context.dtype} {context.shape}"
            )
        if int(context.max(initial=0)) >= len(self.palette.classes):
            raise ValueError(
                f"a pixel of {self.config.game} is a class in 0…{len(self.palette.classes) - 1}, "
                f"not {int(context.max())}: encode screens first"
            )
        count = len(self.config.action_names)
        if actions.shape != context.shape[:2] or ((actions < 0) | (actions >= count)).any():
            raise ValueError(
                f"actions of {self.config.game} are (N, {length}) in 0…{count - 1}, "
                f"not {actions.shape} in {actions.min(initial=0)}…{actions.max(initial=0)}"
            )

    def fit(self, train: Dataset, validation: Dataset, *, seed: int) -> Fit:
        """A fit of this model to gameplay; its averaged weights (EMA) are kept."""
        config = self.config
        options = FitOptions(
            learning_rate=config.learning_rate,
            batch_size=config.batch_size,
            ema=config.ema,
            precision=config.precision,
            validate_every=VALIDATE_EVERY,
            validate_on=VALIDATE_ON,
        )
        examples = [Windows(part, config.context, self.map_shape) for part in (train, validation)]
        return WorldModelFit(self.network, *examples, options, seed=seed, device=str(self.device))

    def sample(self, n: int, condition: Condition, options: SampleOptions, seed: int) -> Samples:
        """`n` frames (n, H, W) uint8 of classes, dreamed with random actions from a blank field.

        Args:
            n: how many.
            condition: a `label`, which can only be the game.
            options: `steps`.
            seed: sample i depends on (seed, i) alone.

        Raises:
            ConditionError: for a condition that it does not support.
        """
        check_condition(condition, self.spec, {"label"})
        each = generators(seed, 0, n)
        count, length = len(self.config.action_names), self.config.context
        context = np.zeros((n, length, *self.frame_shape), np.uint8)
        actions = np.zeros((n, length), np.int64)
        for _ in range(LEAD_IN):
            drawn = [int(torch.randint(count, (), generator=own)) for own in each]
            actions = np.concatenate([actions[:, 1:], np.array(drawn, np.int64)[:, None]], 1)
            frames, _, _ = self.next_frames(context, actions, steps=options.steps, generator=each)
            context = np.concatenate([context[:, 1:], frames[:, None]], 1)
        return Samples(context[:, -1], seed, condition)

    def layout(self) -> CheckpointLayout:
        """A checkpoint's files: the UNet as diffusers has it, and the rest beside it."""
        network: Any = self.network
        parts = {
            "unet.": WEIGHTS,
            "conditioning.": "conditioning/model.safetensors",
            "head.": "head/model.safetensors",
        }
        return CheckpointLayout(parts, {"unet/config.json": network.unet.to_json_string()})

    def save(self, folder: Path, *, storage: Storage = "float16") -> None:
        """Write a checkpoint; training writes cards that say more."""
        card = make_card(KIND, NAME, asdict(self.config), seed=0, trained={"updates": 0})
        card |= {"spec": self.spec.table()}
        save_checkpoint(folder, card, self.weights(), storage=storage, layout=self.layout())

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> DiffusionWorldModel:
        """Read a checkpoint.

        Raises:
            CheckpointError: if it is damaged or no world model's.
        """
        loaded = load_checkpoint(folder)
        check_fits(loaded, kind=KIND, name=NAME)
        told = loaded.card["config"]
        try:
            config = construct(DiffusionWorldModelConfig, told, "its config")
            model = cls(config, Spec.of(loaded.card.get("spec", {})), device=device)
        except ValueError as error:
            raise CheckpointError(f"{folder} does not fit: {error}") from error
        loaded.give(model)
        return model


class WorldModelFit(Fit):
    """Fit of a world model: in its last part half of each batch's contexts are dreamed in part."""

    def __init__(self, network: WorldModelNetwork, *examples: Any, seed: int, device: str) -> None:
        """See `supervised.fit.Fit`."""
        train, validation, options = examples
        self._fed = 0
        super().__init__(network, self._world_loss, train, validation, options, seed=seed, device=device)

    def _world_loss(self, network: torch.nn.Module, batch: dict[str, Tensor]) -> Any:
        fed = self._fed if network.training else 0
        return world_model_loss(network, batch, min(fed, len(batch["sigma"]) // 2))

    def _update(self, total: int) -> dict[str, Tensor]:
        self._fed = self.options.batch_size // 2 if self._updates >= SELF_FED_FROM * total else 0
        return super()._update(total)

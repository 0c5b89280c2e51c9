"""Scene files: strict parsing of TOML into dataclasses.

A scene names a world, an agent, perceptions and samplers by their catalogue names (``use``); the other
keys of such a table are the fields of that entry's own dataclass and are checked by `scenes.build.agents`,
once the entry is imported. Here everything else is checked, so that `playfield list` needs no torch.
"""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import tomli_w

from sim.errors import RequestError
from sim.fields import FieldError, check_path, construct, excerpt, nearest
from sim.records import Origin
from sim.storage.files import special_file_kind
from supervised.observation.percept_noise import MISSES, PIXELS

SHIPPED = Path(__file__).parent
MOST_ENVS = (
    16_384  # Atari observations of so many worlds fill 0.5 GB a step; a slip of the pen fills any memory
)

LARGEST_SEED = 2**31 - 1  # that the Atari emulator takes

#: Keys that hold a path, as do those in ``_checkpoint``.
PATHS = ("checkpoint", "graded_by", "teacher", "path")
DEEPEST = 16  # tables and lists in each other; no key of any entry needs more than three
TOO_LONG = 2**63  # whole numbers of this size and more are none in TOML 1.0 either


class SceneError(RequestError, ValueError):
    """A scene that does not exist, cannot be read, or has an invalid key or value."""


@dataclass(frozen=True)
class World:
    """Table ``[world]``; `num_envs` is the number of worlds in training."""

    use: str
    num_envs: int = 1
    fields: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse batches that no machine could hold.

        Raises:
            ValueError: naming the key.
        """
        if not 1 <= self.num_envs <= MOST_ENVS:
            raise ValueError(f"num_envs must be in 1…{MOST_ENVS:,}, not {self.num_envs:,}")


@dataclass(frozen=True)
class Agent:
    """Table ``[agent]``; `checkpoint` is what `watch`, `play` and `evaluate` use."""

    use: str
    checkpoint: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Perception:
    """Table ``[[perception]]``: a model, whom it feeds (overlay or agent), and the origin of its percepts.

    Attributes:
        use: the catalogue entry.
        checkpoint: its weights.
        graded_by: the checkpoint of an agent that plays in the graded pictures; None: the scene's own agent,
            which also plays in those that are learned from.
        feed: for whom it looks: the audience, or the agent, which then gets no pixels.
        origin: who says what is there.
        training_origin: the same while the agent learns; None: `origin`.
        slots: class → how many boxes of it the agent can know of; 1, unless told.
        relations: whether the agent is told how boxes lie to each other, too.
        smoothing: how much of the past counts in where things are and how they move, in [0, 1).
        noise_pixels: how far ``noisy truth`` displaces, see `supervised.observation.percept_noise`.
        noise_misses: how often it misses.
    """

    use: str
    checkpoint: str | None = None
    graded_by: str | None = None
    feed: Literal["overlay", "agent"] = "overlay"
    origin: Origin = "model"
    training_origin: Origin | None = None
    slots: dict[str, Any] = field(default_factory=dict)
    relations: bool = False
    smoothing: float = 0.0
    noise_pixels: float = PIXELS
    noise_misses: float = MISSES
    fields: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse noise that cannot be.

        Raises:
            ValueError: naming the key.
        """
        if self.noise_pixels < 0:
            raise ValueError(f"noise_pixels must not be below 0, not {self.noise_pixels}")
        if not 0 <= self.noise_misses <= 1:
            raise ValueError(f"noise_misses must be in [0, 1], not {self.noise_misses}")


@dataclass(frozen=True)
class Sampler:
    """Table ``[[sampler]]``: a generative model, and what its samples feed.

    Attributes:
        use: the catalogue entry.
        checkpoint: its weights.
        graded_by: of a world model, the checkpoint of an agent whose returns in the dream and in the emulator
            are compared; None: there is no such comparison.
        feed: what its samples are for.
    """

    use: str
    checkpoint: str | None = None
    graded_by: str | None = None
    feed: Literal["gallery", "reset", "world"] = "gallery"
    fields: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse an agent where there is nothing to act in.

        Raises:
            ValueError: naming the key.
        """
        if self.graded_by is not None and self.use != "world-model":
            raise ValueError(f'graded_by is for a "world-model", in which agents act, not a "{self.use}"')


@dataclass(frozen=True)
class Train:
    """Table ``[train]``: the budget; `checkpoint_every` and `evaluate_every` have its unit."""

    env_steps: int | None = None
    updates: int | None = None
    checkpoint_every: int | None = None  # a twentieth of the budget, unless set
    evaluate_every: int = 0  # never
    target_return: float | None = None  # stop when the last 100 training episodes reach it

    def __post_init__(self) -> None:
        """Refuse a budget of both kinds, and numbers that make no sense.

        Raises:
            ValueError: naming the key.
        """
        if self.env_steps is not None and self.updates is not None:
            raise ValueError("give env_steps or updates, not both")
        for key in ("env_steps", "updates", "checkpoint_every"):
            if getattr(self, key) is not None and getattr(self, key) < 1:
                raise ValueError(f"{key} must be at least 1, not {getattr(self, key)}")
        if self.evaluate_every < 0:
            raise ValueError(f"evaluate_every must not be below 0, not {self.evaluate_every}")


@dataclass(frozen=True)
class View:
    """Table ``[view]``: the window's rate."""

    fps: int = 60  # the most pictures a second that the window draws

    def __post_init__(self) -> None:
        """Refuse rates that no screen has.

        Raises:
            ValueError: naming the key.
        """
        if not 1 <= self.fps <= 1000:
            raise ValueError(f"fps must be in 1…1000, not {self.fps}")


def own_keys(table: Any) -> list[str]:
    """Keys of a table itself, such as ``use``; all others belong to its catalogue entry."""
    return [key for key in table.__dataclass_fields__ if key != "fields"]


@dataclass(frozen=True)
class Scene:
    """Scene: one scene file, checked but not built.

    `name` is the file's name without ending; `source` is the file; relative paths start from its folder;
    `typed` and `changes` are what a person called it and changed; `extra_worlds` are families of worlds
    (name → ``"module:class"``) beside those of the catalogues.
    """

    title: str
    name: str
    source: Path
    seed: int = 0
    world: World | None = None
    agent: Agent | None = None
    perception: tuple[Perception, ...] = ()
    sampler: tuple[Sampler, ...] = ()
    train: Train = Train()
    view: View = View()
    typed: str = ""
    changes: tuple[str, ...] = ()
    extra_worlds: Mapping[str, str] = field(default_factory=dict)

    def asked(self) -> str:
        """The scene and its changes as they stand in a command."""
        changes = (f"--set {shlex.quote(change)}" for change in self.changes)
        return " ".join([shlex.quote(self.typed or self.name), *changes])

    def resolve(self, path: str) -> Path:
        """A path of the scene, absolute."""
        return (self.source.parent / path).resolve()

    def toml(self) -> str:
        """The scene as it stands, as TOML: every key that has a value, with absolute paths.

        Defaults are written out, so that what is kept goes on as it was where a later version has others;
        those of catalogue entries are not known here, and stay as silent as the file was.
        """
        tables = {"world": self.world, "agent": self.agent, "train": self.train, "view": self.view}
        arrays = {"perception": self.perception, "sampler": self.sampler}
        document: dict[str, Any] = {"title": self.title, "seed": self.seed}
        document |= {key: _written(table) for key, table in tables.items() if table is not None}
        document |= {key: [_written(item) for item in items] for key, items in arrays.items() if items}
        return tomli_w.dumps(_absolute(document, self))


def holds_path(key: str) -> bool:
    """Whether a key of any table holds a path, which starts from the scene file's folder.

    >>> holds_path("checkpoint"), holds_path("decoder_checkpoint"), holds_path("checkpoint_every")
    (True, True, False)
    """
    return key in PATHS or key.endswith("_checkpoint")


def data_path(scene: Scene, data: str) -> Path | None:
    """The path that `data` means: beside the scene's file or in the current folder; None for a name.

    What has a slash or an ending is a path.

    Raises:
        RequestError: if there is no such file.
    """
    if "/" not in data and "\\" not in data and not Path(data).suffix:
        return None
    for path in (scene.resolve(data), Path(data)):
        if path.exists():
            return path.resolve()
    raise RequestError(f"{scene.source.name}, data: there is no file or folder {data}")


def shipped_scenes() -> list[str]:
    """Names of the scenes that ship in the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def load_scene(
    name_or_path: str,
    changes: Sequence[str] = (),
    seed: int | None = None,
    extra_worlds: Mapping[str, str] | None = None,
) -> Scene:
    """Read a scene by its shipped name or its path.

    Args:
        name_or_path: such as ``pong`` or ``my/own.toml``.
        changes: ``key.path=value`` each, applied before checking.
        seed: replaces the scene's own.
        extra_worlds: see `Scene`.

    Raises:
        SceneError: naming file, key and the nearest valid name.
    """
    path = find_scene(name_or_path)
    scene = make_scene(_read(path), path, changes, seed)
    return replace(scene, typed=name_or_path, changes=tuple(changes), extra_worlds=dict(extra_worlds or {}))


def make_scene(
    raw: dict[str, Any], path: Path, changes: Sequence[str] = (), seed: int | None = None
) -> Scene:
    """Make a scene from the content of its file; see `load_scene` for arguments and errors.

    Args:
        raw: what the file says.
        path: the file, whether or not it exists.
        changes: as there.
        seed: as there.
    """
    _check_values(raw, path)  # first: what is nested too deep cannot be copied
    raw = deepcopy(raw)
    for change in changes:
        _apply(raw, change)
    if seed is not None:
        raw["seed"] = seed
    try:
        _check_values(raw, path)
        return _scene(raw, path)
    except FieldError as error:
        raise SceneError(str(error)) from error


def find_scene(name_or_path: str) -> Path:
    """Path of a scene's file.

    Raises:
        SceneError: if there is none.
    """
    path = Path(name_or_path)
    check_path(path, "SCENE")
    if path.suffix == ".toml" or "/" in name_or_path or "\\" in name_or_path:
        if odd := special_file_kind(path):
            raise SceneError(f"{path} is {odd}, not a scene file")
        if not path.is_file():
            raise SceneError(f"there is no scene file {path}")
        return path.resolve()
    if name_or_path not in shipped_scenes():
        said = excerpt(name_or_path)
        raise SceneError(f'there is no scene "{said}"; {nearest(name_or_path, shipped_scenes())}')
    return SHIPPED / f"{name_or_path}.toml"


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except UnicodeDecodeError as error:
        raise SceneError(f"{path.name} is not UTF-8 text: byte {error.start} is not valid") from error
    except (ValueError, RecursionError) as error:  # both also without being a TOMLDecodeError
        raise SceneError(f"{path.name} is not TOML: {_why(error)}") from error
    except OSError as error:
        raise SceneError(f"{path} cannot be read: {error.strerror}") from error


def _why(error: Exception) -> str:
    """What tomllib found wrong, as a user can see it in the text."""
    if isinstance(error, RecursionError):
        return f"tables or lists are nested more than {DEEPEST} deep"
    return str(error) if isinstance(error, tomllib.TOMLDecodeError) else "a number has too many digits"


def _check_values(raw: dict[str, Any], path: Path) -> None:
    """Refuse what TOML can say and nothing can take, wherever it stands.

    Raises:
        SceneError: naming the key.
    """
    found: list[tuple[str, Any, int]] = [("", raw, 0)]
    while found:
        name, value, depth = found.pop()
        key = name.rpartition(".")[2]
        where = f"{path.name}: {excerpt(name)}"
        if depth > DEEPEST:
            raise SceneError(f"{where} is nested more than {DEEPEST} deep")
        if isinstance(value, int) and abs(value) >= TOO_LONG:
            raise SceneError(f"{where} has too many digits")
        if isinstance(value, str) and "\0" in value:
            raise SceneError(f"{where} holds a NUL character")
        if isinstance(value, str) and (holds_path(key) or key == "data"):
            check_path(path.parent / value, where)
        if isinstance(value, dict):
            found += [(f"{name}.{k}".lstrip("."), v, depth + 1) for k, v in value.items()]
        elif isinstance(value, list):
            found += [(f"{name}.{i}", v, depth + 1) for i, v in enumerate(value)]


def _apply(raw: dict[str, Any], change: str) -> None:
    """Set one key: ``agent.gamma=0.9``, ``perception.0.origin=truth``."""
    key, equals, text = change.partition("=")
    if not equals or not key:
        raise SceneError(f'--set wants key.path=value, not "{excerpt(change)}"')
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    except (ValueError, RecursionError) as error:
        raise SceneError(f"--set {excerpt(key)}: {_why(error)}") from error
    *path, last = key.split(".")
    node: Any = raw
    for part in path:
        node = _child(node, part, change)
    if isinstance(node, list):
        node[_index(node, last, change)] = value
    else:
        node[last] = value


def _child(node: Any, part: str, change: str) -> Any:
    child = node[_index(node, part, change)] if isinstance(node, list) else node.setdefault(part, {})
    if not isinstance(child, dict | list):
        raise SceneError(f'--set {excerpt(change)}: "{excerpt(part)}" is not a table')
    return child


def _index(items: list[Any], part: str, change: str) -> int:
    if not part.isdecimal() or len(part) > 9 or int(part) >= len(items):
        said = f'--set {excerpt(change)}: "{excerpt(part)}"'
        raise SceneError(f"{said} is not one of the items 0…{len(items) - 1}")
    return int(part)


def _scene(raw: dict[str, Any], path: Path) -> Scene:
    where = path.name
    tables = {"world": World, "agent": Agent, "train": Train, "view": View}
    arrays = {"perception": Perception, "sampler": Sampler}
    values: dict[str, Any] = {}
    for key, value in raw.items():
        if key in tables:
            values[key] = _table(tables[key], value, f"{where}, [{key}]")
        elif key in arrays:
            if not isinstance(value, list):
                raise SceneError(f"{where}: {key} must be written [[{key}]]")
            values[key] = tuple(
                _table(arrays[key], item, f"{where}, [[{key}]] number {i}") for i, item in enumerate(value)
            )
    known = {"title": str, "seed": int}
    for key in raw:
        if key not in known and key not in values:
            said = excerpt(key)
            raise SceneError(f'{where}: unknown key "{said}"; {nearest(key, [*known, *tables, *arrays])}')
    top = construct(_Top, {key: raw[key] for key in known if key in raw}, where)
    return Scene(title=top.title, seed=top.seed, name=path.stem, source=path, **values)


@dataclass(frozen=True)
class _Top:
    """The keys outside all tables."""

    title: str
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.seed <= LARGEST_SEED:
            raise ValueError(f"seed must be in 0…{LARGEST_SEED:,}, not {self.seed}")


def _table(cls: type[Any], value: Any, where: str) -> Any:
    """A table whose keys are `cls`'s own or, where it has a catalogue entry, that entry's."""
    if not isinstance(value, Mapping):
        raise SceneError(f"{where} must be a table")
    own = own_keys(cls)
    if "fields" not in cls.__dataclass_fields__:
        return construct(cls, value, where)
    entry = {key: v for key, v in value.items() if key not in own}
    return construct(cls, {key: v for key, v in value.items() if key in own} | {"fields": entry}, where)


def _written(table: Any) -> dict[str, Any]:
    """A table as TOML says it: its own keys that have a value, and those of its catalogue entry."""
    own = {key: getattr(table, key) for key in own_keys(table)}
    kept = {key: value for key, value in own.items() if value is not None and value != {}}
    return kept | getattr(table, "fields", {})


def _absolute(raw: dict[str, Any], scene: Scene) -> dict[str, Any]:
    def mapped(node: Any) -> Any:
        if isinstance(node, dict):
            return {
                key: str(scene.resolve(value)) if is_path(key, value) else mapped(value)
                for key, value in node.items()
            }
        return [mapped(item) for item in node] if isinstance(node, list) else node

    def is_path(key: str, value: Any) -> bool:
        if not isinstance(value, str):
            return False
        return holds_path(key) or (key == "data" and scene.resolve(value).is_dir())

    return {key: mapped(value) for key, value in raw.items()}

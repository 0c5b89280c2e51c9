"""Search spaces of hyperparameters: ranges and choices of scene keys, parsed from ``KEY=RANGE`` and checked.

    agent.learning_rate=log:1e-4..1e-2    a number, uniform in its logarithm, both ends included
    agent.gamma=0.9..0.99                 a number, uniform
    agent.num_epochs=2..8                 a whole number; of a key that takes any number, a number
    agent.num_steps=32,64,128             one of several values, as TOML or bare strings

Does not know: Optuna's study, which asks for values (`scenes.sweep.study`).
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias, get_args, get_type_hints

from scenes.build.agents import scene_agent, scene_world
from scenes.build.perceptions import perception_config
from scenes.build.samplers import sampler_config
from scenes.schema import Scene
from sim.errors import RequestError
from sim.fields import excerpt

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

LOG = "log:"
WHOLE = re.compile(r"[+-]?\d[\d_]*")
#: Tables that a sweep sets itself, or that no training depends on, with what to use instead.
REFUSED = {
    "seed": "--seed is the first one and --seeds how many",
    "train": "every trial has the same budget, which --steps sets",
    "title": "it changes nothing in training",
    "view": "it changes nothing in training",
}
EXAMPLE = "agent.learning_rate=log:1e-4..1e-2 or agent.num_steps=32,64,128"


class SearchError(RequestError, ValueError):
    """A search space that cannot be searched."""


@dataclass(frozen=True)
class NumberRange:
    """Range of numbers of the scene key `key`, both ends included; `log`: uniform in the logarithm."""

    key: str
    text: str
    low: float
    high: float
    log: bool
    whole: bool

    def distribution(self) -> BaseDistribution:
        """The same for Optuna."""
        from optuna.distributions import FloatDistribution, IntDistribution

        if self.whole:
            return IntDistribution(int(self.low), int(self.high), log=self.log)
        return FloatDistribution(self.low, self.high, log=self.log)

    def ends(self) -> list[Any]:
        """The values at which a key can refuse the range."""
        return [self.low, self.high]

    def value(self, stored: Any) -> Any:
        """The scene's value of what Optuna stores."""
        return stored

    def stored(self, value: Any) -> Any | None:
        """What Optuna stores for a value of the scene; None where the range does not hold it."""
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not self.low <= value <= self.high
        ):
            return None
        if self.whole:
            return value if isinstance(value, int) else None
        return float(value)


@dataclass(frozen=True)
class Choices:
    """Several values of the scene key `key`, without an order."""

    key: str
    text: str
    values: tuple[Any, ...]

    def distribution(self) -> BaseDistribution:
        """The same for Optuna."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution([_storable(value) for value in self.values])

    def ends(self) -> list[Any]:
        """All values: each can be refused by itself."""
        return list(self.values)

    def value(self, stored: Any) -> Any:
        """The scene's value of what Optuna stores."""
        return next(value for value in self.values if _same(_storable(value), stored))

    def stored(self, value: Any) -> Any | None:
        """What Optuna stores for a value of the scene; None where it is no choice."""
        return next((_storable(choice) for choice in self.values if _same(choice, value)), None)


Dimension: TypeAlias = NumberRange | Choices


def parse_space(texts: Sequence[str]) -> list[Dimension]:
    """Parse the values of ``--search``.

    Raises:
        SearchError: in one line that names the one that is wrong, and how to write it.
    """
    if not texts:
        raise SearchError(f"a sweep needs something to search: --search KEY=RANGE, such as {EXAMPLE}")
    space = [parse_dimension(text) for text in texts]
    keys = [dimension.key for dimension in space]
    for key in keys:
        if keys.count(key) > 1:
            raise SearchError(f"--search {excerpt(key)} is given twice: give each key one range")
    return space


def parse_dimension(text: str) -> Dimension:
    """Parse one ``KEY=RANGE``; see the module for the grammar.

    Raises:
        SearchError: if it is none.

    >>> parse_dimension("agent.gamma=0.9..0.99").ends(), parse_dimension("agent.num_steps=32,64").ends()
    ([0.9, 0.99], [32, 64])
    """
    key, equals, body = (part.strip() for part in text.partition("="))
    if not equals or not key or not body:
        raise SearchError(f'--search wants KEY=RANGE, such as {EXAMPLE}, not "{excerpt(text)}"')
    where = f"--search {excerpt(text)}"
    log, rest = body.startswith(LOG), body.removeprefix(LOG)
    ends = rest.split("..")
    if len(ends) == 2 and "," not in rest:
        low, high = (_number(end, where) for end in ends)
        return _range(key, body, low, high, log, where)
    if log:
        raise SearchError(
            f"{where}: a range in the logarithm is written log:LOW..HIGH, such as log:1e-4..1e-2"
        )
    return Choices(key, body, _choices(rest, key, where))


def _range(key: str, body: str, low: float, high: float, log: bool, where: str) -> NumberRange:
    if low > high:
        raise SearchError(f"{where}: the range is reversed; the lower end comes first")
    if low == high:
        raise SearchError(f"{where}: the range is a single value; use --set {key}={low:g} for that")
    if log and low <= 0:
        raise SearchError(f"{where}: a range in the logarithm must begin above 0, not at {low:g}")
    return NumberRange(key, body, low, high, log, isinstance(low, int) and isinstance(high, int))


def _number(text: str, where: str) -> float:
    """A whole number as int, any other as float."""
    text = text.strip()
    try:
        number = int(text) if WHOLE.fullmatch(text) else float(text)
    except ValueError:
        raise SearchError(f'{where}: the end "{excerpt(text)}" of the range is not a number') from None
    if not math.isfinite(number):
        raise SearchError(f"{where}: the ends of a range must be finite numbers")
    return number


def _choices(text: str, key: str, where: str) -> tuple[Any, ...]:
    """Values between commas: all of them TOML, or each by itself TOML or a bare string."""
    try:
        values = tomllib.loads(f"value = [{text}]")["value"]
    except (ValueError, RecursionError):
        values = [_toml_or_bare(part.strip(), where) for part in text.split(",")]
    if text.rstrip().endswith(","):  # which TOML allows
        raise SearchError(f"{where}: there is an empty choice between the commas")
    if len(values) == 1:
        raise SearchError(
            f"{where}: one choice is no search; use --set {key}={text}, or add others by commas"
        )
    for i, value in enumerate(values):
        if isinstance(value, dict):
            raise SearchError(f"{where}: a choice cannot be a table")
        if any(_same(value, other) for other in values[:i]):
            raise SearchError(f"{where}: the choice {toml_value(value)} is given twice")
    return tuple(values)


def _toml_or_bare(text: str, where: str) -> Any:
    if not text:
        raise SearchError(f"{where}: there is an empty choice between the commas")
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


def toml_value(value: Any) -> str:
    """A number, string, truth value or list as TOML, in one line.

    >>> toml_value(1e-5), toml_value(True), toml_value([8, "a"])
    ('1e-05', 'true', '[8, "a"]')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml_value, value))}]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def change_of(key: str, value: Any) -> str:
    """One change of a scene, as ``--set`` takes it."""
    return f"{key}={toml_value(value)}"


def changes_of(params: Mapping[str, Any]) -> list[str]:
    """Changes of a scene that set hyperparameters `params` (scene key → value)."""
    return [change_of(key, value) for key, value in params.items()]


def fitted_to_scene(
    space: Sequence[Dimension], scene: Scene, changed: Callable[[str], Scene]
) -> list[Dimension]:
    """The search space with every key checked against the scene, and ranges as wide as their key's type.

    Args:
        space: of `parse_space`.
        scene: without changes of the space.
        changed: gives the scene with one more change, ``key=value``.

    Raises:
        SearchError: naming key and value, what the scene says of it, and near matches.
    """
    by_hand = {each.partition("=")[0].strip() for each in scene.changes}
    fitted = []
    for dimension in space:
        key = dimension.key
        if (head := key.partition(".")[0]) in REFUSED:
            raise SearchError(f"--search {excerpt(key)} cannot be searched: {REFUSED[head]}")
        if key in by_hand:
            raise SearchError(f"{key} is both searched and set: leave out --set {key}, or its --search")
        for value in dimension.ends():
            try:
                check_tables(changed(change_of(key, value)))
            except RequestError as error:
                raise SearchError(f"--search {key}={dimension.text}: {error}") from error
        fitted.append(_typed(dimension, key_type(scene, key)))
    return fitted


def check_tables(scene: Scene) -> None:
    """Construct the configuration of every table of a scene; nothing is built.

    Raises:
        RequestError: of the first that is wrong.
    """
    for prefix in table_prefixes(scene):
        table_config(scene, prefix)


def table_prefixes(scene: Scene) -> list[str]:
    """Prefixes of the keys of a scene's tables, such as ``agent`` and ``perception.0``."""
    prefixes = [name for name in ("world", "agent") if getattr(scene, name) is not None]
    prefixes += [f"perception.{i}" for i in range(len(scene.perception))]
    return prefixes + [f"sampler.{i}" for i in range(len(scene.sampler))]


def table_config(scene: Scene, prefix: str) -> Any:
    """Configuration of the catalogue entry that the table `prefix` names."""
    kind, _, number = prefix.partition(".")
    if kind == "world":
        return scene_world(scene)
    if kind == "agent":
        return scene_agent(scene)
    return (perception_config if kind == "perception" else sampler_config)(scene, int(number))


def key_type(scene: Scene, key: str) -> Any | None:
    """Annotated type of a scene key; None where it is none of a table's own."""
    prefix, _, name = key.rpartition(".")
    if prefix not in table_prefixes(scene):
        return None
    kind, _, number = prefix.partition(".")
    table = getattr(scene, kind)
    table = table[int(number)] if number else table
    hints = get_type_hints(type(table)) | get_type_hints(type(table_config(scene, prefix)))
    return hints.get(name)


def own_params(space: Sequence[Dimension], scene: Scene) -> dict[str, Any] | None:
    """What Optuna stores for the scene's own values; None where the space does not hold all of them."""
    params = {}
    for dimension in space:
        prefix, _, name = dimension.key.rpartition(".")
        if prefix not in table_prefixes(scene):
            return None
        kind, _, number = prefix.partition(".")
        table = getattr(scene, kind)
        table = table[int(number)] if number else table
        missing = object()
        value = getattr(table_config(scene, prefix), name, getattr(table, name, missing))
        stored = (
            None if value is missing else dimension.stored(list(value) if isinstance(value, tuple) else value)
        )
        if stored is None:
            return None
        params[dimension.key] = stored
    return params


def _typed(dimension: Dimension, kind: Any | None) -> Dimension:
    """A range of whole numbers becomes one of numbers where its key takes any number."""
    if isinstance(dimension, NumberRange) and dimension.whole and float in (kind, *get_args(kind)):
        return replace(dimension, whole=False)
    return dimension


def _storable(value: Any) -> Any:
    """What Optuna can store of a choice: numbers, strings and truth values; lists as their TOML."""
    return value if isinstance(value, bool | int | float | str) else toml_value(value)


def _same(a: Any, b: Any) -> bool:
    return type(a) is type(b) and bool(a == b)

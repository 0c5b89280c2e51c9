"""Strict construction of configuration dataclasses from user input such as TOML keys.

A scene's keys, ``--set`` and the keyword arguments of `sim.catalog.make_worlds` all pass through
here: an unknown key names its nearest neighbour, a wrong type or range names the key.

Ranges stand beside the fields: ``gamma: UnitInterval = 0.99``, ``ema: Annotated[float, Range(ge=0, lt=1)]``.
A dataclass that inherits from `Validated` refuses what lies outside, from a scene as from Python.
"""

from __future__ import annotations

import dataclasses
import difflib
import errno
import math
import operator
import os
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Literal,
    TypeAlias,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from sim.errors import RequestError

T = TypeVar("T")

MANY = 64  # names; fewer are all listed
EXCERPT = 100  # characters of a user's text that a message repeats


class FieldError(RequestError, ValueError):
    """A key that does not exist, or a value that it cannot have."""


def whole_number(value: Any, name: str) -> int:
    """An argument of a function as an int, from a whole number of Python's or NumPy's types.

    Raises:
        FieldError: naming the argument; for truth values and for 3.0, too.

    >>> whole_number(3, "episodes")
    3
    """
    try:
        if not isinstance(value, bool):
            return operator.index(value)
    except TypeError:
        pass
    raise FieldError(f"{name} must be a whole number, not {value!r}")


@dataclass(frozen=True)
class Range:
    """Interval of a number, for `Annotated`, bounds named as in annotated-types; infinity and NaN are out.

    Attributes:
        gt: the number is greater than this.
        ge: the number is greater than or equal to this.
        lt: the number is less than this.
        le: the number is less than or equal to this.

    >>> Range(ge=0, lt=1).refusal(1.0), Range(gt=0).refusal(0.5)
    ('must be in [0, 1), not 1.0', None)
    """

    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None

    def refusal(self, value: float) -> str | None:
        """Why `value` is refused; None if it is not."""
        if isinstance(value, float) and not math.isfinite(value):
            return f"must be a finite number, not {value}"
        inside = (
            (self.gt is None or value > self.gt)
            and (self.ge is None or value >= self.ge)
            and (self.lt is None or value < self.lt)
            and (self.le is None or value <= self.le)
        )
        return None if inside else f"{self._words()}, not {shown(value)}"

    def _words(self) -> str:
        low = self.ge if self.gt is None else self.gt
        high = self.le if self.lt is None else self.lt
        if low is not None and high is not None:
            left, right = "[" if self.gt is None else "(", "]" if self.lt is None else ")"
            return f"must be in {left}{low}, {high}{right}"
        if low is not None:
            above = "must not be below 0" if low == 0 else f"must be at least {low}"
            return above if self.gt is None else f"must be above {low}"
        return f"must be at most {high}" if self.lt is None else f"must be below {high}"


@dataclass(frozen=True)
class OneOf:
    """Allowed names of a field, for `Annotated`.

    >>> OneOf(("nature", "small")).refusal("smal")
    'must be one of nature, small, not "smal"'
    """

    names: tuple[str, ...]

    def refusal(self, value: str) -> str | None:
        """Why `value` is refused; None if it is not."""
        return None if value in self.names else f"must be one of {', '.join(self.names)}, not {shown(value)}"


PositiveInt: TypeAlias = Annotated[int, Range(ge=1)]
NonNegativeInt: TypeAlias = Annotated[int, Range(ge=0)]
PositiveFloat: TypeAlias = Annotated[float, Range(gt=0)]
NonNegativeFloat: TypeAlias = Annotated[float, Range(ge=0)]
UnitInterval: TypeAlias = Annotated[float, Range(ge=0, le=1)]


class Validated:
    """Base class of configuration dataclasses that refuse values outside the ranges of their fields.

    >>> @dataclass(frozen=True)
    ... class Recipe(Validated):
    ...     gamma: UnitInterval = 0.99
    >>> Recipe(gamma=1.5)
    Traceback (most recent call last):
    ValueError: gamma must be in [0, 1], not 1.5
    """

    def __post_init__(self) -> None:
        """Check every field against its range; None passes, where a field may be None.

        Raises:
            ValueError: naming the first field that is outside, its range and its value.
        """
        kind: Any = type(self)
        for name, ranges in field_ranges(kind).items():
            value = getattr(self, name)
            for allowed in ranges if value is not None else ():
                refusal = allowed.refusal(value)
                if refusal is not None:
                    raise ValueError(f"{name} {refusal}")


@cache
def type_hints(cls: type) -> Mapping[str, Any]:
    """Type hints of a class by field, resolved once: modules hold them as text."""
    return types.MappingProxyType(get_type_hints(cls))


@cache
def field_ranges(cls: type) -> dict[str, tuple[Range | OneOf, ...]]:
    """Ranges that the annotations of a class declare, by field; fields without one are left out."""
    hints = get_type_hints(cls, include_extras=True)
    return {name: found for name, hint in hints.items() if (found := tuple(_ranges(hint)))}


def _ranges(hint: Any) -> list[Range | OneOf]:
    if get_origin(hint) is Annotated:
        return [allowed for allowed in hint.__metadata__ if isinstance(allowed, Range | OneOf)]
    if get_origin(hint) in (Union, types.UnionType):
        return [allowed for option in get_args(hint) for allowed in _ranges(option)]
    return []


def nearest(name: str, names: Iterable[str]) -> str:
    """A hint for a misspelt name: the closest of `names`, or all of them.

    >>> nearest("learning_rat", ["gamma", "learning_rate"])
    'did you mean "learning_rate"?'
    """
    names = sorted(names)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    if not close:
        close = [n for n in names if name.lower() in n.lower()][:3]
    if close:
        return "did you mean " + " or ".join(f'"{n}"' for n in close) + "?"
    if len(names) <= MANY:
        return "there are " + ", ".join(f'"{n}"' for n in names) if names else "there are none"
    return f"there are {len(names)}; `playfield list` shows them"


def construct(cls: type[T], values: Mapping[str, Any], where: str, beside: Iterable[str] = ()) -> T:
    """An instance of dataclass `cls` from `values`.

    Args:
        cls: a dataclass; its annotations say what each value must be.
        values: keys are field names.
        where: the place in the user's input, for messages, such as ``pong.toml, [agent]``.
        beside: keys that may stand there, too, and have been taken out of `values`.

    Raises:
        FieldError: for unknown or missing keys, wrong types, and whatever `cls` itself refuses.
    """
    hints = type_hints(cls)  # type: ignore[arg-type]
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            raise FieldError(f'{where}: unknown key "{excerpt(key)}"; {nearest(key, [*fields, *beside])}')
    checked = {key: checked_value(value, hints[key], f"{where}: {key}") for key, value in values.items()}
    for name, f in fields.items():
        required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if required and name not in checked:
            raise FieldError(f'{where}: the key "{name}" is missing')
    try:
        return cls(**checked)
    except ValueError as error:
        raise FieldError(f"{where}: {error}") from error


def checked_value(value: Any, hint: Any, where: str) -> Any:
    """Check `value` against a type hint; integers pass for floats, lists for tuples, tables for dataclasses.

    Raises:
        FieldError: naming `where`, what was expected and what was given.
    """
    origin, options = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin is Literal:
        if not any(type(value) is type(option) and value == option for option in options):
            raise FieldError(f"{where} must be one of {', '.join(map(str, options))}, not {shown(value)}")
        return value
    if origin in (Union, types.UnionType):
        return _one_of(value, options, where)
    if origin in (tuple, list):
        if not isinstance(value, list | tuple):
            raise FieldError(f"{where} must be a list, not {shown(value)}")
        items = [checked_value(v, options[0], f"{where}[{i}]") for i, v in enumerate(value)]
        return items if origin is list else tuple(items)
    if origin is dict:
        if not isinstance(value, dict):
            raise FieldError(f"{where} must be a table, not {shown(value)}")
        return value
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if isinstance(value, hint):
            return value
        if not isinstance(value, Mapping):
            raise FieldError(f"{where} must be a table, not {shown(value)}")
        return construct(hint, value, where)
    return _plain(value, hint, where)


def _one_of(value: Any, options: tuple[Any, ...], where: str) -> Any:
    if value is None and type(None) in options:
        return None
    refusals = []
    for option in options:
        if option is not type(None):
            try:
                return checked_value(value, option, where)
            except FieldError as error:
                refusals.append(error)
    raise refusals[0]


def _plain(value: Any, kind: type, where: str) -> Any:
    if kind is float and type(value) in (int, float):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise FieldError(f"{where} must be a finite number, not {value}")
        return number
    if type(value) is kind:
        return value
    names = {int: "a whole number", float: "a number", str: "a string", bool: "true or false"}
    raise FieldError(f"{where} must be {names.get(kind, kind.__name__)}, not {shown(value)}")


def shown(value: Any) -> str:
    """A value as the user would write it in TOML, for error messages.

    >>> shown("abc"), shown(True), shown(3)
    ('"abc"', 'true', '3')
    """
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{excerpt(value)}"' if isinstance(value, str) else excerpt(str(value))


def excerpt(text: str, most: int = EXCERPT) -> str:
    """Shorten a long text to its beginning and end.

    >>> excerpt("9" * 100_000, 9)
    '9999…9999'
    """
    text, part = " ".join(text.split()), (most - 1) // 2
    return text if len(text) <= most else f"{text[:part]}…{text[-part:]}"


def check_path(path: str | Path, where: str) -> None:
    """Check that a path can be the name of a file, whether or not there is one.

    Raises:
        FieldError: naming `where` it stands.
    """
    try:
        os.lstat(path)
    except ValueError:
        raise FieldError(f"{where}: a path cannot hold a NUL character") from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise FieldError(f'{where}: the path "{excerpt(str(path))}" is too long') from None

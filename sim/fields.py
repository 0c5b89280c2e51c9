"""Strict construction of configuration dataclasses from user input such as TOML keys.

A scene's keys, ``--set`` and the keyword arguments of `sim.catalog.make_worlds` all pass through
here: an unknown key names its nearest neighbour, a wrong type or range names the key.
"""

from __future__ import annotations

import dataclasses
import difflib
import errno
import math
import os
import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from sim.errors import RequestError

T = TypeVar("T")

MANY = 64  # names; fewer are all listed
EXCERPT = 100  # characters of a user's text that a message repeats


class FieldError(RequestError, ValueError):
    """A key that does not exist, or a value that it cannot have."""


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
    hints = get_type_hints(cls)
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
    """Check `value` against a type hint; integers pass for floats, lists for tuples, and nothing else.

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
    """The beginning and the end of what is too long for one line.

    >>> excerpt("9" * 100_000, 9)
    '9999…9999'
    """
    text, part = " ".join(text.split()), (most - 1) // 2
    return text if len(text) <= most else f"{text[:part]}…{text[-part:]}"


def check_path(path: str | Path, where: str) -> None:
    """Refuse what cannot be the name of a file, whether or not there is one.

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

"""Parsing of the command line by tyro, with one-line errors and checks of values."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import Field, fields
from io import StringIO
from pathlib import Path
from typing import Any, get_args

import tyro

from scenes.console import say
from sim.errors import RequestError

LARGEST = 2**63 - 1  # of whole numbers; TOML has no larger ones either
OPTIONS = {"start_from": "--from"}  # of fields that are called otherwise
#: What tyro says of a wrong word, and the same as a user would put it.
COMPLAINTS = {
    r"Error parsing (\S+): .*?INT.*? from \['(.*?)'\]": '{0} takes a whole number, not "{1}"',
    r"Error parsing (\S+): .*?FLOAT.*? from \['(.*?)'\]": '{0} takes a number, not "{1}"',
    r"Error parsing (\S+): invalid literal for int\(\).*?'(.*?)'": '{0} takes a whole number, not "{1}"',
    r"invalid choice '(.*?)' for argument '(.*?)'\. .*? one of \((.*?)\)": '{1} cannot be "{0}", only {2}',
    r"Missing value for argument '(.*?)'": "{0} needs a value",
    r"Missing from .*?: (\S+)": "{0} is missing",
    r"Unrecognized (?:or misplaced )?options: ([^ ,]+)": '"{0}" is not understood',
}


def parse(verbs: Any, words: Sequence[str], description: str) -> Any:
    """Parse a command line into one of the dataclasses `verbs`.

    Raises:
        RequestError: in one line, for words that are none of its options.
        SystemExit: after ``--help`` was printed.
    """
    by_name, told = _by_name(verbs), StringIO()
    wanted, prog, about, rest = verbs, "playfield", description, list(words)
    if words and words[0] in by_name:  # all other verbs' parsers would take most of the time
        wanted, prog = by_name[words[0]], f"playfield {words[0]}"
        about = wanted.__doc__ or ""
        rest = without_idle(words[1:], wanted.idle)
    try:
        with redirect_stderr(told):
            return tyro.cli(
                wanted,
                prog=prog,
                description=about,
                args=rest,
                config=(tyro.conf.FlagCreatePairsOff,),
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        raise RequestError(usage_error(told.getvalue(), words, by_name)) from None


def _by_name(verbs: Any) -> dict[str, type[Any]]:
    """The dataclasses of a union ``Annotated[dataclass, subcommand(name)] | …``."""
    pairs = [get_args(member) for member in get_args(verbs)]
    return {note.name: cls for cls, *notes in pairs for note in notes if hasattr(note, "name")}


def without_idle(words: Sequence[str], idle: Sequence[str]) -> list[str]:
    """Remove options that have no effect from a command line, with a remark for each.

    >>> without_idle(["list", "--seed", "3", "--device=cpu", "agents"], ["seed"])
    ['list', '--device=cpu', 'agents']
    """
    kept: list[str] = []
    rest = iter(words)
    for word in rest:
        name, equals, _ = word.partition("=")
        if name.startswith("--") and name[2:] in idle:
            say(f"{name} changes nothing here")
            if not equals:
                next(rest, None)  # its value
        else:
            kept.append(word)
    return kept


def usage_error(text: str, words: Sequence[str], verbs: dict[str, type[Any]]) -> str:
    """Error message of a command line, in one line.

    Args:
        text: the box that tyro draws around it.
        words: the command line.
        verbs: name → dataclass of its options.
    """
    from sim.fields import excerpt, nearest

    verb = words[0] if words else ""
    if not words:
        return "say what to do, such as: playfield watch pong; playfield --help tells all"
    if verb not in verbs:
        return f'there is no verb "{excerpt(verb)}"; {nearest(verb, verbs)}'
    told = unboxed(text)
    for pattern, sentence in COMPLAINTS.items():
        found = re.search(pattern, told)
        if found:
            told = sentence.format(*map(excerpt, found.groups()))
            if pattern.startswith("Unrecognized") and found[1].startswith("-"):
                told += f"; {nearest(found[1], map(option, fields(verbs[verb])))}"
            break
    return f"{excerpt(told, 400)}; see playfield {verb} --help"


def unboxed(text: str) -> str:
    r"""The first paragraph in a box that tyro draws, in UTF-8 or ASCII, without colours.

    >>> unboxed("╭─ Value ─╮\n│ a wrong │\n│ word    │\n│ ─────── │\n│ see it  │\n╰─────────╯")
    'a wrong word'
    >>> unboxed("  Value   \n --------\n  a wrong \n  word    \n --------\n  see it  ")
    'a wrong word'
    """
    lines = [line.strip("│ ") for line in re.sub(r"\x1b\[[\d;]*m", "", text).splitlines()]
    title = 1 if lines and lines[0].startswith("╭") else 2
    kept = itertools.takewhile(lambda line: not re.fullmatch("[─-]{7,}|╰.*", line), lines[title:])
    return " ".join(" ".join(kept).split())


def option(field: Field[Any]) -> str:
    """Name of a field's option on the command line."""
    return OPTIONS.get(field.name, "--" + field.name.replace("_", "-"))


def check(verb: Any) -> None:
    """Check a verb's values: the present folder exists, numbers and paths are within range.

    Raises:
        RequestError: naming the option.
    """
    from sim.fields import check_path

    try:
        os.getcwd()
    except OSError:
        raise RequestError("the current folder has been deleted: cd to one that exists") from None
    for field in fields(verb):
        value = getattr(verb, field.name)
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, int) and abs(item) > LARGEST:
                raise RequestError(f"{option(field)} is too large: it must be at most {LARGEST:,}")
            if isinstance(item, Path):
                check_path(item, option(field))
            elif field.name == "input" and isinstance(item, str) and "\0" in item:
                raise RequestError(f"{option(field)}: a text cannot hold a NUL character")

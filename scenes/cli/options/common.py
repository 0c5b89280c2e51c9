"""Options that all verbs of the command line share, and types of their arguments."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar, Literal

import tyro
from tyro.conf import Positional, Suppress, UseAppendAction

NO_DEFAULT = ("None", "False", "", "(required)")
#: Defaults stand in the help as `[20]`, and only where there are any.
arg = partial(tyro.conf.arg, help_behavior_hint=lambda value: f"[{value}]" * (value not in NO_DEFAULT))

SceneName = Annotated[Positional[str], arg(metavar="SCENE", help="a shipped scene, or a scene file's path")]


Overwrite = Annotated[bool, arg(help="replace files that are there already")]


@dataclass(frozen=True, kw_only=True)
class Common:
    """Options of every verb.

    `idle` options have no effect: they are accepted, and not in the help. A `quick` verb shows no progress.
    """

    idle: ClassVar[tuple[str, ...]] = ()
    quick: ClassVar[bool] = False

    set: Annotated[
        UseAppendAction[tuple[str, ...]],
        arg(metavar="KEY.PATH=VALUE", help="change a key of the scene; repeatable"),
    ] = ()
    seed: Annotated[int | None, arg(help="instead of the scene's own", metavar="N")] = None
    device: Annotated[Literal["auto", "cpu", "cuda"], arg(help="where models run")] = "auto"
    json: Annotated[bool, arg(help="end stdout with one line of JSON")] = False


@dataclass(frozen=True, kw_only=True)
class WithoutScene(Common):
    """Options of a verb without a scene, where ``--set``, ``--seed`` and ``--device`` have no effect."""

    set: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="KEY.PATH=VALUE"), Suppress] = ()
    seed: Annotated[int | None, arg(metavar="N"), Suppress] = None
    device: Annotated[Literal["auto", "cpu", "cuda"], Suppress] = "auto"

    idle = ("set", "seed", "device")
    quick = True

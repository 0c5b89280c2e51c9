"""Results of work: a JSON object for programs, tables and lines for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scenes.console import show, stdout_console

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Report:
    """Result of a command: an answer for programs, tables and lines for people.

    Attributes:
        answer: the JSON object of the verb's ``--json``.
        parts: the same for people, in order: tables of rich, and lines.
        interrupted: whether Ctrl-C or SIGTERM ended the work before its end.
    """

    answer: dict[str, Any]
    parts: Sequence[Table | str] = ()
    interrupted: bool = False

    def whole(self) -> dict[str, Any]:
        """The answer of work that came to its end.

        Raises:
            KeyboardInterrupt: if it was interrupted.
        """
        if self.interrupted:
            raise KeyboardInterrupt
        return self.answer

    def show(self) -> None:
        """Print the parts to stdout.

        >>> Report({"n": 2}, ["2 pictures"]).show()
        2 pictures
        """
        for part in self.parts:
            if isinstance(part, str):
                show(part)
            else:
                stdout_console().print(part)

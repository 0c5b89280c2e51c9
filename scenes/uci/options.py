"""UCI options: what `uci` tells of them, and what `setoption` may set.

Names are compared without regard to case, as the protocol demands. A search takes the options as they stand
when it starts: setting one never disturbs a search in progress.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from scenes.uci.protocol import EXCERPT, parse_whole
from scenes.uci.strength import LEAST_ELO, MOST_ELO, Strength, limited, parse_temperature
from sim.fields import excerpt

MOST_SIMULATIONS = 1_000_000
MOST_LINES = 218  # legal moves in the position with the most (R. Petrović, 1964)
MOST_OVERHEAD = 10_000  # milliseconds


@dataclass(frozen=True)
class OptionValues:
    """Values of the options.

    Attributes:
        simulations: a move, where `go` sets no limit.
        multi_pv: principal variations to tell.
        show_wdl: tell win, draw and loss per mille.
        limit_strength: play at `elo`.
        elo: see `scenes.uci.strength`.
        temperature: of the draw among the root's moves; 0 plays the best one.
        analyse_mode: the client analyses: no limit of strength, no temperature.
        move_overhead: milliseconds of a move that the client and the connection need.
        ponder: whether the client may let the engine ponder; it asks by `go ponder` in any case.
    """

    simulations: int
    multi_pv: int = 1
    show_wdl: bool = False
    limit_strength: bool = False
    elo: int = 1200
    temperature: float = 0.0
    analyse_mode: bool = False
    move_overhead: int = 50
    ponder: bool = False

    def strength(self) -> Strength:
        """How strong to play."""
        if self.analyse_mode:
            return Strength()
        if self.limit_strength:
            return limited(self.elo)
        return Strength(temperature=self.temperature)


@dataclass(frozen=True)
class Option:
    """An option as UCI knows it.

    Attributes:
        name: as the client shows it.
        kind: check, spin, string or button.
        key: of `OptionValues`; "" for a button.
        least: of a spin.
        most: of a spin.
        searching: whether it is for agents that search only.
    """

    name: str
    kind: str
    key: str = ""
    least: int = 0
    most: int = 0
    searching: bool = False

    def line(self, defaults: OptionValues) -> str:
        """The line that tells a client of it.

        >>> Option("MultiPV", "spin", "multi_pv", 1, 218).line(OptionValues(simulations=32))
        'option name MultiPV type spin default 1 min 1 max 218'
        """
        line = f"option name {self.name} type {self.kind}"
        if self.kind == "button":
            return line
        default = getattr(defaults, self.key)
        shown = str(default).lower() if self.kind == "check" else default
        return f"{line} default {shown}" + (
            f" min {self.least} max {self.most}" if self.kind == "spin" else ""
        )

    def parse(self, text: str) -> int | bool | float:
        """Parse a value.

        Raises:
            ValueError: naming the option and what it takes.
        """
        if self.kind == "check":
            if text.lower() not in ("true", "false"):
                raise ValueError(f'{self.name} must be true or false, not "{excerpt(text, EXCERPT)}"')
            return text.lower() == "true"
        if self.kind == "string":
            return parse_temperature(excerpt(text, EXCERPT))
        number = parse_whole(self.name, text)
        if not self.least <= number <= self.most:
            raise ValueError(f"{self.name} must be in {self.least}…{self.most}, not {number}")
        return number


#: Floating-point numbers are strings in UCI, as Lc0 has them.
OPTIONS = (
    Option("Simulations", "spin", "simulations", 1, MOST_SIMULATIONS, searching=True),
    Option("MultiPV", "spin", "multi_pv", 1, MOST_LINES),
    Option("UCI_ShowWDL", "check", "show_wdl"),
    Option("UCI_LimitStrength", "check", "limit_strength", searching=True),
    Option("UCI_Elo", "spin", "elo", LEAST_ELO, MOST_ELO, searching=True),
    Option("Temperature", "string", "temperature"),
    Option("UCI_AnalyseMode", "check", "analyse_mode"),
    Option("Move Overhead", "spin", "move_overhead", 0, MOST_OVERHEAD, searching=True),
    Option("Ponder", "check", "ponder", searching=True),
    Option("Clear Hash", "button", searching=True),
)


class Options:
    """The options of an engine and their values."""

    def __init__(self, simulations: int, *, searching: bool) -> None:
        """Set the defaults.

        Args:
            simulations: the agent's own number.
            searching: whether the agent searches at all.
        """
        self.values = self._defaults = OptionValues(simulations)
        self.offered = tuple(option for option in OPTIONS if searching or not option.searching)

    def lines(self) -> list[str]:
        """What `uci` tells."""
        return [option.line(self._defaults) for option in self.offered]

    def set(self, name: str, value: str) -> Option:
        """Set an option by its name, whatever the case; the value of a button is ignored.

        Raises:
            ValueError: for an unknown name or an invalid value; nothing is changed.
        """
        option = next((option for option in self.offered if option.name.lower() == name.lower()), None)
        if option is None:
            known = ", ".join(option.name for option in self.offered)
            raise ValueError(f'there is no option "{excerpt(name, EXCERPT)}"; there are {known}')
        if option.key:
            change: dict[str, Any] = {option.key: option.parse(value)}
            self.values = replace(self.values, **change)
        return option

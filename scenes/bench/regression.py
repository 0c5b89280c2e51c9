"""Regression check (``bench --check``): measured ratios against those of an earlier commit in the history."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from rich.console import Console

from scenes.bench.history import Entry, HistoryError, named_commit
from sim.plurals import number_of

FALL = 0.15  # of a ratio, above which the check fails
FEWEST_DIGITS = 4  # of a commit, as in git


@dataclass(frozen=True)
class Checked:
    """Comparison of one row.

    Attributes:
        name: the row's.
        commit: of the earlier figure, in short; None if there is none.
        date: of the earlier figure.
        before: the earlier ratio.
        now: the ratio just measured; None for a row without a peer.
        fell: whether it is more than `FALL` below.
    """

    name: str
    commit: str | None
    date: str | None
    before: float | None
    now: float | None
    fell: bool


class Baseline:
    """Earlier ratios to check against, by row: of one commit, or the newest of any other commit.

    Attributes:
        found: by row, the newest run that has it.
    """

    def __init__(self, history: Sequence[Entry], commit: str, names: Collection[str], here: Entry) -> None:
        """Look for the rows in a history.

        Args:
            history: its runs, oldest first.
            commit: the first digits of one, or what git knows it as; "" for any other than that of `here`.
            names: rows that will be measured.
            here: an entry of this source on this machine, without rows.

        Raises:
            HistoryError: if there is nothing to check against, with what there is.
        """
        runs = [entry for entry in history if entry.place == here.place]
        runs = of_commit(runs, commit) if commit else [run for run in runs if run.label != here.label]
        self.found = {name: entry for entry in runs for name in entry.ratios() if name in names}
        if not self.found:
            what = f"commit {commit}" if commit else f"a commit other than {here.label}"
            raise HistoryError(
                f"--check: the history has no ratio of {', '.join(names)} at {what} on this processor with "
                f"these threads; {contents(history, here.place)}"
            )

    def check(self, now: dict[str, float | None]) -> list[Checked]:
        """Compare the ratios `now` by row; rows without an earlier one do not fall."""
        checked = []
        for name, ratio in now.items():
            entry = self.found.get(name)
            if entry is None:
                checked.append(Checked(name, None, None, None, ratio, False))
                continue
            before = entry.ratios()[name]
            fell = ratio is None or ratio < (1 - FALL) * before
            checked.append(Checked(name, entry.label, entry.date, before, ratio, fell))
        return checked


def of_commit(runs: Sequence[Entry], commit: str) -> list[Entry]:
    """Runs of a commit; those of a clean checkout last, so that they count where there are both."""
    stem = commit.removesuffix("-dirty")
    begins = tuple(name for name in (named_commit(stem), stem) if len(name) >= FEWEST_DIGITS)
    matching = [
        entry
        for entry in runs
        if entry.label == commit
        or (entry.commit and entry.commit.startswith(begins) and entry.commit.endswith(commit[len(stem) :]))
    ]
    return sorted(matching, key=lambda entry: not (entry.commit or "").endswith("-dirty"))


def contents(history: Sequence[Entry], place: tuple[object, ...]) -> str:
    """What a history holds for this machine, in one line: its newest commits with their rows."""
    rows: dict[str, list[str]] = {}
    for entry in reversed(history):
        if entry.place == place:
            rows[entry.label] = list(dict.fromkeys([*rows.get(entry.label, []), *entry.ratios()]))
    told = "; ".join(f"{label}: {', '.join(names) or 'no ratios'}" for label, names in list(rows.items())[:5])
    if told:
        return f"it has {told}"
    if history:
        return f"it has {number_of(len(history), 'row')} of other processors, threads or devices alone"
    return "it is empty: run `playfield bench NAME --json` at the earlier commit first"


def show(checked: Sequence[Checked], console: Console) -> None:
    """Print each row's earlier and present ratio."""
    for row in checked:
        now = "no ratio" if row.now is None else f"{row.now:.2f}×"
        if row.before is None:
            console.print(f"{row.name}: {now}, nothing earlier to check against", soft_wrap=True)
            continue
        change = "" if row.now is None else f" ({row.now / row.before - 1:+.1%})"
        verdict = f", a fall of more than {FALL:.0%}" if row.fell else ""
        console.print(
            f"{row.name}: {row.before:.2f}× at {row.commit}, now {now}{change}{verdict}",
            style="bold red" if row.fell else None,
            highlight=False,
            soft_wrap=True,
        )

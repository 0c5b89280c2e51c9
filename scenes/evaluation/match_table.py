"""Metrics and table of chess matches, by opponent and over all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from agents.evaluation.elo import EloEstimate, elo_estimate, share_interval
from agents.evaluation.paired_match import PairedGame, PairTally
from scenes.evaluation.match_rivals import Contestant
from scenes.evaluation.score_format import format_protocol
from sim.plurals import number_of

SHARES = ("win", "draw", "loss", "cut", "mates")


@dataclass
class MatchRecord:
    """The games against one opponent so far.

    Attributes:
        rival: the opponent.
        games: all of its match.
        chance: those of the random player in the agent's place; none against agents, which move slowly.
        fault: why the match broke down; "" if it did not.
    """

    rival: Contestant
    games: list[PairedGame] = field(default_factory=list)
    chance: list[PairedGame] = field(default_factory=list)
    fault: str = ""

    @property
    def counted(self) -> list[PairedGame]:
        """The games with a result; none of a match that broke down."""
        return [] if self.fault else [game for game in self.games if game.points is not None]

    def faults(self) -> list[str]:
        """Why games have no result, or the whole match, each reason once."""
        reasons = [game.reason for game in self.games if game.failed is not None]
        return [self.fault] if self.fault else list(dict.fromkeys(reasons))


#: A PGN file, how many games it has, and why it has not all; "" if it has.
Written: TypeAlias = tuple[Path, int, str]


def match_answer(
    records: Sequence[MatchRecord],
    protocol: Mapping[str, Any],
    missing: Mapping[str, str],
    written: Written | None,
) -> dict[str, Any]:
    """The JSON object of matches: metrics over all opponents, and by opponent."""
    counted = [record for record in records if record.counted]
    breakdown = {record.rival.name: match_metrics(record.games) for record in counted}
    pooled = (
        next(iter(breakdown.values())) if len(counted) == 1 else pooled_metrics([r.games for r in counted])
    )
    chance = [each.chance for each in counted if any(game.points is not None for game in each.chance)]
    baseline = pooled_metrics(chance) if chance else {}
    answer = {
        "metrics": {name: value for name, value in pooled.items() if name != "ci95"},
        "baseline": {name: value for name, value in baseline.items() if name != "ci95"},
        "breakdown": breakdown,
        "n": pooled["games"],
        "ci95": pooled["ci95"],
        "protocol": dict(protocol),
        "missing": dict(missing) | {each.rival.name: each.fault for each in records if each.fault},
        "file": str(written[0]) if written is not None and written[1] else None,
    }
    return answer | ({"error": written[2]} if written is not None and written[2] else {})


def match_remarks(
    records: Sequence[MatchRecord], missing: Mapping[str, str], written: Written | None
) -> list[str]:
    """Lines below the table: who did not play, which games have no result, and the file."""
    lines = [f"{name} was left out: {why}" for name, why in missing.items()]
    for record in records:
        name, total = record.rival.name, len(record.games)
        failed = sum(game.failed is not None for game in record.games)
        over = sum(game.over for game in record.games)
        if record.fault:
            lines.append(f"the match against {name} broke down and is not scored: {record.fault}")
        elif failed:
            lines.append(
                f"{number_of(failed, 'game')} against {name} without a result: {'; '.join(record.faults())}"
            )
        if over < total and not record.fault:
            lines.append(f"stopped after {over} of {total} games against {name}: short games ended first")
    if written is not None:
        path, games, unwritten = written
        lines.append(unwritten or f"{number_of(games, 'game')} in {path}")
    return lines


def match_metrics(games: Sequence[PairedGame]) -> dict[str, Any]:
    """Metrics of the games against one opponent, with a result each but for ``failed``.

    The shares `win`, `draw`, `loss` and `cut` sum to 1, `mates` is the share of wins by mate; `score` and its
    part by colour, `elo` to the opponent (a one-sided bound where one end of its interval is None), mean
    `length` in plies, `games`, how many `failed`, and intervals as `ci95`.
    """
    tally = PairTally.of(games)
    elo = elo_estimate(tally.points, tally.games)
    metrics = pooled_metrics([games])
    metrics["elo"] = elo.elo
    metrics["ci95"]["elo"] = [elo.low, elo.high]
    return metrics


def pooled_metrics(matches: Sequence[Sequence[PairedGame]]) -> dict[str, Any]:
    """The metrics of `match_metrics` over several opponents' games, but for the Elo difference."""
    tallies = [PairTally.of(games) for games in matches]
    played = np.concatenate([tally.games for tally in tallies])
    counts = {
        "win": np.concatenate([tally.wins for tally in tallies]),
        "draw": np.concatenate([tally.draws for tally in tallies]),
        "loss": np.concatenate([tally.losses for tally in tallies]),
        "cut": np.concatenate([tally.cut for tally in tallies]),
        "mates": np.concatenate([tally.mates for tally in tallies]),
        "score": np.concatenate([tally.points for tally in tallies]),
    }
    counted = [game for games in matches for game in games if game.points is not None]
    metrics: dict[str, Any] = {name: float(hits.sum() / played.sum()) for name, hits in counts.items()}
    for name, side in (("score_white", 0), ("score_black", 1)):
        points = [game.points for game in counted if game.side == side and game.points is not None]
        metrics[name] = float(np.mean(points)) if points else None
    metrics["length"] = float(np.mean([len(game.actions) for game in counted]))
    metrics["games"] = len(counted)
    metrics["failed"] = sum(game.failed is not None for games in matches for game in games)
    metrics["ci95"] = {name: list(share_interval(hits, played)) for name, hits in counts.items()}
    return metrics


def match_table(title: str, records: Sequence[MatchRecord], protocol: Mapping[str, Any]) -> Table:
    """Table with a row an opponent, in 80 columns; cut games have a column if there are any."""
    records = [record for record in records if record.counted]
    found = [match_metrics(record.games) for record in records]
    cut = any(row["cut"] for row in found)
    table = Table(title=f"{title}: both colours of each opening", box=SIMPLE_HEAD, padding=0, pad_edge=False)
    table.add_column("opponent", overflow="fold", min_width=9)
    headings = ["win\n(mates)", "draw", "loss", *["cut"] * cut, "score", "Elo (95 %)"]
    for heading in (*headings, "White", "Black", "plies", "random\nplayer"):
        table.add_column(heading, justify="right", no_wrap=True)
    for record, row in zip(records, found, strict=True):
        counts = {name: round(row[name] * row["games"]) for name in SHARES}
        low, high = row["ci95"]["elo"]
        chance = [game.points for game in record.chance if game.points is not None]
        table.add_row(
            record.rival.name,
            f"{counts['win']} ({counts['mates']})",
            str(counts["draw"]),
            str(counts["loss"]),
            *[str(counts["cut"])] * cut,
            _percent(row["score"]),
            str(EloEstimate(row["elo"], low, high)),
            *("–" if row[side] is None else f"{row[side]:.0%}" for side in ("score_white", "score_black")),
            f"{row['length']:.0f}",
            _percent(float(np.mean(chance))) if chance else "–",
        )
    table.caption = format_protocol(dict(protocol))
    return table


def _percent(share: float) -> str:
    """A share in percent, with a decimal where it is neither all nor nothing.

    >>> _percent(1.0), _percent(0.125)
    ('100%', '12.5%')
    """
    return f"{share:.0%}" if share in (0.0, 1.0) else f"{share:.1%}"

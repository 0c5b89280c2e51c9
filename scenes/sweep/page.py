"""Files of a sweep's report: JSON, pictures, and one HTML page that opens from disk with no network."""

from __future__ import annotations

import base64
import io
import json
import shlex
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from rich.table import Table

from scenes.console import duration
from scenes.sweep.figures import by_parameter, overview
from scenes.sweep.folder import SweepFolder
from scenes.sweep.process_pool import resume_command
from scenes.sweep.report import SweepReport, TrialRow
from scenes.sweep.search_space import toml_value
from sim.plurals import number_of
from sim.records import Array
from supervised.figure import ACCENT, GROUND, LINE, MUTED, NEGATIVE, PANEL, TEXT

TEMPLATE = Path(__file__).with_name("page.html")
COLOURS = {
    "ground": GROUND, "panel": PANEL, "line": LINE,
    "text": TEXT, "muted": MUTED, "accent": ACCENT, "negative": NEGATIVE,
}  # fmt: skip
OVERVIEW, PARAMETERS = "report.png", "parameters.png"


def write_report(folder: SweepFolder, report: SweepReport) -> list[Path]:
    """Write report.json, report.png, parameters.png and report.html into the sweep's folder.

    Returns:
        The files, the page first.

    Raises:
        SaveError: if one cannot be written; an older one of that name stays.
        MissingPackageError: without matplotlib; the JSON is written.
    """
    text = json.dumps(_finite(report.table()), indent=1, ensure_ascii=False)
    files = [folder.write_text("report.json", text + "\n")]
    pictures = {OVERVIEW: _png(overview(report)), PARAMETERS: _png(by_parameter(report))}
    for name, png in pictures.items():
        files.append(folder.write_file(name, lambda file, content=png: file.write_bytes(content)))  # type: ignore[misc]
    return [folder.write_text("report.html", page(report, pictures)), *files]


def page(report: SweepReport, pictures: dict[str, bytes]) -> str:
    """Render a report as one HTML page with its pictures (name → PNG) inside it."""
    definition = report.definition
    states = [row.state for row in report.rows]
    counted = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    seeds = "" if definition.seeds == 1 else f", {definition.seeds} seeds each"
    steps = number_of(definition.steps, definition.unit.replace("_", " ").removesuffix("s"))
    return Template(TEMPLATE.read_text("utf-8")).substitute(
        COLOURS,
        title=escape(f"{report.title}: sweep"),
        about=escape(
            f"{number_of(definition.trials, 'trial')} of {steps}{seeds}: {counted or 'none begun yet'}"
        ),
        best=_best(report),
        figures="\n".join(_figure(name, pictures[name], report) for name in (OVERVIEW, PARAMETERS)),
        caption=escape(_caption(report)),
        head="".join(f'<th scope="col"><button>{escape(name)}</button></th>' for name in _headings(report)),
        rows="\n".join(_row(row, report) for row in report.rows),
        protocol=escape(_sentence(report.protocol)),
        command=escape(resume_command(SweepFolder(Path(report.folder)), definition)),
    )


def _best(report: SweepReport) -> str:
    best = report.best
    if best is None:
        return '<section class="best"><p>No trial has a score yet.</p></section>'
    interval = "" if best.low is None else f" <small>95 % interval {escape(format_interval(best))}</small>"
    values = "".join(
        f"<dt>{escape(key)}</dt><dd>{escape(format_value(value))}</dd>" for key, value in best.params.items()
    )
    return (
        '<section class="best" aria-labelledby="best-heading">'
        f'<h2 id="best-heading">Best: trial {best.trial}{", the scene’s own values" if best.own else ""}</h2>'
        f'<p class="score">{format_score(best.score)}{interval}</p><dl>{values}</dl>'
        f"<p><code>{escape(report.command or '')}</code></p></section>"
    )


def _figure(name: str, png: bytes, report: SweepReport) -> str:
    count = len(report.finished)
    alt = {
        OVERVIEW: f"Scores of {count} trials against training time, and importance of parameters",
        PARAMETERS: f"Scores by {', '.join(report.definition.search)}",
    }[name]
    source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return f'<figure><img src="{source}" alt="{escape(alt)}"></figure>'


def _caption(report: SweepReport) -> str:
    over = {row.interval_over for row in report.finished} - {None}
    interval = {
        "seeds": "Intervals: 95 %, Student’s over seeds. ",
        "episodes": "Intervals: 95 % bootstrap over the evaluation episodes of one seed, not over seeds. ",
    }
    return "".join(interval[each] for each in sorted(filter(None, over))) + "A heading sorts."


def _headings(report: SweepReport) -> list[str]:
    return ["trial", "score", "95 % interval", *report.definition.search, "training time", "state"]


def _row(row: TrialRow, report: SweepReport) -> str:
    cells = [_cell(row.trial, str(row.trial) + (" (own)" if row.own else ""))]
    cells.append(_cell(row.score, format_score(row.score), "score"))
    cells.append(_cell(None if row.low is None else row.low, format_interval(row)))
    for key in report.definition.search:
        value = row.params.get(key)
        cells.append(_cell(value, "–" if value is None else format_value(value)))
    cells.append(_cell(row.seconds or None, duration(row.seconds) if row.seconds else "–"))
    cells.append(_cell(row.state, format_state(row), "failed" if row.error else "state"))
    best = ' class="best-row"' if report.best is row else ""
    return f"<tr{best}>{''.join(cells)}</tr>"


def _cell(value: Any, text: str, kind: str = "") -> str:
    of = f' class="{kind}"' if kind else ""
    sort = "" if value is None else str(value)
    return f'<td{of} data-value="{escape(sort)}">{escape(text)}</td>'


def format_score(score: float | None) -> str:
    """Format a score.

    >>> format_score(199.456), format_score(None), format_score(0.01234)
    ('199.5', '–', '0.01234')
    """
    return "–" if score is None else f"{score:,.4g}"


def format_interval(row: TrialRow) -> str:
    """Format the interval of a score."""
    return "–" if row.low is None or row.high is None else f"{row.low:,.4g} … {row.high:,.4g}"


def format_state(row: TrialRow) -> str:
    """Format the state of a trial, with how far one without a score came, or why it failed."""
    if row.state in ("pruned", "unfinished"):
        return f"{row.state} at {row.progress:.0%}"
    return f"{row.state}: {row.error}" if row.error else row.state


def format_value(value: Any) -> str:
    """Format a hyperparameter.

    >>> format_value(0.000312345678), format_value("adam"), format_value(64)
    ('0.0003123', 'adam', '64')
    """
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else toml_value(value)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".")


def _png(picture: Array) -> bytes:
    from matplotlib.image import imsave

    file = io.BytesIO()
    imsave(file, picture, format="png")
    return file.getvalue()


def _finite(value: Any) -> Any:
    """A report without NaN, which JSON has none of: the interval of one value."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and value != value else value


def report_lines(report: SweepReport, files: Sequence[Path]) -> list[str]:
    """What stands below the table on stdout."""
    lines = []
    if report.best is not None:
        lines.append(f"best: trial {report.best.trial}, {format_score(report.best.score)}")
        lines.append(f"train it: {report.command}")
        watch = f"watch it: playfield watch {shlex.quote(report.definition.scene)} --run"
        lines += [f"{watch} {shlex.quote(run)}" for run in report.best.runs[:1]]
    return lines + [str(file) for file in files]


def report_table(report: SweepReport) -> Table:
    """The trials as a table for stdout."""
    table = Table(title=report.title, box=None, pad_edge=False)
    for name in ("trial", "score", "95 % interval", *report.definition.search, "time"):
        table.add_column(name, justify="right")
    table.add_column("state", overflow="fold")
    for row in report.rows:
        values = [row.params.get(key) for key in report.definition.search]
        table.add_row(
            f"{row.trial}{' (own)' if row.own else ''}",
            format_score(row.score),
            format_interval(row),
            *("–" if value is None else format_value(value) for value in values),
            duration(row.seconds) if row.seconds else "–",
            format_state(row),
        )
    table.caption = report.protocol
    return table

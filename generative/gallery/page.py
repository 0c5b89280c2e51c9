"""HTML page of a gallery: one file with every image inside it, that opens from disk with no network."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from generative.gallery.content import Clip, GalleryContent, Grades, Strip
from generative.gallery.pictures import grid, strip_picture
from generative.gallery.sample_list import inline, map_section, options, toolbar
from generative.metrics.names import METRIC_NAMES, metric_title
from sim.plurals import number_of
from sim.records import Array
from sim.viewer.draw.theme import CLASS_COLORS, PALETTE, Color

TEMPLATE, STYLE, SCRIPT = (Path(__file__).with_name(f"page.{kind}") for kind in ("html", "css", "js"))
COLOURS = ("ground", "panel", "raised", "line", "text", "muted", "accent", "positive", "negative")


def page(gallery: GalleryContent) -> str:
    """Render a gallery as one HTML page with every image inside it."""
    colours = {name: _hex(getattr(PALETTE, name)) for name in COLOURS}
    colours["series"] = " ".join(map(_hex, CLASS_COLORS))
    return Template(TEMPLATE.read_text("utf-8")).substitute(
        style=Template(STYLE.read_text("utf-8")).substitute(colours),
        script=SCRIPT.read_text("utf-8"),
        title=escape(gallery.title),
        about=escape(gallery.about),
        heading=number_of(len(gallery.samples), "sample"),
        layout="samples prompted" if any(shown.prompt for shown in gallery.samples) else "samples",
        note=escape(gallery.note),
        toolbar=toolbar(gallery),
        samples=options(gallery),
        map=map_section(gallery),
        sections="\n".join([*map(_strip_section, gallery.strips), _clips_section(gallery.clips)]),
        figures="\n".join([_figures(gallery), _grades(gallery.checkpoint)]),
        command=escape(gallery.command),
        protocol=_rules(gallery.protocol),
    )


def _hex(colour: Color) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _strip_section(strip: Strip) -> str:
    """A strip as one image, or where its rows have names as one image a row, each under its name."""
    heading, caption = f"{strip.name}-heading", escape(strip.caption)
    if strip.rows:
        rows = "".join(
            f'<li><span class="row">{escape(name)}</span>'
            f"{_wide(grid(list(row), len(row)), escape(name))}</li>"
            for name, row in zip(strip.rows, strip.pictures, strict=True)
        )
        shown = f'<ul class="rows">{rows}</ul>'
    else:
        shown = _wide(strip_picture(strip), caption)
    return (
        f'<section aria-labelledby="{heading}"><h2 id="{heading}">{escape(strip.heading)}</h2>'
        f'<figure class="strip"><figcaption>{caption}</figcaption>'
        f'<div class="scroll" tabindex="0" role="region" aria-labelledby="{heading}">{shown}</div>'
        "</figure></section>"
    )


def _wide(picture: Array, alt: str) -> str:
    height, width = picture.shape[:2]
    return f'<img src="{inline(picture)}" width="{width}" height="{height}" alt="{alt}">'


def _clips_section(clips: tuple[Clip, ...]) -> str:
    if not clips:
        return ""
    figures = "".join(
        f'<figure><video src="{clip.name}.mp4" poster="{inline(clip.frames[-1])}" controls muted loop '
        f'playsinline preload="metadata" aria-label="{escape(clip.caption)}"></video>'
        f"<figcaption><strong>{escape(clip.heading)}.</strong> {escape(clip.caption.rstrip('.'))}. "
        f"Also as {clip.name}.gif.</figcaption></figure>"
        for clip in clips
    )
    wide = all(clip.frames.shape[2] > 2 * clip.frames.shape[1] for clip in clips)
    return (
        f'<section aria-labelledby="clips-heading"><h2 id="clips-heading">Animations</h2>'
        f'<div class="{"clips wide" if wide else "clips"}">{figures}</div></section>'
    )


def _figures(gallery: GalleryContent) -> str:
    """The table of metrics of the gallery's own samples."""
    count = len(gallery.samples)
    these = f"the {count:,} samples" if count > 1 else "the sample"
    columns = {"measured": {name: format_metric(value) for name, value in gallery.metrics.items()}}
    for name, figures in gallery.columns.items():
        columns[name] = {figure: format_metric(value) for figure, value in figures.items()}
    return _table_section("figures", "Metrics", f"Measured on {these} above.", columns)


def _grades(grades: Grades | None) -> str:
    """The table of scores from the checkpoint's card."""
    if grades is None:
        return ""
    of = number_of(grades.n, "other sample") if grades.n else "other samples"
    caption = f"From its card: of {of} of this model, not of those above."
    columns = {"on its card": {name: format_metric(value) for name, value in grades.metrics.items()}}
    if grades.ci95:
        columns["95 % interval"] = {name: _interval(ends) for name, ends in grades.ci95.items()}
        caption += " Intervals are over samples of the model."
    rules = f" Protocol: {_rules(grades.protocol)}." if grades.protocol else ""
    return _table_section("grades", "Checkpoint scores", caption + rules, columns)


def _table_section(name: str, heading: str, caption: str, columns: Mapping[str, Mapping[str, str]]) -> str:
    """A table of metrics by heading; its rows are those of the first column, each with its explanation."""
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in ["", *columns, "meaning"])
    first, rows = next(iter(columns.values())), []
    for figure in first:
        cells = [f"<td>{escape(cell.get(figure, ''))}</td>" for cell in columns.values()]
        cells[0] = f'<td class="ours">{escape(first[figure])}</td>'
        meaning = METRIC_NAMES[figure].meaning if figure in METRIC_NAMES else ""
        cells.append(f'<td class="says">{escape(meaning)}</td>')
        title = f'<th scope="row" title="{escape(figure)}">{escape(metric_title(figure))}</th>'
        rows.append(f"<tr>{title}{''.join(cells)}</tr>")
    return (
        f'<section aria-labelledby="{name}-heading"><h2 id="{name}-heading">{escape(heading)}</h2>'
        f'<div class="scroll" tabindex="0" role="region" aria-labelledby="{name}-heading">'
        f"<table><caption><span>{caption}</span></caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div></section>"
    )


def _interval(ends: list[float]) -> str:
    return f"{format_metric(ends[0])} … {format_metric(ends[1])}"


def _rules(protocol: Mapping[str, Any]) -> str:
    return escape(" · ".join(f"{name}: {value}" for name, value in protocol.items()))


def format_metric(value: float) -> str:
    """Format a metric with about three significant digits.

    >>> format_metric(0.0123), format_metric(3.14159), format_metric(250.4), format_metric(10)
    ('0.012', '3.14', '250', '10')
    """
    size = abs(value)
    if size >= 100 or (size >= 1 and value == round(value)):
        return f"{value:.0f}"
    return f"{value:.{1 if size >= 10 else 2 if size >= 1 else 3}f}"

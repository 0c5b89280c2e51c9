"""HTML page of a gallery: one file with every image inside it, that opens from disk with no network."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from generative.gallery.content import Clip, GalleryContent, Grades, SampleEntry, Strip
from generative.gallery.pictures import grid, png, strip_picture
from sim.plurals import number_of
from sim.records import Array
from sim.viewer.draw.theme import PALETTE

TEMPLATE = Path(__file__).with_name("page.html")
COLOURS = ("ground", "panel", "raised", "line", "text", "muted", "accent", "positive", "negative")

#: The explanation of each metric on the page.
MEANINGS = {
    "frechet": "Fréchet distance to held-out real examples; lower is better, frechet_floor is ideal",
    "frechet_floor": "Fréchet distance of as many training examples to held-out ones",
    "kernel_distance": "kernel distance (squared MMD), unbiased; 0 for equal distributions",
    "density": "mean number of real neighbourhoods around a sample, over k; about 1 is ideal",
    "coverage": "share of held-out examples with a sample in their neighbourhood; higher is better",
    "sliced_wasserstein": "Wasserstein distance along random directions; lower is better",
    "memorising": "memorisation: 0.5 as near to training data as held-out examples are, 1 copies",
    "truth": "share of samples that match their condition or, without one, are valid",
    "top1": "share of samples that an independent classifier reads as asked; higher is better",
    "nmi": "normalised mutual information of clusters and classes; 1 is perfect",
    "bits_per_dim": "negative log likelihood of held-out examples, bits per dimension; lower is better",
    "images_per_second": "sampling speed on this machine",
    "rmse": "root mean square error of the inpainted part; lower is better",
    "steps": "denoising steps a sample; 1 for models without any",
}


def page(gallery: GalleryContent) -> str:
    """Render a gallery as one HTML page with every image inside it."""
    colours = {name: "#{:02x}{:02x}{:02x}".format(*getattr(PALETTE, name)) for name in COLOURS}
    return Template(TEMPLATE.read_text("utf-8")).substitute(
        colours,
        title=escape(gallery.title),
        about=escape(gallery.about),
        heading=number_of(len(gallery.samples), "sample"),
        layout="samples prompted" if any(shown.prompt for shown in gallery.samples) else "samples",
        note=escape(gallery.note),
        samples="\n".join(_option(shown, i) for i, shown in enumerate(gallery.samples, start=1)),
        sections="\n".join([*map(_strip_section, gallery.strips), _clips_section(gallery.clips)]),
        figures="\n".join([_figures(gallery), _grades(gallery.checkpoint)]),
        command=escape(gallery.command),
        protocol=_rules(gallery.protocol),
    )


def _inline(picture: Array) -> str:
    return "data:image/png;base64," + base64.b64encode(png(picture)).decode()


def _option(shown: SampleEntry, number: int) -> str:
    facts = escape(json.dumps(shown.facts(number)))
    near = ""
    if shown.nearest is not None:
        near = f' data-nearest="{_inline(shown.nearest)}" data-distance="{escape(shown.distance)}"'
    mark = ""
    if shown.holds is not None:
        mark = f'<span class="mark{"" if shown.holds else " no"}" aria-hidden="true"></span>'
    alt = escape(shown.alt(number))
    return (
        f'<li class="sample" role="option" id="sample-{number}" aria-selected="false" tabindex="-1" '
        f'aria-label="{alt}" data-facts="{facts}"{near}>'
        f'<img src="{_inline(shown.picture)}" alt="{alt}">{mark}{_prompt(shown)}</li>'
    )


def _prompt(shown: SampleEntry) -> str:
    """The sentence under a sample, and its facts as they are read from it; empty without one."""
    if not shown.prompt:
        return ""
    checks = "".join(
        f'<span class="check{"" if check.right else " no"}">{escape(str(check))}</span>'
        for check in shown.checks
    )
    return f'<span class="prompt">{escape(shown.prompt)}</span><span class="checks">{checks}</span>'


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
    return f'<img src="{_inline(picture)}" width="{width}" height="{height}" alt="{alt}">'


def _clips_section(clips: tuple[Clip, ...]) -> str:
    if not clips:
        return ""
    figures = "".join(
        f'<figure><video src="{clip.name}.mp4" poster="{_inline(clip.frames[0])}" controls muted loop '
        f'playsinline preload="metadata" aria-label="{escape(clip.caption)}"></video>'
        f"<figcaption><strong>{escape(clip.heading)}.</strong> {escape(clip.caption.rstrip('.'))}. "
        f"Also as {clip.name}.gif.</figcaption></figure>"
        for clip in clips
    )
    return (
        f'<section aria-labelledby="clips-heading"><h2 id="clips-heading">Animations</h2>'
        f'<div class="clips">{figures}</div></section>'
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
        cells.append(f'<td class="says">{escape(MEANINGS.get(figure, ""))}</td>')
        rows.append(f'<tr><th scope="row">{escape(figure)}</th>{"".join(cells)}</tr>')
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

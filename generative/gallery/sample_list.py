"""HTML of a gallery's grid: samples and real examples as options of a list, what filters them, their map."""

from __future__ import annotations

import base64
import json
from html import escape

from generative.gallery.content import GalleryContent, RealEntry, SampleEntry
from generative.gallery.pictures import png
from sim.plurals import number_of
from sim.records import Array


def inline(picture: Array) -> str:
    """An image (H, W, 3) uint8 as the address of itself."""
    return "data:image/png;base64," + base64.b64encode(png(picture)).decode()


def options(gallery: GalleryContent) -> str:
    """All samples, then all real examples, as options of a list box."""
    shown = [_sample(gallery, i) for i in range(len(gallery.samples))]
    return "\n".join(shown + [_real(gallery, i) for i in range(len(gallery.real))])


def toolbar(gallery: GalleryContent) -> str:
    """Filters of the list, each where it can tell two of the pictures apart; empty without any."""
    parts = [_origins(gallery)] if gallery.real else []
    entries: list[SampleEntry | RealEntry] = [*gallery.samples, *gallery.real]
    labels = sorted({one.label for one in entries if one.label})
    if len(labels) > 1:
        parts.append(_choice("label", "label", "all", [(label, label.replace("_", " ")) for label in labels]))
    if any(one.holds is not None for one in gallery.samples):
        right, wrong = gallery.verdicts
        parts.append(_choice("verdict", "verdict", "all", [("yes", right), ("no", wrong)]))
    if any(one.truth or one.prompt for one in gallery.samples):
        parts.append(
            '<label>contains <input id="contains" type="search" size="14" autocomplete="off" '
            'spellcheck="false"></label>'
        )
    if not parts:
        return ""
    return (
        f'<div class="tools" role="group" aria-label="Filters">{"".join(parts)}'
        '<output id="count" aria-live="polite"></output></div>'
    )


def map_section(gallery: GalleryContent) -> str:
    """The map of principal components, which the script draws from the list's pictures; empty without one."""
    shown = gallery.latent_map
    if shown is None:
        return ""
    shares = ", ".join(f"PC {i} explains {share:.0%}" for i, share in enumerate(shown.shares, start=1))
    pairs = "".join(
        f'<option value="{x}{y}">PC {x + 1} × PC {y + 1}</option>' for x, y in ((0, 1), (0, 2), (1, 2))
    )
    colours = [("origin", "sample or real")] if len(shown.real) else []
    colours += [("label", "label")] if any(one.label for one in gallery.samples) else []
    colours += [("verdict", "verdict")] if any(one.holds is not None for one in gallery.samples) else []
    colour = "".join(f'<option value="{value}">{name}</option>' for value, name in colours)
    coloured = f'<label>colour <select id="map-colour">{colour}</select></label>' if colours else ""
    counts = [number_of(len(shown.samples), "sample")]
    counts += [number_of(len(shown.real), "real example")] if len(shown.real) else []
    told = escape(f"{' and '.join(counts)} in {shown.space}. {shares} of the variance.")
    return (
        '<section aria-labelledby="map-heading"><h2 id="map-heading">Latent map</h2>'
        f'<p class="note" id="map-note">Principal components of {told}</p>'
        '<div class="tools" role="group" aria-label="Map">'
        f'<label>axes <select id="map-axes">{pairs}</select></label>'
        f'{coloured}<label><input type="checkbox" id="map-pictures" checked> pictures</label>'
        '<span class="buttons"><button type="button" id="map-in" aria-label="Zoom in">+</button>'
        '<button type="button" id="map-out" aria-label="Zoom out">−</button>'
        '<button type="button" id="map-reset">reset</button></span></div>'
        '<canvas id="map" tabindex="0" role="img" aria-labelledby="map-heading" aria-describedby="map-note">'
        '</canvas><p class="note under"><span id="map-legend"></span> <span id="map-told"></span></p>'
        "</section>"
    )


def _origins(gallery: GalleryContent) -> str:
    """Buttons for what the grid shows: samples, real examples, or one of each in turn."""
    offers = [
        ("samples", f"samples {len(gallery.samples):,}"),
        ("both", "beside real"),
        ("real", f"real {len(gallery.real):,}"),
    ]
    radios = "".join(
        f'<label><input type="radio" name="origin" value="{value}"{" checked" * (value == "samples")}>'
        f"<span>{escape(words)}</span></label>"
        for value, words in offers
    )
    return f'<span class="segments" role="radiogroup" aria-label="Show">{radios}</span>'


def _choice(name: str, words: str, every: str, offers: list[tuple[str, str]]) -> str:
    rest = "".join(f'<option value="{escape(value)}">{escape(said)}</option>' for value, said in offers)
    return f'<label>{words} <select id="by-{name}"><option value="">{every}</option>{rest}</select></label>'


def _sample(gallery: GalleryContent, i: int) -> str:
    shown, number = gallery.samples[i], i + 1
    extra, mark = "", ""
    if shown.nearest is not None:
        extra += f' data-nearest="{inline(shown.nearest)}" data-distance="{escape(shown.distance)}"'
    if shown.holds is not None:
        extra += f' data-verdict="{"yes" if shown.holds else "no"}"'
        mark = f'<span class="mark{"" if shown.holds else " no"}" aria-hidden="true"></span>'
    if gallery.latent_map is not None and i < len(gallery.latent_map.samples):
        extra += _place(gallery.latent_map.samples[i])
    return _option(f"sample-{number}", "sample", shown, number, extra, mark + _prompt(shown))


def _real(gallery: GalleryContent, i: int) -> str:
    shown, number, extra = gallery.real[i], i + 1, ""
    if gallery.latent_map is not None and i < len(gallery.latent_map.real):
        extra = _place(gallery.latent_map.real[i])
    tag = '<span class="tag" aria-hidden="true">real</span>'
    if shown.caption and any(one.prompt for one in gallery.samples):
        tag += f'<span class="prompt">{escape(shown.caption)}</span>'
    return _option(f"real-{number}", "sample real", shown, number, extra + " hidden", tag)


def _option(
    name: str, kind: str, shown: SampleEntry | RealEntry, number: int, extra: str, inside: str
) -> str:
    alt = escape(shown.alt(number))
    if shown.label:
        extra += f' data-label="{escape(shown.label)}"'
    return (
        f'<li class="{kind}" role="option" id="{name}" aria-selected="false" tabindex="-1" '
        f'aria-label="{alt}" data-facts="{escape(json.dumps(shown.facts(number)))}"{extra}>'
        f'<img src="{inline(shown.picture)}" alt="{alt}">{inside}</li>'
    )


def _place(scores: Array) -> str:
    return f' data-place="{" ".join(f"{score:.4g}" for score in scores)}"'


def _prompt(shown: SampleEntry) -> str:
    """The sentence under a sample, and its facts as they are read from it; empty without one."""
    if not shown.prompt:
        return ""
    checks = "".join(
        f'<span class="check{"" if check.right else " no"}">{escape(str(check))}</span>'
        for check in shown.checks
    )
    return f'<span class="prompt">{escape(shown.prompt)}</span><span class="checks">{checks}</span>'

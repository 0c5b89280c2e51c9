"""Texts written by a scene's task: a file each, and a page of all of them with every token's probability."""

from __future__ import annotations

import html
import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from scenes.build.devices import chosen_device
from scenes.data.task_data import build_task, task_config
from scenes.interruption import interruption
from scenes.report import Report
from scenes.schema import Scene
from sim.errors import RequestError
from sim.plurals import number_of
from sim.progress import waiting
from sim.storage.files import SaveError, new_folder, reason, write_whole
from supervised.task import Writes, WrittenText

MOST = 4_096  # texts
FOLDER = Path("gallery")  # default output folder
PAGE = "index.html"
PROMISE = "stopping: finished files are kept"
STYLE = """
body { background: #111418; color: #e8ebef; font: 15px/1.6 system-ui, sans-serif; max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.4rem } h2 { font-size: 1rem; color: #a3acb8; margin: 1.6rem 0 .2rem }
p { margin: 0; white-space: pre-wrap } .prompt { color: #a3acb8 } code { color: #a3acb8 }
.token { border-bottom: 3px solid } .illegal { color: #d55e00 }
"""


@dataclass(frozen=True)
class TextRequest:
    """Request for texts; `out` None is the next free name."""

    out: Path | None
    n: int
    prompt: str
    checkpoint: Path | None
    overwrite: bool
    command: str

    def check(self) -> None:
        """Refuse a number out of range, and to overwrite a file.

        Raises:
            RequestError: naming the culprit.
        """
        if not 1 <= self.n <= MOST:
            raise RequestError(f"--n must be from 1 to {MOST:,}, not {self.n}")
        if self.out is None:
            return
        if self.out.exists() and not self.out.is_dir():
            raise RequestError(f"--out {self.out} is a file: name a folder")
        names = [PAGE, *(text_name(i) for i in range(self.n))]
        taken = [self.out / name for name in names if os.path.lexists(self.out / name)]
        if taken and not self.overwrite:
            raise RequestError(
                f"--out {self.out}: {taken[0]} would be overwritten; name another folder, or add --overwrite"
            )


def text_name(number: int) -> str:
    """The file of a text.

    >>> text_name(3)
    '0003.txt'
    """
    return f"{number:04}.txt"


def sample_texts(scene: Scene, request: TextRequest, *, device: str, say: Callable[[str], None]) -> Report:
    """Write texts that go on from a prompt, and their page.

    Args:
        scene: whose first perception is a task.
        request: see `TextRequest`.
        device: ``auto``, ``cpu`` or ``cuda``.
        say: takes lines for a person.

    Raises:
        RequestError: if the request is wrong, or this task writes nothing.
        SaveError: if the disk is full; finished files are kept.
    """
    request.check()
    model, card = build_task(scene, task_config(scene), chosen_device(device), request.checkpoint)
    if not isinstance(model, Writes):
        raise RequestError(f'{scene.source.name}: the perception "{scene.perception[0].use}" writes no texts')
    if card is None:
        say(f"{scene.name} has no checkpoint: these are texts of an untrained {scene.perception[0].use}")
    begun = time.perf_counter()
    with waiting(f"writing {number_of(request.n, 'text')}"):
        texts = model.write(request.n, request.prompt, scene.seed)
    metrics = {"texts_per_second": round(request.n / (time.perf_counter() - begun), 1)}
    metrics["legal_to_end"] = round(float(np.mean([text.legal for text in texts])), 4)
    files: list[Path] = []
    place = new_folder(FOLDER) if request.out is None else nullcontext(request.out)
    with place as out, interruption(PROMISE) as interrupted:
        _write(out, scene, request, texts, files, interrupted)
        stopped = interrupted()
    lines = [f"{text.text}\n" for text in texts[:3]] + [f"{number_of(request.n, 'text')}; open {out / PAGE}"]
    return Report({"files": [str(file) for file in files], "metrics": metrics}, lines, stopped)


def _write(
    out: Path,
    scene: Scene,
    request: TextRequest,
    texts: list[WrittenText],
    files: list[Path],
    interrupted: Callable[[], bool],
) -> None:
    """Write the texts and at last the page; `files` gets what is finished."""
    contents = {text_name(i): text.text + "\n" for i, text in enumerate(texts)}
    contents[PAGE] = page(scene.title, request.command, texts)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            if interrupted():
                return
            write_whole(out / name, partial(_save, content))
            files.append(out / name)
    except OSError as error:
        raise SaveError(
            error.errno, f"could not write to {out}: {reason(error)}; {len(files)} files are finished"
        ) from error
    files.insert(0, files.pop())


def _save(content: str, path: Path) -> None:
    path.write_text(content, "utf-8")


def page(title: str, command: str, texts: list[WrittenText]) -> str:
    """A page of texts: below each token a line in the colour of its probability."""
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>',
        f"<style>{STYLE}</style><h1>{html.escape(title)}</h1><p><code>{html.escape(command)}</code></p>",
        "<p>The line below a token is its probability: green is sure, orange a surprise.</p>",
    ]
    for number, text in enumerate(texts):
        mark = "" if text.legal else ' <span class="illegal">ends in an illegal move</span>'
        parts.append(f"<h2>{number + 1}{mark}</h2><p>{_marked(text)}</p>")
    return "\n".join(parts) + "</html>\n"


def _marked(text: WrittenText) -> str:
    """The text as HTML: each written word, looked for from where the last one ended, in its colour."""
    whole, done, parts = text.text, len(text.text), []
    for word, p in zip(reversed(text.words), reversed(text.probabilities), strict=False):
        at = whole.rfind(word, 0, done)
        if at < 0 or not word:
            continue
        between = html.escape(whole[at + len(word) : done])
        hue = round(25 + 130 * p)
        style = f'border-color: hsl({hue} 75% 45%)" title="{p:.0%}'
        parts.append(f'<span class="token" style="{style}">{html.escape(word)}</span>{between}')
        done = at
    parts.append(f'<span class="prompt">{html.escape(whole[:done])}</span>')
    return "".join(reversed(parts))

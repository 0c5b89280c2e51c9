"""Verbs that tell what there is: names by kind, the lecture's systems, what a machine lacks."""

from __future__ import annotations

from dataclasses import asdict

from scenes.build.trained import is_trained
from scenes.build.worlds import world_names
from scenes.cli.display import has_display
from scenes.cli.verbs import Answer
from scenes.cli.watching import watch
from scenes.console import say, show, stdout_console
from scenes.schema import load_scene, shipped_scenes
from sim.errors import RequestError
from sim.fields import excerpt, nearest


def list_all(what: str | None) -> Answer:
    """List names by kind: worlds, agents, perceptions, samplers, scenes; or one kind, singular or plural.

    Raises:
        RequestError: if there is no such kind.
    """
    from agents.catalog import AGENTS
    from generative.catalog import SAMPLERS
    from supervised.catalog import PERCEPTIONS

    scenes = shipped_scenes()
    kind = None if what is None else f"{what.removesuffix('s')}s"  # "scene" and "scenes" are one kind
    everything: Answer = {
        "worlds": world_names(),
        "agents": sorted(AGENTS),
        "perceptions": sorted(PERCEPTIONS),
        "samplers": sorted(SAMPLERS),
        "scenes": scenes,
    }
    if kind is not None:
        if kind not in everything:
            raise RequestError(
                f'there is no kind "{excerpt(what or "")}" of things; {nearest(kind, everything)}'
            )
        everything = {kind: everything[kind]}
    if "scenes" in everything:
        everything["trained"] = [name for name in scenes if is_trained(load_scene(name))]
    return everything


def show_list(answer: Answer) -> None:
    """Print the names, long lists in columns."""
    from rich.columns import Columns
    from rich.table import Table
    from rich.text import Text

    console = stdout_console()
    trained = set(answer.get("trained", []))
    for kind in ("scenes", "agents", "perceptions", "samplers", "worlds"):
        if not answer.get(kind):
            continue
        console.print(Text.assemble((kind, "bold"), f" ({len(answer[kind])})"))
        if kind == "scenes":
            table = Table.grid(padding=(0, 2))
            for name in answer[kind]:
                mark = Text("trained" if name in trained else "", style="green")
                table.add_row("", name, load_scene(name).title, mark)
            console.print(table)
        elif console.is_terminal:
            console.print(Columns([f"  {name}" for name in answer[kind]], column_first=True))
        else:  # for other programs: a name a line
            console.print("\n".join(f"  {name}" for name in answer[kind]))
        console.print()


def lecture(*, window: bool) -> Answer:
    """List the lecture's systems; with `window`, open the first where there is a display: Tab walks on."""
    from scenes.lecture import lecture_rows

    answer: Answer = {"rows": lecture_rows()}
    show_lecture(answer)
    if window and has_display():
        first = load_scene(answer["rows"][0]["scene"])
        watch(
            first,
            device="auto",
            person=False,
            run=None,
            headless=False,
            frames=None,
            record=None,
            overwrite=False,
        )
    elif window:
        say("there is no display for the walk: playfield watch SCENE records one system to a video")
    return answer


def show_lecture(answer: Answer) -> None:
    """Print the systems by part of the lecture."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("system", "scene", "figure"):
        table.add_column(heading)
    for heading in ("trained", "baseline"):
        table.add_column(heading, justify="right")
    part = None
    for row in answer["rows"]:
        if row["part"] != part:
            part = row["part"]
            table.add_section()
            table.add_row(part, style="bold")
        figures = ["–" if row[key] is None else f"{row[key]:,.4g}" for key in ("value", "baseline")]
        table.add_row(f"  {row['system']}", row["scene"], row["figure"] or "", *figures)
    stdout_console().print(table)
    show("see one: playfield watch SCENE; score it: playfield evaluate SCENE")


def doctor() -> Answer:
    """Run the checks of `scenes.cli.doctor`."""
    from scenes.cli.doctor import checks

    return {"checks": [asdict(check) for check in checks()]}


def show_checks(answer: Answer) -> None:
    """Print the checks; lines are not cut, so that commands can be copied."""
    from rich.table import Column, Table
    from rich.text import Text

    columns = (Column(name, overflow="fold") for name in ("what", "found", "what mends it"))
    table = Table("", *columns, box=None)
    for check in answer["checks"]:
        mark = Text("ok", style="green") if check["ok"] else Text("no", style="red")
        table.add_row(mark, check["name"], check["found"], check["mend"])
    stdout_console().print(table)

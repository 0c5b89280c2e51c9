"""Report of a benchmark: the machine, its load, and the table of results."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from scenes.bench.paired_timing import Measured
from sim.machine import processors

QUIET = 0.5  # load for each core above which results are unreliable
PACKAGES = (
    "playfield", "numpy", "torch", "gymnasium", "ale-py", "mujoco", "chess", "stable-baselines3",
)  # fmt: skip


def load() -> float:
    """Load average of the last minute; 0 where the system has none."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def machine(threads: int, device: str, load_before: float) -> dict[str, Any]:
    """Facts about the machine for the answer: processor, threads, load, versions."""
    versions: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    facts: dict[str, Any] = {
        "cpu": processor(),
        "cores": processors(),
        "threads": threads,
        "device": device,
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_before": round(load_before, 2),
        "busy": busy(load_before),
        "versions": versions,
    }
    if device == "cuda":
        import torch

        facts["gpu"] = torch.cuda.get_device_name()
    return facts


def processor() -> str:
    """Model name of the processor."""
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        for line in facts.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def busy(load_before: float) -> bool:
    """Whether other processes load this machine too much for a measurement."""
    return load_before > QUIET * processors()


def show(rows: Sequence[Measured], console: Console) -> None:
    """Print the results as a table, and below it what each row compares."""
    table = Table(box=None, header_style="bold")
    table.add_column("", no_wrap=True)
    for title in ("ours", "peer", "ratio", "least … most", "MiB ours", "MiB peer"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        ratio, spread = "–", "–"
        if row.ratio is not None:
            ratio, spread = f"{row.ratio:.2f}×", f"{row.ratio_low:.2f} … {row.ratio_high:.2f}"
        memories = number(row.ours_memory_mib), number(row.peer_memory_mib)
        table.add_row(
            row.name, number(row.ours), number(row.peer), Text(ratio, style="bold"), spread, *memories
        )
    console.print(table)
    notes: dict[str, list[str]] = {}
    for row in rows:
        beside = f" beside {row.peer_name}" if row.peer_name else ""
        notes.setdefault(f"{row.unit}{beside}: {row.note}", []).append(row.name)
    for note, names in notes.items():
        console.print(Text.assemble((", ".join(names), "bold"), f": {note}"), soft_wrap=True)


def number(value: float | None) -> str:
    """Format a number for the table.

    >>> number(12345.6), number(None)
    ('12,346', '–')
    """
    return "–" if value is None else f"{value:,.0f}"

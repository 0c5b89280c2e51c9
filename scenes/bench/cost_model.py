"""Cost model of PPO on Pong past one machine: measure, fit, check on settings held out, predict by design.

    python -m scenes.bench.cost_model             # tables from docs/cost-model.json; --json; --figure FILE
    python -m scenes.bench.cost_model --measure   # measures anew: two minutes on two quiet cores

Reading order: `cost_measurement`, `cost_fit`, `cost_designs`, and here the tables and the figure.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from scenes.bench import report
from scenes.bench.cost_designs import (
    Assumptions,
    Rate,
    data_parallel,
    data_parallel_fixed_batch,
    gpu_machines,
    one_process,
    ray_actors,
    ray_actors_gpu,
)
from scenes.bench.cost_fit import PARTS, CostModel, held_out_errors
from scenes.bench.cost_measurement import Parts, Setting, measure_all_reduce, measure_ray, measure_setting
from sim.errors import RequestError
from sim.machine import processors
from supervised.figure import TEXT, rasterized

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DATA = Path(__file__).parents[2] / "docs" / "cost-model.json"
FIT = [
    Setting(worlds, steps, minibatch, threads)
    for threads in (1, 2)
    for worlds, steps, minibatch in ((8, 32, 64), (16, 32, 128), (32, 32, 256), (64, 16, 512))
]
HELD_OUT = [
    Setting(12, 32, 96, 1),
    Setting(48, 16, 192, 2),
    Setting(128, 16, 1024, 1),
    Setting(16, 32, 128, 1, processes=2),
]
#: A gradient step by two threads, for where none is measured, from docs/results.md (Speed, a quiet machine):
#: PPO on Pong at 1,255 steps/s, 45 % of it learning, in 4 epochs.
PUBLISHED = {
    "setting": asdict(Setting(8, 128, 256, 2)),
    "parts": asdict(Parts(None, None, 0.45 / 1_255 * 256 / 4, None)),
    "source": "docs/results.md",
}
REDUCED = (4_096, 2**20, 4 * 1_687_719, 32 * 2**20)  # bytes
SHARDS = (2**16, 2**20, 8 * 2**20, 29 * 2**20)  # bytes


def measure(ray_folder: str) -> dict[str, Any]:
    """Measure all that the model is fitted to and checked on."""
    load = report.load()
    facts = {"cpu": report.processor(), "cores": processors(), "load_before": round(load, 2)}
    data: dict[str, Any] = {"machine": facts, "fit": [], "held_out": []}
    for name, settings in (("fit", FIT), ("held_out", HELD_OUT)):
        for setting in settings:
            data[name].append({"setting": asdict(setting), "parts": asdict(measure_setting(setting))})
            print(f"measured {setting_name(setting)}", file=sys.stderr)
    if any(run["parts"]["update"] is None for run in data["fit"]):
        data["fit"].append(PUBLISHED)
    data["all_reduce"] = {str(size): seconds for size, seconds in measure_all_reduce(REDUCED).items()}
    data["ray"] = {str(size): seconds for size, seconds in measure_ray(SHARDS, ray_folder).items()}
    return data


#: Designs by processor cores, as the tables name them.
DESIGNS: dict[str, Callable[[CostModel, int, Assumptions], Rate]] = {
    "one process": one_process,
    "Ray actors, a learner on cores": ray_actors,
    "Ray actors, a learner on a GPU": ray_actors_gpu,
    "torchrun, 256 samples a rank": data_parallel,
    "torchrun, 4,096 samples in all": data_parallel_fixed_batch,
}
GPU_DESIGNS = {
    "GPUs, emulation and decisions in turn": partial(gpu_machines, halves=False),
    "GPUs, two half-batches": partial(gpu_machines, halves=True),
}
CORES = (1, 2, 16, 256, 4_096)
GPUS = (1, 2, 4, 8, 16, 64)
DOUBLING = 1.5  # least gain of twice as many cores for which a design still scales


def predict(model: CostModel, has: Assumptions) -> dict[str, dict[int, Rate]]:
    """Rates by design and number of cores, or of GPUs with 16 cores each."""
    rates = {name: {n: design(model, n, has) for n in CORES} for name, design in DESIGNS.items()}
    return rates | {name: {n: design(model, n, has) for n in GPUS} for name, design in GPU_DESIGNS.items()}


def last_worthwhile(design: Callable[[CostModel, int, Assumptions], Rate], model: CostModel) -> int | None:
    """Cores, a power of two, of which twice as many gain less than `DOUBLING`; None: not up to 2¹⁶."""
    counts = [2**i for i in range(1, 17)]
    rates = [design(model, n, Assumptions()).steps_per_second for n in (*counts, 2**17)]
    worth = zip(counts, rates, rates[1:], strict=False)
    return next((n for n, rate, twice in worth if twice < DOUBLING * rate), None)


def answer(data: Mapping[str, Any]) -> dict[str, Any]:
    """All that the model says of measurements, for ``--json``."""
    model = CostModel.fit(data)
    return {
        "machine": data["machine"],
        "model": asdict(model),
        "held_out": held_out_errors(model, data),
        "assumptions": asdict(Assumptions()),
        "rates": {
            name: {str(n): asdict(rate) for n, rate in rates.items()}
            for name, rates in predict(model, Assumptions()).items()
        },
        "scales_to": {name: last_worthwhile(design, model) for name, design in DESIGNS.items()},
    }


def tables(data: Mapping[str, Any]) -> list[str]:
    """The tables of docs/performance.md, in Markdown: the fit, what was held out, cores, GPUs."""
    model = CostModel.fit(data)
    fit = [[name, *(f"{1e6 * value:.1f}" for value in model.parts[name])] for name in PARTS]
    held_out = [
        [
            setting_name(Setting(**row["setting"])),
            *(percent(row[part]["error"]) if row[part] else "–" for part in (*PARTS, "env_step")),
        ]
        for row in held_out_errors(model, data)
    ]
    rates = predict(model, Assumptions())
    stops = {name: last_worthwhile(design, model) for name, design in DESIGNS.items()}
    cores = [
        [name, *map(cell, rates[name].values()), f"{stops[name]:,}" if stops[name] else "beyond 65,536"]
        for name in DESIGNS
    ]
    gpus = [[name, *map(cell, rates[name].values())] for name in GPU_DESIGNS]
    return [
        markdown(["µs of a call", "fixed", "each", "shared among threads"], fit),
        markdown(["held out", *PARTS, "env step"], held_out),
        markdown(["env steps/s at", *(f"{n:,} core{'s' * (n > 1)}" for n in CORES), "scales to"], cores),
        markdown(["env steps/s with", *(f"{n} GPU{'s' * (n > 1)}" for n in GPUS)], gpus),
    ]


def setting_name(setting: Setting) -> str:
    """A setting in words."""
    beside = f", {setting.processes} processes" if setting.processes > 1 else ""
    return (
        f"{setting.num_envs} worlds, minibatch {setting.minibatch_size}, {setting.threads} "
        f"thread{'s' * (setting.threads > 1)}{beside}"
    )


def percent(share: float) -> str:
    """A signed percentage.

    >>> percent(-0.084)
    '−8 %'
    """
    return f"{100 * share:+.0f} %".replace("-", "−")


def cell(rate: Rate) -> str:
    """A rate to two digits, with its limit."""
    return f"{float(f'{rate.steps_per_second:.2g}'):,.0f} ({rate.limit})"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def with_tables(document: str, tables: Sequence[str]) -> str:
    """The document with each table in the place of the one whose first column has the same head."""
    new = {table.split(" |")[0]: table for table in tables}
    blocks = document.rstrip("\n").split("\n\n")
    return "\n\n".join(new.get(block.split(" |")[0], block) for block in blocks) + "\n"


def draw(model: CostModel, figure: Figure) -> None:
    """Draw predicted rates against cores, both axes logarithmic."""
    axes = figure.add_subplot()
    counts = [2**i for i in range(13)]
    for name, design in DESIGNS.items():
        least = 2 if design is ray_actors else 1
        drawn = [n for n in counts if n >= least]
        axes.plot(drawn, [design(model, n, Assumptions()).steps_per_second for n in drawn], label=name)
    for (name, design), line in zip(GPU_DESIGNS.items(), ("--", "-"), strict=True):
        gpus = [2**i for i in range(7)]
        rates = [design(model, n, Assumptions()).steps_per_second for n in gpus]
        axes.plot([16 * n for n in gpus], rates, line, color=TEXT, label=f"{name} (16 cores each)")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks([1, 4, 16, 64, 256, 1024, 4096], ["1", "4", "16", "64", "256", "1,024", "4,096"])
    axes.grid(True)
    axes.set_xlabel("processor cores")
    axes.set_ylabel("env steps/s, predicted")
    axes.set_title("PPO on Pong, Nature network, 4 epochs: predicted rate by design")
    axes.legend()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command of the module's docstring; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scenes.bench.cost_model", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--data", type=Path, default=DATA, help="measurements, JSON [docs/cost-model.json]")
    parser.add_argument("--measure", action="store_true", help="measure them first, and write them there")
    parser.add_argument("--figure", type=Path, help="PNG to draw the prediction to")
    parser.add_argument("--document", type=Path, help="Markdown file whose tables of these heads to replace")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the tables")
    options = parser.parse_args(arguments)
    try:
        if options.measure:
            with tempfile.TemporaryDirectory(dir="/tmp", prefix="ray") as folder:
                found = json.dumps(measure(folder), indent=1) + "\n"
            options.data.write_text(found, "utf-8")
        data = json.loads(options.data.read_text("utf-8"))
        if options.document is not None:
            replaced = with_tables(options.document.read_text("utf-8"), tables(data))
            options.document.write_text(replaced, "utf-8")
        if options.figure is not None:
            picture = rasterized(partial(draw, CostModel.fit(data)), (1000, 640))
            Image.fromarray(picture).save(options.figure)
    except (OSError, ValueError, RequestError) as error:
        parser.error(str(error))
    print(json.dumps(answer(data)) if options.json else "\n\n".join(tables(data)))
    return 0


if __name__ == "__main__":
    sys.exit(main())

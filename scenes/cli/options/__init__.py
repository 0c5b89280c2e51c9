"""Options of each verb of the command line, as dataclasses that tyro parses; `Verb` is all of them.

In: strings of the command line. Out: a verb's JSON object and exit status, by `execute`. Does not know: how
the work is done (`scenes.cli.verbs`, `scenes.cli.watching`).
"""

from __future__ import annotations

from typing import Annotated

from tyro.conf import subcommand

from scenes.cli.options.collect import Collect
from scenes.cli.options.draw import Perceive, Sample
from scenes.cli.options.inform import Doctor, Lecture, List, Uci
from scenes.cli.options.score import Bench, Compare, Evaluate
from scenes.cli.options.train import Plot, Sweep, Train
from scenes.cli.options.watch import Play, Watch

Verb = (
    Annotated[List, subcommand("list")]
    | Annotated[Watch, subcommand("watch")]
    | Annotated[Play, subcommand("play")]
    | Annotated[Train, subcommand("train")]
    | Annotated[Sweep, subcommand("sweep")]
    | Annotated[Evaluate, subcommand("evaluate")]
    | Annotated[Compare, subcommand("compare")]
    | Annotated[Plot, subcommand("plot")]
    | Annotated[Perceive, subcommand("perceive")]
    | Annotated[Sample, subcommand("sample")]
    | Annotated[Collect, subcommand("collect")]
    | Annotated[Bench, subcommand("bench")]
    | Annotated[Uci, subcommand("uci")]
    | Annotated[Lecture, subcommand("lecture")]
    | Annotated[Doctor, subcommand("doctor")]
)

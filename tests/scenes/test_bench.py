"""Benchmarks: both sides run in turn and apart; rates, ratios and refusals are as documented."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import re
import signal
import sys
from io import StringIO
from pathlib import Path

import pytest

from scenes.bench import command, report, worker
from scenes.bench.benchmarks import BENCHMARKS, Benchmark, missing, select_benchmarks
from scenes.bench.paired_timing import Side, SideError, measure
from scenes.cli.main import main
from scenes.signals import sigterm_as_ctrl_c
from sim.machine import processors

SETTINGS = worker.Settings(seed=3, device="cpu", threads=1, torch_threads=1)
SIDES = """
import os, time

def paced(settings, pause, log=""):
    while True:
        began = time.monotonic()
        time.sleep(float(pause))
        if log:
            with open(log, "a") as file:
                print(pause, began, time.monotonic(), file=file)
        yield 10

def quick(settings, **fields):
    return paced(settings, 0.02, **fields)

def slow(settings, **fields):
    return paced(settings, 0.06, **fields)

def heavy(settings):
    weight = b"x" * (64 * 2**20)
    while True:
        yield len(weight)

def light(settings):
    while True:
        yield 1

def broken(settings):
    raise RuntimeError("no cartridge")
    yield

def dying(settings):
    began = time.monotonic()
    while time.monotonic() < began + 0.15:  # longer than the warm-up, shorter than a lap besides
        yield 1
    os._exit(7)

def noisy(settings):
    print("a library's banner")
    while True:
        print("and its chatter")
        yield 1

def seen(settings):
    yield 1
    while True:
        yield int(os.environ["OMP_NUM_THREADS"]) * 1000 + settings.seed
"""


@pytest.fixture(autouse=True)
def sides(tmp_path, monkeypatch):
    (tmp_path / "bench_sides.py").write_text(SIDES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))  # the user's own history is left alone


def row(ours, peer, **more):
    return Benchmark(
        ours=f"bench_sides:{ours}", peer=peer and f"bench_sides:{peer}", peer_name="another", **more
    )


def alive(marker):
    """How many processes of ours still run `marker`."""
    commands = (path.read_text() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists())
    return sum(marker in command for command in commands)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_both_sides_of_every_row_are_there_and_take_its_fields(name):
    found = BENCHMARKS[name]
    for side, needs in ((found.ours, found.needs), (found.peer, found.peer_needs)):
        if side is not None and missing(needs) is None:
            module, _, function = side.partition(":")
            make = getattr(importlib.import_module(module), function)
            inspect.signature(make).bind(SETTINGS, **found.fields)
    assert found.note and found.unit.endswith("/s")


def test_a_lap_ends_after_the_first_yield_past_its_seconds():
    now = [100.0]

    def work():
        while True:
            now[0] += 0.75
            yield 3

    done = worker.lap(work(), 2.0, clock=lambda: now[0])
    assert (done["units"], done["seconds"]) == (9, 2.25)


def test_start_up_and_warm_up_are_left_out():
    work = iter([1000, 7, 8])
    sys.modules["bench_started"] = type(sys)("bench_started")
    sys.modules["bench_started"].make = lambda settings: work
    request = {"work": "bench_started:make", "settings": vars(SETTINGS), "fields": {}, "warm_up": 0.0}
    answers = StringIO()
    worker.serve(StringIO("\n".join(map(json.dumps, [request, {"seconds": 0.0}]))), answers)
    ready, first = map(json.loads, answers.getvalue().splitlines())
    assert ready == {"ready": True}
    assert first["units"] == 7


def test_sides_take_turns_and_the_ratio_is_that_of_their_paces(tmp_path):
    told = []
    log = str(tmp_path / "log")
    found = measure(
        "pace", row("quick", "slow", fields={"log": log}), SETTINGS, rounds=3, seconds=0.1, told=told.append
    )
    assert told == [1, 2, 3]
    assert 0.5 < found.ours / (10 / 0.02) <= 1, "a busy machine may wake it late, never early"
    assert found.ratio == pytest.approx(3, rel=0.4)
    assert found.ratio_low <= found.ratio <= found.ratio_high
    spans = [[float(x) for x in line.split()] for line in Path(log).read_text().splitlines()]
    ends = [end for _, _, end in spans]
    assert ends == sorted(ends), "what ran later was written later"
    assert all(later[1] >= earlier[2] for earlier, later in zip(spans, spans[1:], strict=False))
    turns = [pace for i, (pace, *_) in enumerate(spans) if i == 0 or spans[i - 1][0] != pace]
    assert turns == [0.02, 0.06] * 4, "warm-up, then three rounds"


def test_memory_is_that_of_each_process():
    found = measure("memory", row("heavy", "light"), SETTINGS, rounds=1, seconds=0.01)
    assert 60 < found.ours_memory_mib - found.peer_memory_mib < 80


def test_threads_and_seed_reach_the_side():
    settings = worker.Settings(seed=3, device="cpu", threads=4, torch_threads=2)
    with Side("bench_sides:seen", settings, {}, 0.0) as side:
        rate = side._ask({"seconds": 0.0})["units"]
    assert rate == 2003


def test_what_libraries_print_does_not_disturb():
    assert measure("noise", row("noisy", None), SETTINGS, rounds=2, seconds=0.01).ours > 0


def test_without_its_package_the_peer_is_none_and_the_note_has_the_line():
    found = measure(
        "alone", row("light", "light", peer_needs=("cv2_gone",), note="x"), SETTINGS, rounds=1, seconds=0
    )
    assert (found.peer, found.ratio, found.ratio_low, found.peer_memory_mib) == (None, None, None, None)
    assert found.ours > 0
    assert 'x; to see the peer, install the package cv2_gone: python -m pip install "cv2_gone"' == found.note


def test_a_peer_that_cannot_start_is_left_out_and_says_why():
    found = measure("alone", row("light", "broken"), SETTINGS, rounds=1, seconds=0.01)
    assert found.peer is None
    assert "RuntimeError: no cartridge" in found.note


def test_our_side_failing_is_an_error_that_names_it():
    with pytest.raises(SideError, match="bench_sides:broken failed: RuntimeError: no cartridge"):
        measure("b", row("broken", "light"), SETTINGS, rounds=1, seconds=0.01)


def test_a_side_that_dies_is_reported_and_no_process_stays():
    before = alive("scenes.bench.worker")
    with pytest.raises(SideError, match="ended with code 7"):
        measure("d", row("dying", "light"), SETTINGS, rounds=1, seconds=0.1)
    assert alive("scenes.bench.worker") == before


def test_a_killed_side_is_reported():
    with Side("bench_sides:light", SETTINGS, {}, 0.01) as side:
        os.kill(side._process.pid, signal.SIGKILL)
        with pytest.raises(SideError, match="code -9"):
            side.lap()


def test_sigterm_leaves_no_side_behind(monkeypatch):
    before, lap = alive("scenes.bench.worker"), Side.lap

    def interrupted(side):
        signal.raise_signal(signal.SIGTERM)
        return lap(side)

    monkeypatch.setattr(Side, "lap", interrupted)
    with pytest.raises(KeyboardInterrupt), sigterm_as_ctrl_c():
        measure("a", row("light", "light"), SETTINGS, rounds=1, seconds=0.01)
    assert alive("scenes.bench.worker") == before


def test_names_may_be_rows_or_families_and_none_means_the_quick_ones():
    assert list(select_benchmarks(["walker"])) == [name for name in BENCHMARKS if name.startswith("walker/")]
    assert list(select_benchmarks(["chess", "walker/ant"])) == ["chess", "walker/ant"]
    assert "ppo-walker" not in select_benchmarks(["ppo"])
    quick = select_benchmarks([])
    assert "atari" in quick and "ppo" not in quick


def test_the_command_measures_and_answers_in_json(capsys, monkeypatch):
    monkeypatch.setattr(report, "load", lambda: 0.0)
    assert main(["bench", "walker/halfcheetah", "--rounds", "1", "--seconds", "0.05", "--json"]) == 0
    captured = capsys.readouterr()
    answer = json.loads(captured.out.splitlines()[-1])
    (found,) = answer["rows"]
    assert {"name", "ours", "peer", "ratio"} <= set(found)
    assert found["name"] == "walker/halfcheetah"
    if found["peer"] is not None:
        assert found["ratio"] == pytest.approx(found["ours"] / found["peer"], rel=1e-2)
    assert answer["machine"]["threads"] == 1 and not answer["machine"]["busy"]
    assert "walker/halfcheetah" in captured.out.splitlines()[1] and "busy" not in captured.err


def test_a_busy_machine_is_told(capsys, monkeypatch):
    monkeypatch.setitem(BENCHMARKS, "pace", row("light", "light", note="equal"))
    monkeypatch.setattr(report, "load", lambda: 0.5 * processors() + 0.1)
    assert main(["bench", "pace", "--rounds", "1", "--seconds", "0.01", "--json"]) == 0
    captured = capsys.readouterr()
    assert "busy" in captured.err and "wrong" in captured.err
    assert json.loads(captured.out.splitlines()[-1])["machine"]["busy"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["atary"], 'nothing to bench called "atary"; did you mean "atari"'),
        (["walker/dog"], 'nothing to bench called "walker/dog"'),
        (["atari", "--rounds", "0"], "--rounds must be at least 1, not 0"),
        (["atari", "--seconds", "0"], "--seconds must be above 0"),
        (["atari", "--seconds", "nan"], "--seconds must be above 0"),
        (["atari", "--threads", "0"], "--threads must be at least 1"),
        (["atari", "--seed", "-1"], "--seed must not be below 0"),
    ],
)
def test_wrong_requests_are_refused_in_one_line(capsys, arguments, words):
    assert main(["bench", *arguments]) == 2
    captured = capsys.readouterr()
    assert words in captured.err and len(captured.err.splitlines()) == 1
    assert captured.out == ""


def test_cuda_is_refused_where_there_is_none(capsys):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    for name in ("atari", "act"):
        assert main(["bench", name, "--device", "cuda"]) == 2
        assert "use --device cpu" in capsys.readouterr().err


def test_a_row_that_cannot_run_here_is_refused_by_name_and_left_out_otherwise(capsys, monkeypatch):
    for name in list(BENCHMARKS):
        monkeypatch.delitem(BENCHMARKS, name)
    monkeypatch.setitem(BENCHMARKS, "gone", row("light", None, needs=("surely_missing",), note="n"))
    monkeypatch.setitem(BENCHMARKS, "here", row("light", None, note="n"))
    assert main(["bench", "gone"]) == 2
    assert 'bench "gone" needs the package surely_missing: python -m pip install' in capsys.readouterr().err
    answer, interrupted = command.bench([], seed=0, device="cpu", rounds=1, seconds=0.01, threads=1)
    assert [found["name"] for found in answer["rows"]] == ["here"] and not interrupted
    assert "gone is left out" in re.sub(r"\s+", " ", capsys.readouterr().err)


def test_learning_counts_only_the_steps_of_updates():
    from scenes.bench.learning import count_learning_steps
    from sim.records import Progress

    class Learner:
        def learn(self, worlds, budget):
            yield Progress(100, 1, 9, {}, ())
            yield Progress(300, 2, 9, {"loss": 0.5}, ())
            yield Progress(450, 3, 9, {"loss": 0.4}, ())

    assert list(count_learning_steps(Learner(), None, "loss")) == [200, 150]


@pytest.mark.parametrize("name", ["walker/ant", pytest.param("atari", marks=pytest.mark.slow)])
def test_both_sides_are_stepped_by_the_same_actions(name):
    from scenes.bench.worlds import random_actions

    found = select_benchmarks([name])[name]
    if missing((*found.needs, *found.peer_needs)):
        pytest.skip("a side is not installed")
    drawn = []
    for side in (found.ours, found.peer):
        module, _, function = side.partition(":")
        work = getattr(importlib.import_module(module), function)(SETTINGS, **found.fields)
        assert next(work) > 0
        env = work.gi_frame.f_locals["env"]
        drawn.append(random_actions(env.single_action_space, env.num_envs, 3))
        env.close()
    assert (drawn[0] == drawn[1]).all() and drawn[0].dtype == drawn[1].dtype


@pytest.mark.parametrize("core", ["fast", "python-chess"])
def test_chess_search_goes_from_position_to_position_and_counts_simulations(core, monkeypatch):
    from scenes.bench import chess_search

    monkeypatch.setattr(chess_search, "SIMULATIONS", 6)
    work = chess_search.ours(SETTINGS, "3", core)
    assert [next(work) for _ in range(3)] == [18, 18, 18]
    positions = work.gi_frame.f_locals["positions"]
    assert len({game.fen for game in positions}) == 3
    kinds = {type(game) for game in positions}
    assert kinds == ({chess_search.PythonRules} if core == "python-chess" else {chess_search.ChessGame})
    assert core == "fast" or all(game.for_search() is game for game in positions)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, found in BENCHMARKS.items() if found.networks])
def test_networks_act_and_learn_on_both_sides(name):
    found = measure(name, BENCHMARKS[name], SETTINGS, rounds=1, seconds=0.1)
    assert found.ours > 0
    assert found.peer is None or found.ratio > 0

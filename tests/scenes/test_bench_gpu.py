"""The GPU benchmark on the CPU: every part runs, time is kept, requests that cannot be met are refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from scenes.bench import gpu
from scenes.bench.gpu import QUICK, Bench, Plan, config_of, main, rows_of


def test_the_most_important_rows_come_first():
    rows = rows_of(Plan())
    assert len(rows) == 3 * 3 * 3 + 2
    first = rows[0]
    assert (first.agent, first.worlds, first.cuda_graphs, first.double_buffered) == ("ppo", 256, True, True)
    assert {row.worlds for row in rows[:9]} == {256}
    assert [(row.agent, row.worlds) for row in rows[9:11]] == [("ppo", 8)] * 2
    assert len(set(rows)) == len(rows)


def test_every_row_has_a_configuration_whose_minibatch_fits_a_rollout():
    for plan in (Plan(), QUICK):
        for row in rows_of(plan):
            config = config_of(row, plan)
            if row.agent != "dqn":
                config.check_rollout(row.worlds)
            assert config.cuda_graphs == row.cuda_graphs


def test_it_runs_on_the_cpu_and_writes_what_it_prints(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(gpu, "VARIANTS", ((True, True),))
    monkeypatch.setattr(gpu, "QUICK", replace(QUICK, few_worlds=2))
    out = tmp_path / "gpu.json"
    assert main(["--device", "cpu", "--quick", "--minutes", "0.001", "--out", str(out)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert json.loads(out.read_text("utf-8")) == found
    assert [row["agent"] for row in found["rows"]] == ["ppo", "pqn", "dqn", "ppo", "ppo"]
    assert all(row["env_steps_per_second"] > 0 and row["seconds"] > 0 for row in found["rows"])
    assert set(found["milliseconds"]) == {"policy", "policy_graph", "copies", "update", "emulation"}
    assert all(value > 0 for value in found["milliseconds"].values())
    assert found["machine"]["device"] == "cpu" and "tests" not in found


@pytest.mark.slow  # half a minute
def test_every_row_runs_on_the_cpu(capsys):
    assert main(["--device", "cpu", "--quick"]) == 0
    assert len(json.loads(capsys.readouterr().out)["rows"]) == len(rows_of(QUICK))


def test_rows_without_time_are_left_out_and_the_tests_have_theirs(monkeypatch, tmp_path):
    now = [0.0]
    monkeypatch.setattr(gpu, "gpu_tests", lambda seconds: {"exit": 0, "tail": [f"{seconds:.0f} s"]})
    monkeypatch.setattr(Bench, "parts", lambda bench, count: now.__setitem__(0, 1e9) or {})
    monkeypatch.setattr(Bench, "worlds", lambda *key: None)
    monkeypatch.setattr(Bench, "_learner", lambda *key: None)
    monkeypatch.setattr(gpu, "count_learning_steps", lambda *given: iter([5] * 1000))
    monkeypatch.setattr(Bench, "_wait", lambda bench: now.__setitem__(0, now[0] + 1))
    monkeypatch.setattr(gpu.torch.cuda, "get_device_name", lambda: "none")
    plan = Plan(minutes=5)

    def clock():
        now[0] += 0.5
        return now[0]

    found = Bench(plan, None, clock).run()
    rates = [row["env_steps_per_second"] for row in found["rows"]]
    assert rates[0] > 0 and not any(rates[1:]) and len(rates) == len(rows_of(plan))
    assert "time did not suffice" in found["peer"] or "not installed" in found["peer"]
    assert found["tests"] == {"exit": 0, "tail": ["150 s"]}


def test_what_the_gpus_tests_said_is_kept_even_if_they_were_stopped(monkeypatch, tmp_path):
    calls = []

    def run(command, timeout, **options):
        calls.append((command[command.index("-k") + 1], timeout))
        if len(calls) == 2:
            raise gpu.subprocess.TimeoutExpired(command, timeout, output=b"one PASSED\ntwo")
        return gpu.subprocess.CompletedProcess(command, 1, stdout=b"one FAILED\n")

    monkeypatch.setattr(gpu.subprocess, "run", run)
    found = gpu.gpu_tests(30.0)
    assert found["not compiled"] == {"exit": 1, "tail": ["one FAILED"]}
    assert found["compiled"] == {"exit": None, "tail": ["one PASSED", "two"]}
    assert [which for which, _ in calls] == list(found) and all(0 < limit <= 30 for _, limit in calls)
    monkeypatch.setattr(gpu, "TESTS", tmp_path / "none")
    assert "run from a checkout" in gpu.gpu_tests(1.0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "torch sees no GPU here"),
        (["--device", "cpu"], "all figures are of a GPU"),
        (["--device", "cpu", "--quick", "--minutes", "0"], "--minutes must be above 0, not 0"),
        (["--device", "cpu", "--quick", "--out", __file__], "exists: name another file with --out"),
    ],
)
def test_what_cannot_be_measured_is_refused(words, message, capsys):
    assert main(words) == 2
    told = capsys.readouterr()
    assert message in told.err and told.err.count("\n") == 1 and not told.out

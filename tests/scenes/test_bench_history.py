"""The benchmark history: every row is kept, whatever stops the run; `--check` finds a ratio that fell."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from scenes.bench import command, history, report
from scenes.bench.history import Entry, HistoryError, append, read
from scenes.bench.paired_timing import Measured, SideError
from scenes.bench.regression import Baseline
from scenes.cli.main import main
from sim.storage.files import SaveError

MACHINE = {"cpu": "abacus", "cores": 2, "threads": 2, "device": "cpu", "versions": {"playfield": "1.0"}}
OLD, NEW = "a" * 40, "b" * 40


def measured(name, ratio):
    peer = None if ratio is None else 100.0
    return Measured(name, "steps/s", 100 * (ratio or 1), peer, "", ratio, ratio, ratio, 1.0, 1.0, 5, "")


def entry(commit, machine=MACHINE, **ratios):
    return Entry("2026-12-01", commit, machine, [vars(measured(*row)) for row in ratios.items()])


@pytest.fixture
def bench(tmp_path, monkeypatch, capsys):
    """The verb with made-up ratios in the place of measurements; returns exit code, answer and stderr."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(report, "load", lambda: 0.0)
    monkeypatch.setattr(report, "machine", lambda *_: MACHINE)

    def run(*options, commit=NEW, **ratios):
        monkeypatch.setattr(history, "source_commit", lambda: commit)
        monkeypatch.setattr(command, "measured_rows", lambda *_: [measured(*row) for row in ratios.items()])
        code = main(["bench", "ppo", "dqn", *options, "--device", "cpu"])
        out, err = capsys.readouterr()
        return code, json.loads(out.splitlines()[-1]) if "--json" in options else out, err

    return run


@pytest.fixture
def file(tmp_path):
    return tmp_path / "playfield" / "bench.jsonl"


def test_a_run_with_json_is_kept_with_date_commit_machine_and_rows(bench, file):
    code, answer, _ = bench("--json", commit=OLD, ppo=2.83, dqn=None)
    assert code == 0 and answer["history"] == str(file)
    records = [json.loads(line) for line in file.read_text().splitlines()]
    for record in records:
        assert record["commit"] == OLD and record["machine"] == MACHINE and record["date"] > "2026"
    kept = [(row["name"], row["ratio"]) for record in records for row in record["rows"]]
    assert kept == [("ppo", 2.83), ("dqn", None)]
    assert read(file) == [Entry(**record) for record in records]
    bench(ppo=1.0)
    assert len(read(file)) == 2, "a run without --json is only looked at"
    bench("--json", ppo=2.0)
    assert [run.ratios() for run in read(file)] == [{"ppo": 2.83}, {}, {"ppo": 2.0}]


@pytest.fixture
def stopped_by(bench, file, monkeypatch):
    """`stopped_by(error, options)`: a run of two rows whose second raises; returns the exit code."""

    def run(error, *options, first="ppo"):
        def second(name, *_, **__):
            if name == first:
                return measured(name, 2.5)
            assert not first or [run.ratios() for run in read(file)][-1] == {first: 2.5}, "kept by now"
            raise error

        monkeypatch.setattr(command, "measure", second)
        return main(["bench", "ppo", "dqn", "--device", "cpu", "--history", str(file), *options])

    return run


def test_a_stopped_run_keeps_and_tells_the_rows_measured_so_far(stopped_by, file, capsys):
    assert stopped_by(KeyboardInterrupt, "--json") == 130
    out, err = capsys.readouterr()
    answer = json.loads(out.splitlines()[-1])
    assert [(row["name"], row["ratio"]) for row in answer["rows"]] == [("ppo", 2.5)]
    assert answer["history"] == str(file) and "2.50×" in out
    assert "stopped: 1 of 2 rows measured" in err


def test_a_run_that_is_stopped_before_its_first_row_has_no_answer(stopped_by, file, capsys):
    assert stopped_by(KeyboardInterrupt, "--json", first=None) == 130
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["exit"] == 130
    assert not file.exists()


def test_a_row_that_fails_costs_no_other(stopped_by, file, capsys):
    assert stopped_by(SideError("bench: dqn failed: no cartridge"), "--json") == 1
    out, _ = capsys.readouterr()
    assert json.loads(out.splitlines()[-1]) == {
        "error": f"bench: dqn failed: no cartridge; measured before it: ppo, now in {file}",
        "exit": 1,
    }
    assert "2.50×" in out


@pytest.mark.parametrize(("now", "code"), [(2.40, 1), (2.56, 0), (9.0, 0)])
def test_a_fall_of_more_than_15_percent_fails(bench, now, code):
    bench("--json", commit=OLD, ppo=3.0, dqn=4.7)
    found, answer, _ = bench("--check", "--json", ppo=now, dqn=4.7)
    assert found == code
    ppo, dqn = answer["check"]
    assert (ppo["before"], ppo["now"], ppo["commit"], ppo["fell"]) == (3.0, now, OLD[:12], code == 1)
    assert not dqn["fell"]
    text = bench("--check", OLD, ppo=now, dqn=4.7)[1]
    assert f"ppo: 3.00× at {OLD[:12]}, now {now:.2f}×" in text
    assert ("a fall of more than 15%" in text) == (code == 1)


def test_the_newest_other_commit_counts_and_a_named_one_if_named(bench):
    bench("--json", commit=OLD, ppo=4.0, dqn=1.0)
    bench("--json", commit="c" * 40, ppo=2.0)
    bench("--json", commit=NEW, ppo=9.0)
    code, answer, _ = bench("--json", "--check", ppo=1.9, dqn=1.0)
    assert code == 0
    assert [(row["commit"], row["before"]) for row in answer["check"]] == [("c" * 12, 2.0), (OLD[:12], 1.0)]
    assert bench("--check", "aaaa", ppo=1.9, dqn=1.0)[0] == 1
    assert bench("--check", NEW, ppo=8.9, dqn=1.0)[0] == 0, "its own commit, if named"


def test_what_is_not_in_the_history_is_refused_before_measuring_with_what_there_is(bench, file):
    code, _, err = bench("--check")
    assert code == 2 and "it is empty: run `playfield bench NAME --json`" in err
    bench("--json", commit=OLD, ppo=4.0)
    code, answer, _ = bench("--json", "--check", "dddddd")
    assert code == 2 and answer["exit"] == 2
    assert "commit dddddd" in answer["error"] and f"it has {OLD[:12]}: ppo" in answer["error"]
    assert len(read(file)) == 1
    code, _, err = bench("--check", "aaaa", "ppo")
    assert code == 2 and "--check takes one commit, not aaaa ppo: names of rows go before it" in err


def test_other_machines_do_not_count():
    runs = [entry(OLD, MACHINE | {"cpu": "slide rule"}, ppo=3.0)]
    with pytest.raises(HistoryError, match="it has 1 row of other processors"):
        Baseline(runs, "", ["ppo"], entry(NEW))


def test_a_clean_checkout_counts_before_a_changed_one():
    runs = [entry(OLD, ppo=3.0), entry(OLD + "-dirty", ppo=1.0)]
    here = entry(NEW)
    assert Baseline(runs, "aaaa", ["ppo"], here).found["ppo"].ratios() == {"ppo": 3.0}
    assert Baseline(runs, "aaaa-dirty", ["ppo"], here).found["ppo"].ratios() == {"ppo": 1.0}
    assert Baseline(runs, "", ["ppo"], here).found["ppo"].label == f"{OLD[:12]}-dirty"


def test_an_installed_version_stands_in_for_a_commit():
    (found,) = {Baseline([entry(None, ppo=3.0)], "", ["ppo"], entry(NEW)).found["ppo"].label}
    assert found == "playfield 1.0"


def test_a_row_that_lost_its_peer_fell_and_a_new_one_did_not():
    rows = Baseline([entry(OLD, ppo=3.0)], "", ["ppo", "dqn"], entry(NEW)).check({"ppo": None, "dqn": 1.0})
    assert [row.fell for row in rows] == [True, False]


def test_a_broken_last_line_loses_nothing_else(tmp_path):
    file = tmp_path / "bench.jsonl"
    append(file, entry(OLD, ppo=3.0))
    with file.open("a") as line:
        line.write('{"date": "2026-12-01", "comm')  # killed in mid-write
    append(file, entry(NEW, ppo=2.0))
    assert [run.commit for run in read(file)] == [OLD, NEW]
    with file.open("a") as line:
        line.write('[1]\n{"date": 1}\nnull\n{"date": "", "commit": "", "machine": {}, "rows": [{}]}\n')
    assert [run.commit for run in read(file)] == [OLD, NEW]


def append_many(path, who):
    for _ in range(20):
        append(path, entry(who * 40, ppo=1.0))


def test_writers_beside_each_other_lose_nothing(tmp_path):
    file = tmp_path / "bench.jsonl"
    with ThreadPoolExecutor(3) as writers:  # a lock is an open file's, so threads stand for processes
        list(writers.map(lambda who: append_many(file, who), "abc"))
    assert sorted(run.commit[0] for run in read(file)) == ["a"] * 20 + ["b"] * 20 + ["c"] * 20


def test_a_history_that_cannot_be_written_is_refused_or_told(bench, tmp_path, monkeypatch):
    code, _, err = bench("--history", str(tmp_path), ppo=1.0)
    assert code == 2 and "is a folder: name a file in it" in err
    (tmp_path / "plain").write_text("")
    code, _, err = bench("--history", str(tmp_path / "plain" / "x.jsonl"), ppo=1.0)
    assert code == 2 and f"choose a file outside {tmp_path / 'plain'}" in err

    def full(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    code, answer, err = bench("--json", ppo=1.0)
    assert code == 0 and answer["history"] is None and answer["rows"]
    assert "could not be written: the disk is full" in err
    with pytest.raises(SaveError):
        append(tmp_path / "y.jsonl", entry(OLD))

    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setattr(history.Path, "home", homeless)
    code, answer, err = bench("--json", ppo=1.0)
    assert code == 0 and answer["history"] is None and "name one with --history" in err


def test_the_commit_is_that_of_the_checkout_or_none(monkeypatch):
    commit = history.source_commit()
    assert commit is None or len(commit.removesuffix("-dirty")) == 40
    if commit is not None:
        assert history.named_commit("HEAD") == commit.removesuffix("-dirty")
    assert history.named_commit("no such branch") == "no such branch"
    monkeypatch.setenv("PATH", "")
    assert history.source_commit() is None and history.named_commit("HEAD") == "HEAD"

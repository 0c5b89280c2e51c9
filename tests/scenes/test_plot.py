"""Learning curves: means and bands by hand, damaged logs, the picture and its table, refusals."""

from __future__ import annotations

import csv
import io
import json
import sys

import numpy as np
import pytest
from PIL import Image

from scenes.cli.main import main
from scenes.evaluation.learning_curves import (
    ENOUGH,
    LearningCurve,
    PlotError,
    band_of,
    chosen_metric,
    counted_axis,
    read_experiments,
    read_log,
)
from scenes.evaluation.plot import COLORS, PlotRequest, figure_of, plot
from sim.storage.files import SaveError
from sim.storage.runs import seed_runs


def write_run(folder, returns, every=100, title="Pole", **more):
    """A run whose i-th update, at (i + 1)·`every` steps and 6 seconds each, had the i-th return."""
    folder.mkdir(parents=True)
    (folder / "scene.toml").write_text(f'title = "{title}"\n')
    rows = [
        {
            "env_steps": (i + 1) * every,
            "updates": i + 1,
            "episodes": 1,
            "return_mean": value,
            "seconds": 6.0 * (i + 1),
        }
        | {key: values[i] for key, values in more.items()}
        for i, value in enumerate(returns)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def straight(slope, last=10.0):
    return LearningCurve(np.array([0.0, last]), np.array([0.0, slope * last]))


def test_mean_and_band_of_few_seeds_by_hand():
    band = band_of([straight(1.0), straight(2.0, last=8.0), straight(6.0, last=20.0)])
    assert band.x[0] == 0.0 and band.x[-1] == 8.0, "as far as all of them go"
    np.testing.assert_allclose(band.mean, 3.0 * band.x)
    np.testing.assert_allclose(band.low, 1.0 * band.x)
    np.testing.assert_allclose(band.high, 6.0 * band.x)


def test_enough_seeds_have_a_bootstrap_interval_of_their_mean():
    slopes = np.arange(20.0)
    band = band_of([straight(slope) for slope in slopes])
    error = slopes.std() / np.sqrt(
        20
    )  # of the mean, as resampling sees it; a normal distribution has ± 1.96 of it
    np.testing.assert_allclose(band.mean, slopes.mean() * band.x)
    assert band.low[-1] / 10 == pytest.approx(slopes.mean() - 1.96 * error, abs=0.2)
    assert band.high[-1] / 10 == pytest.approx(slopes.mean() + 1.96 * error, abs=0.2)
    alike = band_of([straight(3.0)] * ENOUGH)
    np.testing.assert_array_equal(alike.low, alike.mean)


def test_seeds_that_have_no_step_in_common_have_no_mean():
    early, late = straight(1.0), LearningCurve(np.array([50.0, 60.0]), np.zeros(2))
    assert len(band_of([early, late]).x) == 0
    assert len(band_of([early, LearningCurve(np.empty(0), np.empty(0))]).x) == 0


def test_a_log_is_read_as_it_stands(tmp_path):
    rows = [
        '{"env_steps": 100, "seconds": 6, "return_mean": 1.0}',
        '{"env_steps": 200, "seconds": 12, "return_mean": 2.0}',
        '{"env_steps": 300, "seconds": 1',  # of a machine that went down
        '{"env_steps": 300, "seconds": 18, "return_mean": NaN}',
        '{"env_steps": 400, "seconds": 24, "return_mean": Infinity}',
        '{"env_steps": 500, "seconds": 30}',
        '{"env_steps": 600, "seconds": 36, "return_mean": "high"}',
        '{"env_steps": 200, "seconds": 12, "return_mean": 5.0}',  # gone back to a state and on from there
        '{"env_steps": 700, "seconds": 42, "return_mean": 7}',
        '{"env_steps": 800, "seco',  # on its way
    ]
    (tmp_path / "metrics.jsonl").write_text("\n".join(rows))
    log = read_log(tmp_path)
    assert log.damaged == [3]
    by_steps, by_time = log.line("return_mean", "env_steps"), log.line("return_mean", "minutes")
    assert by_steps.x.tolist() == [100, 200, 700] and by_steps.values.tolist() == [1, 5, 7]
    assert by_time.x.tolist() == pytest.approx([0.1, 0.2, 0.7])


def test_a_folder_of_seeds_is_one_curve_and_runs_are_one_each(tmp_path):
    for seed in (10, 2, 0):
        write_run(tmp_path / "a" / f"seed-{seed}", [seed, seed + 2])
    (tmp_path / "a" / "seed-x").mkdir()
    (tmp_path / "a" / "seed-3").mkdir()
    (tmp_path / "a" / "seed-3" / "scene.toml").touch()
    write_run(tmp_path / "b", [0, 0])
    assert [path.name for path in seed_runs(tmp_path / "a")] == ["seed-0", "seed-2", "seed-3", "seed-10"]
    several, one, seed = read_experiments([tmp_path / "a", tmp_path / "b", tmp_path / "a" / "seed-2"])
    assert [run.folder.name for run in several.runs] == ["seed-0", "seed-2", "seed-10"]
    assert [path.name for path in several.waiting] == ["seed-3"]
    assert several.band("return_mean", "env_steps").mean[[0, -1]].tolist() == [4, 6]
    assert (several.name, one.name, seed.name) == ("a", "b", "a/seed-2")
    assert several.band_name == "lowest to highest" and one.band_name == ""


def test_a_name_is_as_long_as_it_must_be(tmp_path):
    for name in ("x/pong", "y/pong", "y/walker"):
        write_run(tmp_path / name, [1])
    found = read_experiments([tmp_path / name for name in ("x/pong", "y/pong", "y/walker")])
    assert [each.name for each in found] == ["x/pong", "y/pong", "walker"]


def test_the_metric_is_the_usual_one_that_all_have(tmp_path):
    agent = write_run(tmp_path / "agent", [1, 2], loss=[3.0, 2.0], entropy=[1.0, 1.0])
    (tmp_path / "fit").mkdir()
    (tmp_path / "fit" / "metrics.jsonl").write_text('{"updates": 50, "loss": 0.5, "seconds": 3.0}\n')
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "metrics.jsonl").write_text('{"updates": 50, "nll": 0.5, "seconds": 3.0}\n')
    both = read_experiments([agent, tmp_path / "fit"])
    assert chosen_metric(both[:1], None) == "return_mean" and counted_axis(both[:1]) == "env_steps"
    assert chosen_metric(both, None) == "loss" and counted_axis(both) == "updates"
    with pytest.raises(PlotError, match='fit has no metric "entropy"; it has loss'):
        chosen_metric(both, "entropy")
    with pytest.raises(
        PlotError, match='"retrun_mean"; did you mean "return_mean".* it has entropy, loss, return_mean'
    ):
        chosen_metric(both, "retrun_mean")
    with pytest.raises(PlotError, match="no metric in common: plot them apart .*odd: nll"):
        chosen_metric(read_experiments([agent, tmp_path / "odd"]), None)


def test_what_is_no_run_is_refused_by_name(tmp_path):
    run = write_run(tmp_path / "run", [1])
    (tmp_path / "empty").mkdir()
    for name in ("new", "seeds/seed-0"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "scene.toml").touch()
        (tmp_path / name / "metrics.jsonl").write_text('{"upd')
    for runs, words in (
        ([], "needs a run or more"),
        ([run, tmp_path / "empty" / ".." / "run"], "is named twice"),
        ([tmp_path / "none"], "there is no folder .*none"),
        ([run / "scene.toml"], "is a file, not a run"),
        ([tmp_path / "empty"], "neither a metrics.jsonl nor a seed-<n> folder"),
        ([tmp_path / "new"], "has no line in metrics.jsonl yet"),
        ([tmp_path / "seeds"], "no seed in .*seeds has a line"),
    ):
        with pytest.raises(PlotError, match=words) as caught:
            read_experiments(runs)
        assert "\n" not in str(caught.value)


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Three seeds of one experiment, and a run of another."""
    monkeypatch.chdir(tmp_path)
    for seed in range(3):
        write_run(tmp_path / "three" / f"seed-{seed}", np.arange(40.0) * (seed + 1), every=1000)
    return [tmp_path / "three", write_run(tmp_path / "one", [0.0, 30.0], every=20_000)]


def test_the_picture_has_a_panel_by_steps_and_one_by_the_clock(runs):
    figure = figure_of(read_experiments(runs), "return_mean", ["env_steps", "minutes"])
    by_steps, by_clock = figure.axes
    assert (
        by_steps.get_xlabel() == "env steps [thousands]" and by_clock.get_xlabel() == "wall-clock time [min]"
    )
    assert by_steps.get_ylabel() == "return, mean of the last 100 episodes"
    assert figure.get_suptitle() == "Pole"
    (legend,) = figure.legends
    told = [text.get_text() for text in legend.get_texts()]
    assert told == ["three (mean of 3 seeds; band: lowest to highest)", "one (1 seed)"]
    means = {line.get_label(): line for line in by_steps.lines if line.get_label() in ("three", "one")}
    assert [means[name].get_color() for name in ("three", "one")] == list(COLORS[:2])
    np.testing.assert_allclose(means["three"].get_xdata()[[0, -1]], [1, 40])
    np.testing.assert_allclose(means["three"].get_ydata()[[0, -1]], [0, 78])
    np.testing.assert_allclose(means["one"].get_xdata(), [20, 40])
    assert len(by_steps.collections) == 1, "one band"
    longest = by_clock.lines[-1].get_xdata()
    np.testing.assert_allclose(longest, [0.1, 0.2])


def test_the_verb_writes_picture_and_table_and_answers_in_numbers(runs, capsys, tmp_path):
    assert main(["plot", *map(str, runs)]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[-2:] == ["three.png", "three.csv"] and err == ""
    assert ["three", "3", "40,000", "4.0", "78", "78"] in [line.split() for line in out.splitlines()]
    with Image.open("three.png") as image:
        pixels = np.asarray(image.convert("RGB"))
    assert pixels.shape[0] > 500 and pixels.shape[1] > 1200
    assert (pixels[0, 0] == 255).all(), "white ground"
    for color in COLORS[:2]:
        rgb = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
        assert (pixels == rgb).all(-1).sum() > 300, "both curves are there"
    table = list(csv.DictReader(io.StringIO((tmp_path / "three.csv").read_text())))
    last = [row for row in table if row["axis"] == "env_steps" and row["run"] == "three"][-1]
    assert {key: last[key] for key in ("seeds", "metric", "x", "mean", "low", "high")} == {
        "seeds": "3",
        "metric": "return_mean",
        "x": "40000",
        "mean": "78",
        "low": "39",
        "high": "117",
    }
    assert {row["axis"] for row in table} == {"env_steps", "minutes"}

    assert main(["plot", *map(str, runs), "--x", "time", "--json"]) == 0
    out, _ = capsys.readouterr()
    answer = json.loads(out.splitlines()[-1])
    assert answer["files"] == ["three-2.png", "three-2.csv"], "the next free name"
    keys = ("run", "seeds", "steps", "last", "best")
    assert [[row[key] for key in keys] for row in answer["rows"]] == [
        ["three", 3, 40_000, 78.0, 78.0],
        ["one", 1, 40_000, 30.0, 30.0],
    ]
    assert [row["minutes"] for row in answer["rows"]] == [4.0, 0.2]
    assert "env_steps" not in (tmp_path / "three-2.csv").read_text()
    with Image.open("three-2.png") as image:
        assert image.width < 0.6 * pixels.shape[1], "one panel"


def test_nothing_is_overwritten_unless_told(runs, tmp_path):
    mine = tmp_path / "fig.csv"
    mine.write_text("my own")
    out = tmp_path / "fig.png"
    with pytest.raises(PlotError, match=r"fig.csv exists: choose another --out, or give --overwrite"):
        plot(PlotRequest(runs, out), print)
    assert mine.read_text() == "my own" and not out.exists()
    plot(PlotRequest(runs[1:], out, x="steps", overwrite=True), print)
    assert out.exists() and mine.read_text().startswith("run,seeds,metric,axis,x,mean,low,high\none,1,")
    assert not list(tmp_path.glob(".*")), "no half-written file is left"
    for wrong, words in (("fig.pdf", "must end in .png, not fig.pdf"), ("three.png", "is a folder")):
        (tmp_path / "three.png").mkdir(exist_ok=True)
        with pytest.raises(PlotError, match=words):
            plot(PlotRequest(runs, tmp_path / wrong), print)
    with pytest.raises(SaveError, match="could not write .*metrics.jsonl/a.csv"):
        plot(PlotRequest(runs, runs[1] / "metrics.jsonl" / "a.png"), print)


def test_a_curve_that_ends_early_is_told_and_so_are_damage_and_seeds_that_wait(runs, tmp_path):
    path = tmp_path / "three" / "seed-1" / "metrics.jsonl"
    lines = path.read_text().splitlines()[:20]
    path.write_text("\n".join([*lines[:5], "damaged", *lines[5:]]) + "\n")
    (tmp_path / "three" / "seed-7").mkdir()
    (tmp_path / "three" / "seed-7" / "scene.toml").touch()
    said = []
    answer = plot(PlotRequest(runs[:1], x="steps"), said.append)
    assert answer["rows"][0]["steps"] == 20_000
    assert [line.replace(str(tmp_path), "") for line in said] == [
        "/three/seed-7 has no update yet and is left out",
        "/three/seed-1: damaged lines of metrics.jsonl are left out: 6",
        "three: the mean goes to 20,000 env steps, as far as seed-1 has come",
    ]


def test_a_loss_is_best_where_it_is_least_and_one_that_is_never_finite_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = write_run(tmp_path / "fit", [0, 0, 0], loss=[3.0, 1.0, 2.0], odd=[float("nan")] * 3)
    (row,) = plot(PlotRequest([run], metric="loss", x="steps"), print)["rows"]
    assert (row["last"], row["best"]) == (2.0, 1.0)
    with pytest.raises(PlotError, match='no value of "odd" in fit is a finite number'):
        plot(PlotRequest([run], metric="odd"), print)


def test_requests_that_are_wrong_exit_with_2_and_one_line(tmp_path, capsys, monkeypatch):
    run = write_run(tmp_path / "run", [1, 2])
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for module in [name for name in sys.modules if name.startswith("matplotlib.")]:
        monkeypatch.delitem(sys.modules, module)
    for arguments, words in (
        ([str(run)], 'the package matplotlib: python -m pip install "matplotlib'),
        ([], "needs a run or more"),
        ([str(run), "--metric", "los"], 'run has no metric "los"'),
        ([str(run), "--set", "a=1"], "--set changes a key of a scene"),
    ):
        assert main(["plot", *arguments]) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1 and words in err
    assert sorted(tmp_path.rglob("*")) == before

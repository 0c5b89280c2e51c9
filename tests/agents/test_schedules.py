"""The one linear schedule: its line by hand, exact at both ends."""

from __future__ import annotations

import pytest

from agents.optim.schedules import linear_schedule


@pytest.mark.parametrize(("share", "value"), [(0.0, 2.0), (0.25, 1.75), (0.5, 1.5), (1.0, 1.0), (3.0, 1.0)])
def test_a_schedule_is_a_straight_line_that_stays_at_its_end(share, value):
    assert linear_schedule(2.0, 1.0, share) == value


@pytest.mark.parametrize(
    ("start", "end"), [(0.1, 0.3), (0.9, 0.1), (2.5e-4, 0.0), (1.0, 0.001), (7e-4, 1e-5)]
)
def test_both_ends_are_exact_whatever_the_rounding_between(start, end):
    assert linear_schedule(start, end, 0.0) == start
    assert linear_schedule(start, end, 1.0) == end


def test_without_an_end_it_is_constant():
    assert {linear_schedule(0.2, None, share) for share in (0.0, 0.3, 1.0)} == {0.2}

"""What the tests of scenes share."""

import pytest


@pytest.fixture
def few(monkeypatch):
    """`few(module, NAME=number, …)` makes the usual amounts of a module small: a verb then takes no time."""

    def amounts(module, **numbers):
        for name, number in numbers.items():
            monkeypatch.setattr(module, name, number)

    return amounts

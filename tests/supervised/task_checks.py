"""Conformance of a task: what every catalogue entry with data of its own must hold."""

import numpy as np

from sim.model_conformance import check_perception
from sim.records import Budget
from supervised.data.sources.splits import Splits
from supervised.figure import rasterized
from supervised.task import TaskConfig, is_task


def check_task(config: TaskConfig, splits: Splits, *, updates: int = 2, inputs: int = 3) -> None:
    """Check a task on its data, with a model fitted for a few updates, twice: once resumed in between."""
    assert is_task(config)
    units = [set(part.episodes.tolist()) for part in (splits.train, splits.validation, splits.test)]
    assert not units[0] & units[1] and not units[0] & units[2] and not units[1] & units[2]
    values = list(splits.test.values[:inputs])
    model, again = (config.build(splits.classes, seed=1, device="cpu") for _ in range(2))
    fit = model.fit(splits.train, splits.validation, seed=2)
    assert list(fit.learn(Budget(None, updates)))
    check_perception(model, values, config.tells, splits.classes)
    half = again.fit(splits.train, splits.validation, seed=2)
    list(half.learn(Budget(None, updates)))
    again.load_weights(model.weights())
    percepts = model.perceive(values)
    for one, other in zip(percepts, again.perceive(values), strict=True):
        assert repr(one.extras) == repr(other.extras) and one.label == other.label
        assert one.caption == other.caption
    scores = config.metrics.accumulate(percepts, splits.test.truths[:inputs], None).score(np.ones(inputs))
    assert scores
    for baseline in config.baselines(splits.train, seed=0).values():
        assert len(baseline(values)) == inputs
    for truth in (splits.test.truths[0], None):
        rgb = rasterized(lambda figure, t=truth: model.draw(figure, values[0], percepts[0], t), (320, 240))
        assert rgb.shape == (240, 320, 3) and rgb.std() > 1

"""Class means of images, summed some at a time, equal those of the whole array to the last bit."""

import numpy as np

from generative.data.class_means import TOGETHER, class_means, mean_of


def test_means_are_those_of_the_whole_array():
    generator = np.random.default_rng(0)
    values = generator.integers(0, 256, (3 * TOGETHER + 7, 2, 3, 3)).astype(np.uint8)
    labels = np.repeat([1, 4], [3 * TOGETHER + 2, 5])
    found = dict(class_means(values, labels))
    assert list(found) == [1, 4]
    for label, mean in found.items():
        assert np.array_equal(mean, values[labels == label].mean(0, dtype=np.float64))
    assert np.array_equal(mean_of(values, np.arange(len(values))), values.mean(0, dtype=np.float64))

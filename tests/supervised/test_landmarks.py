"""Perceptron, backpropagation, LeNet, AlexNet, double descent: what each landmark claims, held by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from task_checks import check_task

from sim.records import Array, Budget, Percept
from supervised.data.dataset import Dataset
from supervised.data.sources.plane_points import line_points, plane_splits
from supervised.data.sources.small_images import ANIMALS, animals, image_splits, split_images
from supervised.data.sources.splits import DataError, Source
from supervised.tables.backpropagation import Backpropagation, Network, finite_difference_error
from supervised.tables.perceptron import Perceptron, PerceptronRule, extended, mistake_bound, signs
from supervised.tables.signal_classifier import SignalClassifier, random_feature_errors
from supervised.vision.alexnet import AlexNet
from supervised.vision.image_task import as_grey, parameter_count, shifted
from supervised.vision.lenet import LeNet, LeNet5

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")


def few_images(seed: int = 0):
    """Splits of thirty images: a bright stripe, upright or lying."""
    generator = np.random.default_rng(seed)
    images = np.zeros((60, 28, 28), np.uint8)
    for number, image in enumerate(images):
        at = generator.integers(4, 22)
        image[:, at : at + 3] = 255
        if number % 2:
            images[number] = image.T
    images[:, 0, :] = generator.integers(0, 256, (60, 28))
    return split_images(images, np.arange(60) % 2, ("upright", "lying"), Source("stripes", "drawn"), 0)


@pytest.mark.parametrize("config", [LeNet(), AlexNet(width=2)], ids=["lenet", "alexnet"])
def test_the_image_tasks_keep_their_interface(config):
    check_task(config, few_images(), updates=2)


@pytest.mark.parametrize(
    "config", [Perceptron(), Backpropagation(hidden=(3,))], ids=["perceptron", "backpropagation"]
)
def test_the_plane_tasks_keep_their_interface(config):
    check_task(config, config.splits(None, seed=1), updates=3)


@pytest.mark.parametrize("seed", range(20))
def test_the_perceptron_errs_no_more_often_than_novikoff_allows_and_comes_to_rest(seed):
    splits = plane_splits("line", None, seed=seed)
    model = Perceptron().build(splits.classes, seed=0)
    rule = PerceptronRule(model, splits.train)
    while (row := rule.first_mistake()) is not None:
        rule.correct(row)
    assert 0 < rule.mistakes <= rule.bound < math.inf
    _, _, line = line_points(seed)  # any separating line gives a bound, the largest margin the least
    points, sides = extended(splits.train), signs(splits.train, splits.classes)
    margin = (points @ line * sides).min() / np.linalg.norm(line)
    assert rule.bound <= (np.linalg.norm(points, axis=1).max() / margin) ** 2 * 1.01


def test_of_two_points_the_bound_is_known_and_of_crossed_ones_there_is_none():
    assert mistake_bound(np.array([[2.0, 0.0], [-1.0, 0.0]]), np.array([1.0, -1.0])) == pytest.approx(
        4, rel=1e-3
    )
    crossed = np.array([[1.0, 1, 1], [-1, -1, 1], [1, -1, 1], [-1, 1, 1]])
    assert mistake_bound(crossed, np.array([1.0, 1, -1, -1])) == math.inf


def test_a_fit_of_the_perceptron_resumes_where_it_stopped():
    splits = plane_splits("line", None, seed=3)

    def fit():
        model = Perceptron().build(splits.classes, seed=0)
        return model, model.fit(splits.train, splits.validation, seed=0)

    whole, one = fit()
    list(one.learn(Budget(None, 200)))
    other, again = fit()
    half = next(iter(again.learn(Budget(None, 200))))
    assert half.updates == 10
    resumed, third = fit()
    third.restore(again.state())
    list(third.learn(Budget(None, 200)))
    assert np.array_equal(resumed.line, whole.line) and not np.array_equal(other.line, whole.line)


@pytest.mark.parametrize("sizes", [(2, 1), (2, 3, 1), (2, 4, 3, 1)])
def test_backpropagated_gradients_are_those_of_finite_differences(sizes):
    generator = np.random.default_rng(len(sizes))
    network = Network(sizes, generator)
    x, target = generator.standard_normal((7, 2)), generator.integers(0, 2, 7).astype(float)
    assert finite_difference_error(network, x, target) < 1e-8
    network.weights[0] += 1e-3  # and a gradient of other weights is noticed
    wrong = network.backward(x, target)[0][0] - 1e-3
    assert np.abs(wrong - network.backward(x, target)[0][0]).max() > 1e-4


def test_backpropagation_agrees_with_automatic_differentiation():
    generator = np.random.default_rng(5)
    network = Network((2, 5, 1), generator)
    x, target = generator.standard_normal((9, 2)), generator.integers(0, 2, 9).astype(float)
    tensors = [torch.from_numpy(array).requires_grad_() for array in network.parameters()]
    hidden = torch.tanh(torch.from_numpy(x) @ tensors[0] + tensors[2])
    loss = torch.nn.functional.binary_cross_entropy_with_logits(
        (hidden @ tensors[1] + tensors[3])[:, 0], torch.from_numpy(target)
    )
    loss.backward()
    weights, biases, _ = network.backward(x, target)
    for tensor, gradient in zip(tensors, [*weights, *biases], strict=True):
        np.testing.assert_allclose(tensor.grad.numpy(), gradient, atol=1e-12)
    assert network.loss(x, target) == pytest.approx(loss.item())


def test_hidden_units_learn_what_no_line_separates():
    config = Backpropagation()
    splits = config.splits(None, seed=0)
    model = config.build(splits.classes, seed=0)
    list(model.fit(splits.train, splits.validation, seed=0).learn(Budget(None, 300)))

    def right(perceive):
        said = perceive(list(splits.train.values))
        return np.mean(
            [one.label == truth.label for one, truth in zip(said, splits.train.truths, strict=True)]
        )

    (line,) = config.baselines(splits.train, seed=0).values()
    assert right(model.perceive) > 0.95 > 0.92 > right(line)


def test_a_demonstration_shows_each_correction_and_then_rest():
    splits = plane_splits("line", None, seed=0)
    frames = list(Perceptron().demonstrate(splits, seed=0))
    mistakes = [frame.readouts[0].value for frame in frames]
    assert mistakes[:3] == [0, 1, 2] and mistakes[-1] == mistakes[-2] and frames[-1].readouts[2].value == 0


def test_lenet_has_the_papers_parameters_but_for_the_table_of_c3():
    """LeCun et al. 1998: 156, 12, 1516 (2416 where C3 sees all maps), 32, 48120, 10164; a linear output."""
    assert parameter_count(LeNet5(10)) == 156 + 12 + 2416 + 32 + 48120 + 10164 + 850


def test_images_are_shifted_without_wrapping_and_ink_on_paper_is_inverted():
    images = np.zeros((2, 28, 28), np.uint8)
    images[:, 5, 6] = 9
    moved = shifted(images, np.array([[2, -1], [0, 0]]))
    assert moved[0, 7, 5] == 9 and moved[0].sum() == 9 and moved[1, 5, 6] == 9
    paper = np.full((56, 56, 3), 255, np.uint8)
    paper[20:30, 20:30] = 0
    grey = as_grey(paper)
    assert grey.shape == (28, 28) and grey[0, 0] == 0 and grey[12, 12] == 255


def test_no_copy_of_a_training_image_is_tested():
    images, labels = animals()
    assert images.shape == (10_000, 28, 28) and np.bincount(labels).tolist() == [1000] * len(ANIMALS)
    splits = image_splits("animals", None, seed=0)
    seen = {values.tobytes() for part in (splits.train, splits.validation) for values in part.values}
    assert not any(values.tobytes() in seen for values in splits.test.values)


def test_with_random_features_the_test_error_peaks_where_they_are_as_many_as_examples():
    generator = np.random.default_rng(0)
    teacher = generator.standard_normal((10, 2))

    def drawn(count: int) -> tuple[Array, Array]:
        x = generator.standard_normal((count, 10))
        labels = (x @ teacher).argmax(1)
        labels[: count // 7] = 1 - labels[: count // 7]
        return x, np.eye(2)[labels]

    train, test = drawn(60), drawn(500)
    few, same, many = (
        np.mean([random_feature_errors(*train, *test, width, seed)[1] for seed in range(5)])
        for width in (12, 60, 2_000)
    )
    assert same > few + 0.05 and same > many + 0.05
    assert random_feature_errors(*train, *test, 600, 0)[0] == 0, "beyond it every training label is learned"


def test_signals_keep_their_interface():
    generator = np.random.default_rng(0)

    def part(rows):
        truths = tuple(Percept("truth", label="01"[row % 2]) for row in rows)
        values = generator.standard_normal((len(rows), 40)).astype(np.float32)
        return Dataset(values=values, truths=truths, episodes=np.array(rows))

    from supervised.data.sources.splits import Splits

    splits = Splits(
        part(range(40)), part(range(40, 50)), part(range(50, 60)), "signal", Source("a", "b"), ("0", "1")
    )
    check_task(SignalClassifier(channels=4, batch_size=20), splits)
    with pytest.raises(ValueError, match="40 numbers, not 3"):
        SignalClassifier().build(("0", "1"), seed=0).perceive([np.zeros(3)])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1,2,a\n3,4,a\n", "there are 1: a"),
        ("x,y,class\n", "there are 0"),
        ("1,2,a\n1,2,b\n1,1,c\n", "are 3"),
    ],
)
def test_points_of_other_than_two_classes_are_refused(tmp_path, text, said):
    file = tmp_path / "points.csv"
    file.write_text(text)
    with pytest.raises(DataError, match=said):
        plane_splits("line", file, seed=0)


def test_folders_of_pictures_are_read_and_what_is_none_is_counted(tmp_path):
    from PIL import Image

    for name in ("cats", "dogs"):
        (tmp_path / name).mkdir()
        for number in range(7):
            pixels = np.random.default_rng(number).integers(0, 256, (30, 40), np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    (tmp_path / "cats" / "notes.txt").write_text("no picture")
    splits = image_splits("animals", tmp_path, seed=0)
    assert splits.classes == ("cats", "dogs") and splits.skipped == ("1 files that are no pictures",)
    for file in list((tmp_path / "dogs").iterdir())[:3]:
        file.unlink()
    with pytest.raises(DataError, match="dogs holds 4 pictures"):
        image_splits("animals", tmp_path, seed=0)

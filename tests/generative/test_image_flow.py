"""The flow on pictures: its Jacobian against autograd, its inverse, its bound, its cleaning, exact resume."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from generative.models.image_flow import ImageFlow, dequantization_log_normalizer, from_rgb, image_flow_loss
from sim.records import Budget, Condition, SampleOptions
from supervised.data.columns import LabelColumn
from supervised.data.dataset import Dataset, Spec

FREE, OPTIONS = Condition(), SampleOptions()
TINY = {"patch": 2, "channels": 16, "blocks": 3, "layers": 1, "batch_size": 8, "ema": 0.9}
SPEC = Spec((4, 4, 3), ("dark", "light"))


def pictures(n, seed):
    """Plain grey ones, dark or light."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(2, size=n)
    grey = np.where(labels, 190, 60) + generator.integers(-20, 21, n)
    rgb = (grey[:, None, None, None] * np.ones((n, 4, 4, 3))).astype(np.uint8)
    return Dataset(values=rgb, labels=LabelColumn(labels, SPEC.label_names), episodes=np.arange(n))


def stirred(seed=0, **config):
    """A flow whose every weight is random: a fresh one is the identity."""
    torch.set_num_threads(1)
    model = ImageFlow(**TINY | config).build(SPEC, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    return model


@pytest.fixture(scope="module")
def fitted():
    data = pictures(200, 0)
    model = ImageFlow(**TINY | {"learning_rate": 5e-3}).build(SPEC, seed=0)
    fit = model.fit(data, pictures(8, 1), seed=0)
    for _ in fit.learn(Budget(updates=150)):
        pass
    model.load_weights(fit.weights())
    return model


def test_the_determinant_is_autograds():
    network = stirred().network.double()
    x = torch.rand(1, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    for label in (torch.tensor([0]), torch.tensor([1])):

        def whole(flat, label=label):
            return network(flat.view(1, 3, 4, 4), label)[0].flatten()

        jacobian = torch.autograd.functional.jacobian(whole, x.flatten())
        told = network(x, label)[1].item()
        assert abs(told) > 0.1
        assert told == pytest.approx(torch.linalg.slogdet(jacobian)[1].item(), abs=1e-9)


def test_remembering_attention_undoes_what_causal_attention_did():
    network = stirred().network.double()
    x = torch.rand(5, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    label = torch.tensor([0, 1, 0, 1, 1])
    with torch.no_grad():
        z = network(x, label)[0]
        assert (z - network.cut(x)).abs().max() > 0.1
        assert torch.allclose(network.inverse(z, label), x, atol=1e-9)


def test_encoding_and_decoding_give_the_picture_back(fitted):
    values = pictures(20, 2).values
    latents = fitted.encode(values)
    assert latents.shape == (20, 48 + 2)
    assert np.abs(fitted.decode(latents).astype(int) - values).max() <= 1


def test_crowding_of_a_level_amid_others_is_one_over_their_distance():
    x = torch.zeros(2, 3, 4, 4)
    assert dequantization_log_normalizer(x, 0.05) == pytest.approx([48 * math.log(127.5)] * 2, rel=1e-5)
    at_the_edge = torch.full((1, 3, 4, 4), -1.0)
    half = 0.5 * 127.5 + 0.5 / (0.05 * math.sqrt(2 * math.pi))  # half of them, and half the one in the middle
    assert dequantization_log_normalizer(at_the_edge, 0.05).item() == pytest.approx(
        48 * math.log(half), rel=1e-5
    )


def test_its_bound_is_what_the_noise_costs_and_a_little(fitted):
    """Next to the entropy of the noise that of the pictures, log₂ 82 bits in all, is little."""
    noise = math.log2(fitted.config.noise * math.sqrt(2 * math.pi * math.e) * 127.5)
    told = fitted.bits_per_dim(pictures(200, 3).values)
    assert noise < told.mean() < noise + 0.4
    scrambled = np.random.default_rng(0).integers(0, 256, (50, 4, 4, 3), dtype=np.uint8)
    assert fitted.bits_per_dim(scrambled).min() > 8, "no picture of the kind"


def gaussian(mean):
    """The flow that is N(mean, 0.1²) in each value: x minus its mean, over σ; and σ."""
    model = ImageFlow(**TINY, noise=0.1).build(SPEC, seed=0)
    with torch.no_grad():
        model.network.means.fill_(mean)
        model.network.blocks[0].leave.bias[12:] = 4 * math.atanh(math.log(0.1) / 4)
    return model, 0.1


def test_the_loss_counts_the_bits_of_a_value_in_intervals_of_one_in_127_and_a_half():
    (model, sigma), level = gaussian(0.25), 150
    rgb, noise = torch.full((2, 4, 4, 3), level, dtype=torch.uint8), torch.zeros(2, 3, 4, 4)
    _, figures = image_flow_loss(model.network, {"rgb": rgb, "label": torch.tensor([0, 1]), "noise": noise})
    probability = np.exp(-0.5 * ((level / 127.5 - 1 - 0.25) / sigma) ** 2) / (
        sigma * math.sqrt(2 * math.pi) * 127.5
    )
    assert figures["bits_per_dim"].item() == pytest.approx(-math.log2(probability), abs=1e-4)


def test_one_step_along_the_slope_takes_the_noise_away():
    """Of one picture alone with Gaussian noise the density is known, and with it every step."""
    model, sigma = gaussian(0.25)
    noisy = 0.25 + sigma * torch.randn(6, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    cleaned = model._cleaned(noisy, torch.zeros(6, dtype=torch.int64))
    assert torch.allclose(cleaned, torch.full_like(cleaned, 0.25), atol=1e-5)


def test_it_learns_and_samples_by_label(fitted):
    for label, (low, high) in (("dark", (30, 90)), ("light", (160, 220))):
        made = fitted.sample(40, Condition(label=label), OPTIONS, 0).values.astype(int)
        mean = made.mean((1, 2, 3))
        assert ((mean > low) & (mean < high)).mean() > 0.9
        assert 4 < mean.std() < 25, "the greys vary by 12"
    assert made.std((1, 2)).mean() < 8, "each picture is nearly plain, and noise of 6 is taken away"


def test_one_latent_gives_one_picture_as_often_as_asked_for(fitted):
    latent = fitted.encode(pictures(1, 2).values)[0]
    made = fitted.sample(3, Condition(latent=latent), OPTIONS, 0).values
    assert made.shape == (3, 4, 4, 3)
    assert (made == made[:1]).all()


def test_samples_do_not_depend_on_how_many_are_asked_for(fitted):
    few, many = (fitted.sample(n, FREE, OPTIONS, 5).values.astype(int) for n in (3, 100))
    assert np.abs(few - many[:3]).max() <= 1


def test_a_resumed_fit_ends_in_the_same_weights(monkeypatch):
    monkeypatch.setattr("generative.models.image_flow.VALIDATE_EVERY", 4)
    data = pictures(30, 0)

    def fresh(seed):
        return ImageFlow(**TINY).build(SPEC, seed=seed).fit(data, data, seed=0)

    whole, part, other = fresh(0), fresh(0), fresh(7)
    list(whole.learn(Budget(updates=6)))
    next(part.learn(Budget(updates=6)))
    other.restore(part.state())
    list(other.learn(Budget(updates=6)))
    for name, array in whole.weights().items():
        assert array.tobytes() == other.weights()[name].tobytes(), name


def test_what_it_cannot_do_is_refused_by_name(fitted):
    for condition, culprit in (
        (Condition(label="drak"), "drak.*dark"),
        (Condition(text="a dark one"), "text"),
        (Condition(latent=np.zeros(48, np.float32)), "latent"),
    ):
        with pytest.raises(ValueError, match=culprit):
            fitted.sample(1, condition, OPTIONS, 0)
    with pytest.raises(ValueError, match="patch 3"):
        ImageFlow(patch=3).build(SPEC, seed=0)
    for field, value in (("heads", 5), ("noise", 0.0), ("layers", 0)):
        with pytest.raises(ValueError, match=field):
            ImageFlow(**TINY | {field: value})


def test_whole_greys_survive_the_way_to_numbers():
    rgb = torch.arange(48, dtype=torch.uint8).view(1, 4, 4, 3)
    assert from_rgb(rgb).shape == (1, 3, 4, 4)
    assert from_rgb(rgb)[0, 1, 2, 3].item() == pytest.approx(rgb[0, 2, 3, 1].item() / 127.5 - 1)

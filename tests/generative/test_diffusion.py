"""Diffusion: image space, examples and loss by hand, guidance, EMA, resuming, diffusers, learning."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from generative.conditions import ConditionError
from generative.diffusion import pixel_maps as canvas_module
from generative.diffusion.guidance import guided, labels_of
from generative.diffusion.image_diffusion import (
    Diffusion,
    DiffusionExamples,
    diffusion_loss,
    times,
)
from generative.diffusion.mean_image import MeanImages, ResidualDenoiser
from generative.diffusion.pixel_maps import PixelMaps
from generative.diffusion.sampling import denoise, generators
from generative.diffusion.schedule import SCHEDULERS, add_noise, alpha_at, angles, quiet, scheduler
from sim.records import Budget, Condition, SampleOptions
from sim.storage.checkpoints import load_checkpoint, make_card, save_checkpoint
from supervised.data.columns import LabelColumn
from supervised.data.dataset import Dataset

TINY = {"channels": (16, 16), "fold": 2, "batch_size": 8}
FEW = SampleOptions(steps=4)
BLACK = np.zeros((8, 8, 3), np.uint8)


def squares(n=64, side=8, seed=0):
    """Red or green pictures with a bright square in one of four corners."""
    generator = np.random.default_rng(seed)
    values = np.full((n, side, side, 3), 30, np.uint8)
    labels = np.arange(n) % 2
    for i, (row, column) in enumerate(generator.integers(0, 2, (n, 2)) * side // 2):
        values[i, row : row + side // 2, column : column + side // 2, labels[i]] = 220
    return Dataset(values=values, labels=LabelColumn(labels, ("red", "green")), episodes=np.arange(n))


def model(seed=0, **fields):
    return Diffusion(**TINY | fields).build(squares(2).spec(), seed=seed)


def shaken(seed=0, **fields):
    """A model whose network says something loud."""
    made = model(seed, **fields)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in made.network.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return made


def test_folding_loses_nothing_and_keeps_neighbours_in_one_cell():
    canvas = PixelMaps((8, 12, 3), 4)
    rgb = np.random.default_rng(0).integers(0, 256, (3, 8, 12, 3), dtype=np.uint8)
    x = canvas.folded(torch.from_numpy(rgb))
    assert x.shape == (3, canvas.channels, *canvas.cells) == (3, 48, 2, 3)
    assert np.array_equal(canvas.unfolded(x), rgb)
    cell = np.sort((rgb[0, 4:8, 8:12] / 127.5 - 1).ravel() / 0.5)
    np.testing.assert_allclose(np.sort(x[0, :, 1, 2].numpy()), cell, atol=1e-6)


def test_latents_are_the_noise_in_the_order_of_pixels():
    canvas = PixelMaps((4, 4, 3), 2)
    latents = np.arange(48, dtype=np.float32)[None] / 48
    x = canvas.noise_of(latents)
    assert torch.equal(
        torch.pixel_shuffle(x, 2)[0].permute(1, 2, 0).reshape(-1), torch.from_numpy(latents[0])
    )


def test_the_loss_by_hand():
    x_0, noise = torch.tensor([[2.0], [2.0]]), torch.tensor([[-1.0], [-1.0]])
    x_t, velocity = add_noise(x_0, noise, torch.tensor([0, 999]))
    # At the first time σ/α = 1/100, at the last 80.
    alpha, sigma = 1 / np.sqrt(1 + np.array([1e-4, 6400])), 1 / np.sqrt(1 + np.array([1e4, 1 / 6400]))
    np.testing.assert_allclose(x_t[:, 0], 2 * alpha - sigma, rtol=1e-5)
    np.testing.assert_allclose(velocity[:, 0], -alpha - 2 * sigma, rtol=1e-5)


@pytest.mark.parametrize("prediction", ["sample", "v_prediction"])
def test_both_predictions_cost_the_error_of_the_velocity(prediction):
    fresh, canvas, known = model(), PixelMaps((8, 8, 3), 2, prediction), squares()
    examples = DiffusionExamples(known.values, known.labels, np.array(2), canvas, 0.0)
    batch = {
        k: torch.from_numpy(v) for k, v in examples.batch(np.arange(64), np.random.default_rng(0)).items()
    }
    batch["t"] = batch["t"].clamp(min=100)  # no less noise than the loss knows
    x_t, velocity = add_noise(fresh.canvas.folded(batch["rgb"]), batch["noise"], batch["t"])
    told = fresh.network(x_t, batch["t"], batch["told"]).sample
    phi = torch.from_numpy(angles())[batch["t"]].float().view(-1, 1, 1, 1)
    said = (phi.cos() * x_t - told) / phi.sin() if prediction == "sample" else told
    loss, _ = diffusion_loss(fresh.network, batch, canvas)
    assert loss.item() == pytest.approx((velocity - said).square().mean().item(), rel=1e-4)


def test_labels_are_withheld_in_a_tenth_of_what_is_learned_and_never_in_what_validates():
    known, canvas, rows = squares(), PixelMaps((8, 8, 3), 2), np.arange(10_000) % 64
    examples = [
        DiffusionExamples(known.values, known.labels, np.array(2), canvas, share) for share in (0.1, 0)
    ]
    told = [part.batch(rows, np.random.default_rng(0))["told"] for part in examples]
    assert np.mean(told[0] == 2) == pytest.approx(0.1, abs=0.01)
    assert np.array_equal(told[1], known.labels[rows])
    assert np.array_equal(told[0][told[0] < 2], known.labels[rows][told[0] < 2])
    assert set(known.labels) == {0, 1}, "the collection's own labels stay"


def test_times_are_spread_evenly_over_a_batch():
    drawn = np.array([times(8, np.random.default_rng(seed)) for seed in range(200)])
    assert (drawn // 125 == np.arange(8)).all()
    assert drawn.min() < 10 and drawn.max() > 990


def test_guidance_of_one_is_the_conditional_network_and_more_goes_further():
    network = shaken().network
    x, t = torch.randn(2, 12, 4, 4, generator=torch.Generator().manual_seed(0)), torch.tensor(500)
    labels, none = torch.tensor([0, 1]), torch.tensor([2, 2])
    with torch.no_grad():
        told, untold = network(x, t, labels).sample, network(x, t, none).sample
        assert torch.equal(guided(network, labels, none, 1.0)(x, t), told)
        assert not torch.allclose(told, untold)
        torch.testing.assert_close(guided(network, labels, none, 0.0)(x, t), untold)
        torch.testing.assert_close(guided(network, labels, none, 3.0)(x, t), untold + 3 * (told - untold))


def test_each_example_may_be_guided_at_a_time_of_its_own():
    network = shaken().network
    x, times = torch.randn(2, 12, 4, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([100, 900])
    labels, none = torch.tensor([0, 1]), torch.tensor([2, 2])
    with torch.no_grad():
        together = guided(network, labels, none, 3.0)(x, times)
        for i, t in enumerate(times):
            alone = guided(network, labels[i : i + 1], none[i : i + 1], 3.0)(x[i : i + 1], t)
            torch.testing.assert_close(together[i : i + 1], alone)


def test_samples_do_not_depend_on_how_many_are_drawn_at_once(monkeypatch):
    made = shaken()
    together = made.sample(7, Condition(), FEW, 3).values.astype(int)
    fewer = made.sample(3, Condition(), FEW, 3).values.astype(int)
    monkeypatch.setattr(canvas_module, "CHUNK", 2)
    in_portions = made.sample(7, Condition(), FEW, 3).values.astype(int)
    assert np.abs(together[:3] - fewer).max() <= 1, "but for rounding"
    assert np.abs(together - in_portions).max() <= 1
    assert np.abs(together[0] - together[1]).max() > 1


KINDS = {
    "plain": {},
    "velocity": {"prediction": "v_prediction"},
    "backdrop": {"backdrop": True, "shift": 4.0},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_scheduler_draws_pictures_and_the_same_ones_again(name, kind):
    made = shaken(**KINDS[kind])
    options = SampleOptions(steps=4, scheduler=name, guidance=2.0)
    one, same = (made.sample(2, Condition(label="red"), options, 0).values for _ in range(2))
    assert np.array_equal(one, same) and one.std() > 0
    *_, last = made.trace(2, Condition(label="red"), options, 0)
    assert np.array_equal(last, one)


def test_a_latent_is_the_noise_that_a_walk_starts_from():
    made = shaken()
    latents = np.random.default_rng(0).standard_normal((2, 192)).astype(np.float32)
    given = made.sample(2, Condition(label="red", latent=latents), FEW, 0).values
    other_seed = made.sample(2, Condition(label="red", latent=latents), FEW, 9).values
    assert np.array_equal(given, other_seed)
    start = next(made.trace(2, Condition(latent=latents), FEW, 0))
    expected = np.clip((latents.reshape(2, 8, 8, 3) * 0.5 + 1) * 127.5, 0, 255)
    assert np.abs(start - expected).max() <= 0.51


def test_filling_in_keeps_what_is_known_and_differs_in_what_is_not():
    made, frame = shaken(), squares(1).values[0]
    mask = np.zeros((8, 8), bool)
    mask[2:6, 3:8] = True
    frame.setflags(write=False)  # as a picture from a file
    mask.setflags(write=False)
    made_up = made.sample(4, Condition(frame=frame, mask=mask), FEW, 0).values
    assert (made_up[:, ~mask] == frame[~mask]).all()
    assert made_up[:, mask].std(0).mean() > 1


@pytest.mark.parametrize(
    ("condition", "options", "words"),
    [
        (Condition(text="red"), FEW, "takes no text; it takes"),
        (Condition(label="rad"), FEW, 'did you mean "red"'),
        (Condition(frame=BLACK), FEW, "a frame needs a mask"),
        (
            Condition(frame=np.zeros((8, 9, 3), np.uint8), mask=np.ones((8, 8), bool)),
            FEW,
            "frame is 8 × 9 × 3",
        ),
        (Condition(latent=np.zeros(5)), FEW, "latent must have shape"),
        (
            Condition(frame=BLACK, mask=np.ones((8, 8), bool)),
            SampleOptions(steps=4, scheduler="heun"),
            "inpainting takes ddpm steps",
        ),
    ],
)
def test_what_it_cannot_honour_is_refused_by_name(condition, options, words):
    with pytest.raises(ConditionError, match=words):
        model().sample(1, condition, options, 0)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"fold": 3}, "pictures are 8 × 8; fold 3"),
        ({"channels": (12,)}, "channels must be multiples of 8"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
    ],
)
def test_what_cannot_be_built_is_refused_by_name(fields, words):
    with pytest.raises(ValueError, match=words):
        model(**fields)


def test_labels_are_the_one_asked_for_or_drawn_each_for_itself():
    names = tuple("abc")
    assert labels_of(names, "c", 3, 0) == [2, 2, 2]
    many = labels_of(names, None, 300, 0)
    assert many[:5] == labels_of(names, None, 5, 0) and set(many) == {0, 1, 2}
    assert len(generators(0, 5, 2)) == 2


def test_what_is_kept_is_the_running_average_of_the_weights():
    made, decay = model(ema=0.5), 0.5
    fit = made.fit(squares(), squares(8, seed=1), seed=0)
    expected = None
    for _ in range(4):
        fit._update(10)
        now = made.network.conv_in.weight.detach().clone()
        expected = now if expected is None else decay * expected + (1 - decay) * now
    np.testing.assert_allclose(fit.weights()["conv_in.weight"], expected, atol=1e-7)
    assert not np.allclose(fit.weights()["conv_in.weight"], now)


def test_a_fit_goes_on_exactly_where_it_stopped():
    budget, train, validation = Budget(updates=6), squares(), squares(8, seed=1)

    def begun(seed=0):
        fit = model(seed=seed).fit(train, validation, seed=0)
        fit.options = replace(fit.options, validate_every=2)
        return fit

    whole, first, resumed = begun(), begun(), begun(5)
    list(whole.learn(budget))
    next(first.learn(budget))
    resumed.restore(first.state())
    list(resumed.learn(budget))
    for name, array in whole.weights().items():
        assert np.array_equal(array, resumed.weights()[name])


def test_a_checkpoint_is_at_the_same_time_a_folder_of_diffusers(tmp_path):
    from diffusers import UNet2DModel

    from generative.diffusion.pipeline import PicturePipeline

    made = shaken()
    card = make_card("sampler", "diffusion", {}, seed=0, trained={"updates": 0})
    save_checkpoint(tmp_path / "c", card, made.weights(), layout=made.layout())
    loaded = load_checkpoint(tmp_path / "c")
    assert loaded.card["weights"]["file"] == "unet/diffusion_pytorch_model.safetensors"
    assert [path.suffix for path in tmp_path.rglob("*") if path.is_file()].count(".safetensors") == 1

    network = UNet2DModel.from_pretrained(tmp_path / "c", subfolder="unet")
    assert all(np.array_equal(a, loaded.weights[name]) for name, a in network.state_dict().items())
    pipeline = PicturePipeline.from_pretrained(tmp_path / "c")
    for label, weight in ((None, 1.0), ("green", 2.5)):
        ours = made.sample(3, Condition(label=label), SampleOptions(steps=5, guidance=weight), 7).values
        theirs = pipeline(3, label, num_inference_steps=5, guidance_scale=weight, seed=7, output_type="np")
        assert np.array_equal(theirs.images, ours)


def test_a_checkpoint_in_half_precision_opens_in_diffusers_too(tmp_path):
    from generative.diffusion.pipeline import PicturePipeline

    made = shaken()
    card = make_card("sampler", "diffusion", {}, seed=0, trained={"updates": 0})
    save_checkpoint(tmp_path / "c", card, made.weights(), storage="float16", layout=made.layout())
    made.load_weights(load_checkpoint(tmp_path / "c").weights)
    pipeline = PicturePipeline.from_pretrained(tmp_path / "c", dtype=torch.float32)
    theirs = pipeline(2, "red", num_inference_steps=5, seed=1, output_type="np").images
    assert np.array_equal(theirs, made.sample(2, Condition(label="red"), SampleOptions(steps=5), 1).values)


def backed(**fields):
    """A model that says nothing yet, against the means of `squares`."""
    made = model(backdrop=True, **fields)
    made.measure(squares())
    with torch.no_grad():
        for parameter in made.network.parameters():
            parameter.zero_()
    return made


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_network_that_says_nothing_draws_its_backdrop(name):
    made, real, few = backed(), squares(), replace(FEW, scheduler=name)
    for number, label in enumerate(("red", "green")):
        drawn = made.sample(2, Condition(label=label), few, 0).values.astype(float)
        np.testing.assert_allclose(drawn - real.values[real.labels == number].mean(0), 0, atol=1)
    # Half of the way from no class to one of them.
    between = made.sample(1, Condition(label="red"), replace(few, guidance=0.5), 0).values[0]
    wanted = (real.values[real.labels == 0].mean(0) + real.values.mean(0)) / 2
    np.testing.assert_allclose(between - wanted, 0, atol=1)


@pytest.mark.parametrize("shift", [1.0, 4.0])
def test_against_a_backdrop_the_network_is_shown_what_differs(shift):
    made, shown = backed(shift=shift), []
    made.network.unet.register_forward_pre_hook(lambda _, inputs: shown.append(inputs[0]))
    canvas, told, t = made.canvas, torch.tensor([1, 0]), torch.tensor([200, 900])
    x_0 = canvas.folded(torch.from_numpy(squares(2).values))
    noise = torch.randn(x_0.shape, generator=torch.Generator().manual_seed(0))
    made.network(add_noise(x_0, noise, t, shift)[0], t, told)
    difference = x_0 - made.network.backdrop(told)
    assert torch.allclose(shown[0], add_noise(difference, noise, t, shift)[0], atol=1e-6)


class ExactDifference(torch.nn.Module):
    """E[x_0 | x_t] where x_0 ~ N(0, 0.3²): what a perfect network tells against the mean of N(μ, 0.3²)."""

    def __init__(self, alphas):
        super().__init__()
        self.alphas = alphas

    def forward(self, x, t, told):
        alpha = alpha_at(t, self.alphas)
        return SimpleNamespace(sample=alpha * 0.09 * x / (alpha**2 * 0.09 + 1 - alpha**2))


BETWEEN = ("euler", "heun", "lms")  # with Karras' spacing their steps end between two times


@pytest.mark.parametrize(
    ("name", "karras"), [(name, False) for name in SCHEDULERS] + [(name, True) for name in BETWEEN]
)
def test_against_a_backdrop_a_perfect_network_draws_the_gaussian_around_it(name, karras):
    backdrop = MeanImages(0, [1, 1, 2_000], shift=4.0)
    backdrop.pictures.fill_(0.6)
    network = ResidualDenoiser(torch.nn.Identity(), backdrop)
    network.unet = ExactDifference(network.alphas)
    solver = scheduler("sample", name, shift=4.0)
    with quiet():
        if karras:
            solver = type(solver).from_config(solver.config, use_karras_sigmas=True)
        solver.set_timesteps(100)
    assert karras == bool((solver.timesteps != solver.timesteps.round()).any())
    noise = torch.randn(1, 1, 1, 2_000, generator=torch.Generator().manual_seed(0))
    told = torch.tensor([0])
    *_, x = denoise(guided(network, told, told, 1.0), solver, noise, generators(0, 0, 1))
    assert x.mean().item() == pytest.approx(0.6, abs=0.03)
    first_order = name in ("euler", "ddim", "ddpm", "sde-dpmsolver++")  # those narrow or widen the spread
    assert x.std().item() == pytest.approx(0.3, rel=0.15 if first_order else 0.04)


def test_between_two_times_alpha_is_that_of_the_solvers_own_noise():
    alphas = torch.from_numpy(np.cos(angles(4.0))).float()
    solver = scheduler("sample", "euler", shift=4.0)
    with quiet():
        solver = type(solver).from_config(solver.config, use_karras_sigmas=True)
        solver.set_timesteps(9)
    torch.testing.assert_close(alpha_at(solver.timesteps, alphas), (1 + solver.sigmas[:-1] ** 2).rsqrt())
    whole = torch.arange(1000)
    assert torch.equal(alpha_at(whole, alphas), alphas)
    assert torch.equal(alpha_at(whole.double(), alphas), alphas)


def test_a_pipeline_takes_its_backdrop_to_its_own_device(monkeypatch):
    from generative.diffusion.pipeline import PicturePipeline

    moved = []
    to = ResidualDenoiser.to
    made = shaken(backdrop=True)
    network = made.network
    pipeline = PicturePipeline(network.unet, made.config.solver(), network.backdrop, 2, ("red", "green"))
    monkeypatch.setattr(ResidualDenoiser, "to", lambda self, place: moved.append(place) or to(self, place))
    pipeline(1, num_inference_steps=1, output_type="np")
    assert moved == [pipeline.device], "what stands beside the weights, the noise schedule, is not there yet"


@pytest.mark.parametrize("shift", [1.0, 4.0])
def test_a_backdrop_is_kept_in_the_checkpoint_and_opens_in_diffusers(shift, tmp_path):
    from generative.diffusion.pipeline import PicturePipeline

    made = shaken(backdrop=True, shift=shift)
    made.measure(squares())
    card = make_card("sampler", "diffusion", {}, seed=0, trained={"updates": 0})
    save_checkpoint(tmp_path / "c", card, made.weights(), layout=made.layout())
    again = model(seed=3, backdrop=True, shift=shift)
    again.load_weights(load_checkpoint(tmp_path / "c").weights)
    pipeline = PicturePipeline.from_pretrained(tmp_path / "c")
    for label, weight in ((None, 1.0), ("green", 2.5)):
        ours = again.sample(3, Condition(label=label), SampleOptions(steps=5, guidance=weight), 7).values
        theirs = pipeline(3, label, num_inference_steps=5, guidance_scale=weight, seed=7, output_type="np")
        assert np.array_equal(theirs.images, ours)


def test_it_learns_two_colours_and_draws_the_one_that_is_asked_for():
    made = model(learning_rate=5e-3, ema=0.95, channels=(32, 32), batch_size=16)
    fit = made.fit(squares(128), squares(16, seed=1), seed=0)
    list(fit.learn(Budget(updates=110)))
    made.load_weights(fit.weights())
    for number, label in enumerate(("red", "green")):
        drawn = made.sample(16, Condition(label=label), SampleOptions(steps=8), 0).values.astype(float)
        brightness = drawn.mean((1, 2))  # (16, 3)
        assert (brightness.argmax(1) == number).mean() >= 0.9
        real = squares(128).values[squares(128).labels == number]
        nearest = np.abs(drawn[:, None] - real[None]).mean((2, 3, 4)).min(1)
        assert nearest.mean() < 22, "they look like the examples, in levels of 255; untaught ones are 63 off"


def test_the_keys_scheduler_walks_unless_told_otherwise_and_is_the_folders():
    made = shaken(scheduler="unipc")
    plain = SampleOptions(steps=4)
    own = made.sample(2, Condition(), plain, 0).values
    told = made.sample(2, Condition(), SampleOptions(steps=4, scheduler="unipc"), 0).values
    other = made.sample(2, Condition(), SampleOptions(steps=4, scheduler="euler"), 0).values
    np.testing.assert_array_equal(own, told)
    assert not np.array_equal(own, other)
    assert json.loads(made.layout().files["scheduler/scheduler_config.json"])["_class_name"].startswith(
        "UniPC"
    )
    filling = Condition(frame=squares().values[0], mask=np.eye(8, dtype=bool))
    assert made.sample(1, filling, plain, 0).values.shape == (1, 8, 8, 3), "filling in walks in its own way"


def test_an_unknown_scheduler_is_refused_by_name():
    with pytest.raises(ValueError, match='there is no scheduler "unipx"; did you mean "unipc"'):
        Diffusion(scheduler="unipx")


def test_the_loss_of_few_examples_has_figures_too():
    fresh, known = model(), squares()
    examples = DiffusionExamples(known.values, known.labels, np.array(2), fresh.canvas, 0.0)
    drawn = examples.batch(np.array([0]), np.random.default_rng(0))
    batch = {name: torch.from_numpy(array) for name, array in drawn.items()}
    for t in (10, 990):
        batch["t"] = torch.tensor([t])
        loss, figures = diffusion_loss(fresh.network, batch, fresh.canvas)
        assert {name: value.item() for name, value in figures.items()} == pytest.approx(
            {"faint": 2 * loss.item() * (t < 500), "strong": 2 * loss.item() * (t > 500)}
        )

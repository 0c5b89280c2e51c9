"""Pictures from sentences: tokens and reader by hand, refusals by name, files, learning what words mean."""

from __future__ import annotations

from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from generative.conditions import ConditionError
from generative.diffusion.mean_image import coordinates
from generative.diffusion.schedule import SCHEDULERS, angles
from generative.diffusion.text_to_image import (
    LONGEST,
    NOTHING,
    TextEncoder,
    TextToImage,
    local_max_deviation,
    tokens,
)
from sim.records import Budget, Condition, SampleOptions
from sim.storage.checkpoints import CheckpointError, load_checkpoint, make_card, save_checkpoint
from supervised.data.columns import LabelColumn
from supervised.data.dataset import Dataset

TINY = {"channels": (32, 32), "fold": 2, "batch_size": 16, "width": 16, "depth": 1}
PLACES = {(0, 0): "high on the left", (0, 1): "high on the right", (1, 0): "low on the left"}
COLOURS = ("red", "green")
ROWS = ("high", "halfway up", "low")
COLUMNS = ("on the left", "in the middle", "on the right")


def told_squares(n=96, seed=0):
    """A bright square in one of three corners, red or green, and a sentence that says so."""
    generator = np.random.default_rng(seed)
    values, captions = np.full((n, 8, 8, 3), 30, np.uint8), []
    places = list(PLACES)
    for picture in values:
        (row, column), colour = places[generator.integers(3)], int(generator.integers(2))
        picture[4 * row : 4 * row + 4, 4 * column : 4 * column + 4, colour] = 220
        captions.append(f"A {COLOURS[colour]} square is {PLACES[row, column]}.")
    return Dataset(
        values=values, labels=LabelColumn.one("square", n), episodes=np.arange(n), captions=tuple(captions)
    )


def model(seed=0, **fields):
    return TextToImage(**TINY | fields).build(told_squares(60).spec(), seed=seed)


def learned(updates, **fields):
    made = model(**{"learning_rate": 4e-3, "ema": 0.95, "shift": 4.0} | fields)
    fit = made.fit(told_squares(), told_squares(12, seed=1), seed=0)
    list(fit.learn(Budget(updates=updates)))
    made.load_weights(fit.weights())
    return made


@pytest.fixture(scope="module")
def taught():
    return learned(200, width=32, channels=(8, 16), learning_rate=6e-3)


def test_the_reader_does_not_hear_the_silence_behind_a_sentence_and_minds_the_order():
    torch.manual_seed(0)
    reader = TextEncoder(9, 16, 2).eval()
    sentence = torch.from_numpy(tokens(["one two three", "one three two"], ["one", "three", "two"]))
    with torch.no_grad():
        before = reader(sentence)
        reader.word.weight[NOTHING] = torch.randn(16)
        torch.testing.assert_close(reader(sentence), before)
        reader.word.weight[1] = torch.randn(16)
        assert not torch.allclose(reader(sentence), before)
    assert before.shape == (2, 16)
    assert not torch.allclose(before[0], before[1])


def test_the_reader_reads_in_float32_where_the_rest_is_in_bfloat16():
    network, read = model().network, []
    network.text["reader"].register_forward_hook(lambda _, __, out: read.append(out.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        network.sketched(torch.from_numpy(tokens(["a red square"], model().spec.words)))
    assert read == [torch.float32]


def test_each_cell_is_told_where_it_lies():
    places = coordinates(3, 5)
    assert places.shape == (14, 3, 5)
    assert places[:2, 0, 0].tolist() == [-1, -1] and places[:2, 2, 4].tolist() == [1, 1]
    torch.testing.assert_close(places[:, 1, 2], torch.tensor([0.0] * 8 + [1.0] * 6))
    assert len(places.flatten(1).unique(dim=1).T) == 15


def test_a_network_that_tells_no_difference_draws_the_sketch_and_is_shown_what_differs_from_it():
    made = model(shift=4.0)
    drawing, x, t = made.network.drawing, torch.randn(2, 12, 4, 4), torch.tensor([0, 700])
    seen = []

    class Silent(torch.nn.Module):
        def forward(self, x, t):
            seen.append(x)
            return SimpleNamespace(sample=torch.zeros(2, 12, 4, 4))

    drawing.unet = Silent()
    drawing.backdrop.pictures.normal_()
    sketch = torch.randn(2, 12 + 3, 4, 4)
    behind = drawing.backdrop.pictures + sketch[:, :12]
    torch.testing.assert_close(drawing(x, t, sketch).sample, behind)
    alpha = torch.from_numpy(np.cos(angles(4.0))).float()[t].view(2, 1, 1, 1)
    wanted = [x - alpha * behind, sketch, coordinates(4, 4).expand(2, -1, -1, -1)]
    torch.testing.assert_close(seen[0], torch.cat(wanted, 1))


def test_the_best_sketch_is_the_mean_picture_of_what_the_sentence_fits(taught):
    train = told_squares()
    texts = [f"A {colour} square is {place}." for colour in COLOURS for place in PLACES.values()]
    with torch.no_grad():
        told = taught.network.sketched(torch.from_numpy(tokens(texts, taught.spec.words)))
    for text, sketch in zip(texts, told, strict=True):
        fitting = train.values[[caption == text for caption in train.captions]]
        mean = taught.network.drawing.backdrop.pictures + sketch[:12]
        error = taught.canvas.unfolded(mean)[0] - fitting.mean(0)
        assert np.abs(error).mean() < 5 < np.abs(train.values.mean(0) - fitting.mean(0)).mean()


def test_what_stands_out_is_the_most_that_a_pixel_of_a_neighbourhood_differs():
    differs = torch.zeros(1, 2, 6, 12)
    differs[0, 1, 1, 3], differs[0, 0, 5, 11] = -0.5, 0.25
    two, four, eight = local_max_deviation(differs)[0]
    assert two.nonzero().tolist() == [[r, c] for r in (0, 1) for c in (2, 3)] + [
        [r, c] for r in (4, 5) for c in (10, 11)
    ]
    assert (four[:4, :4] == 0.5).all() and (four[4:, 8:] == 0.25).all() and four.count_nonzero() == 16 + 8
    assert (eight[:, :8] == 0.5).all() and (eight[:, 8:] == 0.25).all()


def test_beside_its_mean_picture_a_sentence_tells_how_much_stands_out_near_each_cell(taught):
    train = told_squares()
    texts = [f"A red square is {place}." for place in PLACES.values()]
    differs = taught.canvas.folded(torch.from_numpy(train.values)) - taught.network.drawing.backdrop.pictures
    stands = local_max_deviation(differs)
    with torch.no_grad():
        told = taught.network.sketched(torch.from_numpy(tokens(texts, taught.spec.words)))[:, 12:]
    for text, near in zip(texts, told, strict=True):
        fitting = stands[[caption == text for caption in train.captions]].mean(0)
        assert (near - fitting).abs().mean() < 0.1 < (stands.mean(0) - fitting).abs().mean()


def test_the_sentence_is_read_once_a_call():
    made, calls = model(), []
    made.network.text["reader"].register_forward_hook(lambda *read: calls.append(read))
    made.sample(2, Condition(text="a red square"), SampleOptions(steps=3, guidance=2.0), 0)
    assert len(calls) == 1


def test_unknown_words_are_refused_by_name_with_their_neighbours():
    with pytest.raises(ConditionError, match='no caption has the word "sqare"; did you mean "square"'):
        model().sample(1, Condition(text="a red sqare"), SampleOptions(steps=2), 0)
    with pytest.raises(ConditionError, match=f"at most {LONGEST} are read"):
        model().sample(1, Condition(text="red " * 60), SampleOptions(steps=2), 0)
    with pytest.raises(ConditionError, match="takes no label; it takes"):
        model().sample(1, Condition(label="square"), SampleOptions(steps=2), 0)


def test_what_it_cannot_do_without_is_not_left_out():
    with pytest.raises(ValueError, match="always draws against its sketch: leave backdrop out"):
        TextToImage(backdrop=False)
    with pytest.raises(ValueError, match='needs prediction = "sample"'):
        TextToImage(prediction="v_prediction")


def test_data_without_captions_are_refused():
    plain = Dataset(
        values=np.zeros((2, 8, 8, 3), np.uint8), labels=LabelColumn.one("all", 2), episodes=np.arange(2)
    )
    with pytest.raises(ValueError, match="have no captions"):
        TextToImage().build(plain.spec(), seed=0)


def test_guidance_of_one_is_what_the_sentence_says_and_none_is_what_no_sentence_says():
    made, options = model(), SampleOptions(steps=3, guidance=1.0)
    said = made.sample(2, Condition(text="a red square"), options, 0).values
    unsaid = made.sample(2, Condition(), options, 0).values
    zero = made.sample(2, Condition(text="a red square"), SampleOptions(steps=3, guidance=0.0), 0).values
    assert np.abs(zero.astype(int) - unsaid).max() <= 1
    assert not np.array_equal(said, unsaid)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_whatever_the_scheduler_a_network_that_tells_no_difference_draws_its_sketch(name):
    made = model(shift=4.0)
    made.network.drawing.backdrop.pictures.uniform_(-1, 1, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for parameter in made.network.drawing.unet.parameters():
            parameter.zero_()
        sentence = torch.from_numpy(tokens(["a red square"], made.spec.words))
        sketch = made.network.drawing.backdrop.pictures + made.network.sketched(sentence)[:, :12]
    options = SampleOptions(steps=4, scheduler=name, guidance=2.0)
    untold = made.network.drawing.backdrop.pictures + made.network.sketched(0 * sentence)[:, :12]
    drawn = made.sample(2, Condition(text="a red square"), options, 0).values.astype(int)
    wanted = made.canvas.unfolded(untold + 2.0 * (sketch - untold))
    assert np.abs(drawn - wanted).max() <= 1 and wanted.std() > 10


def test_a_checkpoint_lies_in_several_weight_files_and_the_unet_opens_in_diffusers(tmp_path):
    from diffusers import UNet2DModel

    made, inside = model(), "drawing.unet."
    card = make_card("sampler", "text_to_image", {}, seed=0, trained={"updates": 0})
    save_checkpoint(tmp_path / "c", card, made.weights(), layout=made.layout())
    loaded = load_checkpoint(tmp_path / "c")
    assert [part["prefix"] for part in loaded.card["weights"]] == [inside, "drawing.backdrop.", "text."]
    assert loaded.weights.keys() == made.weights().keys()
    for name, array in made.weights().items():
        assert np.array_equal(array, loaded.weights[name])
    network = UNet2DModel.from_pretrained(tmp_path / "c", subfolder="unet")
    state = network.state_dict()
    assert {inside + name for name in state} == {name for name in loaded.weights if name.startswith(inside)}
    assert all(np.array_equal(tensor, loaded.weights[inside + name]) for name, tensor in state.items())
    part = tmp_path / "c" / "text" / "model.safetensors"
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="text/model.safetensors is cut short or changed"):
        load_checkpoint(tmp_path / "c")


def brightest(made, text, n):
    """(n,) row, column and colour of the brightest corner of pictures of a sentence."""
    drawn = made.sample(n, Condition(text=text), SampleOptions(steps=6, guidance=2.0), 0).values
    corners = drawn.reshape(n, 2, 4, 2, 4, 3).mean((2, 4))
    return np.unravel_index(corners.reshape(n, -1).argmax(1), (2, 2, 3))


@pytest.mark.slow
def test_it_learns_the_words_for_colours():
    made = learned(300)
    for number, colour in enumerate(COLOURS):
        colours = [brightest(made, f"A {colour} square is {place}.", 4)[2] for place in PLACES.values()]
        assert np.mean(np.array(colours) == number) >= 0.9


def test_it_learns_the_words_for_places_too(taught):
    right = []
    for (row, column), place in PLACES.items():
        for number, colour in enumerate(COLOURS):
            found = np.stack(brightest(taught, f"A {colour} square is {place}.", 4))
            right += (found.T == (row, column, number)).all(1).tolist()
    assert np.mean(right) >= 0.9


def thirds(n, seed):
    """Pictures 12 × 12 with a bright square of 2 × 2, and in which third of rows and columns it lies."""
    generator = np.random.default_rng(seed)
    values, captions = np.full((n, 12, 12, 3), 30, np.uint8), []
    for picture in values:
        y, x = generator.integers(0, 11, 2)
        picture[y : y + 2, x : x + 2] = 220
        captions.append(f"The square is {ROWS[int((y + 0.5) // 4)]} {COLUMNS[int((x + 0.5) // 4)]}.")
    return Dataset(
        values=values, labels=LabelColumn.one("square", n), episodes=np.arange(n), captions=tuple(captions)
    )


@pytest.mark.slow
def test_small_things_lie_where_the_sentence_says_whatever_the_shift():
    """Share of 72 samples whose square does, after 500 updates; by chance 0.11."""
    right = {}
    for shift in (1.0, 4.0, 10.0):
        train = thirds(600, 0)
        keys = TINY | {"width": 32, "learning_rate": 3e-3, "ema": 0.98, "shift": shift}
        made = TextToImage(**keys).build(train.spec(), seed=0)
        fit = made.fit(train, thirds(12, 1), seed=0)
        list(fit.learn(Budget(updates=500)))
        made.load_weights(fit.weights())
        found = []
        for (i, row), (j, column) in product(enumerate(ROWS), enumerate(COLUMNS)):
            text = f"The square is {row} {column}."
            drawn = made.sample(8, Condition(text=text), SampleOptions(steps=8), 0).values.mean(-1)
            y, x = np.unravel_index(drawn.reshape(8, -1).argmax(1), (12, 12))
            found += ((y // 4 == i) & (x // 4 == j)).tolist()
        right[shift] = np.mean(found)
    print(right)
    assert min(right.values()) > 0.6


def test_many_sentences_are_drawn_at_once_each_as_if_it_were_alone(taught):
    texts = [f"A {colour} square is {place}." for colour in COLOURS for place in PLACES.values()]
    drawn = taught.illustrate(texts, SampleOptions(guidance=2.0), 4)
    assert drawn.shape == (6, 8, 8, 3)
    for i, text in enumerate(texts):
        each = taught.sample(6, Condition(text=text), SampleOptions(guidance=2.0), 4).values
        assert np.abs(each[i].astype(int) - drawn[i]).max() <= 1, text
    with pytest.raises(ConditionError, match="sqare"):
        taught.illustrate(["A red sqare."], SampleOptions(), 0)

"""The captioner: tokens by hand, sentences that stay within the grammar, learning from images."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sim.records import Budget, Percept
from supervised.captions.caption_grammars import STILLS, parse
from supervised.data.dataset import Dataset
from supervised.metrics import grade
from supervised.vision.captioner import (
    HEIGHT,
    NOTHING,
    WIDTH,
    Captioner,
    CaptionExamples,
    caption_loss,
    from_rgb,
    reduce_resolution,
)

FREEWAY = STILLS["freeway"]
WORDS = FREEWAY.vocabulary


def roads(n, seed):
    """Pictures with a bright stripe where the chicken is said to be; the counts are always 0 and 0."""
    return roads_at(np.random.default_rng(seed).integers(3, size=n))


def roads_at(places):
    """A picture with the stripe at each of these places, 0 to 2 from above."""
    n = len(places)
    rgb = np.zeros((n, HEIGHT, WIDTH, 3), np.uint8)
    truths = []
    for picture, place in zip(rgb, places, strict=True):
        y = int(place) * 64 + 40
        picture[y : y + 16] = (220, 220, 60)
        facts = {"player y": y, "player score": 0, "enemy score": 0}
        truths.append(Percept("truth", caption=FREEWAY.write(facts)))
    return Dataset(values=rgb, truths=tuple(truths), episodes=np.arange(n))


def test_sentences_in_numbers_by_hand():
    views = Dataset(
        values=np.zeros((2, 8, 8, 3), np.uint8),
        truths=tuple(Percept("truth", caption=c) for c in ("B a 1.", "A.")),
    )
    batch = CaptionExamples(views, ("1", "a", "b", "."), 0.0).batch(
        np.array([1, 0]), np.random.default_rng(0)
    )
    assert batch["tokens"].tolist() == [[0, 2, 4, 0, 0], [0, 3, 2, 1, 4]]


def test_the_loss_of_a_network_that_knows_nothing_is_that_of_a_guess():
    model = Captioner(channels=4).build(WORDS, seed=0)
    last = model.network.answer[-1]
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.zeros_(last.bias)
    batch = CaptionExamples(roads(2, 0), WORDS, 0.0).batch(np.arange(2), np.random.default_rng(0))
    loss, figures = caption_loss(
        model.network, {name: torch.from_numpy(value) for name, value in batch.items()}
    )
    assert loss.item() == pytest.approx(np.log(len(WORDS) + 1))
    assert figures["sentences"].item() == 0


def test_step_by_step_it_says_what_it_was_taught_at_once():
    """Token by token it gives the logits of the whole sentence in one go, each from what came before."""
    network = Captioner(channels=4).build(WORDS, seed=0).network
    picture = from_rgb(torch.randint(0, 255, (1, HEIGHT, WIDTH, 3), dtype=torch.uint8))
    tokens = torch.tensor([[NOTHING, 5, 2, 9, 4]])
    with torch.no_grad():
        together = network(picture, tokens)
        cells, state = network.encode(picture), network.begin(1, torch.device("cpu"))
        for i, token in enumerate(tokens[0]):
            told, state = network.step(cells, state, token[None])
            assert torch.allclose(network.answer(told), together[:, i], atol=1e-5)
        part = network(picture, tokens[:, :3])
    assert torch.allclose(part, together[:, :3], atol=1e-5), "nothing is known in advance"


@pytest.mark.parametrize("size", [(1, 1), (7, 13), (HEIGHT, WIDTH), (480, 640)])
def test_whatever_it_sees_it_says_a_sentence(size):
    words = tuple(sorted({word for grammar in STILLS.values() for word in grammar.vocabulary}))
    generator = np.random.default_rng(0)
    games = set()
    for seed in range(4):
        model = Captioner(channels=4).build(words, seed=seed)
        percept = model.perceive([generator.integers(0, 256, (*size, 3), np.uint8)])[0]
        state = parse(percept.caption)
        games.add(state["game"])
        assert percept.facts == {name: value for name, value in state.items() if isinstance(value, int)}
    assert games <= set(STILLS)


def test_it_speaks_of_the_games_that_it_has_words_for():
    model = Captioner(channels=4).build(WORDS, seed=3)
    assert parse(model.perceive([np.zeros((HEIGHT, WIDTH, 3), np.uint8)])[0].caption)["game"] == "freeway"
    with pytest.raises(ValueError, match="grammar"):
        Captioner().build(("hello", "world"), seed=0)


def test_it_learns_to_say_where_things_are():
    views = roads_at(range(3))  # all that there are
    model = Captioner(channels=8, learning_rate=1e-2, batch_size=3).build(WORDS, seed=0)
    for _ in model.fit(views, views, seed=0).learn(Budget(updates=100)):
        pass
    said = model.perceive(list(views.values))
    assert grade("caption", said, views.truths, parse=parse)["state_exact"] == 1  # by chance a third


def test_weights_are_given_and_taken():
    one, other = (Captioner(channels=4).build(WORDS, seed=seed) for seed in (0, 1))
    other.load_weights(one.weights())
    assert all(
        torch.equal(a, b) for a, b in zip(one.network.parameters(), other.network.parameters(), strict=True)
    )
    with pytest.raises(ValueError, match="shape"):
        Captioner(channels=8).build(WORDS, seed=0).load_weights(one.weights())


@pytest.mark.parametrize(("field", "value"), [("channels", 6), ("batch_size", 0), ("learning_rate", 0.0)])
def test_values_out_of_range_are_refused_by_name(field, value):
    with pytest.raises(ValueError, match=field):
        Captioner(**{field: value})


def test_a_share_of_the_pictures_is_learned_as_small_as_samplers_draw():
    views = roads(40, 0)
    rows = np.arange(40)
    none, half, all_ = (
        CaptionExamples(views, WORDS, share).batch(rows, np.random.default_rng(0))["rgb"]
        for share in (0, 0.5, 1)
    )
    assert np.array_equal(none, views.values)
    assert all(
        np.array_equal(rgb, reduce_resolution(was)) for rgb, was in zip(all_, views.values, strict=True)
    )
    changed = [not np.array_equal(rgb, was) for rgb, was in zip(half, views.values, strict=True)]
    assert 10 <= sum(changed) <= 30
    point = np.zeros((210, 160, 3), np.uint8)
    point[100:104, 80:83] = 255
    assert 0 < reduce_resolution(point).max() < 255

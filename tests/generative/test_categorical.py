"""Categorical diffusion: codebooks, the distribution with two exclusive patterns, learning."""

from __future__ import annotations

import itertools

import chess
import numpy as np
import pytest
import torch

from generative.data import boards
from generative.data.codebooks import codebook
from generative.diffusion.categorical import (
    CategoricalMaps,
    likeliest,
    marginals,
    negative_log_likelihood,
    one_hot,
    predict,
)
from generative.diffusion.image_diffusion import Diffusion
from sim.records import Budget, Condition, SampleOptions
from sim.storage.checkpoints import load_checkpoint, make_card, save_checkpoint
from supervised.data.columns import LabelColumn
from supervised.data.dataset import Dataset

ONCE = (1, 3)  # of four classes


def board_data(fens):
    values = np.stack([boards.draw_position(chess.Board(f"{fen} w - - 0 1")) for fen in fens])
    return Dataset(values=values, labels=LabelColumn.one("board", len(fens)), episodes=np.arange(len(fens)))


FENS = ("rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR", "8/2k5/8/8/4N3/8/5K2/8")


def model(**fields):
    own = {"channels": (8,), "fold": 8, "codebook": "boards", "block_attention": True}
    return Diffusion("boards", 8, **own | fields).build(board_data(FENS).spec(), seed=0)


def test_boards_are_the_same_after_classes_and_back():
    canvas, data = CategoricalMaps((64, 64, 3), 8, codebook="boards"), board_data(FENS)
    x = canvas.folded(torch.from_numpy(data.values))
    assert x.shape == (2, 13, 8, 8)
    # White's king on f2 of the second board, on e1 of the first; empty squares elsewhere.
    king = boards.MEN.index(chess.Piece.from_symbol("K"))
    assert x[1, :, 6, 5].argmax() == x[0, :, 7, 4].argmax() == king and x[1, :, 0, 0].argmax() == 0
    assert np.array_equal(canvas.unfolded(x), data.values)
    assert canvas.noise_of(np.zeros((1, 64 * 64 * 3), np.float32)).shape == (1, 13, 8, 8)


def test_the_codebook_shows_each_piece_on_both_colours_of_square():
    pictures = codebook("boards").pictures
    for k, man in enumerate(boards.MEN):
        full = chess.Board(None)
        for square in chess.SQUARES:
            full.set_piece_at(square, man)
        assert np.array_equal(pictures[k], boards.draw_position(full))
    assert [boards.MEN[k].symbol() for k in codebook("boards").once] == ["K", "k"]


def every_image(cells):
    """All images of `cells` cells and four classes with one cell of each of `ONCE`."""
    images = itertools.product(range(4), repeat=cells)
    return torch.tensor([codes for codes in images if all(codes.count(code) == 1 for code in ONCE)])


def test_the_distribution_is_that_of_independent_cells_given_one_of_each():
    logits = torch.randn(1, 4, 1, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    images = every_image(4)  # enumerated
    log_p = logits[0, :, 0].log_softmax(0)[images, torch.arange(4)].sum(1).log_softmax(0)
    predicted = predict(logits.expand(len(images), -1, -1, -1), ONCE)
    nats = negative_log_likelihood(predicted, images[:, None], ONCE)
    torch.testing.assert_close(-nats, log_p)
    wanted = torch.stack([(log_p.exp()[:, None] * (images == k)).sum(0) for k in range(4)])
    torch.testing.assert_close(marginals(predicted, ONCE)[0], wanted)


def test_each_of_the_two_patterns_is_decoded_once_where_it_leads_most():
    x = one_hot(torch.tensor([[[0, 1], [1, 2]]]), 4)  # twice class 1, never class 3
    x[0, 1, 1, 0] += 0.5
    x[0, 3, 0, 1] += 0.1
    assert likeliest(x, ONCE)[0].tolist() == [[0, 3], [1, 2]]
    x[0, 3, 1, 0] = 99  # but the other has that cell
    assert likeliest(x, ONCE)[0].tolist()[1][0] == 1


def test_what_is_known_stays_where_more_men_are_drawn_than_there_can_be():
    made, start = model(), board_data(FENS).values[0]
    mask = np.zeros((64, 64), bool)
    mask[16:48] = True
    for bias in made.network.unet.conv_out.parameters():  # pawns and queens everywhere
        if bias.dim() == 1:
            bias.data[[1, 5, 7, 11]] += 9
    filled = made.sample(2, Condition(frame=start, mask=mask), SampleOptions(steps=2), 0).values
    assert np.array_equal(filled, np.stack([start] * 2))


def test_of_a_set_with_a_limit_the_weakest_become_what_has_none():
    x = one_hot(torch.tensor([[[1, 2, 2, 3], [2, 2, 0, 0]]]), 4)
    x[0, 2] += torch.tensor([[0.0, 0.3, -0.2, 0.0], [0.2, 0.1, 0.0, 0.0]])
    assert likeliest(x, ONCE, [((2,), 3)])[0].tolist() == [[1, 2, 0, 3], [2, 2, 0, 0]]
    assert likeliest(x, ONCE, [((2,), 4)])[0].tolist() == [[1, 2, 2, 3], [2, 2, 0, 0]]


def test_noise_decodes_to_boards_that_keep_to_the_numbers_and_ranks_of_men():
    canvas = CategoricalMaps((64, 64, 3), 8, codebook="boards")
    x = torch.randn(20, 13, 8, 8, generator=torch.Generator().manual_seed(0))
    found = [chess.Board(f"{boards.read_board(rgb).fen} w - - 0 1") for rgb in canvas.unfolded(x)]
    for board in found:
        for color in chess.COLORS:
            assert len(board.pieces(chess.KING, color)) == 1
            assert (
                len(board.pieces(chess.PAWN, color)) <= 8 and chess.popcount(board.occupied_co[color]) <= 16
            )
    never = codebook("boards").never
    assert never.sum() == 32 and never[:, [0, -1]].sum() == 32
    said = model().network(x, torch.tensor(900), torch.zeros(20, dtype=torch.long)).sample
    probability = said / 13**0.5 + 1 / 13
    assert probability[:, torch.from_numpy(never)].abs().max() < 1e-6
    torch.testing.assert_close(probability.sum(1), torch.ones(20, 8, 8))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"fold": 4}, "set fold = 8"),
        ({"codebook": "bords"}, 'did you mean "boards"'),
        ({"backdrop": True}, "no backdrop"),
        ({"prediction": "v_prediction"}, 'prediction = "sample"'),
    ],
)
def test_codebooks_that_do_not_fit_are_refused(fields, words):
    with pytest.raises(ValueError, match=words):
        Diffusion("boards", 8, (8,), **({"fold": 8, "codebook": "boards"} | fields)).build(
            board_data(FENS).spec(), seed=0
        )


def test_little_noise_leaves_the_prediction_to_the_likelihood():
    made, x_0 = (
        model(),
        CategoricalMaps((64, 64, 3), 8, codebook="boards").folded(torch.from_numpy(board_data(FENS).values)),
    )
    said = made.network(x_0, torch.tensor(0), torch.zeros(2, dtype=torch.long)).sample
    torch.testing.assert_close(said, x_0, atol=1e-3, rtol=0)


def test_an_untrained_model_has_one_king_a_side_and_keeps_what_is_known():
    made, frame = model(), board_data(FENS).values[1]
    drawn = made.sample(3, Condition(), SampleOptions(steps=2), 0).values
    mask = np.zeros((64, 64), bool)
    mask[:17] = True  # the upper two ranks, and a pixel of the third
    filled = made.sample(2, Condition(frame=frame, mask=mask), SampleOptions(steps=2), 0).values
    for rgb in (*drawn, *filled):
        fen = boards.read_board(rgb).fen
        assert fen.count("K") == fen.count("k") == 1
    assert np.array_equal(filled[:, 24:], np.stack([frame[24:]] * 2))


def test_it_learns_which_boards_there_are():
    data = board_data(FENS * 16)
    made = model(channels=(16,), shift=3.0, learning_rate=2e-2, batch_size=16, ema=0.0)

    def agreement():
        """Share of the squares of eight samples that are as in the nearer of the two boards."""
        x = made.canvas.folded(torch.from_numpy(made.sample(8, Condition(), SampleOptions(), 0).values))
        real = made.canvas.folded(torch.from_numpy(data.values[:2])).argmax(1)
        return (x.argmax(1)[:, None] == real).float().mean((2, 3)).amax(1).mean()

    untrained = agreement()
    fit = made.fit(data, data.take(np.arange(2)), seed=0)
    list(fit.learn(Budget(updates=60)))
    made.load_weights(fit.weights())
    assert untrained < 0.5 < 0.65 < agreement()


def test_a_checkpoint_opens_in_diffusers_and_draws_the_same_boards(tmp_path):
    from diffusers import UNet2DModel

    from generative.diffusion.pipeline import PicturePipeline

    made = model(shift=3.0)
    card = make_card("sampler", "diffusion", {}, seed=0, trained={"updates": 0})
    save_checkpoint(tmp_path / "c", card, made.weights(), layout=made.layout())
    again = model(shift=3.0)
    again.load_weights(load_checkpoint(tmp_path / "c").weights)
    assert UNet2DModel.from_pretrained(tmp_path / "c", subfolder="unet").config.out_channels == 13
    pipeline = PicturePipeline.from_pretrained(tmp_path / "c")
    ours = again.sample(3, Condition(), SampleOptions(steps=4, guidance=2.0), 7).values
    theirs = pipeline(3, num_inference_steps=4, guidance_scale=2.0, seed=7, output_type="np").images
    assert np.array_equal(theirs, ours)

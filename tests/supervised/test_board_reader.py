"""The board reader: frames by hand, rectified boards, orientation, learning."""

import itertools

import chess
import numpy as np
import pytest
import torch

from sim.chess.diagrams.draw import draw_board
from sim.chess.diagrams.pictures import VARIED, Variation, picture
from sim.chess.diagrams.positions import positions
from sim.chess.diagrams.themes import board_style
from sim.chess.diagrams.truth import CORNERS, Place, truth_of
from sim.records import Budget, Percept
from supervised.data.dataset import Dataset
from supervised.metrics.answers import squares
from supervised.vision.board_reader import (
    ALTERNATING,
    ENDS,
    PIECES,
    SIDE,
    WHOLE,
    BoardExamples,
    BoardReader,
    alternation,
    checkered,
    compose_frames,
    fen_of,
    frame_grid,
    frame_of,
    from_rgb,
    jittered_frames,
    label_grid,
    perturb_frame,
    random_frames,
    random_hue_rotations,
    refine_frame,
    sample_frames,
)

STYLE = board_style("sage", "tokens")
FEW = chess.Board("k7/8/8/8/8/8/8/K5Q1 w - - 0 1")


def boards(n, seed, variation):
    """Positions of seeded games in one style."""
    generator = np.random.default_rng(seed)
    taken = []
    for game in itertools.count(seed):
        taken += [picture(b, STYLE, generator, SIDE, variation) for b in positions(game, 8)]
        if len(taken) >= n:
            break
    rgb, truths = zip(*taken[:n], strict=True)
    return Dataset(values=np.stack(rgb), truths=tuple(truths), episodes=np.arange(n))


def test_frames_by_hand():
    assert frame_of(truth_of(FEW, Place.flat(128), 128), 128).tolist() == WHOLE.tolist()
    # Half as large, a quarter turn clockwise, its middle at three quarters of the width.
    place = Place(128, 0.5, np.pi / 2, 96.0, 64.0)
    for flipped in (False, True):
        frame = frame_of(truth_of(FEW, place, 128, flipped=flipped), 128)
        assert frame == pytest.approx([0.5, 0.5j], abs=1e-6)


def test_a_frame_inside_a_frame():
    outer, inner = torch.tensor([[0.5 + 0j, 0.5j]]), torch.tensor([[1 + 0j, 0.5]])
    assert compose_frames(outer, inner).tolist() == [[0.5 + 0.5j, 0.25j]]
    whole = torch.tensor(WHOLE)[None]
    assert torch.equal(compose_frames(outer, whole), outer) and torch.equal(
        compose_frames(whole, inner), inner
    )


def test_a_board_that_lies_askew_is_laid_straight():
    askew = Variation(margin=0.06, degrees=3.0, shift=0.012)
    rgb, truth = picture(FEW, STYLE, np.random.default_rng(3), SIDE, askew)
    flat = draw_board(FEW, SIDE, style=STYLE).astype(np.float32) / 255
    frame = torch.from_numpy(frame_of(truth, SIDE))[None]
    straight = sample_frames(from_rgb(torch.from_numpy(rgb)[None]), frame, frame_grid(SIDE))[0].permute(
        1, 2, 0
    )
    assert np.abs(rgb / 255 - flat).mean() > 0.04
    assert np.abs(straight.numpy() - flat).mean() < 0.02


def test_the_rim_shows_the_quarters_with_letters_and_digits():
    """A digit is above left in its square, a letter below right: each quarter has a brightness of its own."""
    board = torch.zeros(1, 1, 16, 16)
    board[0, 0, ::2, 0] = torch.arange(1.0, 9)
    board[0, 0, 15, 1::2] = torch.arange(11.0, 19)
    large = board.repeat_interleave(16, 2).repeat_interleave(16, 3)
    seen = sample_frames(large, torch.tensor(WHOLE)[None], label_grid()).unflatten(2, (16, 16))
    assert seen[0, 0, :, 4:12, 4:12].mean((1, 2)).tolist() == [*range(1, 9), *range(11, 19)]


def test_a_board_slides_to_where_it_lies():
    """From up to half a square off at the corners to a seventh, whatever is on it and in any light."""
    generator = np.random.default_rng(0)
    for seed in range(8):
        board = positions(seed, 1)[0]
        rgb, truth = picture(board, STYLE, generator, SIDE, VARIED)
        true = frame_of(truth, SIDE)
        off = true + true[1] * generator.uniform(-0.05, 0.05, 2).astype(np.float32)
        seen = from_rgb(torch.from_numpy(rgb)[None])
        found = refine_frame(seen, torch.from_numpy(off)[None])
        corners = np.abs((found.numpy()[0] - true) @ np.stack([np.ones(4), ENDS]))
        assert corners.max() * 4 < 0.15, "in squares"
        whole = torch.from_numpy(true)[None]
        aside = perturb_frame(whole, torch.tensor([[0.125 + 0j, 0]]))
        assert checkered(seen, whole) > 2 * checkered(seen, aside), "half a square aside they cancel"


def test_squares_are_told_from_above_left_and_put_back_in_order():
    black = truth_of(FEW, Place.flat(128), 128, flipped=True)
    views = Dataset(values=np.zeros((1, 128, 128, 3), np.uint8), truths=(black,))
    batch = BoardExamples(views).batch(np.array([0]), np.random.default_rng(0))
    seen = [PIECES[i] for i in batch["squares"][0]]
    # Black sits at the bottom: h1 is above left, and the queen of g1 beside it.
    assert seen[1] == "Q" and seen[7] == "K" and seen[-1] == "k" and batch["turned"][0] == 1
    assert fen_of(seen, turned=True) == FEW.board_fen()
    for seed in range(4):
        fen = positions(seed, 1)[0].board_fen()
        assert fen_of(squares(fen), turned=False) == fen


def test_turned_hues_leave_grey_alone():
    mixes = random_hue_rotations(200, np.random.default_rng(0))
    assert np.allclose(mixes.sum(2), 1, atol=1e-6) and np.allclose(mixes.sum(1), 1, atol=1e-6)
    plain = np.isclose(mixes, np.eye(3), atol=1e-6).all((1, 2))
    assert 20 < plain.sum() < 80
    third = mixes[~plain] @ np.array([1.0, 0.0, 0.0])
    assert np.ptp(third.argmax(1)) == 2, "red becomes green and blue"


def test_first_looks_hold_nearly_all_of_the_board():
    frames = np.concatenate(
        [
            random_frames(500, np.random.default_rng(1)),
            jittered_frames(500, np.random.default_rng(2), 0.9, 0.06),
        ]
    )
    corners = frames[:, :1] + frames[:, 1:] * np.array([-1 - 1j, 1 - 1j, 1 + 1j, -1 + 1j])
    assert np.abs(corners.astype(np.complex64).view(np.float32)).max() < 1.35
    assert 0.65 < np.abs(frames[:, 1]).min() and np.abs(frames[:, 1]).max() < 1.1


def test_ideal_answers_give_the_truth_back():
    rgb, truth = picture(FEW, STYLE, np.random.default_rng(0), 160, VARIED)
    model = BoardReader(channels=4).build((), seed=0)
    batch = BoardExamples(Dataset(values=rgb[None], truths=(truth,))).batch(
        np.array([0]), np.random.default_rng(0)
    )
    answers = torch.nn.functional.one_hot(torch.from_numpy(batch["squares"]), len(PIECES)).transpose(1, 2)
    answers = 20.0 * answers
    answers[0, :, 5] *= 0.1  # of a square in the upper row it is not sure
    turned = torch.from_numpy(2 * batch["turned"] - 1)

    class Ideal:
        def found(self, pictures):
            return torch.from_numpy(batch["board"])

        def __call__(self, pictures, frame):
            return answers, turned, turned

    model.network = Ideal()
    percept = model.perceive([rgb])[0]
    assert (percept.fen, percept.facts) == (truth.fen, truth.facts)
    assert list(percept.keypoints) == list(truth.keypoints) == list(CORNERS)
    for name, point in truth.keypoints.items():
        assert percept.keypoints[name][:2] == pytest.approx(point[:2], abs=1.0)
    certainty, doubted = percept.extras["certainty"], 5 if truth.facts["white_at_bottom"] else 63 - 5
    assert certainty.argmin() == doubted and np.delete(certainty, doubted).min() > 0.99
    assert certainty[doubted] == pytest.approx(np.exp(2) / (np.exp(2) + len(PIECES) - 1))


def test_it_learns_to_read_boards():
    plain = Variation(margin=0.04, flipped=0.5)
    model = BoardReader(channels=8, learning_rate=3e-2, batch_size=8).build((), seed=0)
    fit = model.fit(boards(48, 100, plain), boards(8, 900, plain), seed=0)
    before = fit.validate()
    for _ in fit.learn(Budget(updates=40)):
        pass
    after = fit.validate()
    share = np.bincount(
        [PIECES.index(one) for true in boards(48, 500, plain).truths for one in squares(true.fen)]
    )
    surprise = -np.sum(
        share / share.sum() * np.log(share / share.sum())
    )  # of knowing only how many there are
    assert after["square"] < 0.7 * surprise
    assert after["miss"] < before["miss"] / 2


def test_pictures_of_any_size_are_looked_at():
    model = BoardReader(channels=4).build((), seed=0)
    for size in ((1, 1), (7, 13), (210, 160)):
        assert model.perceive([np.full((*size, 3), 128, np.uint8)]) == [Percept("model", fen="")]


def test_boards_alternate_and_other_pictures_do_not():
    whole = torch.tensor(WHOLE)[None]
    rgb = torch.from_numpy(draw_board(chess.Board(), 128, style=STYLE))[None]
    assert alternation(from_rgb(rgb), whole) == 1
    aside = torch.tensor([[0.125 + 0j, 1.0]])  # by half a square
    generator = np.random.default_rng(0)
    noise = torch.from_numpy(generator.integers(0, 256, (20, 128, 128, 3), np.uint8))
    assert alternation(from_rgb(rgb), aside) < ALTERNATING
    assert (alternation(from_rgb(noise), whole.expand(20, 2)) < ALTERNATING).all()


def test_weights_are_given_and_taken():
    one, other = BoardReader(channels=4).build((), seed=0), BoardReader(channels=4).build((), seed=1)
    rgb = draw_board(FEW, 128, style=STYLE)
    one.network.found = other.network.found = lambda pictures: torch.tensor(WHOLE)[
        None
    ]  # an untrained one finds none
    other.load_weights(one.weights())
    (read,), (again,) = one.perceive([rgb]), other.perceive([rgb])
    assert read.fen and read.fen == again.fen
    np.testing.assert_array_equal(read.extras["certainty"], again.extras["certainty"])
    with pytest.raises(ValueError, match="shape"):
        BoardReader(channels=8).build((), seed=0).load_weights(one.weights())


@pytest.mark.parametrize(("field", "value"), [("channels", 6), ("views", 0), ("learning_rate", 0.0)])
def test_values_out_of_range_are_refused_by_name(field, value):
    with pytest.raises(ValueError, match=field):
        BoardReader(**{field: value})

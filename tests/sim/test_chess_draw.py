"""The board's picture: what stands where, what is marked, and where a click lands."""

import time

import chess
import numpy as np
import pytest

from sim.chess.diagrams.draw import STYLES, draw_board, square_at, square_corner
from sim.chess.diagrams.pieces import GLYPHS
from sim.chess.world import Chess

EMPTY = chess.Board(None)
STYLE = STYLES["sage"]


def tile(picture, square, flipped=False):
    left, top, cell = square_corner(square, picture.shape[0], flipped)
    return picture[top : top + cell, left : left + cell].astype(int)


def differs(one, two):
    return np.abs(one - two).sum() > 0


def test_squares_alternate_and_a1_is_dark():
    picture = draw_board(EMPTY, 400)
    assert picture.shape == (400, 400, 3)
    assert picture.dtype == np.uint8
    for square, color in {chess.D4: STYLE.dark, chess.E4: STYLE.light, chess.D5: STYLE.light}.items():
        assert (tile(picture, square) == color).all()
    assert tuple(tile(picture, chess.A1)[25, 25]) == STYLE.dark
    assert tuple(tile(picture, chess.H1)[25, 25]) == STYLE.light


def test_every_piece_is_drawn_and_no_two_look_alike():
    tiles = []
    for piece in (chess.Piece(kind, color) for kind in range(1, 7) for color in (True, False)):
        board = chess.Board(None)
        board.set_piece_at(chess.E4, piece)
        tiles.append(tile(draw_board(board, 320), chess.E4))
    empty = tile(draw_board(EMPTY, 320), chess.E4)
    for i, one in enumerate(tiles):
        assert (np.abs(one - empty).sum(axis=-1) > 60).mean() > 0.1
        assert all((np.abs(one - two).sum(axis=-1) > 60).mean() > 0.03 for two in tiles[:i])


def test_white_is_bright_and_black_is_dark_in_the_middle_of_a_pawn():
    picture = draw_board(chess.Board(), 480)
    assert tile(picture, chess.E2)[36, 30].min() > 200
    assert tile(picture, chess.E7)[36, 30].max() < 100


def test_flipping_turns_the_board_and_not_the_pieces():
    board = chess.Board("4k3/8/8/8/2Q5/8/8/4K3 w - - 0 1")
    usual, flipped = draw_board(board, 400), draw_board(board, 400, flipped=True)
    np.testing.assert_array_equal(tile(usual, chess.C4), tile(flipped, chess.C4, flipped=True))
    assert square_corner(chess.C4, 400) == (100, 200, 50)
    assert square_corner(chess.C4, 400, flipped=True) == (250, 150, 50)


def test_marks_touch_their_squares_and_no_other():
    board = chess.Board("4k3/8/8/8/4R3/8/3p4/4K3 b - - 0 1")  # both kings in check; Black's is to move
    plain = draw_board(board, 400, check=False)
    cases = {
        (chess.E8,): draw_board(board, 400),
        (chess.A4, chess.E4): draw_board(board, 400, check=False, last_move=chess.Move(chess.A4, chess.E4)),
        (chess.E3, chess.D2): draw_board(board, 400, check=False, dots=[chess.E3, chess.D2]),
    }
    for marked, picture in cases.items():
        changed = {s for s in chess.SQUARES if differs(tile(picture, s), tile(plain, s))}
        assert changed == set(marked)
    ring = cases[chess.E3, chess.D2]
    assert not differs(tile(ring, chess.D2)[25, 25], tile(plain, chess.D2)[25, 25])  # a ring, not a disc
    assert differs(tile(ring, chess.E3)[25, 25], tile(plain, chess.E3)[25, 25])
    glow = tile(cases[(chess.E8,)], chess.E8)[1:-1, 25]
    assert (glow[:3, 0] - glow[:3, 2] > 30).all()  # red above the king's head


def test_drawing_leaves_what_it_keeps_alone():
    board = chess.Board()
    first = draw_board(board, 200)
    draw_board(board, 200, last_move=chess.Move.from_uci("e2e4"), dots=chess.SQUARES)[:] = 0
    np.testing.assert_array_equal(draw_board(board, 200), first)


@pytest.mark.parametrize("size", [64, 400, 403, 607])
@pytest.mark.parametrize("flipped", [False, True])
def test_a_click_lands_on_the_square_that_is_drawn_there(size, flipped):
    assert draw_board(chess.Board(), size, flipped=flipped).shape == (size, size, 3)
    for square in chess.SQUARES:
        left, top, cell = square_corner(square, size, flipped)
        for x, y in [(left, top), (left + cell - 1, top + cell - 1)]:
            assert square_at(x, y, size, flipped) == square
    assert square_at(-1, 5, size) is None
    assert square_at(5, size, size) is None


def test_coordinates_follow_the_side():
    assert set(GLYPHS) == set("abcdefgh12345678")
    bare, shown = STYLE.__class__(coordinates=False), STYLE
    for flipped, row, column in (
        (False, chess.BB_RANK_1, chess.BB_FILE_A),
        (True, chess.BB_RANK_8, chess.BB_FILE_H),
    ):
        one = draw_board(EMPTY, 400, flipped=flipped, style=bare)
        two = draw_board(EMPTY, 400, flipped=flipped, style=shown)
        written = {s for s in chess.SQUARES if differs(tile(one, s, flipped), tile(two, s, flipped))}
        assert written == set(chess.SquareSet(row | column))


def test_too_small_a_board_is_refused():
    with pytest.raises(ValueError, match="at least 64 pixels, not 40"):
        draw_board(EMPTY, 40)


def test_a_world_shows_its_last_move_from_the_agents_side():
    world = Chess(colour="black").make(3)
    world.reset()
    expected = draw_board(world.game.board, 480, flipped=True, last_move=world.game.last_move)
    np.testing.assert_array_equal(world.render(), expected)
    assert differs(world.render().astype(int), draw_board(world.game.board, 480, flipped=True).astype(int))


def test_a_frame_takes_no_longer_than_a_fraction_of_a_picture_at_sixty_a_second():
    board = chess.Board()
    draw_board(board, 400)
    times = []
    for _ in range(10):
        start = time.process_time()
        draw_board(board, 400)
        times.append(time.process_time() - start)
    assert min(times) < 0.004  # 0.7 ms on a quiet core; sprites drawn anew would take 200

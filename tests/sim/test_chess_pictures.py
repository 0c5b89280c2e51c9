"""Pictures of boards: what they show is what their truth says, in every style, however they were taken."""

import itertools
import time

import numpy as np
import pytest

chess = pytest.importorskip("chess")

from sim.chess.diagrams.draw import draw_board  # noqa: E402
from sim.chess.diagrams.labelled_boards import render_games  # noqa: E402
from sim.chess.diagrams.pictures import PLAIN, VARIED, Variation, picture  # noqa: E402
from sim.chess.diagrams.positions import positions  # noqa: E402
from sim.chess.diagrams.sets import PIECE_SETS  # noqa: E402
from sim.chess.diagrams.themes import HELD_OUT, THEMES, TRAINING, board_style, styles  # noqa: E402
from sim.chess.diagrams.truth import CORNERS, LABELS, Place, truth_of  # noqa: E402
from sim.chess.world import Chess  # noqa: E402
from sim.errors import RequestError  # noqa: E402

ALL = styles(tuple(THEMES))
SAGE = board_style("sage", "staunton")


def rng(seed=0):
    return np.random.default_rng(seed)


def named(style):
    theme = next(name for name in THEMES if board_style(name, style.pieces) == style)
    return f"{theme}-{style.pieces}"


def test_the_start_is_told_in_full():
    _, percept = picture(chess.Board(), board_style("slate", "moves"), rng(), 128, PLAIN)
    back = "rook knight bishop queen king bishop knight rook".split()
    white, black = [f"white {kind}" for kind in back], [f"black {kind}" for kind in back]
    assert percept.labels == (*white, *["white pawn"] * 8, *["black pawn"] * 8, *black)
    assert percept.origin == "truth"
    assert percept.fen == "rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR"
    assert percept.facts == {"white_at_bottom": 1}
    # A pawn's disc has radius 0.2 about (0.5, 0.49) of its square and a line 0.05 wide (0.8 pixels) on it.
    a2 = np.array([0, 96, 0, 96]) + 16 * np.array([0.3, 0.29, 0.7, 0.69]) + np.array([-0.4, -0.4, 0.4, 0.4])
    np.testing.assert_allclose(percept.boxes[8], a2, atol=0.15)
    assert set(percept.labels) == set(LABELS)


@pytest.mark.parametrize("size", [64, 128, 131])
def test_without_variation_a_picture_is_the_drawing(size):
    board = chess.Board()
    board.push_san("e4")
    for style in (SAGE, board_style("plum", "tokens")):
        rgb, _ = picture(board, style, rng(), size, PLAIN)
        np.testing.assert_array_equal(rgb, draw_board(board, size, style=style))
        marked, _ = picture(board, style, rng(), size, Variation(marked=1))
        expected = draw_board(board, size, style=style, last_move=board.peek())
        np.testing.assert_array_equal(marked, expected)


@pytest.mark.parametrize("style", ALL, ids=named)
def test_no_two_of_the_twelve_pieces_look_alike_in_any_style(style):
    """At 16 pixels a square; one square's colour is no help, so both are tried."""
    for square, left in ((chess.D4, 48), (chess.E4, 64)):
        tiles = []
        for color, kind in itertools.product((True, False), chess.PIECE_TYPES):
            board = chess.Board(None)
            board.set_piece_at(square, chess.Piece(kind, color))
            tiles.append(draw_board(board, 128, style=style)[64:80, left : left + 16].astype(float))
        tiles.append(draw_board(chess.Board(None), 128, style=style)[64:80, left : left + 16].astype(float))
        for one, two in itertools.combinations(tiles, 2):
            assert (
                np.sqrt(((one - two) ** 2).sum(axis=-1).mean()) > 16.0
            )  # levels; the nearest two, pawn and bishop of turned wood by night, are 20.9 apart


def test_held_out_colours_are_nobody_elses():
    assert len(TRAINING) >= 6 and set(TRAINING).isdisjoint(HELD_OUT)
    known = [THEMES[name] for name in TRAINING]
    for theme in (THEMES[name] for name in HELD_OUT):
        for other in known:
            board = np.subtract([theme.light, theme.dark], [other.light, other.dark])
            assert np.abs(board).sum() > 40
            assert theme.black.fill != other.black.fill
    assert {style.pieces for style in styles()} == set(PIECE_SETS)
    assert not {board_style(name, "moves") for name in HELD_OUT} & set(styles())


@pytest.mark.parametrize("pieces", PIECE_SETS)
def test_boxes_hold_their_pieces_however_the_board_lies(pieces):
    """Against pixels: what changes when a piece is put on the board, but for its soft shadow."""
    lies = Variation(margin=0.1, degrees=8.0, shift=0.02, flipped=0.5)
    for seed in range(12):
        kind, color = chess.PIECE_TYPES[seed % 6], seed % 4 < 2
        board = chess.Board(None)
        empty, _ = picture(board, board_style("newsprint", pieces), rng(seed), 256, lies)
        board.set_piece_at(int(rng(seed).integers(64)), chess.Piece(kind, color))
        rgb, percept = picture(board, board_style("newsprint", pieces), rng(seed), 256, lies)
        changed = np.abs(rgb.astype(int) - empty).max(axis=2) > 60
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        drawn = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        assert percept.boxes.dtype == np.float32
        np.testing.assert_allclose(percept.boxes[0], drawn, atol=1.6)


@pytest.mark.parametrize("flipped", [False, True])
def test_a_boards_corners_lie_where_its_squares_end(flipped):
    """Against pixels: a lone white square of the drawing, found again in the picture."""
    board, lies = chess.Board(None), Variation(margin=0.1, degrees=8.0, shift=0.02, flipped=float(flipped))
    for seed in range(4):
        rgb, percept = picture(board, board_style("newsprint", "tokens"), rng(seed), 256, lies)
        assert tuple(percept.keypoints) == CORNERS and percept.facts["white_at_bottom"] == (not flipped)
        at = {name: np.array(point[:2]) for name, point in percept.keypoints.items()}
        across, up = (at["h1"] - at["a1"]) / 8, (at["a8"] - at["a1"]) / 8
        assert np.linalg.norm(across) == pytest.approx(np.linalg.norm(up), rel=1e-4)
        for square in range(64):  # a1 is dark: the shade of each square's middle follows from the corners
            middle = at["a1"] + across * ((square & 7) + 0.5) + up * ((square >> 3) + 0.5)
            x, y = middle.astype(int)
            assert (rgb[y, x].mean() > 220) == ((square + (square >> 3)) % 2 == 1)


def test_corners_of_a_flat_board_are_those_of_the_picture():
    corners = truth_of(chess.Board(), Place.flat(128), 128).keypoints
    assert corners == {"a8": (0, 0, 1), "h8": (128, 0, 1), "h1": (128, 128, 1), "a1": (0, 128, 1)}
    assert truth_of(chess.Board(), Place.flat(128), 128, flipped=True).keypoints["h1"] == (0, 0, 1)


def test_a_boards_fen_goes_through_python_chess_and_back():
    boards = [board for seed in range(6) for board in positions(seed, 8)]
    for board in boards:
        _, percept = picture(board, SAGE, rng(1), 64)
        again = chess.Board(None)
        again.set_board_fen(percept.fen)
        assert again.piece_map() == board.piece_map()
        counted = [
            f"{'white' if p.color else 'black'} {chess.PIECE_NAMES[p.piece_type]}"
            for p in again.piece_map().values()
        ]
        assert sorted(counted) == sorted(percept.labels)


def test_flipped_boards_are_told_and_always_show_which_way_round_they_are():
    board = chess.Board("8/2k5/8/8/3K4/8/5Q2/8 w - - 0 1")
    bare = board_style("sage", "staunton").__class__(coordinates=False)
    rgb, percept = picture(board, bare, rng(), 128, Variation(flipped=1, bare=1))
    assert percept.facts == {"white_at_bottom": 0}
    assert percept.fen == board.board_fen()
    np.testing.assert_array_equal(rgb, draw_board(board, 128, flipped=True))
    rgb, percept = picture(board, SAGE, rng(), 128, Variation(bare=1))
    np.testing.assert_array_equal(rgb, draw_board(board, 128, style=bare))


def test_worlds_tell_what_their_pictures_show():
    world, worlds = Chess(colour="black").make(3), Chess(colour="black").make_batch(2, seed=3)
    _, info = world.reset()
    worlds.reset()
    alone, (batched,) = world.truth(), worlds.truth([0])
    rgb, expected = picture(world.game.board, SAGE, rng(), 480, Variation(flipped=1, marked=1))
    np.testing.assert_array_equal(world.render(), rgb)
    assert alone.fen == batched.fen == info["fen"].split()[0] == expected.fen
    assert alone.facts == batched.facts == {"white_at_bottom": 0}
    np.testing.assert_array_equal(alone.boxes, expected.boxes)


def test_one_seed_is_one_album_to_the_byte():
    def taken(seed):
        ((rgb, percepts),) = render_games([seed], size=64, a_game=4)
        return rgb.tobytes(), [(p.fen, p.boxes.tobytes(), p.labels) for p in percepts]

    assert taken(3) == taken(3)
    assert taken(3) != taken(4)


def test_variation_is_as_far_as_it_says_and_no_further():
    """Of a board without pieces: what each kind does to its levels."""
    board, sizes, deviations = chess.Board(None), 128, []
    plain, _ = picture(board, SAGE, rng(), sizes, PLAIN)
    for seed in range(5):
        noisy, _ = picture(board, SAGE, rng(seed), sizes, Variation(noise=10.0))
        difference = noisy.astype(float) - plain
        assert abs(difference[:, :, 2].mean()) < 0.2
        deviations.append(difference[:, :, 2].std())
        moved, _ = picture(board, SAGE, rng(seed), sizes, Variation(brightness=20.0))
        assert len(np.unique(moved.astype(int)[60:, 60:, 2] - plain[60:, 60:, 2])) == 1
        blurred, _ = picture(board, SAGE, rng(seed), sizes, Variation(blur=0.3))
        assert abs(blurred.astype(float).mean() - plain.mean()) < 0.6
        assert (
            np.abs(np.diff(blurred.astype(int), axis=1)).max()
            < np.abs(np.diff(plain.astype(int), axis=1)).max()
        )
    assert 3 < max(deviations) <= 10.2


def test_positions_are_legal_play_without_repeats():
    for seed in range(8):
        boards = positions(seed, 10)
        assert all(board.is_valid() for board in boards)
        assert len({(board.fullmove_number, board.turn) for board in boards}) == len(boards)
        clocks = [2 * board.fullmove_number - board.turn for board in boards]
        assert clocks == sorted(clocks)
    assert {len(board.piece_map()) < 6 for seed in range(30) for board in positions(seed, 1)} == {True, False}


def test_half_of_what_may_happen_happens():
    boards = [chess.Board()] * 300
    generator = rng(7)
    white = [
        picture(board, SAGE, generator, 64, Variation(flipped=0.4))[1].facts["white_at_bottom"]
        for board in boards
    ]
    assert 0.5 < np.mean(white) < 0.7


def test_nonsense_is_refused_by_name():
    with pytest.raises(ValueError, match="at least 64 pixels, not 40"):
        picture(chess.Board(), SAGE, rng(), 40)
    with pytest.raises(ValueError, match="blur must be from 0 to 0.333, not 0.5"):
        Variation(blur=0.5)
    with pytest.raises(ValueError, match="noise must be from 0 to 255, not nan"):
        Variation(noise=float("nan"))
    with pytest.raises(ValueError, match="at least one look"):
        next(render_games([0], []))
    with pytest.raises(RequestError, match='no board theme "walnutt".*"walnut"'):
        board_style("walnutt", "moves")
    with pytest.raises(RequestError, match='no piece set "toknes".*"tokens"'):
        board_style("sage", "toknes")


def test_a_picture_takes_milliseconds():
    boards = positions(0, 16)
    for style in styles():
        picture(boards[0], style, rng(), 128)
    times = []
    for seed in range(5):
        generator, start = rng(seed), time.process_time()
        for board in boards:
            picture(board, SAGE, generator, 128, VARIED)
        times.append((time.process_time() - start) / len(boards))
    assert min(times) < 0.006  # 1.2 ms on a busy core

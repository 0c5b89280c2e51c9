"""A person at the board: posted mouse events and keys become moves, and nothing else does."""

import io
import time
from dataclasses import replace

import chess
import chess.pgn
import numpy as np
import pygame
import pytest
from viewer_shows import BoardShow
from viewer_shows import Driver as AnyDriver

from sim.chess.board.picture import GROUND, TRAY, captured
from sim.chess.diagrams.draw import STYLES, square_corner
from sim.viewer.contract.gesture import Gesture
from sim.viewer.draw.theme import contrast
from sim.viewer.overlays import world_picture

PROMOTION = "1n5k/P7/8/8/8/8/8/K7 w - - 0 1"


class Driver(AnyDriver):
    def at(self, square, flipped=False):
        height, width = self.view.moment.pictures[0].shape[:2]
        rect = world_picture.place((width, height), self.viewer.layout().world)
        assert rect.size == (width, height)  # crisp: one pixel of the board is one of the window
        left, top, cell = square_corner(chess.parse_square(square), width, flipped)
        return rect.left + left + cell // 2, rect.top + (height - width) // 2 + top + cell // 2

    def play(self, *squares, flipped=False):
        plies = len(self.show.persons)
        for square in squares:
            self.click(self.at(square, flipped))
        self.until(lambda: len(self.show.persons) > plies and self.view.newest >= len(self.show.persons))

    def drag(self, start, end):
        self.post(pygame.MOUSEBUTTONDOWN, button=1, pos=self.at(start))
        self.post(pygame.MOUSEMOTION, pos=self.at(end), rel=(1, 1), buttons=(1, 0, 0))
        self.post(pygame.MOUSEBUTTONUP, button=1, pos=self.at(end))

    def idle(self):
        """Wait until all gestures are dealt with."""
        self.settle()
        self.viewer.advance()

    @property
    def fen(self):
        return self.show.world.game.fen

    def saved(self, tmp_path):
        self.press(pygame.K_x)
        self.until(lambda: list(tmp_path.glob("*.pgn")))
        (file,) = tmp_path.glob("*.pgn")
        self.until(lambda: file.name in self.choices.message)
        assert file.name.startswith("board-")
        return chess.pgn.read_game(io.StringIO(file.read_text()))


@pytest.fixture
def sit(drive):
    def start(size=(800, 600), person=True, **fields):
        return drive(BoardShow(**fields), kind=Driver, size=size, person=person)

    return start


def test_fools_mate_by_mouse_is_written_as_pgn(sit, tmp_path):
    driver = sit(colour="black", replies=("f2f3", "g2g4"))
    driver.play("e7", "e5", flipped=True)
    driver.play("d8", "h4", flipped=True)
    driver.until(lambda: driver.view.moment.caption)
    assert driver.view.moment.caption.startswith("0–1, mate in 2 moves")
    game = driver.saved(tmp_path)
    assert [node.san() for node in game.mainline()] == ["f3", "e5", "g4", "Qh4#"]
    assert game.headers["Result"] == "0-1" and not game.errors
    assert game.headers["Black"] == "Human", "who moved, not the agent in whose place they sat"


def test_pgn_names_all_who_moved_one_side(sit, tmp_path):
    driver = sit(replies=("e7e5", "a7a6", "b7b6"))
    driver.play("e2", "e4")
    driver.press(pygame.K_m)
    driver.until(lambda: len(driver.show.world.actions) >= 4)
    driver.press(pygame.K_m)
    driver.idle()
    assert driver.saved(tmp_path).headers["White"] == "Human, agent"
    driver.press(pygame.K_r)  # another game, in which nobody has moved yet
    driver.until(lambda: not driver.show.world.actions)
    assert 'White "agent"' in driver.show.renderer.touch(Gesture("save")).document[1]


def test_side_by_side_there_are_boards_and_nothing_else(sit):
    driver = sit(replies=("e7e5", "d8d4"), size=(1000, 700))
    renderer = driver.show.renderer
    driver.play("d2", "d4")
    driver.play("d4", "e5")
    whole = renderer.draw()
    assert whole.shape[0] > whole.shape[1] == renderer.board[3] - renderer.board[1]
    renderer.touch(Gesture("grid", on=True))
    bare = renderer.draw()
    assert bare.shape[0] == bare.shape[1] and renderer.board == (0, 0, *bare.shape[:2])
    assert not (bare == TRAY).all(axis=2).any() and (whole == TRAY).all(axis=2).any()
    renderer.touch(Gesture("grid", on=False))
    np.testing.assert_array_equal(renderer.draw(), whole)


@pytest.mark.parametrize("way", ["click", "drag", "keys"])
def test_clicks_a_drag_and_keys_play_the_same_move(sit, way):
    driver = sit(replies=("e7e5",))
    if way == "drag":
        driver.drag("e2", "e4")
    elif way == "click":
        driver.click(driver.at("e2"))
        driver.click(driver.at("e4"))
    else:  # the cursor starts on the king
        driver.press(pygame.K_UP, pygame.K_UP, pygame.K_RETURN, pygame.K_UP, pygame.K_UP, pygame.K_RETURN)
    driver.until(lambda: driver.show.persons)
    driver.until(lambda: driver.view.newest == 1)
    assert driver.fen == "rnbqkbnr/pppp1ppp/8/4p3/4P3/8/PPPP1PPP/RNBQKBNR w KQkq - 0 2"
    assert driver.view.moment.person


@pytest.mark.parametrize("how", ["queen", "knight", "rook by key"])
def test_a_pawn_becomes_what_is_chosen(sit, how):
    driver = sit(fen=PROMOTION)
    driver.click(driver.at("a7"))
    driver.click(driver.at("a8"))
    driver.until(lambda: "q" in driver.view.moment.asks)
    assert not driver.show.persons and "Q R B N" in driver.view.moment.caption
    if how == "rook by key":
        driver.press(pygame.K_r)  # and does not start the show again
    else:
        driver.click(driver.at({"queen": "a8", "knight": "a5"}[how]))
    driver.until(lambda: driver.show.persons)
    driver.until(lambda: driver.view.newest == 1)
    piece = {"queen": "Q", "knight": "N", "rook by key": "R"}[how]
    assert driver.fen.startswith(piece)


def test_a_promotion_can_be_taken_back(sit):
    driver = sit(fen=PROMOTION)
    driver.drag("a7", "b8")
    driver.until(lambda: "escape" in driver.view.moment.asks)
    driver.press(pygame.K_ESCAPE)
    driver.until(lambda: "q" not in driver.view.moment.asks)
    assert not driver.show.persons and not driver.viewer.done


@pytest.mark.parametrize(
    ("start", "end", "fen", "words"),
    [
        ("e2", "e5", chess.STARTING_FEN, "e2–e5 is not legal"),
        ("g1", "g3", chess.STARTING_FEN, "Ng1–g3 is not legal"),
        ("e2", "d3", "4k3/4r3/8/8/8/8/4B3/4K3 w - - 0 1", "Be2–d3 is not legal: it leaves the king in check"),
    ],
)
def test_an_illegal_move_is_refused_by_name(sit, start, end, fen, words):
    driver = sit(fen=fen)
    before = driver.fen
    for move in (lambda: [driver.click(driver.at(s)) for s in (start, end)], lambda: driver.drag(start, end)):
        driver.viewer.choices = replace(driver.viewer.choices, message="")
        move()
        driver.until(lambda: driver.choices.message == words)
        assert driver.fen == before and not driver.show.persons


def test_a_piece_that_is_picked_shows_where_it_may_go(sit):
    driver = sit()
    empty = driver.view.moment.pictures[0]
    driver.click(driver.at("g1"))
    driver.until(lambda: not np.array_equal(driver.view.moment.pictures[0], empty))
    changed = (driver.view.moment.pictures[0] != empty).any(axis=2)
    width = changed.shape[1]
    cells = set()
    for square in chess.SQUARES:
        left, top, cell = square_corner(square, width)
        top += (changed.shape[0] - width) // 2
        if changed[top : top + cell, left : left + cell].any():
            cells.add(chess.square_name(square))
    assert cells == {"g1", "f3", "h3"}
    driver.click(driver.at("g1"))
    driver.until(lambda: np.array_equal(driver.view.moment.pictures[0], empty))


def test_waiting_for_the_person_steps_nothing_and_blocks_nothing(sit):
    driver = sit(rate=100.0)
    driver.settle()
    driver.press(pygame.K_RIGHT, mod=0)  # the cursor, not a step
    driver.idle()
    assert driver.view.newest == 0 and not driver.show.persons
    begun = time.monotonic()
    driver.press(pygame.K_h)
    assert driver.viewer.advance()
    driver.viewer.draw()
    assert driver.choices.help and time.monotonic() - begun < 2.0
    driver.press(pygame.K_h, pygame.K_m)  # the agent takes over
    driver.until(lambda: driver.view.newest > 3)
    assert set(driver.show.persons) == {None}


def test_flipping_maps_the_squares(sit):
    driver = sit(replies=("e7e5",))
    driver.press(pygame.K_f)
    driver.idle()
    driver.play("e2", "e4", flipped=True)
    assert " w KQkq - 0 2" in driver.fen and "4P3" in driver.fen


def test_the_agents_board_cannot_be_touched(sit):
    driver = sit(person=False, rate=0.1)
    driver.click(driver.at("e2"))
    driver.until(lambda: "M: you play" in driver.choices.message)
    assert driver.view.moment.asks == ()


def test_the_past_cannot_be_touched(sit):
    driver = sit(replies=("e7e5",))
    driver.play("e2", "e4")
    driver.click(driver.viewer.layout().back.center)
    driver.click(driver.at("d2"))
    assert "past" in driver.choices.message and len(driver.show.persons) == 1


@pytest.mark.parametrize("size", [(480, 360), (640, 480), (1280, 800)])
def test_the_board_fills_its_room_crisply(sit, size):
    driver = sit(size=size)
    driver.viewer.draw()
    height, width = driver.view.moment.pictures[0].shape[:2]
    room = driver.viewer.layout().world
    assert width % 8 == 0 and width <= room.width and height <= room.height
    assert min(room.width - width, room.height - height) < 9 + height / 8


def test_captured_pieces_are_counted_by_side():
    first, now = chess.Board(), chess.Board("rnb1kbnr/pppp1ppp/8/8/8/8/1PPP1PPP/RNBQKBNR w - - 0 1")
    assert captured(first, now, chess.BLACK) == [chess.QUEEN, chess.PAWN]
    assert captured(first, now, chess.WHITE) == [chess.PAWN, chess.PAWN]
    promoted = chess.Board("rnbqkbnr/pppp1ppp/8/8/8/8/1PPP1PPP/RNBQKBNQ w - - 0 1")  # a queen for a rook
    assert captured(first, promoted, chess.WHITE) == [chess.ROOK, chess.PAWN]


def test_captured_pieces_stand_out_from_what_they_stand_on(sit):
    """WCAG 2.2, 1.4.11, wants a contrast of 3 for what is no text."""
    assert contrast(STYLES["sage"].black.fill, TRAY) >= 3
    assert contrast(STYLES["sage"].white.fill, TRAY) >= 3
    driver = sit(replies=("d7d5", "d8d5", "d5d2"))
    driver.play("e2", "e4")
    driver.play("e4", "d5")
    driver.play("h2", "h3")
    rgb = driver.view.moment.pictures[0]
    strip = (rgb.shape[0] - rgb.shape[1]) // 2
    for row, colour, count in ((rgb[:strip], chess.WHITE, 2), (rgb[-strip:], chess.BLACK, 1)):
        items = (row == TRAY).all(axis=2)
        fill = STYLES["sage"].inks(colour).fill
        ends = np.flatnonzero(items.any(axis=0))
        width = round(strip * (1 + 0.55 * (count - 1)))
        assert ends[-1] + 1 == row.shape[1] and ends[-1] + 1 - ends[0] == width
        surface = np.abs(row.astype(int) - fill).max(axis=2) <= 16  # shaded on one side
        assert surface.sum() > 2 * strip, "in its own colour"
        assert (row[:, : ends[0]] == GROUND).all()


def test_no_tray_lies_there_before_anything_is_captured(sit):
    rgb = sit().view.moment.pictures[0]
    strip = (rgb.shape[0] - rgb.shape[1]) // 2
    assert (rgb[:strip] == GROUND).all() and (rgb[-strip:] == GROUND).all()


def test_a_piece_is_drawn_where_it_is_held_and_cut_at_the_edges():
    from sim.chess.diagrams.draw import draw_board, draw_piece

    board = chess.Board("8/8/8/8/8/8/8/N7 w - - 0 1")
    empty = draw_board(chess.Board(None), 480)
    held = empty.copy()
    draw_piece(held, chess.Piece.from_symbol("N"), 30, 450, 60)
    assert np.abs(held.astype(int) - draw_board(board, 480)).max() <= 1
    for x, y in ((0, 0), (480, 480), (-500, 10)):
        draw_piece(held, chess.Piece.from_symbol("q"), x, y, 60)
    assert not np.array_equal(held[:30, :30], empty[:30, :30])

"""Chess at the board in the window: moves, premoves, move list, dialog, clipboard, slides, read-outs."""

import io
import threading
from dataclasses import replace

import chess.pgn
import numpy as np
import pygame
import pytest
from board_fakes import Endless, Window, scripted
from pygame import Rect

from scenes.schema import load_scene
from scenes.watching import board_show
from scenes.watching.board_show import BoardShow, DistanceToMate
from scenes.watching.playlist import show_of
from scenes.watching.scene_show import SceneShow
from sim.chess.rules.game import ChessGame
from sim.viewer.app.screen import Screen
from sim.viewer.contract.gesture import Gesture
from sim.viewer.draw.new_game import places
from sim.viewer.keymap import Command
from sim.viewer.panels import line_panel, moves_panel
from sim.viewer.playback.view import NewGame

SCENE = 'title = "Own"\nseed = 0\n[world]\nuse = "chess"\n{}\n[agent]\nuse = "greedy"\n'


@pytest.fixture
def scene(tmp_path):
    def make(world='colour = "white"'):
        file = tmp_path / "own.toml"
        file.write_text(SCENE.format(world))
        return load_scene(str(file))

    return make


@pytest.fixture
def sit(scene, monkeypatch, tmp_path):
    """`sit(think, …)` opens a window on a board, with `think` in the agent's place."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr(board_show, "installed_engines", dict)
    windows = []
    pygame.display.init()

    def start(think=None, world='colour = "white"', **options):
        if think is not None:
            monkeypatch.setattr(board_show, "policy_player", lambda policy, greedy: think)
        windows.append(Window(show_of(scene(world), device="cpu"), **options))
        return windows[-1]

    yield start
    for window in windows:
        window.viewer.close()
    pygame.display.quit()


@pytest.fixture
def clipboard(monkeypatch):
    """A clipboard of the test's own; `clipboard.text = None`: there is none."""

    class Clipboard:
        text = ""

    def put(text):
        if Clipboard.text is None:
            raise pygame.error("no clipboard")
        Clipboard.text = text

    def get():
        if Clipboard.text is None:
            raise pygame.error("no clipboard")
        return Clipboard.text

    monkeypatch.setattr(pygame.scrap, "put_text", put)
    monkeypatch.setattr(pygame.scrap, "get_text", get)
    return Clipboard


def ponder(search):
    from scenes.watching.board_players import policy_player

    return policy_player(search, greedy=True)


def test_a_chess_scene_is_played_at_the_board_and_others_are_not(scene, tmp_path):
    show = show_of(scene(), device="cpu")
    assert isinstance(show, BoardShow)
    show.close()
    recorded = show_of(scene(), device="cpu", attended=False)
    assert isinstance(recorded, SceneShow)
    assert recorded.start(0).board.names == ("greedy", "random")
    recorded.close()


def test_players_are_named_and_the_person_moves_first(sit):
    window = sit(scripted("e7e5"))
    assert window.board.names == ("You", "greedy")
    assert window.board.to_move == 0 and window.board.offer.opponents[0] == window.board.names[1]
    window.move("e2", "e4")
    window.played("e4", "e5")
    assert window.board.ply == 2 and window.viewer.view.number == 2, "one moment a ply"


def test_a_click_on_a_move_shows_its_position_and_the_last_one_goes_on(sit):
    window = sit(scripted("e7e5", "b8c6"))
    window.move("e2", "e4")
    window.played("e4", "e5")
    window.move("g1", "f3")
    window.played("e4", "e5", "Nf3", "Nc6")

    def cell(index):
        def find(inside, ink):
            row, column = divmod(index, 2)
            middle = 34 + (column + 0.5) * (inside.width - 34) / 2
            return inside.left + round(middle), inside.top + 22 * row + 11

        return window.on_moves(find)

    window.click(cell(0))
    assert window.board.ply == 1 and window.viewer.choices.paused
    game, ply = moves_panel.shown_game(window.viewer.view)
    assert len(game.moves) == 4 and ply == 1, "the whole game stays listed, the move shown is marked"
    window.move("d2", "d4")
    assert "past" in window.message
    window.press(pygame.K_RIGHT)
    assert window.board.ply == 2
    window.click(cell(3))
    assert window.board.ply == 4 and not window.viewer.choices.paused
    window.move("d2", "d4")
    window.until(lambda: "d4" in window.sans)


def test_a_premove_is_drawn_played_in_its_turn_and_cancelled_by_escape(sit):
    search = Endless()
    window = sit(ponder(search))
    window.move("e2", "e4")
    window.until(lambda: window.board.arrows)
    window.move("d2", "d4")
    window.until(lambda: window.board.premove == (chess.D2, chess.D4))
    window.press(pygame.K_ESCAPE)
    window.until(lambda: window.board.premove is None)
    assert not window.viewer.done and window.sans == ["e4"]
    window.drag("g1", "f3")
    window.until(lambda: window.board.premove == (chess.G1, chess.F3))
    window.press(pygame.K_u)
    window.until(lambda: window.sans == [] and window.board.premove is None)


def test_a_search_is_drawn_while_it_goes_on_and_a_flip_does_not_wait(sit):
    search = Endless()
    window = sit(ponder(search))
    window.move("e2", "e4")
    window.until(lambda: window.board.arrows and window.board.line)
    first = window.board.arrows[0].visits
    window.until(lambda: window.board.arrows[0].visits > first)
    assert len(window.board.arrows) == 3 and window.board.evaluation[:3] == (0.2, 0.3, 0.5)
    assert "thinking" in window.board.thinking
    window.press(pygame.K_f)
    window.until(lambda: not window.board.white_at_bottom)
    assert search.open == 1


def test_take_back_by_key_and_by_button(sit):
    window = sit(scripted("e7e5", "b8c6", "g8f6"))

    def take_back(inside, ink):
        return moves_panel.buttons(inside, ink, window.viewer.facts)[Command.TAKE_BACK]

    for how in ("key", "button"):
        window.move("e2", "e4")
        window.until(lambda: len(window.sans) == 2)
        if how == "key":
            window.press(pygame.K_u)
        else:
            window.click(window.on_moves(take_back).center)
        window.until(lambda: window.sans == [])
    window.press(pygame.K_u)
    window.until(lambda: "no move to take back" in window.message)
    assert window.sans == []


def test_the_dialog_begins_a_game_with_colour_opponent_and_clock(sit):
    window = sit(scripted("e7e5"))
    window.press(pygame.K_n)
    menu = window.viewer.choices.menu
    assert [name for name, _ in menu.rows] == ["You play", "Opponent", "Clock"]
    window.press(pygame.K_f)  # every key is the dialog's own
    assert window.board.white_at_bottom
    window.press(pygame.K_RIGHT)
    window.press(pygame.K_UP)
    window.press(pygame.K_RIGHT)
    window.press(pygame.K_RETURN)
    assert window.viewer.choices.menu is None
    window.until(lambda: window.board.game == 1)
    assert window.board.names[1] == "You" and not window.board.white_at_bottom
    assert window.board.clocks.left == (60.0, 60.0) and window.board.clocks.running == -1
    window.press(pygame.K_n)
    window.press(pygame.K_ESCAPE)
    assert window.viewer.choices.menu is None and not window.viewer.done and window.board.game == 1


def test_the_dialog_is_used_with_the_mouse(sit):
    window = sit(scripted("e7e5"))
    window.press(pygame.K_n)
    found = places(Rect(0, 0, 1280, 800), window.viewer.ink, window.viewer.choices.menu)
    rects = {(row, index): rect for row, index, rect in found.chips}
    window.click(rects[1, 1].center)
    assert window.viewer.choices.menu.picks[1] == 1
    window.click((found.card.left - 5, found.card.top))
    assert window.viewer.choices.menu is None
    window.press(pygame.K_n)
    window.click(found.start.center)
    window.until(lambda: window.board.game == 1)


def test_fen_and_pgn_go_to_the_clipboard_and_come_back(sit, clipboard):
    window = sit(scripted("e7e5", "b8c6"))
    window.move("e2", "e4")
    window.played("e4", "e5")
    window.press(pygame.K_c, mod=pygame.KMOD_CTRL)
    window.until(lambda: window.message == "copied the FEN")
    assert ChessGame(clipboard.text).board.fullmove_number == 2
    window.press(pygame.K_c, mod=pygame.KMOD_CTRL | pygame.KMOD_SHIFT)
    window.until(lambda: window.message == "copied the PGN")
    game = chess.pgn.read_game(io.StringIO(clipboard.text))
    assert game.headers["White"] == "Human" and game.headers["Event"] == "Own"
    window.press(pygame.K_u)
    window.until(lambda: window.sans == [])
    window.press(pygame.K_v, mod=pygame.KMOD_CTRL)
    window.played("e4", "e5")
    assert window.board.names[0] == "You" and not window.viewer.choices.recording


@pytest.mark.parametrize("text", ["8/8/8/8/8/8/8/8 w - - 0 1", "1. e4 e5 2. Ke4", "what?"])
def test_what_cannot_be_pasted_is_told_and_the_game_kept(sit, clipboard, text):
    window = sit(scripted("e7e5"))
    window.move("e2", "e4")
    window.played("e4", "e5")
    clipboard.text = text
    window.press(pygame.K_v, mod=pygame.KMOD_CTRL)
    window.until(lambda: "FEN" in window.message or "PGN" in window.message)
    assert window.sans == ["e4", "e5"] and window.board.game == 0


def test_without_a_clipboard_texts_go_to_files_and_are_typed(sit, clipboard, tmp_path):
    clipboard.text = None
    window = sit(scripted("e7e5"))
    window.press(pygame.K_c, mod=pygame.KMOD_CTRL)
    window.until(lambda: "no clipboard here: saved own-" in window.message)
    (file,) = tmp_path.glob("own-*.fen")
    assert file.read_text() == chess.STARTING_FEN
    window.press(pygame.K_v, mod=pygame.KMOD_CTRL)
    assert window.viewer.choices.box.prompt == "FEN or PGN"
    for letter in "1. d4 d5":
        window.press(pygame.K_d, unicode=letter)
    window.press(pygame.K_RETURN)
    window.played("d4", "d5")


def test_pieces_glide_for_150_ms_and_not_where_they_were_dragged(sit, monkeypatch):
    class Now:
        time = 1000.0

        def __call__(self):
            return self.time

    now, slid, draw = Now(), [], Screen.draw
    monkeypatch.setattr(Screen, "draw", lambda self, *args: slid.append(args[-1].slid) or draw(self, *args))
    window = sit(scripted("e7e5"), clock=now)
    window.viewer.draw()
    window.drag("e2", "e4")
    window.until(lambda: window.sans == ["e4"])
    window.viewer.draw()
    assert slid[-1] == 1.0, "dragged"
    window.played("e4", "e5")
    now.time += 0.075
    assert window.viewer.advance()
    window.viewer.draw()
    assert slid[-1] == pytest.approx(0.5) and window.viewer.awake
    now.time += 0.08
    assert window.viewer.advance()
    window.viewer.draw()
    assert slid[-1] == 1.0


def test_a_sliding_piece_ends_where_it_is_drawn(sit):
    window = sit(scripted("e7e5"))
    window.move("e2", "e4")
    window.played("e4", "e5")
    slide = window.board.slide
    picture = window.viewer.view.moment.pictures[0]
    still = slide.still()
    ((draw, _, _, x, y),) = slide.pieces
    sprite = draw()
    part = np.s_[y : y + sprite.shape[0], x : x + sprite.shape[1]]
    landed = still.astype(float)
    landed[part] = landed[part] * (1 - sprite[..., 3:]) + sprite[..., :3]
    assert np.abs(landed - picture).max() < 1.5
    assert not np.array_equal(still, picture)


def test_the_overlay_key_switches_the_analysis_off(sit, monkeypatch):
    window = sit(ponder(Endless()))
    window.move("e2", "e4")
    window.until(lambda: window.board.arrows)
    window.viewer.advance()
    shown = pygame.surfarray.array3d(window.viewer.draw())
    window.press(pygame.K_o)
    assert not window.viewer.choices.analysis
    hidden = pygame.surfarray.array3d(window.viewer.draw())
    x, y = window.at("a6")
    assert window.board.arrows and not np.array_equal(shown[x - 300 :], hidden[x - 300 :])


@pytest.mark.parametrize("size", [(480, 360), (640, 480), (1280, 800), (1920, 1080)])
def test_every_size_is_drawn(sit, size):
    window = sit(ponder(Endless()), size=size)
    window.move("e2", "e4")
    window.until(lambda: window.board.arrows)
    rects = list(window.viewer.layout().pieces.values())
    assert all(not a.colliderect(b) for i, a in enumerate(rects) for b in rects[i + 1 :])
    window.press(pygame.K_n)
    window.viewer.draw()
    names = ("imitation", "random", "greedy", *(f"Stockfish skill {i}" for i in range(5)))
    offer = replace(window.board.offer, opponents=names)
    found = places(Rect(0, 0, *size), window.viewer.ink, NewGame.of(offer))
    assert Rect(0, 0, *size).contains(found.card)
    inside = [found.start, found.cancel, *(rect for _, _, rect in found.chips)]
    assert all(found.card.contains(rect) for rect in inside)
    assert all(not a.colliderect(b) for i, a in enumerate(inside) for b in inside[i + 1 :])


def test_a_mate_is_told_and_a_click_begins_the_next_game(sit):
    window = sit(scripted("f7f6", "g7g5"))
    window.move("e2", "e4")
    window.played("e4", "f6")
    window.move("d2", "d4")
    window.played("e4", "f6", "d4", "g5")
    window.move("d1", "h5")
    window.until(lambda: window.board.result)
    assert window.board.result == "1–0, mate in 3 moves" and window.board.evaluation.score == 1.0
    moment = window.viewer.view.moment
    assert moment.episodes[0].outcome == "win" and moment.episodes[0].mate
    assert "click begins" in moment.caption
    window.click(window.at("e4"))
    window.until(lambda: window.board.game == 1)
    assert window.viewer.view.moment.score[0] == 0


def test_agents_play_each_other_until_a_person_takes_a_seat(sit):
    window = sit(person=False, world='colour = "white"\nopponent = "random"')
    window.until(lambda: len(window.sans) >= 2)
    assert window.board.names == ("greedy", "random")
    window.press(pygame.K_m)
    window.until(lambda: window.board.names[0] == "You" and window.show.waits)
    assert window.board.names[1] == "random"


def test_an_opponent_that_was_asked_for_plays_the_person(tmp_path):
    file = tmp_path / "own.toml"
    file.write_text(SCENE.format('colour = "white"'))
    show = show_of(load_scene(str(file), ["world.opponent=random"]), device="cpu")
    show.touch(Gesture("person", on=True))
    assert show.start(0).board.names == ("You", "random")
    show.close()


def test_distance_to_mate_is_told_where_it_is_solved(monkeypatch):
    class Table:
        left = 13

        def plies(self, board):
            return self.left

    solved = []
    monkeypatch.setattr(board_show, "solve", lambda piece: solved.append(piece) or Table)
    monkeypatch.setattr(Table, "plies", lambda board: Table.left)
    distance = DistanceToMate("kqk")
    queen, rook = ChessGame("k7/8/1K6/8/8/8/8/6Q1 w - - 0 1"), ChessGame("k7/8/1K6/8/8/8/8/6R1 w - - 0 1")
    assert solved == ["q"] and distance.readouts(queen) == (("tablebase", "mate in 7", "moves"),)
    Table.left = None
    assert distance.readouts(queen) == (("tablebase", "draw", ""),)
    told = threading.Event()
    distance.tell = told.set
    assert distance.readouts(rook)[0].value == "computing …" and told.wait(5.0)
    assert distance.readouts(rook)[0].value == "draw" and "r" in solved
    assert distance.readouts(ChessGame()) == ()


def test_clocks_of_the_past_stand(sit, monkeypatch):
    from sim.viewer.overlays import world_picture

    seen = []
    monkeypatch.setattr(world_picture, "draw_players", lambda *args: seen.append(args[-1]))
    window = sit(scripted("e7e5", "b8c6"))
    window.viewer.tell(Gesture("new_game", name="white|greedy|5+3"))
    window.until(lambda: window.board.clocks is not None)
    window.move("e2", "e4")
    window.played("e4", "e5")
    window.move("g1", "f3")
    window.played("e4", "e5", "Nf3", "Nc6")
    window.viewer.draw()
    assert seen[-1] > window.board.clocks.since - 1e-9
    window.press(pygame.K_COMMA)
    window.viewer.draw()
    assert window.board.ply == 3 and seen[-1] == window.board.clocks.since


def test_an_evaluation_in_words():
    from sim.viewer.contract.board import Evaluation

    assert line_panel.in_words(Evaluation(0.75, 0.0, 0.25, exact=False)) == "White's expected score 75 %"

"""Analysis of recorded games: opinions, drops and marks by hand, the show, and the command line."""

import gzip
import io
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import chess
import chess.pgn
import numpy as np
import pytest
from command_line import answer, refusal

import scenes.watching.game_analysis.command as command
from scenes.cli.main import main
from scenes.watching.game_analysis.analysis import AnalysedGame, Analyst
from scenes.watching.game_analysis.show import GameAnalysisShow
from sim.chess.pgn_games import PgnFile
from sim.records import Decision
from sim.viewer.contract.gesture import Gesture, Interactive
from sim.viewer.contract.show import Working
from sim.viewer.draw.theme import MARK_COLORS

ACTIONS = 4672
MATE = "1. f3 e5 2. g4 Qh4# 0-1"  # fool's mate
WINS = {0: 0.5, 1: 0.45, 2: 0.48, 3: 0.1}  # White's expected score by ply; ply 4 is mate
QUEEN = """[White "A"]
[Black "B"]
[SetUp "1"]
[FEN "8/8/8/3k4/8/8/8/KQ6 w - - 0 1"]

1. Kb2 Kd4 2. Qc2 Ke3 *
"""


class Scripted:
    """A policy that expects `wins` by ply, and likes the first legal moves best: ½, ¼ and so on."""

    def __init__(self, wins=WINS, best=()):
        self.wins, self.best, self.batches = wins, dict(best), []
        self.gate = None

    def act(self, obs, info, memory=None, *, greedy=False):
        if self.gate is not None:
            self.gate.wait(20)
        games = info["games"]
        self.batches.append(len(games))
        assert greedy and len(obs) == len(games) and info["action_mask"].shape == (len(games), ACTIONS)
        chances, actions, values = np.zeros((len(games), ACTIONS)), [], []
        for row, game in zip(chances, games, strict=True):
            legal = game.legal_actions()
            row[legal] = 0.5 ** np.arange(1, len(legal) + 1)
            ply = 2 * (game.board.fullmove_number - 1) + (not game.turn)
            uci = self.best.get(ply)
            actions.append(game.action(uci) if uci else int(legal[0]))
            white = 2 * self.wins.get(ply, 0.5) - 1
            values.append(white if game.turn else -white)
        lines = tuple((action,) for action in actions)
        return Decision(np.array(actions), chances, value=np.array(values), lines=lines), None

    def seed(self, seed):
        pass


@pytest.fixture
def pgn(tmp_path):
    def written(text, name="games.pgn"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return written


def opened(path):
    return PgnFile(str(path), path.read_text())


def analysed(path, policy, number=1):
    analyst = Analyst(policy, 1)
    game = AnalysedGame(opened(path).game(number, 1))
    for found in game.work(analyst):
        game.take(found)
    return game


def test_drops_and_marks_are_those_of_whoever_moved(pgn):
    game = analysed(pgn(MATE), Scripted(best={3: "a7a6"}))
    moves = game.moves()
    assert [move.win_after for move in moves] == pytest.approx([0.45, 0.48, 0.1, 0.0])
    assert [move.drop for move in moves] == pytest.approx([0.05, 0.03, 0.38, -0.1])
    assert [move.mark for move in moves] == ["", "", "??", ""]  # mating is a gain, whatever the search liked
    white, black = game.sides()
    assert white.mean_drop == pytest.approx((0.05 + 0.38) / 2) and white[2:] == (0, 0, 1)
    assert black.mean_drop == pytest.approx(0.03 / 2) and black.moves == 2 and black[2:] == (0, 0, 0)


def test_marks_stand_at_a_tenth_two_tenths_and_three(pgn):
    wins = {0: 0.5, 1: 0.4, 2: 0.6, 3: 0.3, 4: 0.35}
    game = analysed(pgn("1. f3 e5 2. g4 d5 *"), Scripted(wins))
    assert [move.mark for move in game.moves()] == ["?!", "?", "??", ""]


def test_the_searchs_own_move_is_never_marked(pgn):
    game = analysed(pgn(MATE), Scripted(best={2: "g2g4"}))
    move = game.moves()[2]
    assert move.drop == pytest.approx(0.38) and move.best == "g4" and move.mark == ""


def test_the_networks_opinion_is_its_probability_and_rank(pgn):
    game = analysed(pgn(MATE), Scripted())
    first = game.record.positions[0]
    legal = first.legal_actions().tolist()
    rank = 1 + legal.index(first.action("f2f3"))
    move = game.moves()[0]
    assert move.rank == rank and move.policy == pytest.approx(0.5**rank)
    assert move.favourite == first.san(legal[0]) and move.favourite_policy == pytest.approx(0.5)


def test_all_positions_but_the_mate_are_one_batch(pgn):
    policy = Scripted()
    game = analysed(pgn(MATE), policy)
    assert policy.batches == [4] and game.left == []
    assert game.win(4) == 0.0  # known without anybody's opinion


def test_rows_hold_the_game_and_what_is_known(pgn):
    rows = analysed(pgn(MATE), Scripted()).rows()
    assert [row["uci"] for row in rows] == ["f2f3", "e7e5", "g2g4", "d8h4"]
    assert rows[0]["fen"] == chess.STARTING_FEN and rows[2]["drop"] == 0.38 and rows[2]["mark"] == "??"
    fresh = AnalysedGame(opened(pgn(MATE)).game(1)).rows()
    assert fresh[0]["san"] == "f3" and fresh[0]["policy"] is None and fresh[0]["drop"] is None


def test_values_of_captures_are_no_expected_scores(pgn):
    analyst = Analyst(Scripted(), 1, scores=False)
    game = AnalysedGame(opened(pgn(MATE)).game(1, 1))
    for found in game.work(analyst):
        game.take(found)
    moves = game.moves()
    assert moves[0].win_before is None and moves[2].mark == "" and moves[2].policy is not None
    assert moves[3].win_after == 0.0  # mate is mate


# The show


@pytest.fixture
def show(pgn):
    path = pgn(f'{MATE}\n\n{QUEEN}\n[Event "none"]\n\n*\n')
    shown = GameAnalysisShow(opened(path), 1, Analyst(Scripted(), 1), title="Own", agent="scripted")
    yield shown
    shown.close()


def finished(show, seconds=10.0):
    end = time.monotonic() + seconds
    while show.game.left:
        assert time.monotonic() < end
        show.touch(Gesture("news"))
        time.sleep(0.001)


def test_keys_step_through_the_game(show):
    assert isinstance(show, Interactive) and isinstance(show, Working)
    assert show.start(0).analysis.ply == 0

    def after(name, shift=False):
        show.touch(Gesture("key", name=name, on=shift))
        return show.look().analysis.ply

    assert [after("right"), after("right"), after("left"), after("end"), after("right")] == [1, 2, 1, 4, 4]
    assert [after("left", True), after("right", True), after("home")] == [0, 4, 0]
    finished(show)
    assert after("down") == 3  # the blunder
    assert show.touch(Gesture("key", name="down")).message == "no later move is marked"
    assert after("end") == 4 and after("up") == 3
    show.touch(Gesture("seek", 2))
    assert show.look().analysis.ply == 2
    assert show.step(None).analysis.ply == 3


def test_opinions_come_in_while_the_window_is_used(pgn):
    policy = Scripted()
    policy.gate = threading.Event()
    analyst = Analyst(policy, 1)
    analyst.num_simulations = 400  # four positions at a time
    shown = GameAnalysisShow(opened(pgn(MATE)), 1, analyst, title="Own", agent="scripted")
    told = threading.Event()
    shown.listen(told.set)
    moment = shown.start(0)
    assert "analysing … 1 of 5" in moment.analysis.status and moment.analysis.moves[0].policy is None
    policy.gate.set()
    assert told.wait(10)
    assert shown.touch(Gesture("news")).redraw
    now = shown.look().analysis
    assert now.status == "" and now.moves[0].policy is not None and now.revision > moment.analysis.revision
    shown.close()


def test_closing_cancels_the_analysis(pgn):
    policy = Scripted()
    policy.gate = threading.Event()
    analyst = Analyst(policy, 1)
    analyst.num_simulations = 400
    long = "1. Nf3 Nf6 2. Ng1 Ng8 3. Nc3 Nc6 4. Nb1 Nb8 5. e3 e6 6. d3 d6 *"
    shown = GameAnalysisShow(opened(pgn(long)), 1, analyst, title="Own", agent="scripted")
    shown.start(0)
    closing = threading.Thread(target=shown.close)
    closing.start()
    end = time.monotonic() + 10
    while not shown._worker._stopping:  # then the batch in progress is the last one
        assert time.monotonic() < end
        time.sleep(0.001)
    policy.gate.set()
    closing.join(10)
    assert not closing.is_alive() and sum(policy.batches) <= 4


def test_other_games_of_the_file_are_a_key_away(show):
    show.start(0)
    assert "first game" in show.touch(Gesture("key", name="n", on=True)).message
    show.touch(Gesture("key", name="end"))
    assert show.touch(Gesture("key", name="n")).message.startswith("game 2")
    analysis = show.look().analysis
    assert analysis.title == "A – B" and analysis.ply == 0 and len(analysis.moves) == 4
    assert "has no moves" in show.touch(Gesture("key", name="n")).message  # the present game stays
    assert show.look().analysis.title == "A – B"
    show.touch(Gesture("key", name="n", on=True))
    assert show.look().analysis.title.startswith("White – Black")


def test_a_failing_agent_is_told_in_the_window(pgn):
    def fail(*rest, **named):
        raise RuntimeError("out of memory")

    shown = GameAnalysisShow(
        opened(pgn(MATE)), 1, Analyst(SimpleNamespace(act=fail), 1), title="Own", agent="failing"
    )
    told = threading.Event()
    shown.listen(told.set)
    shown.start(0)
    assert told.wait(10)
    shown.touch(Gesture("news"))
    assert "out of memory" in shown.look().analysis.status
    shown.close()


def test_the_board_shows_players_score_arrows_and_mark(show):
    show.start(0)
    show.touch(Gesture("resize", 500, 400))
    finished(show)

    def at(ply):
        show.touch(Gesture("seek", ply))
        return show.look()

    board = at(0).board
    assert board.names == ("White", "Black") and board.evaluation.score == 0.5 and board.white_at_bottom
    assert at(3).board.evaluation.score == pytest.approx(0.1) and at(3).board.to_move == 1
    mated = at(4).board
    assert (
        mated.evaluation.score == 0 and mated.evaluation.loss == 1 and mated.result == "0–1, mate in 2 moves"
    )
    x0, y0, x1, y1 = board.board

    def corner(ply):  # upper right of g4, where the blunder went
        squares = at(ply).pictures[0][y0:y1, x0:x1]
        side = (y1 - y0) // 8
        part = squares[4 * side : 4 * side + side // 3, 7 * side - side // 3 : 7 * side]
        return (np.abs(part.astype(int) - MARK_COLORS["??"]).sum(2) < 30).sum()

    assert corner(3) > 20 and corner(4) == 0
    show.touch(Gesture("flip"))
    assert not show.look().board.white_at_bottom


def test_the_most_visited_moves_are_arrows(pgn):
    class Searching(Scripted):
        def act(self, obs, info, memory=None, *, greedy=False):
            decision, _ = super().act(obs, info, memory, greedy=greedy)
            visits = np.zeros((len(obs), ACTIONS), np.int64)
            visits[np.arange(len(obs)), decision.actions] = 30
            return replace(decision, visits=visits), None

    shown = GameAnalysisShow(opened(pgn(MATE)), 1, Analyst(Searching(), 1), title="Own", agent="scripted")
    shown.start(0)
    finished(shown)
    opinion = shown.game.opinions[0]
    (arrow,) = shown.look().board.arrows
    move = shown.game.record.positions[0].moves[opinion.best]
    assert (arrow.start, arrow.end, arrow.visits) == (move.from_square, move.to_square, 30)
    shown.close()


def test_a_game_that_went_on_after_a_draw_is_shown_to_its_end(pgn):
    path = pgn("1. Nf3 Nf6 2. Ng1 Ng8 3. Nf3 Nf6 4. Ng1 Ng8 5. e4 e5 *")
    shown = GameAnalysisShow(opened(path), 1, Analyst(Scripted(), 1), title="Own", agent="scripted")
    shown.start(0)
    shown.touch(Gesture("key", name="end"))
    moment = shown.look()
    assert moment.analysis.ply == 10 and moment.board.ply == 10 and moment.board.result == ""
    shown.close()


def test_the_annotated_game_is_saved(show):
    show.start(0)
    finished(show)
    ending, text = show.touch(Gesture("save")).document
    read = chess.pgn.read_game(io.StringIO(text))
    moves = list(read.mainline())
    assert ending == ".pgn" and read.headers["Result"] == "0-1" and len(moves) == 4
    assert moves[2].nags == {chess.pgn.NAG_BLUNDER} and "0.10" in moves[2].comment


# The command line


@pytest.fixture
def scripted(monkeypatch):
    policy = Scripted()
    monkeypatch.setattr(command, "build_analyst", lambda scene, **named: Analyst(policy, 1))
    return policy


def test_json_has_a_row_a_move(capsys, pgn, scripted):
    found = answer(capsys, "watch", "chess-kqk", "--headless", "--pgn", pgn(MATE))
    assert [row["mark"] for row in found["moves"]] == ["", "", "??", ""]
    assert found["frames"] == 0 and found["file"] is None and found["episodes"] == 0
    assert found["white"]["blunders"] == 1


def test_the_table_is_printed_and_the_fault_told(capsys, pgn, scripted):
    assert main(["watch", "chess-kqk", "--pgn", str(pgn("1. f3 e5 2. Kg4 *"))]) == 0  # no display: no window
    told = capsys.readouterr()
    assert "1. f3" in told.out and "1… e5" in told.out and "inaccurac" in told.out
    assert "move 2, Kg4, is not legal there" in told.err


def test_a_recording_has_a_frame_a_position(capsys, pgn, scripted, tmp_path):
    record = tmp_path / "game.gif"
    found = answer(capsys, "watch", "chess-kqk", "--headless", "--pgn", pgn(MATE), "--record", record)
    assert found["frames"] == 5 and record.stat().st_size > 1000


def test_a_failing_agent_is_exit_1(capsys, pgn, scripted, monkeypatch):
    def fail(*rest, **named):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(scripted, "act", fail)
    assert main(["watch", "chess-kqk", "--headless", "--pgn", str(pgn(MATE))]) == 1
    assert "out of memory" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--game", "99"], "holds one game"),
        (["--game", "0"], "counts from 1"),
        (["--frames", "0"], "--frames"),
        (["--run", "runs/x"], "--checkpoint runs/x"),
    ],
)
def test_wrong_requests_are_refused_in_a_line(capsys, pgn, words, told):
    assert told in refusal(capsys, "watch", "chess-kqk", "--headless", "--pgn", pgn(MATE), *words)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read"),
        (b"", "is empty"),
        (b"\x00\x01", "not text"),
        (b"no moves at all", "no chess game"),
        (b'[Event "x"]\n\n*\n', "has no moves"),
        (b'[FEN "8/8/8/8/8/8/8/8 w - - 0 1"]\n\n1. e4 *', "no white king"),
        (b'[Variant "Chess960"]\n\n1. e4 *', "Chess960"),
    ],
)
def test_files_without_a_game_are_refused_in_a_line(capsys, tmp_path, content, told):
    path = tmp_path / "bad.pgn"
    if content is not None:
        path.write_bytes(content)
    assert told in refusal(capsys, "watch", "chess-kqk", "--headless", "--pgn", path)


def test_compressed_files_and_latin_1_are_read(capsys, tmp_path, scripted):
    path = tmp_path / "games.pgn.gz"
    path.write_bytes(gzip.compress('[White "Müller"]\n\n1. e4 *\n'.encode("latin-1")))
    assert main(["watch", "chess-kqk", "--headless", "--pgn", str(path)]) == 0
    assert "Müller" in capsys.readouterr().out


def test_scenes_without_chess_and_play_are_refused(capsys, pgn):
    file = pgn(MATE)
    assert "plays gym/CartPole-v1" in refusal(capsys, "watch", "cartpole", "--headless", "--pgn", file)
    assert "has no world" in refusal(capsys, "watch", "lenet", "--headless", "--pgn", file)
    assert "watch instead of play" in refusal(capsys, "play", "chess-kqk", "--pgn", file)
    assert "--pgn FILE" in refusal(capsys, "watch", "chess-kqk", "--game", "2")
    own = file.parent / "own.toml"
    own.write_text('title = "Own"\nseed = 0\n[world]\nuse = "chess"\n[agent]\nuse = "greedy"\n')
    assert '"greedy" has no policy' in refusal(capsys, "watch", own, "--headless", "--pgn", file)


def test_the_shipped_network_analyses_a_game_from_a_position(capsys, pgn):
    few = ("--set", "agent.num_simulations=4")
    found = answer(capsys, "watch", "chess-kqk", "--headless", "--pgn", pgn(QUEEN), "--device", "cpu", *few)
    rows = found["moves"]
    assert [row["san"] for row in rows] == ["Kb2", "Kd4", "Qc2", "Ke3"]
    assert all(0 < row["policy"] < 1 and row["rank"] >= 1 and row["best"] for row in rows)
    assert all(row["win_before"] > 0.6 for row in rows)  # White has the queen, whoever is to move

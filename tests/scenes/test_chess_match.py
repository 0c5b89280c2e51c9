"""`playfield evaluate SCENE --opponents …`: matches of paired openings, their table and their PGN."""

import sys
from pathlib import Path

import chess.pgn
import numpy as np
import pytest
from command_line import answer, refusal

from agents.evaluation.paired_match import ADJUDICATED, Opening, PairedGame
from scenes.cli.doctor import checks
from scenes.cli.main import main
from scenes.cli.outcome import without_nonfinite
from scenes.evaluation import chess_match, match_pgn
from scenes.evaluation.chess_match import match_openings
from scenes.evaluation.match_pgn import PgnError, PgnFile, pgn_game
from scenes.evaluation.match_table import match_metrics
from scenes.schema import load_scene
from sim.chess import uci_player
from sim.chess.rules import ChessGame
from sim.chess.uci_player import UciPlayer
from sim.chess.world import Chess
from supervised.data.sources.chess_openings import opening_book

FAKE = f"uci:{sys.executable} {Path(__file__).parent.parent / 'fake_engine.py'}"


@pytest.fixture
def scene(tmp_path):
    """A scene whose agent captures what it can; games are short."""
    path = tmp_path / "captures.toml"
    path.write_text(
        'title = "Captures"\n[world]\nuse = "chess"\nmax_plies = 24\nhistory = 1\n[agent]\nuse = "greedy"\n'
    )
    return path


def games_of(path):
    with open(path) as file:
        games = list(iter(lambda: chess.pgn.read_game(file), None))
    assert not any(game.errors for game in games)
    return games


def test_every_opponent_plays_both_colours_of_each_opening(capsys, scene, tmp_path):
    pgn = tmp_path / "games.pgn"
    found = answer(
        capsys, "evaluate", scene, "--opponents", f"random,{FAKE} well", "--episodes", 3, "--pgn", pgn
    )
    assert list(found["breakdown"]) == ["random", f"{FAKE} well"] and found["file"] == str(pgn)
    for row in found["breakdown"].values():
        assert row["win"] + row["draw"] + row["loss"] + row["cut"] == pytest.approx(1)
        assert row["games"] == 4 and row["failed"] == 0 and 8 < row["length"] <= 24
        low, high = row["ci95"]["score"]
        assert low < row["score"] < high and row["ci95"]["elo"][0] < row["elo"] < row["ci95"]["elo"][1]
    assert found["n"] == found["metrics"]["games"] == 8 and "elo" not in found["metrics"]
    assert set(found["ci95"]) <= set(found["metrics"]) and found["baseline"]["games"] == 8
    assert "Fake 1.0, 5,000 nodes" in found["protocol"]["opponents"] and found["protocol"]["max_plies"] == 24
    games = games_of(pgn)
    assert len(games) == 8
    players = [(game.headers["White"], game.headers["Black"]) for game in games]
    assert (
        players.count(("captures (greedy)", "random")) == players.count(("random", "captures (greedy)")) == 2
    )
    lines = [tuple(move.uci() for move in game.mainline_moves())[:8] for game in games]
    assert len(set(lines)) == 2 and set(lines) <= set(opening_book())
    for game in games:
        if game.headers["Termination"] == "adjudication":
            assert game.headers["Result"] == "1/2-1/2" and game.headers["PlyCount"] == "24"


def test_an_engine_that_fails_or_is_missing_is_told_and_the_rest_is_played(capsys, scene, tmp_path):
    pgn = tmp_path / "games.pgn"
    rivals = f"{FAKE} dies 2,uci:/none,random"
    assert main(["evaluate", str(scene), "--opponents", rivals, "--episodes", "2", "--pgn", str(pgn)]) == 0
    out, err = capsys.readouterr()
    assert "uci:/none is left out" in err and "died in mid-game; started again" in err
    assert "uci:/none was left out" in out and "2 games against" in out and "without a result" in out
    games = games_of(pgn)
    failed = [game for game in games if game.headers["Result"] == "*"]
    assert len(games) == 4 and len(failed) == 2
    assert {game.headers["Termination"] for game in failed} == {"abandoned"}
    assert all("the opponent failed: died in mid-game" in game.end().comment for game in failed)


def test_without_one_result_the_command_fails(capsys, scene, monkeypatch):
    assert main(["evaluate", str(scene), "--opponents", f"{FAKE} dies", "--episodes", "1"]) == 1
    assert "no game had a result: died in mid-game" in capsys.readouterr().err
    assert main(["evaluate", str(scene), "--opponents", f"{FAKE} exits", "--episodes", "1"]) == 1
    assert "did not start" in capsys.readouterr().err
    monkeypatch.setattr(uci_player.shutil, "which", lambda name: None)
    monkeypatch.delenv("STOCKFISH", raising=False)
    assert "apt install stockfish" in refusal(capsys, "evaluate", scene, "--opponents", "stockfish:0")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--opponents", "gredy"], 'did you mean "greedy"?'),
        (["--opponents", "magnus"], "there are random, greedy, stockfish"),
        (["--opponents", "stockfish:99"], "skill levels 0…20"),
        (["--opponents", "perfect"], "which are solved"),
        (["--opponents", "runs/none"], "no such folder"),
        (["--opponents", "scene:chess-nothing"], "there is no scene"),
        (["--opponents", "scene:cartpole"], "this one plays gym/CartPole-v1"),
        (["--opponents", ","], "names nobody"),
        (["--opponents", "random,random"], "twice"),
        (["--opponents", "random", "--opponents", "random"], "twice"),
        (["--opponents", "random", "--episodes", "0"], "at least 1"),
        (["--opponents", "random", "--seeds", "2"], "--seeds is for whole episodes"),
        (["--opponents", "random", "--pgn", "/none/games.pgn"], "there is no folder /none"),
        (["--opponents", "random", "--pgn", "/"], "a folder, not a file"),
        (["--pgn", "games.pgn"], "--opponents: name some"),
    ],
)
def test_requests_that_cannot_be_are_refused_before_anything_is_played(capsys, scene, words, says):
    assert says in refusal(capsys, "evaluate", scene, *words)


def test_other_worlds_and_agents_on_percepts_have_no_matches(capsys):
    assert "plays gym/CartPole-v1" in refusal(capsys, "evaluate", "cartpole", "--opponents", "random")
    assert "has no [world]" in refusal(capsys, "evaluate", "digits-gan", "--opponents", "random")


def test_a_file_is_replaced_only_if_told_to_and_only_by_a_game(capsys, scene, tmp_path):
    pgn = tmp_path / "mine.pgn"
    pgn.write_text("mine")
    words = ["evaluate", scene, "--episodes", 1, "--pgn", pgn]
    assert "--overwrite replaces it" in refusal(capsys, *words, "--opponents", "random")
    failing = [*map(str, words), "--overwrite", "--opponents", f"{FAKE} exits"]
    assert main(failing) == 1 and pgn.read_text() == "mine"
    answer(capsys, *words, "--overwrite", "--opponents", "random")
    assert len(games_of(pgn)) == 2


def test_ctrl_c_keeps_the_games_and_the_table_so_far(capsys, scene, tmp_path, monkeypatch):
    pgn, replies = tmp_path / "games.pgn", []

    def until_ctrl_c(self, games, generators):
        replies.append(len(games))
        if len(replies) == 3:
            raise KeyboardInterrupt
        return [int(game.legal_actions()[0]) for game in games]

    monkeypatch.setattr(UciPlayer, "reply", until_ctrl_c)
    words = [
        "evaluate",
        str(scene),
        "--opponents",
        f"random,{FAKE} well",
        "--episodes",
        "2",
        "--pgn",
        str(pgn),
    ]
    assert main(words) == 130
    out = capsys.readouterr().out
    assert "random" in out and "stopped after 0 of 2 games" in out
    games = games_of(pgn)
    assert [game.headers["Termination"] for game in games].count("unterminated") == 2 and len(games) == 4
    replies.clear()
    alone = ["evaluate", str(scene), "--opponents", f"{FAKE} well", "--json"]
    assert main(alone) == 130 and "stopped at once" in capsys.readouterr().out


def test_a_full_disk_is_told_and_the_match_goes_on(capsys, scene, tmp_path, monkeypatch):
    pgn, append = tmp_path / "games.pgn", PgnFile.append

    def full(self, game):
        if self.games == 1:
            raise PgnError("games.pgn cannot be written: no space left; it has 1 games")
        append(self, game)

    monkeypatch.setattr(PgnFile, "append", full)
    words = ["evaluate", str(scene), "--opponents", "random", "--episodes", "4", "--pgn", str(pgn)]
    assert main(words) == 1
    out, err = capsys.readouterr()
    assert "no space left" in out and err.count("no space left") == 1 and len(games_of(pgn)) == 1


def test_a_player_that_breaks_down_ends_its_match_alone(capsys, scene, monkeypatch):
    def broken(self, games, generators):
        raise RuntimeError("the GPU fell off the bus")

    monkeypatch.setattr(UciPlayer, "reply", broken)
    found = answer(capsys, "evaluate", scene, "--opponents", f"{FAKE} well,random", "--episodes", 2)
    assert list(found["breakdown"]) == ["random"]
    assert found["missing"] == {f"{FAKE} well": "the GPU fell off the bus"}


def test_two_scenes_meet_with_the_planes_that_each_knows(capsys, scene, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text(scene.read_text().replace("history = 1", "history = 4").replace("greedy", "random"))
    found = answer(capsys, "evaluate", scene, "--opponents", f"scene:{other}", "--episodes", 2)
    assert found["n"] == 2 and found["protocol"]["opponents"] == f"scene:{other} (random)"
    (opening,) = match_openings(Chess(history=1), 1, 0, rival_history=4)
    assert opening.start.planes().shape[0] == 21 and opening.rival_start.planes().shape[0] == 63


def test_a_match_does_not_depend_on_those_before_it(capsys, scene):
    both = answer(capsys, "evaluate", scene, "--opponents", "greedy,random", "--episodes", 4)
    alone = answer(capsys, "evaluate", scene, "--opponents", "random", "--episodes", 4)
    assert both["breakdown"]["random"] == alone["breakdown"]["random"]


def test_the_library_gives_the_same_as_the_command_line(capsys, scene):
    import playfield

    found = playfield.open(scene).evaluate(episodes=2, opponents=["random"])
    assert found["ci95"]["elo"] == [-np.inf, np.inf]  # of two games; null in JSON
    told = answer(capsys, "evaluate", scene, "--opponents", "random", "--episodes", 2)
    assert without_nonfinite(found) == told
    with pytest.raises(playfield.RequestError, match="seeds are for whole episodes"):
        playfield.open(scene).evaluate(seeds=2, opponents=["random"])


def test_the_doctor_tells_whether_stockfish_is_there(monkeypatch):
    def found():
        return next(check.found for check in checks() if check.name.startswith("stockfish"))

    monkeypatch.setenv("STOCKFISH", sys.executable)
    assert found() == sys.executable
    monkeypatch.setenv("STOCKFISH", "/none")
    assert "apt install stockfish" in found()


def test_endgames_begin_where_the_scene_does_and_no_first_move_of_white_ends_them():
    config = Chess("krk")
    openings = match_openings(config, 12, 5, config.history)
    fens = [opening.start.fen for opening in openings]
    assert fens == [opening.start.fen for opening in match_openings(config, 12, 5, config.history)]
    assert len(set(fens)) > 6 and all(opening.actions == () for opening in openings)
    for opening in openings:
        game = opening.start
        if game.turn:
            assert not any(game.play(action).reason for action in game.moves)
    fen = "4k3/8/8/8/8/8/8/R3K3 w - - 0 1"
    assert {o.start.fen for o in match_openings(Chess(fen=fen), 3, 0, 8)} == {fen}


def ended(pair, side, points, *, mate=True, reason="checkmate", failed=None, length=4):
    game = PairedGame(pair, side, Opening(ChessGame()), np.random.default_rng(0))
    game.points, game.mate, game.reason, game.failed = points, mate, reason, failed
    game.actions = [0] * length
    return game


def test_metrics_are_shares_of_games_with_a_result():
    games = [
        ended(0, 0, 1.0),
        ended(0, 1, 1.0, mate=False, reason="resignation"),
        ended(1, 0, 0.5, mate=False, reason="stalemate"),
        ended(1, 1, 0.5, mate=False, reason=ADJUDICATED, length=8),
        ended(2, 0, 0.0),
        ended(2, 1, None, mate=False, reason="died", failed=1, length=1),
    ]
    found = match_metrics(games)
    shares = {name: found[name] for name in ("win", "mates", "draw", "cut", "loss", "score")}
    assert shares == {"win": 0.4, "mates": 0.2, "draw": 0.2, "cut": 0.2, "loss": 0.2, "score": 0.6}
    assert (found["games"], found["failed"], found["length"]) == (5, 1, 24 / 5)
    assert (found["score_white"], found["score_black"]) == (0.5, 0.75)
    assert found["elo"] == pytest.approx(70.4, abs=0.1)


def test_pgn_says_how_each_game_ended():
    def headers(game):
        record = pgn_game(game, Chess(), "match", "ours", "theirs").headers
        return record["White"], record["Result"], record["Termination"]

    game = ended(0, 1, 1.0, length=0)
    assert headers(game) == ("theirs", "0-1", "normal")
    assert headers(ended(0, 0, 1.0, reason="resignation", length=0)) == ("ours", "1-0", "normal")
    assert headers(ended(0, 0, 0.5, reason=ADJUDICATED, length=0))[1:] == ("1/2-1/2", "adjudication")
    illegal = ended(0, 0, None, reason="illegal move: a1a8", failed=1, length=0)
    assert headers(illegal)[1:] == ("*", "rules infraction")
    assert match_pgn.UNTERMINATED == headers(ended(0, 0, None, reason="", length=0))[2]
    fen = "4k3/8/8/8/8/8/8/R3K3 w - - 0 1"
    placed = PairedGame(0, 0, Opening(ChessGame(fen)), np.random.default_rng(0))
    assert pgn_game(placed, Chess(fen=fen), "m", "a", "b").headers["FEN"] == fen


def test_a_long_search_has_fewer_games_at_a_time(scene, monkeypatch):
    seen = []
    monkeypatch.setattr(chess_match, "PairedMatch", lambda *args, **options: seen.append(options["together"]))
    contestant = chess_match.Contestant("a", "a", None, 1, num_simulations=8_192)
    matches = chess_match._Matches(load_scene(str(scene)), contestant, 2, None, print)
    matches._match(None, contestant, [])
    assert seen == [8]

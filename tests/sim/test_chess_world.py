"""The world: rewards, endings, opponents good and bad, and batches that resume exactly."""

import re
from importlib.metadata import version

import chess
import numpy as np
import pytest

from agents.random import RandomPolicy
from sim.catalog import make_world, make_worlds, world_config, world_names
from sim.chess.endgames import STARTS
from sim.chess.opponents import OPPONENTS, OpponentError, greedy_move, random_move
from sim.chess.rules.game import ChessGame
from sim.chess.starts import can_end, random_placement
from sim.chess.world import Chess
from sim.conformance import check_world
from sim.fields import FieldError
from sim.records import Decision
from sim.storage.states import read_state, write_state
from sim.vector import ActionError


class Scripted:
    """Plays given moves in every game; None resigns, anything that is no UCI is raised."""

    def __init__(self, *moves):
        self.moves = moves
        self.infos = []

    def seed(self, seed):
        pass

    def act(self, obs, info, memory=None, *, greedy=False):
        self.infos.append(info)
        replies = []
        for game in info["games"]:
            move = self.moves[(game.board.fullmove_number - 1) % len(self.moves)]
            if isinstance(move, Exception):
                raise move
            replies.append(-1 if move is None else game.action(move))
        return Decision(np.array(replies)), None


def played(moves, *replies, **fields):
    """Step a world through the agent's `moves` against scripted replies; the last step's results."""
    world = Chess(**fields).make(0, opponent=Scripted(*replies))
    world.reset()
    results = [world.step(world.game.action(uci)) for uci in moves]
    return results, world


def test_fools_mate_loses_one():
    results, _ = played(["f2f3", "g2g4"], "e7e5", "d8h4")
    _, reward, terminated, truncated, info = results[-1]
    assert [r[1] for r in results] == [0.0, -1.0]
    assert (terminated, truncated) == (True, False)
    assert (info["outcome"], info["mate"], info["reason"], info["ply"]) == ("loss", True, "checkmate", 4)
    assert not info["action_mask"].any()


def test_scholars_mate_wins_one_also_as_black():
    results, _ = played(["e2e4", "f1c4", "d1h5", "h5f7"], "e7e5", "b8c6", "g8f6")
    assert [r[1] for r in results] == [0, 0, 0, 1]
    assert results[-1][4]["outcome"] == "win"
    results, _ = played(["e7e5", "d8h4"], "f2f3", "g2g4", colour="black")
    assert [r[1] for r in results] == [0, 1]
    assert (results[-1][4]["outcome"], results[-1][4]["ply"]) == ("win", 4)


def test_a_draw_pays_nothing_and_says_so():
    results, _ = played(["f2f7"], "a7a6", fen="7k/8/6K1/8/8/8/5Q2/8 w - - 0 1", reward="shaped")
    _, reward, terminated, _, info = results[-1]
    assert (reward, terminated, info["outcome"], info["mate"], info["reason"]) == (
        0.0,
        True,
        "draw",
        False,
        "stalemate",
    )


SHORT_GAME = (["e2e4", "e4d5", "b1c3", "c3d5"], ["d7d5", "d8d5", "c8g4", "g4d1"])


def test_captures_pay_pawns_worth_taken_minus_lost():
    results, _ = played(SHORT_GAME[0], *SHORT_GAME[1], reward="capture")
    assert [r[1] for r in results] == [0, 1 - 1, 0, 9 - 9]
    results, _ = played(["e2e4", "e4d5", "b1c3", "c3d5"], "d7d5", "d8d5", "a7a6", "h7h6", reward="capture")
    assert [r[1] for r in results] == [0, 0, 0, 9]
    results, _ = played(["e2e4", "e4d5", "a2a3"], "d7d5", "a7a6", "h7h6", reward="shaped")
    assert [r[1] for r in results] == [0, pytest.approx(0.01), 0]
    fen = "4k3/8/8/2q1p3/3P4/8/8/R3K3 w Q - 0 1"
    results, _ = played(["e8e7"], "d4c5", "a1a2", colour="black", reward="capture", fen=fen)
    assert results[0][1] == 0  # the queen fell before the agent could move


def test_en_passant_pays_a_pawn_and_a_promotion_nothing():
    results, _ = played(["e5d6"], "e8f8", fen="4k3/8/8/3pP3/8/8/8/4K3 w - d6 0 1", reward="capture")
    assert results[0][1] == 1
    results, _ = played(["a7a8q"], "e8e7", fen="4k3/P7/8/8/8/8/8/4K3 w - - 0 1", reward="capture")
    assert results[0][1] == 0


def test_shaping_adds_a_hundredth_of_the_capture_to_the_outcome():
    fen = "6k1/5ppp/8/8/8/8/8/q3R1K1 w - - 0 1"
    results, _ = played(["e1a1"], "h7h6", fen=fen, reward="shaped")
    assert results[0][1] == pytest.approx(0.09)
    fen = "3r2k1/5ppp/8/8/8/8/8/3R2K1 w - - 0 1"
    results, _ = played(["d1d8"], "h7h6", fen=fen, reward="shaped")
    assert results[0][1] == pytest.approx(1.05)


@pytest.mark.parametrize(
    ("move", "reason"),
    [
        (None, "opponent resigned"),
        (RuntimeError("engine died"), "opponent crashed: RuntimeError: engine died"),
        ("e7e4", "opponent broke the rules: action .*, e7e4, is not legal here"),
    ],
)
def test_a_bad_opponent_cuts_the_game_with_the_reason(move, reason):
    (*_, (obs, reward, terminated, truncated, info)), world = played(["e2e4", "d2d4"], "e7e5", move)
    assert (reward, terminated, truncated, info["outcome"]) == (0.0, False, True, "")
    assert re.match(reason, info["reason"])
    assert np.array_equal(obs[0], obs_of("rnbqkbnr/pppp1ppp/8/4p3/3PP3/8/PPP2PPP/RNBQKBNR w KQkq - 0 1")[0])
    own = ChessGame("rnbqkbnr/pppp1ppp/8/4p3/3PP3/8/PPP2PPP/RNBQKBNR w KQkq - 0 1").legal_actions()
    assert (
        np.flatnonzero(info["action_mask"]).tolist() == own.tolist()
    )  # bootstrapping needs the agent's moves
    with pytest.raises(ActionError, match="reset first"):
        world.step(ChessGame().action("g1f3"))
    world.reset()
    assert world.game.fen == chess.STARTING_FEN


def obs_of(fen):
    return (ChessGame(fen).planes() * 255).astype(np.uint8)


def test_policies_may_resign_in_several_ways():
    class Quitter(Scripted):
        def act(self, obs, info, memory=None, *, greedy=False):
            return self.moves[0], None

    for answer in (None, Decision(None), Decision([None, None]), Decision(np.array([-1, -1]))):
        worlds = Chess().make_batch(2, 0, opponent=Quitter(answer))
        worlds.reset()
        _, _, terminated, truncated, info = worlds.step(np.array([76, 76]))
        assert truncated.all()
        assert not terminated.any()
        assert info["final_info"]["reason"].tolist() == ["opponent resigned"] * 2


def test_an_opponent_that_fails_before_the_first_move_is_an_error_not_a_hang():
    world = Chess(colour="black").make(0, opponent=Scripted(ValueError("no weights")))
    with pytest.raises(OpponentError, match="ValueError: no weights at its first move"):
        world.reset()


def test_the_agents_wrong_actions_are_refused_and_change_nothing():
    world = Chess().make(0)
    with pytest.raises(ActionError, match=r"\(not started\): reset first"):
        world.step(76)
    world.reset()
    with pytest.raises(ActionError, match="e2e5, is not legal here"):
        world.step(64 * 2 + 12)
    for action in (-1, 4672):
        with pytest.raises(ActionError, match=f"action {action} is not in 0…4671"):
            world.step(action)
    assert world.game.fen == chess.STARTING_FEN
    worlds = Chess().make_batch(3, 0)
    worlds.reset()
    with pytest.raises(ActionError, match="world 1: action 140, e2e5, is not legal here"):
        worlds.step(np.array([76, 140, 76]))
    assert [game.fen for game in worlds.games] == [chess.STARTING_FEN] * 3


def test_max_plies_cuts_at_the_agents_turn():
    results, _ = played(["g1f3", "f3g1", "b1c3"], "g8f6", "f6g8", "b8c6", max_plies=5)
    assert [r[3] for r in results] == [False, False, True]
    obs, reward, terminated, _, info = results[-1]
    assert (reward, terminated, info["reason"], info["ply"]) == (0.0, False, "max_plies", 6)
    assert info["action_mask"].sum() > 20


def test_the_opponent_sees_its_own_side():
    opponent = Scripted("e7e5")
    world = Chess().make(0, opponent=opponent)
    world.reset()
    world.step(76)
    (info,) = opponent.infos
    assert info["games"][0].turn == chess.BLACK
    assert np.flatnonzero(info["action_mask"][0]).tolist() == info["games"][0].legal_actions().tolist()


def test_greedy_takes_the_queen_not_the_pawn():
    game = ChessGame("4k3/8/8/2q1p3/3P4/8/8/R3K3 w Q - 0 1")
    rng = np.random.default_rng(0)
    assert {greedy_move(game, rng) for _ in range(20)} == {game.action("d4c5")}
    results, world = played(["h7h6"], "d4c5", colour="black", fen="4k3/7p/8/2q1p3/3P4/8/8/R3K3 b Q - 0 1")
    assert world.game.last_move.uci() == "d4c5"
    world = make_world(
        "chess", colour="black", opponent="greedy", fen="4k3/7p/8/2q1p3/3P4/8/8/R3K3 b Q - 0 1"
    )
    world.reset()
    world.step(world.game.action("h7h6"))
    assert world.game.last_move.uci() == "d4c5"


def test_ties_and_random_moves_cover_all_choices():
    rng = np.random.default_rng(0)
    for player in (greedy_move, random_move):
        assert {player(ChessGame(), rng) for _ in range(300)} == set(ChessGame().legal_actions().tolist())


@pytest.mark.parametrize("opponent", OPPONENTS)
def test_every_opponent_plays_legal_moves_by_its_generator_alone(opponent):
    def play(seed):
        game, rng = ChessGame(), np.random.default_rng(seed)
        while game.reason is None and game.board.fullmove_number < 30:
            game = game.play(OPPONENTS[opponent](game, rng))
        return game.fen

    assert play(1) == play(1) != play(2)


@pytest.mark.parametrize(("name", "pieces"), STARTS.items())
def test_named_starts_hold_their_pieces_and_differ_by_seed(name, pieces):
    fens = set()
    for seed in range(12):
        world = Chess(start=name).make(seed)
        _, info = world.reset()
        board = world.game.board
        assert board.is_valid()
        assert board.turn == chess.WHITE
        for color, wanted in zip((chess.WHITE, chess.BLACK), pieces, strict=True):
            held = [p.symbol().upper() for p in board.piece_map().values() if p.color == color]
            assert sorted(held) == sorted(wanted)
        assert world.game.reason is None
        fens.add(info["fen"])
        assert Chess(start=name).make(seed).reset()[1]["fen"] == info["fen"]
    assert len(fens) == 12


def test_two_bishops_stand_on_both_colours():
    for seed in range(30):
        world = Chess(start="kbbk").make(seed)
        world.reset()
        bishops = world.game.board.bishops
        assert bishops & chess.BB_LIGHT_SQUARES
        assert bishops & chess.BB_DARK_SQUARES


def test_who_moves_second_is_never_mated_before_it_has_moved():
    rng = np.random.default_rng(0)
    first = [can_end(ChessGame(random_placement("krrk", rng, agent_first=True))) for _ in range(60)]
    second = [can_end(ChessGame(random_placement("krrk", rng, agent_first=False))) for _ in range(60)]
    assert any(first)
    assert not any(second)


def test_colour_random_draws_both_and_the_opponent_opens_for_black():
    plies = set()
    for seed in range(20):
        world = Chess(colour="random").make(seed)
        _, info = world.reset()
        assert info["ply"] == (0 if world.colour == chess.WHITE else 1)
        plies.add(info["ply"])
    assert plies == {0, 1}


REFUSED = {
    "start": ({"start": "kqq"}, 'no start "kqq"; did you mean "kqk"'),
    "fen": ({"fen": "8/8/8/8/8/8/8/8 w - - 0 1"}, "no legal position: no white king"),
    "over": ({"fen": "7k/5Q2/6K1/8/8/8/8/8 b - - 0 1"}, "the game is over .*stalemate"),
    "both": ({"fen": chess.STARTING_FEN, "start": "kqk"}, "either fen or the start"),
    "mate first": ({"fen": "7k/8/6K1/8/8/8/8/R7 w - - 0 1", "colour": "black"}, "before you move"),
    "colour": ({"colour": "blue"}, "colour must be one of white, black, random"),
    "opponent": ({"opponent": "gredy"}, "opponent must be one of random, greedy"),
    "reward": ({"reward": "winning"}, "reward must be one of outcome, capture, shaped"),
    "history": ({"history": 0}, "history must be in"),
    "plies": ({"max_plies": 0}, "max_plies must be at least 1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_fields_are_refused_by_name(case):
    fields, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        Chess(**fields)
    with pytest.raises(FieldError, match=f"chess.*{message}"):
        make_world("chess", **fields)


CONFIGS = [
    {"max_plies": 40},
    {"max_plies": 31, "colour": "black", "opponent": "greedy", "reward": "shaped"},
    {"max_plies": 30, "colour": "random", "reward": "capture", "start": "kqk", "history": 2},
]


@pytest.mark.parametrize("fields", CONFIGS)
def test_the_world_keeps_every_promise(fields):
    check_world(Chess(**fields), steps=60)


def choose(info, rng):
    return np.array([rng.choice(np.flatnonzero(mask)) for mask in info["action_mask"]])


def test_a_batch_is_its_single_worlds_step_for_step():
    worlds = make_worlds("chess", num_envs=3, seed=5, colour="random", opponent="greedy", reward="capture")
    singles = [
        make_world("chess", seed=5 + i, colour="random", opponent="greedy", reward="capture")
        for i in range(3)
    ]
    obs, info = worlds.reset()
    rng = np.random.default_rng(0)
    starts = [single.reset() for single in singles]
    for i, (start, start_info) in enumerate(starts):
        np.testing.assert_array_equal(obs[i], start)
        assert info["fen"][i] == start_info["fen"]
    for _ in range(40):
        actions = choose(info, rng)
        obs, reward, terminated, truncated, info = worlds.step(actions)
        if (terminated | truncated).any():
            break
        for i, single in enumerate(singles):
            one, gained, over, cut, single_info = single.step(int(actions[i]))
            np.testing.assert_array_equal(obs[i], one)
            assert (reward[i], terminated[i], truncated[i]) == (gained, over, cut)
            (game,) = single_info.pop("games")
            assert info["games"][i].fen == game.fen
            assert all(np.array_equal(info[key][i], single_info[key]) for key in single_info)
    assert info["ply"].max() > 30


def results(worlds, info, steps, seed):
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(steps):
        *step, info = worlds.step(choose(info, rng))
        found.append((*step, info["action_mask"], info["fen"], info["reason"]))
    return found


@pytest.mark.parametrize("injected", [False, True])
def test_a_state_that_lay_on_disk_goes_on_exactly(injected, tmp_path):
    def make():
        config = Chess(max_plies=60, colour="random")
        policy = RandomPolicy(config.make_batch(1, 0).single_action_space, 3) if injected else None
        return config.make_batch(4, 9, opponent=policy)

    worlds = make()
    _, info = worlds.reset()
    results(worlds, info, 41, seed=1)
    write_state(tmp_path, worlds.state(), tmp_path)
    obs, *_, info = worlds.step(choose_first(worlds))
    expected = results(worlds, info, 45, seed=2)
    other = make()
    other.restore(read_state(tmp_path, tmp_path))
    again, *_, info = other.step(choose_first(other))
    np.testing.assert_array_equal(obs, again)
    for one, two in zip(expected, results(other, info, 45, seed=2), strict=True):
        for a, b in zip(one, two, strict=True):
            np.testing.assert_array_equal(a, b)
    assert worlds.state()["episode"].min() >= 1


def choose_first(worlds):
    return np.array([int(game.legal_actions()[0]) for game in worlds.games])


def test_ended_episodes_report_in_final_info():
    worlds = Chess().make_batch(2, 0, opponent=Scripted("e7e5", "d8h4"))
    worlds.reset()
    game = ChessGame()
    worlds.step(np.array([game.action("f2f3")] * 2))
    obs, reward, terminated, _, info = worlds.step(np.array([game.action("g2g4"), game.action("e2e4")]))
    assert terminated.tolist() == [True, False]
    assert reward.tolist() == [-1.0, 0.0]
    final = info["final_info"]
    assert final["outcome"].tolist() == ["loss", ""]
    assert final["mate"].tolist() == [True, False]
    assert final["action_mask"].sum(axis=1).tolist()[0] == 0
    assert info["episode"]["r"][0] == -1
    assert info["fen"][0] == chess.STARTING_FEN


def test_the_stamp_names_the_rules_and_who_was_played():
    rules = world_config("chess/krk", {"reward": "shaped"}).protocol()
    assert rules["world"] == "chess/krk"
    assert (rules["opponent"], rules["reward"], rules["max_plies"]) == ("random", "shaped", 512)
    assert "threefold" in rules["draws"]
    assert rules["chess"] == version("chess")
    assert Chess(fen=chess.STARTING_FEN[:-1] + "3").protocol() != Chess().protocol()
    friend = Chess().against(Scripted("e7e5"), "scripted")
    assert friend.protocol()["opponent"] == "scripted"
    world = friend.make(0)
    world.reset()
    world.step(76)
    assert world.game.last_move.uci() == "e7e5"
    assert friend.make_batch(2, 0).num_envs == 2


def test_action_names_are_what_players_write():
    world = Chess(colour="black").make(0, opponent=Scripted("e2e4"))
    world.reset()
    assert world.action_name(world.game.action("g8f6")) == "Nf6"
    assert world.action_name(world.game.action("e7e4")) == "e7e4"
    assert world.action_name(64 * 28) == "–"


def test_the_catalogue_lists_every_start():
    names = world_names()
    assert {"chess", *(f"chess/{start}" for start in STARTS)} <= set(names)
    assert make_world("chess/kqk", seed=1).reset()[1]["fen"].count("Q") == 1
    assert world_config("chess", {}).name == "chess"

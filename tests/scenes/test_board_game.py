"""Games at the board: turns, thinking that never blocks, take-back, premoves, clocks, failing players."""

import sys
import threading
from pathlib import Path

import chess
import pytest
from board_fakes import Endless, board_game, failing, scripted

from scenes.watching.board.players import Roster, installed_engines, policy_player
from sim.chess.board.notation import read_game
from sim.errors import RequestError


@pytest.fixture
def seat():
    games = []

    def start(*args, **options):
        games.append(board_game(*args, **options))
        return games[-1]

    yield start
    for game in games:
        game.close()


def move(game, uci):
    """A person's move."""
    assert game.person_to_move
    game.advance(game.table.game.action(uci))


def reply(game):
    """The other side's move, once it has been thought of."""
    assert game.thinker.wait(5.0)
    assert not game.waits
    game.advance(None)


def sans(game):
    return [each.san for each in game.table.moves]


def test_a_person_and_a_player_move_in_turn_and_only_the_person_is_waited_for(seat):
    game = seat(scripted("e7e5", "b8c6"), colour="white")
    assert game.waits and game.table.players == ("You", "Fake")
    game.advance(None)  # nobody has moved
    assert sans(game) == []
    move(game, "e2e4")
    assert sans(game) == ["e4"] and not game.person_to_move
    reply(game)
    assert sans(game) == ["e4", "e5"] and game.person_to_move and game.waits


def test_the_player_opens_where_the_person_has_black(seat):
    game = seat(scripted("d2d4"), colour="black")
    assert game.table.players == ("Fake", "You")
    reply(game)
    assert sans(game) == ["d4"] and game.person_to_move


def test_a_search_that_is_in_the_way_is_stopped_between_two_thoughts(seat):
    search = Endless()
    game = seat(policy_player(search, greedy=True), colour="white")
    for leave in (game.take_back, lambda: game.choose("white", "Fake", "no clock"), game.begin):
        search.begun.clear()
        move(game, "e2e4")
        assert search.begun.wait(5.0) and game.waits and game.thinking
        leave()
        seen = search.thoughts
        assert game.thinker.wait_until_idle(5.0) and search.open == 0
        assert search.thoughts - seen <= 1
        assert game.person_to_move and sans(game) == []


def test_closing_stops_a_search(seat):
    search = Endless()
    game = seat(policy_player(search, greedy=True), colour="white")
    move(game, "e2e4")
    assert search.begun.wait(5.0)
    game.close()
    assert search.open == 0


def test_a_search_is_told_of_while_it_goes_on(seat, monkeypatch):
    monkeypatch.setattr("scenes.watching.board.thinker.NEWS", 0.01)
    search, news = Endless(), threading.Semaphore(0)
    game = seat(policy_player(search, greedy=True), colour="white")
    game.listen(news.release)
    move(game, "e2e4")
    assert news.acquire(timeout=5.0) and news.acquire(timeout=5.0)
    assert game.thinking and game.thinker.thought.decision.visits.sum() > 0


def test_take_back_leaves_the_person_to_move(seat):
    game = seat(scripted("e7e5", "b8c6", "g8f6"), colour="white")
    assert not game.take_back()
    for uci in ("e2e4", "g1f3"):
        move(game, uci)
        reply(game)
    assert game.take_back() and sans(game) == ["e4", "e5"] and game.person_to_move
    move(game, "f1c4")
    assert game.take_back() and sans(game) == ["e4", "e5"], "while the other side thinks it is one move"
    assert game.take_back() and game.take_back() is False and game.person_to_move


def test_a_player_that_fails_loses_nothing_but_its_game(seat):
    game = seat(failing, colour="white")
    move(game, "e2e4")
    assert game.thinker.wait(5.0)
    game.advance(None)
    assert game.table.reason == "Fake failed: the engine died" and game.table.result == "*"
    assert game.waits, "the person reads it"
    assert "the engine died" in game.table.pgn() and game.take_back() and game.person_to_move


def test_resigning_and_illegal_moves_end_a_game(seat):
    game = seat(scripted(None), colour="white")
    move(game, "e2e4")
    reply(game)
    assert game.table.result == "1-0" and game.table.reason == "Fake resigned"
    game = seat(scripted("e7e4"), colour="white")
    move(game, "e2e4")
    reply(game)
    assert game.table.result == "*" and "Fake broke the rules" in game.table.reason


def test_a_premove_is_played_if_it_is_legal_when_its_turn_comes(seat):
    game = seat(scripted("e7e5", "d7d5"), colour="white")
    actions = iter([chess.Move.from_uci("g1f3"), None])
    game.premove = lambda: (m := next(actions)) and game.table.game.action(m.uci())
    move(game, "e2e4")
    reply(game)
    assert game.hurries and not game.waits
    game.advance(None)
    assert sans(game) == ["e4", "e5", "Nf3"] and not game.hurries
    reply(game)
    assert not game.hurries and game.person_to_move


def test_the_next_game_is_chosen_and_what_is_not_there_is_named(seat):
    game = seat(colour="white")
    assert game.offer().opponents == ("Fake", "random", "greedy")
    game.choose("black", "greedy", "5+3")
    assert game.table.players == ("greedy", "You") and game.table.clock.control.base == 300
    offer = game.offer()
    assert (offer.opponents[offer.opponent], offer.colour, offer.clocks[offer.clock]) == (
        "greedy",
        "black",
        "5+3",
    )
    number = game.number
    for wrong, named in (
        (("white", "nobody", "5+3"), "nobody"),
        (("red", "greedy", "5+3"), "red"),
        (("white", "greedy", "5:3"), "5:3"),
    ):
        with pytest.raises(RequestError, match=named):
            game.choose(*wrong)
    assert game.number == number and game.table.players == ("greedy", "You")


def test_a_colour_without_a_game_keeps_the_one_that_is_played(seat):
    mate_in_one = "7k/5Q2/6K1/8/8/8/8/8 w - - 0 1"
    game = seat(fen=mate_in_one, colour="white")
    with pytest.raises(ValueError, match="could end the game"):
        game.choose("black", "Fake", "no clock")
    assert game.offer().colour == "white" and game.person_to_move


def test_solved_endgames_offer_the_perfect_player(seat):
    game = seat(start="kqk", rival="perfect", opponent="perfect")
    assert game.offer().opponents == ("Fake", "random", "greedy", "perfect")
    assert game.table.players == ("You", "perfect")


def test_a_person_who_sits_down_late_changes_the_seat_and_not_the_opponent(seat):
    game = seat(scripted("e2e4", "d2d4"), person=False, opponent="greedy", colour="white")
    assert game.table.players == ("Fake", "greedy")
    game.set_person(True)
    assert game.table.players == ("You", "Fake"), "nobody has moved: the person gets the usual rival"
    game.set_person(False)
    assert game.table.players == ("Fake", "greedy")
    reply(game)
    game.set_person(True)
    assert game.table.players == ("You", "greedy")
    assert game.table.movers()[chess.WHITE] == "Fake"


def test_a_pasted_game_is_gone_through_at_once_and_played_on(seat):
    game = seat(scripted("b8c6"), colour="white")
    game.begin(read_game('[White "Morphy"]\n\n1. e4 e5 2. Nf3 *'))
    assert game.hurries
    while game.hurries:
        game.advance(None)
    assert sans(game) == ["e4", "e5", "Nf3"] and game.table.players == ("You", "Fake")
    reply(game)
    assert game.table.movers() == {chess.WHITE: "Morphy", chess.BLACK: "?, Fake"}


def test_a_pasted_game_begins_with_full_clocks(seat):
    game = seat(scripted("b8c6"), colour="black")
    game.choose("black", "Fake", "5+3")
    game.begin(read_game("1. e4 e5 2. Nf3 *"))
    while game.hurries:
        game.advance(None)
    times = game.table.clock.times()
    assert times.running == 1 and times.left == pytest.approx((300, 300), abs=5)
    assert times.left[0] == 300


def test_a_flag_falls_while_the_person_thinks(seat):
    class Now:
        time = 0.0

        def __call__(self):
            return self.time

    now, news = Now(), threading.Event()
    game = seat(scripted("e7e5"), colour="white", now=now)
    game.choose("white", "Fake", "1+0")
    move(game, "e2e4")
    reply(game)
    now.time = 59.999
    assert not game.flag()
    game.listen(news.set)
    game.hold(True)
    now.time = 500.0
    assert not game.flag(), "a paused game's clock stands"
    game.hold(False)
    assert news.wait(5.0), "an alarm is wound to the moment at which the flag falls"
    now.time += 0.01
    assert game.flag() and game.table.reason == "White's time is up" and game.waits


def test_agents_play_on_and_are_cut_off_at_the_worlds_limit(seat):
    game = seat(person=False, opponent="greedy", colour="white", max_plies=4)
    for _ in range(4):
        reply(game)
    assert game.table.reason == "cut off after 4 plies" and game.waits
    game._until = 0.0
    assert not game.waits
    number = game.number
    game.advance(None)
    assert game.number == number + 1 and sans(game) == []


def test_a_persons_game_is_not_cut_off(seat):
    game = seat(colour="white", max_plies=1)
    move(game, "e2e4")
    assert not game.table.over


def test_the_same_seed_gives_the_same_games(seat):
    colours = []
    for _ in range(2):
        game = seat(person=False, colour="random", opponent="random")
        found = []
        for _ in range(6):
            found.append(game.table.colour)
            game.begin()
        colours.append(found)
    assert colours[0] == colours[1] and len(set(colours[0])) == 2


def test_an_engine_that_dies_is_said_and_started_again(seat):
    command = f"uci:{sys.executable} {Path(__file__).parents[1] / 'fake_engine.py'} dies 2"
    game = seat(colour="white")
    game._roster = Roster("Fake", scripted(), "standard", {"Engine": command})
    game.choose("white", "Engine", "no clock")
    move(game, "e2e4")
    assert game.thinker.wait(20.0)
    game.advance(None)
    assert len(sans(game)) == 2 and not game.table.over
    move(game, "d2d4")
    assert game.thinker.wait(20.0)
    game.advance(None)
    assert "Engine failed:" in game.table.reason and "died in mid-game" in game.table.reason
    assert game.take_back() and game.person_to_move and len(sans(game)) == 2


def test_an_engine_that_is_not_installed_offers_none(monkeypatch):
    monkeypatch.setenv("STOCKFISH", "/nowhere/stockfish")
    assert installed_engines() == {}

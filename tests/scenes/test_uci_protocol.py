"""Parsing of UCI commands and options; what a client's words become."""

from __future__ import annotations

import math

import numpy as np
import pytest
from uci_engines import answers

from scenes.uci.client import Client, ClientGone
from scenes.uci.info import Line, centipawns, info_lines, per_mille
from scenes.uci.options import OPTIONS, Options
from scenes.uci.protocol import MOST, parse_go, parse_position, parse_setoption
from scenes.uci.strength import TABLE, drawn, limited


@pytest.mark.parametrize(
    ("words", "name", "number", "problem"),
    [
        ("wtime 300000", "wtime", 300_000, ""),
        ("wtime -20", "wtime", -20, ""),  # a client tells an overdrawn clock so
        ("nodes -5", "nodes", 1, "nodes must be at least 1, not -5; 1 is taken"),
        ("depth 0", "depth", 1, "depth must be at least 1"),
        (f"nodes {'9' * 5000}", "nodes", MOST, ""),
        (f"btime -{'9' * 5000}", "btime", -MOST, ""),
        ("nodes", "nodes", None, 'nodes wants a whole number, not ""'),
        ("nodes infinite", "nodes", None, 'nodes wants a whole number, not ""'),
        ("movetime 1.5", "movetime", None, 'movetime wants a whole number, not "1.5"'),
        ("movetime ٣", "movetime", None, "movetime wants a whole number"),
        ("depth 1_0", "depth", None, "depth wants a whole number"),
        ("fast nodes 7", "nodes", 7, "unknown words, skipped: fast"),
        ("nodes 7 8", "nodes", 7, "unknown words, skipped: 8"),
    ],
)
def test_numbers_of_go(words, name, number, problem):
    problems = []
    assert getattr(parse_go(words.split(), problems.append), name) == number
    assert problems == [] if not problem else problems[0].startswith(problem), problems


def test_a_position_keeps_no_words_that_it_does_not_know():
    with pytest.raises(ValueError, match='"moves" is missing before e2e4'):
        parse_position(["startpos", "e2e4"])
    with pytest.raises(ValueError, match="not followed by a position"):
        parse_position(["fen"])
    assert parse_position("fen 8/8 w - - 0 1 moves".split()) == ("8/8 w - - 0 1", ())


def test_an_option_has_a_name():
    with pytest.raises(ValueError, match="the option's name is missing"):
        parse_setoption(["value", "3"])
    assert parse_setoption("MultiPV value 3".split()) == ("MultiPV", "3"), "some clients forget the word name"


def test_every_option_can_be_set_in_any_case_to_its_bounds_and_not_beyond():
    options = Options(32, searching=True)
    values = {"check": ["TRUE", "false"], "string": ["0", "1.5"], "button": ["", "whatever"]}
    wrong = {"check": "yes", "string": "nan", "spin": "1e3"}
    for option in OPTIONS:
        bounds = [str(option.least), str(option.most)]
        for value in values.get(option.kind, bounds):
            assert options.set(option.name.upper(), value) is option
        before = options.values
        outside = [str(option.least - 1), str(option.most + 1)] if option.kind == "spin" else []
        for value in outside + ([wrong[option.kind]] if option.kind in wrong else []):
            with pytest.raises(ValueError, match=option.name):
                options.set(option.name, value)
        assert options.values == before


def test_the_defaults_that_are_told_stay_the_defaults():
    options = Options(32, searching=True)
    told = options.lines()
    options.set("MultiPV", "5")
    assert options.lines() == told and options.values.multi_pv == 5


def test_an_agent_that_does_not_search_offers_no_option_of_searches():
    names = {option.name for option in Options(32, searching=False).offered}
    assert "MultiPV" in names and not names & {"Simulations", "UCI_Elo", "Clear Hash"}


def test_more_elo_is_more_simulations_and_less_chance():
    strengths = [limited(elo) for elo in range(500, 1700, 10)]
    simulations = [strength.simulations for strength in strengths]
    temperatures = [strength.temperature for strength in strengths]
    assert simulations == sorted(simulations) and temperatures == sorted(temperatures, reverse=True)
    assert [(limited(elo).simulations, limited(elo).temperature) for elo, _, _ in TABLE] == [
        (simulations, temperature) for _, simulations, temperature in TABLE
    ]


def test_analysis_is_at_full_strength():
    options = Options(32, searching=True)
    options.set("UCI_LimitStrength", "true")
    options.set("UCI_Elo", "1000")
    assert options.values.strength() == limited(1000)
    options.set("UCI_AnalyseMode", "true")
    assert options.values.strength().simulations is None and not options.values.strength().temperature


def test_temperature_draws_by_powers_of_the_weights():
    generator, weights = np.random.default_rng(0), np.array([0.6, 0.3, 0.1, 0.0])
    for temperature in (0.5, 1.0, 2.0):
        count = np.bincount([drawn(weights, temperature, generator) for _ in range(4000)], minlength=4)
        expected = weights ** (1 / temperature)
        assert np.abs(count / 4000 - expected / expected.sum()).max() < 0.03
    assert {drawn(weights, 0.0, generator) for _ in range(20)} == {0}
    assert {drawn(weights, 1e-9, generator) for _ in range(20)} == {0}, "no overflow"


def test_centipawns_are_those_of_lc0():
    assert centipawns(0.5) == round(90 * math.tan(1.5637541897 * 0.5))
    assert 10_000 < centipawns(1.0) == -centipawns(-1.0)
    values = [centipawns(value / 100) for value in range(-100, 101)]
    assert values == sorted(values) and values[::-1] == [-value for value in values]


@pytest.mark.parametrize("value", [-1.0, -0.33333, 0.0, 0.001, 0.77777, 1.0, 1.5])
@pytest.mark.parametrize("draw", [None, 0.0, 0.33333, 0.9, 1.0])
def test_win_draw_loss_are_a_thousand_and_agree_with_the_value(value, draw):
    win, drawn_, loss = per_mille(value, draw)
    assert win + drawn_ + loss == 1000 and min(win, drawn_, loss) >= 0
    assert (win - loss) / 1000 == pytest.approx(max(-1.0, min(1.0, value)), abs=0.0021)


def test_info_lines():
    lines = [
        Line(("e2e4", "e7e5", "g1f3"), 0.2, 0.5, None, False),
        Line(("d1h5",), 1.0, None, 1, True),
        Line(("a2a3",), -0.99, 0.0, -3, False),
    ]
    told = info_lines(lines, depth=3, deepest=9, nodes=400, seconds=0.5, score=centipawns, wdl=True)
    assert told == [
        "info depth 3 seldepth 9 multipv 1 score cp 29 wdl 350 500 150 "
        "nodes 400 nps 800 time 500 pv e2e4 e7e5 g1f3",
        "info depth 3 seldepth 9 multipv 2 score mate 1 wdl 1000 0 0 nodes 400 nps 800 time 500 pv d1h5",
        "info depth 3 seldepth 9 multipv 3 score mate -3 wdl 0 0 1000 nodes 400 nps 800 time 500 pv a2a3",
    ]
    (line,) = info_lines(
        [Line(("e2e4",), None, None, None, False)],
        depth=1,
        deepest=1,
        nodes=1,
        seconds=1,
        score=centipawns,
        wdl=True,
    )
    assert "score" not in line and "wdl" not in line


def test_a_client_that_is_gone_is_not_written_to_again():
    def write(line):
        written.append(line)
        raise BrokenPipeError

    written = []
    client = Client(write)
    for _ in range(2):
        with pytest.raises(ClientGone):
            client.say("readyok")
    assert written == ["readyok"] and client.gone


def test_complaints_are_one_short_printable_line():
    written = []
    Client(written.append).complain("un\0known\x1b[31m\n\r" + "x" * 100_000)
    assert len(written) == 1 and written[0].isprintable() and len(written[0]) < 400


GARBAGE = (
    "\x00\x01\x02",
    "xyzzy " * 20_000,
    "x" * 100_000,
    "go" + "o" * 100_000,
    "\ufffd" * 50,
    *("setoption", "setoption name", "setoption name MultiPV", "setoption name MultiPV value"),
    "setoption name MultiPV value 9999999999999999999999",
    "setoption name UCI_Elo value -1",
    "setoption name Temperature value inf",
    *("position fen", "position fen \x00", "position startpos moves 0000"),
    "position fen 8/8/8/8/8/8/8/8 w - - 0 1",
    "position fen rnbqkbnr/pppppppp/8/8/8/8/PPPPPPPP/RNBQKBNR x KQkq - 0 1",
    "position fen 4k3/8/8/8/8/8/8/4R1K1 w - - 0 1",  # the side that does not move is in check
    "position fen k7/8/8/8/8/8/8/8 w - - 0 1",
    *(f"position startpos moves {move}" for move in ("e2e4q", "e2e4n", "a1h8k", "E2E4", "e2e4 " * 20_000)),
    *("ponderhit", "stop"),
)


@pytest.mark.parametrize("line", GARBAGE, ids=lambda line: line[:24])
def test_bad_lines_are_told_in_one_line_each_and_nothing_hangs(line):
    told = answers(line, "isready", "go nodes 2")
    wrong = [text for text in told[: told.index("readyok")]]
    assert all(text.startswith("info string ") and len(text) < 400 for text in wrong)
    assert len(wrong) == (0 if line in ("ponderhit", "stop") else 1), wrong
    assert told.moves() == (["0000"] if line.startswith("position") else told.moves()[:1])

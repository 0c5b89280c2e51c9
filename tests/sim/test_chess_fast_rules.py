"""The fast rules core against `ChessGame`: perft, cases by hand, random games, the same search."""

import sys
from collections import Counter
from importlib import metadata

import chess
import numpy as np
import pytest
from test_chess_encoding import KIWIPETE, PERFT, PROMOTIONS, QUICK_LEAVES

from sim.chess import rules
from sim.chess.rules import ChessGame, IllegalMoveError
from sim.conformance import ConformanceError, check_game

try:
    import rust_chess  # noqa: F401
except ModuleNotFoundError:
    CORE = False
else:
    CORE = True
needs_core = pytest.mark.skipif(
    not CORE, reason='needs rust-chess: python -m pip install "playfield[chess-fast]"'
)

EN_PASSANT = "4k3/2p1p1p1/8/1P1P1P1P/p1p1p1p1/8/1P1P1P1P/4K3 w - - 0 1"
PINNED_EN_PASSANT = "8/2p5/3p4/KP5r/1R3p1k/8/4P1P1/8 w - - 0 1"
LATE = "8/5k2/8/3r4/8/2R5/5K2/8 w - - 88 254"  # fifty moves are near, and move numbers above 255
STARTS = [
    chess.STARTING_FEN,
    KIWIPETE,
    PROMOTIONS,
    EN_PASSANT,
    PINNED_EN_PASSANT,
    LATE,
    "r3k2r/8/8/8/8/8/8/R3K2R w KQkq - 0 1",
    "8/P6k/8/8/8/8/p6K/8 w - - 0 1",
    "8/8/4k3/8/8/3QK3/8/8 b - - 80 90",
    "8/8/4k1n1/8/8/3BK3/8/8 w - - 0 1",
    "5b2/8/4k3/8/8/3BK3/8/2B5 w - - 0 1",
    "rnbqkbnr/ppp1p1pp/8/3pPp2/8/8/PPPP1PPP/RNBQKBNR w KQkq f6 0 3",
]


def capturing(board, move, _):
    return board.is_capture(move) or board.is_castling(move)


def shuffling(_, move, before):
    return before is not None and (move.from_square, move.to_square) == (before.to_square, before.from_square)


def pushing(board, move, _):
    return board.piece_type_at(move.from_square) == chess.PAWN


def checking(board, move, _):
    return board.gives_check(move)


STYLES = [None, capturing, shuffling, pushing, checking]


def choose(game, board, before, style, rng):
    """A random action, in nine moves of ten one of its style; `before` is the side's last move."""
    actions = game.legal_actions().tolist()
    if style is not None and rng.random() > 0.1:
        actions = [action for action in actions if style(board, game.moves[action], before)] or actions
    return actions[int(rng.random() * len(actions))]


def kinds_of(board, move):
    """What is special about a move."""
    if board.is_castling(move):
        yield "castling"
    if board.is_en_passant(move):
        yield "en passant"
    if move.promotion:
        yield f"promotion {move.promotion}"


def assert_equal(game, fast):
    actions = game.legal_actions()
    assert fast.legal_actions().tolist() == actions.tolist(), game.fen
    assert (fast.fen, fast.reason, fast.outcome(), fast.to_play()) == (
        game.fen,
        game.reason,
        game.outcome(),
        game.to_play(),
    )
    assert fast.packed(True) == game.packed(True), game.fen
    assert fast.packed(False) == game.packed(False), game.fen


def differential(plies, seed):
    """Random games on both cores, ply by ply; counts endings and special moves."""
    rng = np.random.default_rng(seed)
    seen = Counter()
    number = 0
    while seen["plies"] < plies:
        game = ChessGame(STARTS[number % len(STARTS)], history=int(rng.integers(1, 9)))
        style = STYLES[int(rng.integers(len(STYLES)))]
        fast, both, moves = game.for_search(), [], [None, None]
        number += 1
        while True:
            assert_equal(game, fast)
            both.append((game, fast))
            if game.reason is not None:
                break
            board = game.board
            action = choose(game, board, moves[-2], style, rng)
            moves.append(game.moves[action])
            seen.update(["plies", *kinds_of(board, moves[-1])])
            if seen["plies"] % 50 == 0:
                assert_refuses_alike(game, fast, int(rng.integers(-10, 4700)))
                fast = game.for_search()  # from within the game, with its history
            game, fast = game.play(action), fast.play(action)
        seen[game.reason] += 1
        games, fasts = zip(*both, strict=True)
        assert type(fasts[0]) is not ChessGame
        np.testing.assert_array_equal(fasts[0].observe(fasts), games[0].observe(games))
    return seen


def assert_refuses_alike(game, fast, action):
    if action in game.moves:
        return
    messages = []
    for position in (game, fast):
        with pytest.raises(IllegalMoveError) as caught:
            position.play(action)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


@needs_core
def test_random_games_are_equal_on_both_cores():
    seen = differential(1_200, seed=7)
    assert seen.keys() >= {"castling", "en passant", "checkmate", "fifty moves", "threefold repetition"}


@needs_core
@pytest.mark.slow
def test_many_random_games_are_equal_on_both_cores():
    seen = differential(100_000, seed=6)
    print(dict(seen))
    endings = {"checkmate", "stalemate", "insufficient material", "threefold repetition", "fifty moves"}
    special = {"castling", "en passant", *(f"promotion {piece}" for piece in range(chess.KNIGHT, chess.KING))}
    assert seen.keys() >= endings | special
    assert min(seen[name] for name in endings | special) >= 10


def perft(game, depth):
    actions = game.legal_actions()
    return len(actions) if depth == 1 else sum(perft(game.play(action), depth - 1) for action in actions)


@needs_core
@pytest.mark.parametrize("name", PERFT)
def test_perft_counts_on_the_fast_core(name):
    fen, counts = PERFT[name]
    for depth, count in enumerate(counts, 1):
        if count <= QUICK_LEAVES:
            assert perft(ChessGame(fen).for_search(), depth) == count


@needs_core
@pytest.mark.slow
@pytest.mark.parametrize("name", PERFT)
def test_deep_perft_counts_on_the_fast_core(name):
    fen, counts = PERFT[name]
    for depth, count in enumerate(counts, 1):
        if count > QUICK_LEAVES:
            assert perft(ChessGame(fen).for_search(), depth) == count


@needs_core
def test_repetitions_before_the_search_count_in_it():
    game = ChessGame()
    shuffle = ["g1f3", "g8f6", "f3g1", "f6g8"]
    for uci in [*shuffle, *shuffle[:3]]:
        game = game.play(game.action(uci))
    fast = game.for_search()
    assert fast.reason is None
    assert fast.play(game.action("f6g8")).reason == "threefold repetition"
    assert fast.play(game.action("f6e4")).reason is None


@needs_core
def test_positions_of_both_cores_are_observed_together():
    games = [ChessGame(fen) for fen in STARTS]
    mixed = [game.for_search() if i % 2 else game for i, game in enumerate(games)]
    for first in mixed[:2]:
        np.testing.assert_array_equal(first.observe(mixed), ChessGame.observe(games))


@needs_core
def test_fifty_moves_are_a_draw_unless_the_last_mates():
    fen = "7k/8/6K1/8/8/8/8/R7 w - - 99 80"
    game, fast = ChessGame(fen), ChessGame(fen).for_search()
    assert fast.play(game.action("a1a2")).reason == "fifty moves"
    assert fast.play(game.action("a1a8")).reason == "checkmate"
    assert fast.play(game.action("a1a8")).outcome() == -1


@needs_core
def test_move_numbers_above_a_byte_are_kept():
    game = ChessGame(LATE)
    for uci in ["c3c4", "d5d6", "c4c5", "d6d7"]:
        game = game.play(game.action(uci))
        assert_equal(game, game.for_search())
    assert " 92 256" in game.for_search().fen
    far = ChessGame("4k3/8/8/8/8/8/P7/4K3 b - - 7 5999").for_search()
    assert far.play(ChessGame(far.fen).action("e8e7")).fen.endswith(" 8 6000")


@needs_core
def test_en_passant_counts_only_where_it_can_be_played():
    for fen, uci in [(EN_PASSANT, "d2d4"), (EN_PASSANT, "h2h4"), (PINNED_EN_PASSANT, "e2e4")]:
        game = ChessGame(fen)
        after = game.play(game.action(uci))
        assert_equal(after, game.for_search().play(game.action(uci)))
        assert_equal(after, after.for_search())


@needs_core
def test_a_pass_is_searched_as_it_is():
    passed = ChessGame().passed()
    assert passed.for_search() is passed


@needs_core
def test_illegal_moves_are_refused_in_the_same_words():
    stuck = ChessGame("7k/5Q2/6K1/8/8/8/8/8 b - - 0 1")  # stalemate
    for game in (ChessGame(), ChessGame(PROMOTIONS), stuck):
        for action in (-1, 4671, 4672, 10**9, 77, 76, 448):
            assert_refuses_alike(game, game.for_search(), action)


@pytest.mark.parametrize("fen", [chess.STARTING_FEN, PROMOTIONS, "8/8/4k3/8/8/3QK3/8/8 b - - 80 90"])
def test_games_conform(fen):
    check_game(ChessGame(fen, history=2))
    check_game(ChessGame(fen, history=2).for_search())


class Forgetful(ChessGame):
    """A chess game whose form for search has forgotten what came before."""

    __slots__ = ()

    def for_search(self):
        return ChessGame("8/8/4k3/8/8/3QK3/8/8 b - - 0 90")


def test_a_form_for_search_that_differs_does_not_conform():
    with pytest.raises(ConformanceError, match="for_search keeps observe"):
        check_game(Forgetful("8/8/4k3/8/8/3QK3/8/8 b - - 80 90"))


@pytest.fixture
def forget_core():
    """The lookup of the core, which is remembered, begins anew before and after a test."""
    forget = (rules.fast_core_missing.cache_clear, rules._fast_rules.cache_clear)
    for clear in forget:
        clear()
    yield
    for clear in forget:
        clear()


def test_a_core_that_cannot_be_imported_is_told(monkeypatch, forget_core):
    monkeypatch.setattr(metadata, "version", lambda _: "0.4.3")
    monkeypatch.setitem(sys.modules, "rust_chess", None)
    assert rules.fast_core_missing().startswith("installed, but it cannot be imported: ")
    game = ChessGame()
    assert game.for_search() is game


@pytest.mark.parametrize(
    ("version", "why"), [(None, "not installed"), ("0.5.0", "version 0.5.0 is installed, which is not 0.4.x")]
)
def test_without_a_core_that_is_known_search_plays_the_game_itself(monkeypatch, forget_core, version, why):
    def installed(name):
        if version is None:
            raise metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(metadata, "version", installed)
    game = ChessGame()
    assert game.for_search() is game
    assert rules.fast_core_missing() == why

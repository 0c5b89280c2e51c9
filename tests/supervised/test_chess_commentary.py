"""Chess commentary: facts by hand, sentences that parse back, squares, boards, metrics and bad data."""

import chess
import numpy as np
import pytest
import torch
from task_checks import check_task

from sim.records import Budget, Percept
from supervised.captions.chess_commentary import (
    LANGUAGES,
    CommentaryError,
    facts_of_board,
    joined,
    parse,
    tokens,
    vocabulary,
    write,
)
from supervised.data.sources.chess_games.chess_positions import (
    caption,
    decoded,
    encoded,
    encoded_fen,
    position_splits,
)
from supervised.data.sources.splits import DataError
from supervised.metrics.commentary import COMMENTARY, facts_by_language
from supervised.vision.commentator import (
    CHANNELS,
    LENGTH,
    Commentator,
    certain,
    changed,
    counted,
    drawn,
)

pytest.importorskip("matplotlib")
FEN = "4k3/pp6/8/3P4/8/2P5/8/R3K2q w - - 0 1"


def test_facts_of_a_position_by_hand():
    """White: king e1, pawns d5 and c3, a rook; Black: king e8, pawns a7 and b7, a queen that gives check."""
    facts = facts_of_board(*decoded(encoded_fen(FEN)))
    assert facts == {
        "white king": "e1",
        "white pawns": 2,
        "white pieces": 1,
        "black king": "e8",
        "black pawns": 2,
        "black pieces": 1,
        "ahead": (2 + 5) - (2 + 9),
        "check": "white",
    }


def random_boards(n, seed=0):
    generator = np.random.default_rng(seed)
    board = encoded_fen(chess.STARTING_FEN)
    return [changed(board, generator) for _ in range(n)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_parse_back_and_are_made_of_known_words(language):
    known = set(vocabulary())
    boards = [*random_boards(60), encoded_fen(FEN), encoded_fen("4k3/8/8/8/8/8/8/4K3")]
    for board in boards:
        facts = facts_of_board(*decoded(board))
        sentence = write(facts, language)
        assert parse(sentence) == {"language": language} | facts
        words = tokens(sentence)
        assert joined(words) == sentence and known.issuperset(words) and len(words) < LENGTH


def test_what_is_no_sentence_and_no_position_is_refused():
    with pytest.raises(CommentaryError, match="no commentary"):
        parse("the white king is on e9.")
    with pytest.raises(CommentaryError, match="no commentary"):
        parse(caption(encoded_fen(FEN), "en").replace("1 piece,", "1 pieces,"))
    with pytest.raises(CommentaryError, match="black has 0 kings"):
        facts_of_board("K" + "." * 63)


@pytest.mark.parametrize(
    "text", ["board.png", "", "8/8/8/8/8/8/8/8", "4k3/8/8/8/8/8/8/4K2 w", "kk6/8/8/8/8/8/8/K7"]
)
def test_what_is_no_fen_is_refused(text):
    with pytest.raises(DataError, match="neither a picture nor a position in FEN"):
        encoded_fen(text)


def test_boards_are_encoded_and_counted_exactly():
    board = encoded_fen(FEN)
    assert np.array_equal(encoded(*decoded(board)), board)
    squares = certain(board[None])
    assert squares.shape == (1, 64, CHANNELS) and (squares[..., :-1].sum(-1) == 1).all()
    assert np.flatnonzero(squares[0, :, -1]).tolist() == [60]  # e1 glows
    counts = counted(torch.from_numpy(squares))[0].argmax(1).tolist()
    assert counts == [2, 0, 0, 1, 0, 1, 2, 0, 0, 0, 1, 1]  # PNBRQK, pnbrqk


def test_changed_boards_keep_their_kings_and_no_pawn_stands_on_a_last_rank():
    for board in random_boards(50, seed=1):
        squares, _ = decoded(board)
        assert squares.count("K") == squares.count("k") == 1
        assert not set("Pp") & set(squares[:8] + squares[56:])


def test_a_drawn_board_shows_the_pieces_where_they_stand():
    full, less = drawn(encoded_fen(FEN)), drawn(encoded_fen(FEN.replace("R3K2q", "4K2q")))
    rows, columns = np.nonzero((full != less).any(2))
    assert rows.min() >= 7 * 60 and columns.max() < 60  # a1


def percept(*lines, origin="model"):
    return Percept(origin, caption="\n".join(lines))


def test_scores_count_sentences_right_in_every_language():
    board, other = encoded_fen(FEN), encoded_fen(FEN.replace("w", "b").replace("R3K2q", "4K2q"))
    both = caption(board, "both").split("\n")
    truth = [percept(*both, origin="truth")] * 3
    said = [percept(*both), percept(both[0], caption(other, "fr")), percept(both[0], "le le le")]
    counted_facts = COMMENTARY.accumulate(said, truth, None)
    scores = counted_facts.score(np.ones(3))
    assert scores["state_exact"] == pytest.approx(1 / 3)
    rows = COMMENTARY.by_class(counted_facts, said, truth, (), None)
    assert rows["English"]["state_exact"] == 1 and rows["French"]["state_exact"] == pytest.approx(1 / 3)
    assert rows["black king"]["accuracy"] == pytest.approx(5 / 6)
    assert facts_by_language(truth[0].caption)["fr: white king"] == "e1"


SMALL = Commentator(pictures=16, hidden=16, layers=1, batch_size=4)


@pytest.fixture(scope="module")
def positions():
    return position_splits("random-games", None, language="both", pictures=16, seed=0)


def test_the_task_keeps_its_interface(positions):
    check_task(SMALL, positions, inputs=2)


def test_one_language_has_one_line_and_the_same_pictures(positions):
    french = position_splits("random-games", None, language="fr", pictures=16, seed=0)
    assert np.array_equal(french.test.values, positions.test.values)
    assert french.test.truths[0].caption == positions.test.truths[0].caption.split("\n")[1]


def test_squares_are_read_off_pictures_and_sentences_learned_from_boards(positions):
    """A short fit of squares; a FEN enters as certain squares, so that no picture stands between."""
    config = Commentator(pictures=16, hidden=16, layers=1, batch_size=16, learning_rate=5e-3)
    model = config.build(vocabulary(), seed=0)
    list(model.fit(positions.train, positions.validation, seed=0).learn(Budget(None, 60)))
    seen = model.squares(list(positions.train.values)).numpy()[..., :-1].argmax(-1)
    assert (seen == positions.train["boards"][:, :64]).mean() > 0.7  # 0.55 are empty
    exact = model.squares([config.read_text(FEN)])[0].numpy()
    assert np.array_equal(exact, certain(encoded_fen(FEN)[None])[0])


def test_a_users_games_are_played_through_and_bad_ones_counted(tmp_path):
    game = '[Event "{}"]\n\n1. e4 e5 2. Nf3 Nc6 3. Bb5 {}\n\n'
    file = tmp_path / "mine.pgn"
    file.write_text("".join(game.format(i, "a6 4. Ba4") for i in range(4)) + game.format("bad", "Ke4"))
    splits = position_splits("x", file, language="en", pictures=16, seed=0)
    assert splits.unit == "game" and splits.skipped == ("1 games with an illegal move or none",)
    assert "king is on e1" in splits.test.truths[0].caption
    file.write_text(game.format("one", "a6"))
    with pytest.raises(DataError, match="1 games that can be played through"):
        position_splits("x", file, language="en", pictures=16, seed=0)
    with pytest.raises(DataError, match='no data "masters"'):
        position_splits("masters", None, language="en", pictures=16, seed=0)

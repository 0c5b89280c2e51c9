"""Language model: network against its cache, loss against autograd, decoding and n-grams by hand."""

import math
from itertools import islice, pairwise

import numpy as np
import pytest
import torch
from task_checks import check_task
from torch.nn import functional

from sim.records import Budget
from supervised.data.sources.chess_games.master_games import board_bits, master_games, replayed, uci_moves
from supervised.data.sources.splits import DataError
from supervised.data.sources.texts import game_splits, text_splits
from supervised.figure import rasterized
from supervised.language.generation.decoding import Decoding, decode, greedy, probabilities
from supervised.language.generation.gpt import Gpt, GptShape
from supervised.language.generation.language_model import LanguageModel, packed
from supervised.language.generation.ngram_language_model import (
    KneserNey,
    compressed_bits,
    perplexity,
    text_baselines,
)
from supervised.language.generation.notation import CharacterNotation, MoveNotation
from supervised.language.generation.packing import IGNORED, PackedRows
from supervised.language.generation.rules_loss import RulesLoss
from supervised.metrics.text import TEXT

chess = pytest.importorskip("chess")
pytest.importorskip("matplotlib")

TINY = {"width": 16, "layers": 1, "heads": 2, "block": 32, "batch_size": 2}


def random_games(count, plies=14):
    generator = np.random.default_rng(5)
    lines = []
    for _ in range(count):
        board, words = chess.Board(), []
        for _ in range(plies):
            moves = list(board.legal_moves)
            words.append(board.san_and_push(moves[generator.integers(len(moves))]))
        lines.append(" ".join([*words, "1-0"]))
    return lines


@pytest.fixture(scope="module")
def games_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("games") / "mine.txt"
    file.write_text("\n".join([*random_games(20), "e4 e5 Ke3 0-1", "e4 1-0"]))
    return file


@pytest.fixture(scope="module")
def games(games_file):
    return game_splits("master-games", games_file, most=100, seed=0)


def gpt(block=16, features=0):
    torch.manual_seed(0)
    network = Gpt(GptShape(11, 3, features, 16, 2, 2, block)).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return network


def test_the_task_keeps_its_interface(games):
    check_task(LanguageModel(**TINY), games, inputs=2)


def test_a_cached_pass_equals_the_full_one():
    network = gpt(features=16)
    tokens, marks = torch.randint(11, (2, 9)), torch.randint(3, (2, 9))
    features = torch.randint(256, (2, 9, 2), dtype=torch.uint8)
    full, cache = network(tokens, marks, features), []
    parts = [slice(0, 4), slice(4, 5), slice(5, 9)]
    cached = [network(tokens[:, at], marks[:, at], features[:, at], cache=cache) for at in parts]
    assert torch.allclose(torch.cat(cached, 1), full, atol=1e-5)


def test_no_token_sees_a_later_one():
    network = gpt()
    tokens, marks = torch.randint(11, (1, 8)), torch.zeros(1, 8, dtype=torch.int64)
    other = tokens.clone()
    other[0, 5] = (other[0, 5] + 1) % 11
    one, two = network(tokens, marks), network(other, marks)
    assert torch.equal(one[:, :5], two[:, :5]) and not torch.allclose(one[:, 5:], two[:, 5:])


def test_documents_in_one_row_are_read_as_if_alone(games):
    model = LanguageModel(**TINY).build((), seed=0)
    for parameter in model.network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    rows = packed(model.notation, games.train, 32)
    batch = {k: torch.from_numpy(v) for k, v in rows.batch(np.array([0]), np.random.default_rng(0)).items()}
    names = ("tokens", "marks", "features", "documents", "positions")
    logits = model.network(*(batch[name] for name in names))[0]
    learned = batch["targets"][0] != IGNORED
    nats = functional.cross_entropy(logits[learned], batch["targets"][0][learned], reduction="none")
    alone = [model.perceive([text])[0].extras["nats"] for text in games.train.values[:2]]
    starts = [0, 15]  # 14 moves and the start
    for start, own in zip(starts, alone, strict=True):
        assert np.allclose(nats[start : start + 14].detach(), own, atol=1e-4)


def test_every_target_is_among_the_allowed_tokens(games):
    rows = packed(MoveNotation(), games.train, 32)
    batch = rows.batch(np.arange(len(rows)), np.random.default_rng(0))
    learned = batch["targets"] != IGNORED
    assert (batch["allowed"] == batch["targets"][..., None]).any(-1)[learned].all()


def test_a_text_longer_than_a_row_goes_on_in_the_next():
    notation = CharacterNotation("ab")
    data = text_splits_of(["ab" * 11] * 2)
    rows = packed(notation, data, 16)
    assert isinstance(rows, PackedRows)
    batch = rows.batch(np.arange(len(rows)), np.random.default_rng(0))
    learned = batch["targets"] != IGNORED
    assert learned.sum() == 2 * 23 and batch["positions"].max() == 15


def text_splits_of(texts):
    from supervised.data.sources.texts import of_texts

    return of_texts(texts, np.arange(len(texts)))


def test_the_rules_loss_is_its_formula_and_so_is_its_gradient():
    torch.manual_seed(0)
    logits = torch.randn(5, 7, requires_grad=True)
    targets, allowed = torch.tensor([0, 1, 2, 3, 4]), torch.tensor([[i, (i + 1) % 7, -1] for i in range(5)])
    loss, entropy, unlawful = RulesLoss.apply(logits, targets, allowed, 0.7)
    (gradient,) = torch.autograd.grad(loss, logits)
    p = logits.softmax(-1)
    total = p.gather(1, allowed[:, :2]).sum(1)
    expected = functional.cross_entropy(logits, targets) - 0.7 * total.log().mean()
    assert torch.allclose(loss, expected) and torch.allclose(unlawful, (1 - total).mean())
    assert torch.allclose(entropy, functional.cross_entropy(logits, targets))
    assert torch.allclose(gradient, torch.autograd.grad(expected, logits)[0], atol=1e-6)


def test_temperature_top_k_and_top_p_by_hand():
    odds = torch.tensor([[0.4, 0.3, 0.2, 0.1]]).log()
    cold = probabilities(odds, Decoding(temperature=0.5))[0]
    assert torch.allclose(cold, torch.tensor([16, 9, 4, 1]).double() / 30)
    assert probabilities(odds, Decoding(top_k=2))[0].tolist() == pytest.approx([4 / 7, 3 / 7, 0, 0])
    assert probabilities(odds, Decoding(top_p=0.75))[0].tolist() == pytest.approx([4 / 9, 3 / 9, 2 / 9, 0])


def test_decoding_goes_on_beyond_the_block_with_its_later_half():
    network = gpt(block=8)
    tokens, marks = torch.randint(11, (1, 3)), torch.zeros(1, 3, dtype=torch.int64)
    steps = decode(network, tokens, marks, greedy, lambda chosen: (torch.zeros_like(chosen), None))
    drawn = [int(step.tokens[0]) for step in islice(steps, 9)]
    whole = tokens[0].tolist() + drawn
    for at, token in enumerate(drawn, 3):
        begin = 0 if at <= 8 else 4 * ((at - 5) // 4)  # after 8 tokens the last 4 are kept, then again
        read = torch.tensor([whole[begin + (at > 8) : at]])
        assert token == int(network(read, torch.zeros_like(read))[0, -1].argmax())


def test_a_uniform_model_has_the_bits_of_its_vocabulary(games):
    model = LanguageModel(**TINY).build((), seed=0)
    for parameter in model.network.parameters():
        torch.nn.init.zeros_(parameter)
    said = model.perceive(["e4 e5 Nf3"])
    bits = TEXT.accumulate(said, games.test.truths[:1], None).score(np.ones(1))["bits_per_char"]
    assert bits == pytest.approx(3 * math.log2(1972) / len("e4 e5 Nf3 "))


def test_a_model_of_few_games_learns_them_and_the_rules(games):
    config = LanguageModel(**TINY | {"width": 32, "learning_rate": 2e-2, "batch_size": 8})
    model = config.build((), seed=0)
    fit = model.fit(games.train, games.validation, seed=0)
    before = fit.validate()["illegal"]
    list(fit.learn(Budget(None, 40)))
    assert fit.validate()["illegal"] < before - 0.3
    nats = model.perceive([games.train.values[0]])[0].extras["nats"]
    assert nats.mean() < 3.4  # of a move drawn from all legal ones


def test_what_is_written_depends_on_the_seed_alone_and_begins_with_the_prompt():
    model = LanguageModel(**TINY, temperature=2.0, top_p=1.0).build((), seed=0)
    one, two, other = (model.write(3, "1. e4 e5", seed) for seed in (1, 1, 2))
    assert one == two and one != other
    for text in one:
        assert text.text.startswith("1. e4 e5") and len(text.words) == len(text.probabilities)
        assert not text.legal or len(text.words) >= 28 or text.words[-1] in ("1-0", "0-1", "1/2-1/2")
        board = chess.Board()
        for word in ["e4", "e5", *text.words[: len(text.words) - (not text.legal)]]:
            if word[0].isalpha():
                board.push_san(word)


def test_top_k_of_one_writes_the_likeliest_tokens():
    model = LanguageModel(**TINY, top_k=1).build((), seed=0)
    assert len({text.text for text in model.write(2, "", 1) + model.write(2, "", 2)}) == 1
    assert model.write(1, "e4", 0)[0].words[0] == model.perceive(["e4"])[0].extras["next"][0][0]


def test_the_window_shows_the_probability_of_each_next_token(games):
    model = LanguageModel(**TINY).build((), seed=0)
    frames = list(islice(model.perform(games, seed=0), 2))
    odds = frames[0].draw.keywords["odds"]
    assert all(one[1] >= two[1] for one, two in pairwise(odds)) and odds[0][1] <= 1
    rgb = rasterized(frames[1].draw, (320, 240))
    assert rgb.shape == (240, 320, 3) and rgb.std() > 1


def test_move_numbers_cover_every_legal_move():
    moves = set(uci_moves())
    assert len(moves) == 1968
    board = chess.Board("r3k2r/pP1pqpb1/bn2pnp1/2pPN3/1p2P3/2N2Q1p/PPPBBPPP/R3K2R w KQkq c6 0 2")
    assert {move.uci() for move in board.legal_moves} <= moves


def test_the_bits_of_a_board_are_those_of_its_fen():
    board = chess.Board()
    bits = np.unpackbits(board_bits(board), bitorder="little")
    planes = bits[:768].reshape(12, 64)
    assert planes.sum(1).tolist() == [8, 2, 2, 2, 1, 1] * 2
    assert planes[5, chess.E1] and planes[11, chess.E8] and bits[768:773].all()
    board.push_san("e4")
    board.push_san("e5")
    board.push_san("Ke2")
    after = np.unpackbits(board_bits(board), bitorder="little")
    assert after[768:776].tolist() == [0, 0, 0, 1, 1, 0, 0, 0]  # Black to move, White's rights are gone
    mine, yours = after[:384].reshape(6, 64), after[384:768].reshape(6, 64)
    assert mine[5].nonzero()[0].tolist() == [chess.E8] and yours[5].nonzero()[0].tolist() == [chess.E2]
    assert mine[0, chess.E5] and yours[0, chess.E4]


@pytest.mark.parametrize("text", ["e4 e5 Nf3", "1. e4 e5 2. Nf3", "1.e4 e5 2.Nf3 *"])
def test_games_are_read_with_and_without_numbers(text):
    game = replayed(text)
    assert game.san == ("e4", "e5", "Nf3") and [len(one) for one in game.legal] == [20, 20, 29]
    assert [uci_moves()[move] for move in game.moves] == ["e2e4", "e7e5", "g1f3"]


def test_an_illegal_move_is_named():
    with pytest.raises(ValueError, match="move 2, Ke3, is not legal"):
        replayed("1. e4 e5 2. Ke3")
    with pytest.raises(DataError, match='"e4 e5 Ke3": move 2'):
        LanguageModel(**TINY).build((), seed=0).perceive(["e4 e5 Ke3"])


def test_games_with_illegal_moves_are_left_out_and_counted(games):
    assert games.skipped == ("1 games with a move that is not legal", "1 games of less than two moves")
    assert len(games.train) + len(games.validation) + len(games.test) == 20
    assert games.train.truths[0].caption == "1-0"


def test_a_pgn_is_read_without_its_comments_and_variations(tmp_path):
    file = tmp_path / "mine.pgn"
    file.write_text(
        '[Event "a"]\n[Result "1-0"]\n\n'
        "1. e4 {best (by test)} e5 (1... c5 2. Nf3 (2. c3 d5)) 2. Nf3! $1 1-0\n\n"
        '[Event "b"]\n\n1. d4 d5 ; a line\n2. c4 1/2-1/2\n'
    )
    games, _, skipped = master_games(file, most=10, seed=0)
    assert [(game.san, game.result) for game in games] == [
        (("e4", "e5", "Nf3"), "1-0"),
        (("d4", "d5", "c4"), "1/2-1/2"),
    ]
    assert skipped == ()


def test_the_sample_is_whole_and_told_apart():
    import lzma

    from supervised.data.sources.chess_games.master_games import SAMPLE

    lines = lzma.decompress(SAMPLE.read_bytes()).decode().splitlines()
    assert len(lines) == 5_000 == len({line.rpartition(" ")[0] for line in lines})
    assert SAMPLE.stat().st_size < 500_000 and replayed(lines[1234]).san


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "empty"),
        (b"hello world\n" * 9, "no chess game"),
        (b"\xff\xfe\n", "not UTF-8"),
        (b"e4 e5 1-0", "1 game"),
    ],
)
def test_files_without_games_are_refused_by_name(tmp_path, raw, said):
    file = tmp_path / "mine.txt"
    file.write_bytes(raw)
    with pytest.raises(DataError, match=said):
        game_splits("master-games", file, most=10, seed=0)


def test_texts_are_parted_learned_as_characters_and_written(tmp_path):
    file = tmp_path / "mine.txt"
    file.write_text("\n%\n".join(f"the cat number {i:02} sat on the mat" for i in range(30)) + "\n%\nshort")
    splits = text_splits("", file, most=100, seed=0)
    assert splits.skipped == ("1 documents that are short or there twice",)
    assert splits.train.truths[0].caption == "mat" and "q" not in splits.classes
    config = LanguageModel(**TINY | {"block": 48}, tokens="characters", learning_rate=1e-2)
    model = config.build(splits.classes, seed=0)
    list(model.fit(splits.train, splits.validation, seed=0).learn(Budget(None, 60)))
    said = model.perceive(list(splits.test.values))
    bits = TEXT.accumulate(said, splits.test.truths, None).score(np.ones(len(said)))["bits_per_char"]
    assert bits < 2 and config.grade_samples(model, splits, seed=0) is None
    assert model.perceive(["the Q"])[0].caption  # a letter that it has never seen
    assert len(model.write(1, "the ", 0)[0].text) <= 48


def test_texts_that_cannot_be_split_are_refused(tmp_path):
    file = tmp_path / "mine.txt"
    file.write_text("a single document of some length")
    with pytest.raises(DataError, match="has 1 documents"):
        text_splits("", file, most=100, seed=0)
    with pytest.raises(DataError, match='no texts "tune"; .*tunes'):
        text_splits("tune", None, most=100, seed=0)


def test_kneser_ney_sums_to_one_and_is_chen_and_goodmans_formula():
    sequences = [np.array([0, 1, 0, 2, 0, 1]), np.array([2, 2, 1])]
    model = KneserNey(sequences, 4, 2)
    total = np.zeros(3)
    for token in range(4):
        total += np.exp(-np.concatenate(model.nats([np.array([0, token]), np.array([token])])))
    assert total[1] == pytest.approx(1) and total[2] == pytest.approx(1)
    # bigrams 01×2, 10, 02, 20, 22, 21: five once, one twice; after 0 come 1 twice and 2 once
    discount = 5 / (5 + 2 * 1)
    lower = lower_order({0: 2, 1: 2, 2: 2}, token=1)
    expected = (2 - discount + 2 * discount * lower) / 3
    assert math.exp(-model.nats([np.array([0, 1])])[0][1]) == pytest.approx(expected)


def lower_order(continuations, token):
    """Of continuation counts, with none that is 1 so that the discount is a half, over 4 tokens."""
    total = sum(continuations.values())
    return (continuations[token] - 0.5 + 0.5 * len(continuations) / 4) / total


def test_perplexity_of_a_die_is_six():
    rolls = np.random.default_rng(0).integers(6, size=6_000)
    model = KneserNey([rolls], 6, 1)
    assert perplexity(model.nats([rolls])[0]) == pytest.approx(6, abs=0.02)


def test_what_was_seen_before_costs_xz_next_to_nothing():
    text = "".join(np.random.default_rng(0).choice(list("abcdefgh"), 3_000))
    assert compressed_bits([text], [text]) < 0.1 and 2.9 < compressed_bits(["x"], [text]) < 4


def test_baselines_count_a_moves_characters_like_the_model(games):
    said = {name: perceive(["e4 e5"])[0] for name, perceive in text_baselines(games.train, True).items()}
    assert list(said) == ["character n-gram", "move n-gram", "xz -9e"]
    assert {one.extras["characters"] for one in said.values()} == {len("e4 e5 ")}

"""Preference tuning: losses by hand, KL by enumeration, the reward rule on hand-made games."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from task_checks import check_task
from test_language_model import random_games

from supervised.data.sources.chess_games.master_games import master_games
from supervised.data.sources.game_prompts import prompt_splits
from supervised.data.sources.splits import DataError
from supervised.language.generation.gpt import Gpt, GptShape
from supervised.language.generation.packing import IGNORED
from supervised.language.tuning.game_reward import ILLEGAL, MATE, continuation_reward, material_balance
from supervised.language.tuning.low_rank import AdaptedGpt
from supervised.language.tuning.preference_losses import (
    dpo_loss,
    kl_estimate,
    policy_gradient_loss,
    text_log_probabilities,
)
from supervised.language.tuning.preference_pairs import PairExamples, drawn_pairs
from supervised.language.tuning.preference_tuning import PreferenceTuning, pair_log_probabilities
from supervised.language.tuning.rollouts import inverse_transform

chess = pytest.importorskip("chess")
pytest.importorskip("matplotlib")

TINY = {
    "width": 8,
    "layers": 1,
    "heads": 2,
    "block": 64,
    "plies": 4,
    "rank": 2,
    "prompts": 8,
    "candidates": 3,
    "batch_size": 4,
}


@pytest.fixture(scope="module")
def games_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("games") / "mine.txt"
    file.write_text("\n".join([*random_games(32, 21), "e4 e5 1-0", "d4 d5 1-0"]))
    return file


@pytest.fixture(scope="module")
def prompts(games_file):
    return PreferenceTuning(**TINY).splits(games_file, seed=0)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("PLAYFIELD_CACHE", str(tmp_path_factory.getbasetemp() / "tuning-cache"))


def untrained(seed=0, **keys):
    return PreferenceTuning(**TINY | keys).build((), seed=seed)


@pytest.fixture(scope="module")
def base(games_file):
    """Weights of a base that plays moves the more often, the more of the games have them."""
    model = untrained()
    weights = model._base.weights()
    for game in master_games(games_file, most=99, seed=0)[0]:
        for legal in game.legal[16:]:
            weights["bias"][legal] += 0.15
    return weights


def on(base, **keys):
    model = untrained(**keys)
    model.load_base(base)
    return model


def moved(model, scale=0.5):
    """The model with an adaptation that is not zero."""
    torch.manual_seed(3)
    for matrix in model.network.left.values():
        torch.nn.init.normal_(matrix, std=scale)
    return model


@pytest.mark.parametrize(("method", "candidates"), [("dpo", 24), ("policy_gradient", 2)])
def test_the_task_keeps_its_interface(prompts, base, method, candidates, monkeypatch):
    build = PreferenceTuning.build

    def on_base(config, *arguments, **options):
        model = build(config, *arguments, **options)
        model.load_base(base)
        return model

    monkeypatch.setattr(PreferenceTuning, "build", on_base)
    keys = TINY | {"candidates": candidates, "plies": 2, "method": method}
    check_task(PreferenceTuning(**keys), prompts, inputs=2)


def board_after(words, fen=chess.STARTING_FEN):
    board = chess.Board(fen)
    for word in words.split():
        board.push_san(word)
    return board


def test_the_rule_rewards_material_mates_and_legality():
    before = board_after("e4 e5")
    hung = board_after("e4 e5 Qh5 Nf6 Nc3 Nxh5")
    assert continuation_reward(hung, chess.WHITE, material_balance(before, True), legal=True) == -9
    assert continuation_reward(hung, chess.BLACK, material_balance(before, False), legal=True) == 9
    scholar = board_after("e4 e5 Bc4 Nc6 Qh5 Nf6 Qxf7#")
    assert continuation_reward(scholar, chess.WHITE, 0, legal=True) == MATE
    assert continuation_reward(scholar, chess.BLACK, 0, legal=True) == -MATE
    assert continuation_reward(hung, chess.BLACK, 0, legal=False) == ILLEGAL
    promoted = board_after("a8=Q", "8/P7/8/8/8/8/8/K1k5 w - - 0 1")
    assert continuation_reward(promoted, chess.WHITE, 1, legal=True) == 8


def test_the_loss_of_dpo_is_that_of_the_paper_and_pulls_the_right_way():
    policy = torch.tensor([[-4.0, -5.0], [-2.0, -1.0]], requires_grad=True)
    base = torch.tensor([[-5.0, -4.0], [-2.0, -3.0]])
    loss, metrics = dpo_loss(policy, base, beta=0.3)
    margins = [(1.0 - -1.0), (0.0 - 2.0)]
    expected = np.mean([-math.log(1 / (1 + math.exp(-0.3 * margin))) for margin in margins])
    assert loss.item() == pytest.approx(expected, abs=1e-6) and metrics["pair_accuracy"] == 0.5
    loss.backward()
    weights = [0.3 / (1 + math.exp(0.3 * margin)) / 2 for margin in margins]  # β σ(−β margin) / B
    assert torch.allclose(policy.grad, torch.tensor([[-w, w] for w in weights]))
    assert weights[1] > weights[0]  # a pair in the wrong order pulls more
    anchored, _ = dpo_loss(policy, base, beta=0.3, anchor=0.5)
    assert anchored.item() == pytest.approx(expected + 0.5 * 3)  # mean of 4 and 2 nats


def all_texts(policy, base):
    """Every text of two of three tokens: (9, 2) tokens, log-probabilities (9,) by policy and base."""
    texts = torch.tensor(list(product(range(3), repeat=2)))
    return texts, *(
        model[0].log_softmax(-1)[texts[:, 0]] + model[1].log_softmax(-1)[texts[:, 0], texts[:, 1]]
        for model in (policy, base)
    )


def random_bigrams():
    """Logits of the first token (3,), and of the second by the first (3, 3), of policy and base."""
    generator = torch.Generator().manual_seed(0)
    return [
        (
            torch.randn(3, generator=generator, dtype=torch.float64),
            torch.randn(3, 3, generator=generator).double(),
        )
        for _ in range(2)
    ]


def test_the_estimate_of_kl_is_right_in_expectation_by_enumeration():
    policy, base = random_bigrams()
    _, log_policy, log_base = all_texts(policy, base)
    weights = log_policy.exp()
    first = [model[0].softmax(-1) for model in (policy, base)]
    second = [model[1].softmax(-1) for model in (policy, base)]
    chain = (
        first[0] * (first[0] / first[1]).log()
    ).sum()  # chain rule: KL of the first, mean KL of the second
    chain += (first[0][:, None] * second[0] * (second[0] / second[1]).log()).sum()
    expected = sum(
        w * kl_estimate(p[None], q[None]) for w, p, q in zip(weights, log_policy, log_base, strict=True)
    )
    assert weights.sum().item() == pytest.approx(1)
    assert expected.item() == pytest.approx(chain.item()) and chain > 0.1


def test_the_policy_gradient_is_that_of_penalised_reward_by_enumeration():
    (first, second), base = random_bigrams()
    parameters = [first.requires_grad_(), second.requires_grad_()]
    texts, log_policy, log_base = all_texts(parameters, base)
    rewards = texts.sum(-1).double() ** 2
    objective = (log_policy.exp() * (rewards - 0.7 * (log_policy - log_base))).sum()
    exact = torch.autograd.grad(-objective, parameters, retain_graph=True)
    pairs = torch.tensor(list(product(range(9), repeat=2)))  # two samples of one prompt
    odds = log_policy.detach().exp()[pairs].prod(-1)
    expected = [torch.zeros_like(one) for one in parameters]
    for pair, weight in zip(pairs, odds, strict=True):
        loss = policy_gradient_loss(log_policy[pair][None], log_base[pair][None], rewards[pair][None], 0.7)
        found = torch.autograd.grad(loss, parameters, retain_graph=True)
        expected = [total + weight * one for total, one in zip(expected, found, strict=True)]
    assert all(torch.allclose(one, other) for one, other in zip(expected, exact, strict=True))


def test_draws_have_the_frequencies_of_the_distribution():
    odds = torch.tensor([0.1, 0.0, 0.6, 0.3])
    drawn = inverse_transform(odds.expand(1000, -1), torch.arange(1000) / 1000)
    assert torch.bincount(drawn, minlength=4).tolist() == pytest.approx([100, 0, 600, 300], abs=1)


def test_an_adaptation_starts_as_the_base_and_leaves_it_alone():
    torch.manual_seed(0)
    base = Gpt(GptShape(7, 2, 0, 8, 1, 2, 8)).eval()
    for parameter in base.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    adapted, tokens = AdaptedGpt(base, 2), torch.arange(6)[None]
    marks = torch.zeros_like(tokens)
    before = base(tokens, marks)
    assert torch.equal(adapted(tokens, marks), before)
    assert not set(map(id, adapted.parameters())) & set(map(id, base.parameters()))
    adapted(tokens, marks).square().sum().backward()
    assert all(matrix.grad.abs().sum() > 0 for name, matrix in adapted.left.items() if "parts" not in name)
    for matrix in adapted.left.values():
        torch.nn.init.normal_(matrix)
    assert torch.equal(base(tokens, marks), before) and not torch.allclose(adapted(tokens, marks), before)


def test_rollouts_give_the_log_probabilities_that_a_full_pass_finds(prompts):
    model = moved(untrained())
    encoded = [model.encode(text) for text in prompts.test.values] * 2  # each prompt is read once
    drawn = model.roller.roll_out(encoded, np.random.default_rng(0).random((len(encoded), 4)))
    read = [torch.from_numpy(array) for array in (drawn.tokens, drawn.marks, drawn.features)]
    targets = torch.from_numpy(drawn.targets)
    with torch.no_grad():
        for network, kept in ((model.network, drawn.log_policy), (model.network.base, drawn.log_base)):
            found = text_log_probabilities(model.roller.log_odds(network(*read)), targets)
            assert np.allclose(found, kept, atol=1e-3)
    assert not np.allclose(drawn.log_policy, drawn.log_base)


def test_the_base_answers_with_legal_moves_and_an_illegal_move_ends_a_game(prompts):
    model = untrained()
    drawn = model.continuations(list(prompts.test.values))
    assert not drawn.legal.all()  # an untrained model knows no rules
    for words, reward, legal, targets in zip(
        drawn.texts, drawn.rewards, drawn.legal, drawn.targets, strict=True
    ):
        assert (reward == ILLEGAL) == (not legal) or legal
        assert legal or (words[-1].endswith("†") and len(words) % 2 == 1)
        assert (targets != IGNORED).sum() == (len(words) + 1) // 2


def test_a_pair_has_the_better_text_first_and_the_log_probabilities_of_the_base(prompts, base):
    model = on(base, temperature=0.7)
    pairs = drawn_pairs(model.roller, [model.encode(text) for text in prompts.train.values], 6, 0)
    assert len(pairs) and (pairs["rewards"][:, 0] > pairs["rewards"][:, 1]).all()
    arrays = PairExamples(pairs).batch(np.arange(len(pairs)), np.random.default_rng(0))
    batch = {name: torch.from_numpy(array) for name, array in arrays.items()}
    assert np.allclose(
        pair_log_probabilities(model.network, batch, model.roller).detach(), pairs["base"][:], atol=1e-3
    )


def test_weights_of_another_base_are_refused():
    one, other = untrained(), untrained(seed=1)
    one.load_base(one._base.weights())
    other.load_base(other._base.weights())
    with pytest.raises(ValueError, match="another base"):
        other.load_weights(one.weights())
    assert not any(name.startswith("base.") for name in one.weights())


def test_prompts_that_cannot_go_on_are_refused_by_name():
    model = untrained()
    for text, message in (
        ("e4 e5 Ke3", "not legal"),
        ("f3 e5 g4 Qh4#", "the game is over"),
        ("Nf3 Nf6 Ng1 Ng8 " * 16, "can go on"),
    ):
        with pytest.raises(DataError, match=message):
            model.perceive([text])


def test_games_that_end_too_early_are_counted(prompts, games_file):
    assert "2 games that end too early" in prompts.skipped
    assert {len(text.split()) for text in prompts.train.values} <= {16, 17}
    with pytest.raises(DataError, match="more games"):
        prompt_splits("master-games", games_file, most=100, plies=60, seed=0)


def test_the_base_stands_beside_the_tuned_model(prompts, base):
    config, model = PreferenceTuning(**TINY), on(base)
    grades = config.grade_samples(model, prompts, seed=0)
    percepts = model.perceive(list(prompts.test.values))
    scores = config.metrics.accumulate(percepts, prompts.test.truths, None).score(np.ones(len(percepts)))
    assert scores["kl"] == 0 and scores["win_rate"] == 0.5  # untuned, it is the base
    for name, value in grades.baselines["base model"].items():
        assert name == "pair_accuracy" or scores[name] == pytest.approx(value)
    written = model.write(3, "e4 e5", seed=1)
    assert len(written) == 3 and all(one.text.startswith("1. e4 e5 2. ") for one in written)

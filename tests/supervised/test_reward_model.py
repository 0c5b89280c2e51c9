"""Reward model: loss and metrics by hand, piece values that pairs tell, its use as reward."""

import math

import numpy as np
import pytest
import torch
from task_checks import check_task
from test_language_model import random_games

from sim.records import Budget
from supervised.data.sources.chess_games.master_games import master_games
from supervised.data.sources.splits import DataError
from supervised.fit import Fit, FitOptions
from supervised.language.generation.gpt import Gpt, GptShape
from supervised.language.generation.notation import MoveNotation
from supervised.language.tuning import reward_model
from supervised.language.tuning.game_reward import MATE, VALUES
from supervised.language.tuning.low_rank import AdaptedGpt
from supervised.language.tuning.played_games import played_reward
from supervised.language.tuning.preference_losses import bradley_terry_loss
from supervised.language.tuning.preference_pairs import PromptExamples, drawn_pairs
from supervised.language.tuning.preference_tuning import PreferenceTuning, reward_loss
from supervised.language.tuning.reward_model import RewardModel, reward_model_loss
from supervised.language.tuning.reward_network import (
    PIECE_SCALE,
    VALUED,
    LearnedReward,
    RewardNetwork,
    pieces_won,
)
from supervised.metrics.preferences import CorrelationTally, PairTally

chess = pytest.importorskip("chess")
pytest.importorskip("matplotlib")

BASE = {"width": 8, "layers": 1, "heads": 2, "block": 64, "plies": 2, "rank": 2}
TINY = BASE | {"prompts": 8, "candidates": 8, "batch_size": 4}
LEARNED = {"method": "policy_gradient", "reward": "learned", "reward_checkpoint": "of-the-test"}
NOTATION = MoveNotation()


@pytest.fixture(scope="module")
def games_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("games") / "mine.txt"
    file.write_text("\n".join(random_games(32, 21)))
    return file


@pytest.fixture(scope="module")
def games(games_file):
    return RewardModel(**TINY).splits(games_file, seed=0)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("PLAYFIELD_CACHE", str(tmp_path_factory.getbasetemp() / "reward-cache"))


def untrained(seed=0, **keys):
    return RewardModel(**TINY | keys).build((), seed=seed)


def by_hand(model):
    """The model with the rule's piece values, and nothing else."""
    with torch.no_grad():
        model.network.pieces.copy_(torch.tensor(VALUES) / PIECE_SCALE)
    return model


@pytest.fixture(scope="module")
def base(games_file):
    """Weights of a base that plays moves the more often, the more of the games have them."""
    weights = untrained()._base.weights()
    for game in master_games(games_file, most=99, seed=0)[0]:
        for legal in game.legal[16:]:
            weights["bias"][legal] += 0.15
    return weights


def on(base, **keys):
    model = untrained(**keys)
    model.load_base(base)
    return model


def test_the_task_keeps_its_interface(games, base, monkeypatch):
    build = RewardModel.build

    def on_base(config, *arguments, **options):
        model = build(config, *arguments, **options)
        model.load_base(base)
        return model

    monkeypatch.setattr(RewardModel, "build", on_base)
    check_task(RewardModel(**TINY | {"candidates": 32}), games, inputs=2)


def test_the_loss_is_bradley_and_terrys_and_its_gradient_what_is_missing_to_certainty():
    rewards = torch.tensor([[2.0, -1.0], [0.5, 1.0], [3.0, 3.0]], requires_grad=True)
    loss, metrics = bradley_terry_loss(rewards)
    odds = [1 / (1 + math.exp(-margin)) for margin in (3.0, -0.5, 0.0)]
    assert loss.item() == pytest.approx(-np.mean(np.log(odds)), abs=1e-6)
    assert metrics["accuracy"].item() == pytest.approx(0.5)  # right, wrong, a draw
    loss.backward()
    missing = [(1 - one) / 3 for one in odds]
    assert torch.allclose(rewards.grad, torch.tensor([[-m, m] for m in missing]))


def columns_of(*texts, plies):
    """What a reward network reads of games: features (N, T, F / 8), begins and ends (N,)."""
    model = untrained(plies=plies)
    batch = model._batch([model.encode(text) for text in texts])
    return batch["features"], batch["begins"], batch["ends"]


def test_pieces_won_are_counted_for_the_side_that_begins():
    white, black = "e4 d5 exd5 Qxd5 Nc3", "e4 d5 exd5 Qxd5 Nc3 Qd8 Nb5 Qxd2+ Bxd2"
    won = pieces_won(*columns_of(white, black, plies=3))
    assert won.tolist() == [[0, 0, 0, 0, 0], [-1, 0, 0, 0, 1]]  # white's: pawns traded; a queen for a pawn
    lost = pieces_won(*columns_of(black, plies=2))  # from black's queen sacrifice on
    assert lost.tolist() == [[1, 0, 0, 0, -1]] and len(VALUED) == 5


def test_the_rule_judges_what_masters_played():
    assert played_reward("e4 e5 Qh5 Nf6 Nc3 Nxh5", 3) == 9  # black's
    assert played_reward("e4 e5 Qh5 Nf6 Nc3 Nxh5", 2) == -9
    assert played_reward("f3 e5 g4 Qh4#", 3) == MATE


def known_preferences(values, count, generator):
    """Pairs of positions, one preferred with the probability that Bradley and Terry's model gives."""
    states = np.zeros((count, 2, 2, NOTATION.features // 8), np.uint8)  # an empty board, then some pieces
    gained = generator.integers(0, 3, (count, 2, 5)) - generator.integers(0, 3, (count, 2, 5))
    odds = 1 / (1 + np.exp(-(gained[:, 0] - gained[:, 1]) @ values))
    flipped = generator.random(count) > odds
    gained[flipped] = gained[flipped, ::-1]
    for kind in range(5):
        for side, own in ((0, gained[..., kind].clip(0)), (1, (-gained[..., kind]).clip(0))):
            states[:, :, 1, 8 * (kind + 6 * side)] = 2**own - 1
    return states


class Positions:
    """Pairs of positions as examples of a fit."""

    def __init__(self, states):
        self._states = states

    def __len__(self):
        return len(self._states)

    def batch(self, rows, generator):
        none = np.zeros((len(rows), 2, 2), np.int64)
        places = {"begins": none[..., 0], "ends": none[..., 0] + 1}
        return {"tokens": none, "marks": none, "features": self._states[rows], **places}


def test_piece_values_are_found_from_preferences_alone():
    values = np.array([1.0, 3.0, 3.0, 5.0, 9.0]) / 5
    generator = np.random.default_rng(0)
    pairs = Positions(known_preferences(values, 20_000, generator))
    network = RewardNetwork(Gpt(GptShape(2, 1, 0, 8, 1, 2, 8)), 1)
    network.requires_grad_(False).pieces.requires_grad_()
    options = FitOptions(learning_rate=5e-4, batch_size=128, warmup_updates=1, validate_on=8)
    fit = Fit(network, reward_model_loss, pairs, pairs, options, seed=0)
    list(fit.learn(Budget(None, 150)))
    found = network.piece_values.detach().numpy()
    up_to_scale = found * (values @ values) / (values @ found)
    assert up_to_scale == pytest.approx(values, abs=0.1)
    assert found == pytest.approx(values, abs=0.2)  # labels as noisy as the model says tell the scale too


def test_the_stream_is_what_logits_are_read_from():
    torch.manual_seed(0)
    network = Gpt(GptShape(7, 2, 0, 8, 1, 2, 8)).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    tokens = torch.arange(6)[None]
    read = network.stream(tokens, tokens * 0) @ network.embedding().T + network.bias
    assert torch.allclose(read, network(tokens, tokens * 0), atol=1e-6)
    adapted = AdaptedGpt(network, 2, only="blocks.")
    assert set(adapted.left) and all(name.startswith("blocks/") for name in adapted.left)
    assert torch.equal(adapted.stream(tokens, tokens * 0), network.stream(tokens, tokens * 0))
    for matrix in adapted.left.values():
        torch.nn.init.normal_(matrix)
    assert not torch.allclose(adapted.stream(tokens, tokens * 0), network.stream(tokens, tokens * 0))


def test_a_rollout_has_its_last_token_and_the_position_after_it(games):
    model = untrained()
    prompts = model.prompts_of(games.test) * 8
    drawn = model.roller.roll_out(prompts, np.random.default_rng(0).random((len(prompts), 2)), tuned=False)
    assert 0 < drawn.legal.sum() or (drawn.ends > drawn.begins).all()
    for row, prompt in enumerate(prompts):
        begin, end = drawn.begins[row], drawn.ends[row]
        assert begin == len(prompt.tokens) and end == begin + len(drawn.texts[row])
        word = drawn.texts[row][-1]
        move = NOTATION.moves[drawn.tokens[row, end]]
        assert word == f"{move}†" or drawn.marks[row, end] > 0
        if word.endswith("†"):  # the position stays
            assert (drawn.features[row, end] == drawn.features[row, end - 1]).all()
        else:
            whole = NOTATION.encode(" ".join((*prompt.words, *drawn.texts[row])))
            assert whole.tokens[-1] == drawn.tokens[row, end]
            assert (whole.states[-1] == drawn.features[row, end]).all()


def test_hand_made_piece_values_are_the_rule_where_moves_are_legal(games, base):
    model = by_hand(on(base))
    pairs = drawn_pairs(model.roller, model.prompts_of(games.train), 48, 0)
    rows = ((pairs["rewards"][:] > -5) & (np.abs(pairs["rewards"][:]) < MATE)).all(1)
    assert rows.any()
    margins = model.margins(pairs)[rows]
    assert np.allclose(margins, (pairs["rewards"][:, 0] - pairs["rewards"][:, 1])[rows], atol=1e-4)
    assert np.allclose((model.pieces_won(pairs) @ np.array(VALUES))[rows], pairs["rewards"][rows], atol=1e-4)


def tuned(model, **keys):
    """A policy on the base of a reward model."""
    config = PreferenceTuning(**BASE | {"candidates": 3, "batch_size": 4} | keys)
    policy = config.build((), seed=0)
    policy.load_base(model._base.weights())
    torch.manual_seed(3)
    for matrix in policy.network.left.values():
        torch.nn.init.normal_(matrix, std=0.5)
    return policy


def gradients(policy, prompts, proxy):
    examples = PromptExamples(prompts, 3, 2)
    arrays = examples.batch(np.arange(len(prompts)), np.random.default_rng(0))
    batch = {name: torch.from_numpy(array) for name, array in arrays.items()}
    policy.network.train().zero_grad()
    loss, metrics = reward_loss(policy.network, batch, policy.roller, 0.1, (prompts, prompts), proxy)
    loss.backward()
    return [parameter.grad.clone() for parameter in policy.network.parameters()], metrics


def test_the_gradient_of_a_learned_reward_is_that_of_the_rule_where_they_agree(games, base):
    policy = tuned(on(base))
    prompts = [policy.encode(" ".join(text.split()[:16])) for text in games.train.values]
    rule, told = gradients(policy, prompts, None)
    same, both = gradients(policy, prompts, lambda drawn: drawn.rewards)
    assert all(torch.equal(one, other) for one, other in zip(rule, same, strict=True))
    assert both["proxy"] == both["reward"] == told["reward"] and "proxy" not in told
    other, apart = gradients(policy, prompts, lambda drawn: -drawn.rewards)
    assert apart["reward"] == told["reward"] == -apart["proxy"]
    assert not all(torch.allclose(one, two) for one, two in zip(rule, other, strict=True))


def test_a_trained_reward_model_is_read_from_its_weights_and_another_base_is_refused(games, base):
    model = by_hand(on(base, rank=3))
    torch.nn.init.normal_(model.network.readout)
    policy = tuned(model, **LEARNED)
    policy.load_reward_model(model.weights())
    prompts = model.prompts_of(games.test)
    drawn = policy.roller.roll_out(prompts, np.random.default_rng(0).random((len(prompts), 2)))
    assert np.allclose(policy._proxy(drawn), LearnedReward(model.network.eval())(drawn), atol=1e-5)
    stranger = untrained(seed=1)
    stranger.load_base(stranger._base.weights())
    with pytest.raises(ValueError, match="another base"):
        policy.load_reward_model(stranger.weights())
    by_rule = tuned(model)
    by_rule.load_reward_model(stranger.weights())  # nobody asks it
    assert by_rule._proxy is None


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (LEARNED | {"method": "dpo"}, 'needs method = "policy_gradient"'),
        (LEARNED | {"reward_checkpoint": ""}, "needs a reward_checkpoint"),
    ],
)
def test_a_learned_reward_that_nothing_gives_or_takes_is_refused(keys, said):
    with pytest.raises(ValueError, match=said):
        PreferenceTuning(**keys)


def test_a_reward_reads_the_last_plies_and_refuses_what_is_no_game():
    model = by_hand(untrained(plies=2))
    won, mated = model.perceive(["1. e4 d5 2. exd5 c6", "f3 e5 g4 Qh4#"])
    assert won.extras["value"]["reward"] == pytest.approx(1) and won.extras["side"] == "white"
    assert won.extras["piece_gain"]["pawn"] == 1 and won.extras["plies"] == 2
    assert mated.extras["value"]["reward"] == 0  # pieces alone know no mate
    (short,) = model.perceive(["e4"])
    assert short.extras["plies"] == 1
    for text, message in (("e4 e5 Ke3", "not legal"), ("", "no move"), ("Nf3 Nf6 Ng1 Ng8 " * 16, "can be")):
        with pytest.raises(DataError, match=message):
            model.perceive([text])


def test_pairs_of_one_prompt_count_together():
    tally = PairTally(np.array([2.0, -1.0, 0.0]), np.array([7, 7, 3]))
    assert len(tally) == 2
    assert tally.score(np.ones(2))["accuracy"] == pytest.approx(1.5 / 3)
    only = tally.score(np.array([0.0, 1.0]))  # prompt 7, in the order of their numbers
    assert only == pytest.approx(
        {"accuracy": 0.5, "nll": (math.log1p(math.exp(-2)) + math.log1p(math.exp(1))) / 2}
    )
    assert all(math.isnan(value) for value in tally.score(np.zeros(2)).values())
    line = CorrelationTally(np.array([1.0, 2.0, 4.0]), np.array([2.0, 4.0, 8.0]))
    assert line.score(np.ones(3))["correlation"] == pytest.approx(1)
    assert math.isnan(CorrelationTally(np.ones(3), np.arange(3.0)).score(np.ones(3))["correlation"])


def test_held_out_margins_are_those_of_the_last_validation():
    network = untrained().network
    rewards = torch.tensor([[1.0, -1.0], [0.0, 50.0]])
    network.eval().note(rewards)
    assert network.margins.sum() == 2 and network.margins[0] == 1  # far ones at the ends
    assert network.centred(torch.tensor(3.0)).item() == pytest.approx(3 - 50 / 4)
    network.train().note(rewards)
    assert not network.margins.any() and network.centred(torch.tensor(3.0)) == 3


def test_the_pairs_judges_stand_beside_the_model(games, base, monkeypatch):
    monkeypatch.setattr(reward_model, "SAMPLES", 24)
    config, model = RewardModel(**TINY), by_hand(on(base))
    found = config.grade_samples(model, games, seed=0)
    rows = found.baselines
    assert rows["constant"] == pytest.approx({"accuracy": 0.5, "nll": math.log(2)})
    mine = found.counted.score(np.ones(len(found.counted)))
    assert mine == pytest.approx(rows["material by hand"], abs=1e-4)  # its values are those by hand
    assert RewardNetwork.from_weights(model.network.base, model.weights()).pieces.equal(model.network.pieces)

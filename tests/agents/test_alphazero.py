"""AlphaZero: its self-play, its values by hand, and that it learns from its games."""

from __future__ import annotations

import itertools

import chess
import numpy as np
import pytest
import torch
from nim import STILL, Nim

from agents.alphazero.selfplay import Move, PositionBuffer, ReplayChunk, SelfPlay
from agents.alphazero.train import AlphaZero, SearchError
from agents.alphazero.tree_arrays import softmax
from sim.catalog import make_world, make_worlds
from sim.chess.rules.game import ChessGame
from sim.records import Budget, Decision
from sim.vector import EnvWorlds

MATE_IN_ONE = "6k1/5ppp/8/8/8/8/8/R6K w - - 0 1"  # Ra8#
MATE_IN_TWO = "7k/8/8/8/8/8/R7/1R5K w - - 0 1"  # a rook to the seventh, the other to the eighth


def played(heap, actions, values=None, max_plies=99):
    game = SelfPlay(Nim(heap), max_plies)
    for i, action in enumerate(actions):
        legal = game.game.legal_actions()
        policy = np.full(len(legal), 1 / len(legal), np.float32)
        value = values[i] if values else 0.0
        game.play(Move(game.game.observe([game.game])[0], legal, policy, value, action))
    return game


def test_what_a_game_came_to_belongs_to_each_plys_mover():
    game = played(5, [0, 1, 1])  # 5 → 4 → 2 → 0: who moved first took the last
    assert game.over and game.episode().score == 1 and game.episode().outcome == "win"
    np.testing.assert_allclose(game.targets(1.0, 1.0), [1, -1, 1])
    np.testing.assert_allclose(game.targets(0.5, 1.0), [0.125, -0.25, 0.5])
    lost = played(5, [1, 2])
    assert lost.over and lost.episode().outcome == "loss" and not lost.episode().mate
    np.testing.assert_allclose(lost.targets(1.0, 1.0), [-1, 1])


def test_lambda_returns_by_hand():
    game = played(5, [0, 1, 1], values=[0.5, -0.25, 0.75])
    last = 0.5  # −γ · −1
    middle = -0.5 * (0.25 * 0.75 + 0.75 * last)
    np.testing.assert_allclose(game.targets(0.5, 0.75), [-0.5 * (0.25 * -0.25 + 0.75 * middle), middle, last])
    np.testing.assert_allclose(game.targets(0.5, 0.0), [0.125, -0.375, 0.5])


def test_a_game_that_was_cut_bootstraps_from_its_last_search():
    game = played(9, [0, 0], values=[0.1, 0.4], max_plies=2)
    assert game.over and game.episode().outcome == "" and game.episode().score == 0
    np.testing.assert_allclose(game.targets(0.5, 1.0), [-0.2, 0.4])


def resigning(values, actions, *, heap=9, played_through=False):
    game = SelfPlay(Nim(heap), 99, resign_below=-0.8)
    game.played_through = played_through
    for value, action in zip(values, actions, strict=True):
        if not game.over:
            legal = game.game.legal_actions()
            game.play(Move(np.zeros(1, np.uint8), legal, np.ones(len(legal)) / len(legal), value, action))
    return game


def test_a_side_resigns_where_its_search_gives_it_up():
    game = resigning([0.1, -0.8, 0.5, -0.81, 0.9], [0, 0, 0, 0, 0])
    assert game.over and game.resigned and game.gave_up == 1 and len(game.moves) == 4
    assert game.game.heap == 6, "the move that was not made is kept to learn from"
    assert game.episode().score == 1 and game.episode().outcome == "win" and not game.episode().mate
    np.testing.assert_allclose(game.targets(0.5, 1.0), [0.5**4, -(0.5**3), 0.5**2, -0.5])
    assert game.falsely_resigned is None, "nobody knows"
    assert not resigning([-0.8, -0.1], [0, 0]).over


@pytest.mark.parametrize(
    ("actions", "false"), [([0, 0, 1, 2], True), ([0, 0, 2, 1], True), ([0, 2, 2], False)]
)
def test_of_games_played_through_it_is_told_whether_resigning_would_have_been_false(actions, false):
    heap = sum(actions) + len(actions)
    # player 1 gives up at its first move: with four moves it takes the last and wins, with three it loses
    game = resigning([0.0, -0.9, 0.9, -0.9][: len(actions)], actions, heap=heap, played_through=True)
    assert game.over and not game.resigned and game.gave_up == 1 and game.game.heap == 0
    assert game.falsely_resigned is false
    again = SelfPlay(Nim(heap), 99, resign_below=-0.8)
    again.restore(resigning([0.0, -0.9], actions[:2], heap=heap, played_through=True).state())
    assert again.played_through and again.gave_up == 1 and not again.over


def test_self_play_resigns_audits_and_resumes_exactly():
    def learner(share):
        worlds = make_worlds("chess/kqk", 6, seed=3, history=1)
        fields = {"num_simulations": 2, "num_steps": 6, "minibatch_size": 64, "cut_after": 10}
        agent = agent_for(worlds, resign_below=-0.02, resign_playthrough=share, **fields)
        return worlds, agent, agent.learn(worlds, Budget(updates=4))

    _, agent, progress = learner(0.0)
    episodes = [episode for step in itertools.islice(progress, 2) for episode in step.episodes]
    assert any(episode.outcome and not episode.mate and episode.length < 10 for episode in episodes)
    assert not agent._audited and "false_resignations" not in next(progress).metrics
    _, agent, progress = learner(0.5)
    assert len(list(itertools.islice(progress, 2))) == 2
    state = agent.state()
    (last, *_) = [step for step in progress if step.updates == 4]
    _, again, resumed = learner(0.5)
    again.restore(state)
    (same, *_) = [step for step in resumed if step.updates == 4]
    assert list(again._audited) == list(agent._audited)
    assert last.metrics == same.metrics
    through = [game.played_through for game in again._playing]
    assert through == [game.played_through for game in agent._playing] and {*through} == {True, False}


def test_a_game_in_progress_is_told_and_taken_up_again():
    start = ChessGame(MATE_IN_TWO)
    game = SelfPlay(start, 50)
    for uci in ("a2a7", "h8g8"):
        now = game.game
        legal = now.legal_actions()
        policy = softmax(np.arange(len(legal), dtype=np.float32))
        game.play(Move(now.observe([now])[0], legal, policy, 0.25, now.action(uci)))
    again = SelfPlay(start, 50)
    again.restore(game.state())
    assert again.game.fen == game.game.fen
    for one, other in zip(again.moves, game.moves, strict=True):
        assert one.action == other.action and one.value == other.value
        for key in ("obs", "legal", "policy"):
            np.testing.assert_array_equal(getattr(one, key), getattr(other, key))


def test_the_newest_games_are_remembered_and_drawn_evenly():
    memory = PositionBuffer(10)
    for number in range(6):
        memory.add(ReplayChunk.of(f"games-{number}", [played(12 - number, [2, 2, 0])], 1.0, 1.0))
    assert len(memory) == 12, "four games of three plies: the fewest that are at least ten"
    positions = memory.sample(6000, STILL, np.random.default_rng(0), torch.device("cpu"))
    heaps, counts = np.unique(positions.obs.numpy(), return_counts=True)
    expected_heaps = [heap for number in range(2, 6) for heap in (12 - number, 9 - number, 6 - number)]
    assert sorted(set(expected_heaps)) == heaps.tolist()
    shares = [expected_heaps.count(heap) * 500 for heap in heaps]
    np.testing.assert_allclose(counts, shares, rtol=0.2)
    assert positions.mask.sum(1).unique().tolist() == [1, 2, 3] and not positions.mask[:, 3:].any()
    np.testing.assert_allclose(positions.policy.sum(1), 1, rtol=1e-6)
    other = PositionBuffer(10)
    other.restore(memory.state())
    again = other.sample(6000, STILL, np.random.default_rng(0), torch.device("cpu"))
    assert torch.equal(again.obs, positions.obs) and torch.equal(again.value, positions.value)


def test_a_turned_board_has_the_turned_moves():
    game = ChessGame("8/8/2k5/8/8/4K3/8/6Q1 w - - 0 1", 1)
    squares, actions = make_worlds("chess/kqk", 1, history=1).symmetries
    assert squares.shape == (8, 64) and len({row.tobytes() for row in squares}) == 8
    assert len(make_worlds("chess/kpk", 1).symmetries[0]) == len(make_worlds("chess", 1).symmetries[0]) == 1
    for to, moves in zip(squares, actions, strict=True):
        board = chess.Board.empty()
        for square, source in enumerate(to):
            board.set_piece_at(square, game.board.piece_at(int(source)))
        turned = ChessGame(board.fen(), 1)
        assert turned.legal_actions().tolist() == sorted(moves[game.legal_actions()].tolist())
        memory = PositionBuffer(1)
        one = SelfPlay(game, 1)
        legal = game.legal_actions()
        one.play(Move(game.observe([game])[0], legal, softmax(legal / 1000.0), 0.5, int(legal[0])))
        memory.add(ReplayChunk.of("one", [one], 1.0, 1.0))
        only = (to[None], moves[None])
        drawn = memory.sample(1, only, np.random.default_rng(0), torch.device("cpu"))
        np.testing.assert_array_equal(drawn.obs[0], turned.observe([turned])[0])
        assert drawn.legal[drawn.mask].tolist() == moves[legal].tolist()


def agent_for(worlds, **fields):
    config = AlphaZero(**{"network": "board32", "precision": "float32"} | fields)
    return config.build(worlds.single_observation_space, worlds.single_action_space, seed=0)


def test_in_later_plies_of_self_play_too_the_root_has_noise():
    worlds = make_worlds("chess/kqk", 2, seed=3, history=1)
    agent = agent_for(worlds, search="puct", num_simulations=2, num_steps=3, sampled_plies=1)
    trees, make = [], agent.config.tree

    def noted(root, generator, **more):
        trees.append(make(root, generator, **more))
        return trees[-1]

    object.__setattr__(agent.config, "tree", noted)
    next(agent.learn(worlds, Budget(updates=1)))
    assert len(trees) == 3 * 2
    for tree in trees:
        mixed = (tree._prior - 0.75 * tree.root.prior) / 0.25
        assert mixed.min() >= 0 and mixed.sum() == pytest.approx(1) and mixed.max() > 2 / len(mixed)
    assert all(tree.choice() == tree.policy().argmax() for tree in trees[2:])


def test_the_loss_is_over_legal_moves_alone():
    worlds = make_worlds("chess", 1, fen=MATE_IN_ONE, history=1)
    agent = agent_for(worlds)
    game = ChessGame(MATE_IN_ONE, 1)
    legal = game.legal_actions()
    policy = np.zeros(len(legal), np.float32)
    policy[3], policy[5] = 0.25, 0.75
    other = SelfPlay(game, 1)
    other.play(Move(game.observe([game])[0], legal, policy, 0.5, int(legal[3])))
    memory = PositionBuffer(1)
    memory.add(ReplayChunk.of("one", [other], 1.0, 1.0))
    with torch.no_grad():
        loss, figures = agent.loss(
            memory.sample(2, worlds.symmetries, np.random.default_rng(0), torch.device("cpu"))
        )
    found = agent.evaluate([game])
    (logits,), value = found.logits, found.values
    log_policy = np.log(softmax(logits[legal].astype(np.float64)))
    by_hand = [-(policy @ log_policy), (value[0] - 0.5) ** 2, -(np.exp(log_policy) @ log_policy)]
    np.testing.assert_allclose(figures, by_hand, rtol=1e-4)
    np.testing.assert_allclose(loss, by_hand[0] + by_hand[1], rtol=1e-4)


def mates_in_two(game):
    """The moves after which every reply allows a mate."""

    def mated(position):
        return position.outcome() == -1

    def mates(position):
        return any(mated(position.play(action)) for action in position.moves)

    after = {game.san(action): game.play(action) for action in game.moves}
    return {
        san for san, now in after.items() if now.moves and all(mates(now.play(reply)) for reply in now.moves)
    }


@pytest.mark.parametrize("search", ["gumbel", "puct"])
def test_an_untrained_player_finds_a_mate_in_one_and_in_two(search):
    worlds = make_worlds("chess", 2, fen=MATE_IN_ONE, history=1)
    fields = {"search": search, "num_considered": 64, "gamma": 0.9}
    agent = agent_for(worlds, num_simulations=100, **fields)
    obs, info = worlds.reset()
    decision, _ = agent.act(obs, info, greedy=True)
    assert info["games"][0].san(int(decision.actions[0])) == "Ra8#"
    assert decision.visits.sum(1).tolist() == [100, 100]
    worlds = make_worlds("chess", 1, fen=MATE_IN_TWO, history=1)
    agent = agent_for(worlds, num_simulations=900, **fields)
    obs, info = worlds.reset()
    (action,) = agent.act(obs, info, greedy=True)[0].actions
    assert 1 < len(mates_in_two(info["games"][0])) < 8
    assert info["games"][0].san(int(action)) in mates_in_two(info["games"][0])


def test_it_learns_a_mate_by_heart_until_the_network_alone_sees_it():
    worlds = make_worlds("chess", 8, fen=MATE_IN_ONE, history=1, max_plies=4)
    agent = agent_for(
        worlds, num_simulations=12, num_steps=4, minibatch_size=16, learning_rate=3e-3, num_epochs=4
    )
    game = ChessGame(MATE_IN_ONE, 1)
    legal = game.legal_actions()
    mating = legal.tolist().index(game.action("a1a8"))
    first = agent.evaluate([game])
    (before,), value_before = first.logits, first.values
    progress = list(agent.learn(worlds, Budget(updates=8)))
    last = agent.evaluate([game])
    (after,), value_after = last.logits, last.values
    assert softmax(before[legal])[mating] < 0.2 and softmax(after[legal])[mating] > 0.7
    assert abs(value_before[0]) < 0.6 and value_after[0] > 0.7
    assert [p.env_steps for p in progress] == [32 * (i + 1) for i in range(8)]
    episodes = progress[-1].episodes
    assert {episode.outcome for episode in episodes} == {"win"} and all(e.mate for e in episodes)


def test_a_traced_loss_teaches_the_same_and_is_traced_once():
    traced = torch._dynamo.utils.counters["stats"]
    before, learned = traced["unique_graphs"], []
    for compiled in (False, True):
        worlds = make_worlds("chess/kpk", 4, seed=0, history=1)  # never more than 32 moves
        agent = agent_for(
            worlds, num_simulations=2, num_steps=12, minibatch_size=16, cut_after=6, compile=compiled
        )
        agent.gradient_step.backend = "eager"
        *_, progress = agent.learn(worlds, Budget(updates=3))
        learned.append(agent.weights())
    assert progress.metrics["policy_loss"] > 0
    assert traced["unique_graphs"] - before == 1 and not torch._dynamo.utils.counters["graph_break"]
    for name, weight in learned[0].items():
        np.testing.assert_allclose(learned[1][name], weight, rtol=1e-5, atol=1e-6)


def test_games_begin_before_anyone_has_moved_and_are_cut_after_so_many_plies():
    worlds = make_worlds("chess", 3, seed=0, history=1, colour="black", max_plies=7)
    for cut_after, longest in ((4, 4), (9, 7)):
        agent = agent_for(worlds, num_simulations=2, num_steps=longest, cut_after=cut_after)
        (progress,) = agent.learn(worlds, Budget(updates=1))
        assert [episode.length for episode in progress.episodes] == [longest] * 3
        positions = agent._memory.sample(50, worlds.symmetries, np.random.default_rng(0), torch.device("cpu"))
        first = ChessGame(history=1).observe([ChessGame(history=1)])[0]
        assert (positions.obs.numpy() == first).all((1, 2, 3)).any(), "White's first move is learned too"


def test_playing_does_not_change_what_is_learned():
    finals = []
    for watched in (False, True):
        worlds = make_worlds("chess/kqk", 2, seed=3, history=1)
        agent = agent_for(worlds, num_simulations=4, num_steps=12, minibatch_size=8)
        for _ in agent.learn(worlds, Budget(updates=3)):
            if watched:
                agent.seed(5)
                agent.act(*make_worlds("chess/kqk", 2, history=1).reset())
        finals.append(agent.weights())
    assert all(np.array_equal(finals[0][key], finals[1][key]) for key in finals[0])


def test_it_plays_in_single_worlds_side_by_side():
    made = [make_world("chess/kqk", seed=seed, history=1) for seed in range(3)]
    worlds = EnvWorlds([lambda world=world: world for world in made], seed=0)
    obs, info = worlds.reset()
    assert [game.fen for game in info["games"]] == [world.game.fen for world in made]
    actions = agent_for(worlds, num_simulations=4).act(obs, info)[0].actions
    worlds.step(actions)
    assert [world.plies for world in made] == [2, 2, 2]


def test_it_plays_for_the_other_side_too():
    worlds = make_worlds("chess/kqk", 2, seed=0, history=1)
    player = agent_for(worlds, num_simulations=4)
    config = worlds.config.against(player, "alphazero")
    games = config.make_batch(2, seed=1)
    obs, info = games.reset()
    for _ in range(3):
        legal = [np.flatnonzero(mask)[0] for mask in info["action_mask"]]
        obs, _, _, truncated, info = games.step(np.array(legal))
        assert not truncated.any(), info


def test_worlds_without_positions_are_refused_by_name():
    worlds = make_worlds("gym/CartPole-v1", 1)
    agent = agent_for(worlds, network="mlp")
    with pytest.raises(SearchError, match="alphazero searches positions, which .* does not show; chess does"):
        next(agent.learn(worlds, Budget(updates=1)))
    with pytest.raises(SearchError, match='info has no "games"'):
        agent.act(*worlds.reset())
    box = make_worlds("gym/Pendulum-v1", 1)
    with pytest.raises(SearchError, match="alphazero plays games of moves"):
        agent_for(box, network="mlp")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_simulations", 0),
        ("gamma", 1.5),
        ("learning_rate", 0.0),
        ("c_visit", -1.0),
        ("network", "bord"),
        ("search_batch", 0),
        ("fpu_reduction", -0.1),
        ("policy_temperature", 0.0),
        ("resign_below", 0.5),
        ("resign_below", -1.5),
        ("resign_playthrough", 2.0),
    ],
)
def test_values_out_of_range_are_refused(field, value):
    with pytest.raises(ValueError, match=f"^{field} must"):
        AlphaZero(**{field: value})


def test_a_decision_is_whole():
    worlds = make_worlds("chess", 2, history=1, seed=0)
    decision, _ = agent_for(worlds, num_simulations=8).act(*worlds.reset())
    assert isinstance(decision, Decision)
    np.testing.assert_allclose(decision.probabilities.sum(1), 1, rtol=1e-5)
    assert (np.abs(decision.value) <= 1).all()

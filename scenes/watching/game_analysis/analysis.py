"""Analysis of a recorded chess game: what the scene's network and its search say of every move.

The expected score of a position is (1 + v) / 2, where v in [−1, 1] is the search's value. A move's drop is
the expected score of its player before it less that after it; `sim.viewer.contract.game_analysis.MARKS` has
the symbols. The search's own move is never marked: its drop says only that it had not seen far enough.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import chess
import chess.pgn
import numpy as np

from agents.alphazero.search_agent import SearchAgent
from scenes.build.agents import build_policy, scene_agent, scene_world
from scenes.build.devices import chosen_device
from scenes.schema import Scene, SceneError
from scenes.watching.labels import in_words
from sim.chess.board.state import evaluation_of
from sim.chess.opponents import action_masks
from sim.chess.pgn_games import RecordedGame
from sim.chess.rules.game import ChessGame
from sim.chess.world import Chess
from sim.protocols import Policy
from sim.records import Array, Decision
from sim.viewer.contract.game_analysis import AnalysedMove, GameAnalysis, SideSummary, mark_of

BATCH = 64  # positions at most that are searched at once
LINE = 8  # plies of a principal variation that are told
NAGS = {"?!": chess.pgn.NAG_DUBIOUS_MOVE, "?": chess.pgn.NAG_MISTAKE, "??": chess.pgn.NAG_BLUNDER}


@dataclass(frozen=True)
class Opinion:
    """Evaluation of one position that is not over, by network and search.

    Attributes:
        policy: the network's probability of each legal action.
        best: the action to play.
        line: the principal variation in SAN, `best` first.
        win: White's expected score; None where nobody estimates who wins.
        decision: of this position alone, for the window.
    """

    policy: dict[int, float]
    best: int
    line: str
    win: float | None
    decision: Decision


class Analyst:
    """A scene's chess agent as an evaluator of positions.

    Args:
        policy: the agent.
        history: positions in an observation.
        scores: whether its values are expected outcomes, not captures.
        trained: its training budget in words; "" if it is untrained.
    """

    def __init__(self, policy: Policy, history: int, *, scores: bool = True, trained: str = "") -> None:
        self.history, self.trained = history, trained
        self._policy, self._scores = policy, scores
        self._network: Policy = policy
        self.num_simulations = 0
        if isinstance(policy, SearchAgent) and policy.config.search != "none":
            network = copy.copy(policy)
            network.config = replace(policy.config, search="none")
            self._network = network
            self.num_simulations = policy.config.num_simulations

    def has_policy(self, game: ChessGame) -> bool:
        """Whether the agent has probabilities of moves."""
        return self._decided(self._network, [game]).probabilities is not None

    def opinions(self, games: Sequence[ChessGame]) -> list[Opinion]:
        """Opinions of N positions that are not over, as one batch."""
        network = self._decided(self._network, games)
        found = network if self._network is self._policy else self._decided(self._policy, games)
        return [self._opinion(i, game, network, found) for i, game in enumerate(games)]

    @staticmethod
    def _decided(policy: Policy, games: Sequence[ChessGame]) -> Decision:
        info: dict[str, Any] = {"action_mask": action_masks(games), "games": tuple(games)}
        return policy.act(ChessGame.observe(games), info, greedy=True)[0]

    def _opinion(self, i: int, game: ChessGame, network: Decision, found: Decision) -> Opinion:
        chances = network.probabilities
        policy = {} if chances is None else {action: float(chances[i, action]) for action in game.moves}
        best = int(found.actions[i])
        line = () if found.lines is None else tuple(found.lines[i])
        line = line[:LINE] if line[:1] == (best,) else (best,)
        evaluation = evaluation_of(found, game, outcome_values=self._scores, row=i)
        win = None if evaluation is None or not self._scores else evaluation.score
        return Opinion(policy, best, line_in_san(game, line), win, one_row(found, i, line))


def build_analyst(scene: Scene, *, device: str, checkpoint: Path | None) -> Analyst:
    """Build the analyst of a scene.

    Raises:
        SceneError: if the scene is not about chess, or its agent has no opinion of moves.
        CheckpointError: if its weights do not fit.
    """
    config = scene_world(scene) if scene.world is not None else None
    if not isinstance(config, Chess):
        plays = "has no world" if config is None else f"plays {config.name}"
        raise SceneError(
            f"--pgn: {scene.source.name} {plays}; games of chess are analysed, such as by chess-kqk"
        )
    agent = scene_agent(scene)
    worlds = config.make_batch(1, scene.seed)
    try:
        policy, card = build_policy(scene, worlds, config, chosen_device(device, agent), checkpoint)
    finally:
        worlds.close()
    scores = isinstance(policy, SearchAgent) or config.reward == "outcome"
    trained = in_words(card["trained"]) if card else ""
    analyst = Analyst(policy, config.history, scores=scores, trained=trained)
    if not analyst.has_policy(ChessGame(history=config.history)) and scene.agent is not None:
        raise SceneError(f'--pgn: agent "{scene.agent.use}" has no policy to analyse with')
    return analyst


class AnalysedGame:
    """A recorded game with the evaluations of its positions, which come in as they are found."""

    def __init__(self, record: RecordedGame) -> None:
        self.record = record
        self.opinions: list[Opinion | None] = [None] * len(record.positions)
        self.revision = 0
        self._known: tuple[int, tuple[AnalysedMove, ...]] = (-1, ())  # the moves as they were at a revision

    def __len__(self) -> int:
        return len(self.record.sans)

    @property
    def left(self) -> list[int]:
        """The positions that are still to be analysed; those in which the game is over need it not."""
        told = zip(self.record.positions, self.opinions, strict=True)
        return [ply for ply, (game, opinion) in enumerate(told) if game.reason is None and opinion is None]

    def work(self, analyst: Analyst, batch: int = BATCH) -> Iterator[list[tuple[int, Opinion]]]:
        """Analyse the positions in order, `batch` at a time; yields plies with their opinions for `take`."""
        left = self.left
        for first in range(0, len(left), batch):
            plies = left[first : first + batch]
            found = analyst.opinions([self.record.positions[ply] for ply in plies])
            yield list(zip(plies, found, strict=True))

    def take(self, found: Sequence[tuple[int, Opinion]]) -> None:
        """Add opinions that `work` has found."""
        for ply, opinion in found:
            self.opinions[ply] = opinion
        self.revision += 1

    def win(self, ply: int) -> float | None:
        """White's expected score in a position."""
        position, opinion = self.record.positions[ply], self.opinions[ply]
        outcome = position.outcome()
        if outcome is not None:
            return (1 + (outcome if position.turn else -outcome)) / 2
        return None if opinion is None else opinion.win

    def move(self, ply: int) -> AnalysedMove:
        """The move that leads to position `ply`, from 1."""
        record, opinion = self.record, self.opinions[ply - 1]
        number, san = record.number(ply), record.sans[ply - 1]
        if opinion is None:
            return AnalysedMove(number, san)
        before = record.positions[ply - 1]
        action = before.action(record.moves[ply - 1].uci())
        ranked = sorted(opinion.policy, key=lambda a: -opinion.policy[a])
        win, after = self.win(ply - 1), self.win(ply)
        drop = None if win is None or after is None else (win - after) * (1 if before.turn else -1)
        return AnalysedMove(
            number,
            san,
            policy=opinion.policy.get(action),
            rank=1 + sum(chance > opinion.policy[action] for chance in opinion.policy.values())
            if ranked
            else None,
            favourite=before.san(ranked[0]) if ranked else "",
            favourite_policy=opinion.policy[ranked[0]] if ranked else None,
            best=before.san(opinion.best),
            line=opinion.line,
            win_before=win,
            win_after=after,
            drop=drop,
            mark="" if drop is None or action == opinion.best else mark_of(drop),
        )

    def moves(self) -> tuple[AnalysedMove, ...]:
        """All moves, those that are not analysed yet without opinions."""
        if self._known[0] != self.revision:
            self._known = self.revision, tuple(self.move(ply) for ply in range(1, len(self) + 1))
        return self._known[1]

    def state(self, ply: int, status: str = "") -> GameAnalysis:
        """The analysis as it stands, at a position."""
        return GameAnalysis(
            moves=self.moves(),
            wins=tuple(self.win(k) for k in range(len(self) + 1)),
            ply=ply,
            black_begins=not self.record.positions[0].turn,
            title=title_of(self.record),
            sides=self.sides(),
            status=status or self.record.fault,
            revision=self.revision,
        )

    def sides(self) -> tuple[SideSummary, SideSummary]:
        """White's and Black's summary."""
        moves = self.moves()
        return self._summary(moves, chess.WHITE), self._summary(moves, chess.BLACK)

    def _summary(self, moves: Sequence[AnalysedMove], colour: chess.Color) -> SideSummary:
        """Summary of one side; a gain counts as no loss."""
        own = moves[self.record.positions[0].turn != colour :: 2]
        drops = [max(0.0, move.drop) for move in own if move.drop is not None]
        marks = [move.mark for move in own]
        mean = float(np.mean(drops)) if drops else 0.0
        return SideSummary(len(drops), mean, *(marks.count(mark) for mark in ("?!", "?", "??")))

    def rows(self) -> list[dict[str, Any]]:
        """One JSON object a move; see `json_row`."""
        return [self._row(ply, move) for ply, move in enumerate(self.moves(), 1)]

    def _row(self, ply: int, move: AnalysedMove) -> dict[str, Any]:
        before = self.record.positions[ply - 1]
        return {
            "ply": ply,
            "san": move.san,
            "uci": self.record.moves[ply - 1].uci(),
            "fen": before.fen,
            "policy": rounded(move.policy),
            "rank": move.rank,
            "favourite": move.favourite or None,
            "best": move.best or None,
            "line": move.line or None,
            "win_before": rounded(move.win_before),
            "win_after": rounded(move.win_after),
            "drop": rounded(move.drop),
            "mark": move.mark,
        }


def one_row(decision: Decision, i: int, line: tuple[int, ...]) -> Decision:
    """Decision of one position among several."""

    def row(array: Array | None) -> Array | None:
        return None if array is None else array[i : i + 1]

    return Decision(
        actions=decision.actions[i : i + 1],
        value=row(decision.value),
        visits=row(decision.visits),
        wdl=row(decision.wdl),
        lines=(line,),
    )


def annotated(game: AnalysedGame) -> str:
    """The game in Portable Game Notation, with marks as annotations and scores as comments."""
    record = game.record
    tree = chess.pgn.Game()
    tree.headers.update(record.headers)
    if record.positions[0].fen != chess.STARTING_FEN:
        tree.setup(record.positions[0].board)
    tree.headers["Result"] = record.result
    node: chess.pgn.GameNode = tree
    for played, move in zip(record.moves, game.moves(), strict=True):
        node = node.add_variation(played)
        if move.mark:
            node.nags.add(NAGS[move.mark])
        if move.win_after is not None:
            best = f"; best {move.best}" if move.mark else ""
            node.comment = f"expected score of White {move.win_after:.2f}{best}"
    return f"{tree}\n"


def rounded(value: float | None) -> float | None:
    """A number with four decimals; None stays."""
    return None if value is None else round(value, 4)


def line_in_san(game: ChessGame, line: Sequence[int]) -> str:
    """A line of actions in SAN, as far as it is legal."""
    words = []
    for action in line:
        if action not in game.moves:
            break
        words.append(game.san(action))
        game = game.play(action)
    return " ".join(words)


def title_of(record: RecordedGame) -> str:
    """Who played whom, and the result."""
    result = {"1-0": "1–0", "0-1": "0–1", "1/2-1/2": "½–½"}.get(record.result, "")
    return f"{record.player(chess.WHITE)} – {record.player(chess.BLACK)}" + (f"  {result}" if result else "")

"""Chess matches of a scene's agent against named opponents (`playfield evaluate SCENE --opponents …`).

Each opponent meets the agent in pairs of games: the same opening, both colours. Openings are the most
frequent lines of master games (`supervised.data.sources.chess_openings`), or where the scene's own games
begin. All games against one opponent are one batch, so that a search evaluates all positions at once.

Shares and scores come with 95 % intervals over pairs, and the score as an Elo difference
(`agents.evaluation.elo`). A game that is cut for its length counts half a point; one in which an engine
failed counts nothing and is told. Baseline: a random player in the agent's place, in the same openings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import chess
import numpy as np
from rich.table import Table

from agents.evaluation.elo import EloEstimate, elo_estimate, share_interval
from agents.evaluation.paired_match import TOGETHER, MatchPlayer, Opening, PairedGame, PairedMatch, PairTally
from scenes.build.agents import scene_agent
from scenes.evaluation.agents import format_protocol
from scenes.evaluation.match_pgn import PgnFile, pgn_game
from scenes.evaluation.match_rivals import (
    Contestant,
    chess_world,
    num_simulations,
    opponent_names,
    rival,
    scene_contestant,
)
from scenes.interruption import FAULTS, error_line, progress_bar
from scenes.report import Report
from scenes.schema import Scene, SceneError
from sim.chess.encoding import action_of
from sim.chess.endgames import STANDARD
from sim.chess.opponents import PlayerOpponent, random_move
from sim.chess.rules import ChessGame
from sim.chess.uci_player import EngineFaultError, MissingEngineError
from sim.chess.world import Chess
from sim.errors import RequestError, WorkError
from sim.plurals import number_of
from sim.storage.runs import seed_runs
from supervised.data.sources.chess_openings import LINES, PLIES, drawn_openings

EPISODES = 20  # games against each opponent
NODES = 64 * 1_024  # of all search trees in progress: 256 MiB
SHARES = ("win", "draw", "loss", "cut", "mates")


class MatchFailed(WorkError):
    """Matches of which not one game had a result."""


@dataclass
class MatchRecord:
    """The games against one opponent so far.

    Attributes:
        rival: the opponent.
        games: all of its match.
        chance: those of the random player in the agent's place; none against agents, which move slowly.
    """

    rival: Contestant
    games: list[PairedGame] = field(default_factory=list)
    chance: list[PairedGame] = field(default_factory=list)

    @property
    def counted(self) -> list[PairedGame]:
        """The games with a result."""
        return [game for game in self.games if game.points is not None]

    @property
    def failed(self) -> int:
        """How many games have no result because a player failed."""
        return sum(game.failed is not None for game in self.games)


@dataclass(frozen=True)
class MatchRequest:
    """What the command line asks for.

    Attributes:
        opponents: names, or lists of names with commas.
        episodes: games against each opponent, rounded up to pairs; None: `EPISODES`.
        checkpoint: instead of the scene's own.
        pgn: file for all games.
        overwrite: replace it where it exists.
    """

    opponents: Sequence[str]
    episodes: int | None = None
    checkpoint: Path | None = None
    pgn: Path | None = None
    overwrite: bool = False


def play_matches(scene: Scene, request: MatchRequest, *, device: str, say: Callable[[str], None]) -> Report:
    """Play the scene's agent against each opponent.

    Args:
        scene: of chess.
        request: opponents and games.
        device: ``auto``, ``cpu`` or ``cuda``.
        say: takes remarks: opponents that are missing, engines that failed.

    Returns:
        The answer of ``--json`` and a table. The metrics are over all opponents' games; ``elo`` stands among
        them where there is one opponent, and else in the breakdown. What Ctrl-C ended has `interrupted` set.

    Raises:
        RequestError: if the request is wrong, before anything is played.
        MatchFailed: if no game had a result.
        KeyboardInterrupt: if it was interrupted before a game had one.
    """
    episodes = EPISODES if request.episodes is None else request.episodes
    if episodes < 1:
        raise SceneError(f"--episodes must be at least 1, not {episodes}")
    if request.checkpoint is not None and len(seed_runs(request.checkpoint)) > 1:
        raise SceneError(f"{request.checkpoint} holds runs of several seeds: name the one that plays")
    names, config = opponent_names(request.opponents), chess_world(scene)
    file = None if request.pgn is None else PgnFile.at(request.pgn, overwrite=request.overwrite)
    with ExitStack() as engines:
        agent = scene_contestant(scene, scene.name, device=device, checkpoint=request.checkpoint, say=say)
        rivals, missing = _rivals(names, scene, device, engines, say)
        table = _Matches(scene, config, agent, -(-episodes // 2), file)
        interrupted = False
        try:
            for each in rivals:
                table.play(each)
        except KeyboardInterrupt:
            if not any(record.counted for record in table.records):
                raise
            interrupted = True
    if not any(record.counted for record in table.records):
        raise MatchFailed("no game had a result: " + "; ".join(table.faults() or ["nobody could play"]))
    return table.report(missing, interrupted=interrupted)


def _rivals(
    names: Sequence[str], scene: Scene, device: str, engines: ExitStack, say: Callable[[str], None]
) -> tuple[list[Contestant], dict[str, str]]:
    """The opponents, and why others are missing: an engine that is not there hinders nobody else.

    Raises:
        RequestError: if a name is wrong, or only engines were asked for and none is there.
    """
    rivals, missing = list[Contestant](), dict[str, str]()
    fault: MissingEngineError | EngineFaultError | None = None
    for name in names:
        try:
            rivals.append(rival(name, scene, device=device, open_engines=engines, say=say))
        except (MissingEngineError, EngineFaultError) as error:
            missing[name], fault = str(error), error
    if not rivals and fault is not None:
        raise fault
    for name, why in missing.items():
        say(f"{name} does not play: {why}")
    return rivals, missing


def match_openings(config: Chess, pairs: int, seed: int, rival_history: int) -> list[Opening]:
    """Openings of so many pairs of games: of the book, or where the world's own games begin."""
    other = replace(config, history=rival_history)
    if config.fen is not None:
        fens = [config.fen] * pairs
    elif config.start == STANDARD:
        start, seen = ChessGame(history=config.history), ChessGame(history=rival_history)
        lines = drawn_openings(pairs, seed)
        return [Opening(start, _actions(line), None if config == other else seen) for line in lines]
    else:  # seen from Black, so that no first move of White ends the game
        fens = []
        for pair in range(pairs):
            match = replace(config, colour="black").new_match()
            match.start(seed + pair)
            fens.append(match.first.fen)
    return [
        Opening(
            ChessGame(fen, config.history),
            rival_start=None if config == other else ChessGame(fen, rival_history),
        )
        for fen in fens
    ]


def _actions(line: Sequence[str]) -> tuple[int, ...]:
    """The actions of a line of UCI moves from the start."""
    return tuple(action_of(chess.Move.from_uci(uci), ply % 2 == 0) for ply, uci in enumerate(line))


class _Matches:
    """The matches of one command: plays them, and reports what was played."""

    def __init__(
        self, scene: Scene, config: Chess, agent: Contestant, pairs: int, file: PgnFile | None
    ) -> None:
        self._scene, self._config, self._agent, self._pairs, self._file = scene, config, agent, pairs, file
        self.records: list[MatchRecord] = []

    def play(self, against: Contestant) -> None:
        """Play one opponent's match, and the random player's, which is no part of the PGN.

        Raises:
            PgnError: if the file cannot be written.
            MatchFailed: if an agent broke down.
        """
        record = MatchRecord(against)
        self.records.append(record)
        openings = match_openings(self._config, self._pairs, self._scene.seed, against.history)
        simulations = max(self._agent.num_simulations, against.num_simulations)
        together = min(TOGETHER, max(2, NODES // simulations))
        event = f"{self._scene.title}: {self._scene.name} against {against.name}"
        try:
            match = self._match(self._agent.player, against, openings, together)
            record.games = match.games
            for game in self._shown(match, event):
                if self._file is not None:
                    self._file.append(pgn_game(game, self._config, event, self._agent.title, against.title))
            if not against.learned and record.counted:
                match = self._match(PlayerOpponent(random_move), against, openings, together)
                record.chance = match.games
                for _ in self._shown(match, f"a random player against {against.name}"):
                    pass
        except KeyboardInterrupt:
            self._keep_unfinished(record, event)
            raise
        except RequestError:
            raise
        except FAULTS as error:
            if isinstance(error, WorkError):
                raise
            raise MatchFailed(f"{event} stopped: {error_line(error)}") from error

    def _match(
        self, player: MatchPlayer, against: Contestant, openings: Sequence[Opening], together: int
    ) -> PairedMatch:
        limit, seed = self._config.max_plies, self._scene.seed
        return PairedMatch(player, against.player, openings, max_plies=limit, seed=seed, together=together)

    @staticmethod
    def _shown(match: PairedMatch, what: str) -> Iterator[PairedGame]:
        """The games of a match as they end, under a progress bar."""
        with progress_bar(what) as draw:
            for done, game in enumerate(match.play(), 1):
                tally = PairTally.of(match.games)
                won, drawn, lost = (int(n.sum()) for n in (tally.wins, tally.draws + tally.cut, tally.losses))
                draw((done, len(match.games), f"{won} won, {drawn} drawn, {lost} lost"))
                yield game

    def _keep_unfinished(self, record: MatchRecord, event: str) -> None:
        """Append the games in progress when the match was stopped."""
        if self._file is None:
            return
        for game in record.games:
            if not game.over and len(game.actions) > len(game.opening.actions):
                against = record.rival.title
                self._file.append(pgn_game(game, self._config, event, self._agent.title, against))

    def faults(self) -> list[str]:
        """Why games had no result, each reason once."""
        reasons = [game.reason for each in self.records for game in each.games if game.failed is not None]
        return list(dict.fromkeys(reasons))

    def report(self, missing: dict[str, str], *, interrupted: bool) -> Report:
        """The answer and the table of what was played so far."""
        records = [record for record in self.records if record.counted]
        rows = {record.rival.name: match_metrics(record.games) for record in records}
        games = [game for record in records for game in record.games]
        pooled = next(iter(rows.values())) if len(rows) == 1 else pooled_metrics([r.games for r in records])
        chance = [record.chance for record in records if any(g.points is not None for g in record.chance)]
        ci95 = pooled.pop("ci95")
        answer = {
            "metrics": pooled,
            "baseline": {k: v for k, v in pooled_metrics(chance).items() if k != "ci95"} if chance else {},
            "breakdown": {record.rival.name: match_metrics(record.games) for record in records},
            "n": sum(game.points is not None for game in games),
            "ci95": ci95,
            "protocol": self._protocol(records),
            "missing": missing,
            "file": str(self._file.path) if self._file is not None and self._file.games else None,
        }
        table = _table(self._scene, records, answer["protocol"])
        return Report(answer, [table, *self._remarks(missing)], interrupted)

    def _remarks(self, missing: dict[str, str]) -> list[str]:
        lines = [f"{name} did not play: {why}" for name, why in missing.items()]
        for record in self.records:
            if record.failed:
                reasons = dict.fromkeys(game.reason for game in record.games if game.failed is not None)
                lines.append(
                    f"{number_of(record.failed, 'game')} against {record.rival.name} without a result: "
                    + "; ".join(reasons)
                )
        if self._file is not None and self._file.games:
            lines.append(f"{number_of(self._file.games, 'game')} in {self._file.path}")
        return lines

    def _protocol(self, records: Sequence[MatchRecord]) -> dict[str, Any]:
        """The rules of the matches; see `sim.chess.world.Chess.protocol`."""
        rules = self._config.protocol()
        agent = scene_agent(self._scene)
        opening = "its own starting positions"
        if self._config.fen is not None:
            opening = "the FEN"
        elif self._config.start == STANDARD:
            opening = f"{PLIES} plies of master games, seed {self._scene.seed}, of {LINES} lines"
        return {
            **{key: rules[key] for key in ("world", "fen", "draws", "max_plies", "history", "chess")},
            "openings": opening,
            "colours": "both of each opening",
            "cut": "half a point",
            "opponents": "; ".join(record.rival.title for record in records),
            "agent": self._agent.title,
            "num_simulations": num_simulations(agent),
            "actions": "greedy" if agent.greedy else "sampled",
        }


def match_metrics(games: Sequence[PairedGame]) -> dict[str, Any]:
    """Metrics of the games against one opponent, with a result each but for ``failed``.

    The shares `win`, `draw`, `loss` and `cut` sum to 1, `mates` is the share of wins by mate; `score` and its
    part by colour, `elo` to the opponent (a one-sided bound where one end of its interval is None), mean
    `length` in plies, `games`, how many `failed`, and intervals as `ci95`.
    """
    tally = PairTally.of(games)
    elo = elo_estimate(tally.points, tally.games)
    metrics = pooled_metrics([games])
    metrics["elo"] = elo.elo
    metrics["ci95"]["elo"] = [elo.low, elo.high]
    return metrics


def pooled_metrics(matches: Sequence[Sequence[PairedGame]]) -> dict[str, Any]:
    """The metrics of `match_metrics` over several opponents' games, but for the Elo difference."""
    tallies = [PairTally.of(games) for games in matches]
    played = np.concatenate([tally.games for tally in tallies])
    counts = {
        "win": np.concatenate([tally.wins for tally in tallies]),
        "draw": np.concatenate([tally.draws for tally in tallies]),
        "loss": np.concatenate([tally.losses for tally in tallies]),
        "cut": np.concatenate([tally.cut for tally in tallies]),
        "mates": np.concatenate([tally.mates for tally in tallies]),
        "score": np.concatenate([tally.points for tally in tallies]),
    }
    counted = [game for games in matches for game in games if game.points is not None]
    metrics: dict[str, Any] = {name: float(hits.sum() / played.sum()) for name, hits in counts.items()}
    for name, side in (("score_white", 0), ("score_black", 1)):
        points = [game.points for game in counted if game.side == side and game.points is not None]
        metrics[name] = float(np.mean(points)) if points else None
    metrics["length"] = float(np.mean([len(game.actions) for game in counted]))
    metrics["games"] = len(counted)
    metrics["failed"] = sum(game.failed is not None for games in matches for game in games)
    metrics["ci95"] = {name: list(share_interval(hits, played)) for name, hits in counts.items()}
    return metrics


def _table(scene: Scene, records: Sequence[MatchRecord], protocol: dict[str, Any]) -> Table:
    """Table with a row an opponent."""
    table = Table(title=f"{scene.title}: paired openings, both colours")
    table.add_column("opponent")
    headings = ("games", "win (mates)", "draw", "loss", "cut", "no result", "score", "Elo difference (95 %)")
    for heading in (*headings, "as White", "as Black", "plies", "random player"):
        table.add_column(heading, justify="right")
    for record in records:
        found = match_metrics(record.games)
        games = found["games"]
        won, drawn, lost, cut, mates = (round(found[name] * games) for name in SHARES)
        low, high = found["ci95"]["elo"]
        chance = [game.points for game in record.chance if game.points is not None]
        sides = [found["score_white"], found["score_black"]]
        table.add_row(
            record.rival.name,
            str(games),
            f"{won} ({mates})",
            *(str(n) for n in (drawn, lost, cut, found["failed"])),
            f"{found['score']:.1%}",
            str(EloEstimate(found["elo"], low, high)),
            *("–" if side is None else f"{side:.1%}" for side in sides),
            f"{found['length']:.0f}",
            f"{np.mean(chance):.1%}" if chance else "–",
        )
    table.caption = format_protocol(protocol)
    return table

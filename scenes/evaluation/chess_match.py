"""Chess matches of a scene's agent against named opponents (`playfield evaluate SCENE --opponents …`).

Each opponent meets the agent in pairs of games: the same opening, both colours. Openings are the most
frequent lines of master games (`supervised.data.sources.chess_games.chess_openings`), or where the scene's
own games begin. All games against one opponent are one batch, so that a search evaluates them at once.

Shares and scores come with 95 % intervals over pairs, and the score as an Elo difference
(`agents.evaluation.elo`). A game that is cut for its length counts half a point; one in which an engine
failed counts nothing and is told. Baseline: a random player in the agent's place, in the same openings.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agents.evaluation.openings import book_openings
from agents.evaluation.paired_match import (
    TOGETHER,
    MatchPlayer,
    Opening,
    PairedGame,
    PairedMatch,
    PairTally,
    PolicyPlayer,
)
from scenes.build.agents import scene_agent
from scenes.evaluation.match_pgn import PgnError, PgnFile, pgn_game
from scenes.evaluation.match_rivals import (
    Contestant,
    chess_world,
    opponent_names,
    rival,
    scene_contestant,
)
from scenes.evaluation.match_table import MatchRecord, match_answer, match_remarks, match_table
from scenes.interruption import FAULTS, error_line, progress_bar
from scenes.report import Report
from scenes.schema import Scene, SceneError
from sim.chess.endgames import STANDARD
from sim.chess.opponents import PlayerOpponent, random_move
from sim.chess.rules.game import ChessGame
from sim.chess.uci_player import EngineFaultError, MissingEngineError
from sim.chess.world import Chess
from sim.errors import RequestError, WorkError
from sim.storage.runs import seed_runs
from supervised.data.sources.chess_games.chess_openings import LINES, PLIES

EPISODES = 20  # games against each opponent
NODES = 64 * 1_024  # of all search trees in progress: 256 MiB


class MatchFailed(WorkError):
    """Matches of which not one game had a result."""


@dataclass(frozen=True)
class MatchRequest:
    """Request for matches: opponents, number of games, files.

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
    names = opponent_names(request.opponents)
    chess_world(scene)  # refuses other worlds before anything is loaded
    file = None if request.pgn is None else PgnFile.at(request.pgn, overwrite=request.overwrite)
    with ExitStack() as engines:
        agent = scene_contestant(scene, scene.name, device=device, checkpoint=request.checkpoint, say=say)
        rivals, missing = _rivals(names, scene, device, engines, say)
        matches = _Matches(scene, agent, -(-episodes // 2), file, say)
        interrupted = _played(matches, rivals)
    records = matches.records
    if not any(record.counted for record in records):
        whys = [why for record in records for why in record.faults()]
        raise MatchFailed("no game had a result: " + "; ".join(dict.fromkeys(whys)))
    written = (file.path, file.games, matches.unwritten) if file is not None else None
    answer = match_answer(records, matches.protocol(), missing, written)
    table = match_table(scene.title, records, answer["protocol"])
    return Report(answer, [table, *match_remarks(records, missing, written)], interrupted)


def _played(matches: _Matches, rivals: Sequence[Contestant]) -> bool:
    """Play all matches; whether Ctrl-C ended them, after the first result."""
    try:
        for each in rivals:
            matches.play(each)
    except KeyboardInterrupt:
        if not any(record.counted for record in matches.records):
            raise
        return True
    return False


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
            missing[name], fault = getattr(error, "why", str(error)), error
    if not rivals and fault is not None:
        raise fault
    for name, why in missing.items():
        say(f"{name} is left out: {why}")
    return rivals, missing


def match_openings(config: Chess, pairs: int, seed: int, rival_history: int) -> list[Opening]:
    """Openings of so many pairs of games: of the book, or where the world's own games begin."""
    if config.fen is None and config.start == STANDARD:
        return book_openings(pairs, seed, config.history, rival_history)
    same = rival_history == config.history
    fens = [config.fen or _first_fen(config, seed + pair) for pair in range(pairs)]
    return [
        Opening(ChessGame(fen, config.history), rival_start=None if same else ChessGame(fen, rival_history))
        for fen in fens
    ]


def _first_fen(config: Chess, seed: int) -> str:
    """Where a game of the world begins, so that no first move of White ends it."""
    match = replace(config, colour="black").new_match()
    match.start(seed)
    return match.first.fen


class _Matches:
    """The matches of one command.

    Attributes:
        records: of the opponents so far.
        unwritten: why the PGN file is not complete; "" if it is.
    """

    def __init__(
        self,
        scene: Scene,
        agent: Contestant,
        pairs: int,
        file: PgnFile | None,
        say: Callable[[str], None],
    ) -> None:
        self._scene, self._config, self._agent = scene, chess_world(scene), agent
        self._pairs, self._file, self._say = pairs, file, say
        self._written: set[PairedGame] = set()
        self.records: list[MatchRecord] = []
        self.unwritten = ""

    def play(self, rival: Contestant) -> None:
        """Play one opponent's match, and the random player's, which is no part of the PGN.

        A player that breaks down ends its match, which is told and not scored; the next one is played.
        """
        record = MatchRecord(rival)
        self.records.append(record)
        openings = match_openings(self._config, self._pairs, self._scene.seed, rival.history)
        event = f"{self._scene.title}: {self._scene.name} against {rival.name}"
        for player in (self._agent.player, rival.player):  # a match does not depend on those before it
            if isinstance(player, PolicyPlayer):
                player.seed(self._scene.seed)
        try:
            match = self._match(self._agent.player, rival, openings)
            record.games = match.games
            for game in _shown(match, event):
                self._write(game, event, rival)
            if not rival.learned and record.counted:
                match = self._match(PlayerOpponent(random_move), rival, openings)
                record.chance = match.games
                deque(_shown(match, f"a random player against {rival.name}"), maxlen=0)
        except KeyboardInterrupt:  # what is in progress, or ended since the last yield, is kept as it is
            for game in record.games:
                if len(game.actions) > len(game.opening.actions):
                    self._write(game, event, rival)
            raise
        except RequestError:
            raise
        except FAULTS as error:
            record.fault = error_line(error)
            self._say(f"{event} broke down: {record.fault}")
        finally:
            rival.rest()

    def _match(self, player: MatchPlayer, rival: Contestant, openings: Sequence[Opening]) -> PairedMatch:
        simulations = max(self._agent.num_simulations, rival.num_simulations)
        return PairedMatch(
            player,
            rival.player,
            openings,
            max_plies=self._config.max_plies,
            seed=self._scene.seed,
            together=min(TOGETHER, NODES // simulations),
        )

    def _write(self, game: PairedGame, event: str, rival: Contestant) -> None:
        """Append a game to the file, once; a file that cannot be written is told and left as it is."""
        if self._file is None or self.unwritten or game in self._written:
            return
        self._written.add(game)
        try:
            self._file.append(pgn_game(game, self._config, event, self._agent.title, rival.title))
        except PgnError as error:
            self.unwritten = str(error)
            self._say(f"{error}; the match goes on")

    def protocol(self) -> dict[str, Any]:
        """The rules of the matches; see `sim.chess.world.Chess.protocol`."""
        rules, agent = self._config.protocol(), scene_agent(self._scene)
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
            "opponents": "; ".join(record.rival.title for record in self.records),
            "agent": self._agent.title,
            "num_simulations": self._agent.num_simulations,
            "actions": "greedy" if agent.greedy else "sampled",
        }


def _shown(match: PairedMatch, what: str) -> Iterator[PairedGame]:
    """The games of a match as they end, under a progress bar."""
    with progress_bar(what) as draw:
        for done, game in enumerate(match.play(), 1):
            tally = PairTally.of(match.games)
            won, drawn, lost = (int(n.sum()) for n in (tally.wins, tally.draws + tally.cut, tally.losses))
            draw((done, len(match.games), f"{won} won, {drawn} drawn, {lost} lost"))
            yield game

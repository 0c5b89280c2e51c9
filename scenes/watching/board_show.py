"""Chess board show: one game between two seats, ply by ply, as a `Show` that the window steps.

Whoever is to move thinks in a thread of its own: meanwhile the board can be flipped, a move taken back or
entered early, a new game begun. A person sits on the side at the bottom, or the scene's agent.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import chess
import numpy as np

from scenes.schema import Scene
from scenes.watching.action_options import ranked_options
from scenes.watching.board_game import YOU, BoardGame
from scenes.watching.board_players import Roster, installed_engines, policy_player
from scenes.watching.labels import chip, player_name
from scenes.watching.live_agent import LiveAgent
from scenes.watching.staged_worlds import StagedWorlds
from sim.chess.board.notation import NotationError, read_game
from sim.chess.board.table_renderer import TableRenderer
from sim.chess.opponents import action_masks
from sim.chess.rules.game import CHECKMATE, ChessGame
from sim.chess.tablebase import solve
from sim.chess.world import SHAPING, Chess
from sim.errors import RequestError
from sim.records import Array, Decision, Episode
from sim.viewer.contract.board import BoardState, Evaluation
from sim.viewer.contract.gesture import Answer, Gesture
from sim.viewer.contract.moment import Moment, Readout

IN_PGN = {YOU: "Human"}
PLIES_PER_SECOND = 2.0


class BoardShow:
    """Show of chess at a board of two seats. Satisfies `Show`, `Interactive`, `Working`, `Hurrying`."""

    num_worlds = 1
    action_names: tuple[str, ...] = ()
    action_labels: tuple[str, ...] = ()
    action_limit = 1.0
    steps_per_second = PLIES_PER_SECOND

    def __init__(self, scene: Scene, config: Chess, *, device: str, checkpoint: Path | None = None) -> None:
        """Build the agent and set up the board.

        Args:
            scene: what is played.
            config: of its world.
            device: for the agent.
            checkpoint: instead of the scene's own.
        """
        self.title, self.protocol = scene.title, chip(config.protocol())
        self._worlds = StagedWorlds.open(config, 1, scene.seed)
        self.live_agent = LiveAgent(scene, self._worlds, config, device=device, checkpoint=checkpoint)
        self.training = self.live_agent.training
        self.agent = player_name(self.live_agent.name)
        policy = self.live_agent.policy
        think = None if policy is None else policy_player(policy, greedy=self.live_agent.greedy)
        self._roster = roster = Roster(self.agent, think, config.start, installed_engines())
        asked = any(change.startswith("world.opponent") for change in scene.changes)
        against_agent = think is not None and config.start == "standard" and not asked
        self.game = BoardGame(
            config,
            roster,
            opponent=config.opponent,
            rival=self.agent if against_agent else config.opponent,
        )
        self._config = config
        self._distances = DistanceToMate(config.start)
        self._count = 0  # of moments
        self._score = 0.0
        self._moment: Moment | None = None
        self._carried: Evaluation | None = None  # of an earlier position
        self._pending: Callable[[], object] | None = None  # what the next step does instead of a move
        self._ended = -1  # number of the last game whose end was told
        self._renderer = TableRenderer(self.game.table)
        self.game.premove = self._renderer.take_premove
        self.abilities = self._renderer.abilities | self.live_agent.abilities

    # Show

    def start(self, seed: int | None) -> Moment:
        """Begin anew; see `sim.viewer.contract.show.Show`."""
        self.live_agent.start(seed)
        self.game.reseed(seed)
        self.game.begin()
        return self._seen(None)

    def step(self, person: int | None, *, drawn: bool = True) -> Moment:
        """Play one move, or begin the next game; see `sim.viewer.contract.show.Show`."""
        mover = self.game.person_to_move
        before, decision = self.game.table.game, self._decision
        pending, self._pending = self._pending, None
        if pending is not None:
            pending()
        else:
            self.game.advance(person)
        self._carry(before, decision)
        return self._seen(person if mover else None)

    def close(self) -> None:
        """Stop thinking, and close the world."""
        self.game.close()
        self.live_agent.close()
        self._worlds.close()

    # Interactive, Working, Hurrying

    @property
    def waits(self) -> bool:
        """Whether no step makes sense now; see `sim.viewer.contract.gesture.Interactive`."""
        return self.game.waits

    @property
    def hurries(self) -> bool:
        """Whether a step is due at once; see `sim.viewer.contract.gesture.Hurrying`."""
        return self.game.hurries

    def listen(self, tell: Callable[[], None]) -> None:
        """See `sim.viewer.contract.show.Working`."""
        self.game.listen(tell)
        self._distances.tell = tell

    def touch(self, gesture: Gesture) -> Answer:
        """Take a gesture; see `sim.viewer.contract.gesture.Interactive`."""
        obey: dict[str, Callable[[Gesture], Answer]] = {
            "person": self._person,
            "news": self._news,
            "hold": self._hold,
            "take_back": self._take_back,
            "new_game": self._new_game,
            "copy": self._copy,
            "save": lambda gesture: Answer(document=(".pgn", self._pgn())),
            "type": self._read,
        }
        if gesture.kind in obey:
            return obey[gesture.kind](gesture)
        return self._renderer.touch(gesture)

    def look(self) -> Moment:
        """The newest moment, drawn again."""
        assert self._moment is not None
        self._moment = replace(self._moment, **self._drawn(self._count - 1))
        return self._moment

    # Gestures

    def _person(self, gesture: Gesture) -> Answer:
        answer = self._renderer.touch(gesture)
        self._renderer.premove = None
        self.game.set_person(gesture.on)
        self._renderer.note()  # the names have changed
        return answer

    def _news(self, gesture: Gesture) -> Answer:
        if self.game.flag():
            self._pending = lambda: None
            return Answer(go=True)
        return Answer(redraw=True)

    def _hold(self, gesture: Gesture) -> Answer:
        self.game.hold(gesture.on)
        return Answer(redraw=True)

    def _take_back(self, gesture: Gesture) -> Answer:
        if not self.game.take_back():
            return Answer(message="there is no move to take back")
        self._renderer.premove = None
        self._pending = lambda: None
        return Answer(go=True, message="taken back")

    def _new_game(self, gesture: Gesture) -> Answer:
        colour, _, rest = gesture.name.partition("|")
        opponent, _, control = rest.rpartition("|")
        try:
            self.game.choose(colour, opponent, control)
        except (RequestError, ValueError) as error:
            return Answer(message=str(error))
        self._pending = lambda: None
        return Answer(go=True)

    def _copy(self, gesture: Gesture) -> Answer:
        if gesture.name == "fen":
            return Answer(copied=(".fen", self.game.table.game.fen))
        return Answer(copied=(".pgn", self._pgn()))

    def _read(self, gesture: Gesture) -> Answer:
        """Go on from a FEN or PGN; one that cannot be read leaves the game as it is."""
        try:
            read = read_game(gesture.name)
        except NotationError as error:
            return Answer(message=str(error))
        self.game.begin(read)
        self._pending = lambda: None
        return Answer(go=True, message=f"{len(read.actions)} plies read" if read.actions else "position read")

    def _pgn(self) -> str:
        return self.game.table.pgn(self.title, IN_PGN | self._roster.titles)

    # Moments

    @property
    def _decision(self) -> Decision | None:
        thought = self.game.thinker.thought
        return None if thought is None else thought.decision

    def _carry(self, before: ChessGame, decision: Decision | None) -> None:
        """Keep the evaluation of the position before, for one that nobody has evaluated."""
        table = self.game.table
        if not table.moves:
            self._carried = None
        if table.before is before and self._moment is not None and self._moment.board is not None:
            found = self._moment.board.evaluation
            if decision is not None and found is not None:
                self._carried = found._replace(source=f"before {table.moves[-1].san}")

    def _seen(self, person: int | None) -> Moment:
        table = self.game.table
        if self._renderer.table is not table:
            self._renderer.seat(table)
            self._score, self._carried = 0.0, None
        self._renderer.note()
        reward, episodes = self._reward(), tuple[Episode, ...]()
        self._score += reward
        if table.over and self._ended != self.game.number:
            self._ended = self.game.number
            length = sum(move.mover == table.names[table.colour] for move in table.moves)
            mate = table.outcome == "win" and table.reason == "checkmate"
            episodes = (Episode(self._score, length, table.outcome, mate),)
        number, self._count = self._count, self._count + 1
        last = np.array([table.moves[-1].action]) if table.moves else None
        self._moment = Moment(
            reward=np.array([reward]),
            score=np.array([self._score]),
            length=np.array([len(table.moves)]),
            actions=last,
            person=person is not None,
            episodes=episodes,
            **self._drawn(number),
        )
        return self._moment

    def _reward(self) -> float:
        """The reward of the last ply, for the side at the bottom."""
        table, config = self.game.table, self._config
        just = table.over and self._ended != self.game.number
        outcome = {"win": 1.0, "loss": -1.0}.get(table.outcome, 0.0) if just else 0.0
        if config.reward == "capture":
            return float(self.game.captured)
        return outcome if config.reward == "outcome" else outcome + SHAPING * self.game.captured

    def _drawn(self, number: int) -> dict[str, Any]:
        """What can change while the position stands: picture, decision, evaluation, read-outs."""
        decision, game = self._decision, self.game.table.game
        mask = action_masks([game])[0]
        return {
            "pictures": (self._renderer.draw(),),
            "decision": decision,
            "options": ranked_options(game.san, mask, decision),
            "asks": self._renderer.asks,
            "caption": self._renderer.caption,
            "readouts": self._distances.readouts(game),
            "attribution": self._attribution(game, mask),
            "board": self._board_state(decision, number),
        }

    def _attribution(self, game: ChessGame, mask: Array) -> Any:
        info = {"action_mask": mask[None], "games": (game,)}
        return self.live_agent.attribution(ChessGame.observe([game])[0], info) if mask.any() else None

    def _board_state(self, decision: Decision | None, number: int) -> BoardState:
        game, table = self.game, self.game.table
        state = self._renderer.state(decision, number, outcome_values=self._config.reward == "outcome")
        thinking = f"{table.names[table.game.turn]} is thinking …" if game.thinking else ""
        return replace(
            state,
            game=game.number,
            evaluation=state.evaluation or self._final_evaluation() or self._carried,
            thinking=thinking,
            clocks=None if table.clock is None else table.clock.times(),
            offer=game.offer(),
        )

    def _final_evaluation(self) -> Evaluation | None:
        """The evaluation of a game that is over: its result."""
        table = self.game.table
        if table.result == "*":
            return None
        white = table.result == "1-0"
        if table.result == "1/2-1/2":
            return Evaluation(0.0, 1.0, 0.0, "result")
        return Evaluation(float(white), 0.0, float(not white), "result")


class DistanceToMate:
    """Distance to mate of king and queen or rook against king, once the tablebase is computed.

    Args:
        start: of the world; one that is solved is computed at once, others when they come up, in a thread.
    """

    def __init__(self, start: str) -> None:
        self.tell: Callable[[], None] = lambda: None
        self._solved: set[str] = set()
        self._begun: set[str] = set()
        if start in ("kqk", "krk"):
            self._solve(start[1])

    def readouts(self, game: ChessGame) -> tuple[Readout, ...]:
        """``("tablebase", "mate in 7", "moves")`` or ``("tablebase", "draw")``; none for other endgames."""
        board = game.board
        letter = "q" if board.queens else "r"
        men = chess.popcount(board.occupied)
        if men != 3 or not (board.queens | board.rooks):
            return ()
        if game.reason is not None:
            return (Readout("tablebase", "mate" if game.reason == CHECKMATE else "draw"),)
        if letter not in self._solved:
            if letter not in self._begun:
                self._begun.add(letter)
                threading.Thread(target=self._solve, args=(letter,), name="tablebase", daemon=True).start()
            return (Readout("tablebase", "computing …"),)
        plies = solve(letter).plies(board)
        if plies is None:
            return (Readout("tablebase", "draw"),)
        moves = (plies + 1) // 2
        return (Readout("tablebase", f"mate in {moves}", "move" if moves == 1 else "moves"),)

    def _solve(self, letter: str) -> None:
        solve(letter)
        self._solved.add(letter)
        self.tell()

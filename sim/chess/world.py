"""Chess environment: one game against an opponent, or a batch of games against one.

A step is the agent's move and the opponent's reply. Observations are the planes of
`sim.chess.rules.encoding` from the agent's side, actions its 4,672 moves; only those that
``info["action_mask"]`` allows can be played, any other raises `sim.vector.ActionError`.

| info | single | batch | is |
|---|---|---|---|
| action_mask | (4672,) bool | (N, 4672) bool | the legal actions; none when the rules ended the game |
| fen | str | (N,) str | the position |
| ply | int | (N,) int64 | moves of both sides since the start |
| outcome | str | (N,) str | for the agent "win", "draw", "loss"; "" while it goes on, and if it was cut |
| mate | bool | (N,) bool | whether the game ended by checkmate, either side's |
| reason | str | (N,) str | how it ended, "" while it goes on |
| games | a `ChessGame` | N of them | as a tuple: the positions, for searches and engines |

In a batch the end of a game stands in ``info["final_info"]``.

Rewards by name: `outcome` is +1, 0 or −1 at the end; `capture` is the pawns' worth that the agent took
less what it lost in the step (pawn 1, knight 3, bishop 3, rook 5, queen 9; promotions do not count);
`shaped` is `outcome` + 0.01 · `capture`: a whole army of 39 is worth less than half a mate.

The rules end a game (``terminated``) by checkmate, stalemate, insufficient material, threefold
repetition and fifty moves, the last two at once (`sim.chess.rules.game`). It is cut (``truncated``) at the
agent's first turn after `max_plies`, and when the opponent resigns, crashes or breaks the rules; the
observation and mask of a game cut on the opponent's turn are those of the agent if it were to move.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from importlib.metadata import version
from typing import Any, Literal

import chess
import chess.pgn
import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete

from sim.chess.batch import ChessWorlds
from sim.chess.board.interactive_renderer import ChessRenderer
from sim.chess.endgames import STANDARD, STARTS
from sim.chess.match import Match, open_games, step_games
from sim.chess.opponents import OPPONENTS, SOLVED, SOLVERS, action_masks, make_opponent
from sim.chess.rules import encoding
from sim.chess.rules.game import HISTORY, ChessGame, PositionError, observations
from sim.chess.starts import can_end, random_by_distance, random_placement
from sim.fields import checked_value, nearest, type_hints
from sim.protocols import Policy
from sim.records import Array, Percept
from sim.starts import Starts
from sim.vector import ActionError, Info

SHAPING = 0.01  # of a pawn, beside a win of 1


@dataclass(frozen=True)
class Chess:
    """Configuration of the worlds ``chess`` and ``chess/<start>``; its fields are the scene's keys."""

    start: str = STANDARD  # or a name in `sim.chess.endgames.STARTS`: White has the winning pieces and moves
    colour: Literal["white", "black", "random"] = "white"  # the agent's side
    opponent: Literal["random", "greedy", "perfect"] = "random"  # perfect: kqk and krk only, which are solved
    reward: Literal["outcome", "capture", "shaped"] = "outcome"
    fen: str | None = None  # begin here instead
    by_distance: bool = False  # kqk and krk: each distance to mate in plies is equally likely
    history: int = HISTORY  # positions in an observation
    max_plies: int = 512  # moves of both sides; Silver et al. 2018

    def __post_init__(self) -> None:
        """Refuse starts from which there is no game.

        Raises:
            ValueError: naming the field.
        """
        hints = type_hints(Chess)
        for key in ("colour", "opponent", "reward"):
            checked_value(getattr(self, key), hints[key], key)
        if self.start != STANDARD and self.start not in STARTS:
            raise ValueError(f'there is no start "{self.start}"; {nearest(self.start, (STANDARD, *STARTS))}')
        if not 1 <= self.history <= 64:
            raise ValueError(f"history must be in 1…64, not {self.history}")
        if self.max_plies < 1:
            raise ValueError(f"max_plies must be at least 1, not {self.max_plies}")
        if self.opponent in SOLVERS and self.start not in SOLVED:
            solved = " and ".join(f"chess/{start}" for start in SOLVED)
            raise ValueError(
                f'opponent "{self.opponent}" plays {solved} only, which are solved; this is {self.name}'
            )
        if self.by_distance and self.start not in SOLVED:
            raise ValueError(
                f"by_distance needs a start that is solved, such as chess/kqk; this is {self.name}"
            )
        if self.fen is not None:
            if self.start != STANDARD:
                raise ValueError(f'give either fen or the start "{self.start}", not both')
            self._check_game(ChessGame(self.fen))

    def _check_game(self, game: ChessGame) -> None:
        if game.reason is not None:
            raise ValueError(f'the game is over at the FEN "{self.fen}": {game.reason}')
        agent_first = self.colour == ("white" if game.turn else "black")
        if not agent_first and can_end(game):
            raise ValueError(f'the opponent could end the game before you move at the FEN "{self.fen}"')

    @staticmethod
    def variants() -> list[str]:
        """The named endgames."""
        return list(STARTS)

    @property
    def name(self) -> str:
        """``chess``, or such as ``chess/kqk``."""
        return "chess" if self.start == STANDARD else f"chess/{self.start}"

    def make(
        self, seed: int, opponent: Policy | None = None, *, starts: Starts[str] | None = None
    ) -> ChessWorld:
        """Make one game, against the named opponent or a policy in its place.

        It begins at the FENs that `starts` offers, where there can be a game.
        """
        return ChessWorld(self, seed, opponent, starts)

    def make_batch(
        self,
        num_envs: int,
        seed: int,
        opponent: Policy | None = None,
        *,
        starts: Starts[str] | None = None,
    ) -> ChessWorlds:
        """Make `num_envs` games; a policy in the opponent's place is asked for all of them at once."""
        return ChessWorlds(self, num_envs, seed, opponent, starts)

    def against(self, policy: Policy, label: str) -> Against:
        """The same world with `policy` as opponent, named `label` in the protocol."""
        return Against(self, policy, label)

    def rivals(self) -> dict[str, Chess]:
        """The same world against each built-in opponent, by name, for scores broken down by opponent."""
        names: Any = [*OPPONENTS, *(SOLVERS if self.start in SOLVED else ())]
        return {name: replace(self, opponent=name) for name in names}

    def protocol(self) -> dict[str, str | int | float | bool]:
        """The evaluation rules that go with a score."""
        return {
            "world": self.name,
            "fen": self.fen or (self._placement() if self.start != STANDARD else chess.STARTING_FEN),
            "opponent": self.opponent,
            "reward": self.reward,
            "colour": self.colour,
            "draws": "FIDE; threefold repetition and fifty moves end the game at once",
            "max_plies": self.max_plies,
            "history": self.history,
            "chess": version("chess"),
        }

    def _placement(self) -> str:
        return "random distance to mate" if self.by_distance else "random placement"

    def new_match(self, starts: Starts[str] | None = None) -> Match:
        """A game that `sim.chess.match.open_games` can start."""
        return Match(partial(self._setup, starts), self.colour, self.max_plies)

    def _setup(
        self, starts: Starts[str] | None, generator: np.random.Generator, colour: chess.Color
    ) -> ChessGame:
        if starts is not None:
            offered = starts(int(generator.integers(2**31)), partial(self._fault, colour))
            if offered is not None:
                return ChessGame(offered, self.history)
        fen = self.fen or chess.STARTING_FEN
        if self.start != STANDARD:
            if self.by_distance:
                fen = random_by_distance(self.start, generator, colour)
            else:
                fen = random_placement(self.start, generator, agent_first=colour == chess.WHITE)
        return ChessGame(fen, self.history)

    @staticmethod
    def _fault(colour: chess.Color, fen: str) -> str:
        """Why there is no game from here; "" if there is one."""
        try:
            game = ChessGame(fen)
        except PositionError as error:
            return str(error).rpartition(": ")[2]
        if game.reason is not None:
            return f"over: {game.reason}"
        return "over before the agent moves" if game.turn != colour and can_end(game) else ""

    def observation_space(self) -> Box:
        """(14·history + 7, 8, 8) uint8, in 1/255."""
        return Box(0, 255, (encoding.plane_count(self.history), 8, 8), np.uint8)

    def rewards(self, matches: Sequence[Match]) -> Array:
        """(N,) rewards of the step that was just taken."""
        captured = np.array([match.captured for match in matches], np.float64)
        if self.reward == "capture":
            return captured
        outcome = np.array([match.result for match in matches], np.float64)
        return outcome if self.reward == "outcome" else outcome + SHAPING * captured


@dataclass(frozen=True)
class Against:
    """Configuration of a chess world whose opponent is a policy; a `sim.protocols.WorldConfig`."""

    config: Chess
    policy: Policy
    label: str

    @property
    def name(self) -> str:
        """The name of the world, whatever the opponent."""
        return self.config.name

    def make(self, seed: int) -> ChessWorld:
        """One game against the policy."""
        return self.config.make(seed, self.policy)

    def make_batch(self, num_envs: int, seed: int) -> ChessWorlds:
        """`num_envs` games against the policy."""
        return self.config.make_batch(num_envs, seed, self.policy)

    def protocol(self) -> dict[str, str | int | float | bool]:
        """The world's protocol, with the label as opponent."""
        return self.config.protocol() | {"opponent": self.label}


class ChessWorld(gymnasium.Env[Array, np.int64]):
    """Chess environment of one game against an opponent; see the module."""

    render_mode = "rgb_array"

    def __init__(
        self,
        config: Chess,
        seed: int,
        opponent: Policy | None = None,
        starts: Starts[str] | None = None,
    ) -> None:
        self.config = config
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": 1}  # a step is two plies
        self.observation_space = config.observation_space()
        self.action_space = Discrete(encoding.ACTIONS)
        self._opponent = make_opponent(opponent or config.opponent)
        self._opponent_name = "opponent" if opponent else config.opponent
        self._match = config.new_match(starts)
        self._seed: int | None = seed

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, Info]:
        """Start a game; without a seed the first uses the constructor's, later ones draw theirs."""
        if seed is None:
            seed = self._seed
        self._seed = None
        super().reset(seed=seed)
        episode_seed = seed if seed is not None else int(self.np_random.integers(2**31))
        open_games([self._match], [episode_seed], self._opponent)
        return self._seen()

    def step(self, action: int | np.int64) -> tuple[Array, float, bool, bool, Info]:
        """Play `action` and let the opponent reply; see the module for what comes back.

        Raises:
            ActionError: for an illegal move, in UCI, and for a number outside 0…4671.
        """
        if not self.action_space.contains(np.int64(action)):
            raise ActionError(f"action {action} is not in 0…{encoding.ACTIONS - 1}")
        match = self._match
        match.check(int(action))
        step_games([match], [int(action)], self._opponent)
        obs, info = self._seen()
        return obs, float(self.config.rewards([match])[0]), match.terminated, match.truncated, info

    def render(self) -> Array:
        """The board from the agent's side, (480, 480, 3) uint8, with the last move marked."""
        return self._match.picture()

    def truth(self) -> Percept:
        """Ground truth of `render()`'s picture: pieces, FEN, and which side is at the bottom."""
        return self._match.truth()

    def action_masks(self) -> Array:
        """(4672,) bool, info's ``action_mask`` by the name under which sb3-contrib asks for it."""
        mask: Array = action_masks([self._match.shown])[0]
        return mask

    @property
    def game(self) -> ChessGame:
        """The position on the board."""
        return self._match.game

    @property
    def colour(self) -> chess.Color:
        """The agent's side."""
        return self._match.colour

    @property
    def first(self) -> ChessGame:
        """The position that the game began from."""
        return self._match.first

    @property
    def plies(self) -> int:
        """How many moves of both sides there were."""
        return len(self._match.actions)

    @property
    def actions(self) -> tuple[int, ...]:
        """Every action so far, both sides'."""
        return tuple(self._match.actions)

    @property
    def players(self) -> tuple[str, str]:
        """Who plays White and Black: ``"agent"`` and the opponent."""
        players = ("agent", self._opponent_name)
        return players if self.colour else players[::-1]

    @property
    def ending(self) -> tuple[str, str] | None:
        """Outcome and reason as in info, once the game is over; None while it goes on."""
        return (self._match.outcome, self._match.facts()["reason"]) if self._match.over else None

    def pgn(self, event: str = "Playfield", renamed: Mapping[str, str] | None = None) -> str:
        """The game so far in Portable Game Notation, from the position that it began from.

        Args:
            event: PGN's tag.
            renamed: `players` that are called otherwise in PGN.
        """
        game = self.first
        record = chess.pgn.Game()
        record.setup(game.board)
        record.headers["Event"] = event
        record.headers["Date"] = f"{date.today():%Y.%m.%d}"
        called = [(renamed or {}).get(name, name) for name in self.players]
        record.headers["White"], record.headers["Black"] = called
        record.headers["Result"] = self._pgn_result()
        node: chess.pgn.GameNode = record
        for action in self._match.actions:
            node = node.add_variation(game.moves[action])
            game = game.play(action)
        return f"{record}\n"

    def _pgn_result(self) -> str:
        match = self._match
        if not match.terminated:
            return "*"
        return {0: "1/2-1/2", 1: "1-0", -1: "0-1"}[int(match.result) * (1 if self.colour else -1)]

    def interactive_renderer(self) -> ChessRenderer:
        """The interactive board for the window."""
        return ChessRenderer(self)

    def action_name(self, action: int) -> str:
        """The move of `action` now: ``"Nf3"`` if it is legal, else UCI; "–" if it leaves the board."""
        if action in self.game.moves:
            return self.game.san(action)
        move = encoding.move_of(action, self.game.board)
        return "–" if move is None else move.uci()

    def _seen(self) -> tuple[Array, Info]:
        shown = self._match.shown
        obs = observations([shown.packed(self._match.colour)], [shown])[0]
        told = {"action_mask": action_masks([shown])[0], "games": (shown,), **self._match.facts()}
        return obs, told

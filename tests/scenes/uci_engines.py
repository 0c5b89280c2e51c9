"""UCI engines in this process: what one says to lines of commands."""

from __future__ import annotations

import time

import numpy as np

from agents.alphazero.train import AlphaZero
from scenes.uci.engine import Engine
from scenes.uci.info import centipawns
from scenes.uci.options import Options
from scenes.uci.player import player_of
from scenes.uci.variations import PrincipalVariation
from sim.catalog import make_worlds

MATE_IN_ONE = "6k1/5ppp/8/8/8/8/8/R6K w - - 0 1"  # Ra8#
WORLDS = make_worlds("chess", 1, history=1)
SPACES = WORLDS.single_observation_space, WORLDS.single_action_space


class Told(list):
    """What an engine says, line by line."""

    def moves(self):
        return [line.split()[1] for line in self if line.startswith("bestmove")]

    def infos(self):
        """The `info` lines with a variation, as words by keyword."""
        found = []
        for line in self:
            words = line.split()
            if words[0] == "info" and "pv" in words:
                at = words.index("pv")
                found.append(
                    {"pv": words[at + 1 :], "line": line} | dict(zip(words[1:at], words[2:at], strict=False))
                )
        return found

    def strings(self):
        return [line.removeprefix("info string ") for line in self if line.startswith("info string ")]


def policy(agent=None):
    config = agent or AlphaZero(network="board32", num_simulations=8)
    return config.build(*SPACES, seed=0)


def engine_of(player, write, *, simulations=8, searching=True, seed=0):
    """An engine around a player that is there already."""
    options = Options(simulations, searching=searching)
    return Engine(lambda: player, "test", options, write=write, seed=seed)


def search_engine(write, agent=None, *, seed=0):
    """An engine around an agent's configuration; None: a small network that knows nothing."""
    built = policy(agent)
    number = getattr(agent or AlphaZero(num_simulations=8), "num_simulations", None)
    player = player_of(built, history=1)
    return engine_of(player, write, simulations=number or 8, searching=number is not None, seed=seed)


def answers(*lines, agent=None, seed=0):
    """What it says to `lines`; stdin stays open until the last search has ended by itself."""

    def kept_open():
        yield from lines
        engine.wait(30)

    told = Told()
    engine = search_engine(told.append, agent, seed=seed)
    engine.run(kept_open())
    return told


class Scripted:
    """A player that finds what a test tells it: one entry of moves with visits and value after another."""

    history, score = 1, staticmethod(centipawns)

    def __init__(self, *findings, pause=0.0):
        self.findings_, self.pause, self.planned = findings, pause, []

    def findings(self, game, only, planned, most):
        self.planned.append(planned)
        for nodes, lines in self.findings_:
            time.sleep(self.pause)
            yield ScriptedFindings(game, nodes, lines)


class ScriptedFindings:
    """Lines of UCI moves, best first, with visits, value and probability of a draw."""

    def __init__(self, game, nodes, lines):
        self.nodes, self.lines, self.game = nodes, lines, game
        self.actions = np.array([game.action(line.split()[0]) for line, *_ in lines])

    def best(self):
        return 0

    def depth(self):
        return len(self.lines[0][0].split())

    deepest = depth

    def weights(self):
        return np.array([visits for _, visits, *_ in self.lines], float)

    def lead(self):
        return 0.0

    def variation(self, index):
        game, actions = self.game, []
        line, _, value, draw = self.lines[index]
        for move in line.split():
            actions.append(game.action(move))
            game = game.play(actions[-1])
        return PrincipalVariation(tuple(actions), value, draw)

    def ranking(self, count):
        return list(range(len(self.lines)))[:count]


THREE = [("e2e4 e7e5 g1f3", 60, 0.2, 0.5), ("d2d4 d7d5", 30, 0.1, 0.4), ("a2a3", 10, -0.5, None)]


def told_by(player, *lines, searching=True, simulations=8):
    told = Told()
    engine = engine_of(player, told.append, simulations=simulations, searching=searching)

    def kept_open():
        yield from lines
        engine.wait(30)

    engine.run(kept_open())
    return told

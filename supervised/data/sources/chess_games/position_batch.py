"""Batches of recorded positions: AlphaZero's planes, legal actions and value targets, of 64-byte rows."""

from __future__ import annotations

import numpy as np

from sim.chess import move_generator
from sim.chess.bitboards import Bitboards
from sim.chess.encoding import CONSTANT_PLANES, PLANES_PER_POSITION
from sim.records import Array
from supervised.data.sources.chess_games.replay import NO_RESULT, WHITE_WON, boards_of

WIDTH = 32  # legal actions are padded to a multiple of so many, as in agents.alphazero.selfplay
WIN, DRAW, LOSS = 0, 1, 2


def planes(window: Array, depth: Array) -> Array:
    """Observations (B, 14·H + 7, 8, 8) uint8 as `sim.chess.rules.ChessGame.observe` gives them.

    Args:
        window: (B, H) of `POSITION`, each position and those before it in its game, newest first.
        depth: (B,) how many of a row's positions its game has; what stands in the others is ignored.
    """
    count, history = window.shape
    newest = window[:, 0]
    white = (newest["state"] & 1).astype(bool)  # (B,)
    kinds, owned = window["kinds"], window["white"][..., None]
    ours, theirs = kinds & owned, kinds & ~owned
    mover = white[:, None, None]
    pieces = np.concatenate([np.where(mover, ours, theirs), np.where(mover, theirs, ours)], 2)  # (B, H, 12)
    pieces = np.where(mover, pieces, pieces.byteswap())  # a row is a byte: Black's view has the rows reversed
    missing = np.arange(history) >= depth[:, None]  # (B, H)
    obs = np.empty((count, PLANES_PER_POSITION * history + CONSTANT_PLANES, 64), np.uint8)
    past = obs[:, : PLANES_PER_POSITION * history].reshape(count, history, PLANES_PER_POSITION, 64)
    pieces[missing] = 0
    bits = np.unpackbits(pieces.astype("<u8", copy=False).view(np.uint8), axis=-1, bitorder="little")
    np.negative(bits.reshape(count, history, 12, 64), out=past[:, :, :12])  # uint8: −1 is 255
    occurred = np.where(missing, 0, window["occurred"])
    past[:, :, 12] = np.where(occurred >= 1, 255, 0)[..., None]
    past[:, :, 13] = np.where(occurred >= 2, 255, 0)[..., None]
    obs[:, -CONSTANT_PLANES:] = _constants(newest, white)[..., None]
    return obs.reshape(count, -1, 8, 8)


def _constants(newest: Array, white: Array) -> Array:
    """(B, 7) uint8 of the planes that are the same everywhere."""
    rights = (newest["state"][:, None] >> np.arange(1, 5)) & 1  # (B, 4): h1, a1, h8, a8
    rights = np.where(white[:, None], rights, rights[:, [2, 3, 0, 1]])
    clock = np.minimum(newest["halfmove"].astype(np.int64), 100)
    columns = (
        np.where(white, 0, 255),
        np.minimum(newest["fullmove"], 255),
        *(255 * rights.T),
        (clock * 51 + 10) // 20,  # 255/100 a ply, rounded
    )
    return np.stack(columns, 1).astype(np.uint8)


def legal_actions(positions: Array) -> tuple[Array, Array]:
    """Legal actions (B, K) int64, ascending, padded by 0 to a multiple of `WIDTH`; their mask (B, K) bool."""
    found = [move_generator.legal_actions(Bitboards.of(board)) for board in boards_of(positions)]
    width = -(-max(len(actions) for actions in found) // WIDTH) * WIDTH
    legal, mask = np.zeros((len(found), width), np.int64), np.zeros((len(found), width), bool)
    for row, actions in enumerate(found):
        legal[row, : len(actions)] = actions
        mask[row, : len(actions)] = True
    return legal, mask


def outcome_targets(results: Array, state: Array) -> Array:
    """(B, 3) float32 one-hot of win, draw and loss for the mover; zero where a game has no result.

    Args:
        results: (B,) of the games, as `replay.Replayed.result`.
        state: (B,) the rows' ``state``.
    """
    mover = np.where(state & 1, results, -results)
    place = np.where(results == 0, DRAW, np.where(mover == WHITE_WON, WIN, LOSS))
    targets = np.zeros((len(results), 3), np.float32)
    known = np.flatnonzero(results != NO_RESULT)
    targets[known, place[known]] = 1
    return targets

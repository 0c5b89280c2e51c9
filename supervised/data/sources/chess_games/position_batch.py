"""Batches of recorded positions: AlphaZero's planes, legal actions and value targets, of 64-byte rows."""

from __future__ import annotations

import numpy as np

from sim.chess.batched_moves import Sides, legal_planes, padded_actions
from sim.chess.encoding import CONSTANT_PLANES, PLANES_PER_POSITION
from sim.records import Array
from supervised.data.sources.chess_games.replay import NO_RESULT, NO_SQUARE, WHITE_WON

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
    pieces = _movers_view(window["kinds"], window["white"], white[:, None])  # (B, H, 12)
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
    rights = _movers_rights(newest["state"], white)
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
    white = (positions["state"] & 1).astype(bool)
    pieces = _movers_view(positions["kinds"], positions["white"], white)
    rights = _movers_rights(positions["state"], white)[:, :2].astype(bool)
    passant = positions["passant"].astype(np.uint64)
    square = np.where(passant == NO_SQUARE, 0, np.uint64(1) << (passant & np.uint64(63)))
    square = np.where(white, square, square.byteswap())
    sides = Sides(np.ascontiguousarray(pieces[:, :6]), np.ascontiguousarray(pieces[:, 6:]))
    return padded_actions(legal_planes(sides, rights, square), WIDTH)


def _movers_view(kinds: Array, owned: Array, white: Array) -> Array:
    """Bitboards (…, 12) uint64 of the mover's and the other side's pieces, seen from the mover's side.

    Args:
        kinds: (…, 6) of both sides' pieces as `replay.POSITION` has them.
        owned: (…) of White's pieces.
        white: (…) bool, whether White moves.
    """
    ours, theirs = kinds & owned[..., None], kinds & ~owned[..., None]
    mover = white[..., None]
    pieces = np.concatenate([np.where(mover, ours, theirs), np.where(mover, theirs, ours)], -1)
    return np.where(mover, pieces, pieces.byteswap())  # a row is a byte: Black's view has the rows reversed


def _movers_rights(state: Array, white: Array) -> Array:
    """(B, 4) of 0 and 1: whether the mover may castle to the king's and queen's side, and the other side."""
    rights = (state[:, None] >> np.arange(1, 5)) & 1  # h1, a1, h8, a8
    return np.where(white[:, None], rights, rights[:, [2, 3, 0, 1]])


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

"""Subword tokenizer: byte-pair encoding learned from the training texts, kept in a network's weights.

Sennrich et al. 2016, "Neural machine translation of rare words with subword units". The package
``tokenizers`` does the work; its JSON, compressed, lies in a buffer of fixed size, so that a checkpoint
holds all it needs.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sim.catalog import MissingPackageError, install_hint
from sim.records import Array

if TYPE_CHECKING:
    from tokenizers import Tokenizer

ROOM = 32_768  # bytes of a compressed tokenizer
SPECIALS = ("<pad>", "<unk>", "<mask>", "<begin>", "<end>")
PAD, UNKNOWN, MASK, BEGIN, END = range(len(SPECIALS))


def learn_subwords(
    texts: Iterable[str], size: int, *, lowercase: bool, extra: Sequence[str] = ()
) -> Tokenizer:
    """Learn a vocabulary of at most `size` subwords.

    Args:
        texts: of the training data.
        size: of the vocabulary, `SPECIALS` and `extra` among it.
        lowercase: whether case is thrown away.
        extra: further tokens that are never split, numbered after `SPECIALS`.

    Raises:
        MissingPackageError: without the package ``tokenizers``.
    """
    try:
        from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"subwords need {install_hint(error.name or 'tokenizers')}") from error
    tokenizer = Tokenizer(models.BPE(unk_token=SPECIALS[UNKNOWN]))
    normal = [normalizers.NFC(), *([normalizers.Lowercase()] if lowercase else [])]
    tokenizer.normalizer = normalizers.Sequence(normal)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation("isolated")]
    )
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=[*SPECIALS, *extra], show_progress=False, min_frequency=2
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def pack_subwords(tokenizer: Tokenizer, room: int = ROOM) -> Array:
    """A tokenizer as (room,) uint8.

    Raises:
        ValueError: if it is too large for that.
    """
    return pack_text(tokenizer.to_str(), room)


def unpack_subwords(packed: Array) -> Tokenizer | None:
    """The inverse of `pack_subwords`; None for zeros.

    Raises:
        MissingPackageError: without the package ``tokenizers``.
    """
    try:
        from tokenizers import Tokenizer
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"subwords need {install_hint(error.name or 'tokenizers')}") from error
    return Tokenizer.from_str(unpack_text(packed)) if packed.any() else None


def pack_text(text: str, room: int) -> Array:
    """A text, compressed, as (room,) uint8.

    Raises:
        ValueError: if it is too large for that.
    """
    packed = zlib.compress(text.encode(), 9)
    if len(packed) > room:
        raise ValueError(f"{len(packed):,} bytes are too large for {room:,}; take fewer subwords or phrases")
    return np.frombuffer(packed.ljust(room, b"\0"), np.uint8).copy()


def unpack_text(packed: Array) -> str:
    """The inverse of `pack_text`.

    >>> unpack_text(pack_text("thé", 32))
    'thé'
    """
    return zlib.decompressobj().decompress(packed.tobytes()).decode()

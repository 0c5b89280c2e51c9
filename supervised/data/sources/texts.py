"""Texts for language models: chess games as moves, or documents of any text as characters.

| name | documents | tokens | where |
|---|---|---|---|
| ``master-games`` | 5,000 chess games | moves | `supervised.data.sources.chess_games.master_games` |
| ``tunes`` | some 2,000 dances in ABC notation | characters | PyPI ``music21`` (O'Neill, Aird) |
| ``fortunes`` | some 10,000 sayings | characters | Debian ``fortunes`` |

A path is a file of chess games where the notation is moves; else UTF-8 text, whose documents are parted by
lines of a single ``%`` as those of fortune, or by blank lines. Every text keeps its last word apart as the
truth: how it goes on; a game its result.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from sim.catalog import MissingPackageError
from sim.fields import nearest
from sim.records import Array, Percept
from supervised.data.columns import RaggedColumn, TextColumn
from supervised.data.dataset import Dataset
from supervised.data.dataset_cache import Request, cached
from supervised.data.sources.chess_games.master_games import MasterGame, master_games
from supervised.data.sources.splits import (
    DataError,
    Source,
    Splits,
    package_file,
    read_text,
    sha256,
    three_parts,
    version,
)

SHARES = 0.04, 0.1  # of the documents: validate, test
FEWEST = 10  # documents that can be split
SHORTEST = 20  # characters of a document
FORTUNES = Path("/usr/share/games/fortunes")
#: Where the games of these modules' code lie in the cache.
MAKERS = ("supervised.data.sources.chess_games.master_games", "supervised.data.sources.texts")


def game_splits(name: str, path: Path | None, *, most: int, seed: int) -> Splits:
    """Chess games with the columns of `of_games`, split by game.

    Raises:
        DataError: for an unknown name, or a file without enough games.
        MissingPackageError: without python-chess.
    """
    if path is None and name != "master-games":
        raise DataError(f'there are no games "{name}": the data are master-games, or the path of a .pgn file')

    def make() -> Dataset:
        games, source, skipped = master_games(path, most=most, seed=seed)
        lines = [source.name, source.origin, source.licence, source.sha256, *skipped]
        return of_games(games).assign(notes=TextColumn(("\n".join(lines), *[""] * (len(games) - 1))))

    digest = "" if path is None else sha256(path)
    data = cached(Request("games", {"file": digest, "most": most, "seed": seed}, MAKERS), make)
    title, origin, licence, checksum, *skipped = data["notes"][0].split("\n")
    source = Source(title, origin if path is None else str(path), licence, checksum)
    if len(data) < FEWEST:
        raise DataError(f"{path or name} has {len(data)} games: at least {FEWEST} are needed to split them")
    data = data.drop("notes")
    train, validation, test = (data.take(rows) for rows in three_parts(np.arange(len(data)), seed, SHARES))
    return Splits(train, validation, test, "game", source, (), tuple(skipped))


def of_games(games: Sequence[MasterGame]) -> Dataset:
    """A data set of games.

    Columns:
        values: moves in SAN with spaces between, without the result.
        truths: the result as caption.
        episodes: the game's number.
        moves: ragged (P,) int16, numbers in `supervised.data.sources.chess_games.master_games.uci_moves`.
        boards: ragged (P + 1, bytes) uint8, `supervised.data.sources.chess_games.master_games.board_bits`.
        legal: ragged (L,) int16, numbers of the legal moves before each ply, one ply after another.
        legal_counts: ragged (P,) int16, how many of them each ply has.
    """
    counts = [np.array([len(one) for one in game.legal], np.int16) for game in games]
    return Dataset(
        values=TextColumn(tuple(" ".join(game.san) for game in games)),
        truths=tuple(Percept("truth", caption=game.result or "unknown") for game in games),
        episodes=np.arange(len(games)),
        moves=RaggedColumn.of([game.moves for game in games]),
        boards=RaggedColumn.of([game.boards for game in games]),
        legal=RaggedColumn.of([np.concatenate(game.legal) for game in games]),
        legal_counts=RaggedColumn.of(counts),
    )


def text_splits(name: str, path: Path | None, *, most: int, seed: int) -> Splits:
    """Documents of a text as characters, split by document; the classes are the characters.

    Raises:
        DataError: for an unknown name, or a text without enough documents.
        MissingPackageError: naming the package and the line that installs it.
    """
    if path is None and name not in TEXTS:
        raise DataError(f'there are no texts "{name}"; {nearest(name, TEXTS)}, or name a text file')
    documents, source = TEXTS[name]() if path is None else _own(path)
    kept = list(dict.fromkeys(text for text in documents if len(text) >= SHORTEST))
    skipped = [f"{len(documents) - len(kept)} documents that are short or there twice"] * (
        len(kept) < len(documents)
    )
    if len(kept) < FEWEST:
        raise DataError(
            f"{path or name} has {len(kept)} documents: at least {FEWEST} are needed to split them"
        )
    if len(kept) > most:
        kept = [kept[i] for i in np.sort(np.random.default_rng(seed).permutation(len(kept))[:most])]
    rows = three_parts(np.arange(len(kept)), seed, SHARES)
    train, validation, test = (of_texts(kept, own) for own in rows)
    characters = tuple(sorted(set("".join(train.values))))
    return Splits(train, validation, test, "document", source, characters, tuple(skipped))


def of_texts(texts: Sequence[str], rows: Array) -> Dataset:
    """A data set of the documents `rows`: the text without its last word, and that word as truth."""
    cut = [texts[row].rstrip() for row in rows]
    ends = [max(text.rfind(" "), text.rfind("\n")) + 1 or len(text) for text in cut]
    return Dataset(
        values=TextColumn(tuple(text[:end] for text, end in zip(cut, ends, strict=True))),
        truths=tuple(Percept("truth", caption=text[end:]) for text, end in zip(cut, ends, strict=True)),
        episodes=np.asarray(rows, np.int64),
    )


def _own(path: Path) -> tuple[list[str], Source]:
    text = read_text(path)
    return _parted(text), Source(path.name, str(path), "", sha256(path))


def _parted(text: str) -> list[str]:
    r"""Documents of a text: between lines of a single ``%``, else between blank lines.

    >>> _parted("one\n%\ntwo\n\nthree\n"), _parted("one\n\ntwo")
    (['one', 'two\n\nthree'], ['one', 'two'])
    """
    text = text.replace("\r\n", "\n")
    mark = r"(?m)^%\n" if re.search(r"(?m)^%$", text) else r"\n\s*\n"
    return [part.strip("\n") for part in re.split(mark, text)]


def _tunes() -> tuple[list[str], Source]:
    first = package_file("music21", "corpus/oneills1850/0001-0050.abc")
    files = sorted([*first.parent.glob("*.abc"), *(first.parent.parent / "airdsAirs").glob("*.abc")])
    text = "\n".join(file.read_text("utf-8", "replace") for file in files)
    documents = [f"X:{part.strip()}" for part in re.split(r"(?m)^X:", text)[1:]]
    return documents, Source("tunes in ABC", f"music21 {version('music21')}", "public domain", sha256(*files))


def _fortunes() -> tuple[list[str], Source]:
    files = sorted(file for file in FORTUNES.glob("*") if not file.suffix and file.is_file())
    if not files:
        raise MissingPackageError("these data lie in Debian's package fortunes: apt-get install fortunes")
    documents = [part for file in files for part in _parted(file.read_text("utf-8", "replace"))]
    return documents, Source("fortunes", "Debian fortunes", "BSD-3-Clause", sha256(*files))


#: Name → function that gives documents and their source.
TEXTS: dict[str, Callable[[], tuple[list[str], Source]]] = {"tunes": _tunes, "fortunes": _fortunes}

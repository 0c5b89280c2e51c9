"""Files of games: what PGN may hold, what is left out and why, and shards that do not depend on processes."""

from __future__ import annotations

import bz2
import gzip
import lzma
import sys
from types import ModuleType

import numpy as np
import pytest

from sim.catalog import MissingPackageError
from supervised.data.sources.chess_games.conversion import (
    CHUNK,
    ConversionStopped,
    convert,
    replay_sections,
    skipped_words,
)
from supervised.data.sources.chess_games.game_file import lines
from supervised.data.sources.chess_games.game_records import GameSyntaxError, Section, records, sections
from supervised.data.sources.chess_games.shards import ShardWriter, open_shards
from supervised.data.sources.splits import DataError

ZSTD = b"\x28\xb5\x2f\xfd"
MOVES = ("e4", "e5", "Nf3", "Nc6", "Bb5", "a6")
TAGS = '[Event "x"]\n[White "a"]\n[Result "1-0"]\n\n'
GOOD = TAGS + "1. e4 e5 2. Nf3 Nc6 3. Bb5 a6 1-0\n\n"


def read(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [record for section, _ in sections(path) for record in records(section)]


def converted(path, content, **options):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    folder = path.parent / "shards"
    folder.mkdir(exist_ok=True)
    writer = ShardWriter(folder, most=options.pop("most", 500_000))
    counts = convert([path], writer, **options)
    writer.close(counts.card())
    return counts, folder


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        GOOD.replace("\n", "\r\n"),
        "\ufeff" + GOOD,
        GOOD.replace("1. e4 e5", "1.e4 {king's (pawn} 1...e5 $1 $14 ; rest of line ( {\n"),
        GOOD.replace("2. Nf3", "(1... c5 {a ) in it} 2. Nf3 (2. c3 (2. d4))) 2. Nf3!?"),
        GOOD.replace("2. Nf3", "\n% escaped { line (\n2. Nf3!"),
        GOOD.replace("1. e4", "{ [%eval 0.17]\n[%clk 0:00:30] } 1. e4 ?!"),
        "% escaped [Event\n; comment\n" + GOOD,
        '[Event "a \\"quoted\\" name"] [Site "y"]\n[Result "1-0"]\n1.e4 e5 2.Nf3 Nc6 3.Bb5 a6',
        "e4 e5 Nf3 Nc6 Bb5 a6 1-0\n",
        "1. e4 e5 2. Nf3 Nc6 3. Bb5 a6 1-0\n",
        GOOD.replace("1-0\n\n", "*\n"),
    ],
)
def test_the_main_line_and_the_result_come_out(tmp_path, text):
    (record,) = read(tmp_path / ("x.pgn" if "[" in text else "x.san"), text)
    assert record.moves == MOVES and record.result == "1-0" and not record.contradiction


def test_lines_that_are_not_utf_8_are_latin_1(tmp_path):
    (record,) = read(tmp_path / "x.pgn", GOOD.replace('"a"', '"Bjørn Müller"').encode("latin-1"))
    assert record.tags["White"] == "Bjørn Müller" and record.moves == MOVES


def test_games_without_tags_end_with_their_results(tmp_path):
    text = "1. e4 e5 1-0\n1. d4 d5 0-1 1. c4 *\n1. f4 1/2"
    assert [(r.moves, r.result) for r in read(tmp_path / "x.pgn", text)] == [
        (("e4", "e5"), "1-0"),
        (("d4", "d5"), "0-1"),
        (("c4",), "*"),
        (("f4",), "1/2-1/2"),
    ]


def test_games_with_tags_alone_and_without_results_stay_apart(tmp_path):
    text = '[Event "a"]\n\n[Event "b"]\n\n1. e4 e5\n\n[Event "c"]\n\n1. d4 d5 *\n'
    assert [(r.tags["Event"], r.moves) for r in read(tmp_path / "x.pgn", text)] == [
        ("a", ("e4", "e5")),
        ("c", ("d4", "d5")),
    ]
    assert read(tmp_path / "x.pgn", "{only comments}\n; and this\n") == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1. e4 {never closed\n", "with a comment that is not closed"),
        ("1. e4 (1. d4 d5\n", "with a variation that is not closed"),
        ("1. e4) 1. d4\n", "with a bracket that closes nothing"),
        ('[Variant "Chess960"]\n1. e4 e5 1-0\n', "of another variant of chess"),
        ("1. e4 {" + ("x" * 1000 + "\n") * 1_100, "of more than a megabyte"),
    ],
)
def test_what_cannot_be_read_has_a_reason_and_spoils_no_other_game(tmp_path, text, reason):
    (tmp_path / "x.pgn").write_text(f'[Event "bad"]\n{text}\n\n{GOOD}')
    bad, good = [section for section, _ in sections(tmp_path / "x.pgn")]
    with pytest.raises(GameSyntaxError, match=f"^{reason}$"):
        list(records(bad))
    assert next(records(good)).moves == MOVES and bad.line == 1
    assert good.line == 1 + f'[Event "bad"]\n{text}\n\n'.count("\n")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_compressed_files_are_read_and_cut_off_ones_named(tmp_path, pack):
    packed = pack(GOOD.encode())
    (record,) = read(tmp_path / "x.pgn.packed", packed)
    assert record.moves == MOVES
    with pytest.raises(DataError, match=r"y\.pgn\.packed is cut off or damaged after line \d+: "):
        read(tmp_path / "y.pgn.packed", packed[:-12])


def test_zstandard_without_its_package_names_the_line_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(MissingPackageError, match=r"x\.pgn\.zst .*: pip install zstandard$"):
        read(tmp_path / "x.pgn.zst", ZSTD + b" rest")


def test_zstandard_is_read_by_its_package(tmp_path, monkeypatch):
    class Frame:
        """A frame of magic, text and an end mark, as the package's decompression object reads one."""

        eof, unused_data = False, b""

        def decompress(self, packed):
            text, end, self.unused_data = packed.removeprefix(ZSTD).partition(b"END")
            self.eof = bool(end)
            return text

    class Decompressor:
        decompressobj = Frame

    package = ModuleType("zstandard")
    package.ZstdDecompressor = Decompressor
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    monkeypatch.setitem(sys.modules, "zstandard", package)
    frame = ZSTD + GOOD.encode() + b"END"
    assert [record.moves for record in read(tmp_path / "x.pgn.zst", frame * 2)] == [MOVES] * 2
    with pytest.raises(DataError, match=r"cut off or damaged after line 12: .*in the middle"):
        read(tmp_path / "x.pgn.zst", frame + frame[:-3])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"1. e4\n\0\0", "line 2: not text"),
        (GOOD.encode("utf-16"), "line 1: UTF-16, not UTF-8 text; save it as UTF-8"),
        (b"1. e4 " * 200_000, "line 1: not text"),
    ],
)
def test_files_that_are_no_text_are_refused(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path / "x.pgn", content)


def test_folders_and_missing_files_are_refused(tmp_path):
    with pytest.raises(DataError, match="is a folder: a file of games is wanted"):
        list(lines(tmp_path))
    with pytest.raises(DataError, match="cannot be read: no such file"):
        list(lines(tmp_path / "none.pgn"))


def outcome(text):
    return replay_sections([Section(7, text)])


@pytest.mark.parametrize(
    ("text", "reason", "details"),
    [
        ("1. e4 e5 2. Nf6 1-0", "with an illegal move", "move 2. Nf6 is not legal in "),
        ("1. e4 -- 2. d4 1-0", "with an illegal move", "move 1... -- is not legal"),
        ('[Result "1-0"]\n\n1-0', "without moves", ""),
        ('[FEN "8/8/8/8/8/8/8/8 w - - 0 1"]\n1. e4 *', "from an impossible position", "no white king"),
        ('[FEN "hello"]\n1. e4 *', "from an impossible position", "cannot be read"),
        ("1. \x1b[31m *", "with an illegal move", "move 1. ?[31m is not"),
    ],
)
def test_games_that_cannot_be_replayed_are_faults(text, reason, details):
    found = outcome(text)
    (fault,) = found.faults
    assert (fault.line, fault.reason) == (7, reason) and details in fault.details
    assert len(found.games) == len(found.positions) == 0 and "\x1b" not in fault.details


def test_castling_with_zeros_and_starting_positions_are_played():
    assert len(outcome("1. e4 e5 2. Nf3 Nf6 3. Bc4 Bc5 4. 0-0 0-0 1-0").positions) == 8
    found = outcome('[SetUp "1"]\n[FEN "4k3/P7/8/8/8/8/8/4K3 b - - 3 40"]\n40... Kd7 41. a8=Q 1-0')
    assert found.positions["fullmove"].tolist() == [40, 41]
    assert found.positions["halfmove"].tolist() == [3, 4] and found.games["result"].tolist() == [1]
    ignored = outcome('[SetUp "0"]\n[FEN "hello"]\n1. e4 *')
    assert len(ignored.games) == 1


@pytest.mark.parametrize(
    ("told", "moves", "result", "contradiction"),
    [
        ("0-1", "1. e4 e5 1-0", 2, True),
        ("1-0", "1. f3 e5 2. g4 Qh4# 1-0", -1, True),
        ("*", "1. f3 e5 2. g4 Qh4# *", -1, False),
        ("1-0", "1. e4 e5 *", 1, False),
        ("?", "1. e4 e5", 2, False),
    ],
)
def test_the_boards_result_counts_and_contradictions_are_counted(told, moves, result, contradiction):
    found = outcome(f'[Result "{told}"]\n\n{moves}')
    assert (found.games["result"].tolist(), found.contradictions) == ([result], contradiction)


def test_counts_of_a_file_with_everything(tmp_path):
    text = GOOD + GOOD.replace("a6", "a5") + GOOD + TAGS + "1. e5 1-0\n\n" + TAGS + "*\n"
    counts, folder = converted(tmp_path / "x.pgn", text)
    assert (counts.games, counts.positions, counts.duplicates) == (2, 12, 1)
    assert counts.left_out == {"with an illegal move": 1, "without moves": 1}
    assert counts.first_fault.startswith("x.pgn, line 19: a game with an illegal move: move 1. e5 is not ")
    assert skipped_words(dict(open_shards(folder).card)) == (
        "1 game with the moves of another",
        "1 game with an illegal move",
        "1 game without moves",
    )


def test_several_processes_write_what_one_writes(tmp_path):
    games = [f"1. {a} {b} 2. Nf3 Nf6 {'1-0' if a < b else '0-1'}" for a in WHITE for b in BLACK]
    text = "\n\n".join(games)
    assert len(games) > CHUNK
    counts, alone = converted(tmp_path / "x.pgn", text, most=300)
    assert (
        counts.games == 15 * 15 and counts.left_out["with an illegal move"] == 31
    )  # f3 and f6 block a knight
    (tmp_path / "two").mkdir()
    _, several = converted(tmp_path / "two" / "x.pgn", text, most=300, processes=2)
    names = sorted(path.name for path in alone.iterdir())
    assert len(names) > 4 and names == sorted(path.name for path in several.iterdir())
    assert all((alone / name).read_bytes() == (several / name).read_bytes() for name in names)
    assert len(np.unique(open_shards(alone).games["key"])) == counts.games


WHITE = [f"{file}{rank}" for file in "abcdefgh" for rank in "34"]
BLACK = [f"{file}{rank}" for file in "abcdefgh" for rank in "56"]


def test_a_conversion_can_be_stopped(tmp_path):
    (tmp_path / "x.pgn").write_text(GOOD)
    with pytest.raises(ConversionStopped):
        convert([tmp_path / "x.pgn"], ShardWriter(tmp_path), stopped=lambda: True)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("data.toml", b"format = 1", "has format 1, not 1|has no games|format"),
        ("data.toml", b"format = 99\nshards = 1", "has format 99, not 1"),
        ("data.toml", b"\xff", "cannot be read"),
        ("positions-0000.npy", b"", "positions-0000.npy cannot be read"),
        ("games-0000.npy", b"junk", "games-0000.npy cannot be read"),
    ],
)
def test_damaged_folders_are_refused(tmp_path, name, content, message):
    _, folder = converted(tmp_path / "x.pgn", GOOD)
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        open_shards(folder)


def test_a_shard_that_lost_positions_is_refused(tmp_path):
    _, folder = converted(tmp_path / "x.pgn", GOOD)
    np.save(folder / "positions-0000.npy", np.load(folder / "positions-0000.npy")[:-1])
    with pytest.raises(DataError, match="shard 0 is damaged"):
        open_shards(folder)

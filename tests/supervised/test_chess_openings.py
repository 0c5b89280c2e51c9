"""The book of chess openings that ships."""

import chess

from supervised.data.sources.chess_games.chess_openings import LINES, PLIES, drawn_openings, opening_book


def test_the_lines_are_legal_distinct_as_positions_and_nobody_is_ahead_in_material():
    ends = set()
    for line in opening_book():
        assert len(line) == PLIES
        board = chess.Board()
        for move in line:
            assert board.is_legal(chess.Move.from_uci(move))
            board.push_uci(move)
        ends.add(board.epd())
        assert not board.is_check() or board.legal_moves.count() > 1
        worth = [
            sum(
                len(board.pieces(kind, side)) * value
                for kind, value in ((1, 1), (2, 3), (3, 3), (4, 5), (5, 9))
            )
            for side in chess.COLORS
        ]
        assert abs(worth[0] - worth[1]) <= 3
    assert len(ends) == len(opening_book()) == LINES >= 200


def test_draws_are_reproducible_differ_by_seed_and_repeat_only_when_the_book_is_through():
    assert drawn_openings(5, 1) == drawn_openings(9, 1)[:5] != drawn_openings(5, 2)
    many = drawn_openings(LINES + 7, 0)
    assert len(many) == LINES + 7 and len(set(many[:LINES])) == LINES
    assert drawn_openings(0, 0) == ()

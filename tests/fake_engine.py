"""A UCI engine that misbehaves as its first argument says; the second is the move at which it does.

| argument | does |
|---|---|
| well | plays the first legal move in order of its UCI notation |
| dies | ends its process |
| silent | never answers `go` |
| illegal | answers a move that nobody could play |
| none | answers ``bestmove (none)`` |
| babble | plays well, and prints lines that mean nothing |
| deaf | answers nothing at all, not even `uci` |
| garbage | prints nonsense instead of UCI |
| exits | ends at once |
"""

import sys
import time

RUNNING = __name__ == "__main__"
MODE = sys.argv[1] if RUNNING else ""
AT = int(sys.argv[2]) if RUNNING and len(sys.argv) > 2 else 1


def say(line):
    print(line, flush=True)


def board_of(words):
    import chess  # which takes a while, and not every mode comes this far

    board = chess.Board() if words[1] == "startpos" else chess.Board(" ".join(words[2:8]))
    for move in words[words.index("moves") + 1 :] if "moves" in words else ():
        board.push_uci(move)
    return board


def answer(board, count):
    if count >= AT and MODE == "dies":
        sys.exit(3)
    if count >= AT and MODE == "silent":
        return
    if count >= AT and MODE == "illegal":
        say("bestmove a1a8")
    elif count >= AT and MODE == "none":
        say("bestmove (none)")
    else:
        if MODE == "babble":
            say("bestmoves? \x00 ééé\ninfo depth x score cp y")
        say(f"bestmove {min(move.uci() for move in board.legal_moves)}")


def main():
    if MODE == "exits":
        return
    board, count = None, 0
    for line in sys.stdin:
        words = line.split()
        if MODE == "deaf":
            continue
        if MODE == "garbage":
            say("Hello? I am no engine.")
        elif words[0] == "uci":
            say("id name Fake 1.0\nid author nobody\noption name Hash type spin default 4 min 1 max 8\nuciok")
        elif words[0] == "isready":
            say("readyok")
        elif words[0] == "position":
            board = board_of(words)
        elif words[0] == "go":
            count += 1
            answer(board, count)
        elif words[0] == "quit":
            return
    if MODE == "silent":
        time.sleep(60)  # an engine that hangs does not notice that its client has gone


if RUNNING:
    main()

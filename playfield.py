"""Playfield's front door: ``python -m playfield VERB SCENE`` is the command ``playfield``.

Nothing is imported before it is needed, so that Ctrl-C ends even the start without a traceback.
"""

from __future__ import annotations

import sys

INTERRUPTED = 130


def entry() -> None:
    """The console script."""
    try:
        from scenes.cli.main import entry as command

        command()
    except KeyboardInterrupt:
        print("stopped at once", file=sys.stderr)
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    entry()

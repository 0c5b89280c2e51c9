"""The command line in the test's own process: `answer` reads its JSON, `refusal` its one line of error."""

import json

from scenes.cli.main import main


def answer(capsys, *words):
    """The JSON that a command which succeeds prints last."""
    assert main([*map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def refusal(capsys, *words):
    """The remarks and, last, the one line of error of a command that asks for what cannot be: exit 2."""
    capsys.readouterr()  # what earlier commands said
    assert main([*map(str, words)]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and "Traceback" not in captured.err
    *remarks, error = captured.err.splitlines()
    assert error.startswith("playfield: ") and len(error) < 2_100
    assert not any(line.startswith("playfield: ") for line in remarks)
    return captured.err

"""The command line in the test's own process: `answer` reads its JSON, `refusal` its one line of error."""

import json

from scenes.cli.main import main


def answer(capsys, *words):
    """The JSON that a command which succeeds prints last."""
    assert main([*map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def refusal(capsys, *words):
    """The one line with which a command ends that asks for what cannot be: exit 2, and nothing on stdout."""
    capsys.readouterr()  # what earlier commands said
    assert main([*map(str, words)]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and "Traceback" not in captured.err
    assert len(captured.err.splitlines()) == 1 and len(captured.err) < 2_100
    return captured.err

"""Invalid command lines: every one ends in one line on stderr, exit 2, and with --json in JSON."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from command_line import refusal

from scenes.cli.main import main
from scenes.cli.options import Verb

DEEP = "[" * 5_000
LONG = "y" * 5_000
DIGITS = "9" * 100_000
SCENE = 'title = "T"\n[world]\nuse = "gym/CartPole-v1"\n[agent]\nuse = "random"\n'
DOTTED = ".".join("a" * 5_000)


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("own.toml").write_text(SCENE)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "say what to do"),
        (["wach", "pong"], 'there is no verb "wach"; did you mean "watch"?'),
        (["watch"], "SCENE is missing"),
        (["watch", "pong", "--fram", "3"], '"--fram" is not understood; did you mean "--frames"'),
        (["watch", "pong", "breakout"], '"breakout" is not understood'),
        (["watch", "pong", "--frames", "x"], '--frames takes a whole number, not "x"'),
        (["sample", "pong", "--guidance", "x"], '--guidance takes a number, not "x"'),
        (["evaluate", "pong", "--device", "gpu"], "--device cannot be \"gpu\", only 'auto', 'cpu', 'cuda'"),
        (["sample", "pong", "--condition"], "--condition needs a value"),
        (["list", "scenery"], 'there is no kind "scenery" of things; did you mean "scenes"?'),
        (["train", "own.toml", "--steps", DIGITS], "--steps takes a whole number"),
        (["train", "own.toml", "--steps", "9" * 30], "--steps is too large"),
        (["watch", LONG], "is too long"),
        (["watch", f"{LONG}.toml"], "is too long"),
        (["watch", "no\0scene.toml"], "a path cannot hold a NUL character"),
        (["train", "own.toml", "--run", LONG], "--run: the path"),
        (["train", "own.toml", "--from", LONG], "--from: the path"),
        (["perceive", "own.toml", "--input", "a\0b"], "--input: a text cannot hold a NUL character"),
        (["compare", "a", LONG], "--runs: the path"),
        (["sample", "digits-gan", "--condition", f"frame={LONG}"], "--condition frame: the path"),
    ],
)
def test_wrong_words_are_refused_in_one_line(capsys, words, told):
    assert told in refusal(capsys, *words)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (f"agent.use={DEEP}", "nested more than"),
        (f"agent.use={DEEP}{']' * 5_000}", "nested more than"),
        (f"agent.use={'[' * 40}{']' * 40}", "nested more than"),
        (f"{DOTTED}=1", "nested more than"),
        (f"agent.seed={DIGITS}", "too many digits"),
        (f"agent.seed=0x{'f' * 100_000}", "too many digits"),
        (f"perception.{DIGITS}.use=1", "is not one of the items"),
        (f'agent.checkpoint="{LONG}"', "is too long"),
        ('agent.checkpoint="a\\u0000b"', "NUL character"),
        ('agent.use="a\\u0000b"', "NUL character"),
        (f"{LONG}", "--set wants key.path=value"),
        (f"view.{LONG}=1", "unknown key"),
        (f'world.use="gym/{LONG}"', "gym/yyy"),
    ],
)
def test_hostile_values_are_refused_in_one_line(capsys, change, told):
    Path("own.toml").write_text(SCENE + '[[perception]]\nuse = "detector"\n')
    assert told in refusal(capsys, "train", "own.toml", "--steps", "9", "--set", change)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"a = {DEEP}{']' * 5_000}", "nested more than"),
        (f"[{DOTTED}]\n", "nested more than"),
        (f"a = {DIGITS}", "too many digits"),
        (f"{SCENE}[train]\nenv_steps = 0x{'f' * 5_000}", "too many digits"),
        (f'{SCENE}checkpoint = "{LONG}"', "too long"),
    ],
)
def test_hostile_scene_files_are_refused_in_one_line(capsys, text, told):
    Path("hostile.toml").write_text(text)
    assert told in refusal(capsys, "watch", "hostile.toml")


def test_an_error_with_json_is_the_last_line_of_stdout(capsys):
    for words in (["watch", "pnog"], ["watch", "pong", "--frames", "x"], ["bench", "--rounds", "0"]):
        assert main([*words, "--json"]) == 2
        captured = capsys.readouterr()
        (said,) = captured.err.splitlines()
        told = json.loads(captured.out.splitlines()[-1])
        assert told == {"error": said.removeprefix("playfield: "), "exit": 2}


@pytest.fixture
def evaluating(monkeypatch):
    """`evaluating(work)` lets the verb do this work instead of its own."""
    return lambda work: monkeypatch.setattr("scenes.cli.verbs.evaluate", lambda *_, **__: work())


def test_a_failure_with_json_tells_its_exit(capsys, evaluating):
    from sim.errors import WorkError

    def broken():
        raise WorkError("the emulator died")

    evaluating(broken)
    assert main(["evaluate", "own.toml", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {"error": "the emulator died", "exit": 1}
    evaluating(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["evaluate", "own.toml", "--json"])
    assert json.loads(capsys.readouterr().out)["exit"] == 1


def test_ctrl_c_that_an_import_turns_into_its_own_error_is_still_ctrl_c(capsys, evaluating):
    def importing():
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise ImportError("initialization failed") from None

    evaluating(importing)
    assert main(["evaluate", "own.toml", "--json"]) == 130
    captured = capsys.readouterr()
    assert json.loads(captured.out)["exit"] == 130 and len(captured.err.splitlines()) == 1


VERBS = {cls.__name__.lower(): cls for cls in (get_args(member)[0] for member in get_args(Verb))}


@pytest.mark.parametrize("name", VERBS)
def test_help_offers_what_changes_something_and_tells_no_default_where_there_is_none(capsys, name):
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])
    offered, idle = capsys.readouterr().out, VERBS[name].idle
    assert not re.search(r"None|False|default:", offered)
    for option in ("set", "seed", "device", "json"):
        assert (f"--{option}" in offered) == (option not in idle)


def test_options_that_change_nothing_are_taken_and_say_so(capsys):
    assert main(["list", "agent", "--seed", "3", "--set=a.b=1", "--device", "cpu"]) == 0
    captured = capsys.readouterr()
    told = [f"--{option} changes nothing here" for option in ("seed", "set", "device")]
    assert captured.err.splitlines() == told and "ppo" in captured.out


def test_kinds_are_listed_in_singular_and_plural(capsys):
    for kind in ("agent", "agents"):
        assert main(["list", kind]) == 0
        assert capsys.readouterr().out.splitlines()[0].startswith("agents (")


def test_the_version_is_that_of_the_package(capsys):
    from importlib import metadata

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"playfield {metadata.version('playfield')}\n"


def test_a_deleted_working_folder_is_told(capsys, tmp_path, monkeypatch):
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    for words in (["doctor"], ["watch", "own.toml"], ["list"]):
        assert "the current folder has been deleted" in refusal(capsys, *words)


@pytest.mark.parametrize("columns", ["0", "-3", "²", "x", "1"])
def test_a_width_that_no_terminal_has_is_ignored(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    assert main(["list", "scenes"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert any("pong-hour" in row and row.endswith("trained") for row in rows)


FRONT = [sys.executable, "-m", "playfield"]
ROOT = Path(__file__).parents[2]


def run(words, **options):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(words, stderr=subprocess.PIPE, text=True, env=environment, timeout=60, **options)


def test_the_module_is_the_command():
    done = run([*FRONT, "list", "sampler"], stdout=subprocess.PIPE)
    assert done.returncode == 0 and "diffusion" in done.stdout and done.stderr == ""


def test_a_closed_stdout_is_told_and_written_into_no_file():
    command = " ".join(FRONT)
    done = run(["bash", "-c", f"{command} list agents >&-"])
    assert (done.returncode, done.stderr.splitlines()) == (0, ["stdout is closed: results go nowhere"])
    done = run(["bash", "-c", f"{command} list nonsense <&- >&- 2>&-"])
    assert done.returncode == 2 and done.stderr == ""


INTERRUPTS = """
import os, signal, sys
class Finder:
    def find_spec(self, name, *_):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Finder())
from playfield import entry
entry()
"""


@pytest.mark.parametrize("module", ["scenes.cli.main", "tyro", "scenes.schema", "numpy"])
def test_ctrl_c_while_importing_is_one_line(module):
    code = INTERRUPTS.format(module=module)
    done = run([sys.executable, "-c", code, "evaluate", "own.toml"], stdout=subprocess.PIPE)
    assert done.returncode == 130, done.stderr
    assert len(done.stderr.splitlines()) == 1 and "stopped at once" in done.stderr

"""The house keeps its shape: one way down, catalogues that resolve, files of a readable size."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from agents.catalog import AGENTS
from sim.catalog import WORLDS, load, world_names

ROOT = Path(__file__).parent.parent
FOLDERS = ("sim", "supervised", "generative", "agents", "scenes")
MODULES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def test_imports_go_one_way_down():
    code = "from importlinter.cli import lint_imports_command as run; run()"
    linter = [sys.executable, "-c", code]
    done = subprocess.run([*linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 kept, 0 broken" in done.stdout


def test_simulation_starts_without_torch():
    code = "import sys, sim.catalog, sim.storage.runs, sim.atari.world, sim.viewer.app.window"
    code += "; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT).returncode == 0


@pytest.mark.parametrize("catalog", [WORLDS, AGENTS], ids=["worlds", "agents"])
def test_every_catalogue_entry_resolves(catalog):
    assert [name for name in catalog if not load(catalog, name, "entry").__doc__] == []


def test_every_family_of_worlds_is_listed():
    assert {name.partition("/")[0] for name in world_names()} == set(WORLDS)


def test_modules_say_what_they_are_and_stay_readable():
    texts = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in MODULES}
    assert len(texts) > 400
    assert [name for name, text in texts.items() if not text.startswith('"""')] == []
    assert [name for name, text in texts.items() if text.count("\n") > 600] == []


def test_the_readmes_tree_names_every_room():
    tree = re.search(r"```tree\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.S)
    assert tree is not None
    named = [line.split()[0] for line in tree.group(1).splitlines() if not line.startswith("#")]
    rooms = {f"{path.parent.relative_to(ROOT)}/" for path in MODULES if path.name == "__init__.py"}
    assert set(named) == rooms and len(named) == len(rooms)


def test_the_commands_in_the_readme_are_those_that_ci_runs():
    readme, ci = (ROOT / "README.md").read_text("utf-8"), (ROOT / ".ci" / "run").read_text("utf-8")
    contributing = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    assert 'python -m pip install -e ".[all]" && playfield watch pong' in readme
    test = 'python -m pip install -e ".[all,test]" && pytest'
    assert test in readme and test in ci and test in contributing
    for command in ("ruff check .", "ruff format --check .", "mypy", "lint-imports"):
        assert command in ci and command in contributing


def test_the_repository_stays_small():
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if files.returncode != 0:
        pytest.skip("not a git checkout")
    sizes = [(ROOT / name).stat().st_size for name in files.stdout.splitlines() if (ROOT / name).is_file()]
    assert sum(sizes) < 40 * 2**20


def test_the_version_is_in_the_changelog():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert f"[{version}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")

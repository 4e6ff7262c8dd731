"""What the pages say is what the code does: quoted code stands in the example plugin, named verbs and options exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from medbench.cards import ReaderCard
from medbench.cli.main import run_app

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "tests" / "plugin_package"


def _blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)


def _bare(line: str) -> str:
    return " ".join(line.split()).rstrip(",")


@pytest.mark.parametrize("language", ["python", "toml"])
def test_the_tutorial_quotes_the_example_plugin(language):
    sources = "\n".join(path.read_text(encoding="utf-8") for path in EXAMPLE.rglob("*") if path.suffix in {".py", ".toml"})
    known = {_bare(line) for line in sources.splitlines()}
    quoted = [_bare(line) for block in _blocks("CONTRIBUTING.md", language) for line in block.splitlines() if line.strip()]
    assert quoted
    assert [line for line in quoted if line not in known] == []


def _commands() -> list[list[str]]:
    """Every medbench command of the README, without its comment."""
    lines = [line for block in _blocks("README.md", "") for line in block.splitlines()]
    found = [line.lstrip("$ ").partition("#")[0].split() for line in lines if line.lstrip("$ ").startswith("medbench ")]
    return [command[1:] for command in found]


def test_every_command_of_the_readme_exists(capsys):
    commands = _commands()
    assert len(commands) > 8
    for command in commands:
        verb = [word for word in command[:2] if not word.startswith("-") and "/" not in word]
        options = [word for word in command if word.startswith("--")]
        known = ""
        for depth in (2, 1):
            if run_app([*verb[:depth], "--help"]) == 0:
                known = capsys.readouterr().out
                break
        assert [option for option in options if option not in known] == [], command


def test_readme_opens_with_the_two_commands():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.index("make demo") < text.index("make test") < text.index("$ medbench run")


def test_readme_names_every_dataset(registry):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z0-9-]+)`", text[text.index("| theme |") : text.index("`medbench show dataset")]))
    assert named == set(registry.names(ReaderCard)) - {"fake-qa"}

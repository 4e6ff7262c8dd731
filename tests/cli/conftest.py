"""The command line in this process, in a clean workplace: no settings, no cache and no plugin of the machine at hand."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from medbench.cli.main import run_app
from medbench.record import RunRecord
from medbench.testing import write_fake_data

SITE = Path(__file__).parents[1] / "trial_site"
PLUGIN = """
from medbench.cards import MetricCard, ModelCard, ScoreFacts, TaskCard
from medbench.hookspecs import hookimpl

@hookimpl
def medbench_cards():
    return [{cards}]
"""


class Outcome(NamedTuple):
    """What came of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def record(self):
        return msgspec.json.decode(self.out, type=RunRecord)


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    """An empty working folder; the test kit is the only plugin beside the built-in one."""
    for name in [name for name in os.environ if name.startswith("MEDBENCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.syspath_prepend(str(SITE))
    monkeypatch.setenv("MEDBENCH_PLUGINS", "medbench-trial")
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture
def medbench(capsys):
    """Runs `medbench …` and returns exit code, standard output and standard error; no command may end in a traceback."""

    def run(*arguments):
        capsys.readouterr()
        code = run_app([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return Outcome(code, said.out, said.err)

    return run


@pytest.fixture
def data(workplace):
    """The folder of a small made-up dataset."""
    return write_fake_data(workplace / "data", n=12, groups=4)


@pytest.fixture
def run(medbench, data):
    """Runs a fake model on the made-up dataset."""
    return lambda *more, model="fake-echo": medbench("run", "--task", "fake-vqa", "--model", model, "--data", data, *more)


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a throw-away plugin that offers `cards` (Python source), or whose module is `source` as a whole."""

    def install(name, cards="", *, source=""):
        site = tmp_path / f"site-{name}"
        module = f"{name}_{tmp_path.name}".replace("-", "_")  # no module of another test is taken for it
        facts = site / f"{name}-1.0.dist-info"
        facts.mkdir(parents=True)
        (facts / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\n")
        (facts / "entry_points.txt").write_text(f"[medbench]\n{name} = {module}\n")
        (site / f"{module}.py").write_text(source or PLUGIN.format(cards=cards))
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.setenv("MEDBENCH_PLUGINS", f"{os.environ['MEDBENCH_PLUGINS']},{name}")

    return install

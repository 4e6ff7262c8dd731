"""A board about the fake dataset, runs on it, and entries made of them."""

from __future__ import annotations

import msgspec
import pytest

from medbench import api
from medbench.leaderboard.board import read_board
from medbench.leaderboard.entries import sealed, write_entry
from medbench.leaderboard.making import Stated, make_entry
from medbench.runs import RunFolder
from medbench.testing import write_fake_data

HEAD = """title = "Made-up questions"
synthetic = true
"""
TASK = """
[[tasks]]
name = "fake-vqa"
protocol = "vqa"
manifest = "{manifest}"
conventions = {{ vqa = "exact@1" }}
"""
COLUMNS = """
[[columns]]
score = "vqa/overall"
label = "overall"

[[columns]]
score = "vqa/closed"
label = "closed"
"""


class Place:
    """A folder of boards, and what makes entries of runs."""

    def __init__(self, root, run, registry, manifest):
        self.root = root
        self.registry = registry
        self._run = run
        self.manifest = manifest

    def write(self, name="fake", *, head="", task="", columns=COLUMNS, tail=""):
        """Write a board's file and return the board."""
        folder = self.root / name
        folder.mkdir(parents=True, exist_ok=True)
        text = HEAD + head + TASK.format(manifest=self.manifest) + task + columns + tail
        (folder / "board.toml").write_text(text, encoding="utf-8")
        return read_board(folder)

    def run(self, model="fake-echo", **options):
        """Run a model and return the record; `folder` is where it lies."""
        done = self._run(model, **options)
        self.folder = RunFolder(done.folder)
        return done.record

    def entry(self, board, model="fake-echo", *, stated=None, **options):
        """Return the entry that a run makes."""
        self.run(model, **options)
        return make_entry(self.folder, board, self.registry, stated or Stated())

    def add(self, board, entry, **changed):
        """Write an entry, changed and sealed anew, and return it."""
        made = sealed(msgspec.structs.replace(entry, **changed))
        write_entry(self.root / board.name, made)
        return made


@pytest.fixture
def place(tmp_path, run, registry, settled):
    return Place(tmp_path / "leaderboards", run, registry, settled[0].tasks[0].manifest)


@pytest.fixture(scope="session")
def settled(tmp_path_factory, registry, session_cache):
    """A board and the entry of fake-echo on it, made once: both are immutable, and tests change copies."""
    home = tmp_path_factory.mktemp("settled")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDBENCH_CACHE", str(session_cache))
        events = []
        given = {"data": write_fake_data(home / "data"), "runs_dir": home / "runs", "registry": registry}
        record = api.run("fake-vqa", "fake-echo", on_event=events.append, **given)
        folder = home / "leaderboards" / "fake"
        folder.mkdir(parents=True)
        (folder / "board.toml").write_text(HEAD + TASK.format(manifest=record.data.manifest) + COLUMNS, encoding="utf-8")
        board = read_board(folder)
        return board, make_entry(RunFolder(events[-1].folder), board, registry, Stated())

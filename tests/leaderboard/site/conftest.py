"""A board with hostile names, several kinds of systems, costs and learning curves, and its pages."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from medbench.leaderboard.board import read_board
from medbench.leaderboard.building import hold
from medbench.leaderboard.entries import Cell, Cost, Entry, Result, Source, pack_replicates, sealed, write_entry
from medbench.leaderboard.site import write_site
from medbench.record import DataFacts, ModelFacts, Score

HOSTILE = '</script><img src=x onerror="window.hacked=1"><b>bold</b> & "quoted"'
BOARD = """title = "A <b>board</b> of pages"
notes = "Notes with </script> in them"
[[tasks]]
name = "t"
protocol = "vqa"
manifest = "abababababababab"
conventions = { vqa = "exact@1" }
[[columns]]
score = "vqa/overall"
label = "overall"
[[columns]]
score = "vqa/closed"
label = "closed"
[[reported]]
system = "Reported <i>elsewhere</i>"
metric = "accuracy"
value = 0.8
source = "a paper"
verified = "yes"
[[reported]]
system = "Reported here"
metric = "accuracy"
value = 0.65
source = "another paper"
verified = "no"
column = "vqa/overall"
protocol = "vqa"
conventions = { vqa = "exact@1" }
"""
VALUES = {"alpha": (0.7, 0.3), "beta": (0.6, 0.9), "gamma": (0.3, 0.5), "hostile": (0.2, 0.1)}


def write_pages(home):
    """Write the board and its site below a folder; return (site, entries by id)."""
    folder = home / "leaderboards" / "pages"
    folder.mkdir(parents=True)
    (folder / "board.toml").write_text(BOARD, encoding="utf-8")
    rng = np.random.default_rng(0)
    shared = rng.normal(0, 0.02, 10_000)
    entries = {}
    for number, (name, values) in enumerate(VALUES.items()):
        cells = []
        for score, value in zip(("overall", "closed"), values, strict=True):
            replicates = value + shared + rng.normal(0, 0.01, 10_000)
            count = 10_000 if score == "overall" else 1_000
            made = _score(score, value)
            cells.append(Cell(score=made, replicates=pack_replicates(replicates[:count])))
        others = tuple(_score("overall", 0.1 + shots / 100, condition={"shots": shots}) for shots in (10, 20, 40))
        others += (_score("overall", 0.4, subgroup={"sex": "F"}), _score("overall", 0.5, subgroup={"sex": "M"}))
        data = DataFacts(dataset="d", split="test", manifest="ab" * 8, n=100, n_groups=50)
        result = Result(
            task="t",
            protocol="vqa",
            fingerprint="f" * 12,
            data=data,
            cells=tuple(cells),
            others=others,
            n_predictions=100,
            cost=Cost(usd=1.0 + number),
            hardware=HOSTILE if name == "hostile" else "one processor",
        )
        model = ModelFacts(
            name="family" if name in {"alpha", "beta"} else name, identity=f"{name}-1", kind="baseline" if number else "model"
        )
        entry = Entry(
            id=name,
            board="pages",
            system=HOSTILE if name == "hostile" else name,
            model=model,
            source=Source(
                weights="code alone", title=HOSTILE if name == "hostile" else "a model", trained_on=("D",) if name == "beta" else ()
            ),
            results=(result,),
        )
        entries[name] = sealed(entry)
        write_entry(folder, entries[name])
    write_site([hold(read_board(folder))], home / "site")
    return home / "site", entries


def _score(name, value, **more):
    low, high = value - 0.05, value + 0.05
    return Score(metric="vqa", name=name, value=value, low=low, high=high, n=100, n_groups=50, convention={"vqa": "exact@1"}, **more)


@pytest.fixture(scope="session")
def pages(tmp_path_factory):
    """The written site, its entries, and what is hostile in them."""
    home = tmp_path_factory.mktemp("pages")
    site, entries = write_pages(home)
    return SimpleNamespace(home=home, site=site, entries=entries, hostile=HOSTILE, again=write_pages)

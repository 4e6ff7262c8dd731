"""Converters of released files, called by the name of their model."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from medbench.cards import ModelCard
from medbench.cli.main import run_app
from medbench.converting import convert, parts_of
from medbench.errors import PluginError, UnknownNameError, UsageError
from medbench.hookspecs import hookimpl
from medbench.registry import load_registry


def written(*, out: Path, source: str, heads: int = 0, trust_pickle: bool = False) -> Path:
    """Write what was given, as a converter would."""
    out.mkdir()
    (out / "said.txt").write_text(f"{source} {heads!r} {trust_pickle}")
    return out


class Plugin:
    """Models with a converter, with one that is not there, and without."""

    @hookimpl
    def medbench_cards(self):
        made = {"good": f"{__name__}:written", "gone": f"{__name__}:nothing", "none": "", "lacking": f"{__name__}:written"}
        return [
            ModelCard(name=name, load="x:Y", can=("generate",), converts=where, needs=("no_such_module",) if name == "lacking" else ())
            for name, where in made.items()
        ]


@pytest.fixture
def registry(monkeypatch):
    monkeypatch.setitem(sys.modules, __name__, SimpleNamespace(written=written))
    return load_registry(Plugin())


def test_a_converter_gets_its_parts_in_their_types(registry, tmp_path):
    made = convert(registry, "good", {"source": "a.pth", "heads": "4"}, tmp_path / "out", trust_pickle=True)
    assert (made / "said.txt").read_text() == "a.pth 4 True"
    assert parts_of(written) == {"source": True, "heads": False}


@pytest.mark.parametrize(
    ("name", "parts", "kind", "said"),
    [
        ("good", {}, UsageError, "convert good needs source"),
        ("good", {"sorce": "x"}, UsageError, "convert good has no option sorce; convert good needs source"),
        ("good", {"source": "x", "trust_pickle": "true"}, UsageError, "trust_pickle has a flag of its own"),
        ("none", {}, UsageError, "none has nothing to convert"),
        ("gone", {}, PluginError, "gone: cannot load"),
        ("lacking", {}, PluginError, "lacking needs no_such_module"),
        ("godo", {}, UnknownNameError, "no model named godo"),
    ],
)
def test_what_cannot_be_converted_is_refused_in_one_line(registry, tmp_path, name, parts, kind, said):
    with pytest.raises(kind, match=said):
        convert(registry, name, parts, tmp_path / "out", trust_pickle=False)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_exists_is_refused_before_anything_is_read(registry, tmp_path):
    with pytest.raises(UsageError, match=f"good needs source; {tmp_path}: exists"):
        convert(registry, "good", {}, tmp_path, trust_pickle=False)


def test_the_verb_speaks_of_its_own_flag(registry, monkeypatch, tmp_path):
    def refusing(*, out, trust_pickle):
        raise UsageError("a pickle", hint="trust its maker with --model-option trust_pickle=true")

    monkeypatch.setattr(sys.modules[__name__], "written", refusing)
    with pytest.raises(UsageError) as raised:
        convert(registry, "good", {}, tmp_path / "out", trust_pickle=False)
    assert raised.value.hint == "trust its maker with --trust-pickle"


def test_the_verb_says_what_it_cannot_do(capsys, tmp_path):
    assert run_app(["convert", "majority", "--out", str(tmp_path / "out")]) == 2
    assert "error: majority has nothing to convert" in capsys.readouterr().err

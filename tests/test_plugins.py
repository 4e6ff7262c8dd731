"""Plugins: each is loaded by itself, and a broken one is a line."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from types import SimpleNamespace

import pytest

from medbench import plugins
from medbench.cards import ModelCard
from medbench.hookspecs import hookimpl
from medbench.plugins import load_plugins
from medbench.testing import plugin as kit


def offering(*cards, name="extra"):
    """Return a plugin with these cards."""
    made = type("Offering", (), {"medbench_cards": hookimpl(lambda self: cards)})()
    made.__name__ = name
    return made


def card(**fields):
    return ModelCard(**{"name": "m", "load": "a.b:C", "can": ("generate",), **fields})


def last(*extra):
    return load_plugins(extra).found[-1]


def test_what_medbench_brings_is_a_plugin_like_others():
    found = load_plugins().found
    assert [p.name for p in found] == ["medbench"]
    assert not found[0].error
    assert {type(card).__name__ for card in found[0].cards} >= {"ModelCard", "MetricCard", "ReaderCard", "ProtocolCard", "ExecutorCard"}


def test_extra_plugins_are_named_by_their_module():
    found = last(kit)
    assert (found.name, found.error, len(found.cards)) == ("plugin", "", len(kit.CARDS))


class Raises:
    """A plugin that fails when asked."""

    def __init__(self, error):
        self.error = error

    @hookimpl
    def medbench_cards(self):
        raise self.error


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (Raises(RuntimeError("two\nlines")), "RuntimeError: two lines"),
        (Raises(SystemExit(3)), "SystemExit: 3"),
        (Raises(ValueError()), "ValueError: no message"),
        (offering("no card"), "TypeError: medbench_cards returned str, not a card"),
        (offering(card(can="generate")), "TypeError: card m: Expected `array`, got `str` - at `$.can`"),
        (offering(card(can=("read",))), "TypeError: card m: Invalid enum value 'read' - at `$.can[0]`"),
        (offering(card(batch_size="8")), "TypeError: card m: Expected `int`, got `str` - at `$.batch_size`"),
        (offering(card(load="a.b.C")), "TypeError: card m: load = 'a.b.C' is not of the form module:name"),
    ],
)
def test_a_broken_plugin_is_a_line_and_the_others_are_there(broken, said):
    found = load_plugins([broken, kit]).found
    assert found[1].error == said
    assert found[1].cards == ()
    assert found[2].cards == kit.CARDS


def test_lists_will_do_where_a_card_has_tuples():
    assert last(offering(card(can=["generate"]))).error == ""


def test_a_hook_that_does_not_exist_is_an_error():
    class Misspelt:
        @hookimpl
        def medbench_card(self):
            return []

    assert "unknown hook 'medbench_card'" in last(Misspelt()).error


def test_a_broken_plugin_is_not_told_of_runs():
    told = []

    class Half:
        @hookimpl
        def medbench_cards(self):
            raise RuntimeError

        @hookimpl
        def medbench_finished(self, record, folder):
            told.append(record)

    load_plugins([Half()]).hook.medbench_finished(record=None, folder=None)
    assert told == []


class TestEntryPoints:
    @pytest.fixture
    def points(self, monkeypatch):
        def point(distribution, name, value):
            dist = SimpleNamespace(name=distribution, version="1.2")
            made = EntryPoint(name=name, value=value, group="medbench")
            vars(made).update(dist=dist)
            return made

        listed = [
            point("medbench-zeta", "zeta", "medbench.testing.plugin"),
            point("medbench-alpha", "alpha", "medbench_absent_module"),
        ]
        monkeypatch.setattr(plugins, "entry_points", lambda group: listed if group == "medbench" else [])

    @pytest.mark.usefixtures("points")
    def test_all_are_loaded_in_order_of_their_names_and_failures_are_lines(self, monkeypatch):
        monkeypatch.delenv("MEDBENCH_PLUGINS")
        found = load_plugins().found
        assert [(p.name, p.version) for p in found[1:]] == [("medbench-alpha", "1.2"), ("medbench-zeta", "1.2")]
        assert found[1].error == "ModuleNotFoundError: No module named 'medbench_absent_module'"
        assert found[2].cards == kit.CARDS

    @pytest.mark.usefixtures("points")
    @pytest.mark.parametrize(
        ("chosen", "names"),
        [("", []), ("zeta", ["medbench-zeta"]), ("medbench-zeta, alpha", ["medbench-alpha", "medbench-zeta"]), ("other", [])],
    )
    def test_the_environment_restricts_them(self, monkeypatch, chosen, names):
        monkeypatch.setenv("MEDBENCH_PLUGINS", chosen)
        assert [p.name for p in load_plugins().found[1:]] == names


def test_loading_plugins_imports_nothing_heavy():
    import subprocess

    code = "import sys; from medbench.registry import load_registry; from medbench.testing import plugin; load_registry(); "
    code = code.replace("from medbench.testing import plugin; ", "")
    code += "print([name for name in ('numpy', 'PIL', 'rich', 'typer', 'torch') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

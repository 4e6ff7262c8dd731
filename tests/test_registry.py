"""From names to cards and classes."""

from __future__ import annotations

import pytest

from medbench.cards import KINDS, ExecutorCard, MetricCard, ModelCard, ReaderCard, TaskCard
from medbench.errors import PluginError, UsageError
from medbench.hookspecs import hookimpl
from medbench.registry import KNOWN_PLUGINS, load, load_registry, missing_modules


def offering(name, *cards):
    made = type("Offering", (), {"medbench_cards": hookimpl(lambda self: cards)})()
    made.__name__ = name
    return made


def model(name="twin", **fields):
    return ModelCard(**{"name": name, "load": "a.b:C", "can": ("generate",), **fields})


@pytest.fixture
def crowded():
    """Return a registry in which two packages claim one name."""
    one, other = offering("medbench-one", model(), model("single")), offering("medbench-other", model(can=("embed",)), model("openai"))
    return load_registry(one, other)


def test_names_are_found_by_kind(registry):
    assert registry.get(ModelCard, "majority").kind == "baseline"
    assert registry.get(MetricCard, "vqa").takes == ("text",)
    assert "majority" in registry.names(ModelCard)
    assert "majority" not in registry.names(ReaderCard)
    names = [entry.card.name for entry in registry.entries(ModelCard)]
    assert names == sorted(names)


def test_an_unknown_name_is_met_with_the_nearest(registry):
    with pytest.raises(UsageError, match="no model named majorty") as caught:
        registry.get(ModelCard, "majorty")
    assert "did you mean majority?" in caught.value.hint
    assert "medbench list models" in caught.value.hint


@pytest.mark.parametrize(("package", "name"), [(package, name) for package, names in KNOWN_PLUGINS.items() for name in names])
def test_a_metric_of_a_known_plugin_says_what_to_install(registry, package, name):
    with pytest.raises(UsageError) as caught:
        registry.get(MetricCard, name)
    assert caught.value.hint == f"{name} comes with {package}: pip install {package}"


def test_two_claims_must_be_told_apart(crowded):
    with pytest.raises(UsageError, match="2 packages offer a model named twin") as caught:
        crowded.get(ModelCard, "twin")
    assert caught.value.hint == "choose one: medbench-one/twin, medbench-other/twin"
    assert crowded.get(ModelCard, "medbench-one/twin").can == ("generate",)
    assert crowded.get(ModelCard, "other/twin").can == ("embed",)
    with pytest.raises(UsageError, match="no model named third/twin"):
        crowded.get(ModelCard, "third/twin")


@pytest.mark.parametrize("name", ["openai", "openai:gpt-4o", "openai:org/gpt-4o", "other/openai:org/gpt-4o", "medbench-other/openai:a/b:c"])
def test_what_stands_behind_a_colon_is_the_cards_business(crowded, name):
    assert crowded.get(ModelCard, name).name == "openai"


def test_the_plugin_of_a_card_is_known(crowded):
    assert crowded.plugin_of(crowded.get(ModelCard, "single")) == "medbench-one"
    assert crowded.plugin_of(model("stranger")) == ""


def test_models_are_listed_by_capability(crowded):
    assert "twin" in crowded.models_that("embed")
    assert crowded.models_that("ground") == ["subprocess"]


def test_modules_that_cannot_be_found_are_named_without_an_import():
    assert missing_modules(model(needs=("json", "medbench_absent", "medbench_absent.sub"))) == ["medbench_absent", "medbench_absent.sub"]


@pytest.mark.parametrize(
    ("where", "said"),
    [("medbench_absent:C", "m: cannot import medbench_absent"), ("json:Absent", "m: json has no Absent")],
)
def test_a_card_that_points_nowhere_is_the_plugins_fault(where, said):
    with pytest.raises(PluginError, match=said):
        load(model("m", load=where))


@pytest.mark.parametrize(
    ("source", "said"), [("def (", "raised SyntaxError"), ("raise ValueError('no licence')", "raised ValueError: no licence")]
)
def test_a_module_that_breaks_on_import_is_the_plugins_fault(tmp_path, monkeypatch, source, said):
    (tmp_path / f"breaks_{len(source)}.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(PluginError, match=said):
        load(model("m", load=f"breaks_{len(source)}:C"))


def test_every_card_of_medbench_points_at_something(registry):
    for kind in KINDS.values():
        if kind is TaskCard:
            continue
        for entry in registry.entries(kind):
            assert callable(load(entry.card)), entry.card.name


def test_every_card_says_what_it_is(registry):
    for kind in KINDS.values():
        for entry in registry.entries(kind):
            assert entry.card.title, entry.card.name
            assert entry.card.name == entry.card.name.lower(), entry.card.name
    assert registry.get(ExecutorCard, "local")


def test_models_have_a_method_for_each_capability_and_metrics_a_worst_within_range(registry):
    for entry in registry.entries(ModelCard):
        made = load(entry.card)
        assert all(callable(getattr(made, name, None)) for name in entry.card.can), entry.card.name
        assert entry.card.fits == "never" or callable(getattr(made, "fit", None)), entry.card.name
    for entry in registry.entries(MetricCard):
        for name, facts in entry.card.scores.items():
            low, high = (-1e9 if facts.low is None else facts.low), (1e9 if facts.high is None else facts.high)
            assert facts.worst is None or low <= facts.worst <= high, (entry.card.name, name)


def test_datasets_state_licence_access_and_where_to_get_them(registry):
    for entry in registry.entries(ReaderCard):
        assert entry.card.licence, entry.card.name
        assert entry.card.obtain, entry.card.name
        assert entry.card.expects, entry.card.name
        assert entry.card.splits, entry.card.name

"""Every shipped task runs on its twin with every model that one of its protocols allows, by their cards alone."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

import medbench
from medbench.cards import MetricCard, ModelCard, ProtocolCard, ReaderCard
from medbench.errors import PlanError
from medbench.options import signature_of
from medbench.registry import load, load_registry, missing_modules
from medbench.runs import find_run
from medbench.tasks import read_task
from medbench.testing import plugin

TASKS = {path.stem: read_task(path) for path in sorted((Path(__file__).parents[2] / "tasks").glob("*/*.toml"))}
SIZE = 4
"""Test groups of a twin."""
FEWER = {"shots": "5", "seeds": "1", "batch": "4", "reader.concepts": "5"}
"""Parameters that keep a run short, where a protocol has them."""
OURS = {"medbench", "plugin"}
"""Where models come from that are built in, or of the kit."""
STANDING = ("roco-matching", "roco-retrieval", "roco-modality", "pneumonia-fewshot", "roco-cui", "mscxr-grounding", "mscxr-t", "nih-cls14")
"""Tasks that stand for their protocols, with models that take seconds to start."""


@pytest.fixture(scope="module")
def everything():
    """The cards of all installed plugins and of the kit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MEDBENCH_PLUGINS", raising=False)
        return in_process(load_registry(plugin))


def in_process(registry):
    """Let the models of other plugins run in this process: a child for each run would take most of the test's time."""
    for entries in registry._by_name.values():
        entries[:] = [entry if entry.plugin in OURS or not isinstance(entry.card, ModelCard) else here(entry) for entry in entries]
    return registry


def here(entry):
    return msgspec.structs.replace(entry, card=msgspec.structs.replace(entry.card, isolated=False))


@pytest.fixture(scope="module")
def twins(tmp_path_factory, everything):
    """A function from a dataset to the folder of its small twin, written once."""
    home = tmp_path_factory.mktemp("twins")

    def folder(dataset):
        if not (home / dataset).is_dir():
            load(everything.get(ReaderCard, dataset))().write_twin(home / dataset, 0, SIZE)
        return home / dataset

    return folder


@pytest.fixture
def carry_out(everything, twins, tmp_path):
    """A function that runs a model on a task by a protocol, scores the first metric that is here, and returns the record."""

    def run(task, protocol, model, metric, **options):
        known = load(protocol).Params.__struct_fields__
        params = {name: value for name, value in FEWER.items() if name in known}
        if protocol.name == "concepts":
            params["reader.concepts"] = FEWER["reader.concepts"]
        where = {"data": str(twins(task.dataset)), "runs_dir": str(tmp_path / "runs"), "registry": everything}
        try:
            record = medbench.run(task.name, model, protocol=protocol.name, metrics=(metric,), params=params, limit=6, **where, **options)
        except PlanError as error:
            pytest.fail(f"{task.name} {protocol.name} {model}: {error.problems}")
        assert (record.protocol, record.n_failed, record.not_computed) == (protocol.name, 0, {}), f"{protocol.name} {model}"
        assert record.scores
        assert all(score.n or score.value is None for score in record.scores)
        assert find_run(record.fingerprint, tmp_path / "runs").read_record().scores == record.scores
        return record

    return run


def metric_of(task, everything):
    """Return the first metric of a task that can be computed here."""
    return next((name for name in task.metrics if name in everything.names(MetricCard)), None)


def possible(task, everything, ours):
    """Yield the protocols and models that fit a task, by their cards: built in and of the kit, or of the other plugins."""
    reader = everything.get(ReaderCard, task.dataset)
    for name in task.protocol:
        if name not in everything.names(ProtocolCard):
            continue
        protocol = everything.get(ProtocolCard, name)
        for entry in everything.entries(ModelCard):
            learns = "train" in protocol.splits or entry.card.fits == "always"
            chosen = not entry.card.isolated if entry.plugin in OURS else True
            if chosen and (entry.plugin in OURS) is ours and not protocol.misfit(entry.card) and ("train" in reader.splits or not learns):
                yield protocol, entry.card


@pytest.mark.parametrize("name", TASKS)
def test_every_task_runs_with_every_model_that_its_protocols_allow(name, everything, carry_out):
    task = TASKS[name]
    metric = metric_of(task, everything)
    if metric is None:
        pytest.skip(f"none of its metrics is installed: {', '.join(task.metrics)}")
    pairs = list(possible(task, everything, ours=True))
    for protocol, model in pairs:
        carry_out(task, protocol, model.name, metric)
    here = {protocol for protocol in task.protocol if protocol in everything.names(ProtocolCard)}
    assert {protocol.name for protocol, _ in pairs} == here, "the kit has a model for every protocol"


@pytest.mark.slow
@pytest.mark.parametrize("name", STANDING)
def test_encoders_of_other_plugins_join_in(name, everything, carry_out):
    task = TASKS[name]
    ran = []
    for protocol, model in possible(task, everything, ours=False):
        if protocol.asks not in {"embed", "ground"} or model.networked or missing_modules(model):
            continue
        if "preset" in signature_of(load(model)):
            record = carry_out(task, protocol, model.name, metric_of(task, everything), model_options={"preset": "tiny"})
            assert record.model.untrained
            ran.append(model.name)
    if not ran:
        pytest.skip("no plugin with a tiny encoder is installed")

"""Through medbench's own doors: a twin is learnt from and scored; the untrained preset takes every task that it can."""

from __future__ import annotations

import medbench_mae
import msgspec
import pytest

from medbench import api
from medbench.builtin.twins.mimic_cxr import write
from medbench.errors import PlanError
from medbench.hookspecs import hookimpl
from medbench.registry import load_registry


class InProcess:
    """The package's cards, for this process: a child for each run would cost the tests seconds."""

    @hookimpl
    def medbench_cards(self):
        return tuple(msgspec.structs.replace(card, isolated=False) for card in medbench_mae.CARDS)


@pytest.fixture(scope="module")
def registry():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDBENCH_PLUGINS", "")
        return load_registry(InProcess())


def test_a_twin_is_learnt_from_through_labels_and_reports(registry, tmp_path):
    twin = tmp_path / "twin"
    write(twin, 0, 4)
    options = {"preset": "tiny", "reconstruct_steps": 2, "align_steps": 2, "label_steps": 2, "batch_size": 8}
    tasks = ["mimic-cls14", "mimic-mrg"]
    data = [f"{task}={twin}" for task in tasks]
    fitted = api.fit("mae-llm", tasks, data=data, out=tmp_path / "out", registry=registry, model_options=options, device="cpu")
    assert fitted.tasks["mimic-mrg"]["protocol"] == "report-by-retrieval"
    assert fitted.facts["n"]["align"] == fitted.tasks["mimic-mrg"]["n"]
    assert fitted.facts["n"]["label"] == fitted.tasks["mimic-cls14"]["n"] == fitted.facts["n"]["reconstruct"]
    run = {"data": str(twin), "registry": registry, "runs_dir": str(tmp_path / "runs")}
    record = api.run("mimic-cls14", "mae-llm", model_options={"weights": str(tmp_path / "out")}, **run)
    assert (record.n_failed, record.model.untrained) == (0, False)
    assert any((score.metric, score.name) == ("auroc", "macro") for score in record.scores)
    untrained = api.run("mimic-cls14", "mae-cls", model_options={"preset": "tiny"}, **run)
    assert (untrained.n_failed, untrained.model.untrained) == (0, True)
    retrieved = api.run("mimic-mrg", "mae-cls", metrics=["twin-findings"], model_options={"preset": "tiny"}, **run)
    assert retrieved.n_failed == 0


def test_what_takes_a_text_alone_is_a_problem_of_the_plan(registry):
    with pytest.raises(PlanError) as raised:
        api.run("roco-matching", "mae-llm", data="twin", registry=registry, model_options={"preset": "tiny"})
    assert any("mae-llm takes no text without an image" in problem.message for problem in raised.value.problems)

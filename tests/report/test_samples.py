"""The per-sample view: statuses, scores of each sample, and what a file may hold of data under an agreement."""

from __future__ import annotations

import pytest

from medbench.report.samples import columns, sample_rows
from medbench.runs import RunFolder
from medbench.testing import FakeModel
from medbench.types import Failed, Text


@pytest.fixture
def rows(run, registry):
    model = FakeModel("yes")
    model.queue.extend([Text(text="  "), Failed(kind="model", error="no luck")])
    done = run(model, images=("true",))
    return sample_rows(RunFolder(done.folder), registry)


def test_one_row_per_prediction_in_the_order_of_the_run(rows):
    assert len(rows) == 12
    assert [row.status for row in rows].count("empty") == 1
    failed = [row for row in rows if row.status == "failed: model"]
    assert [row.error for row in failed] == ["no luck"]
    assert failed[0].scores == {}


def test_scores_of_the_samples_are_those_of_the_metric(rows):
    names = {name for row in rows for name in row.scores}
    assert "vqa/overall" in names
    right = [row for row in rows if row.scores.get("vqa/overall") == 1.0]
    assert right
    assert all(row.prediction.lower() == row.reference.lower() for row in right)


def test_a_score_that_a_sample_does_not_enter_is_none(rows):
    closed = [row for row in rows if row.status == "ok" and row.meta["answer_type"] == "CLOSED"]
    assert closed
    assert all(row.scores["vqa/open"] is None for row in closed)


def test_private_files_hold_no_text(rows):
    names, flat = columns(rows, private=True)
    assert names[:4] == ["id", "group", "condition", "status"]
    assert not {"question", "prediction", "reference", "error"} & set(names)
    assert all(list(line) == names for line in flat)
    full, _ = columns(rows, private=False)
    assert {"question", "prediction", "reference", "meta.answer_type"} <= set(full)

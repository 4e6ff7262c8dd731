"""Classification from shell to record: the baseline on small twins, a stranger's probabilities on real images."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as sk

import medbench
from medbench.cards import MetricCard, ReaderCard
from medbench.errors import UsageError
from medbench.registry import load
from medbench.runs import find_run

DATA = Path(os.environ.get("MEDBENCH_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")
NIH = DATA / "nih_cxr14_subset"
PREDICTED = NIH / "chexnet_predictions.csv"
MNIST = DATA / "pneumoniamnist" / "pneumoniamnist.npz"

TASKS = {"nih-cls14": "nih-cxr14", "pneumonia-cls": "pneumonia", "mimic-cls14": "mimic-cxr"}


@pytest.fixture(scope="module", params=TASKS)
def twin_run(request, tmp_path_factory, registry):
    """Return (task, record, runs) of the baseline on a small twin."""
    task = request.param
    home = tmp_path_factory.mktemp(task)
    load(registry.get(ReaderCard, TASKS[task]))().write_twin(home / "data", 0, 30)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDBENCH_PLUGINS", "")
        patch.setenv("MEDBENCH_CACHE", str(home / "cache"))
        record = medbench.run(task, "prevalence", data=str(home / "data"), runs_dir=str(home / "runs"), registry=registry)
    return task, record, home


def values(record, metric):
    return {score.name: score.value for score in record.scores if score.metric == metric and not score.subgroup}


def test_the_baseline_runs_on_a_twin_and_orders_nothing(twin_run, registry):
    task, record, _ = twin_run
    assert record.protocol == "multilabel"
    assert record.n_predictions > 0
    assert (record.n_failed, record.not_computed) == (0, {})
    auroc = values(record, "auroc")
    assert auroc["macro"] == 0.5
    assert {value for name, value in auroc.items() if name.startswith("label:")} <= {0.5, None}
    assert (task == "pneumonia-cls") == (len(auroc) == 2)
    shares = record.model.loaded["prevalence"]
    assert all(0 <= share <= 1 for share in shares.values())
    assert {f"label:{label}" for label in shares} >= {name for name in auroc if name != "macro"}
    for score in record.scores:
        facts = registry.get(MetricCard, score.metric).facts(score.name)
        assert score.unit == facts.unit
        assert score.value is None or 0 <= score.value <= 1


def test_precision_of_a_model_that_orders_nothing_is_the_share_of_positives(twin_run):
    _, record, _ = twin_run
    stated = next(facts for slug, facts in record.signatures.items() if slug.startswith("auprc"))["chance"]
    found = values(record, "auprc")
    defined = {label: chance for label, chance in stated.items() if found[f"label:{label}"] is not None}
    assert defined
    assert {label: found[f"label:{label}"] for label in defined} == pytest.approx(defined, abs=5e-5)


def test_a_twin_is_scored_again_under_more_metrics(twin_run, registry):
    task, record, home = twin_run
    more = medbench.score(
        find_run(record.fingerprint, home / "runs").path,
        metrics=("accuracy", "brier", "ece", "log-loss", "sensitivity"),
        registry=registry,
        runs_dir=str(home / "runs"),
    )
    assert {score.metric for score in more.scores} >= {"auroc", "accuracy", "brier", "ece", "log-loss", "sensitivity"}
    assert more.not_computed == {}
    shares = record.model.loaded["prevalence"]
    chance = next(facts for slug, facts in record.signatures.items() if slug.startswith("auprc"))["chance"]
    for label, share in shares.items():
        there = chance[label]
        if there is not None:
            expected = there * (1 - share) ** 2 + (1 - there) * share**2
            assert values(more, "brier")[f"label:{label}"] == pytest.approx(expected, abs=1e-4)
    assert (task == "pneumonia-cls") == ("accuracy" in values(more, "accuracy"))


def test_labels_may_be_chosen_and_misspelt_ones_are_refused(twin_run, registry, tmp_path):
    task, record, home = twin_run
    options = {"data": str(home / "data"), "runs_dir": str(tmp_path / "runs"), "registry": registry}
    every = sorted(record.model.loaded["prevalence"])
    two = every[:2]
    chosen = medbench.run(task, "prevalence", params={"labels": ",".join(two)}, **options)
    assert set(values(chosen, "auroc")) == {"macro", *(f"label:{label}" for label in two)}
    assert chosen.fingerprint != record.fingerprint
    assert all(("not predicted" in facts) == (len(every) > 2) for facts in chosen.signatures.values())
    with pytest.raises(UsageError, match="no sample has the label Oedema"):
        medbench.run(task, "prevalence", params={"labels": "Oedema"}, **options)


# --- real images -------------------------------------------------------------------------------------------------------


def wide(path):
    """Return image -> column -> number of a table of one column per label."""
    with path.open(encoding="utf-8", newline="") as file:
        return {row.pop("image"): {name: float(value) for name, value in row.items()} for row in csv.DictReader(file)}


needs_nih = pytest.mark.skipif(not PREDICTED.is_file(), reason=f"no real images at {NIH}; MEDBENCH_TEST_DATA names the folder above it")


@pytest.fixture(scope="module")
def chexnet(tmp_path_factory, registry):
    """Return the record of a published model's probabilities for 61 real images, handed in as a stranger would."""
    home = tmp_path_factory.mktemp("chexnet")
    labels = list(next(iter(wide(NIH / "labels.csv").values())))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDBENCH_CACHE", str(home / "cache"))
        return medbench.score(
            task="nih-cls14",
            variant="subset",
            data=str(NIH),
            predictions=str(PREDICTED),
            columns={"id": "image", **{f"prob:{label}": f"prob_{label}" for label in labels}},
            metrics=("auroc", "auprc", "f1", "accuracy", "brier", "log-loss", "ece", "sensitivity"),
            runs_dir=str(home / "runs"),
            registry=registry,
        )


@pytest.fixture(scope="module")
def tables():
    """Return labels, truth and probabilities, each (61, 14), read by other means."""
    truth, given = wide(NIH / "labels.csv"), wide(PREDICTED)
    labels = list(next(iter(truth.values())))
    assert list(truth) == list(given)
    return (
        labels,
        np.array([[row[label] for label in labels] for row in truth.values()]),
        np.array([[row[f"prob_{label}"] for label in labels] for row in given.values()]),
    )


@needs_nih
@pytest.mark.parametrize(
    ("metric", "theirs"),
    [
        ("auroc", sk.roc_auc_score),
        ("auprc", sk.average_precision_score),
        ("brier", sk.brier_score_loss),
        ("log-loss", lambda y, p: sk.log_loss(y, p, labels=[0, 1])),
    ],
)
def test_every_label_and_their_mean_are_scikit_learns(chexnet, tables, metric, theirs):
    labels, truth, given = tables
    found = values(chexnet, metric)
    expected = {f"label:{label}": theirs(truth[:, at], given[:, at]) for at, label in enumerate(labels)}
    assert found == pytest.approx({"macro": np.mean(list(expected.values())), **expected})


@needs_nih
def test_decisions_are_scikit_learns(chexnet, tables):
    _, truth, given = tables
    decided = given >= 0.5
    found = values(chexnet, "f1")
    for average in ("macro", "micro", "weighted"):
        assert found[average] == pytest.approx(sk.f1_score(truth, decided, average=average, zero_division=0))
    accuracy = values(chexnet, "accuracy")
    assert accuracy["subset"] == pytest.approx(sk.accuracy_score(truth, decided))
    assert accuracy["label"] == pytest.approx(np.mean(truth == decided))
    assert accuracy["label"] > 0.8 > accuracy["subset"], "two numbers that must not be mistaken for each other"


@needs_nih
def test_every_number_has_its_interval_and_says_how_rare_its_label_is(chexnet, tables):
    macro = next(score for score in chexnet.scores if (score.metric, score.name) == ("auroc", "macro"))
    assert (macro.n, macro.n_groups, macro.n_failed) == (61, 61, 0)
    assert macro.low < macro.value < macro.high
    assert "Hernia 5" in chexnet.signatures["auroc"]["rare"]
    assert chexnet.signatures["auroc"]["labels"] == tables[0]
    assert chexnet.signatures["ece"]["floor of positive"] > 0.02


@pytest.mark.skipif(not MNIST.is_file(), reason=f"no PneumoniaMNIST at {MNIST}; MEDBENCH_TEST_DATA names the folder above it")
def test_always_saying_pneumonia_is_right_on_the_share_of_it(registry, tmp_path):
    record = medbench.run(
        "pneumonia-cls", "prevalence", variant="medmnist", data=str(MNIST.parent), runs_dir=str(tmp_path / "runs"), registry=registry
    )
    with np.load(MNIST) as arrays:
        train, test = arrays["train_labels"], arrays["test_labels"]
    assert record.n_predictions == len(test) == 624
    assert record.model.loaded["prevalence"] == {"pneumonia": pytest.approx(train.mean())}
    assert values(record, "auroc")["macro"] == 0.5
    assert values(record, "auprc")["macro"] == pytest.approx(test.mean()) == pytest.approx(0.625)
    assert values(record, "accuracy") == {"accuracy": pytest.approx(0.625), "balanced": 0.5}
    assert values(record, "f1")["macro"] == pytest.approx(2 * 0.625 / 1.625)

"""ROC curves, reliability diagrams, and the own values and ranked rows of the metrics of probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from medbench.builtin.metrics.classification_calibration import Brier, Ece, LogLoss
from medbench.builtin.metrics.classification_ranking import CURVE_POINTS, Auroc
from medbench.types import Pair, Probabilities, Sample


def pairs_of(truth, given, names=("edema", "nodule")):
    """One pair per row; two rows share a group."""
    return [
        Pair(
            Sample(
                id=f"s{at}",
                group=f"g{at // 2}",
                split="test",
                labels={n: None if np.isnan(t) else float(t) for n, t in zip(names, row, strict=True)},
            ),
            Probabilities(labels=tuple(names), values=tuple(map(float, p))),
        )
        for at, (row, p) in enumerate(zip(truth, given, strict=True))
    ]


@pytest.fixture
def pairs():
    rng = np.random.default_rng(3)
    truth = (rng.random((400, 2)) < (0.3, 0.5)).astype(float)
    truth[::7, 0] = np.nan
    return pairs_of(truth, np.round(rng.random((400, 2)) * 0.5 + np.nan_to_num(truth) * 0.3, 3))


def columns(pairs, at):
    truth = np.array([np.nan if (v := list(p.sample.labels.values())[at]) is None else v for p in pairs])
    known = ~np.isnan(truth)
    return truth[known], np.array([p.value.values[at] for p in pairs])[known]


def test_roc_curves_are_those_of_scikit_learn_thinned(pairs):
    metric = Auroc()
    (figure,) = metric.figures(metric.measure(pairs), pairs)
    assert [line.label.split()[0] for line in figure.lines] == ["edema", "nodule"]
    for at, line in enumerate(figure.lines):
        wrong, right, _ = sk.roc_curve(*columns(pairs, at), drop_intermediate=False)
        assert (line.x[0], line.y[0], line.x[-1], line.y[-1]) == (0.0, 0.0, 1.0, 1.0)
        assert len(line.x) <= CURVE_POINTS + 2 < len(wrong)
        assert set(zip(line.x, line.y, strict=True)) <= set(zip(np.round(wrong, 6).tolist(), np.round(right, 6).tolist(), strict=True))
        assert np.trapezoid(line.y, line.x) == pytest.approx(sk.roc_auc_score(*columns(pairs, at)), abs=0.005)
        assert line.label.endswith(f"{sk.roc_auc_score(*columns(pairs, at)):.3f}")


def test_a_short_roc_curve_is_kept_whole():
    pairs = pairs_of([[0], [0], [1], [1]], [[0.1], [0.4], [0.35], [0.8]], ("edema",))
    metric = Auroc()
    (figure,) = metric.figures(metric.measure(pairs), pairs)
    assert list(zip(figure.lines[0].x, figure.lines[0].y, strict=True)) == [(0, 0), (0, 0.5), (0.5, 0.5), (0.5, 1), (1, 1)]


def test_a_label_of_one_kind_has_no_roc_curve():
    pairs = pairs_of([[0], [0]], [[0.1], [0.4]], ("edema",))
    metric = Auroc()
    assert list(metric.figures(metric.measure(pairs), pairs)) == []


def test_ranked_rows_are_what_an_area_is_of(pairs):
    metric = Auroc()
    rows = metric.measure(pairs)
    truth, given = metric.ranked(rows, "label:nodule")
    assert sk.roc_auc_score(truth, given) == pytest.approx(float(metric.reduce(rows, np.ones((1, 400)))["label:nodule"][0][0]))
    assert metric.ranked(rows, "macro") is None
    alone = metric.measure(pairs_of([[0], [1]], [[0.1], [0.4]], ("edema",)))
    assert metric.ranked(alone, "macro")[0].tolist() == [0.0, 1.0]


def test_reliability_is_the_share_of_positives_of_each_bin(pairs):
    metric = Ece(bins=5)
    (figure,) = metric.figures(metric.measure(pairs), pairs)
    truth, given = columns(pairs, 1)
    bins = np.digitize(given, np.linspace(0, 1, 6)[1:-1], right=True)
    expected = [(given[bins == one].mean(), truth[bins == one].mean()) for one in np.unique(bins)]
    line = figure.lines[1]
    assert np.allclose(list(zip(line.x, line.y, strict=True)), expected, atol=1e-6)
    assert line.low == (), "several labels: intervals would cover each other"
    single = [Pair(p.sample, Probabilities(labels=("nodule",), values=p.value.values[1:])) for p in pairs]
    (figure,) = metric.figures(metric.measure(single), single)
    assert all(low <= y <= high for low, y, high in zip(figure.lines[0].low, figure.lines[0].y, figure.lines[0].high, strict=True))


@pytest.mark.parametrize(
    ("metric", "reference"), [(Brier(), lambda t, p: (t - p) ** 2), (LogLoss(), lambda t, p: -np.log(p if t else 1 - p))]
)
def test_each_image_has_a_loss_of_its_own(metric, reference):
    pairs = pairs_of([[1, 0], [np.nan, 1], [np.nan, np.nan]], [[0.8, 0.3], [0.5, 0.25], [0.5, 0.5]])
    own = metric.per_sample(metric.measure(pairs))["macro"]
    assert own[0] == pytest.approx((reference(1, 0.8) + reference(0, 0.3)) / 2)
    assert own[1] == pytest.approx(reference(1, 0.25))
    assert np.isnan(own[2])

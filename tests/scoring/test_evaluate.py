"""Metrics, against their definitions and against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring import evaluate
from scoring.evaluate import auc, average_precision, calibration_error, log_loss

# Few distinct scores, so that ties are common.
outcomes = st.lists(st.tuples(st.booleans(), st.sampled_from((0.0, 0.1, 0.25, 0.5, 0.9, 1.0))), min_size=2, max_size=40)
both_kinds = outcomes.filter(lambda pairs: len({label for label, _ in pairs}) == 2)


def arrays(pairs: list[tuple[bool, float]]) -> tuple[evaluate.Labels, evaluate.Scores]:
    labels, scores = zip(*pairs, strict=True)
    return np.array(labels, dtype=np.bool_), np.array(scores, dtype=np.float64)


@given(both_kinds)
def test_auc_is_how_often_a_buyer_scores_higher(pairs: list[tuple[bool, float]]) -> None:
    buyers = [score for label, score in pairs if label]
    others = [score for label, score in pairs if not label]
    wins = sum((buyer > other) + (buyer == other) / 2 for buyer in buyers for other in others)
    assert auc(*arrays(pairs)) == pytest.approx(wins / (len(buyers) * len(others)))


@given(both_kinds)
def test_average_precision_sums_precision_over_gains_in_recall(pairs: list[tuple[bool, float]]) -> None:
    expected, recall = 0.0, 0.0
    buyers = sum(label for label, _ in pairs)
    for threshold in sorted({score for _, score in pairs}, reverse=True):
        taken = [label for label, score in pairs if score >= threshold]
        expected += sum(taken) / len(taken) * (sum(taken) / buyers - recall)
        recall = sum(taken) / buyers
    assert average_precision(*arrays(pairs)) == pytest.approx(expected)


def test_as_scikit_learn_computes_them() -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is an extra (dev, bench)")
    rng = np.random.default_rng(1)
    scores = rng.random(2000).round(2)
    labels = rng.random(2000) < scores
    assert auc(labels, scores) == pytest.approx(metrics.roc_auc_score(labels, scores))
    assert average_precision(labels, scores) == pytest.approx(metrics.average_precision_score(labels, scores))
    inside = np.clip(scores, 0.01, 0.99)
    assert log_loss(labels, inside) == pytest.approx(metrics.log_loss(labels, inside))


def test_log_loss_of_a_certain_error_is_large_and_finite() -> None:
    assert log_loss(np.array([True]), np.array([0.0])) == pytest.approx(-np.log(evaluate.TINY))
    assert log_loss(np.array([True, False]), np.array([0.5, 0.5])) == pytest.approx(np.log(2))


def test_calibration_error() -> None:
    scores = np.repeat([0.2, 0.8], 300)
    as_said = np.tile([True, False, False, False, False], 60)
    assert calibration_error(np.concatenate([as_said, ~as_said]), scores) == pytest.approx(0, abs=1e-9)
    assert calibration_error(np.zeros(600, dtype=np.bool_), scores) == pytest.approx(0.5)


def test_one_class_has_no_auc_and_no_rows_no_metrics() -> None:
    only = evaluate.evaluate(np.array([True, True]), np.array([0.4, 0.6]))
    assert only is not None
    assert only.auc is None
    assert only.pr_auc is None
    assert evaluate.evaluate(np.array([], dtype=np.bool_), np.array([])) is None

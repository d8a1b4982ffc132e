"""Metrics, against their definitions and against scikit-learn, and how far they might have come out differently."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.judging import metrics
from scoring.judging.metrics import (
    NAMES,
    Labels,
    Ranking,
    Scores,
    auc,
    average_precision,
    bootstrap,
    calibration_error,
    log_loss,
    paired_differences,
)

# Few distinct scores, so that ties are common.
outcomes = st.lists(st.tuples(st.booleans(), st.sampled_from((0.0, 0.1, 0.25, 0.5, 0.9, 1.0))), min_size=2, max_size=40)
both_kinds = outcomes.filter(lambda pairs: len({label for label, _ in pairs}) == 2)


def arrays(pairs: list[tuple[bool, float]]) -> tuple[Labels, Scores]:
    labels, scores = zip(*pairs, strict=True)
    return np.array(labels, dtype=np.bool_), np.array(scores, dtype=np.float64)


def shoppers(count: int, seed: int = 1) -> tuple[Labels, Scores]:
    """Calibrated scores and what happened."""
    rng = np.random.default_rng(seed)
    scores = rng.beta(2, 5, count)
    return rng.random(count) < scores, scores


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


@pytest.mark.parametrize("weighted", [False, True])
def test_as_scikit_learn_computes_them(weighted: bool) -> None:
    sklearn = pytest.importorskip("sklearn.metrics", reason="scikit-learn is an extra (train)")
    rng = np.random.default_rng(1)
    scores = rng.uniform(0.01, 0.99, 2000).round(2)
    labels = rng.random(2000) < scores
    weight = rng.integers(0, 4, 2000).astype(np.float64) if weighted else None
    found = Ranking(labels, scores).measure(weight)
    assert found["auc"] == pytest.approx(sklearn.roc_auc_score(labels, scores, sample_weight=weight))
    assert found["pr_auc"] == pytest.approx(sklearn.average_precision_score(labels, scores, sample_weight=weight))
    assert found["log_loss"] == pytest.approx(sklearn.log_loss(labels, scores, sample_weight=weight))
    assert found["brier"] == pytest.approx(sklearn.brier_score_loss(labels, scores, sample_weight=weight))


def test_calibration_error_as_from_the_bins_of_scikit_learn() -> None:
    calibration = pytest.importorskip("sklearn.calibration", reason="scikit-learn is an extra (train)")
    labels, scores = shoppers(15 * 400)
    happened, said = calibration.calibration_curve(labels, scores**1.5, n_bins=15, strategy="quantile")
    # Its bins' edges are interpolated quantiles, so a row or two may lie in the next bin.
    assert calibration_error(labels, scores**1.5) == pytest.approx(float(np.abs(happened - said).mean()), abs=1e-4)


@given(both_kinds, st.data())
def test_a_row_that_counts_three_times_is_three_rows(pairs: list[tuple[bool, float]], data: st.DataObject) -> None:
    labels, scores = arrays(pairs)
    times = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(pairs), max_size=len(pairs))))
    repeated = np.repeat(labels, times), np.repeat(scores, times)
    if repeated[0].all() or not repeated[0].any():
        return
    weighted = Ranking(labels, scores).measure(times.astype(np.float64))
    assert weighted == pytest.approx(Ranking(*repeated).measure(), abs=1e-12)


@given(both_kinds, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(pairs: list[tuple[bool, float]], random: Random) -> None:
    shuffled = list(pairs)
    random.shuffle(shuffled)
    assert Ranking(*arrays(pairs)).measure() == pytest.approx(Ranking(*arrays(shuffled)).measure(), abs=1e-12)


def test_log_loss_of_a_certain_error_is_large_and_finite() -> None:
    assert log_loss(np.array([True]), np.array([0.0])) == pytest.approx(-np.log(metrics.TINY))
    assert log_loss(np.array([True, False]), np.array([0.5, 0.5])) == pytest.approx(np.log(2))


def test_calibration_error() -> None:
    scores = np.repeat([0.2, 0.8], 300)
    as_said = np.tile([True, False, False, False, False], 60)
    assert calibration_error(np.concatenate([as_said, ~as_said]), scores) == pytest.approx(0, abs=1e-9)
    assert calibration_error(np.zeros(600, dtype=np.bool_), scores) == pytest.approx(0.5)


def test_lift_and_recall() -> None:
    scores = np.arange(100, 0, -1) / 101
    labels = np.zeros(100, dtype=np.bool_)
    labels[[0, 1, 2, 3, 4, 15, 29, 30, 60, 99]] = True  # 5 of 10 in the best tenth, 7 in the best 30
    found = metrics.evaluate(labels, scores)
    assert found is not None
    assert found.lift_10 == pytest.approx(5.0)
    assert found.recall_30 == pytest.approx(0.7)


def test_a_cut_through_equal_scores_takes_its_share_of_them() -> None:
    labels = np.repeat([True, False], [30, 70])
    found = metrics.evaluate(labels, np.full(100, 0.3))
    assert found is not None
    assert (found.lift_10, found.recall_30, found.auc) == pytest.approx((1.0, 0.3, 0.5))
    assert found.ece == pytest.approx(0.0)


def test_one_class_has_no_auc_and_no_rows_no_metrics() -> None:
    only = metrics.evaluate(np.array([True, True]), np.array([0.4, 0.6]))
    assert only is not None
    assert (only.auc, only.pr_auc, only.lift_10, only.recall_30) == (None, None, None, None)
    assert metrics.evaluate(np.array([], dtype=np.bool_), np.array([])) is None
    assert bootstrap(np.array([], dtype=np.bool_), np.array([])) == {}
    assert set(bootstrap(np.array([True, True]), np.array([0.4, 0.6]))) == {"log_loss", "brier", "ece"}
    assert "auc" not in paired_differences(np.array([True, True]), np.array([0.4, 0.6]), np.array([0.5, 0.5]))


def test_intervals_hold_the_number_and_come_out_the_same_again() -> None:
    labels, scores = shoppers(3000)
    found = bootstrap(labels, scores, seed=3)
    point = Ranking(labels, scores).measure()
    assert set(found) == set(NAMES)
    for name in NAMES:
        low, high = found[name]
        assert low <= point[name] <= high
    assert bootstrap(labels, scores, seed=3) == found
    assert bootstrap(labels, scores, seed=4) != found


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    everybody = shoppers(100_000, seed=0)
    truth = Ranking(*everybody).measure()
    rng = np.random.default_rng(0)
    asked: tuple[metrics.Name, ...] = ("auc", "log_loss", "lift_10")
    held = dict.fromkeys(asked, 0)
    for sample in range(100):
        rows = rng.integers(0, len(everybody[0]), 500)
        found = bootstrap(everybody[0][rows], everybody[1][rows], seed=sample, rounds=100)
        for name in held:
            low, high = found[name]
            held[name] += low <= truth[name] <= high
    assert all(88 <= count <= 100 for count in held.values()), held


def test_rows_of_one_shopper_are_not_evidence_twice() -> None:
    labels, scores = shoppers(500)
    twice = np.concatenate([labels, labels]), np.concatenate([scores, scores])
    whose = np.concatenate([np.arange(500), np.arange(500)])
    once = bootstrap(labels, scores)["auc"]
    by_shopper = bootstrap(*twice, whose)["auc"]
    by_row = bootstrap(*twice)["auc"]
    assert by_shopper == pytest.approx(once)
    assert by_row[1] - by_row[0] < 0.85 * (once[1] - once[0])


def test_a_better_model_is_better_in_every_metric_and_positive_says_so() -> None:
    labels, good = shoppers(4000)
    worse = np.clip(0.6 * good + 0.4 * np.random.default_rng(5).random(4000), 0, 1)
    for name, (low, difference, high) in paired_differences(labels, good, worse).items():
        assert 0 < low <= difference <= high, name
    low, difference, high = paired_differences(labels, worse, good)["log_loss"]
    assert low <= difference <= high < 0


def test_pairs_tell_apart_what_intervals_of_their_own_can_not() -> None:
    labels, good = shoppers(4000)
    rng = np.random.default_rng(2)
    slightly_worse = 1 / (1 + np.exp(-(np.log(good / (1 - good)) + rng.normal(0, 0.35, 4000))))
    assert bootstrap(labels, good)["auc"][0] < bootstrap(labels, slightly_worse)["auc"][1]
    assert paired_differences(labels, good, slightly_worse)["auc"][0] > 0


def test_a_model_is_not_better_than_itself() -> None:
    labels, scores = shoppers(300)
    assert set(paired_differences(labels, scores, scores).values()) == {(0.0, 0.0, 0.0)}

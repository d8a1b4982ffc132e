"""The Qini curve, its coefficient, and the uplift of the top."""

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from scoring.judging.qini import NAMES, TrialRanking, estimates, measure

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


def trial(rows: int, seed: int, share: float = 0.5) -> tuple[Bools, Bools, Floats]:
    """Labels, arms, and a score that finds a heterogeneous effect."""
    rng = np.random.default_rng(seed)
    score, treated = rng.random(rows), rng.random(rows) < share
    return rng.random(rows) < 0.1 + 0.3 * treated * score, treated, score


def test_a_curve_by_hand() -> None:
    labels = np.array([True, False, True, False])
    treated = np.array([True, False, False, True])
    share, gain = TrialRanking(labels, treated, np.array([0.9, 0.8, 0.7, 0.6])).curve()
    assert share == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0])
    # 1 of 1 treated; none of 1 untreated; 1 of 2 untreated; at last 1 of 2 in both arms
    assert gain == pytest.approx([0.0, 0.25, 0.25, 0.125, 0.0])
    assert measure(labels, treated, np.array([0.9, 0.8, 0.7, 0.6]))["q"] == pytest.approx(0.15625)


def test_random_ranking_has_no_area() -> None:
    labels, treated, _ = trial(500, 1)
    found = measure(labels, treated, np.zeros(500))
    assert found["q"] == pytest.approx(0.0, abs=1e-12)
    assert found["uplift_10"] == pytest.approx(found["effect"])


def test_finding_them_is_worth_more_than_missing_them() -> None:
    labels, treated, score = trial(20_000, 2)
    found, missed = measure(labels, treated, score), measure(labels, treated, -score)
    assert found["q"] > 0 > missed["q"]
    assert found["uplift_10"] > found["uplift_30"] > found["effect"]


def test_an_empty_arm_says_nothing() -> None:
    found = measure(np.array([True, False]), np.array([True, True]), np.array([0.1, 0.2]))
    assert np.isnan(found["effect"])


rows = st.lists(
    st.tuples(st.booleans(), st.booleans(), st.integers(0, 5), st.integers(1, 3)), min_size=2, max_size=40
).filter(lambda drawn: len({one[1] for one in drawn}) == 2)


def columns(drawn: list[tuple[bool, bool, int, int]]) -> tuple[Bools, Bools, Floats, NDArray[np.int64]]:
    labels, treated, scores, weights = (np.array(column) for column in zip(*drawn, strict=True))
    return labels, treated, scores.astype(np.float64), weights


@given(rows, st.randoms(use_true_random=False))
def test_neither_order_nor_scale_matter(drawn: list[tuple[bool, bool, int, int]], random: Any) -> None:
    labels, treated, scores, _ = columns(drawn)
    order = list(range(len(drawn)))
    random.shuffle(order)
    one, other = measure(labels, treated, scores), measure(labels[order], treated[order], 3 * scores[order] ** 3 - 1)
    assert [one[name] for name in NAMES] == pytest.approx([other[name] for name in NAMES], nan_ok=True)


@given(rows)
def test_a_weight_is_so_many_rows(drawn: list[tuple[bool, bool, int, int]]) -> None:
    labels, treated, scores, weights = columns(drawn)
    weighted = TrialRanking(labels, treated, scores).measure(weights.astype(np.float64))
    repeated = measure(np.repeat(labels, weights), np.repeat(treated, weights), np.repeat(scores, weights))
    assert [weighted[name] for name in NAMES] == pytest.approx([repeated[name] for name in NAMES], nan_ok=True)


def test_intervals_hold_the_value_and_shrink_with_rows() -> None:
    widths = []
    for count in (2_000, 32_000):
        labels, treated, score = trial(count, 3)
        found, _ = estimates(labels, treated, {"score": score[:, np.newaxis]}, rounds=100)
        q = found["score"]["q"]
        assert q.low < q.value < q.high
        widths.append(q.high - q.low)
    assert widths[1] < widths[0] / 2


def test_a_difference_is_told_by_both_names() -> None:
    labels, treated, score = trial(20_000, 4)
    _, differences = estimates(labels, treated, {"good": score[:, np.newaxis], "bad": -score[:, np.newaxis]}, rounds=50)
    assert differences["good", "bad"].clears_zero()
    assert differences["bad", "good"].value == pytest.approx(-differences["good", "bad"].value)
    assert not differences["bad", "good"].clears_zero()


def test_rows_of_one_shopper_are_no_independent_evidence() -> None:
    labels, treated, score = trial(2_000, 5)
    one, four = score[:, np.newaxis], np.tile(score, 4)[:, np.newaxis]
    alone = estimates(labels, treated, {"s": one}, rounds=100)[0]["s"]["q"]
    groups = np.tile(np.arange(2_000), 4)
    copies = estimates(np.tile(labels, 4), np.tile(treated, 4), {"s": four}, groups, rounds=100)[0]["s"]["q"]
    assert copies.high - copies.low == pytest.approx(alone.high - alone.low, rel=0.3)


@pytest.fixture(scope="module")
def sklift() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is no longer cared for
        return pytest.importorskip("sklift.metrics", reason="scikit-uplift is for development only")


@pytest.mark.filterwarnings("ignore:Function stable_cumsum:FutureWarning")
@pytest.mark.parametrize("seed", range(3))
def test_scikit_uplift_comes_to_the_same(sklift: Any, seed: int) -> None:
    labels, treated, score = trial(4_000, seed, share=0.4)
    score = np.round(score, 2)  # with ties
    perfect = labels.astype(np.float64) * np.where(treated, 1.0, -1.0)
    ours = measure(labels, treated, score)["q"] / measure(labels, treated, perfect)["q"]
    assert ours == pytest.approx(sklift.qini_auc_score(labels.astype(int), score, treated.astype(int)))
    taken, gained = sklift.qini_curve(labels.astype(int), score, treated.astype(int))
    share, gain = TrialRanking(labels, treated, score).curve()
    assert share == pytest.approx(taken / 4_000)
    assert gain == pytest.approx(gained / 4_000)


@pytest.mark.parametrize(("name", "top"), [("uplift_10", 0.1), ("uplift_20", 0.2), ("uplift_30", 0.3)])
def test_scikit_uplift_has_the_same_uplift_of_the_top(sklift: Any, name: Any, top: float) -> None:
    labels, treated, score = trial(4_000, 9)
    theirs = sklift.uplift_at_k(labels.astype(int), score, treated.astype(int), strategy="overall", k=top)
    assert measure(labels, treated, score)[name] == pytest.approx(theirs)

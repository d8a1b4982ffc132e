"""Splits: no shopper on two sides, nothing of the future in training."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.data.split import FORWARD_TEST_SHOPPERS, TEST_SHARE, folds, forward, grouped, is_usable, split
from tests.scoring.trained import DAY, noisy


@given(
    rows=st.integers(1, 200),
    shoppers=st.integers(1, 60),
    horizon=st.floats(0, 40 * DAY),
    share=st.floats(0.05, 0.9),
    seed=st.integers(0, 99),
)
def test_no_shopper_is_on_two_sides_and_no_label_looks_across(
    rows: int, shoppers: int, horizon: float, share: float, seed: int
) -> None:
    data = noisy(rows, shoppers, seed=seed)
    assert data.times is not None
    assert data.groups is not None
    ahead, aside = forward(data, horizon, share), grouped(data, seed, share)
    for division in (ahead, aside):
        assert not (division.train & division.test).any()
        assert not set(data.groups[division.train]) & set(data.groups[division.test])
    assert (aside.train | aside.test).all()
    if ahead.train.any() and ahead.test.any():
        assert data.times[ahead.train].max() + horizon < data.times[ahead.test].min()
    part = folds(data, 5, seed)
    assert set(part) <= set(range(5))
    for shopper in set(data.groups):
        assert len(set(part[data.groups == shopper])) == 1


def test_shares_are_as_asked() -> None:
    data = noisy(20_000, 8_000)
    assert grouped(data).test.mean() == pytest.approx(TEST_SHARE, abs=0.02)
    assert np.bincount(folds(data, 5)).min() > 3600
    ahead = forward(data, DAY)
    assert data.times is not None
    assert ahead.boundary is not None
    assert ahead.test.sum() == pytest.approx((data.times > ahead.boundary).sum() * FORWARD_TEST_SHOPPERS, rel=0.1)


def test_folds_do_not_follow_the_test() -> None:
    """Within the training part of a grouped split, the folds are as large as without it."""
    data = noisy(20_000, 8_000)
    shares = np.bincount(folds(data, 5, 0)[grouped(data, 0).train]) / grouped(data, 0).train.sum()
    assert shares == pytest.approx(np.full(5, 0.2), abs=0.02)


def test_who_is_tested_on_does_not_depend_on_the_other_rows() -> None:
    data = noisy(2_000)
    assert data.groups is not None
    half = data.take(np.arange(0, 2_000, 2))
    assert half.groups is not None
    tested = set(data.groups[grouped(data).test])
    assert set(half.groups[grouped(half).test]) == tested & set(half.groups)


def test_forward_where_there_are_times_and_else_by_shopper() -> None:
    data = noisy()
    assert split(data).kind == "forward"
    assert split(replace(data, horizon=DAY)).embargo == DAY
    assert split(replace(data, times=None)).kind == "grouped"
    assert split(replace(data, times=None, groups=None)).kind == "random"
    # No horizon fits into the log: nothing would be left to train on.
    assert split(replace(data, horizon=40 * DAY)).kind == "grouped"


def test_forward_without_shoppers_uses_every_row_but_the_embargo() -> None:
    data = replace(noisy(), groups=None)
    division = forward(data, 0.0)
    assert (division.train | division.test).all()
    assert not is_usable(data.take(np.arange(30)), forward(data.take(np.arange(30)), 0.0))


def test_rows_without_times_can_not_be_split_forward() -> None:
    with pytest.raises(ValueError, match="without times"):
        forward(replace(noisy(10), times=None), 0.0)

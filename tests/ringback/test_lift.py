"""The lift against the holdout."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.lift import FEWEST_SHOPPERS, lift, wilson


def test_the_interval_is_newcombes() -> None:
    # Newcombe 1998, table II, contrast (a), method 10: 56/70 against 48/80.
    found = lift(56, 70, 48, 80)
    assert found is not None
    assert found.difference == pytest.approx(0.2)
    assert [found.low, found.high] == pytest.approx([0.0524, 0.3339], abs=1e-4)


def test_too_few_shoppers_give_no_lift() -> None:
    assert lift(1, FEWEST_SHOPPERS - 1, 1, 1000) is None
    assert lift(1, 1000, 1, FEWEST_SHOPPERS - 1) is None
    assert lift(0, FEWEST_SHOPPERS, 0, FEWEST_SHOPPERS) is not None


@given(st.integers(1, 500), st.integers(1, 500), st.data())
def test_an_interval_holds_its_share(treated: int, holdout: int, data: st.DataObject) -> None:
    buyers, others = data.draw(st.integers(0, treated)), data.draw(st.integers(0, holdout))
    low, high = wilson(buyers, treated)
    assert 0 <= low <= buyers / treated + 1e-12
    assert buyers / treated - 1e-12 <= high <= 1
    found = lift(buyers, treated + FEWEST_SHOPPERS, others, holdout + FEWEST_SHOPPERS)
    assert found is not None
    assert -1 <= found.low <= found.difference <= found.high <= 1

"""The population stability index and the bins it is counted in."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from scoring.dataset import Column, Dataset
from scoring.drift.psi import ALARM, Reference, Tally, chance, psi, reference, shift
from scoring.manifest import DataSource

COIN = Reference(name="coin", levels=(0.0, 1.0), shares=(0.5, 0.5), missing=0.0, rows=10_000)


def dataset(values: NDArray[np.float64], *columns: Column, due: NDArray[np.bool_] | None = None) -> Dataset:
    return Dataset(
        kind="log",
        columns=columns or tuple(Column(name=f"f{at}") for at in range(values.shape[1])),
        vectors=values,
        labels=np.zeros(len(values), dtype=np.bool_),
        times=None,
        groups=None,
        due=due,
        source=DataSource(name="made up", sha256="", events=len(values), shoppers=len(values)),
        horizon=86400.0,
    )


def bins_of(values: NDArray[np.float64], *columns: Column) -> Reference:
    return reference(dataset(values.reshape(-1, 1), *columns), np.full(len(values), 0.5))[0]


def test_an_example_by_hand() -> None:
    # (0.7 - 0.5) ln(0.7 / 0.5) + (0.3 - 0.5) ln(0.3 / 0.5)
    assert psi(COIN, [70, 30, 0, 0]) == pytest.approx(0.067294 + 0.102165, abs=1e-6)


shares = st.lists(st.integers(1, 1000), min_size=3, max_size=10)


@given(shares)
def test_equal_shares_have_no_drift(counts: list[int]) -> None:
    total = sum(counts)
    bins = Reference(
        name="x", levels=tuple(range(len(counts))), shares=tuple(n / total for n in counts), missing=0.0, rows=total
    )
    assert psi(bins, [*counts, 0, 0]) == pytest.approx(0.0, abs=1e-12)
    assert psi(bins, [*(7 * n for n in counts), 0, 0]) == pytest.approx(0.0, abs=1e-12)


@given(shares, shares)
def test_it_does_not_matter_which_was_first(one: list[int], other: list[int]) -> None:
    size = min(len(one), len(other))

    def bins(counts: list[int]) -> Reference:
        total = sum(counts[:size])
        return Reference(
            name="x",
            levels=tuple(range(size)),
            shares=tuple(n / total for n in counts[:size]),
            missing=0.0,
            rows=total,
        )

    def rows(counts: list[int]) -> list[int]:
        return [*(1_000_000 * n for n in counts[:size]), 0, 0]  # so many that no share is too small to be told

    there, back = psi(bins(one), rows(other)), psi(bins(other), rows(one))
    assert there == pytest.approx(back, rel=1e-9, abs=1e-12)
    assert there >= 0


def test_it_grows_with_the_distance() -> None:
    found = [psi(COIN, [50 + step, 50 - step, 0, 0]) for step in range(0, 50, 5)]
    assert found == sorted(found)
    assert found[0] == 0
    assert len(set(found)) == len(found)


def test_an_empty_bin_is_finite_and_alarming() -> None:
    assert ALARM < psi(COIN, [100, 0, 0, 0]) < 10


def test_missing_values_have_a_bin_of_their_own() -> None:
    found = shift(COIN, [400, 400, 0, 200])
    assert found.missing == pytest.approx(0.2)
    assert found.missing_then == 0
    assert found.over(ALARM)


def test_a_new_level_is_unseen() -> None:
    assert COIN.place(2.0) == 2
    assert COIN.place(0.5) == 2
    assert shift(COIN, COIN.counts(np.array([0.0, 1.0, 2.0, 2.0]))).unseen == 0.5


def test_ten_bins_hold_a_tenth_each() -> None:
    bins = bins_of(np.random.default_rng(3).exponential(size=20_000))
    assert len(bins.edges) == 9
    assert bins.shares == pytest.approx([0.1] * 10, abs=0.001)


def test_ties_leave_fewer_bins_and_no_empty_one() -> None:
    bins = bins_of(np.concatenate([np.zeros(700), np.arange(300.0)]))
    assert len(bins.edges) < 9
    assert min(bins.shares) > 0
    assert sum(bins.shares) == pytest.approx(1.0)


def test_few_values_are_levels() -> None:
    bins = bins_of(np.array([3.0, 1.0, 1.0, math.nan]))
    assert bins.levels == (1.0, 3.0)
    assert bins.shares == (0.5, 0.25)
    assert bins.missing == 0.25


def test_a_category_has_all_its_levels_even_those_that_training_never_had() -> None:
    bins = bins_of(np.array([0.0, 0.0, 2.0]), Column(name="x", kind="category", levels=("a", "b", "c")))
    assert bins.levels == (0.0, 1.0, 2.0)
    assert bins.shares[1] == 0


def test_a_feature_that_is_never_known() -> None:
    bins = bins_of(np.full(50, math.nan))
    assert bins.missing == 1.0
    assert psi(bins, bins.counts(np.full(9, math.nan))) == 0
    assert psi(bins, bins.counts(np.zeros(9))) > ALARM


def test_only_rows_at_abandonment_count_where_there_are_any() -> None:
    due = np.array([True, False, True, False])
    values = np.array([[1.0], [9.0], [2.0], [9.0]])
    bins, of_score = reference(dataset(values, due=due), np.array([0.1, 0.9, 0.2, 0.9]))
    assert bins.levels == (1.0, 2.0)
    assert of_score.levels == (0.1, 0.2)


def test_no_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="no rows"):
        reference(dataset(np.empty((0, 1))), np.empty(0))


numbers = st.floats(allow_nan=True, allow_infinity=True)


@given(st.lists(numbers, min_size=1, max_size=60), st.lists(numbers, max_size=60))
def test_one_by_one_and_all_at_once_agree(then: list[float], now: list[float]) -> None:
    bins = bins_of(np.array(then))
    assert sum(bins.expected) == pytest.approx(1.0)
    one_by_one, at_once = Tally([bins]), Tally([bins])
    taken = [one_by_one.add([None if math.isnan(number) else number]) for number in now]
    at_once.add_all([np.array(now, dtype=np.float64)])
    assert one_by_one.rows == at_once.rows == len(now)
    if now:
        assert one_by_one.shifts() == at_once.shifts()
    for places in taken:
        one_by_one.take_back(places)
    assert one_by_one.rows == 0


@given(st.lists(numbers, min_size=1, max_size=60))
def test_bins_survive_the_manifest(then: list[float]) -> None:
    bins = bins_of(np.array(then))
    assert msgspec.json.decode(msgspec.json.encode(bins), type=Reference) == bins


@pytest.mark.parametrize("rows", [30, 200, 1000])
def test_noise_is_no_drift(rows: int) -> None:
    rng = np.random.default_rng(rows)
    population = rng.normal(size=5000)
    bins = bins_of(population)
    found = [shift(bins, bins.counts(rng.normal(size=rows))) for _ in range(400)]
    # One in a thousand is expected to be over `chance`.
    assert sum(one.psi > one.chance for one in found) <= 3
    assert chance(bins, rows) < chance(bins, rows / 2)
    assert chance(bins, rows) < chance(bins, rows, tests=30)


def test_a_shift_is_seen_with_the_stated_number_of_rows() -> None:
    rng = np.random.default_rng(1)
    bins = bins_of(rng.normal(size=5000))
    assert shift(bins, bins.counts(rng.normal(0.7, size=1000)), tests=30).over(ALARM)
    assert not shift(bins, bins.counts(rng.normal(0.1, size=1000)), tests=30).over(ALARM)

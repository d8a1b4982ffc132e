"""Both backends give the same bits, whatever a model's trees ask."""

import math
from typing import Any

import lightgbm
import numpy as np
import pytest

from scoring.backends import FastBackend, PortableBackend, best

ROWS = 400


def drawn(rng: np.random.Generator, count: int) -> np.ndarray:
    """Numbers with and without missing values and zeros, and two categories."""
    rows = rng.normal(size=(count, 7))
    rows[:, 0], rows[:, 1] = rng.integers(0, 6, count), rng.integers(0, 50, count)
    rows[rng.random(rows.shape) < 0.1] = math.nan
    rows[:, 2] = np.where(rng.random(count) < 0.4, 0.0, rows[:, 2])
    rows[:, 3] = np.nan_to_num(rows[:, 3])
    return rows


def trained(**parameters: Any) -> lightgbm.Booster:
    rng = np.random.default_rng(5)
    rows = drawn(rng, 2000)
    bought = np.isin(rows[:, 0], [1, 4]) + np.isin(rows[:, 1] % 7, [2, 5]) + np.nan_to_num(rows[:, 4])
    labels = (bought + rng.normal(size=2000) > 1).astype(np.float64)
    settings = {"objective": "binary", "verbosity": -1, "num_threads": 1, "min_data_in_leaf": 10, **parameters}
    data = lightgbm.Dataset(rows, labels, categorical_feature=[0, 1])
    return lightgbm.Booster(model_str=lightgbm.train(settings, data, num_boost_round=21).model_to_string())


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"zero_as_missing": True},
        {"use_missing": False},
        {"boosting": "dart"},
        {"num_leaves": 127},
        {"num_leaves": 2},
    ],
    ids=str,
)
def test_both_give_the_same_bits(parameters: dict[str, Any]) -> None:
    booster = trained(**parameters)
    fast, portable = FastBackend(booster), PortableBackend(booster)
    rows = [tuple(row.tolist()) for row in drawn(np.random.default_rng(6), ROWS)]
    rows += [(math.inf,) * 7, (-math.inf,) * 7, (-1.0, 1e12, -0.0, 0.0, 1e-300, 1e300, 3.7)]
    assert [fast.score(row) for row in rows] == [portable.score(row) for row in rows]
    assert best(booster).name == FastBackend.name


@pytest.mark.parametrize("length", [0, 6, 8])
def test_a_row_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="same size"):
        FastBackend(trained()).score([1.0] * length)

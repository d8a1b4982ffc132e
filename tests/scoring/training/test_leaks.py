"""The leak gate: what is refused, and that honest data passes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.scoring_settings import ScoringSettings
from scoring.data.split import folds, split
from scoring.dataset import Dataset
from scoring.judging.metrics import auc
from scoring.training.fit import fit
from scoring.training.leaks import Leak, Trees, ceiling, column_auc, findings, telling_columns
from tests.scoring.trained import noisy

DEFAULTS = ScoringSettings()


def found(data: Dataset, settings: ScoringSettings = DEFAULTS, champion: Trees | None = None) -> list[Leak]:
    division = split(data)
    stop = division.train & (folds(data, 5) == 0)
    booster = fit(data, division.train & ~stop, stop, 1)
    trees = Trees(booster.best_iteration, int(division.train.sum()))
    scores = np.asarray(booster.predict(data.vectors, num_iteration=booster.best_iteration))
    return [
        *telling_columns(data, division.train, settings),
        *findings(data, division.train, division.test, scores, settings, trees, champion),
    ]


def with_column(data: Dataset, values: np.ndarray) -> Dataset:
    vectors = data.vectors.copy()
    vectors[:, -1] = values
    return replace(data, vectors=vectors)


def with_copies(data: Dataset, share: float) -> Dataset:
    """So many of the rows come twice, the second time as somebody else's."""
    rng = np.random.default_rng(5)
    doubled = rng.choice(len(data), round(share * len(data)), replace=False)
    assert data.groups is not None
    groups = np.concatenate([data.groups, rng.integers(10**6, 10**9, len(doubled))])
    return replace(data.take(np.concatenate([np.arange(len(data)), doubled])), groups=groups, times=None)


def counted(rows: int, seed: int = 2) -> Dataset:
    """Small whole numbers only, so that most rows have many honest twins, and rare ones a few."""
    data = noisy(rows, rows, seed=seed)
    rng = np.random.default_rng(seed)
    vectors = rng.geometric(0.5, size=(rows, 3)).astype(np.float64)
    labels = rng.random(rows) < 1.0 / (1.0 + np.exp(4.0 - vectors.sum(axis=1)))
    return replace(data, columns=data.columns[:3], vectors=vectors, labels=labels, times=None)


def test_honest_rows_pass() -> None:
    assert found(noisy()) == []
    assert found(replace(noisy(), times=None)) == []


@pytest.mark.parametrize("seed", range(3))
def test_honest_twins_pass(seed: int) -> None:
    assert found(counted(6000, seed)) == []


def test_too_good_is_refused_by_the_ceiling_of_its_name() -> None:
    data = noisy()
    honest = column_auc(data.vectors[:, 0], data.labels)
    strict = ScoringSettings(auc_ceilings={"noi*": honest - 0.1, "*": 1.0})
    (leak,) = found(data, strict)
    assert leak.kind == "auc"
    assert "the ceiling for noisy" in leak.said
    assert found(data, ScoringSettings(auc_ceilings={"other*": 0.51})) == []


def test_of_few_rows_a_good_score_may_be_luck() -> None:
    data = noisy(600, 600)
    assert found(data, ScoringSettings(auc_ceiling=column_auc(data.vectors[:, 0], data.labels) - 0.01)) == []


def test_ceilings_go_by_the_first_pattern_that_fits() -> None:
    settings = ScoringSettings(auc_ceiling=0.9, auc_ceilings={"Retail*": 0.75, "retailrocket": 0.6})
    assert ceiling("retailrocket", settings) == 0.75
    assert ceiling("uci", settings) == 0.9


@pytest.mark.parametrize("leak", ["rising", "falling", "missing", "apart"])
def test_a_column_that_is_the_label_is_refused(leak: str) -> None:
    data = noisy()
    rng = np.random.default_rng(1)
    blurred = np.where(rng.random(len(data)) < 0.02, ~data.labels, data.labels).astype(np.float64)
    column = {
        "rising": blurred + rng.random(len(data)),
        "falling": -blurred,
        "missing": np.where(blurred > 0, np.nan, rng.random(len(data))),
        "apart": np.where(blurred > 0, rng.random(len(data)), np.nan),
    }[leak]
    leaks = found(with_column(data, column))
    assert "feature" in {leak.kind for leak in leaks}
    assert any("Column c3 alone" in leak.said for leak in leaks)


def test_a_category_that_is_the_label_is_refused_and_noise_of_many_levels_is_not() -> None:
    rng = np.random.default_rng(1)
    labels = rng.random(3000) < 0.3
    noise = rng.integers(0, 200, 3000).astype(np.float64)
    assert column_auc(noise, labels, categories=True) < 0.56
    telling = rng.integers(0, 100, 3000).astype(np.float64) * 2.0 + labels
    assert column_auc(telling, labels) < 0.56
    assert column_auc(telling, labels, categories=True) > 0.99


@given(st.lists(st.floats(-1e6, 1e6), min_size=4, max_size=40))
def test_a_column_alone_is_measured_as_a_score_would_be(values: list[float]) -> None:
    labels = np.arange(len(values)) % 2 == 0
    array = np.array(values)
    expected = auc(labels, array)
    assert column_auc(array, labels) == pytest.approx(max(expected, 1.0 - expected))


@pytest.mark.parametrize("share", [0.05, 0.3, 1.0])
def test_copies_on_both_sides_are_refused(share: float) -> None:
    data = with_copies(noisy(8000, 8000), share)
    leaks = found(data)
    assert leaks[0].kind == "copies"
    assert {leak.kind for leak in leaks} <= {"copies", "iterations"}


def test_copies_with_a_column_of_their_own_are_refused() -> None:
    data = with_copies(noisy(8000, 8000), 0.3)
    anew = np.random.default_rng(4).integers(0, 9, len(data)).astype(np.float64)
    assert "copies" in {leak.kind for leak in found(with_column(data, anew))}


def test_copies_among_honest_twins_are_refused() -> None:
    data = counted(6000)
    vectors = np.column_stack([data.vectors, np.random.default_rng(1).normal(size=len(data))])
    columns = noisy(10).columns
    honest = replace(data, vectors=vectors, columns=columns)
    assert found(honest) == []
    assert "copies" in {leak.kind for leak in found(with_copies(honest, 0.2))}


def test_a_jump_in_trees_is_refused() -> None:
    data = noisy()
    (leak,) = found(data, ScoringSettings(most_trees=5))
    assert leak.kind == "iterations"
    assert found(data, ScoringSettings(trees_jump=1.0), Trees(200.0, 3000)) == []
    few = replace(data, labels=data.vectors[:, 0] + 0.3 * data.vectors[:, 1] > 0.5)
    jump = [
        leak for leak in found(few, ScoringSettings(auc_ceiling=1.0), Trees(50.0, 3000)) if leak.kind == "iterations"
    ]
    assert len(jump) == 1
    assert "times the champion's 50" in jump[0].said


@pytest.mark.parametrize(
    ("name", "label"), [("online_shoppers_intention.csv.gz", "Revenue"), ("retailrocket_prefix_train.parquet", "y")]
)
def test_honest_public_data_passes(public_logs: Path, name: str, label: str) -> None:
    pytest.importorskip("polars", reason="polars is an extra (train)")
    from scoring.data.table import read_table  # noqa: PLC0415 - after the skip

    if not (public_logs / name).is_file():
        pytest.skip(f"no {public_logs / name}")
    assert found(read_table(public_logs / name, label)) == []

"""Rows with labels: taking some of them, or some of their columns."""

import numpy as np

from tests.scoring.trained import noisy


def test_all_arrays_are_taken_together() -> None:
    data = noisy(100)
    rows = np.flatnonzero(data.labels)
    for part in (data.take(rows), data.take(data.labels)):
        assert len(part) == len(rows)
        assert part.labels.all()
        assert (part.vectors == data.vectors[rows]).all()
        assert part.times is not None
        assert data.times is not None
        assert (part.times == data.times[rows]).all()
        assert part.due is None
        assert part.source == data.source


def test_columns_go_with_their_values() -> None:
    data = noisy(100, columns=3)
    fewer = data.without(frozenset({"c1"}))
    assert [column.name for column in fewer.columns] == ["c0", "c2"]
    assert (fewer.vectors == data.vectors[:, [0, 2]]).all()

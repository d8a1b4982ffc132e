"""A challenger against the champion: only rows that neither was trained on count."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from ringback.errors import NotPromoted
from scoring.data.split import grouped
from scoring.dataset import Column, Dataset
from scoring.features import FEATURES
from scoring.judging.contest import contest, unseen
from scoring.manifest import DataSource, SplitReport
from scoring.model import Model
from tests.scoring.models import make

ROWS = 4000
DAY = 86400.0
# What `make` trains on is in another column for each seed.
CHALLENGER, CHAMPION = 1, 2


def source(sha256: str, first: float, last: float) -> DataSource:
    return DataSource(name="a log", sha256=sha256, events=ROWS, shoppers=ROWS // 2, first=first, last=last)


def rows(first: float = 0.0, last: float = 10 * DAY, decided_by: int = CHALLENGER) -> Dataset:
    rng = np.random.default_rng(4)
    vectors = rng.normal(size=(ROWS, len(FEATURES)))
    return Dataset(
        kind="log",
        columns=tuple(Column(name=feature.name) for feature in FEATURES),
        vectors=vectors,
        labels=vectors[:, decided_by] + rng.normal(size=ROWS) > 0,
        times=np.linspace(first, last, ROWS),
        groups=rng.integers(0, ROWS // 2, size=ROWS),
        due=None,
        source=source("judged", first, last),
        horizon=DAY,
    )


def model(root: Path, seed: int, first: float, last: float, boundary: float | None = None, **changes: Any) -> Model:
    split = SplitReport(kind="forward" if boundary else "grouped", train=1, stop=0, test=1, boundary=boundary)
    data = source(f"of {seed}", first, last)
    return Model.load(root / make(root, seed, horizon=DAY, data=data, split=split, **changes))


def test_the_better_one_is_found(tmp_path: Path) -> None:
    past = (-20 * DAY, -DAY)
    challenger, champion = model(tmp_path, CHALLENGER, *past), model(tmp_path, CHAMPION, *past)
    for decided_by, better in ((CHALLENGER, True), (CHAMPION, False)):
        data = rows(decided_by=decided_by)
        found = contest(challenger, champion, data, [challenger.manifest, champion.manifest])
        assert (found.challenger, found.champion, found.rows) == (challenger.version, champion.version, ROWS)
        assert found.is_better is better
        assert found.better_by[0] < found.better_by[1] < found.better_by[2]
    tie = contest(challenger, challenger, rows(), [challenger.manifest])
    assert not tie.is_better


def test_rows_that_a_model_was_trained_on_do_not_count(tmp_path: Path) -> None:
    data = rows()
    assert data.times is not None
    before = model(tmp_path, 1, -20 * DAY, -DAY).manifest
    overlapping = model(tmp_path, 2, -20 * DAY, 4 * DAY, boundary=2 * DAY).manifest
    whole = model(tmp_path, 3, 0.0, 10 * DAY).manifest
    held_out = grouped(data).test
    later = data.times > 4 * DAY
    assert unseen(data, [before]).all()
    assert (unseen(data, [before, overlapping]) == (later | (held_out & (data.times > 2 * DAY)))).all()
    assert (unseen(data, [whole]) == (held_out & (data.times > 0.0))).all()
    assert (unseen(data, [whole, overlapping]) == (unseen(data, [whole]) & unseen(data, [overlapping]))).all()


def test_too_little_that_is_new_decides_nothing(tmp_path: Path) -> None:
    challenger = model(tmp_path, CHALLENGER, -DAY, 11 * DAY, boundary=9.99 * DAY)
    champion = model(tmp_path, CHAMPION, -20 * DAY, -DAY)
    with pytest.raises(NotPromoted, match="give a log that goes on after the one for training"):
        contest(challenger, champion, rows(), [challenger.manifest, champion.manifest])


def test_models_of_other_horizons_are_not_compared(tmp_path: Path) -> None:
    challenger = model(tmp_path, CHALLENGER, -20 * DAY, -DAY)
    champion = model(tmp_path, CHAMPION, -20 * DAY, -DAY)
    champion.manifest = msgspec.structs.replace(champion.manifest, horizon=7 * DAY)
    with pytest.raises(NotPromoted, match="their scores mean different things"):
        contest(challenger, champion, rows(), [])

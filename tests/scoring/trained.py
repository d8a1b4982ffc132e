"""Models that are trained in a test, and rows to train on."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ringback.records import CartEvent
from scoring.data.rows import prefix_rows
from scoring.dataset import Column, Dataset
from scoring.features import VISIT_GAP_SECONDS
from scoring.manifest import DataSource, Manifest
from scoring.training.train import Options, train

DAY = 86400.0


def train_on(
    events: Iterable[CartEvent],
    folder: Path,
    *,
    seed: int = 7,
    horizon: float = DAY,
    uncovered: bool = False,
    source: str = "test",
) -> Manifest:
    """Train on events in order of time, into exactly this folder."""
    data = prefix_rows(events, horizon, VISIT_GAP_SECONDS, uncovered=uncovered).dataset(source)
    return train(data, folder, Options(seed=seed, gap=VISIT_GAP_SECONDS), exactly=True)


def noisy(rows: int = 4000, shoppers: int = 1500, columns: int = 4, seed: int = 3) -> Dataset:
    """A table of shoppers over 30 days: the first column tells something of the label, the others are noise."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(rows, columns))
    labels = rng.random(rows) < 1.0 / (1.0 + np.exp(1.0 - vectors[:, 0]))
    return Dataset(
        kind="table",
        columns=tuple(Column(name=f"c{number}") for number in range(columns)),
        vectors=vectors,
        labels=labels,
        times=np.sort(rng.random(rows)) * 30 * DAY,
        groups=rng.integers(0, shoppers, rows),
        due=None,
        source=DataSource(name="noisy", sha256="0" * 64, events=rows, shoppers=shoppers),
        horizon=None,
    )

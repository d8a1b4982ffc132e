"""How good the intent model is on public data, beside what others have published of the same data.

    make bench-quality

Every number is of rows whose shoppers were in no training row, and made by the recipe of `ringback train` with its
defaults. The data is not part of the repository: its folder is RINGBACK_TEST_DATA, or ../shared/data beside it. What is
absent is said and left out. The last line is one JSON object: data set -> metric -> value.
"""

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from scoring.data.history import COLUMNS as HISTORY
from scoring.data.split import folds
from scoring.data.table import read_table
from scoring.dataset import Dataset, Mask
from scoring.judging.metrics import Intervals, Metrics, Name, bootstrap, evaluate
from scoring.training.fit import FOLDS, fit_recipe, predict

SEED = 7
RETAILROCKET = "retailrocket_prefix_train.parquet"
UCI = "online_shoppers_intention.csv.gz"
TRAINED_MONTHS = 10
SHOWN: tuple[Name, ...] = ("auc", "pr_auc", "log_loss", "brier", "ece", "lift_10", "recall_30")

Numbers = dict[Name, float]


@dataclass(frozen=True, slots=True)
class Trial:
    """One row of the table: what is trained and tested on what, and the numbers that it has to stand beside."""

    name: str
    file: str
    said: str
    run: Callable[[Path], tuple[Metrics, Intervals]]
    target: Numbers
    published: Numbers
    source: str


def main() -> None:
    """Run what there is data for."""
    folder = Path(os.environ.get("RINGBACK_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    found: dict[str, Numbers] = {}
    for trial in TRIALS:
        if not (folder / trial.file).is_file():
            print(f"{trial.said}: left out, there is no {trial.file} in {folder}; set RINGBACK_TEST_DATA to its folder")
            continue
        metrics, intervals = trial.run(folder / trial.file)
        found[trial.name] = {name: round(value, 4) for name in SHOWN if (value := getattr(metrics, name)) is not None}
        for line in _lines(trial, metrics, intervals):
            print(line, flush=True)
    if not found:
        print("No data, so no numbers.")
    print(json.dumps(found))


def _lines(trial: Trial, metrics: Metrics, intervals: Intervals) -> Iterator[str]:
    yield f"{trial.said}: {metrics.rows:,} test rows, {metrics.base_rate:.1%} bought"
    for name in SHOWN:
        value = getattr(metrics, name)
        low, high = intervals[name]
        line = f"  {name:9} {value:.4f}  [{low:.4f}, {high:.4f}]"
        if name in trial.target:
            met = value <= trial.target[name] if name == "ece" else value >= trial.target[name]
            line += f"  target {trial.target[name]}: {'met' if met else 'MISSED'}"
        if name in trial.published:
            line += f"  published {trial.published[name]}"
        yield line
    yield f"  published: {trial.source}"


def _tested(data: Dataset, part: np.ndarray, tested: range) -> tuple[Metrics, Intervals]:
    """Each part numbered in ``tested`` is scored by a model of all others, and all scores are judged together."""
    scores = np.full(len(data), np.nan)
    for number in tested:
        train = part != number
        scores[~train] = predict(fit_recipe(data, train, SEED, served=False), data.vectors[~train])
    return _judged(data, ~np.isnan(scores), scores)


def _judged(data: Dataset, test: Mask, scores: np.ndarray) -> tuple[Metrics, Intervals]:
    labels, groups = data.labels[test], None if data.groups is None else data.groups[test]
    metrics = evaluate(labels, scores[test])
    if metrics is None:
        raise ValueError(f"{data.source.name}: no test rows")
    return metrics, bootstrap(labels, scores[test], groups, SEED)


def _by_fold(data: Dataset) -> tuple[Metrics, Intervals]:
    return _tested(data, folds(data, FOLDS), range(FOLDS))


@contextmanager
def _first_carts(path: Path) -> Iterator[Path]:
    """The rows at the first thing put into the cart, as a table of their own."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "retailrocket_first_cart.parquet"
        pl.read_parquet(path).filter(pl.col("cutoff_k") == 0).drop("cutoff_k").write_parquet(table)
        yield table


def _retailrocket(path: Path) -> tuple[Metrics, Intervals]:
    with _first_carts(path) as table:
        return _by_fold(read_table(table, "y", group="visitorid"))


def _retailrocket_bare(path: Path) -> tuple[Metrics, Intervals]:
    with _first_carts(path) as table:
        data = read_table(table, "y", group="visitorid")
        return _by_fold(data.without(frozenset(column.name for column in HISTORY)))


def _retailrocket_all(path: Path) -> tuple[Metrics, Intervals]:
    return _by_fold(read_table(path, "y", group="visitorid"))


def _uci(path: Path) -> tuple[Metrics, Intervals]:
    return _by_fold(read_table(path, "Revenue"))


def _uci_bare(path: Path) -> tuple[Metrics, Intervals]:
    return _by_fold(read_table(path, "Revenue", drop=("PageValues",)))


def _uci_forward(path: Path) -> tuple[Metrics, Intervals]:
    data = read_table(path, "Revenue", time="Month")
    if data.times is None:
        raise ValueError(f"{path}: no months")
    return _tested(data, (data.times > TRAINED_MONTHS).astype(np.int64), range(1, 2))


TRIALS = (
    Trial(
        "retailrocket_first_cart",
        RETAILROCKET,
        "RetailRocket, at the first cart, 5 folds by visitor",
        _retailrocket,
        {"auc": 0.685, "pr_auc": 0.475, "ece": 0.010},
        {"auc": 0.646, "pr_auc": 0.432},
        "decision tree, grouped by visitor (brjahanbani/Cart-Abandonment-Prediction-Big-Data-Pipeline)",
    ),
    Trial(
        "retailrocket_first_cart_without_history",
        RETAILROCKET,
        "… without the visitor's earlier visits but their number",
        _retailrocket_bare,
        {},
        {"auc": 0.646, "pr_auc": 0.432},
        "the same",
    ),
    Trial(
        "retailrocket_all_cutoffs",
        RETAILROCKET,
        "RetailRocket, at the first cart and up to 10 events later, 5 folds by visitor",
        _retailrocket_all,
        {},
        {},
        "none for all cut-offs together; 0.58 to 0.60 for the later ones",
    ),
    Trial(
        "uci_random",
        UCI,
        "UCI Online Shoppers, 5 random folds",
        _uci,
        {"auc": 0.934, "pr_auc": 0.752},
        {"auc": 0.937, "pr_auc": 0.754},
        "XGBoost (PMC10121810, 2023)",
    ),
    Trial(
        "uci_random_without_page_values",
        UCI,
        "… without PageValues, which the shop's analytics compute from transactions",
        _uci_bare,
        {},
        {},
        "none found",
    ),
    Trial(
        "uci_forward",
        UCI,
        "UCI Online Shoppers, trained on February to October, tested on November and December",
        _uci_forward,
        {"auc": 0.825},
        {},
        "none found",
    ),
)

if __name__ == "__main__":
    main()

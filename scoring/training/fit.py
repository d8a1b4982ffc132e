"""Fits LightGBM: one model with early stopping, and the recipe that cross-fits first and then uses all rows."""

from collections.abc import Callable
from dataclasses import dataclass

import lightgbm
import numpy as np
from numpy.typing import NDArray

from scoring.calibration import Calibration, fit_calibration
from scoring.data.split import folds
from scoring.dataset import Dataset, Mask
from scoring.errors import TrainingError

Parameters = dict[str, int | float | str | bool]
Floats = NDArray[np.float64]

FOLDS = 5
# Of more rows than this one fold is evidence enough, and five would take long.
CROSS_FITTED_ROWS = 300_000
PATIENCE = 60
MOST_ROUNDS = 2000
# A served model has to answer within microseconds: at most 300 trees of 31 leaves.
MOST_SERVED_TREES = 300
PARAMETERS: Parameters = {
    "objective": "binary",
    "metric": "binary_logloss",
    "learning_rate": 0.03,
    "num_leaves": 15,
    "min_data_in_leaf": 60,
    "feature_fraction": 0.8,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 1.0,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model of the training rows. ``text`` is its model.txt, and ``parameters`` those of the last fit.

    ``held_out`` marks the training rows that a fold left out, and ``scores`` has, before calibration, what the model
    that did not see their shoppers made of them; NaN elsewhere. ``iterations`` are the best numbers of trees by fold.
    """

    text: str
    calibration: Calibration
    held_out: Mask
    scores: Floats
    iterations: tuple[int, ...]
    parameters: Parameters


def predict(fitted: Fitted, vectors: Floats) -> Floats:
    """The calibrated probability of each row."""
    raw = lightgbm.Booster(model_str=fitted.text).predict(vectors, num_threads=1)
    return fitted.calibration.apply(np.asarray(raw, dtype=np.float64))


def fit(data: Dataset, train: Mask, stop: Mask, seed: int, parameters: Parameters = PARAMETERS) -> lightgbm.Booster:
    """Fit on the rows ``train`` until the log-loss on the rows ``stop`` has not improved for a while."""
    training = _rows(data, train)
    return lightgbm.train(
        {**parameters, "seed": seed},
        training,
        num_boost_round=MOST_ROUNDS,
        valid_sets=[_rows(data, stop, training)],
        callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
    )


def fit_recipe(
    data: Dataset, train: Mask, seed: int, *, served: bool, progress: Callable[[int, int], None] | None = None
) -> Fitted:
    """Cross-fit by shopper to learn how many trees and which calibration, then fit all training rows with those.

    ``served`` keeps the model within what serving can afford: the learning rate rises where it would need more trees.
    ``progress`` is told how many fits of how many are done. The same data and seed give the same text.

    Raises `TrainingError` where no fold leaves rows of both labels on either side.
    """
    stops = _stops(data, train, seed)
    scores = np.full(len(data), np.nan)
    iterations = []
    for done, stop in enumerate(stops, start=1):
        booster = fit(data, train & ~stop, stop, seed)
        scores[stop] = booster.predict(data.vectors[stop], num_iteration=booster.best_iteration, num_threads=1)
        iterations.append(booster.best_iteration)
        if progress is not None:
            progress(done, len(stops) + 1)
    held_out = ~np.isnan(scores)
    trees, parameters = budget(round(float(np.mean(iterations))), served=served)
    booster = lightgbm.train({**parameters, "seed": seed}, _rows(data, train), num_boost_round=trees)
    if progress is not None:
        progress(len(stops) + 1, len(stops) + 1)
    return Fitted(
        text=booster.model_to_string(),
        calibration=fit_calibration(data.labels[held_out], scores[held_out]),
        held_out=held_out,
        scores=scores,
        iterations=tuple(iterations),
        parameters=parameters,
    )


def _stops(data: Dataset, train: Mask, seed: int) -> list[Mask]:
    """The rows that each fold leaves out; folds without both labels on either side are passed over."""

    def has_both(rows: Mask) -> bool:
        return 0 < int(data.labels[rows].sum()) < int(rows.sum())

    part = folds(data, FOLDS, seed)
    found = [stop for fold in range(FOLDS) if has_both(stop := train & (part == fold)) and has_both(train & ~stop)]
    if not found:
        raise TrainingError(
            f"{data.source.name}: {int(data.labels[train].sum())} of {int(train.sum())} rows for training have a "
            "purchase after them: too few of either kind to tell when to stop; give more, or a shorter horizon"
        )
    return found if int(train.sum()) <= CROSS_FITTED_ROWS else found[:1]


def budget(trees: int, *, served: bool) -> tuple[int, Parameters]:
    """How many trees to fit where so many are wanted, and with which parameters: fewer trees learn faster each."""
    if not served or trees <= MOST_SERVED_TREES:
        return max(trees, 1), PARAMETERS
    rate = float(PARAMETERS["learning_rate"]) * trees / MOST_SERVED_TREES
    return MOST_SERVED_TREES, {**PARAMETERS, "learning_rate": round(rate, 6)}


def _rows(data: Dataset, part: Mask, reference: lightgbm.Dataset | None = None) -> lightgbm.Dataset:
    return lightgbm.Dataset(
        data.vectors[part],
        data.labels[part].astype(np.float64),
        feature_name=[column.name for column in data.columns],
        categorical_feature=[index for index, column in enumerate(data.columns) if column.kind == "category"],
        reference=reference,
        params={"verbosity": -1},
    )

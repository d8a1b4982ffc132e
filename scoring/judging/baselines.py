"""What a model has to beat: the base rate, and a logistic regression (by scikit-learn, extra ``train``)."""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scoring.dataset import Dataset
from scoring.judging.metrics import Scores

FOLDS = 5
MOST_ROWS = 100_000
MOST_STEPS = 500
LEAST_OF_A_KIND = 20


def is_enough(data: Dataset) -> bool:
    """Whether a logistic regression can be fitted: there are rows of both kinds, and more shoppers than folds."""
    buyers = int(data.labels.sum())
    groups = len(data) if data.groups is None else len(np.unique(data.groups))
    return min(buyers, len(data) - buyers) >= LEAST_OF_A_KIND and groups > FOLDS


def logistic(train: Dataset, test: Dataset, seed: int = 7) -> Scores:
    """Scores of ``test`` by a logistic regression that was fitted on ``train``, which has to have the same columns.

    Numbers are standardised after missing ones were set to the median, with a column beside that says so; categories
    have a column for each level. At most 100,000 rows are fitted, drawn by ``seed``. Rows of one class only give that
    class's rate. Raises `ImportError` without scikit-learn.
    """
    from sklearn.exceptions import ConvergenceWarning  # noqa: PLC0415 - an extra

    if train.labels.all() or not train.labels.any():
        return np.full(len(test), float(train.labels.any()))
    rows = np.arange(len(train))
    if len(rows) > MOST_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_ROWS, replace=False))
    pipeline = _pipeline(train)
    with warnings.catch_warnings():
        # A baseline that stopped after 500 steps is as good as it gets for the purpose.
        warnings.simplefilter("ignore", ConvergenceWarning)
        pipeline.fit(_finite(train.vectors[rows]), train.labels[rows])
    return np.asarray(pipeline.predict_proba(_finite(test.vectors))[:, 1], dtype=np.float64)


def cross_fitted(data: Dataset, seed: int = 7) -> Scores:
    """Scores of all rows by `logistic`, each by one that was fitted on the shoppers of the other four fifths.

    There have to be five shoppers at least; see `is_enough`.
    """
    fold = folds(len(data), data.groups, seed)
    scores = np.empty(len(data))
    for part in range(FOLDS):
        inside = fold == part
        scores[inside] = logistic(data.take(~inside), data.take(inside), seed)
    return scores


def folds(rows: int, groups: NDArray[np.int64] | None, seed: int) -> NDArray[np.int64]:
    """The fold of each row: rows of a group are in the same one."""
    place = np.arange(rows) if groups is None else np.unique(groups, return_inverse=True)[1]
    count = int(place.max(initial=-1)) + 1
    return np.asarray(np.random.default_rng(seed).permutation(count) % FOLDS, dtype=np.int64)[place]


def _finite(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isfinite(vectors), vectors, np.nan)


def _pipeline(data: Dataset) -> Any:  # scikit-learn ships no types
    from sklearn.compose import ColumnTransformer  # noqa: PLC0415 - an extra
    from sklearn.impute import SimpleImputer  # noqa: PLC0415 - an extra
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - an extra
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415 - an extra
    from sklearn.preprocessing import OneHotEncoder, StandardScaler  # noqa: PLC0415 - an extra

    categories = [place for place, column in enumerate(data.columns) if column.kind == "category"]
    numbers = [place for place in range(len(data.columns)) if place not in categories]
    imputed = SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)
    return make_pipeline(
        ColumnTransformer(
            [
                ("numbers", make_pipeline(imputed, StandardScaler()), numbers),
                ("categories", OneHotEncoder(handle_unknown="ignore"), categories),
            ]
        ),
        LogisticRegression(max_iter=MOST_STEPS),
    )

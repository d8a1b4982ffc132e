"""How good scores are: metrics of probabilities against what happened.

Accuracy is left out on purpose: where one cart in five is bought, "nobody buys" is hard to beat by it.
"""

import numpy as np
from numpy.typing import NDArray

from ringback.records import Record

Labels = NDArray[np.bool_]
Scores = NDArray[np.float64]

CALIBRATION_BINS = 15
TINY = 1e-15


class Metrics(Record, frozen=True, kw_only=True):
    """Quality on a set of rows. ``auc`` and ``pr_auc`` are None where only one class is present."""

    rows: int
    base_rate: float
    auc: float | None
    pr_auc: float | None
    log_loss: float
    ece: float


def evaluate(labels: Labels, scores: Scores) -> Metrics | None:
    """All metrics of one set; None for no rows."""
    if not len(labels):
        return None
    both = bool(labels.any() and not labels.all())
    return Metrics(
        rows=len(labels),
        base_rate=float(labels.mean()),
        auc=auc(labels, scores) if both else None,
        pr_auc=average_precision(labels, scores) if both else None,
        log_loss=log_loss(labels, scores),
        ece=calibration_error(labels, scores),
    )


def auc(labels: Labels, scores: Scores) -> float:
    """Area under the ROC curve: how often a buyer's score exceeds a non-buyer's; ties count half."""
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    buyers = int(labels.sum())
    others = len(labels) - buyers
    return float((ranks[labels].sum() - buyers * (buyers + 1) / 2) / (buyers * others))


def average_precision(labels: Labels, scores: Scores) -> float:
    """Area under the precision-recall curve, as the sum of precision x gain in recall over the distinct scores."""
    order = np.argsort(-scores, kind="stable")
    last_of_tie = np.append(np.diff(scores[order]) != 0, True)
    found = np.cumsum(labels[order])[last_of_tie]
    taken = np.flatnonzero(last_of_tie) + 1
    gain = np.diff(found, prepend=0) / found[-1]
    return float((found / taken * gain).sum())


def log_loss(labels: Labels, scores: Scores) -> float:
    """Mean negative log-likelihood, in nats."""
    likelihood = np.where(labels, scores, 1.0 - scores)
    return float(-np.log(np.clip(likelihood, TINY, 1.0)).mean())


def calibration_error(labels: Labels, scores: Scores) -> float:
    """Expected calibration error: mean gap between score and outcome in bins of equal numbers of rows."""
    order = np.argsort(scores, kind="stable")
    bins = np.array_split(order, min(CALIBRATION_BINS, len(order)))
    gaps = [abs(float(scores[rows].mean() - labels[rows].mean())) * len(rows) for rows in bins]
    return sum(gaps) / len(order)

"""How good scores are: metrics of probabilities against what happened, each with its interval.

Accuracy is left out on purpose: where one cart in five is bought, "nobody buys" is hard to beat by it. Rows of equal
score have no order among themselves: a cut that goes through them takes the same share of each, so no number depends on
the order of the rows.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ringback.records import Record
from scoring.judging.bootstrap import ROUNDS, interval, weights

Labels = NDArray[np.bool_]
Scores = NDArray[np.float64]
Groups = NDArray[np.int64]
Name = Literal["auc", "pr_auc", "log_loss", "brier", "ece", "lift_10", "recall_30"]
Intervals = dict[str, tuple[float, float]]
"""Metric -> the ends of its 95 % interval. A metric that has no meaning on the rows is not in it."""

NAMES: tuple[Name, ...] = get_args(Name)
TITLES: dict[Name, str] = {
    "auc": "ROC-AUC",
    "pr_auc": "PR-AUC",
    "log_loss": "log-loss",
    "brier": "Brier",
    "ece": "ECE",
    "lift_10": "lift@10%",
    "recall_30": "recall@30%",
}
LOWER_IS_BETTER = frozenset({"log_loss", "brier", "ece"})
CALIBRATION_BINS = 15
TINY = 1e-15


class Metrics(Record, frozen=True, kw_only=True):
    """Quality on a set of rows. ``auc``, ``pr_auc``, ``lift_10`` and ``recall_30`` are None where one class is missing.

    ``log_loss`` is in nats. ``ece`` is the expected calibration error over 15 bins of equal numbers of rows.
    ``lift_10`` is the base rate of the tenth with the highest scores over that of all rows; ``recall_30`` the share of
    the buyers whom the highest 30 % of the scores hold.
    """

    rows: int
    base_rate: float
    auc: float | None
    pr_auc: float | None
    log_loss: float
    brier: float
    ece: float
    lift_10: float | None
    recall_30: float | None


@dataclass(frozen=True, slots=True)
class Gains:
    """What calling down the list finds. One entry for each distinct score, the highest first, after a leading zero.

    ``taken`` counts the rows with that score or a higher one, ``found`` the buyers among them, ``expected`` the sum of
    their scores.
    """

    taken: NDArray[np.float64]
    found: NDArray[np.float64]
    expected: NDArray[np.float64]


class Ranking:
    """Rows in order of falling score, prepared so that they can be measured many times under other weights."""

    def __init__(self, labels: Labels, scores: Scores) -> None:
        order = np.argsort(-scores, kind="stable")
        ranked = scores[order]
        likelihood = np.where(labels, scores, 1.0 - scores)
        self._order = order
        self._scores = ranked
        self._labels = labels[order].astype(np.float64)
        self._ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
        self._log_losses = -np.log(np.clip(likelihood, TINY, 1.0))
        self._squares = (scores - labels) ** 2

    def gains(self, weight: NDArray[np.float64] | None = None) -> Gains:
        """Rows counted as often as ``weight`` says (in the rows' own order; None: once each)."""
        ones = np.ones(len(self._order)) if weight is None else weight[self._order]
        return Gains(*(self._summed(column) for column in (ones, ones * self._labels, ones * self._scores)))

    def measure(self, weight: NDArray[np.float64] | None = None) -> dict[Name, float]:
        """All metrics with rows counted as often as ``weight`` says. NaN where a metric has no meaning."""
        gains = self.gains(weight)
        rows, buyers = gains.taken[-1], gains.found[-1]
        both = 0 < buyers < rows
        return {
            "auc": _auc(gains) if both else np.nan,
            "pr_auc": _average_precision(gains) if both else np.nan,
            "log_loss": float(np.average(self._log_losses, weights=weight)),
            "brier": float(np.average(self._squares, weights=weight)),
            "ece": _calibration_error(gains),
            "lift_10": _found_in_top(gains, 0.1) / float(0.1 * buyers) if both else np.nan,
            "recall_30": _found_in_top(gains, 0.3) / float(buyers) if both else np.nan,
        }

    def _summed(self, column: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.concatenate([[0.0], np.cumsum(column)[self._ends]])


def evaluate(labels: Labels, scores: Scores) -> Metrics | None:
    """All metrics of one set; None for no rows."""
    if not len(labels):
        return None
    found = Ranking(labels, scores).measure()
    known = {name: None if np.isnan(number) else number for name, number in found.items()}
    return Metrics(
        rows=len(labels),
        base_rate=float(labels.mean()),
        auc=known["auc"],
        pr_auc=known["pr_auc"],
        log_loss=found["log_loss"],
        brier=found["brier"],
        ece=found["ece"],
        lift_10=known["lift_10"],
        recall_30=known["recall_30"],
    )


def shown(name: Name, value: float | None) -> str:
    """A metric's value for people."""
    if value is None:
        return "-"
    if name == "lift_10":
        return f"{value:.2f}"
    return f"{value:.1%}" if name == "recall_30" else f"{value:.4f}" if name in LOWER_IS_BETTER else f"{value:.3f}"


def auc(labels: Labels, scores: Scores) -> float:
    """Area under the ROC curve: how often a buyer's score exceeds a non-buyer's; ties count half."""
    return Ranking(labels, scores).measure()["auc"]


def average_precision(labels: Labels, scores: Scores) -> float:
    """Area under the precision-recall curve, as the sum of precision x gain in recall over the distinct scores."""
    return Ranking(labels, scores).measure()["pr_auc"]


def log_loss(labels: Labels, scores: Scores) -> float:
    """Mean negative log-likelihood, in nats."""
    return Ranking(labels, scores).measure()["log_loss"]


def calibration_error(labels: Labels, scores: Scores) -> float:
    """Expected calibration error: mean gap between score and outcome in bins of equal numbers of rows."""
    return Ranking(labels, scores).measure()["ece"]


def calibration_bins(gains: Gains) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Bins of equal numbers of rows, the highest scores first: rows in it, mean score, share that bought."""
    rows = gains.taken[-1]
    edges = np.linspace(0.0, rows, int(min(CALIBRATION_BINS, max(rows, 1))) + 1)
    size = np.diff(edges)
    said = np.diff(np.interp(edges, gains.taken, gains.expected)) / size
    happened = np.diff(np.interp(edges, gains.taken, gains.found)) / size
    return size, said, happened


def bootstrap(
    labels: Labels, scores: Scores, groups: Groups | None = None, seed: int = 7, rounds: int = ROUNDS
) -> Intervals:
    """The 95 % interval of each metric, by drawing shoppers (``groups``; None: rows) with replacement."""
    if not len(labels):
        return {}
    ranking = Ranking(labels, scores)
    point = ranking.measure()
    drawn = _by_metric(ranking.measure(weight) for weight in weights(len(labels), groups, seed, rounds))
    drawn["ece"] = np.maximum(_moved(drawn["ece"], point["ece"]), 0.0)
    ends = {name: interval(found) for name, found in drawn.items()}
    return {name: both for name, both in ends.items() if both is not None}


def paired_differences(
    labels: Labels, a: Scores, b: Scores, groups: Groups | None = None, seed: int = 7, rounds: int = ROUNDS
) -> dict[Name, tuple[float, float, float]]:
    """How much better ``a`` is than ``b`` on the same rows, by metric: low end, the difference itself, high end (95 %).

    **Positive is better for ``a`` in every metric**: differences of losses have their sign turned. Both are measured on
    the same draws of shoppers, so what is hard for both does not widen the interval. ``a`` is better beyond chance
    where the low end is over 0. A metric that has no meaning on the rows is left out.
    """
    if not len(labels):
        return {}
    first, second = Ranking(labels, a), Ranking(labels, b)

    def better(weight: NDArray[np.float64] | None = None) -> dict[Name, float]:
        one, other = first.measure(weight), second.measure(weight)
        return {
            name: (other[name] - one[name] if name in LOWER_IS_BETTER else one[name] - other[name]) for name in NAMES
        }

    point = better()
    drawn = _by_metric(better(weight) for weight in weights(len(labels), groups, seed, rounds))
    drawn["ece"] = _moved(drawn["ece"], point["ece"])
    ends = {name: interval(found) for name, found in drawn.items()}
    return {
        name: (both[0], point[name], both[1])
        for name, both in ends.items()
        if both is not None and not np.isnan(point[name])
    }


def _by_metric(measured: Iterable[dict[Name, float]]) -> dict[Name, NDArray[np.float64]]:
    rounds = list(measured)
    return {name: np.array([one[name] for one in rounds]) for name in NAMES}


def _moved(drawn: NDArray[np.float64], point: float) -> NDArray[np.float64]:
    """Without the draws' own bias: drawn rows look less well calibrated, by chance, than those they were drawn from."""
    return np.asarray(drawn - (drawn.mean() - point), dtype=np.float64)


def _auc(gains: Gains) -> float:
    found, others = gains.found, gains.taken - gains.found
    ahead = (found[1:] + found[:-1]) / 2
    return float((np.diff(others) * ahead).sum() / (found[-1] * others[-1]))


def _average_precision(gains: Gains) -> float:
    taken, found = gains.taken[1:], gains.found
    precision = np.divide(found[1:], taken, out=np.zeros_like(taken), where=taken > 0)
    return float((np.diff(found) * precision).sum() / found[-1])


def _calibration_error(gains: Gains) -> float:
    size, said, happened = calibration_bins(gains)
    return float(np.average(np.abs(said - happened), weights=size))


def _found_in_top(gains: Gains, share: float) -> float:
    return float(np.interp(share * gains.taken[-1], gains.taken, gains.found))

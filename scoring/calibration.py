"""From a model's probabilities to calibrated ones, by a curve of two or three numbers.

Platt: sigmoid(a * logit(p) + c) (Platt 1999). Beta: sigmoid(a * ln p - b * ln(1 - p) + c) with a, b >= 0 (Kull, Silva
Filho, Flach 2017). Both are monotone, so they leave the ranking as it is. Isotonic regression is not offered: its steps
make ties and, on windows of the usual size, a worse log-loss.
"""

import math
from typing import Literal, overload

import numpy as np
from numpy.typing import NDArray

from ringback.records import Record
from scoring.judging.metrics import log_loss

Floats = NDArray[np.float64]
Kind = Literal["none", "platt", "beta"]

CALIBRATION = "calibration.json"
CLIP = 1e-12
LEAST_MARGIN = -700.0  # exp of more does not fit a float
FOLDS = 5
LEAST_ROWS = 1000
LEAST_POSITIVES = 50
# A gain smaller than this, in nats a row, is no reason for one more moving part.
LEAST_GAIN = 1e-5


class Calibration(Record, frozen=True, kw_only=True):
    """sigmoid(a * ln p - b * ln(1 - p) + c); Platt has a = b, and ``none`` leaves a probability as it is."""

    kind: Kind = "none"
    a: float = 1.0
    b: float = 1.0
    c: float = 0.0

    @overload
    def apply(self, score: float) -> float: ...
    @overload
    def apply(self, score: Floats) -> Floats: ...
    def apply(self, score: float | Floats) -> float | Floats:
        """The calibrated probability of one score, or of each."""
        if self.kind == "none":
            return score
        if isinstance(score, np.ndarray):
            inside = np.clip(score, CLIP, 1.0 - CLIP)
            margins = self.a * np.log(inside) - self.b * np.log1p(-inside) + self.c
            return np.asarray(1.0 / (1.0 + np.exp(-np.maximum(margins, LEAST_MARGIN))), dtype=np.float64)
        one = min(max(score, CLIP), 1.0 - CLIP)
        margin = self.a * math.log(one) - self.b * math.log1p(-one) + self.c
        return 1.0 / (1.0 + math.exp(-max(margin, LEAST_MARGIN)))


NONE = Calibration()


def fit_calibration(labels: NDArray[np.bool_], scores: Floats) -> Calibration:
    """The best of none, Platt and beta for scores of rows that the model was not trained on.

    A curve is taken only where, cross-fitted, its log-loss is better than without; of few rows, never.
    """
    positives = int(labels.sum())
    if len(labels) < LEAST_ROWS or not LEAST_POSITIVES <= positives <= len(labels) - LEAST_POSITIVES:
        return NONE
    fold = np.arange(len(labels)) % FOLDS
    best, least = NONE, log_loss(labels, scores) - LEAST_GAIN
    kinds: tuple[Kind, ...] = ("platt", "beta")
    for kind in kinds:
        held_out = np.empty_like(scores)
        for part in range(FOLDS):
            inside = fold == part
            held_out[inside] = _fit(kind, labels[~inside], scores[~inside]).apply(scores[inside])
        loss = log_loss(labels, held_out)
        if loss < least:
            best, least = _fit(kind, labels, scores), loss - LEAST_GAIN
    return best


def _fit(kind: Kind, labels: NDArray[np.bool_], scores: Floats) -> Calibration:
    inside = np.clip(scores, CLIP, 1.0 - CLIP)
    up, down = np.log(inside), -np.log1p(-inside)
    if kind == "platt":
        slope, shift = _logistic(labels, up + down)
        return Calibration(kind="platt", a=slope, b=slope, c=shift) if slope > 0 else NONE
    a, b, c = _logistic(labels, up, down)
    if a < 0:
        a, (b, c) = 0.0, _logistic(labels, down)
    elif b < 0:
        b, (a, c) = 0.0, _logistic(labels, up)
    return Calibration(kind="beta", a=a, b=b, c=c) if min(a, b) >= 0 else NONE


def _logistic(labels: NDArray[np.bool_], *inputs: Floats) -> tuple[float, ...]:
    """Weights of a logistic regression, the intercept last, by Newton's method with a ridge too small to see."""
    design = np.column_stack([*inputs, np.ones(len(labels))])
    weights = np.zeros(design.shape[1])
    ridge = 1e-6 * np.eye(len(weights))
    for _ in range(50):
        chance = 1.0 / (1.0 + np.exp(-np.clip(design @ weights, -35.0, 35.0)))
        gradient = design.T @ (chance - labels) + ridge @ weights
        curvature = (design * (chance * (1.0 - chance))[:, None]).T @ design + ridge
        step = np.linalg.solve(curvature, gradient)
        weights -= step
        if float(np.abs(step).max()) < 1e-10:
            break
    return tuple(float(weight) for weight in weights)

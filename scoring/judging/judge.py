"""Judges a model: its metrics with intervals, beside those of what it has to beat, on the same rows."""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

import numpy as np
from msgspec import field

from ringback.records import Record
from scoring.data.split import Split, split
from scoring.dataset import Dataset, Mask
from scoring.errors import TrainingError
from scoring.judging import baselines
from scoring.judging.metrics import (
    Groups,
    Intervals,
    Labels,
    Metrics,
    Name,
    Scores,
    bootstrap,
    evaluate,
    paired_differences,
)
from scoring.manifest import Manifest
from scoring.model import Model

MODEL, BASE_RATE, LOGISTIC, CHAMPION = "model", "base_rate", "logistic_regression", "champion"
NAMES = {MODEL: "this model", BASE_RATE: "base rate", LOGISTIC: "logistic regression", CHAMPION: "champion"}


class Baseline(Record, frozen=True, kw_only=True):
    """Something that a model has to beat, on the same rows.

    ``how`` says what it is, or why it could not be judged: then ``metrics`` is None. ``model_better_by`` holds, by
    metric, low end, value and high end of how much better the judged model is (see `paired_differences`).
    """

    how: str
    version: str | None = None
    metrics: Metrics | None = None
    intervals: Intervals = field(default_factory=dict)
    model_better_by: dict[Name, tuple[float, float, float]] = field(default_factory=dict)


class Judged(Record, frozen=True, kw_only=True):
    """What came out. ``part``: ``held_out`` where the data is what the model was trained on, else ``all`` of its rows.

    ``groups`` counts the shoppers, None where every row counts as one of its own. ``due`` are the metrics of a log's
    rows at abandonment alone: those on which it is decided whom to call.
    """

    version: str
    kind: Literal["log", "table"]
    data: str
    sha256: str
    part: Literal["all", "held_out"]
    groups: int | None
    metrics: Metrics
    intervals: Intervals
    baselines: dict[str, Baseline]
    due: Metrics | None = None
    due_intervals: Intervals = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evidence:
    """`Judged`, the rows that were judged, and each contender's scores of them."""

    judged: Judged
    data: Dataset
    scores: dict[str, Scores]


class Compared(Record, frozen=True, kw_only=True):
    """Two models on the same rows. ``a_better_by``: low end, value and high end by metric (see `paired_differences`).

    ``verdict`` is on log-loss, which tells ranking and calibration at once: ``a``, ``b``, or ``unsettled`` where the
    95 % interval holds 0. ``left_out`` counts decisions that say nothing, by reason.
    """

    a: str
    b: str
    data: str
    part: Literal["all", "held_out", "matured decisions"]
    groups: int | None
    a_metrics: Metrics
    b_metrics: Metrics
    a_intervals: Intervals
    b_intervals: Intervals
    a_better_by: dict[Name, tuple[float, float, float]]
    verdict: Literal["a", "b", "unsettled"]
    left_out: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Champion:
    """The model that is in use. ``model`` is None where there is none that fits the data; ``how`` says why."""

    model: Model | None
    how: str


NO_CHAMPION = Champion(None, "not judged while training; ringback evaluate does")


def predict(model: Model, data: Dataset) -> Scores:
    """The model's calibrated probabilities of all rows."""
    raw = np.asarray(model.booster.predict(data.vectors, num_threads=1), dtype=np.float64)
    return model.manifest.calibration.apply(raw)


def judge(
    model: Model, data: Dataset, trained: Mask | None = None, test: Mask | None = None, champion: Champion = NO_CHAMPION
) -> Evidence:
    """Judge a model on all of ``data``, or on its rows ``test`` where ``trained`` others were trained on.

    The logistic regression is fitted on the rows ``trained``, or, without them, cross-fitted in the data. Raises
    `TrainingError` where no row is left to be judged.
    """
    rows = data if test is None else data.take(test)
    training = None if trained is None else data.take(trained)
    if not len(rows):
        raise TrainingError(f"{data.source.name}: no rows are left to judge the model on; give a longer log or table")
    seed = model.manifest.seed
    rate = model.manifest.base_rate if training is None else float(training.labels.mean())
    scores = {MODEL: predict(model, rows), BASE_RATE: np.full(len(rows), rate)}
    how = {BASE_RATE: f"says {rate:.1%} of everyone, the share of buyers in training"}
    scores_of_logistic, how[LOGISTIC] = _logistic(rows, training, seed)
    if scores_of_logistic is not None:
        scores[LOGISTIC] = scores_of_logistic
    how[CHAMPION] = champion.how
    if champion.model is not None:
        scores[CHAMPION] = predict(champion.model, rows)
    versions = {CHAMPION: champion.model.version if champion.model is not None else None}
    due = np.zeros(len(rows), dtype=np.bool_) if rows.due is None else rows.due
    due_groups = None if rows.groups is None else rows.groups[due]
    judged = Judged(
        version=model.version,
        kind=data.kind,
        data=data.source.name,
        sha256=data.source.sha256,
        part="all" if test is None else "held_out",
        groups=None if rows.groups is None else len(np.unique(rows.groups)),
        metrics=_metrics(rows, scores[MODEL]),
        intervals=bootstrap(rows.labels, scores[MODEL], rows.groups, seed),
        due=evaluate(rows.labels[due], scores[MODEL][due]),
        due_intervals=bootstrap(rows.labels[due], scores[MODEL][due], due_groups, seed),
        baselines={
            name: _baseline(rows, scores, name, Baseline(how=said, version=versions.get(name)), seed)
            for name, said in how.items()
        },
    )
    return Evidence(judged, rows, scores)


def held_out(data: Dataset, *manifests: Manifest) -> Split | None:
    """How the rows were divided when one of these models was trained on this very data; None where none was.

    Raises `TrainingError` where the division can't be made again.
    """
    trained = [one for one in manifests if one.data.sha256 == data.source.sha256]
    if not trained:
        return None
    division = split(data)
    for manifest in trained:
        noted = (manifest.split.kind, manifest.split.train, manifest.split.test)
        found = (division.kind, int(division.train.sum()), int(division.test.sum()))
        if noted != found:
            raise TrainingError(
                f"{manifest.version} was trained on {data.source.name}, split {noted}, and here it splits {found}: "
                "give the same options as for training, or data that it has not seen"
            )
    return division


def may_have_seen(data: Dataset, manifest: Manifest) -> bool:
    """Whether a model was trained on other data of the same days, in which the same rows may be."""
    known = manifest.data
    if data.times is None or not len(data) or known.first is None or known.last is None:
        return False
    apart = float(data.times.min()) > known.last or float(data.times.max()) < known.first
    return known.sha256 != data.source.sha256 and not apart


def compare(a: Model, b: Model, data: Dataset, seed: int = 7) -> Compared:
    """Both models on the rows of ``data`` that neither was trained on: on all, where neither was trained on this data.

    Raises `TrainingError` where no row is left.
    """
    division = held_out(data, a.manifest, b.manifest)
    rows = data if division is None else data.take(division.test)
    part: Literal["all", "held_out"] = "all" if division is None else "held_out"
    return compare_scores(
        (a.version, predict(a, rows)),
        (b.version, predict(b, rows)),
        rows.labels,
        rows.groups,
        data.source.name,
        part,
        seed,
    )


def compare_scores(
    a: tuple[str, Scores],
    b: tuple[str, Scores],
    labels: Labels,
    groups: Groups | None,
    data: str,
    part: Literal["all", "held_out", "matured decisions"],
    seed: int = 7,
) -> Compared:
    """Two versions by the scores that they gave the same rows. Raises `TrainingError` for no rows."""
    metrics = [evaluate(labels, scores) for _, scores in (a, b)]
    if metrics[0] is None or metrics[1] is None:
        raise TrainingError(f"{data}: no rows are left to compare the models on; give a longer log or table")
    better = paired_differences(labels, a[1], b[1], groups, seed)
    which: dict[str, Literal["a", "b", "unsettled"]] = {"better": "a", "worse": "b", "unsettled": "unsettled"}
    return Compared(
        a=a[0],
        b=b[0],
        data=data,
        part=part,
        groups=None if groups is None else len(np.unique(groups)),
        a_metrics=metrics[0],
        b_metrics=metrics[1],
        a_intervals=bootstrap(labels, a[1], groups, seed),
        b_intervals=bootstrap(labels, b[1], groups, seed),
        a_better_by=better,
        verdict=which[verdict(better, "log_loss")],
    )


def verdict(better_by: dict[Name, tuple[float, float, float]], metric: Name) -> Literal["better", "worse", "unsettled"]:
    """Whether the first of two models is better in a metric beyond chance (95 %), by `paired_differences`."""
    low, _, high = better_by.get(metric, (-np.inf, 0.0, np.inf))
    if low > 0:
        return "better"
    return "worse" if high < 0 else "unsettled"


def _metrics(rows: Dataset, scores: Scores) -> Metrics:
    metrics = evaluate(rows.labels, scores)
    if metrics is None:
        raise TrainingError(f"{rows.source.name}: there are no rows")
    return metrics


def _logistic(rows: Dataset, training: Dataset | None, seed: int) -> tuple[Scores | None, str]:
    if find_spec("sklearn") is None:
        return None, "not judged: it needs scikit-learn (pip install 'ringback[train]')"
    fitted_on = rows if training is None else training
    if not baselines.is_enough(fitted_on):
        return (
            None,
            f"not judged: {len(fitted_on):,} rows with {int(fitted_on.labels.sum()):,} buyers are too few to fit it",
        )
    if training is not None:
        return baselines.logistic(training, rows, seed), "fitted on the training part of the same data"
    return baselines.cross_fitted(rows, seed), "cross-fitted in the judged data, 5 folds by shopper"


def _baseline(rows: Dataset, scores: dict[str, Scores], name: str, bare: Baseline, seed: int) -> Baseline:
    if name not in scores:
        return bare
    return Baseline(
        how=bare.how,
        version=bare.version,
        metrics=_metrics(rows, scores[name]),
        intervals=bootstrap(rows.labels, scores[name], rows.groups, seed),
        model_better_by=paired_differences(rows.labels, scores[MODEL], scores[name], rows.groups, seed),
    )

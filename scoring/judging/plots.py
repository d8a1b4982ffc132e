"""The charts of a model's report. Each has a title that says what there is to see in these very numbers."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axis import Axis
from matplotlib.colors import LinearSegmentedColormap
from numpy.typing import NDArray

from scoring.drift.psi import ALARM, WARN, Shift
from scoring.judging import chart
from scoring.judging.chart import Chart, bare, drawing, finished
from scoring.judging.judge import BASE_RATE, CHAMPION, LOGISTIC, MODEL, NAMES, Evidence
from scoring.judging.metrics import Gains, Ranking, calibration_bins
from scoring.judging.profit import Profit, Terms

COLOURS = {MODEL: chart.MODEL, LOGISTIC: chart.LOGISTIC, CHAMPION: chart.CHAMPION}
SQUARE, WIDE = (4.6, 4.0), (6.4, 3.6)
HISTOGRAM_BINS = 40
MOST_POINTS = 400
SHOWN = 12
LONGEST_NAME = 34
WILSON_Z = 1.96
# Blue to red through grey, legible on light and dark paper.
VALUES = LinearSegmentedColormap.from_list("values", ["#3b76d6", "#9a8fb0", "#d8436b"])
MISSING_VALUE = "#9aa0a6"


def roc(evidence: Evidence) -> Chart:
    """ROC curves of the model and what ranks at all of what it has to beat."""
    with drawing(*SQUARE) as (figure, axes):
        for name, gains in _ranked(evidence):
            others = gains.taken - gains.found
            axes.plot(others / others[-1], gains.found / gains.found[-1], **_line(name))
        axes.plot([0, 1], [0, 1], color=chart.BASE, linestyle=":", linewidth=1.2, label="chance")
        axes.set(xlabel="share of non-buyers above the cut", ylabel="share of buyers above the cut")
        _percent(axes.xaxis, axes.yaxis)
        bare(axes)
        axes.legend(loc="lower right")
        area = evidence.judged.metrics.auc or 0.5
        return finished(
            figure,
            "roc",
            f"In {area * 100:.0f} of 100 pairs, the buyer has the higher score",
            "ROC curve: how many buyers a cut finds, against how many non-buyers come along. "
            f"The area under it is {area:.3f}; chance is 0.5.",
        )


def precision_recall(evidence: Evidence) -> Chart:
    """Precision-recall curves, with the base rate as the floor."""
    metrics = evidence.judged.metrics
    with drawing(*SQUARE) as (figure, axes):
        top = metrics.base_rate
        for name, gains in _ranked(evidence):
            taken, found = gains.taken[1:], gains.found[1:]
            enough = taken >= min(50.0, taken[-1])
            axes.plot((found / found[-1])[enough], (found / taken)[enough], **_line(name))
            top = max(top, float((found / taken)[enough].max()))
        axes.axhline(metrics.base_rate, color=chart.BASE, linestyle=":", linewidth=1.2, label="base rate")
        axes.set(xlabel="recall: share of the buyers found", ylabel="precision: share that bought")
        axes.set_ylim(0, min(1.0, top * 1.1))
        _percent(axes.xaxis, axes.yaxis)
        bare(axes)
        axes.legend(loc="upper right")
        gains = Ranking(evidence.data.labels, evidence.scores[MODEL]).gains()
        half = float(np.interp(gains.found[-1] / 2, gains.found, gains.taken))
        return finished(
            figure,
            "precision-recall",
            f"Half of the buyers are in the top {half / gains.taken[-1]:.0%} of the list",
            f"Precision and recall as one goes down the list. The area is {metrics.pr_auc or 0:.3f}; a model that "
            f"knows nothing stays at the base rate of {metrics.base_rate:.1%}.",
        )


def reliability(evidence: Evidence) -> Chart:
    """What was said against what happened, with the counts beneath."""
    scores = evidence.scores[MODEL]
    size, said, happened = calibration_bins(Ranking(evidence.data.labels, scores).gains())
    low, high = _wilson(happened, size)
    top = min(1.0, float(max(said.max(), high.max())) * 1.08)
    with drawing(*SQUARE, nrows=2, sharex=True, height_ratios=(3.4, 1)) as (figure, (axes, counts)):
        axes.plot([0, top], [0, top], color=chart.BASE, linestyle=":", linewidth=1.2, label="as said")
        axes.vlines(said, low, high, color=chart.MODEL, linewidth=1.2, alpha=0.6)
        axes.plot(said, happened, "o", color=chart.MODEL, markersize=4.5, label="bought, with 95% interval")
        axes.set(ylabel="share that bought", xlim=(0, top), ylim=(0, top))
        axes.legend(loc="upper left")
        counts.hist(scores, bins=np.linspace(0, top, HISTOGRAM_BINS), color=chart.MODEL, alpha=0.55)
        counts.set(xlabel="score", ylabel="rows")
        _percent(axes.xaxis, axes.yaxis)
        bare(axes)
        bare(counts, grid="y")
        error = evidence.judged.metrics.ece
        return finished(
            figure,
            "reliability",
            f"Scores are off by {error * 100:.1f} points on average",
            f"Each dot is a fifteenth of the rows (about {size[0]:,.0f}), by score: on the dotted line, as many bought "
            "as the score said. Beneath: how many rows have which score.",
        )


def lift(evidence: Evidence) -> Chart:
    """The base rate of each tenth of the list."""
    gains = Ranking(evidence.data.labels, evidence.scores[MODEL]).gains()
    edges = np.linspace(0, gains.taken[-1], 11)
    rates = np.diff(np.interp(edges, gains.taken, gains.found)) / np.diff(edges)
    low, high = _wilson(rates, np.diff(edges))
    base = evidence.judged.metrics.base_rate
    with drawing(*SQUARE) as (figure, axes):
        places = np.arange(1, 11)
        axes.bar(places, rates, color=chart.MODEL, width=0.78)
        axes.vlines(places, low, high, color=chart.INK, linewidth=1)
        axes.axhline(base, color=chart.BASE, linestyle=":", linewidth=1.4)
        axes.annotate(f"all: {base:.1%}", (10.5, base), ha="right", va="bottom", fontsize=9, color=chart.MUTED)
        axes.set(xlabel="tenth of the list, the highest scores first", ylabel="share that bought", xticks=places)
        axes.set_ylim(bottom=0)
        _percent(axes.yaxis)
        bare(axes, grid="y")
        return finished(
            figure,
            "lift",
            f"The best tenth buys {rates[0] / base if base else 0:.1f} times as often as all, "
            f"the last one {rates[-1] / base if base else 0:.1f} times",
            f"Share of buyers in each tenth of the list, with 95% intervals. Dotted: all rows ({base:.1%}).",
        )


def gains(evidence: Evidence) -> Chart:
    """The share of the buyers found, by the share of the list."""
    share = evidence.judged.metrics.recall_30 or 0.3
    with drawing(*SQUARE) as (figure, axes):
        for name, found in _ranked(evidence):
            axes.plot(found.taken / found.taken[-1], found.found / found.found[-1], **_line(name))
        axes.plot([0, 1], [0, 1], color=chart.BASE, linestyle=":", linewidth=1.2, label="in any order")
        axes.plot([0.3, 0.3, 0], [0, share, share], color=chart.MUTED, linewidth=0.8, linestyle="--")
        axes.set(xlabel="share of the list", ylabel="share of the buyers found")
        _percent(axes.xaxis, axes.yaxis)
        bare(axes)
        axes.legend(loc="lower right")
        return finished(
            figure,
            "gains",
            f"30% of the list holds {share:.0%} of the buyers",
            "Cumulative gains: how many of all buyers are found by going so far down the list.",
        )


def distribution(evidence: Evidence) -> Chart:
    """Histograms of the scores of buyers and of the others, each with an area of 1."""
    scores, labels = evidence.scores[MODEL], evidence.data.labels
    top = float(np.quantile(scores, 0.999)) or 1.0
    bins = np.linspace(0, max(top, float(scores.max()) if top < 0.05 else top), HISTOGRAM_BINS)
    with drawing(*SQUARE) as (figure, axes):
        for name, rows, colour in (("others", ~labels, chart.OTHERS), ("buyers", labels, chart.BUYERS)):
            if rows.any():
                weight = np.full(int(rows.sum()), 1 / rows.sum())
                axes.hist(
                    np.minimum(scores[rows], bins[-1]), bins=bins, weights=weight, color=colour, alpha=0.25, linewidth=0
                )
                axes.hist(
                    np.minimum(scores[rows], bins[-1]),
                    bins=bins,
                    weights=weight,
                    histtype="step",
                    color=colour,
                    linewidth=1.5,
                    label=f"{name} ({int(rows.sum()):,})",
                )
        axes.set(xlabel="score", ylabel="share of each kind")
        _percent(axes.xaxis, axes.yaxis)
        bare(axes, grid="y")
        axes.legend(loc="upper right")
        means = [float(scores[rows].mean()) if rows.any() else 0.0 for rows in (labels, ~labels)]
        return finished(
            figure,
            "distribution",
            f"Buyers score {means[0]:.0%} on average, the others {means[1]:.0%}",
            "Distribution of the scores of those who bought and of those who did not. The less they overlap, the more "
            "the model knows.",
        )


def earnings(curves: dict[str, Profit], random: Profit, terms: Terms, capacity: float) -> Chart:
    """Profit by the share of carts that there is time to call."""
    best, most = curves[MODEL].best
    with drawing(9.6, 3.7) as (figure, axes):
        for name, curve in curves.items():
            axes.plot(*_thinned(curve), **_line(name))
        axes.plot(*_thinned(random), color=chart.BASE, linestyle=":", linewidth=1.4, label="in any order")
        axes.axhline(0, color=chart.MUTED, linewidth=0.8)
        axes.axvline(capacity, color=chart.MUTED, linewidth=0.8, linestyle="--")
        if most > 0:
            axes.plot([best], [most], "o", color=chart.MODEL, markersize=6)
        axes.set(xlabel="share of abandoned carts that agents have time for", ylabel=f"{terms.currency} / 1,000 carts")
        _percent(axes.xaxis)
        axes.yaxis.set_major_formatter("{x:,.0f}")
        bare(axes)
        axes.legend(loc="best", ncols=2)
        title = (
            f"With time for {capacity:.0%} of the carts, calls earn {curves[MODEL].at(capacity):,.0f} {terms.currency} "
            f"per 1,000; in any order, {random.at(capacity):,.0f}"
        )
        text = (
            f"Incremental margin less all costs. The most is {most:,.0f} {terms.currency}, at {best:.0%} of the carts; "
            "beyond it the next call costs more than it brings."
            if most > 0
            else "Incremental margin less all costs. Under these assumptions no share of calls earns its cost."
        )
        return finished(figure, "profit", title, text)


def importance(names: Sequence[str], gain: NDArray[np.float64]) -> Chart:
    """Each feature's share of the trees' gain."""
    shares = gain / (gain.sum() or 1.0)
    order = np.argsort(-shares, kind="stable")[:SHOWN]
    with drawing(4.6, 4.4) as (figure, axes):
        places = np.arange(len(order))[::-1]
        axes.barh(places, shares[order], color=chart.MODEL, height=0.66)
        for place, share in zip(places, shares[order], strict=True):
            axes.annotate(
                f"{share:.0%}",
                (share, place),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8.5,
                color=chart.MUTED,
            )
        axes.set_yticks(places, [_short(names[place]) for place in order])
        axes.set(xlabel="share of all gain in the trees")
        axes.set_xlim(0, float(shares.max() or 1.0) * 1.15)
        _percent(axes.xaxis)
        bare(axes, grid="x")
        axes.tick_params(axis="y", labelcolor=chart.INK)
        first = " and ".join(_short(names[place]) for place in order[:2])
        return finished(
            figure,
            "importance",
            f"What the trees split on most: {first}",
            f"The {len(order)} features by their share of the reduction in loss while training.",
        )


def contributions(names: Sequence[str], vectors: NDArray[np.float64], shap: NDArray[np.float64]) -> Chart:
    """A beeswarm of SHAP values: one dot a row, right is towards a purchase. ``shap`` is rows x features."""
    strength = np.abs(shap).mean(axis=0)
    order = np.argsort(-strength, kind="stable")[:SHOWN]
    rng = np.random.default_rng(0)
    with drawing(4.6, 4.4) as (figure, axes):
        places = np.arange(len(order))[::-1]
        axes.axvline(0, color=chart.MUTED, linewidth=0.8)
        for place, feature in zip(places, order, strict=True):
            values = vectors[:, feature]
            known = ~np.isnan(values)
            heights = place + _spread(shap[:, feature], rng)
            points = {"s": 5, "linewidths": 0, "rasterized": True}
            axes.scatter(shap[~known, feature], heights[~known], color=MISSING_VALUE, **points)
            axes.scatter(shap[known, feature], heights[known], c=VALUES(_ranks(values[known])), **points)
        axes.set_yticks(places, [_short(names[feature]) for feature in order])
        axes.set(xlabel="effect on the log-odds of a purchase")
        bare(axes, grid="x")
        axes.tick_params(axis="y", labelcolor=chart.INK)
        return finished(
            figure,
            "contributions",
            f"What moves a score most: {_short(names[order[0]])}",
            f"SHAP values of {len(shap):,} rows, one dot each: right of the line it speaks for a purchase. Blue is a "
            "low value of the feature, red a high one, grey a missing one.",
        )


def drift(shifts: Sequence[Shift]) -> Chart:
    """PSI of the features and the score against the training data, the largest first."""
    order = sorted(shifts, key=lambda one: -one.psi)[:SHOWN]
    with drawing(9.6, 3.9) as (figure, axes):
        places = np.arange(len(order))[::-1]
        levels = [chart.BAD if one.over(ALARM) else chart.WARN if one.over(WARN) else chart.GOOD for one in order]
        axes.barh(places, [one.psi for one in order], color=levels, height=0.62)
        for limit, name in ((WARN, "watch"), (ALARM, "alarm")):
            axes.axvline(limit, color=chart.MUTED, linewidth=0.8, linestyle="--")
            axes.annotate(f" {name}", (limit, len(order) - 0.5), fontsize=8.5, color=chart.MUTED, va="center")
        axes.set_yticks(places, [_short(one.name) for one in order])
        axes.set(xlabel="population stability index", ylim=(-0.6, len(order)))
        axes.set_xlim(0, max(ALARM * 1.2, order[0].psi * 1.08))
        bare(axes, grid="x")
        axes.tick_params(axis="y", labelcolor=chart.INK)
        moved = sum(one.over(WARN) for one in shifts)
        title = f"{moved} of {len(shifts)} distributions moved" if moved else "Nothing moved beyond the limits"
        return finished(
            figure,
            "drift",
            f"{title} since training",
            f"PSI of the {len(order)} that moved most; under {WARN} is quiet, over {ALARM} the model should not be "
            "believed. Moves that noise alone explains are not counted.",
        )


def _ranked(evidence: Evidence) -> list[tuple[str, Gains]]:
    """Who ranks: the base rate says the same of everyone."""
    labels = evidence.data.labels
    return [(name, Ranking(labels, scores).gains()) for name, scores in evidence.scores.items() if name != BASE_RATE]


def _line(name: str) -> dict[str, object]:
    this = name == MODEL
    return {"color": COLOURS[name], "label": NAMES[name], "linewidth": 2.2 if this else 1.3, "zorder": 3 if this else 2}


def _percent(*both: Axis) -> None:
    for axis in both:
        axis.set_major_formatter(lambda share, _: f"{round(100 * share, 6):g}%")


def _wilson(rates: NDArray[np.float64], rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Wilson's 95% interval of shares (Wilson 1927)."""
    square = WILSON_Z**2
    middle = (rates + square / (2 * rows)) / (1 + square / rows)
    half = WILSON_Z * np.sqrt(rates * (1 - rates) / rows + square / (4 * rows**2)) / (1 + square / rows)
    return middle - half, middle + half


def _thinned(curve: Profit) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    kept = np.unique(np.linspace(0, len(curve.carts) - 1, MOST_POINTS).round().astype(np.int64))
    return curve.carts[kept], curve.earned[kept]


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    if not len(values):
        return values
    _, place = np.unique(values, return_inverse=True)
    return np.asarray(place / max(1, place.max()), dtype=np.float64)


def _spread(values: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Heights around 0 that widen where many dots lie close together."""
    edges = np.linspace(values.min(), values.max() + 1e-9, 60)
    place = np.digitize(values, edges)
    crowd = np.bincount(place, minlength=len(edges) + 1)
    return np.asarray(rng.uniform(-0.38, 0.38, len(values)) * np.sqrt(crowd[place] / crowd.max()))


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"

"""A model's report: one page to read before it is trusted with agents' time. Needs matplotlib (extra ``train``)."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from ringback.decide_settings import DecideSettings
from scoring.drift.psi import Tally
from scoring.judging import page, plots
from scoring.judging.judge import BASE_RATE, MODEL, NAMES, Baseline, Evidence, verdict
from scoring.judging.metrics import NAMES as METRICS
from scoring.judging.metrics import TITLES, Intervals, Metrics, Name, shown
from scoring.judging.page import Markup, element
from scoring.judging.profit import BASKET, Profit, Terms, baskets, profit, terms
from scoring.manifest import Manifest
from scoring.model import Model

REPORT = "report.html"
CAPACITY = 0.1
SHAP_ROWS = 400
# SHAP takes time in proportion to rows x leaves; 400 rows of 300 trees of 31 leaves take a second.
SHAP_BUDGET = 400 * 300 * 31


def write(path: Path, model: Model, evidence: Evidence, rules: DecideSettings | None = None) -> Path:
    """Write the report of a judged model to ``path``, or into it as ``report.html`` where it is a folder.

    ``rules`` are what calls are reckoned with; None: the defaults. Returns the file, which needs nothing beside it.
    """
    file = path / REPORT if path.is_dir() else path
    unfinished = file.with_name(f".{file.name}.new")
    unfinished.write_text(render(model, evidence, rules), encoding="utf-8")
    unfinished.replace(file)
    return file


def render(model: Model, evidence: Evidence, rules: DecideSettings | None = None) -> str:
    """The report as one page of HTML."""
    manifest, judged = model.manifest, evidence.judged
    both = judged.metrics.auc is not None
    return page.page(
        f"Intent model {model.version}",
        _head(manifest, evidence),
        _against(evidence),
        *(
            (_ranking(evidence), _probabilities(evidence), _money(evidence, terms(rules or DecideSettings())))
            if both
            else ()
        ),
        _why(model, evidence),
        _drift(manifest, evidence),
        _made(manifest),
    )


def _head(manifest: Manifest, evidence: Evidence) -> Markup:
    judged, metrics = evidence.judged, evidence.judged.metrics
    whose = f" of {judged.groups:,} shoppers" if judged.groups is not None else ""
    part = "held-out rows" if judged.part == "held_out" else "rows"
    numbers = [
        (TITLES[name], shown(name, getattr(metrics, name)), _beside(judged.intervals.get(name), name))
        for name in ("auc", "pr_auc", "lift_10", "ece")
    ]
    return page.joined(
        [
            element("p", f"Intent model {manifest.version}, trained {_day(manifest.created)}", "eyebrow"),
            element("h1", _headline(metrics if judged.due is None else judged.due)),
            element(
                "p",
                f"Judged on {metrics.rows:,} {part}{whose} of {judged.data}, of whom {metrics.base_rate:.1%} bought"
                f"{_within(manifest.horizon)}.{_at_abandonment(judged.due)} {_summary(evidence)}",
                "lede",
            ),
            page.cards(numbers),
        ]
    )


def _headline(metrics: Metrics) -> str:
    if metrics.auc is None or metrics.lift_10 is None:
        return "Only one outcome in the data: nothing can be said of the ranking"
    return f"Calling the best tenth of the carts finds {metrics.lift_10:.1f} times as many buyers as calling any tenth"


def _at_abandonment(due: Metrics | None) -> str:
    if due is None:
        return ""
    return (
        f" The headline counts only the {due.rows:,} rows at abandonment, where it is decided whom to call; of those "
        f"{due.base_rate:.1%} bought."
    )


def _summary(evidence: Evidence) -> str:
    """Who is beaten, in the metric that money follows: log-loss tells ranking and calibration at once."""
    words = {"better": "better than", "worse": "worse than", "unsettled": "not told apart by these rows from"}
    found = [
        f"{words[verdict(baseline.model_better_by, 'log_loss')]} the {NAMES[name]}"
        for name, baseline in evidence.judged.baselines.items()
        if baseline.metrics is not None
    ]
    return f"By log-loss this model is {', '.join(found)}." if found else ""


def _against(evidence: Evidence) -> Markup:
    judged = evidence.judged
    rows: list[tuple[list[object], str]] = [(_cells(NAMES[MODEL], judged.metrics, judged.intervals, None), "this")]
    if judged.due is not None:
        at_abandonment = Markup(NAMES[MODEL] + element("small", f"{judged.due.rows:,} rows at abandonment only"))
        rows.append((_cells(at_abandonment, judged.due, judged.due_intervals, None), ""))
    for name, baseline in judged.baselines.items():
        if baseline.metrics is None:
            why = Markup(f'<td class="text" colspan="{len(METRICS)}">{element("small", baseline.how)}</td>')
            rows.append(([NAMES[name], why], ""))
        else:
            rows.append((_cells(NAMES[name], baseline.metrics, baseline.intervals, baseline), ""))
    return page.section(
        "Against what it has to beat",
        "All on the same rows, each number with its 95% interval beneath (bootstrap over shoppers). Higher is better "
        "for ROC-AUC, PR-AUC, lift and recall, lower for the losses. A number is green where this model is better than "
        "it beyond chance (95%, paired), red where it is worse.",
        page.table(["", *TITLES.values()], rows),
        page.facts({NAMES[name]: _who(one) for name, one in judged.baselines.items() if one.metrics is not None}),
    )


def _who(baseline: Baseline) -> str:
    return f"{baseline.version}: {baseline.how}" if baseline.version else baseline.how


def _cells(title: object, metrics: Metrics, intervals: Intervals, baseline: Baseline | None) -> list[object]:
    cells: list[object] = [title]
    for name in METRICS:
        found = verdict(baseline.model_better_by, name) if baseline is not None else ""
        number = element("span", shown(name, getattr(metrics, name)), found if found != "unsettled" else "")
        ends = intervals.get(name)
        beneath = f"{shown(name, ends[0])} to {shown(name, ends[1])}" if ends is not None else ""
        cells.append(Markup(element("td", Markup(number + element("small", beneath)))))
    return cells


def _ranking(evidence: Evidence) -> Markup:
    return page.section(
        "Does it find the buyers?",
        "Ranking decides whom an agent talks to first.",
        page.charts(
            [plots.lift(evidence), plots.gains(evidence), plots.roc(evidence), plots.precision_recall(evidence)]
        ),
    )


def _probabilities(evidence: Evidence) -> Markup:
    return page.section(
        "Can its probabilities be believed?",
        "A score is multiplied with money when carts are ranked, so 20% has to mean one in five.",
        page.charts([plots.reliability(evidence), plots.distribution(evidence)]),
    )


def _money(evidence: Evidence, given: Terms) -> Markup:
    data = evidence.data
    due = data.due if data.due is not None and data.due.any() else np.ones(len(data), dtype=np.bool_)
    values, labels = baskets(data), data.labels[due]
    values = None if values is None else values[due]
    scores = {name: found[due] for name, found in evidence.scores.items()}
    curves: dict[str, Profit] = {
        name: profit(labels, scores[MODEL], found, values, given) for name, found in scores.items() if name != BASE_RATE
    }
    anyone = profit(labels, scores[MODEL], np.zeros(len(labels)), values, given)
    basket = (
        f"every basket is taken as {BASKET:.0f} {given.currency}, because the rows do not tell its value"
        if values is None
        else f"baskets as they were, {values.mean():,.2f} on average, all read as {given.currency}"
    )
    return page.section(
        "What would the calls earn?",
        "Carts are called in order of their worth. What a call adds is reckoned from what happened, with the settings' "
        "assumptions; only a holdout can prove it.",
        page.charts([plots.earnings(curves, anyone, given, CAPACITY)], wide=True),
        page.facts(
            {
                "rows": f"{len(labels):,} {'abandoned carts' if data.due is not None else 'rows'}",
                "basket": basket,
                "margin": f"{given.margin:.0%} of the basket (decide.margin)",
                "answered": f"{given.answer:.0%} of the calls (decide.answer.rate)",
                "lift": f"{given.lift:g} x p x (1 - p) of an answered call (decide.lift.voice)",
                "cost of a call": f"{given.cost_of_call:.2f} {given.currency}: {given.cost:.2f} (decide.cost.voice) "
                f"and {given.handling:.1f} agent-minutes (decide.handling) at {given.minute:.2f} (decide.voice_from)",
            }
        ),
    )


def _why(model: Model, evidence: Evidence) -> Markup:
    names = model.manifest.features
    gain = np.asarray(model.booster.feature_importance("gain"), dtype=np.float64)
    leaves = model.booster.num_trees() * int(model.manifest.parameters.get("num_leaves", 31))
    count = min(len(evidence.data), SHAP_ROWS, max(50, SHAP_BUDGET // max(1, leaves)))
    rows = np.sort(np.random.default_rng(model.manifest.seed).choice(len(evidence.data), count, replace=False))
    vectors = evidence.data.vectors[rows]
    shap = np.asarray(model.booster.predict(vectors, pred_contrib=True, num_threads=1), dtype=np.float64)[:, :-1]
    return page.section(
        "What does it go by?",
        "Both views describe the model, not causes: changing a feature need not change what a shopper does.",
        page.charts([plots.contributions(names, vectors, shap), plots.importance(names, gain)]),
    )


def _drift(manifest: Manifest, evidence: Evidence) -> Markup:
    title = "Are these the shoppers it was trained on?"
    if not manifest.reference:
        return page.section(title, "This model was trained without reference bins, so drift can't be told.")
    data = evidence.data
    due = data.due if data.due is not None and data.due.any() else np.ones(len(data), dtype=np.bool_)
    tally = Tally(manifest.reference)
    tally.add_all([*data.vectors[due].T, evidence.scores[MODEL][due]])
    found = tally.shifts()
    gone = [one for one in found if one.unseen or abs(one.missing - one.missing_then) >= 0.01]
    table = page.table(
        ["feature", "missing then", "missing now", "never seen in training"],
        [([one.name, f"{one.missing_then:.1%}", f"{one.missing:.1%}", f"{one.unseen:.1%}"], "") for one in gone],
    )
    return page.section(
        title,
        "Each distribution on the judged rows beside the one in training.",
        page.charts([plots.drift(found)], wide=True),
        *([table] if gone else []),
    )


def _made(manifest: Manifest) -> Markup:
    data, split, calibration = manifest.data, manifest.split, manifest.calibration
    span = (
        f", {_instant(data.first)} to {_instant(data.last)}" if data.first is not None and data.last is not None else ""
    )
    boundary = f"; the test begins {_instant(split.boundary)}" if split.boundary and manifest.kind == "log" else ""
    embargo = f", embargo {split.embargo / 3600:g} h" if split.embargo else ""
    curve = (
        f" (a {calibration.a:.4f}, b {calibration.b:.4f}, c {calibration.c:.4f})" if calibration.kind != "none" else ""
    )
    ceiling = (
        f"no finding: AUC under the ceiling of {manifest.leak_ceiling:g}, no single feature that nearly is the label, "
        "no near-duplicate rows across the split, no jump of the best iteration. Training refuses otherwise"
        if manifest.leak_ceiling is not None
        else "not noted in the manifest"
    )
    tested = manifest.metrics.get("all")
    what = "events" if manifest.kind == "log" else "rows"
    return page.section(
        "How was it made?",
        "From the model's manifest; the hashes are checked whenever it is loaded.",
        page.facts(
            {
                "data": f"{data.name}, {data.events:,} {what} of {data.shoppers:,} shoppers{span}",
                "licence of the data": data.licence,
                "rows": f"{manifest.rows:,}, {manifest.base_rate:.1%} bought{_within(manifest.horizon)}",
                "split": f"{split.kind}: {split.train:,} rows to train on, {split.test:,} to test{boundary}{embargo}",
                "test at training": _at_training(tested) if tested is not None else "none",
                "leak gate": ceiling,
                "calibration": f"{calibration.kind}{curve}",
                "trees": f"{manifest.trees:,} on {len(manifest.features)} features, seed {manifest.seed}",
                "parameters": ", ".join(f"{name} {value}" for name, value in sorted(manifest.parameters.items())),
                "made by": f"LightGBM {manifest.lightgbm}" + (f", Ringback {manifest.code}" if manifest.code else ""),
                "succeeds": manifest.parent or "no model before it",
                "data sha256": data.sha256,
                **{f"{name} sha256": digest for name, digest in sorted(manifest.files.items())},
                "feature hash": manifest.feature_hash,
            }
        ),
    )


def _at_training(metrics: Metrics) -> str:
    return ", ".join(f"{title} {shown(name, getattr(metrics, name))}" for name, title in TITLES.items())


def _beside(ends: tuple[float, float] | None, name: Name) -> str:
    return f"95%: {shown(name, ends[0])} to {shown(name, ends[1])}" if ends is not None else "no interval"


def _within(horizon: float | None) -> str:
    return f" within {horizon / 3600:g} h" if horizon else ""


def _day(created: str) -> str:
    return datetime.fromisoformat(created).date().isoformat()


def _instant(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")

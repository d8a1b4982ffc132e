"""Commands that judge models: one beside what it has to beat, or two beside each other."""
# ruff: noqa: PLC0415 - so `ringback --help` need not load LightGBM

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringback.commands.rows import log_dataset
from ringback.options import Format, Set, fail, seconds_of, settings_of
from ringback.settings import Settings

if TYPE_CHECKING:
    import msgspec

    from scoring.dataset import Dataset
    from scoring.judging.judge import Champion, Compared, Evidence
    from scoring.judging.metrics import Intervals, Metrics, Name
    from scoring.manifest import Manifest
    from scoring.model import Model

app = typer.Typer()

Logs = Annotated[
    list[Path] | None, typer.Option("--log", help="A log, or a folder of `ringback export`; may be repeated.")
]
Table = Annotated[Path | None, typer.Option("--table", help="A table of vectors (CSV or Parquet) instead of a log.")]
Label = Annotated[str | None, typer.Option(help="The table's column of outcomes; none: as in training.")]
GroupBy = Annotated[str | None, typer.Option("--group", help="The table's column of shoppers; none: as in training.")]
Time = Annotated[str | None, typer.Option(help="The table's column of times; none: as in training.")]
Uncovered = Annotated[
    bool, typer.Option("--uncovered", help="Keep a log's rows whose horizon ends after it: for short logs.")
]
Json = Annotated[Path | None, typer.Option("--json", dir_okay=False, help="Write the numbers to this file.")]

PARTS = {"all": "rows", "held_out": "held-out rows", "matured decisions": "matured decisions"}


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model folder, or a version in the registry.")],
    log: Logs = None,
    format_: Format = "jsonl",
    table: Table = None,
    label: Label = None,
    group: GroupBy = None,
    time: Time = None,
    *,
    uncovered: Uncovered = False,
    json: Json = None,
    report: Annotated[Path | None, typer.Option(dir_okay=False, help="Write the report (HTML) to this file.")] = None,
    set_: Set = None,
) -> None:
    """Judge a model: all metrics with 95 % intervals, beside the base rate, a logistic regression and the champion.

    All rows are judged, or, of the data that it was trained on, those that were held out.

    Example: ringback evaluate intent-4986f8af6c82 --log exported/ --report report.html
    """
    settings = settings_of(set_)
    from scoring.judging.judge import held_out, judge

    judged = _load(model, settings)
    data = _data(judged.manifest, log, format_, table, (label, group, time), uncovered=uncovered)
    champion = _champion(judged, data, settings)
    manifests = [judged.manifest, *([champion.model.manifest] if champion.model is not None else [])]
    division = held_out(data, *manifests)
    _warn(data, manifests)
    trained, test = (division.train, division.test) if division is not None else (None, None)
    evidence = judge(judged, data, trained, test, champion)
    _write_json(json, evidence.judged)
    if report is not None:
        _write_report(report, judged, evidence, settings)
    _print_judged(evidence)


@app.command()
def compare(
    a: Annotated[
        str | None, typer.Argument(metavar="[A]", help="A model folder, or a version in the registry.")
    ] = None,
    b: Annotated[str | None, typer.Argument(metavar="[B]", help="The other one; none: the champion.")] = None,
    *,
    log: Logs = None,
    format_: Format = "jsonl",
    table: Table = None,
    label: Label = None,
    group: GroupBy = None,
    time: Time = None,
    decisions: Annotated[
        list[Path] | None,
        typer.Option(help="Instead: a folder of `ringback export` with decisions that a shadow model scored along."),
    ] = None,
    horizon: Annotated[str, typer.Option(help="With --decisions: bought within this (90m, 24h, 7d).")] = "24h",
    uncovered: Uncovered = False,
    json: Json = None,
    set_: Set = None,
) -> None:
    """Say which of two models is better, and whether that is beyond chance: paired bootstrap over shoppers, 95 %.

    On rows of a log or table that neither was trained on; or, with --decisions, on the champion's and the shadow's
    scores of the same carts, once their outcomes are known and without contacted shoppers. A and B then are versions,
    champion and shadow; none: those with most decisions.

    Example: ringback compare intent-4986f8af6c82 --log exported/
    Example: ringback compare --decisions exported/
    """
    settings = settings_of(set_)
    if decisions:
        if log or table:
            fail("give either --decisions, or --log or --table")
        compared = _compared_decisions(decisions, seconds_of(horizon), a, b)
    else:
        if a is None:
            fail("give the model to compare: a folder or a version, and a second one unless it is the champion")
        from scoring.judging.judge import compare as compare_models

        first = _load(a, settings)
        second = _load(b or "current", settings)
        if first.manifest.feature_hash != second.manifest.feature_hash:
            fail(f"{first.version} and {second.version} do not have the same features, so no rows fit both")
        data = _data(first.manifest, log, format_, table, (label, group, time), uncovered=uncovered)
        _warn(data, [first.manifest, second.manifest])
        compared = compare_models(first, second, data)
    _write_json(json, compared)
    _print_compared(compared)


def _load(name: str, settings: Settings) -> "Model":
    """A model by its folder, its version, or ``current``: the one that is in use."""
    from scoring.manifest import MANIFEST
    from scoring.model import Model
    from scoring.registry import served_folder

    folder = Path(name)
    if not (folder / MANIFEST).is_file():
        known = settings.scoring.models / name
        folder = served_folder(settings.scoring) if name == "current" else known if known.exists() else folder
    return Model.load(folder, kind=None)


def _data(
    manifest: "Manifest",
    log: list[Path] | None,
    format_: str,
    table: Path | None,
    columns: tuple[str | None, str | None, str | None],
    *,
    uncovered: bool,
) -> "Dataset":
    if bool(log) == bool(table):
        fail("give either --log PATH, once or more, or --table FILE")
    if manifest.kind != ("table" if table else "log"):
        fail(f"{manifest.version} is a model of a {manifest.kind}: give --{manifest.kind}")
    if table is not None:
        return _table_data(manifest, table, *columns)
    return _log_data(manifest, log or [], format_, uncovered=uncovered)


def _table_data(manifest: "Manifest", table: Path, label: str | None, group: str | None, time: str | None) -> "Dataset":
    from scoring.data.table import read_table

    known = manifest.table
    if label is None and known is None:
        fail("--label COLUMN is missing: which column says who bought?")
    return read_table(
        table,
        label or (known.label if known is not None else ""),
        group or (known.group if known is not None else None),
        time or (known.time if known is not None else None),
        columns=manifest.columns,
        order=known.order if known is not None else None,
    )


def _log_data(manifest: "Manifest", log: list[Path], format_: str, *, uncovered: bool) -> "Dataset":
    from rich.console import Console

    from scoring.features import VISIT_GAP_SECONDS

    if manifest.horizon is None:
        fail(f"{manifest.version} has no horizon in its manifest, so rows of a log get no labels: train it again")
    with Console(stderr=True).status("reading events") as status:
        return log_dataset(
            log,
            format_,
            manifest.horizon,
            manifest.gap or VISIT_GAP_SECONDS,
            settings_of(None).stream.forget_after,
            uncovered=uncovered,
            progress=lambda count: status.update(f"{count:,} events read"),
        )


def _warn(data: "Dataset", manifests: "Iterable[Manifest]") -> None:
    from scoring.judging.judge import may_have_seen

    for manifest in manifests:
        if may_have_seen(data, manifest):
            typer.echo(
                f"{manifest.version} was trained on {manifest.data.name}, of the same days as {data.source.name}: "
                "where they are of the same shop, it has seen rows that it is judged on; give a log that begins later",
                err=True,
            )


def _champion(judged: "Model", data: "Dataset", settings: Settings) -> "Champion":
    """The model in use, or why it is not judged here."""
    from ringback.errors import ModelRefused
    from scoring.judging.judge import Champion
    from scoring.model import Model, default_model_folder
    from scoring.registry import served_folder

    if data.kind == "table":
        return Champion(None, "not judged: the champion scores carts, and a table has none")
    folder = served_folder(settings.scoring)
    try:
        champion = Model.load(folder)
    except ModelRefused as refused:
        return Champion(None, f"not judged: it does not load ({refused})")
    if champion.version == judged.version:
        return Champion(None, "is this very model")
    what = "the default model that ships with Ringback" if folder == default_model_folder() else "the model in use"
    return Champion(champion, what)


def _compared_decisions(paths: list[Path], horizon: float, champion: str | None, shadow: str | None) -> "Compared":
    import msgspec

    from scoring.data.logs import read_log
    from scoring.data.outcomes import matured
    from scoring.judging.judge import compare_scores

    log = read_log(paths)
    found = matured(log, horizon, champion, shadow)
    compared = compare_scores(
        (found.champion, found.scores),
        (found.shadow, found.shadow_scores),
        found.labels,
        found.groups,
        log.name,
        "matured decisions",
    )
    return msgspec.structs.replace(compared, left_out=found.left_out)


def _write_json(file: Path | None, numbers: "msgspec.Struct") -> None:
    import msgspec

    if file is not None:
        _written(file, msgspec.json.format(msgspec.json.encode(numbers), indent=2) + b"\n")


def _written(file: Path, content: bytes) -> None:
    try:
        file.write_bytes(content)
    except OSError as error:
        fail(f"{file} can't be written ({error.strerror})")


def _write_report(file: Path, model: "Model", evidence: "Evidence", settings: Settings) -> None:
    try:
        from scoring.judging.report import render
    except ImportError:
        fail("--report needs matplotlib: pip install 'ringback[train]'")
    _written(file, render(model, evidence, settings.decide).encode())


def _print_judged(evidence: "Evidence") -> None:
    from scoring.judging.judge import MODEL, NAMES

    judged = evidence.judged
    what = f"{judged.metrics.rows:,} {PARTS[judged.part]} of {judged.data}{_whose(judged.groups)}"
    typer.echo(f"{judged.version} on {what}")
    contenders = [(NAMES[MODEL], judged.metrics, judged.intervals)]
    if judged.due is not None:
        contenders.append(("at abandonment", judged.due, judged.due_intervals))
    contenders += [
        (NAMES[name], one.metrics, one.intervals) for name, one in judged.baselines.items() if one.metrics is not None
    ]
    _print_table(contenders)
    for name, one in judged.baselines.items():
        typer.echo(f"{NAMES[name]}: {f'{one.version}, ' if one.version else ''}{one.how}")


def _print_compared(compared: "Compared") -> None:
    typer.echo(
        f"{compared.a} and {compared.b} on {compared.a_metrics.rows:,} {PARTS[compared.part]} of {compared.data}"
        f"{_whose(compared.groups)}"
    )
    for reason, count in compared.left_out.items():
        typer.echo(f"left out, because they {reason}: {count:,}")
    _print_table(
        [
            (compared.a, compared.a_metrics, compared.a_intervals),
            (compared.b, compared.b_metrics, compared.b_intervals),
        ],
        compared.a_better_by,
    )
    low, middle, high = compared.a_better_by["log_loss"]
    said = {
        "a": f"{compared.a} is better",
        "b": f"{compared.b} is better",
        "unsettled": "Neither is better beyond chance",
    }
    typer.echo(
        f"{said[compared.verdict]}: by log-loss {compared.a} is better by {middle:+.5f} nats a row "
        f"(95% interval {low:+.5f} to {high:+.5f})."
    )


def _whose(groups: int | None) -> str:
    return f", {groups:,} shoppers" if groups is not None else ""


def _print_table(
    contenders: "Iterable[tuple[str, Metrics, Intervals]]",
    better_by: "dict[Name, tuple[float, float, float]] | None" = None,
) -> None:
    """A row for each metric; each cell has its 95 % interval beneath."""
    from rich.console import Console
    from rich.table import Table as Printed

    from scoring.judging.metrics import NAMES as METRICS
    from scoring.judging.metrics import TITLES

    contenders = list(contenders)
    table = Printed("", *(name for name, _, _ in contenders), *(["first better by"] if better_by is not None else []))
    for name in METRICS:
        cells = [_cell(name, getattr(metrics, name), intervals.get(name)) for _, metrics, intervals in contenders]
        if better_by is not None:
            found = better_by.get(name)
            cells.append(f"{found[1]:+.4f}\n[dim]{found[0]:+.4f} to {found[2]:+.4f}[/dim]" if found else "-")
        table.add_row(TITLES[name], *cells)
    rates = [f"{metrics.base_rate:.1%}" for _, metrics, _ in contenders]
    table.add_row("bought", *rates, *([""] if better_by is not None else []))
    Console().print(table)


def _cell(name: "Name", number: float | None, ends: tuple[float, float] | None) -> str:
    from scoring.judging.metrics import shown

    if ends is None:
        return shown(name, number)
    return f"{shown(name, number)}\n[dim]{shown(name, ends[0])}-{shown(name, ends[1])}[/dim]"

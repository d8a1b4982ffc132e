"""Commands about which models serve: promote one, undo that, see them all."""
# ruff: noqa: PLC0415 - so `ringback --help` need not load LightGBM

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringback.options import AsJson, Format, Set, fail, settings_of
from ringback.records import Record

if TYPE_CHECKING:
    from ringback.settings import Settings
    from scoring.promotions import Comparison, Entry, Standing
    from scoring.registry import Registry

app = typer.Typer()

Models = Annotated[
    Path | None, typer.Option("--models", metavar="DIR", help="The registry; short for --set scoring.models=…")
]


class Listed(Record, frozen=True, kw_only=True):
    """A version in the registry. ``refused`` says why it does not load here; then nothing else is known of it."""

    version: str
    roles: tuple[str, ...]
    bytes: int
    created: str | None = None
    data: str | None = None
    rows: int | None = None
    trees: int | None = None
    auc: float | None = None
    ece: float | None = None
    refused: str | None = None


@app.command()
def promote(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Its folder's name in the registry.")],
    *,
    shadow: Annotated[bool, typer.Option("--shadow", help="Let it score along, and log what it says.")] = False,
    canary: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Let it decide for this share of the shoppers, such as 5%.")
    ] = None,
    log: Annotated[
        list[Path] | None,
        typer.Option(metavar="PATH", help="Carts on which it must beat the champion; may be repeated."),
    ] = None,
    format_: Format = "jsonl",
    uncovered: Annotated[
        bool, typer.Option("--uncovered", help="Keep a log's rows whose horizon ends after it: for short logs.")
    ] = False,
    force: Annotated[
        str | None, typer.Option(metavar="REASON", help="Promote it without that; the reason is noted.")
    ] = None,
    as_json: AsJson = False,
    models: Models = None,
    set_: Set = None,
) -> None:
    """Have a model serve. Running workers take it within two seconds, without a restart.

    It must load here, score its golden rows as it did where it was trained, and beat the champion by log-loss on the
    same carts, which neither was trained on (paired bootstrap, 95 %). A shadow needs to beat nobody; a canary that did
    needs no --log to be promoted whole.

    Example: ringback promote intent-4986f8af6c82 --canary 5% --log exported/
    """
    settings = settings_of(set_, scoring__models=models)
    if shadow and canary is not None:
        fail("give --shadow or --canary, not both")
    if force is not None and (log or not force.strip()):
        fail("--force takes a REASON and no --log: say why the model is promoted without being compared")
    import msgspec

    from ringback.metrics import ModelRole
    from scoring.registry import Registry

    registry = Registry(settings.scoring.models)
    role = ModelRole.SHADOW if shadow else ModelRole.CANARY if canary is not None else ModelRole.CURRENT
    share = _share(canary) if canary is not None else None
    evidence = _contest(registry, version, log, format_, settings, uncovered=uncovered) if log else None
    if evidence is not None and not as_json:
        typer.echo(_told(evidence))
    entry = registry.promote(version, role, share, evidence, force)
    if as_json:
        typer.echo(msgspec.json.encode(entry))
    else:
        typer.echo(_changed(entry, settings))


@app.command()
def rollback(*, as_json: AsJson = False, models: Models = None, set_: Set = None) -> None:
    """Undo the last promotion, of whatever kind, that was not undone yet.

    Example: ringback rollback
    """
    settings = settings_of(set_, scoring__models=models)
    import msgspec

    from scoring.registry import Registry

    entry = Registry(settings.scoring.models).rollback()
    if as_json:
        typer.echo(msgspec.json.encode(entry))
    else:
        typer.echo(f"undone: {entry.version} as {entry.role}\n{_changed(entry, settings)}")


@app.command("models")
def list_models(*, as_json: AsJson = False, models: Models = None, set_: Set = None) -> None:
    """List the models of the registry: what they are, what they do, and whether they load here.

    Example: ringback models
    """
    settings = settings_of(set_, scoring__models=models)
    import msgspec

    from scoring.registry import Registry

    registry = Registry(settings.scoring.models)
    listed = _listed(registry)
    if as_json:
        typer.echo(msgspec.json.encode(listed))
        return
    if not listed:
        typer.echo(f"{registry.root}: no models; ringback train --log PATH --out {registry.root} makes one")
    else:
        _print(listed)
    typer.echo(_in_force(registry.standing()))


def _share(text: str) -> float:
    """``5%`` or ``0.05``."""
    number, percent = text.removesuffix("%").strip(), text.endswith("%")
    try:
        return float(number) / (100.0 if percent else 1.0)
    except ValueError:
        fail(f"--canary {text}: expected a share such as 5%")


def _contest(
    registry: "Registry", version: str, log: list[Path], format_: str, settings: "Settings", *, uncovered: bool
) -> "Comparison":
    """The challenger against the champion, on the carts of a log."""
    from rich.console import Console

    from ringback.commands.rows import log_dataset
    from ringback.metrics import ModelRole
    from scoring.judging.contest import contest

    challenger, champion = registry.intent(version), registry.champion()
    if challenger.version == champion.version:
        fail(f"{version} is the champion already")
    horizon = challenger.manifest.horizon
    if horizon is None:
        fail(f"{version} does not say within which time it foretells a purchase: train it again")
    with Console(stderr=True).status("reading events") as status:
        data = log_dataset(
            log,
            format_,
            horizon,
            settings.stream.abandon_after,
            settings.stream.forget_after,
            uncovered=uncovered,
            progress=lambda count: status.update(f"{count:,} events read"),
        )
        status.update(f"judging both on {len(data):,} rows")
        trained = [challenger.manifest]
        # The default model was trained on a shop that is none: nothing of a real log can have been in it.
        if registry.pointed(ModelRole.CURRENT) is not None:
            trained.append(champion.manifest)
        return contest(challenger, champion, data, trained)


def _told(evidence: "Comparison") -> str:
    low, middle, high = evidence.better_by
    return (
        f"{evidence.challenger} against {evidence.champion} on {evidence.rows:,} rows of {evidence.data}: log-loss "
        f"less by {middle:.5f} nats a row (95 % interval {low:.5f} to {high:.5f})"
    )


def _changed(entry: "Entry", settings: "Settings") -> str:
    fixed = settings.scoring.model
    but = f"\nBut scoring.model is set: workers with that setting serve {fixed}." if fixed is not None else ""
    return _in_force(entry.after) + but


def _in_force(standing: "Standing") -> str:
    parts = [f"current: {standing.current or 'the default model'}"]
    if standing.canary is not None:
        parts.append(f"canary: {standing.canary.version} for {standing.canary.share:.1%} of the shoppers")
    parts += [f"{name}: {one}" for name, one in (("shadow", standing.shadow), ("uplift", standing.uplift)) if one]
    return "; ".join(parts)


def _listed(registry: "Registry") -> list[Listed]:
    from msgspec.structs import replace

    from ringback.errors import RingbackError
    from scoring.manifest import Manifest

    standing = registry.standing()
    serving = {
        "current": standing.current,
        "canary": standing.canary.version if standing.canary else None,
        "shadow": standing.shadow,
        "uplift": standing.uplift,
    }
    found = []
    for version in registry.versions():
        one = Listed(
            version=version,
            roles=tuple(role for role, serves in serving.items() if serves == version),
            bytes=sum(file.stat().st_size for file in registry.folder(version).iterdir() if file.is_file()),
        )
        try:
            manifest = registry.load(version).manifest
        except RingbackError as refused:
            found.append(replace(one, refused=str(refused)))
            continue
        metrics = manifest.metrics.get("all") if isinstance(manifest, Manifest) else None
        found.append(
            replace(
                one,
                created=manifest.created,
                data=manifest.data.name,
                rows=manifest.rows,
                trees=manifest.trees,
                auc=metrics.auc if metrics is not None else None,
                ece=metrics.ece if metrics is not None else None,
            )
        )
    return sorted(found, key=lambda one: one.created or "")


def _print(listed: list[Listed]) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=SIMPLE, pad_edge=False)
    for title in ("version", "role", "created", "trained on", "rows", "AUC", "KB"):
        # A version is there to be copied into the next command.
        table.add_column(title, no_wrap=title != "trained on")
    for one in listed:
        size = f"{one.bytes / 1024:,.0f}"
        role = ", ".join(one.roles)
        if one.refused is not None:
            table.add_row(one.version, role, "", f"[red]does not load:[/] {escape(one.refused)}", "", "", size)
            continue
        table.add_row(
            one.version,
            role,
            (one.created or "")[:10],
            escape(one.data or ""),
            f"{one.rows:,}",
            "" if one.auc is None else f"{one.auc:.3f}",
            size,
        )
    Console().print(table)

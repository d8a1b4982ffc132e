"""Says whether a person may be called, and what each rule says about it: `ringback explain PHONE|CART`."""
# ruff: noqa: PLC0415 - so `ringback --help` need not load Redis

import asyncio
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from ringback.errors import Unavailable
from ringback.options import fail
from ringback.records import Record
from ringback.settings import Settings

if TYPE_CHECKING:
    from dialer.compliance.case import Finding, Verdict
    from dialer.dossier import Dossier

_PHONE = re.compile(r"\+[\d\s().-]+", re.ASCII)
_EPOCH = re.compile(r"\d{9,11}(\.\d+)?")


class Judged(Record, frozen=True, kw_only=True):
    """Whether a person may be called at a time, and what each rule said. ``lead`` is the one that waits, if any."""

    allowed: bool
    at: float
    rules: str
    lead: str | None
    state: str | None
    callable_from: float | None
    callable_until: float | None
    trace: "tuple[Finding, ...]"


def looks_like_phone(text: str) -> bool:
    """Whether a phone number is meant: it begins with a plus."""
    return _PHONE.fullmatch(text) is not None


def explain_call(target: str, at: str | None, settings: Settings, *, as_json: bool) -> None:
    """Print the trace of one phone number or cart."""
    import msgspec

    from dialer.compliance.check import may_call, rules_of

    now = moment(at) if at else settings.simulation.clock().now()
    try:
        dossier = asyncio.run(_dossier(target, settings, now))
    except Unavailable as error:
        fail(f"{error} What happened so far is read from Redis: start it, or give --redis redis://HOST:PORT/0")
    verdict = may_call(dossier.person, dossier.history, now, rules_of(settings), dossier.lists)
    if as_json:
        typer.echo(msgspec.json.encode(_judged(dossier, verdict, now)))
    else:
        _print(dossier, verdict, now)


def moment(text: str) -> float:
    """``--at``: RFC 3339 with its offset, or epoch seconds. Raises `ringback.errors.SettingsError`."""
    if _EPOCH.fullmatch(text):
        return float(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        fail(f"--at {text}: expected a time with its offset, such as 2026-11-27T10:00-05:00, or epoch seconds")
    return found.timestamp()


async def _dossier(target: str, settings: Settings, now: float) -> "Dossier":
    from dialer.dossier import of_cart, of_phone
    from ringback.redis_client import connect

    redis = connect(settings.redis)
    try:
        if looks_like_phone(target):
            return await of_phone(redis, settings, "+" + "".join(filter(str.isdigit, target)), now)
        found = await of_cart(redis, settings, target, now)
    finally:
        await redis.aclose()
    if found is None:
        fail(
            f"{target}: there is no such file, and no lead in the hopper of campaign {settings.dialer.campaign!r} is "
            "about such a cart: it is not due, was not routed to a call (its decision says why), or is over. "
            "A phone number begins with +"
        )
    return found


def _judged(dossier: "Dossier", verdict: "Verdict", now: float) -> Judged:
    lead = dossier.lead
    return Judged(
        allowed=verdict.allowed,
        at=now,
        rules=verdict.version,
        lead=lead.lead_id if lead else None,
        state=dossier.state,
        callable_from=lead.callable_from if lead else None,
        callable_until=lead.callable_until if lead else None,
        trace=verdict.trace,
    )


def _print(dossier: "Dossier", verdict: "Verdict", now: float) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    answer = "[bold green]may be called[/]" if verdict.allowed else "[bold red]may not be called[/]"
    console.print(f"{answer} at {_utc(now)}, by rules {verdict.version}")
    lead = dossier.lead
    if lead is None:
        console.print("no lead waits: neither the consent nor the cart is known here", style="dim")
    else:
        hours = f"{_utc(lead.callable_from)} to {_utc(lead.callable_until)}"
        console.print(f"lead {escape(lead.lead_id)}, {dossier.state}, callable from {hours}", style="dim")
    table = Table("", "rule", "says", "source", box=None, padding=(0, 1))
    for finding in sorted(verdict.trace, key=lambda finding: finding.passed):
        mark = "[green]yes[/]" if finding.passed else "[red]no[/]"
        source = finding.source if finding.verified else f"{finding.source} (not verified: the strictest reading)"
        table.add_row(mark, finding.rule, escape(finding.why), f"[dim]{escape(source)}[/]")
    console.print(table)


def _utc(time: float) -> str:
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M:%S} UTC"

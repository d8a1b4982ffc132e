"""What a demo shows on the terminal: a live view, or plain lines where there is no terminal."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ringback.decisions import Route
from ringback.demo_report import recovered
from ringback.lift import FEWEST_SHOPPERS, lift
from ringback.metrics import AgentState, CallState, NeverEvent
from ringback.money import show
from ringback.records import Channel, Outcome
from ringback.scrape import Samples

BANNER = " SIMULATION "
SAFE = "fictional shoppers, a played telephone network; nobody is called"
# Columns that three panels need.
WIDE = 115
COMPLIANCE = (
    "Consent, do-not-call, opt-outs and caps are checked for every call as in production. "
    "Calling hours are 00:00 to 24:00 here, since the shop's clock runs fast."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A demo at one moment. ``running`` is wall seconds since the shop's clock started, ``rate`` events a second."""

    samples: Samples
    rate: float
    running: float
    shop_time: datetime
    speed: float
    abandon_after: float
    urls: Mapping[str, str]


def live(picture: Picture, width: int) -> RenderableType:
    """The view of a terminal of ``width`` columns: three panels side by side where they fit, else one below."""
    samples = picture.samples
    carts = Panel(_pairs(_cart_rows(picture)), title="Carts", border_style="cyan")
    calls = Panel(_pairs(_call_rows(samples)), title="Calls", border_style="cyan")
    money = "Agents and money"
    panels: list[RenderableType]
    if width >= WIDE:
        panels = [_side_by_side(carts, calls, Panel(_pairs(_money_rows(samples)), title=money, border_style="cyan"))]
    else:
        rows = _money_rows(samples)
        halves = _side_by_side(_pairs(rows[: len(AgentState)]), _pairs(rows[len(AgentState) :]))
        panels = [_side_by_side(carts, calls), Panel(halves, title=money, border_style="cyan")]
    urls = "  ".join(f"{name} {url}/metrics" for name, url in picture.urls.items())
    news = Text(coming(picture), style="bold")
    return Group(_head(picture), news, *panels, _never(samples), Text(urls, style="dim"))


def _side_by_side(*parts: RenderableType) -> Table:
    grid = Table.grid(expand=True, padding=(0, 1))
    for _ in parts:
        grid.add_column(ratio=1)
    grid.add_row(*parts)
    return grid


def plain(picture: Picture) -> str:
    """One line, for a log."""
    samples = picture.samples
    parts = [
        f"SIMULATION {picture.running:4.0f} s",
        f"shop {picture.shop_time:%a %H:%M}",
        f"events {samples.value('ringback_stream_events_total'):.0f} ({picture.rate:.0f}/s)",
        f"carts {samples.value('ringback_carts_active'):.0f} active",
        f"{samples.value('ringback_carts_abandoned_total'):.0f} abandoned",
        f"score {_latency(samples, 'event_to_score')}",
        f"hopper {samples.value('ringback_hopper_leads'):.0f}",
        f"calls {samples.value('ringback_calls_total'):.0f}",
        f"connected {samples.value('ringback_calls_total', outcome=Outcome.CONNECTED.value):.0f}",
        f"orders won {samples.value('ringback_conversions_total'):.0f}",
        f"recovered {_amounts(samples, None)}",
        f"never events {samples.value('ringback_never_events_total'):.0f}",
    ]
    return " | ".join(parts)


def coming(picture: Picture) -> str:
    """What will happen next, as long as it is news."""
    samples = picture.samples
    left = picture.abandon_after / picture.speed
    if not samples.value("ringback_carts_abandoned_total"):
        return (
            f"Shoppers fill carts. One left for {picture.abandon_after / 60:.0f} shop minutes, {left:.0f} s here, is "
            "abandoned: scored, and sent to voice, SMS, chat, nobody or the holdout. The first are due in seconds."
        )
    if not samples.value("ringback_calls_total"):
        return "The first carts are abandoned and scored. The best of them are called now."
    if not samples.value("ringback_conversions_total"):
        return "Agents talk to the first shoppers. Some of them will come back and buy within a minute."
    return "Orders come back. The holdout is never contacted: what it buys anyway is taken off the lift."


def summary(samples: Samples, never: Mapping[str, int]) -> RenderableType:
    """What a demo has done, when it is over."""
    table = Table(title=f"{BANNER.strip()}: what was done", title_style="bold red", show_header=False)
    table.add_column(style="cyan")
    table.add_column()
    rows = [
        ("events", f"{samples.value('ringback_stream_events_total'):.0f}"),
        ("event to score", _latency(samples, "event_to_score")),
        ("carts abandoned", f"{samples.value('ringback_carts_abandoned_total'):.0f}"),
        ("decisions", _counts(samples.by("ringback_decisions_total", "route"))),
        ("due to decision", _latency(samples, "due_to_decision")),
        ("decision to originate", _latency(samples, "decision_to_originate")),
        ("calls", _counts(samples.by("ringback_calls_total", "outcome"))),
        ("orders won", _counts(samples.by("ringback_conversions_total", "channel"))),
        ("revenue recovered", _amounts(samples, None)),
        ("lift against the holdout", _lift(samples)),
        ("never events", _counts({name: float(count) for name, count in never.items()}) or "none"),
    ]
    for name, value in rows:
        table.add_row(name, value or "none")
    return table


def _head(picture: Picture) -> Text:
    return Text.assemble(
        (BANNER, "bold white on red"),
        (f" {SAFE}  ", "red"),
        f"{picture.running:.0f} s  shop clock {picture.shop_time:%a %H:%M} New York, x{picture.speed:g}  ",
        "Ctrl-C ends it",
    )


def _pairs(rows: list[tuple[str, str]]) -> Table:
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(justify="right")
    for row in rows:
        grid.add_row(*row)
    return grid


def _cart_rows(picture: Picture) -> list[tuple[str, str]]:
    samples = picture.samples
    decisions = samples.by("ringback_decisions_total", "route")
    return [
        ("events", f"{samples.value('ringback_stream_events_total'):.0f}, {picture.rate:.0f}/s"),
        ("active", f"{samples.value('ringback_carts_active'):.0f}"),
        ("abandoned", f"{samples.value('ringback_carts_abandoned_total'):.0f}"),
        ("score p50 / p99", _brief(samples, "event_to_score")),
        ("decide p50 / p99", _brief(samples, "due_to_decision")),
        ("dial p50 / p99", _brief(samples, "decision_to_originate")),
        *((f"→ {route.value}", f"{decisions.get(route.value, 0):.0f}") for route in Route),
    ]


def _call_rows(samples: Samples) -> list[tuple[str, str]]:
    now = samples.by("ringback_calls_in_progress", "state")
    ended = samples.by("ringback_calls_total", "outcome")
    return [
        ("hopper", f"{samples.value('ringback_hopper_leads'):.0f} leads"),
        *((f"{state.value} now", f"{now.get(state.value, 0):.0f}") for state in CallState),
        *(
            (outcome.value.replace("_", " "), f"{ended[outcome.value]:.0f}")
            for outcome in Outcome
            if ended.get(outcome.value)
        ),
        ("abandoned calls", f"{samples.value('ringback_abandoned_call_ratio', window='today'):.1%}"),
        ("agent p50 / p99", _brief(samples, "answer_to_agent")),
    ]


def _money_rows(samples: Samples) -> list[tuple[str, str]]:
    agents = samples.by("ringback_agents", "state")
    spent = samples.by("ringback_agent_seconds_total", "state")
    staffed = sum(seconds for state, seconds in spent.items() if state != AgentState.PAUSED)
    busy = staffed - spent.get(AgentState.IDLE, 0.0)
    won = samples.by("ringback_conversions_total", "channel")
    return [
        *((state.value.replace("_", " "), f"{agents.get(state.value, 0):.0f}") for state in AgentState),
        ("occupancy", f"{busy / staffed:.0%}" if staffed else "no agent yet"),
        *(
            (f"won by {channel.value}", f"{won.get(channel.value, 0):.0f} orders, {_amounts(samples, channel)}")
            for channel in Channel
        ),
        ("lift", _lift(samples)),
    ]


def _never(samples: Samples) -> Text:
    counts = samples.by("ringback_never_events_total", "event")
    text = Text(f"{COMPLIANCE}\nNever events: ", style="dim")
    for event in NeverEvent:
        count = counts.get(event.value, 0)
        text.append(f"{event.value.replace('_', ' ')} {count:.0f}  ", style="bold red" if count else "green")
    return text


def _latency(samples: Samples, name: str) -> str:
    middle, tail = (samples.quantile(f"ringback_{name}_seconds", q) for q in (0.5, 0.99))
    return "-" if middle is None or tail is None else f"p50 {_duration(middle)}, p99 {_duration(tail)}"


def _brief(samples: Samples, name: str) -> str:
    """The same where space is scarce: median / 99th percentile."""
    middle, tail = (samples.quantile(f"ringback_{name}_seconds", q) for q in (0.5, 0.99))
    return "-" if middle is None or tail is None else f"{_duration(middle)} / {_duration(tail)}"


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"


def _counts(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:.0f}" for name, value in values.items() if value)


def _amounts(samples: Samples, channel: Channel | None) -> str:
    """Recovered revenue, of one channel or of all, by currency."""
    sums: dict[str, int] = {}
    for (currency, won_by), minor in recovered(samples).items():
        if channel is None or won_by == channel.value:
            sums[currency] = sums.get(currency, 0) + minor
    return ", ".join(show(minor, currency) for currency, minor in sums.items() if minor) or "0"


def _lift(samples: Samples) -> str:
    people = samples.by("ringback_eligible_total", "arm")
    buyers = samples.by("ringback_eligible_orders_total", "arm")
    treated, holdout = people.get("treated", 0), people.get("holdout", 0)
    found = lift(buyers.get("treated", 0), treated, buyers.get("holdout", 0), holdout)
    if found is None:
        return f"too few yet ({treated:.0f} treated, {holdout:.0f} holdout; {FEWEST_SHOPPERS} each are needed)"
    return f"{found.difference:+.1%} ({found.low:+.1%} to {found.high:+.1%}), {treated:.0f} against {holdout:.0f}"

"""The command that tells a planner what a call floor will do before there is one."""
# ruff: noqa: PLC0415 - so `ringback --help` need not load what it does not use

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ringback.errors import RingbackError
from ringback.options import AsJson, Seed, Set, fail, settings_of

if TYPE_CHECKING:
    from rich.table import Table

    from simulation.callcentre import CallCentre, Scenario
    from simulation.callcentre.plan import Plan

app = typer.Typer()

TICK, STEP = 1.0, 60.0
HOUR = 3600.0
SHOWN_MINUTES = 12.0
BAR = 24


@app.command()
def simulate(
    *,
    agents: Annotated[int, typer.Option(min=1, max=1000, help="Agents on the floor.")] = 20,
    answer_rate: Annotated[float, typer.Option(help="Share of calls that a shopper answers.")] = 0.25,
    talk: Annotated[float, typer.Option(min=1, help="Seconds of a conversation, in the mean.")] = 165.0,
    wrap_up: Annotated[
        float | None, typer.Option(min=0, help="Seconds of wrap-up after it; none: as in the settings.")
    ] = None,
    limit: Annotated[
        float | None,
        typer.Option(help="Abandoned calls per live answer that are aimed at; none: as in the settings."),
    ] = None,
    lines: Annotated[int | None, typer.Option(min=1, help="Lines at once; none: plenty.")] = None,
    swing: Annotated[float, typer.Option(min=0, max=1, help="The answer rate goes up and down by this share.")] = 0.0,
    breaks: Annotated[bool, typer.Option("--breaks", help="Every two hours half the floor leaves for 15 min.")] = False,
    hours: Annotated[float, typer.Option(min=0.1, max=1000, help="Hours to simulate.")] = 8.0,
    seed: Seed = 1,
    chart: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Draw some minutes of both floors: .png or .svg.")
    ] = None,
    as_json: AsJson = False,
    set_: Set = None,
) -> None:
    """Say what a call floor would do: occupancy, lines, calls an hour, abandoned calls, how long agents wait.

    The dialer's own pacing plays it against shoppers who answer, or not, by usual laws, beside progressive dialling on
    the same floor: a line for each idle agent.

    Example: ringback simulate --agents 20 --answer-rate 0.25 --talk 180
    Example: ringback simulate --agents 8 --hours 2 --chart floor.svg
    """
    from rich.console import Console

    from simulation.callcentre.plan import plan_of

    if chart is not None and chart.suffix not in (".png", ".svg"):
        fail(f"--chart {chart}: expected a file that ends in .png or .svg")
    settings = settings_of(set_, dialer__wrap_up=wrap_up, dialer__abandoned_limit=limit).dialer
    limit = settings.abandoned_limit
    scenario = _scenario(agents, answer_rate, talk, settings.wrap_up, lines, swing, breaks=breaks)
    floors = _played(scenario, limit, hours, seed)
    plans = {name: plan_of(floor.result) for name, floor in floors.items()}
    if chart is not None:
        _draw(floors, plans, agents, hours, chart)
    if as_json:
        import msgspec

        typer.echo(msgspec.json.encode({name: asdict(plan) for name, plan in plans.items()}))
        return
    console = Console()
    console.print(_table(plans))
    console.print(_by_hour(plans))
    ours = plans["predictive"]
    typer.echo(
        f"{agents} agents need {ours.lines} lines and make {ours.calls_per_hour:,.0f} calls an hour. They are busy "
        f"{ours.occupancy:.0%} of the time, and {ours.abandonment:.1%} of live answers are abandoned."
    )


def _scenario(
    agents: int, answer_rate: float, talk: float, wrap_up: float, lines: int | None, swing: float, *, breaks: bool
) -> "Scenario":
    from dataclasses import replace

    from simulation.callcentre import Breaks, Swing, realistic

    try:
        return replace(
            realistic(agents, answer_rate, talk, wrap_up, tick=TICK),
            lines=lines,
            swing=Swing(swing) if swing else None,
            breaks=Breaks() if breaks else None,
        )
    except ValueError as error:
        raise RingbackError(str(error)) from None


def _played(scenario: "Scenario", limit: float, hours: float, seed: int) -> "dict[str, CallCentre]":
    from rich.console import Console
    from rich.progress import Progress

    from dialer.pacing import Progressive
    from dialer.pacing.modes import pacer_for
    from ringback.dialer_settings import Mode
    from simulation.callcentre import CallCentre

    floors = {
        "progressive": CallCentre(scenario, Progressive(), seed, spans=True),
        "predictive": CallCentre(scenario, pacer_for(Mode.PREDICTIVE, limit=limit), seed, spans=True),
    }
    with Progress(console=Console(stderr=True), transient=True) as progress:
        for name, floor in floors.items():
            task = progress.add_task(name, total=hours * HOUR)
            left = hours * HOUR
            while left > 0:
                floor.run(min(STEP, left))
                left -= STEP
                progress.advance(task, STEP)
    return floors


def _table(plans: "Mapping[str, Plan]") -> "Table":
    from rich.table import Table

    rows = (
        ("agents busy", "{0.occupancy:.1%}"),
        ("abandoned calls, of live answers", "{0.abandonment:.2%}"),
        ("conversations an hour", "{0.conversations_per_hour:,.0f}"),
        ("calls an hour", "{0.calls_per_hour:,.0f}"),
        ("lines, enough for 99 % of the time", "{0.lines}"),
        ("lines at the busiest moment", "{0.most_lines}"),
        ("an agent waits for a call, s (95 %)", "{0.agent_wait:.0f} ({0.agent_wait_p95:.0f})"),
        ("shoppers who had an agent at once", "{0.at_once:.1%}"),
    )
    table = Table("", *plans)
    for name, form in rows:
        table.add_row(name, *(form.format(plan) for plan in plans.values()))
    return table


def _by_hour(plans: "Mapping[str, Plan]") -> "Table":
    from rich.table import Table

    table = Table("hour", *(f"{name}: agents busy" for name in plans))
    for number, shares in enumerate(zip(*(plan.occupancy_by_hour for plan in plans.values()), strict=True)):
        table.add_row(str(number + 1), *(_bar(share) for share in shares))
    return table


def _bar(share: float) -> str:
    return f"{'█' * round(share * BAR):<{BAR}} {share:.0%}"


def _draw(
    floors: "Mapping[str, CallCentre]", plans: "Mapping[str, Plan]", agents: int, hours: float, path: Path
) -> None:
    try:
        from simulation.callcentre.chart import draw
    except ImportError as error:
        fail(f"--chart needs matplotlib: pip install 'ringback[train]' ({error})")
    minutes = min(SHOWN_MINUTES, hours * 60)
    titled = {f"{name}: agents busy {plans[name].occupancy:.0%} of the time": floors[name].spans for name in floors}
    draw(titled, agents, hours * HOUR - minutes * 60, minutes, path)

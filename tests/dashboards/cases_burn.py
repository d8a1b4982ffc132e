"""For every objective: its budget burns fast, burns slowly, and does not."""

from tests.dashboards.case import DIALER, INGEST, STREAM, Case, Series


def _burn(
    alert: str, slo: str, promise: str, allowed: str, fast: Series, slow: Series, good: Series, **of: str
) -> list[Case]:
    """A page, a ticket, and neither. ``of``: the share that failed, as the descriptions say it, by severity."""
    said = f"Promised: {promise}. Of late {{}} failed that, and {allowed} may."
    return [
        Case(
            alert=alert,
            minute=90,
            series=fast,
            severities=("critical", "warning"),
            labels={"slo": slo},
            description=said.format(of["critical"]),
        ),
        Case(
            alert=alert,
            minute=180,
            series=slow,
            severities=("warning",),
            labels={"slo": slo},
            description=said.format(of["warning"]),
        ),
        Case(alert=alert, minute=180, series=good),
    ]


def _requests(good: int, bad: int) -> Series:
    return {
        f'ringback_ingest_requests_total{{{INGEST}, outcome="accepted"}}': f"0+{good}x200",
        f'ringback_ingest_requests_total{{{INGEST}, outcome="unavailable"}}': f"0+{bad}x200",
    }


def _late(histogram: str, edge: str, total: int, late: int, of: str = STREAM) -> Series:
    return {
        f'{histogram}_bucket{{{of}, le="{edge}"}}': f"0+{total - late}x200",
        f"{histogram}_count{{{of}}}": f"0+{total}x200",
    }


def _first_dials(total: int, late: int, idle: int = 1) -> Series:
    dials = _late("ringback_time_to_first_dial_seconds", "300.0", total, late, DIALER)
    return dials | {f'ringback_agents{{{DIALER}, state="idle"}}': f"{idle}x200"}


BURNS = [
    *_burn(
        "RingbackIngestAvailabilityBurn",
        "ingest-availability",
        "99.9 % of the shops' requests are taken or refused for a reason of their own",
        "0.1 %",
        _requests(900, 100),
        _requests(996, 4),
        _requests(10_000, 5),
        critical="10%",
        warning="0.4%",
    ),
    *_burn(
        "RingbackDecisionFreshnessBurn",
        "decision-freshness",
        "99 % of due carts are decided within 5 s",
        "1 %",
        _late("ringback_due_to_decision_seconds", "5.0", 100, 20),
        _late("ringback_due_to_decision_seconds", "5.0", 100, 4),
        _late("ringback_due_to_decision_seconds", "5.0", 1000, 5),
        critical="20%",
        warning="4%",
    ),
    *_burn(
        "RingbackScoringLatencyBurn",
        "scoring-latency",
        "99.9 % of carts are scored within 25 ms",
        "0.1 %",
        _late("ringback_scoring_duration_seconds", "0.025", 1000, 100),
        _late("ringback_scoring_duration_seconds", "0.025", 1000, 4),
        _late("ringback_scoring_duration_seconds", "0.025", 10_000, 5),
        critical="10%",
        warning="0.4%",
    ),
    *_burn(
        "RingbackFirstDialBurn",
        "first-dial",
        "95 % of leads are dialled within 5 minutes, while agents are ready and the hours allow",
        "5 %",
        _first_dials(100, 80),
        _first_dials(100, 20),
        _first_dials(100, 2),
        critical="80%",
        warning="20%",
    ),
    # Late, but nobody was there to call: no objective is missed.
    Case(alert="RingbackFirstDialBurn", minute=90, series=_first_dials(100, 80, idle=0)),
]

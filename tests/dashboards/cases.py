"""For every alert a case in which it fires and one in which it does not; `case` says in which notation."""

from tests.dashboards.case import DIALER, INGEST, ON_DIALER, ON_INGEST, ON_STREAM, STREAM, Case, Series
from tests.dashboards.cases_burn import BURNS

NEVER = [
    Case(
        alert="RingbackNeverEvent",
        minute=6,
        series={f'ringback_never_events_total{{{DIALER}, event="cart_lost"}}': "0x4 1x20"},
        severities=("critical",),
        labels={**ON_DIALER, "event": "cart_lost"},
        description="dialer at d:1 reports cart_lost.",
    ),
    # A process that reports one before it was ever scraped.
    Case(
        alert="RingbackNeverEvent",
        minute=6,
        series={f'ringback_never_events_total{{{DIALER}, event="cart_lost"}}': "_x4 1x20"},
        severities=("critical",),
        labels={**ON_DIALER, "event": "cart_lost"},
        description="dialer at d:1 reports cart_lost.",
    ),
    Case(
        alert="RingbackNeverEvent",
        minute=15,
        series={f'ringback_never_events_total{{{DIALER}, event="cart_lost"}}': "0x20"},
    ),
]


def _abandoned(ratio: float, answers: int) -> Series:
    labels = f'{DIALER}, window="30_days"'
    return {
        f"ringback_abandoned_call_ratio{{{labels}}}": f"{ratio}x30",
        f"ringback_abandoned_call_limit_ratio{{{labels}}}": "0.03x30",
        f'ringback_calls_total{{{DIALER}, outcome="connected"}}': f"0+{answers}x30",
        f'ringback_calls_total{{{DIALER}, outcome="abandoned"}}': "0x30",
    }


ABANDONED = [
    Case(
        alert="RingbackAbandonedCallsNearLimit",
        minute=20,
        series=_abandoned(0.027, 10),
        severities=("warning",),
        labels={**ON_DIALER, "window": "30_days"},
        description="Of the limit for 30_days 90% are used up at d:1.",
    ),
    Case(
        alert="RingbackAbandonedCallsNearLimit",
        minute=20,
        series=_abandoned(0.03, 10),
        severities=("critical", "warning"),
        labels={**ON_DIALER, "window": "30_days"},
        description="Of the limit for 30_days 100% are used up at d:1.",
    ),
    Case(alert="RingbackAbandonedCallsNearLimit", minute=20, series=_abandoned(0.02, 10)),
    # One of a few answers says nothing.
    Case(alert="RingbackAbandonedCallsNearLimit", minute=20, series=_abandoned(0.1, 1)),
]
PROCESSES = [
    Case(
        alert="RingbackProcessDown",
        minute=5,
        series={f"up{{{STREAM}}}": "1 1 0x10"},
        severities=("critical",),
        labels=ON_STREAM,
        description="Prometheus has not reached stream at s:1 for two minutes.",
    ),
    Case(alert="RingbackProcessDown", minute=5, series={f"up{{{STREAM}}}": "1 1 1 0 1x10"}),
    Case(
        alert="RingbackEventLoopBlocked",
        minute=20,
        series={
            f'ringback_event_loop_lag_seconds_bucket{{{STREAM}, le="0.5"}}': "0+1x30",
            f'ringback_event_loop_lag_seconds_bucket{{{STREAM}, le="1.0"}}': "0+10x30",
            f'ringback_event_loop_lag_seconds_bucket{{{STREAM}, le="+Inf"}}': "0+10x30",
        },
        severities=("warning",),
        labels=ON_STREAM,
        description="stream at s:1 turns its event loop 994.4ms late (99th percentile).",
    ),
    Case(
        alert="RingbackEventLoopBlocked",
        minute=20,
        series={
            f'ringback_event_loop_lag_seconds_bucket{{{STREAM}, le="0.5"}}': "0+10x30",
            f'ringback_event_loop_lag_seconds_bucket{{{STREAM}, le="+Inf"}}': "0+10x30",
        },
    ),
]


def _dead(letters: int) -> Series:
    return {
        f'ringback_ingest_dead_letters_total{{{INGEST}, reason="malformed"}}': f"0+{letters}x60",
        f'ringback_stream_dead_letters_total{{{STREAM}, reason="too_large"}}': "0x60",
        f'ringback_ingest_events_total{{{INGEST}, result="published"}}': "0+1000x60",
    }


def _lag(values: str) -> Series:
    return {f'ringback_stream_lag_records{{{STREAM}, topic="cart_events", partition="0"}}': values}


PIPELINE = [
    Case(
        alert="RingbackIngestSpooling",
        minute=5,
        series={f"ringback_ingest_spool_requests{{{INGEST}}}": "0 7x10"},
        severities=("warning",),
        labels=ON_INGEST,
        description="7 requests wait on the disk of i:1, because Kafka or Redis cannot be reached.",
    ),
    Case(alert="RingbackIngestSpooling", minute=5, series={f"ringback_ingest_spool_requests{{{INGEST}}}": "0 7 0x10"}),
    Case(
        alert="RingbackDeadLetters",
        minute=40,
        series=_dead(20),
        severities=("warning",),
        description="2% of the events of the last 15 minutes became dead letters.",
    ),
    Case(alert="RingbackDeadLetters", minute=40, series=_dead(5)),
    Case(
        alert="RingbackConsumerLagGrowing",
        minute=30,
        series=_lag("0+100x25 2500x9"),
        severities=("critical",),
        labels={"topic": "cart_events"},
        description="2500 records of cart_events wait, and they become more.",
    ),
    # Much waits, and it becomes less.
    Case(alert="RingbackConsumerLagGrowing", minute=30, series=_lag("9000-100x30")),
    Case(
        alert="RingbackPartitionsUnowned",
        minute=20,
        series={
            f"ringback_stream_partitions{{{STREAM}}}": "4x30",
            'ringback_stream_partitions{job="stream", instance="s:2"}': "4x10 0x20",
        },
        severities=("critical",),
        description="The workers own 4 partitions together, fewer than before.",
    ),
    Case(
        alert="RingbackPartitionsUnowned",
        minute=20,
        series={
            f"ringback_stream_partitions{{{STREAM}}}": "4x10 8x20",
            'ringback_stream_partitions{job="stream", instance="s:2"}': "4x10 0x20",
        },
    ),
    Case(
        alert="RingbackRebalancing",
        minute=60,
        series={f"ringback_stream_rebalances_total{{{STREAM}}}": "1+0.2x60"},
        severities=("warning",),
        description="A worker was given its partitions 12 times within an hour.",
    ),
    Case(alert="RingbackRebalancing", minute=60, series={f"ringback_stream_rebalances_total{{{STREAM}}}": "1x30 3x30"}),
    Case(
        alert="RingbackRecoverySlow",
        minute=10,
        series={
            f"ringback_stream_recovery_seconds{{{STREAM}}}": "0+60x20",
            f"ringback_stream_recovering{{{STREAM}}}": "1x20",
        },
        severities=("warning",),
        labels=ON_STREAM,
        description="s:1 has been loading states for 10m 0s.",
    ),
    # It took long, and it is over.
    Case(
        alert="RingbackRecoverySlow",
        minute=10,
        series={
            f"ringback_stream_recovery_seconds{{{STREAM}}}": "300x20",
            f"ringback_stream_recovering{{{STREAM}}}": "0x20",
        },
    ),
    Case(
        alert="RingbackHopperUnreachable",
        minute=5,
        series={f"ringback_stream_hopper_up{{{STREAM}}}": "1 0x10"},
        severities=("critical",),
        labels=ON_STREAM,
        description="s:1 has decided and cannot queue: Redis does not answer it.",
    ),
    Case(alert="RingbackHopperUnreachable", minute=5, series={f"ringback_stream_hopper_up{{{STREAM}}}": "1 0 1x10"}),
    Case(
        alert="RingbackOutreachCutOff",
        minute=5,
        series={'ringback_outreach_up{job="outreach", instance="o:1", server="provider"}': "1 0x10"},
        severities=("warning",),
        labels={"job": "outreach", "instance": "o:1", "server": "provider"},
        description="o:1 does not reach provider.",
    ),
    Case(
        alert="RingbackOutreachCutOff",
        minute=5,
        series={'ringback_outreach_up{job="outreach", instance="o:1", server="provider"}': "1x10"},
    ),
]


def _floor(leads: int, idle: int, later: int = 0) -> Series:
    return {
        f'ringback_hopper_leads{{{DIALER}, band="high"}}': f"{leads}x30",
        f'ringback_hopper_leads{{{DIALER}, band="later"}}': f"{later}x30",
        f'ringback_agents{{{DIALER}, state="idle"}}': f"{idle}x30",
        f'ringback_agents{{{DIALER}, state="talking"}}': "0x30",
        f'ringback_agents{{{DIALER}, state="paused"}}': "3x30",
    }


def _lists(**seconds: str) -> Series:
    return {
        f'ringback_national_list_remaining_seconds{{{DIALER}, country="{country}"}}': values
        for country, values in seconds.items()
    }


def _in_charge(one: int, other: int) -> Series:
    two = 'job="dialer", instance="d:2"'
    return {
        f"ringback_dialer_leader{{{DIALER}}}": f"{one}x10",
        f"ringback_dialer_leader{{{two}}}": f"{other}x10",
        f'ringback_dialer_info{{{DIALER}, campaign="spring", mode="predictive"}}': "1x10",
        f'ringback_dialer_info{{{two}, campaign="spring", mode="predictive"}}': "1x10",
    }


FLOOR = [
    Case(
        alert="RingbackAmiDown",
        minute=5,
        series={f"ringback_ami_connected{{{DIALER}}}": "1 0x10"},
        severities=("critical",),
        labels=ON_DIALER,
        description="d:1 has not been logged in to Asterisk for a minute. Nobody is called.",
    ),
    Case(alert="RingbackAmiDown", minute=5, series={f"ringback_ami_connected{{{DIALER}}}": "1x10"}),
    Case(
        alert="RingbackNoDialerInCharge",
        minute=5,
        series=_in_charge(0, 0),
        severities=("critical",),
        labels={"campaign": "spring"},
        description="Dialers of spring run and none of them calls.",
    ),
    Case(alert="RingbackNoDialerInCharge", minute=5, series=_in_charge(0, 1)),
    Case(
        alert="RingbackNoAgentsReady",
        minute=15,
        series=_floor(leads=40, idle=0),
        severities=("warning",),
        description="40 leads could be called now, and no agent is logged in and not paused.",
    ),
    Case(alert="RingbackNoAgentsReady", minute=15, series=_floor(leads=40, idle=1)),
    # Out of hours the leads wait for the morning, as the agents do.
    Case(alert="RingbackNoAgentsReady", minute=15, series=_floor(leads=0, idle=0, later=400)),
    Case(
        alert="RingbackHopperEmpty",
        minute=15,
        series=_floor(leads=0, idle=2),
        severities=("warning",),
        description="2 agents wait, and there is no lead that may be called now.",
    ),
    Case(alert="RingbackHopperEmpty", minute=15, series=_floor(leads=1, idle=2)),
    Case(
        alert="RingbackNationalListEnds",
        minute=10,
        series=_lists(GB="345600-864x20", US="2419200x20"),
        severities=("warning",),
        labels={"country": "GB"},
        description="The list of GB may be called by for 3d 21h 36m 0s; then nobody there is called.",
    ),
    # It was never loaded.
    Case(
        alert="RingbackNationalListEnds",
        minute=10,
        series=_lists(US="0x20"),
        severities=("warning",),
        labels={"country": "US"},
        description="The list of US may be called by for 0s; then nobody there is called.",
    ),
    # A list that is loaded in time, and dialers that have not asked Redis yet.
    Case(alert="RingbackNationalListEnds", minute=10, series=_lists(GB="86400 86400 86400 2419200x20", US="NaN " * 20)),
    Case(
        alert="RingbackSpendCapNear",
        minute=5,
        series={f"ringback_spend_cap_ratio{{{DIALER}}}": "0.5 0.85x10"},
        severities=("warning",),
        labels=ON_DIALER,
        description="85% of the cap are spent at d:1.",
    ),
    Case(alert="RingbackSpendCapNear", minute=5, series={f"ringback_spend_cap_ratio{{{DIALER}}}": "0.79x10"}),
]


def _serving(one: str, other: str) -> Series:
    two = 'job="stream", instance="s:2"'
    return {
        f'ringback_stream_model_info{{{STREAM}, role="current", version="{one}"}}': "1x10",
        f'ringback_stream_model_info{{{two}, role="current", version="{other}"}}': "1x10",
        f'ringback_stream_model_info{{{two}, role="shadow", version="third"}}': "1x10",
    }


MODEL = [
    Case(
        alert="RingbackModelDrift",
        minute=70,
        series={
            f"ringback_stream_score_stability_index{{{STREAM}}}": "0.1x90",
            f'ringback_stream_feature_stability_index{{{STREAM}, feature="hour"}}': "0.1x90",
            f'ringback_stream_feature_stability_index{{{STREAM}, feature="total"}}': "0.4x90",
        },
        severities=("warning",),
        labels=ON_STREAM,
        description="A stability index of s:1 is 0.40; over 0.25 is drift.",
    ),
    Case(
        alert="RingbackModelDrift",
        minute=70,
        series={
            f"ringback_stream_score_stability_index{{{STREAM}}}": "0.24x90",
            f'ringback_stream_feature_stability_index{{{STREAM}, feature="total"}}': "0.2x90",
        },
    ),
    Case(
        alert="RingbackModelRefused",
        minute=10,
        series={f'ringback_stream_model_refused_total{{{STREAM}, reason="golden_rows"}}': "0x5 1x20"},
        severities=("warning",),
        labels={**ON_STREAM, "reason": "golden_rows"},
        description="s:1 does not use a model that was put in place (golden_rows).",
    ),
    Case(
        alert="RingbackModelRefused",
        minute=10,
        series={f'ringback_stream_model_failures_total{{{STREAM}, role="canary"}}': "0x5 1x20"},
        severities=("warning",),
        labels={**ON_STREAM, "role": "canary"},
        description="s:1 does not use a model that was put in place (canary).",
    ),
    Case(
        alert="RingbackModelRefused",
        minute=10,
        series={f'ringback_stream_model_refused_total{{{STREAM}, reason="golden_rows"}}': "0x20"},
    ),
    Case(
        alert="RingbackModelsDiffer",
        minute=5,
        series=_serving("first", "second"),
        severities=("warning",),
        description="2 models serve as the current one.",
    ),
    Case(alert="RingbackModelsDiffer", minute=5, series=_serving("first", "first")),
]
CASES = [*BURNS, *NEVER, *ABANDONED, *PROCESSES, *PIPELINE, *FLOOR, *MODEL]

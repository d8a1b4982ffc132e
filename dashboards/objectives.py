"""What Ringback promises: the numbers that rules, alerts and the limits on the dashboards share."""

from dataclasses import dataclass

# An answered shopper who waits longer for an agent is an abandoned call.
ANSWER_TO_AGENT_SECONDS = 2.0
# A population stability index over this says that a distribution is another one; from half of it on: watch.
DRIFT, WATCHED_DRIFT = 0.25, 0.1
# Of the limit on abandoned calls, and of the spend cap.
NEAR_LIMIT, AT_LIMIT = 0.8, 0.95
# A floor that is busier has no time for a next call's preparation; one that is idler is paid for waiting.
BUSY_FLOOR, IDLE_FLOOR = 0.9, 0.7
EVENT_LOOP_LAG_SECONDS = 0.5
RECOVERY_SECONDS = 120
LAG_RECORDS = 1000
# Before a national do-not-call list is too old: more than a long weekend.
LIST_DAYS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """A service level: of all that ``total`` counts, the share ``target`` is not ``bad``.

    ``bad`` and ``total`` are queries with ``{window}`` where their range goes; each gives one series without labels.
    """

    slo: str
    alert: str
    target: float
    promise: str
    bad: str
    total: str


def _slow(histogram: str, seconds: str) -> tuple[str, str]:
    """The slow ones, and all, of a histogram with an edge at ``seconds``, as Prometheus writes it."""
    total = f"sum(rate({histogram}_count[{{window}}]))"
    return f'{total} - sum(rate({histogram}_bucket{{{{le="{seconds}"}}}}[{{window}}]))', total


_FRESH = _slow("ringback_due_to_decision_seconds", "5.0")
_SCORING = _slow("ringback_scoring_duration_seconds", "0.025")

INGEST = Objective(
    slo="ingest-availability",
    alert="RingbackIngestAvailabilityBurn",
    target=0.999,
    promise="99.9 % of the shops' requests are taken or refused for a reason of their own",
    bad='sum(rate(ringback_ingest_requests_total{{outcome=~"unavailable|failed"}}[{window}]))',
    total="sum(rate(ringback_ingest_requests_total[{window}]))",
)
FRESHNESS = Objective(
    slo="decision-freshness",
    alert="RingbackDecisionFreshnessBurn",
    target=0.99,
    promise="99 % of due carts are decided within 5 s",
    bad=_FRESH[0],
    total=_FRESH[1],
)
SCORING = Objective(
    slo="scoring-latency",
    alert="RingbackScoringLatencyBurn",
    target=0.999,
    promise="99.9 % of carts are scored within 25 ms",
    bad=_SCORING[0],
    total=_SCORING[1],
)
# Only minutes in which an agent was idle count: at night and without agents nobody can be dialled.
FIRST_DIAL = Objective(
    slo="first-dial",
    alert="RingbackFirstDialBurn",
    target=0.95,
    promise="95 % of leads are dialled within 5 minutes, while agents are ready and the hours allow",
    bad="sum_over_time(ringback:first_dials_late:rate5m[{window}])",
    total="sum_over_time(ringback:first_dials:rate5m[{window}])",
)
OBJECTIVES = (INGEST, FRESHNESS, SCORING, FIRST_DIAL)

"""The way of an event, by stage: rate, errors and duration of each, and what waits before it."""

from dashboards.board import Board, Row
from dashboards.objectives import EVENT_LOOP_LAG_SECONDS, INGEST, LAG_RECORDS, RECOVERY_SECONDS
from dashboards.panels import GREEN, RED, YELLOW, About, Query, chart, heat
from dashboards.series import CHANNEL_COLOURS, quantiles

INGESTION = Row(
    title="Ingest: what shops send",
    panels=[
        chart(
            About(
                title="What becomes of requests?",
                description="Requests of shops by outcome. unavailable and failed are Ringback's fault, rejected and "
                "unauthentic the sender's.",
                unit="reqps",
            ),
            Query(
                expr="sum by (outcome) (rate(ringback_ingest_requests_total{@}[$__rate_interval]))",
                legend="{{outcome}}",
            ),
            stacked=True,
            colours={"accepted": GREEN, "unavailable": RED, "failed": RED, "spooled": YELLOW},
        ),
        chart(
            About(
                title="Share of requests that failed",
                description="unavailable and failed among all requests. Objective: no more than 0.1 % over 30 days.",
                unit="percentunit",
                limits=[(1 - INGEST.target, RED)],
            ),
            Query(
                expr='sum(rate(ringback_ingest_requests_total{@, outcome=~"unavailable|failed"}[$__rate_interval])) '
                "/ sum(rate(ringback_ingest_requests_total{@}[$__rate_interval]))",
                legend="failed",
            ),
        ),
        chart(
            About(
                title="How long do shops wait for an answer?",
                description="Time to answer a request, by platform. Shopify gives up after 5 s and sends again.",
                unit="s",
                limits=[(5, RED)],
            ),
            *quantiles("ringback_ingest_request_duration_seconds", "p50", "p99", by="source"),
        ),
        chart(
            About(
                title="How old are events on arrival?",
                description="From when an event happened in the shop to its arrival. Old events are decided late.",
                unit="s",
            ),
            *quantiles("ringback_ingest_event_age_seconds", "p50", "p95", by="source"),
        ),
        chart(
            About(
                title="Dead letters",
                description="Events that could not be used, by reason, at the door and in the stream. They are kept "
                "for 7 days.",
                unit="cps",
            ),
            Query(expr="sum(rate(ringback_ingest_dead_letters_total{@}[$__rate_interval]))", legend="at the door"),
            Query(expr="sum(rate(ringback_stream_dead_letters_total{@}[$__rate_interval]))", legend="in the stream"),
            Query(
                expr="sum by (reason) (rate(ringback_ingest_dead_letters_total{@}[$__rate_interval])) > 0",
                legend="at the door: {{reason}}",
            ),
            Query(
                expr="sum by (reason) (rate(ringback_stream_dead_letters_total{@}[$__rate_interval])) > 0",
                legend="in the stream: {{reason}}",
            ),
        ),
        chart(
            About(
                title="What waits on disk?",
                description="Requests that were accepted and wait on disk because Kafka or Redis cannot be reached. "
                "The alert is "
                "RingbackIngestSpooling.",
                unit="short",
                limits=[(1, YELLOW)],
            ),
            Query(expr="ringback_ingest_spool_requests{@}", legend="{{instance}}"),
        ),
    ],
)
STREAM = Row(
    title="Stream: what becomes of events",
    panels=[
        chart(
            About(title="Events by kind", description="Cart events taken into the state of their shopper.", unit="cps"),
            Query(
                expr="sum by (kind) (rate(ringback_stream_events_total{@}[$__rate_interval])) > 0", legend="{{kind}}"
            ),
            stacked=True,
        ),
        chart(
            About(
                title="How soon is an event scored?",
                description="From an event's arrival at Ringback to its cart's new score.",
                unit="s",
                limits=[(1, RED)],
            ),
            *quantiles("ringback_event_to_score_seconds", "p50", "p99"),
        ),
        chart(
            About(
                title="How many records wait?",
                description="Consumer lag by topic. A packed record holds many events.",
                unit="short",
                limits=[(LAG_RECORDS, RED)],
            ),
            Query(expr="sum by (topic) (ringback_stream_lag_records{@})", legend="{{topic}}"),
        ),
        chart(
            About(
                title="Where does a record's time go?",
                description="99th percentile of taking a record, of the flush that makes what followed durable, and "
                "of the "
                "commit of offsets.",
                unit="s",
            ),
            *(
                Query(expr=query.expr, legend=name, exemplars=True)
                for name, histogram in (
                    ("processing", "ringback_stream_processing_seconds"),
                    ("flush", "ringback_stream_flush_seconds"),
                    ("commit", "ringback_stream_commit_seconds"),
                )
                for query in quantiles(histogram, "p99")
            ),
        ),
        chart(
            About(
                title="Who owns the partitions?",
                description="Partitions by worker. When they are dealt anew all workers stop for a moment.",
                unit="short",
            ),
            Query(expr="ringback_stream_partitions{@}", legend="{{instance}}"),
            stacked=True,
            step=True,
        ),
        chart(
            About(
                title="How long does recovery take?",
                description="Time of the last loading of states, by worker; nothing is followed meanwhile. The alert "
                "is "
                "RingbackRecoverySlow.",
                unit="s",
                limits=[(RECOVERY_SECONDS, RED)],
            ),
            Query(expr="ringback_stream_recovery_seconds{@}", legend="{{instance}}"),
        ),
    ],
)
DECISIONS = Row(
    title="Decisions: what is done about abandoned carts",
    panels=[
        chart(
            About(
                title="Decisions by route",
                description="Decisions on due carts: who is called, written to, left.",
                unit="cps",
            ),
            Query(expr="sum by (route) (rate(ringback_decisions_total{@}[$__rate_interval]))", legend="{{route}}"),
            stacked=True,
            colours=CHANNEL_COLOURS,
        ),
        heat(
            About(
                title="From due to decided",
                description="How long due carts wait for their decision. Objective: 99 % within 5 s.",
                unit="s",
            ),
            Query(
                expr="sum by (le) (increase(ringback_due_to_decision_seconds_bucket{@}[$__rate_interval]))",
                legend="{{le}}",
            ),
        ),
        chart(
            About(
                title="How long does a score take?",
                description="Time to score one cart. Objective: 99.9 % within 25 ms.",
                unit="s",
                limits=[(0.025, RED)],
            ),
            *quantiles("ringback_scoring_duration_seconds", "p50", "p99", "p99.9"),
        ),
        chart(
            About(
                title="Why is nothing done?",
                description="Carts that get no contact, by the reason of the decision.",
                unit="cps",
            ),
            Query(
                expr='sum by (reason) (rate(ringback_decisions_total{@, route="none"}[$__rate_interval]))',
                legend="{{reason}}",
            ),
            stacked=True,
        ),
        chart(
            About(
                title="Leads that the hopper refused",
                description="Leads that were decided and not queued, by reason.",
                unit="cps",
            ),
            Query(
                expr="sum by (reason) (rate(ringback_leads_refused_total{@}[$__rate_interval]))", legend="{{reason}}"
            ),
        ),
        chart(
            About(
                title="How fast do error budgets burn?",
                description="1: the budget of 30 days lasts for 30 days. A page comes at 14.4 within an hour, a "
                "ticket from 1 on.",
                unit="none",
                limits=[(1, YELLOW), (14.4, RED)],
            ),
            Query(expr="slo:sli_error:ratio_rate1h / on (slo) slo:error_budget:ratio", legend="{{slo}}"),
        ),
    ],
)
MESSAGES = Row(
    title="Outreach: messages",
    panels=[
        chart(
            About(title="What becomes of messages?", description="Messages by channel and outcome.", unit="cps"),
            Query(
                expr="sum by (channel, outcome) (rate(ringback_messages_total{@}[$__rate_interval]))",
                legend="{{channel}} {{outcome}}",
            ),
        ),
        chart(
            About(title="How long does a message take?", description="Time of one attempt at the provider.", unit="s"),
            *quantiles("ringback_message_send_seconds", "p50", "p99", by="channel"),
        ),
        chart(
            About(title="Messages that wait", description="Messages that were read and wait to be sent.", unit="short"),
            Query(expr="ringback_outbox_messages{@}", legend="{{instance}}"),
        ),
    ],
)
PROCESSES = Row(
    title="Processes: what they use",
    panels=[
        chart(
            About(
                title="Is an event loop held up?",
                description="99th percentile of how much later than asked for the event loop turned.",
                unit="s",
                limits=[(EVENT_LOOP_LAG_SECONDS, RED)],
            ),
            Query(expr="job_instance:ringback_event_loop_lag_seconds:p99_rate5m{@}", legend="{{job}} {{instance}}"),
        ),
        chart(
            About(
                title="Processor time",
                description="Cores in use by process: 100 % is one core, more than one worker can use.",
                unit="percentunit",
                limits=[(0.9, YELLOW)],
            ),
            Query(expr="rate(process_cpu_seconds_total{@}[$__rate_interval])", legend="{{job}} {{instance}}"),
        ),
        chart(
            About(title="Memory", description="Resident memory by process.", unit="bytes"),
            Query(expr="process_resident_memory_bytes{@}", legend="{{job}} {{instance}}"),
        ),
    ],
)
BOARD = Board(
    uid="ringback-pipeline",
    title="Ringback / Pipeline",
    description="The way of an event, by stage: rate, errors and duration of each, and what waits before it.",
    rows=[INGESTION, STREAM, DECISIONS, MESSAGES, PROCESSES],
)

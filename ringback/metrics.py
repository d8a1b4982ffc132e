"""Every metric of Ringback, grouped by the process that owns it.

Units are seconds and ratios from 0 to 1; labels are bounded and never name a person, a cart or a number. Known label
values are initialised at start, so that "nothing yet" reads 0.
"""

from enum import StrEnum

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from ringback.decisions import Reason, Route
from ringback.errors import Misfit
from ringback.records import Channel, DeadLetterReason, Disposition, EventKind, Outcome

# Without this, each counter and histogram brings one more series with its birth time.
disable_created_metrics()  # type: ignore[no-untyped-call] # the package leaves this function without types

FAST_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SCORING_SECONDS = (0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025)
# An edge exactly at 2.0: an answered shopper who waits longer is an abandoned call.
ANSWER_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.8, 2.0, 2.5, 5.0)
WAITING_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)
TALK_SECONDS = (1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 180.0, 300.0, 600.0, 1200.0)
SCORES = tuple(n / 20 for n in range(1, 21))


class NeverEvent(StrEnum):
    """What must never happen; each is a counter that stays 0. See docs/architecture.md."""

    FORBIDDEN_CONTACT = "forbidden_contact"
    SECOND_CALL_AT_ONCE = "second_call_at_once"
    CART_LOST = "cart_lost"
    ABANDONED_OVER_LIMIT = "abandoned_over_limit"
    PERSONAL_DATA_LEAKED = "personal_data_leaked"


class ProcessMetrics:
    """What every process has: the interpreter's own metrics and the never events."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.never_events = self._counter(
            "never_events", "Times that something happened that must never happen.", event=NeverEvent
        )

    def _counter(self, name: str, meaning: str, **labels: type[StrEnum]) -> Counter:
        metric = Counter(f"ringback_{name}_total", meaning, tuple(labels), registry=self.registry)
        if len(labels) == 1:
            ((_, values),) = labels.items()
            for value in values:
                metric.labels(value.value)
        return metric

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(f"ringback_{name}", meaning, labels, registry=self.registry)

    def _histogram(self, name: str, meaning: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"ringback_{name}", meaning, labels, buckets=buckets, registry=self.registry)


class IngestOutcome(StrEnum):
    """What became of a request."""

    ACCEPTED = "accepted"
    DEAD_LETTER = "dead_letter"
    SPOOLED = "spooled"
    PING = "ping"
    UNAUTHENTIC = "unauthentic"
    REJECTED = "rejected"
    UNAVAILABLE = "unavailable"


class IngestedAs(StrEnum):
    """What became of an event."""

    PUBLISHED = "published"
    REPEATED = "repeated"
    REFUSED = "refused"


class IngestMetrics(ProcessMetrics):
    """Metrics of ``ringback ingest``."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__(registry)
        self.requests = self._counter("ingest_requests", "Requests received, by outcome.", outcome=IngestOutcome)
        self.events = self._counter(
            "ingest_events", "Events of authentic requests, by what became of them.", result=IngestedAs
        )
        self.dead_letters = self._counter(
            "ingest_dead_letters", "Events that could not be used, by reason.", reason=DeadLetterReason
        )
        self.bugs = Counter(
            "ringback_ingest_bugs_total", "Unexpected errors of Ringback's own code.", registry=self.registry
        )
        self.spooled = Counter(
            "ringback_ingest_spooled_total", "Requests that were kept on disk at first.", registry=self.registry
        )
        self.spool_records = self._gauge("ingest_spool_requests", "Requests that wait on disk now.")
        self.spool_bytes = self._gauge("ingest_spool_bytes", "Size of what waits on disk now.")
        self.duration = self._histogram("ingest_request_duration_seconds", "Time to answer a request.", FAST_SECONDS)


class ModelRole(StrEnum):
    """What a model does in a worker."""

    CURRENT = "current"
    SHADOW = "shadow"
    CANARY = "canary"
    UPLIFT = "uplift"


class StreamMetrics(ProcessMetrics):
    """Metrics of ``ringback stream``."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__(registry)
        self.events = self._counter("stream_events", "Cart events taken into the state, by kind.", kind=EventKind)
        self.repeated = Counter(
            "ringback_stream_repeated_events_total", "Events seen before and therefore skipped.", registry=self.registry
        )
        self.dead_letters = self._counter(
            "stream_dead_letters", "Events that could not be used, by reason.", reason=DeadLetterReason
        )
        self.event_to_score = self._histogram(
            "event_to_score_seconds", "From an event's arrival at Ringback to its cart's new score.", FAST_SECONDS
        )
        self.due_to_decision = self._histogram(
            "due_to_decision_seconds", "From the moment a cart is due to its published decision.", FAST_SECONDS
        )
        self.scoring = self._histogram("scoring_duration_seconds", "Time to score one cart.", SCORING_SECONDS)
        self.scores = self._histogram("score_ratio", "Scores of due carts: probability of a purchase.", SCORES)
        self.carts_active = self._gauge("carts_active", "Open carts that are not due yet.")
        self.carts_abandoned = Counter(
            "ringback_carts_abandoned_total", "Carts that became due.", registry=self.registry
        )
        self.decisions = Counter(
            "ringback_decisions_total", "Decisions on due carts.", ("route", "reason", "arm"), registry=self.registry
        )
        for route in Route:
            self.decisions.labels(
                route.value, _REASON_OF[route].value, "holdout" if route is Route.HOLDOUT else "treated"
            )
        self.hopper_refused = Counter(
            "ringback_leads_refused_total", "Leads that the hopper did not take.", ("reason",), registry=self.registry
        )
        self.eligible = Counter(
            "ringback_eligible_total", "Due carts that may be contacted, by arm.", ("arm",), registry=self.registry
        )
        self.ordered = Counter(
            "ringback_eligible_orders_total",
            "Orders that followed within the window, by arm.",
            ("arm",),
            registry=self.registry,
        )
        self.conversions = Counter(
            "ringback_conversions_total", "Orders won by a contact, by channel.", ("channel",), registry=self.registry
        )
        self.revenue = Counter(
            "ringback_revenue_recovered_minor_units_total",
            "Value of orders won by a contact, in minor units of the currency.",
            ("channel", "currency"),
            registry=self.registry,
        )
        for arm in ("treated", "holdout"):
            self.eligible.labels(arm)
            self.ordered.labels(arm)
        for channel in Channel:
            self.conversions.labels(channel.value)
        self.voice_price = self._gauge(
            "stream_voice_price",
            "What an agent-minute must bring now, hundredths of the common currency unit; NaN: fixed thresholds hold.",
        )
        self.model_info = self._gauge("stream_model_info", "1 for each model in use, by role.", "role", "version")
        self.model_refused = self._counter(
            "stream_model_refused", "Models that were put in place and not taken, by what is wrong.", reason=Misfit
        )
        self.model_failures = self._counter(
            "stream_model_failures", "Models that failed while they served, and were set aside.", role=ModelRole
        )
        self.drift_rows = self._gauge("stream_drift_rows", "Decisions in the window that drift is measured on.")
        self.feature_psi = self._gauge(
            "stream_feature_psi", "Population stability index against training; NaN under 1,000 decisions.", "feature"
        )
        self.feature_missing = self._gauge("stream_feature_missing", "Share of decisions without a value.", "feature")
        self.feature_unseen = self._gauge(
            "stream_feature_unseen", "Share of decisions with a value that training never had.", "feature"
        )
        self.score_psi = self._gauge("stream_score_psi", "The same index of the champion's scores.")
        self.matured_rows = self._gauge("stream_matured_rows", "The holdout's decisions whose outcome is known.")
        self.matured_log_loss = self._gauge(
            "stream_matured_log_loss", "The champion's log-loss on them, in nats; NaN under 1,000 decisions."
        )
        self.shoppers = self._gauge("stream_shoppers", "Shoppers whose state this worker holds.")
        self.partitions = self._gauge("stream_partitions", "Partitions that this worker owns.")
        self.lag = self._gauge("stream_lag_records", "Cart events that wait, by partition.", "partition")
        self.rebalances = Counter(
            "ringback_stream_rebalances_total", "Times that the partitions were dealt anew.", registry=self.registry
        )
        self.recovery = self._gauge(
            "stream_recovery_seconds",
            "How long it last took to load recovered states and read back what was published.",
        )
        self.states_read = Counter(
            "ringback_stream_states_read_total",
            "States read back from the changelog after the partitions were dealt.",
            registry=self.registry,
        )
        self.hopper_up = self._gauge("stream_hopper_up", "1 while the hopper can be reached.")


_REASON_OF = {
    Route.VOICE: Reason.HIGH_VALUE,
    Route.SMS: Reason.MID_VALUE,
    Route.CHAT: Reason.MID_VALUE,
    Route.NONE: Reason.LOW_VALUE,
    Route.HOLDOUT: Reason.HOLDOUT,
}


class AgentState(StrEnum):
    """What an agent is doing."""

    IDLE = "idle"
    CONNECTING = "connecting"
    TALKING = "talking"
    WRAP_UP = "wrap_up"
    PAUSED = "paused"


class CallState(StrEnum):
    """Where a call is, from the originate on."""

    ORIGINATING = "originating"
    ANSWERED = "answered"
    CONNECTED = "connected"


class DialerMetrics(ProcessMetrics):
    """Metrics of ``ringback dialer``."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__(registry)
        self.originated = Counter("ringback_calls_originated_total", "Calls started.", registry=self.registry)
        self.calls = self._counter("calls", "Calls ended, by outcome.", outcome=Outcome)
        self.calls_now = self._gauge("calls_in_progress", "Calls at this moment, by state.", "state")
        self.agents = self._gauge("agents", "Agents at this moment, by state.", "state")
        for call_state in CallState:
            self.calls_now.labels(call_state.value)
        for agent_state in AgentState:
            self.agents.labels(agent_state.value)
        self.decision_to_originate = self._histogram(
            "decision_to_originate_seconds", "From a decision to the originate of its call.", WAITING_SECONDS
        )
        self.ring_time = self._histogram(
            "ring_seconds", "From originate to the end of ringing, answered or not.", TALK_SECONDS
        )
        self.answer_to_agent = self._histogram(
            "answer_to_agent_seconds", "From answer to an agent's ear.", ANSWER_SECONDS
        )
        self.talk_time = self._histogram("talk_seconds", "Time that agent and shopper talked.", TALK_SECONDS)
        self.agent_busy = Counter(
            "ringback_agent_busy_seconds_total",
            "Agent time spent connecting, talking or wrapping up.",
            registry=self.registry,
        )
        self.agent_staffed = Counter(
            "ringback_agent_staffed_seconds_total", "Agent time logged in and not paused.", registry=self.registry
        )
        self.abandoned_ratio = self._gauge(
            "abandoned_call_ratio", "Abandoned calls among live answers, over the campaign so far."
        )
        self.dispositions = self._counter("dispositions", "What agents reported.", disposition=Disposition)
        self.blocked = Counter(
            "ringback_contacts_blocked_total",
            "Leads not called, by the rule that forbade it.",
            ("rule",),
            registry=self.registry,
        )
        self.hopper = self._gauge("hopper_leads", "Leads that wait in the hopper.")
        self.ami_connected = self._gauge("ami_connected", "1 while logged in to Asterisk.")
        self.ami_action = self._histogram(
            "ami_action_duration_seconds", "Time from an AMI action to its answer.", FAST_SECONDS, "action"
        )
        self.reconciled = Counter(
            "ringback_calls_reconciled_total",
            "Calls found again or written off after a lost link or a restart.",
            ("result",),
            registry=self.registry,
        )
        for result in ("adopted", "unknown"):
            self.reconciled.labels(result)
        self.leader = self._gauge("dialer_leader", "1 while this dialer holds its campaign.")


class OutreachMetrics(ProcessMetrics):
    """Metrics of ``ringback outreach``."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__(registry)
        self.messages = Counter(
            "ringback_messages_total",
            "Messages, by channel and outcome.",
            ("channel", "outcome"),
            registry=self.registry,
        )
        for channel in (Channel.SMS, Channel.CHAT):
            for outcome in ("sent", "refused", "failed"):
                self.messages.labels(channel.value, outcome)

"""Every metric of Ringback, by the process that owns it. docs/metrics.md is made from this module.

Names end in their base unit: seconds, bytes, ratios from 0 to 1; money is in whole units of its ``currency``. Labels
are bounded and never name a person, a cart or a number; who is called is not here. What is counted by a worker of
several is to be summed over them.
"""

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector

from ringback import __version__
from ringback import metric_buckets as edges
from ringback.decisions import Reason, Route
from ringback.errors import Misfit
from ringback.metric_family import Family
from ringback.metric_labels import (
    USUAL_DECISIONS,
    AbandonmentWindow,
    AgentState,
    Arm,
    CallState,
    HopperBand,
    IngestedAs,
    IngestOutcome,
    MessageChannel,
    MessageOutcome,
    ModelRole,
    NeverEvent,
    OptOutThrough,
    Rating,
    Reconciled,
    RecordTopic,
    ScoreOf,
    Server,
    WonBy,
)
from ringback.records import Channel, DeadLetterReason, Disposition, EventKind, Outcome

__all__ = [
    "PROCESSES",
    "AgentState",
    "CallState",
    "DialerMetrics",
    "IngestMetrics",
    "IngestOutcome",
    "IngestedAs",
    "ModelRole",
    "NeverEvent",
    "OutreachMetrics",
    "ProcessMetrics",
    "StreamMetrics",
    "WorldMetrics",
]

CURRENCIES = "ISO 4217 codes of the currencies that carts are valued in"
PLATFORMS = "platforms of the shops that are set up"
FEATURES = "the features of `scoring.features`"


class ProcessMetrics(Family):
    """What every process has: the interpreter's own metrics, its event loop's, and the never events."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__(registry)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.build_info = self._gauge("build_info", "1, with the version that runs.", version="the version of Ringback")
        self.build_info.labels(__version__).set(1)
        self.never_events = self._counter(
            "never_events", "Times that something happened that must never happen.", event=NeverEvent
        )
        self.loop_lag = self._histogram(
            "event_loop_lag_seconds", "How much later than asked for a task of the event loop ran.", edges.FAST_SECONDS
        )

    def _contact_metrics(self) -> None:
        self.blocked = self._counter(
            "contacts_blocked",
            "Contacts that a rule forbade, at the last moment before they would have been made.",
            channel=Channel,
            rule="the rules of `dialer.compliance`, the refusals of `dialer.hopper` and of `outreach`",
        )
        self.spend = self._counter(
            "spend",
            "What calls and messages cost, in whole units of the currency, at the prices in `decide.cost`.",
            channel=Channel,
            currency=CURRENCIES,
        )


class IngestMetrics(ProcessMetrics):
    """Metrics of ``ringback ingest``."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__(registry)
        self.requests = self._counter(
            "ingest_requests", "Requests answered, by what became of them.", source=PLATFORMS, outcome=IngestOutcome
        )
        self.duration = self._histogram(
            "ingest_request_duration_seconds", "Time to answer a request.", edges.FAST_SECONDS, source=PLATFORMS
        )
        self.events = self._counter(
            "ingest_events", "Events of authentic requests, by what became of them.", result=IngestedAs
        )
        self.event_age = self._histogram(
            "ingest_event_age_seconds",
            "From when an event happened in the shop to its arrival; replays are left out.",
            edges.AGE_SECONDS,
            source=PLATFORMS,
        )
        self.dead_letters = self._counter(
            "ingest_dead_letters", "Events that could not be used, by reason.", reason=DeadLetterReason
        )
        self.bugs = self._counter("ingest_bugs", "Unexpected errors of Ringback's own code.")
        self.spooled = self._counter("ingest_spooled_requests", "Requests that were kept on disk at first.")
        self.spool_records = self._gauge("ingest_spool_requests", "Requests that wait on disk now.")
        self.spool_bytes = self._gauge("ingest_spool_bytes", "Size of what waits on disk now.")

    def expect(self, source: str) -> None:
        """Show the requests of a platform from now on, though none has come."""
        for outcome in IngestOutcome:
            self.requests.labels(source, outcome.value)
        self.duration.labels(source)
        self.event_age.labels(source)


class StreamMetrics(ProcessMetrics):
    """Metrics of ``ringback stream``."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__(registry)
        self._following_metrics()
        self._decision_metrics()
        self._business_metrics()
        self._model_metrics()

    def _following_metrics(self) -> None:
        self.events = self._counter("stream_events", "Cart events taken into the state, by kind.", kind=EventKind)
        self.repeated = self._counter("stream_repeated_events", "Events seen before and therefore skipped.")
        self.dead_letters = self._counter(
            "stream_dead_letters", "Events that could not be used, by reason.", reason=DeadLetterReason
        )
        self.processing = self._tallies(
            "stream_processing_seconds",
            "Time to take one record and score its carts.",
            edges.FAST_SECONDS,
            ("topic", RecordTopic),
        )
        self.flush = self._histogram(
            "stream_flush_seconds",
            "Time to publish what records asked for and, when it is due, to write states.",
            edges.FAST_SECONDS,
        )
        self.commit = self._histogram("stream_commit_seconds", "Time to commit offsets to Kafka.", edges.FAST_SECONDS)
        self.event_to_score = self._tally(
            "event_to_score_seconds", "From an event's arrival at Ringback to its cart's new score.", edges.FAST_SECONDS
        )
        self.lag = self._gauge(
            "stream_lag_records",
            "Records that wait to be taken, of the partitions that this worker owns.",
            topic=RecordTopic,
            partition="numbers of partitions: `kafka.partitions`",
        )
        self.shoppers = self._gauge("stream_shoppers", "Shoppers whose state this worker holds.")
        self.partitions = self._gauge("stream_partitions", "Partitions that this worker owns.")
        self.rebalances = self._counter("stream_rebalances", "Times that the partitions were dealt anew.")
        self.rebalance_time = self._histogram(
            "stream_rebalance_seconds",
            "From a new deal's begin until the worker has its partitions.",
            edges.WAITING_SECONDS,
        )
        self.recovering = self._gauge("stream_recovering", "1 while states are being loaded and nothing is followed.")
        self.recovery = self._gauge(
            "stream_recovery_seconds",
            "How long the loading of states has taken: so far while it lasts, in all when it is over.",
        )
        self.states_read = self._counter(
            "stream_states_read", "States read back from the changelog after the partitions were dealt."
        )
        self.hopper_up = self._gauge("stream_hopper_up", "1 while the hopper can be reached.")

    def _decision_metrics(self) -> None:
        self.carts_active = self._gauge("carts_active", "Open carts that are not due yet.")
        self.carts_abandoned = self._counter("carts_abandoned", "Carts that became due.")
        self.decisions = self._counter(
            "decisions",
            "Decisions on due carts.",
            USUAL_DECISIONS,
            route=Route,
            reason=Reason,
            arm="treated, holdout, ineligible",
        )
        self.due_to_decision = self._histogram(
            "due_to_decision_seconds", "From the moment a cart is due to its published decision.", edges.FAST_SECONDS
        )
        self.scoring = self._tally("scoring_duration_seconds", "Time to score one cart.", edges.SCORING_SECONDS)
        self.scores = self._tallies(
            "score_ratio", "Scores of due carts: the probability of a purchase.", edges.SCORES, ("model", ScoreOf)
        )
        self.leads_refused = self._counter(
            "leads_refused", "Leads that the hopper did not take, by reason.", reason="`dialer.hopper.Offer`"
        )
        self.agent_time_price = self._gauge(
            "agent_time_price",
            "What a second of an agent's time must bring now, in units of the common currency of `decide.exchange`; "
            "NaN while fixed thresholds hold.",
        )

    def _business_metrics(self) -> None:
        self.eligible = self._counter("eligible", "Due carts that might be contacted, by arm.", arm=Arm)
        self.ordered = self._counter(
            "eligible_orders", "Orders within the attribution window after such a cart was due, by arm.", arm=Arm
        )
        self.contacts = self._counter(
            "contacts", "Contacts that reached a shopper: calls with an agent, messages sent.", channel=Channel
        )
        self.conversions = self._counter(
            "conversions", "Orders won by a contact.", channel=Channel, currency=CURRENCIES
        )
        self.revenue = self._counter(
            "revenue_recovered",
            "Value of the orders won by a contact, in whole units of the currency; before returns.",
            channel=Channel,
            currency=CURRENCIES,
        )
        self.returned = self._counter(
            "revenue_returned",
            "What was given back of orders won by a contact, in whole units of the currency.",
            channel=Channel,
            currency=CURRENCIES,
        )
        self.ratings = self._counter(
            "order_ratings", "What shoppers said of their orders, by what won the order.", channel=WonBy, rating=Rating
        )
        self.opt_outs = self._counter(
            "opt_outs", "Times that a shopper asked not to be contacted any more.", through=OptOutThrough
        )
        told = "of this worker's shoppers since it started; NaN while an arm has fewer than 30 carts."
        self.lift = self._gauge("lift_ratio", f"Share of buyers among the treated less that of the holdout, {told}")
        self.lift_low = self._gauge("lift_low_ratio", f"Lower end of the lift's 95 % interval, {told}")
        self.lift_high = self._gauge("lift_high_ratio", f"Upper end of the lift's 95 % interval, {told}")

    def _model_metrics(self) -> None:
        self.model_info = self._gauge(
            "stream_model_info", "1 for each model in use.", role=ModelRole, version="versions in use: one a role"
        )
        self.model_refused = self._counter(
            "stream_model_refused", "Models that were put in place and not taken, by what is wrong.", reason=Misfit
        )
        self.model_failures = self._counter(
            "stream_model_failures", "Models that failed while they served, and were set aside.", role=ModelRole
        )
        self.drift_rows = self._gauge("stream_drift_rows", "Decisions in the window that drift is measured on.")
        self.feature_psi = self._gauge(
            "stream_feature_stability_index",
            "Population stability index against training; NaN under 1,000 decisions.",
            feature=FEATURES,
        )
        self.feature_missing = self._gauge(
            "stream_feature_missing_ratio", "Share of decisions without a value.", feature=FEATURES
        )
        self.feature_unseen = self._gauge(
            "stream_feature_unseen_ratio", "Share of decisions with a value that training never had.", feature=FEATURES
        )
        self.score_psi = self._gauge("stream_score_stability_index", "The same index of the champion's scores.")
        self.matured_rows = self._gauge("stream_matured_rows", "The holdout's decisions whose outcome is known.")
        self.matured_log_loss = self._gauge(
            "stream_matured_log_loss_nats",
            "Log-loss on them, of the champion and of the shadow; NaN under 1,000 decisions.",
            model=ScoreOf,
        )

    def expect(self, currency: str) -> None:
        """Show the money of a currency from now on, though none has been won."""
        for channel in Channel:
            for metric in (self.conversions, self.revenue, self.returned):
                metric.labels(channel.value, currency)


class DialerMetrics(ProcessMetrics):
    """Metrics of ``ringback dialer``."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__(registry)
        self._contact_metrics()
        self._call_metrics()
        self._floor_metrics()
        self._link_metrics()

    def _call_metrics(self) -> None:
        self.originated = self._counter("calls_originated", "Calls started.")
        self.calls = self._counter("calls", "Calls ended, by outcome.", outcome=Outcome)
        self.calls_now = self._gauge("calls_in_progress", "Calls at this moment, by state.", state=CallState)
        self.decision_to_originate = self._histogram(
            "decision_to_originate_seconds", "From a decision to the originate of its call.", edges.WAITING_SECONDS
        )
        self.first_dial = self._histogram(
            "time_to_first_dial_seconds",
            "From when a lead might be called (decided, and within the calling hours) to its first originate.",
            edges.WAITING_SECONDS,
        )
        self.originate = self._histogram(
            "originate_seconds", "From a lead's reservation to Asterisk's answer to its originate.", edges.FAST_SECONDS
        )
        self.ring_time = self._histogram(
            "ring_seconds", "From originate to the end of ringing, answered or not.", edges.TALK_SECONDS
        )
        self.answer_to_agent = self._histogram(
            "answer_to_agent_seconds", "From answer to an agent's ear.", edges.ANSWER_SECONDS
        )
        self.talk_time = self._histogram("talk_seconds", "Time that agent and shopper talked.", edges.TALK_SECONDS)
        self.dispositions = self._counter("dispositions", "What agents reported.", disposition=Disposition)
        self.abandoned_ratio = self._gauge(
            "abandoned_call_ratio", "Abandoned calls among live answers.", window=AbandonmentWindow
        )
        self.abandoned_limit = self._gauge(
            "abandoned_call_limit_ratio", "What that ratio may be at most.", window=AbandonmentWindow
        )

    def _floor_metrics(self) -> None:
        self.agents = self._gauge("agents", "Agents at this moment, by state.", state=AgentState)
        self.agent_seconds = self._counter(
            "agent_seconds",
            "Agents' time by state. Occupancy is connecting, talking and wrap-up of all that is not paused.",
            state=AgentState,
        )
        self.wrap_up_time = self._histogram("wrap_up_seconds", "Time of agents after a call.", edges.TALK_SECONDS)
        self.pacing = self._gauge(
            "pacing_calls_per_agent", "The pacing ratio: calls for each agent who is not paused; 0 without agents."
        )
        self.lines = self._gauge("lines_in_use", "Calls that take a line now.")
        self.lines_limit = self._gauge("lines_limit", "Calls at once, at most: `dialer.lines`.")
        self.hopper = self._gauge(
            "hopper_leads",
            "Leads that wait: to be called now, by what their call is worth; or later, within calling hours.",
            band=HopperBand,
        )
        self.spend_of_cap = self._gauge("spend_cap_ratio", "How much of the spend cap is used up; 0 without one.")
        self.list_remaining = self._gauge(
            "national_list_remaining_seconds",
            "How long a country's do-not-call list may still be called by. 0: nobody there is; NaN: not known yet.",
            country="those of `compliance.destinations` whose law says how old their list may be",
        )

    def _link_metrics(self) -> None:
        self.info = self._gauge(
            "dialer_info", "1, with what this dialer dials.", campaign="`dialer.campaign`", mode="`dialer.mode`"
        )
        self.leader = self._gauge("dialer_leader", "1 while this dialer holds its campaign.")
        self.ami_connected = self._gauge("ami_connected", "1 while logged in to every Asterisk server.")
        self.ami_action = self._histogram(
            "ami_action_duration_seconds",
            "Time from an AMI action to its answer.",
            edges.FAST_SECONDS,
            action="the actions of `dialer.actions`",
        )
        self.reconciled = self._counter(
            "calls_reconciled", "Calls found again or written off after a lost link or a restart.", result=Reconciled
        )


class OutreachMetrics(ProcessMetrics):
    """Metrics of ``ringback outreach``."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__(registry)
        self._contact_metrics()
        self.messages = self._counter(
            "messages", "Messages, by what became of them.", channel=MessageChannel, outcome=MessageOutcome
        )
        self.send_time = self._histogram(
            "message_send_seconds", "Time of one attempt to send a message.", edges.FAST_SECONDS, channel=MessageChannel
        )
        self.waiting = self._gauge("outbox_messages", "Messages that were read and wait to be sent.")
        self.up = self._gauge("outreach_up", "1 while a server that outreach needs can be reached.", server=Server)


class WorldMetrics(ProcessMetrics):
    """Metrics of the simulated world of ``ringback demo``, counted by itself."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        super().__init__(registry)
        self.published = self._counter("simulation_events", "Cart events that the shop published.", kind=EventKind)
        self.calls = self._counter(
            "simulation_calls", "Calls that reached the network, by fate.", ending="`simulation.fates.Ending`"
        )
        self.messages = self._counter("simulation_messages", "Messages taken from outreach.")
        self.nameless = self._counter(
            "simulation_nameless_contacts", "Contacts that no event on the contacts topic named in time."
        )


PROCESSES: dict[str, type[ProcessMetrics]] = {
    "ingest": IngestMetrics,
    "stream": StreamMetrics,
    "dialer": DialerMetrics,
    "outreach": OutreachMetrics,
    "demo": WorldMetrics,
}

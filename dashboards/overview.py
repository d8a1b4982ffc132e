"""One screen: are we healthy, what did we win back, did anything happen that must never happen."""

from dashboards.board import Board, Row
from dashboards.objectives import AT_LIMIT, IDLE_FLOOR, LAG_RECORDS, NEAR_LIMIT
from dashboards.panels import BLUE, GREEN, GREY, RED, YELLOW, About, Query, bars, chart, number
from dashboards.series import AGENT_COLOURS, OUTCOME_COLOURS, of_campaign, quantiles

HEALTH = Row(
    title="Are we healthy?",
    panels=[
        number(
            About(
                title="Is every process up?",
                description="Whether Prometheus reaches every process of Ringback. The alert is RingbackProcessDown.",
                unit="bool",
                width=4,
                height=4,
            ),
            Query(expr="min(up{@})"),
            sparkline=False,
            words={"0": ("one is down", RED), "1": ("all up", GREEN)},
        ),
        number(
            About(
                title="Did a never event happen?",
                description="Forbidden contacts, two calls to one person at once, lost carts, abandoned calls over "
                "the limit and "
                "leaked personal data, in the time shown. One is too many.",
                unit="none",
                decimals=0,
                limits=[(0.5, RED)],
                width=4,
                height=4,
            ),
            Query(expr="sum(ceil(increase(ringback_never_events_total{@}[$__range])))"),
            sparkline=False,
        ),
        number(
            About(
                title="Alerts that fire",
                description="Alerts of Ringback that fire now; docs/runbooks/ has a page for each.",
                unit="none",
                decimals=0,
                limits=[(1, RED)],
                width=4,
                height=4,
            ),
            Query(expr='count(ALERTS{alertname=~"Ringback.+", alertstate="firing"}) or vector(0)'),
            sparkline=False,
        ),
        bars(
            About(
                title="Error budgets left",
                description="What is left of 30 days' budget of each objective: 100 % when nothing failed, 0 % when "
                "as much "
                "failed as may, less when more did.",
                unit="percentunit",
                base=RED,
                limits=[(0, YELLOW), (0.25, GREEN)],
                minimum=0,
                maximum=1,
                width=12,
                height=4,
            ),
            Query(expr="slo:error_budget:remaining_ratio", legend="{{slo}}"),
        ),
    ],
)
WON = Row(
    title="What did we win back, in the time shown?",
    panels=[
        number(
            About(
                title="Recovered revenue",
                description="Value of orders that a contact won, before returns, in whole units of each currency. "
                "Attributed, not "
                "incremental: the lift says what would have been bought anyway.",
                unit="locale",
                decimals=0,
                base=BLUE,
                width=8,
                height=4,
            ),
            Query(
                expr="sum by (currency) (increase(ringback_revenue_recovered_total{@}[$__range]))",
                legend="{{currency}}",
            ),
        ),
        number(
            About(
                title="Orders won",
                description="Orders within the attribution window of a contact.",
                unit="short",
                decimals=0,
                base=BLUE,
                width=4,
                height=4,
            ),
            Query(expr="sum(increase(ringback_conversions_total{@}[$__range]))"),
        ),
        number(
            About(
                title="Contacts",
                description="Calls that an agent took part in, and messages sent.",
                unit="short",
                decimals=0,
                base=BLUE,
                width=4,
                height=4,
            ),
            Query(expr="sum(increase(ringback_contacts_total{@}[$__range]))"),
        ),
        number(
            About(
                title="Occupancy",
                description="Share of their time that agents who are not paused spend connecting, talking and "
                "wrapping up.",
                unit="percentunit",
                base=YELLOW,
                limits=[(IDLE_FLOOR, GREEN)],
                maximum=1,
                width=4,
                height=4,
            ),
            Query(
                expr=of_campaign("avg(job_instance:ringback_occupancy:ratio_rate5m{@} and on (instance) {campaign})")
            ),
        ),
        number(
            About(
                title="Lift over the holdout",
                description="Share of buyers among the treated less that among the holdout, over seven days. The "
                "dashboard "
                "Recovery has its interval.",
                unit="percentunit",
                decimals=1,
                base=RED,
                limits=[(0, GREEN)],
                minimum=None,
                width=4,
                height=4,
            ),
            Query(expr="ringback:lift:ratio_increase7d"),
        ),
    ],
)
FLOW = Row(
    title="Does work flow?",
    panels=[
        chart(
            About(
                title="Events and decisions",
                description="Cart events that the stream took, and decisions on carts that became due.",
                unit="cps",
                height=7,
            ),
            Query(expr="sum(rate(ringback_stream_events_total{@}[$__rate_interval]))", legend="events"),
            Query(expr="sum(rate(ringback_decisions_total{@}[$__rate_interval]))", legend="decisions"),
        ),
        chart(
            About(
                title="How soon is a due cart decided?",
                description="From the moment a cart is due to its published decision. Objective: 99 % within 5 s.",
                unit="s",
                limits=[(5, RED)],
                height=7,
            ),
            *quantiles("ringback_due_to_decision_seconds", "p50", "p99"),
        ),
        chart(
            About(
                title="Does the stream keep up?",
                description="Records that wait to be taken. The alert is RingbackConsumerLagGrowing.",
                unit="short",
                limits=[(LAG_RECORDS, RED)],
                height=7,
            ),
            Query(expr="sum by (topic) (ringback_stream_lag_records{@})", legend="{{topic}}"),
        ),
        chart(
            About(
                title="How do calls end?",
                description="Calls a minute that ended, by outcome.",
                unit="cpm",
                height=7,
            ),
            Query(
                expr=of_campaign(
                    "60 * sum by (outcome) (rate(ringback_calls_total{@}[$__rate_interval]) and on (instance) "
                    "{campaign})"
                ),
                legend="{{outcome}}",
            ),
            stacked=True,
            colours=OUTCOME_COLOURS,
        ),
        chart(
            About(
                title="How near is the limit on abandoned calls?",
                description="Share of the limit that abandoned calls take up, today and over 30 days. 100 % is the "
                "limit; the "
                "alert RingbackAbandonedCallsNearLimit warns at 80 % and pages at 95 %.",
                unit="percentunit",
                limits=[(NEAR_LIMIT, YELLOW), (AT_LIMIT, RED)],
                height=7,
            ),
            Query(
                expr=of_campaign(
                    "max by (window) ((ringback_abandoned_call_ratio{@} / ringback_abandoned_call_limit_ratio{@}) "
                    "and on (instance) {campaign})"
                ),
                legend="{{window}}",
            ),
            colours={"today": BLUE, "30_days": GREY},
        ),
        chart(
            About(
                title="What are the agents doing?",
                description="Agents by state.",
                unit="short",
                height=7,
            ),
            Query(
                expr=of_campaign("sum by (state) (ringback_agents{@} and on (instance) {campaign})"), legend="{{state}}"
            ),
            stacked=True,
            colours=AGENT_COLOURS,
        ),
    ],
)
BOARD = Board(
    uid="ringback-overview",
    title="Ringback / Overview",
    description="One screen: are we healthy, what did we win back, did anything happen that must never happen?",
    rows=[HEALTH, WON, FLOW],
)

"""The dialer and the call floor: are agents busy, is the law kept, does the telephone network answer."""

from dashboards.board import Board, Row
from dashboards.objectives import ANSWER_TO_AGENT_SECONDS, AT_LIMIT, BUSY_FLOOR, IDLE_FLOOR, LIST_DAYS, NEAR_LIMIT
from dashboards.panels import BLUE, GREEN, GREY, RED, YELLOW, About, Query, bars, chart, heat, number
from dashboards.series import AGENT_COLOURS, OUTCOME_COLOURS, quantiles, share_within

NOW = Row(
    title="The floor now",
    panels=[
        number(
            About(
                title="Is Asterisk connected?",
                description="Whether every dialer is logged in to Asterisk. The alert is RingbackAmiDown.",
                unit="bool",
                width=4,
                height=4,
            ),
            Query(expr="min(ringback_ami_connected{@})"),
            sparkline=False,
            words={"0": ("cut off", RED), "1": ("connected", GREEN)},
        ),
        number(
            About(
                title="Occupancy",
                description="Share of their time that agents who are not paused spend connecting, talking and "
                "wrapping up: "
                "under 70 % they are paid to wait, over 90 % they tire.",
                unit="percentunit",
                base=YELLOW,
                limits=[(IDLE_FLOOR, GREEN), (BUSY_FLOOR, YELLOW)],
                maximum=1,
                width=4,
                height=4,
            ),
            Query(expr="avg(job_instance:ringback_occupancy:ratio_rate5m{@})"),
        ),
        number(
            About(
                title="Used of the abandoned-call limit",
                description="The worse of today's and the last 30 days' share of the limit on abandoned calls; 100 % "
                "is the "
                "limit.",
                unit="percentunit",
                limits=[(NEAR_LIMIT, YELLOW), (AT_LIMIT, RED)],
                decimals=0,
                width=4,
                height=4,
            ),
            Query(expr="max(ringback_abandoned_call_ratio{@} / ringback_abandoned_call_limit_ratio{@})"),
        ),
        number(
            About(
                title="Agents ready",
                description="Agents who wait for a call now.",
                unit="none",
                base=BLUE,
                width=4,
                height=4,
            ),
            Query(expr='sum(ringback_agents{@, state="idle"})'),
        ),
        number(
            About(
                title="Leads to call now",
                description="Leads in the hopper that may be called now.",
                unit="none",
                base=YELLOW,
                limits=[(1, GREEN)],
                width=4,
                height=4,
            ),
            Query(expr='sum(ringback_hopper_leads{@, band!="later"})'),
        ),
        number(
            About(
                title="Used of the spend cap",
                description="How much of the campaign's spend cap is used up; 0 without a cap. The alert "
                "RingbackSpendCapNear "
                "comes at 80 %.",
                unit="percentunit",
                limits=[(NEAR_LIMIT, YELLOW), (AT_LIMIT, RED)],
                decimals=0,
                width=4,
                height=4,
            ),
            Query(expr="max(ringback_spend_cap_ratio{@})"),
        ),
    ],
)
AGENTS = Row(
    title="Agents",
    panels=[
        chart(
            About(title="What are the agents doing?", description="Agents by state.", unit="short"),
            Query(expr="sum by (state) (ringback_agents{@})", legend="{{state}}"),
            stacked=True,
            colours=AGENT_COLOURS,
        ),
        chart(
            About(
                title="How busy are they?",
                description="Occupancy: connecting, talking and wrapping up, of all time that is not paused.",
                unit="percentunit",
                limits=[(BUSY_FLOOR, YELLOW)],
                maximum=1,
            ),
            Query(expr="job_instance:ringback_occupancy:ratio_rate5m{@}", legend="{{instance}}"),
        ),
        chart(
            About(
                title="How long do talk and wrap-up take?",
                description="Median and 90th percentile of conversations and of the work after them.",
                unit="s",
            ),
            *(
                Query(expr=query.expr, legend=f"{name} {query.legend}")
                for name, histogram in (("talk", "ringback_talk_seconds"), ("wrap-up", "ringback_wrap_up_seconds"))
                for query in quantiles(histogram, "p50", "p90")
            ),
        ),
    ],
)
ABANDONED = Row(
    title="Abandoned calls: people who answered and found nobody",
    panels=[
        chart(
            About(
                title="Abandoned-call ratio against its limit",
                description="Abandoned calls among live answers, and what that may be at most. The dialer slows down "
                "before the "
                "limit and stops at it.",
                unit="percentunit",
                decimals=1,
            ),
            Query(expr="max by (window) (ringback_abandoned_call_ratio{@})", legend="{{window}}"),
            Query(expr="min by (window) (ringback_abandoned_call_limit_ratio{@})", legend="limit {{window}}"),
            colours={"today": BLUE, "30_days": GREY, "limit today": RED, "limit 30_days": RED},
        ),
        chart(
            About(
                title="How soon does an agent speak?",
                description="From answer to an agent's ear. Who waits longer than 2 s counts as abandoned.",
                unit="s",
                limits=[(ANSWER_TO_AGENT_SECONDS, RED)],
            ),
            *quantiles("ringback_answer_to_agent_seconds", "p50", "p99"),
        ),
        chart(
            About(
                title="Answered within 2 s",
                description="Share of the answered calls that reached an agent in which that took no longer than 2 s.",
                unit="percentunit",
                base=RED,
                limits=[(0.97, GREEN)],
                maximum=1,
            ),
            Query(expr=share_within("ringback_answer_to_agent_seconds", "2.0"), legend="within 2 s"),
        ),
    ],
)
DIALLING = Row(
    title="Dialling",
    panels=[
        chart(
            About(title="How do calls end?", description="Calls a minute that ended, by outcome.", unit="cpm"),
            Query(expr="60 * sum by (outcome) (rate(ringback_calls_total{@}[$__rate_interval]))", legend="{{outcome}}"),
            stacked=True,
            colours=OUTCOME_COLOURS,
        ),
        chart(
            About(
                title="How many calls for each agent?",
                description="The pacing ratio: calls on a line for each agent who is not paused. Progressive dialling "
                "stays below one.",
                unit="none",
            ),
            Query(expr="ringback_pacing_calls_per_agent{@}", legend="{{instance}}"),
        ),
        chart(
            About(
                title="Are there lines enough?",
                description="Calls that take a line, and how many may at once.",
                unit="short",
            ),
            Query(expr="sum(ringback_lines_in_use{@})", legend="in use"),
            Query(expr="sum(ringback_lines_limit{@})", legend="limit"),
            colours={"in use": BLUE, "limit": RED},
        ),
        chart(
            About(
                title="What waits in the hopper?",
                description="Leads by what a call to them is worth now; later: not before their calling hours.",
                unit="short",
            ),
            Query(expr="sum by (band) (ringback_hopper_leads{@})", legend="{{band}}"),
            stacked=True,
            colours={"high": GREEN, "middle": BLUE, "low": YELLOW, "later": GREY},
        ),
        chart(
            About(
                title="How soon is a lead dialled first?",
                description="From when a lead might be called to its first originate. Objective: 95 % within 5 "
                "minutes while agents "
                "are ready and the hours allow.",
                unit="s",
                limits=[(300, RED)],
            ),
            *quantiles("ringback_time_to_first_dial_seconds", "p50", "p95"),
        ),
        heat(
            About(
                title="How long does it ring?",
                description="From originate to the end of ringing, answered or not.",
                unit="s",
            ),
            Query(expr="sum by (le) (increase(ringback_ring_seconds_bucket{@}[$__rate_interval]))", legend="{{le}}"),
        ),
    ],
)
LISTS = Row(
    title="National do-not-call lists",
    panels=[
        bars(
            About(
                title="For how many days may each country be called?",
                description="Days until a country's list is older than its law allows. At 0 nobody there is called "
                "until a new one is loaded. The alert RingbackNationalListEnds comes at 4.",
                unit="none",
                base=RED,
                limits=[(0.01, YELLOW), (LIST_DAYS, GREEN)],
                width=24,
                height=5,
                nothing="No country that is called needs a list here",
            ),
            Query(expr="min by (country) (ringback_national_list_remaining_seconds{@}) / 86400", legend="{{country}}"),
        ),
    ],
)
NETWORK = Row(
    title="Asterisk",
    panels=[
        chart(
            About(
                title="Logged in, and in charge",
                description="1 while a dialer is logged in to Asterisk, and while it holds its campaign.",
                unit="short",
                maximum=1,
            ),
            Query(expr="ringback_ami_connected{@}", legend="logged in {{instance}}"),
            Query(expr="ringback_dialer_leader{@}", legend="in charge {{instance}}"),
            step=True,
        ),
        chart(
            About(
                title="How fast does Asterisk answer?",
                description="99th percentile of the time from an AMI action to its answer, and from a lead's "
                "reservation to the "
                "answer to its originate.",
                unit="s",
                limits=[(1, RED)],
            ),
            *quantiles("ringback_ami_action_duration_seconds", "p99", by="action"),
            *(
                Query(expr=query.expr, legend="reservation to originate p99", exemplars=True)
                for query in quantiles("ringback_originate_seconds", "p99")
            ),
        ),
        chart(
            About(
                title="Calls found again after a lost link",
                description="Calls that were adopted or written off after a lost link or a restart, in the time of "
                "each point.",
                unit="short",
            ),
            Query(
                expr="sum by (result) (increase(ringback_calls_reconciled_total{@}[$__rate_interval]))",
                legend="{{result}}",
            ),
            colours={"adopted": GREEN, "unknown": RED},
        ),
    ],
)
BOARD = Board(
    uid="ringback-floor",
    title="Ringback / Dialer and floor",
    description="Are agents busy, is the law kept, does the telephone network answer?",
    rows=[NOW, AGENTS, ABANDONED, DIALLING, LISTS, NETWORK],
    campaigns=True,
)

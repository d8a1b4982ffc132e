"""What the calls and messages are worth: from an abandoned cart to an order, and against who was left in peace."""

from dashboards.board import Board, Row
from dashboards.panels import BLUE, GREEN, GREY, RED, YELLOW, About, Query, bars, chart, number
from dashboards.series import ARM_COLOURS, CHANNEL_COLOURS

CAVEAT = (
    "Orders come hours after their contact, so that this is a trend and no figure of one day's contacts; "
    "`ringback report` has those."
)


def _per_contact(counted: str) -> str:
    """A counter of what contacts brought, for each contact of the same channel, in the time shown."""
    return (
        f"sum by (channel) (increase({counted}{{@}}[$__range])) "
        "/ (sum by (channel) (increase(ringback_contacts_total{@}[$__range])) > 0)"
    )


WORTH = Row(
    title="What is it worth, in the time shown?",
    panels=[
        number(
            About(
                title="Recovered revenue",
                description="Value of orders that a contact won, before returns, in whole units of each currency.",
                unit="locale",
                decimals=0,
                base=BLUE,
                width=5,
                height=5,
            ),
            Query(
                expr="sum by (currency) (increase(ringback_revenue_recovered_total{@}[$__range]))",
                legend="{{currency}}",
            ),
        ),
        number(
            About(
                title="Average order value",
                description="Recovered revenue by won order, in whole units of each currency.",
                unit="locale",
                decimals=2,
                base=BLUE,
                width=5,
                height=5,
            ),
            Query(
                expr="sum by (currency) (increase(ringback_revenue_recovered_total{@}[$__range])) "
                "/ (sum by (currency) (increase(ringback_conversions_total{@}[$__range])) > 0)",
                legend="{{currency}}",
            ),
        ),
        number(
            About(
                title="Spent",
                description="What calls and messages cost, in whole units of each currency, at the prices in "
                "decide.cost.",
                unit="locale",
                decimals=0,
                base=BLUE,
                width=5,
                height=5,
            ),
            Query(expr="sum by (currency) (increase(ringback_spend_total{@}[$__range]))", legend="{{currency}}"),
        ),
        number(
            About(
                title="Are buyers content?",
                description="Share of ratings of 4 and 5 among those of orders that a contact won (CSAT).",
                unit="percentunit",
                base=RED,
                limits=[(0.6, YELLOW), (0.8, GREEN)],
                decimals=0,
                maximum=1,
                width=4,
                height=5,
            ),
            Query(
                expr='sum(increase(ringback_order_ratings_total{@, rating=~"4|5", channel!="none"}[$__range])) '
                '/ (sum(increase(ringback_order_ratings_total{@, channel!="none"}[$__range])) > 0)'
            ),
        ),
        number(
            About(
                title="Lift over the holdout",
                description="Share of buyers among the treated less that among the holdout, over seven days.",
                unit="percentunit",
                decimals=1,
                base=RED,
                limits=[(0, GREEN)],
                minimum=None,
                width=5,
                height=5,
            ),
            Query(expr="ringback:lift:ratio_increase7d"),
        ),
    ],
)
FUNNEL = Row(
    title="From an abandoned cart to an order",
    panels=[
        bars(
            About(
                title="Funnel",
                description=f"Carts that became due, that might be contacted, contacts made, orders won. {CAVEAT}",
                unit="locale",
                decimals=0,
                base=BLUE,
                width=12,
            ),
            Query(expr="sum(increase(ringback_carts_abandoned_total{@}[$__range]))", legend="abandoned carts"),
            Query(expr="sum(increase(ringback_eligible_total{@}[$__range]))", legend="might be contacted"),
            Query(expr="sum(increase(ringback_contacts_total{@}[$__range]))", legend="contacts"),
            Query(expr="sum(increase(ringback_conversions_total{@}[$__range]))", legend="orders won"),
        ),
        bars(
            About(
                title="Orders won by a hundred contacts",
                description=f"Conversion by channel. {CAVEAT}",
                unit="percentunit",
                decimals=1,
                base=BLUE,
                width=6,
            ),
            Query(expr=_per_contact("ringback_conversions_total"), legend="{{channel}}"),
        ),
        bars(
            About(
                title="Recovered revenue by contact",
                description=f"Whole units of the currencies, added up: read it where there is one currency. {CAVEAT}",
                unit="locale",
                decimals=2,
                base=BLUE,
                width=6,
            ),
            Query(expr=_per_contact("ringback_revenue_recovered_total"), legend="{{channel}}"),
        ),
    ],
)
LIFT = Row(
    title="Would they have bought anyway?",
    panels=[
        chart(
            About(
                title="Lift with its interval",
                description="Share of buyers among the treated less that among the holdout over seven days, with the "
                "95 % interval. "
                "Above 0 with its lower end: contacts win orders.",
                unit="percentunit",
                decimals=1,
                minimum=None,
                width=12,
            ),
            Query(expr="ringback:lift:ratio_increase7d", legend="lift"),
            Query(expr="ringback:lift:ratio_increase7d - ringback:lift:margin_increase7d", legend="lower end"),
            Query(expr="ringback:lift:ratio_increase7d + ringback:lift:margin_increase7d", legend="upper end"),
            colours={"lift": GREEN, "lower end": GREY, "upper end": GREY},
        ),
        chart(
            About(
                title="Share of buyers by arm",
                description="Of the carts that might be contacted, the share that was bought within the attribution "
                "window, over "
                "seven days: treated, and the holdout whom nobody contacts.",
                unit="percentunit",
                decimals=1,
                width=6,
            ),
            Query(expr="arm:ringback_orders:ratio_increase7d", legend="{{arm}}"),
            colours=ARM_COLOURS,
        ),
        chart(
            About(
                title="Carts by arm",
                description="Carts that might be contacted, by arm, over seven days. Without some hundred in each the "
                "interval is wide.",
                unit="short",
                width=6,
            ),
            Query(expr="arm:ringback_eligible:increase7d", legend="{{arm}}"),
            colours=ARM_COLOURS,
        ),
    ],
)
CONTACTS = Row(
    title="Contacts",
    panels=[
        chart(
            About(
                title="Contacts by channel", description="Calls with an agent and messages sent, a minute.", unit="cpm"
            ),
            Query(
                expr="60 * sum by (channel) (rate(ringback_contacts_total{@}[$__rate_interval]))", legend="{{channel}}"
            ),
            stacked=True,
            colours=CHANNEL_COLOURS,
        ),
        chart(
            About(title="What do agents report?", description="Dispositions a minute.", unit="cpm"),
            Query(
                expr="60 * sum by (disposition) (rate(ringback_dispositions_total{@}[$__rate_interval]))",
                legend="{{disposition}}",
            ),
            stacked=True,
            colours={"sale": GREEN, "do_not_call": RED},
        ),
        chart(
            About(
                title="How do buyers rate their orders?",
                description="Share of ratings of 4 and 5, by what won the order; none: bought without a contact.",
                unit="percentunit",
                maximum=1,
            ),
            Query(
                expr='sum by (channel) (increase(ringback_order_ratings_total{@, rating=~"4|5"}[$__range])) '
                "/ (sum by (channel) (increase(ringback_order_ratings_total{@}[$__range])) > 0)",
                legend="{{channel}}",
            ),
            colours={**CHANNEL_COLOURS, "none": GREY},
        ),
        chart(
            About(
                title="Which rules forbid contacts?",
                description="Contacts that a rule forbade at the last moment, by rule, a minute.",
                unit="cpm",
            ),
            Query(
                expr="60 * sum by (rule) (rate(ringback_contacts_blocked_total{@}[$__rate_interval]))",
                legend="{{rule}}",
            ),
        ),
        chart(
            About(
                title="Who asks to be left in peace?",
                description="Opt-outs an hour, by where they came from. More after a change of the script is its "
                "answer.",
                unit="short",
            ),
            Query(
                expr="3600 * sum by (through) (rate(ringback_opt_outs_total{@}[$__rate_interval]))",
                legend="{{through}}",
            ),
        ),
        chart(
            About(
                title="What comes back?",
                description="Share of the recovered revenue that was returned, by channel, in the time shown.",
                unit="percentunit",
            ),
            Query(
                expr="sum by (channel) (increase(ringback_revenue_returned_total{@}[$__range])) "
                "/ (sum by (channel) (increase(ringback_revenue_recovered_total{@}[$__range])) > 0)",
                legend="{{channel}}",
            ),
            colours=CHANNEL_COLOURS,
        ),
    ],
)
BOARD = Board(
    uid="ringback-recovery",
    title="Ringback / Recovery",
    description="What the calls and messages are worth: from an abandoned cart to an order, and against who was left "
    "in peace.",
    rows=[WORTH, FUNNEL, LIFT, CONTACTS],
    since="now-24h",
)

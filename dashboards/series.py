"""Queries and colours that several dashboards share."""

from dashboards.panels import BLUE, GREEN, GREY, PURPLE, RED, SCOPE, YELLOW, Query

ORANGE, CYAN, PINK = "#ff780a", "#3ab7c8", "#e05fa0"
OUTCOME_COLOURS = {
    "connected": GREEN,
    "abandoned": RED,
    "hung_up": ORANGE,
    "no_answer": GREY,
    "busy": YELLOW,
    "declined": PINK,
    "invalid": PURPLE,
    "congestion": CYAN,
}
AGENT_COLOURS = {"talking": GREEN, "connecting": CYAN, "wrap_up": BLUE, "idle": YELLOW, "paused": GREY}
CHANNEL_COLOURS = {"voice": GREEN, "sms": BLUE, "chat": PURPLE}
ARM_COLOURS = {"treated": GREEN, "holdout": GREY}


def of_campaign(expr: str) -> str:
    """A query with ``{campaign}`` written out as the dialers of the chosen campaigns.

    A dialer has one campaign, which only its ``ringback_dialer_info`` names.
    """
    return expr.replace("{campaign}", f'ringback_dialer_info{{{SCOPE}, campaign=~"$campaign"}}')


def quantiles(histogram: str, *names: str, by: str = "", more: str = "") -> list[Query]:
    """Queries of quantiles that are named as p50, of a histogram's last minutes, by a label besides if one is given.

    ``more``: matchers besides the usual ones.
    """
    labels = f"le, {by}" if by else "le"
    matchers = f"{{@, {more}}}" if more else "{@}"
    return [
        Query(
            expr=f"histogram_quantile({float(name[1:]) / 100:g}, "
            f"sum by ({labels}) (rate({histogram}_bucket{matchers}[$__rate_interval])))",
            legend=f"{{{{{by}}}}} {name}" if by else name,
            exemplars=True,
        )
        for name in names
    ]


def share_within(histogram: str, seconds: str) -> str:
    """The share of a histogram's observations up to an edge of it, as Prometheus writes the edge."""
    within = f'sum(rate({histogram}_bucket{{@, le="{seconds}"}}[$__rate_interval]))'
    return f"{within} / sum(rate({histogram}_count{{@}}[$__rate_interval]))"

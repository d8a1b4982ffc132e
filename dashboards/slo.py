"""Recording rules and multi-window multi-burn-rate alerts of the objectives, as the text of ``prometheus/slo.yml``.

Windows and factors are those of Google's Site Reliability Workbook, chapter 5, for a budget of 30 days: a page when
2 % of it burn in an hour or 5 % in six, a ticket when 10 % burn in a day or in three.
"""

from typing import Any

import yaml

from dashboards.objectives import OBJECTIVES, Objective

HEADER = "# Written by `python -m dashboards` from dashboards/objectives.py. Change that, not this.\n"
RECORDED = "slo:sli_error:ratio_rate"
BUDGET = "slo:error_budget:ratio"
RECENT, LONG = ("5m", "30m", "1h", "2h", "6h"), ("1d", "3d", "30d")
# Long windows read a great many samples and change slowly.
SLOWLY = "2m"
# (short window, long window, factor): both must burn, so that an alert ends soon after its cause.
PAGE = (("5m", "1h", 14.4), ("30m", "6h", 6.0))
TICKET = (("2h", "1d", 3.0), ("6h", "3d", 1.0))

Rule = dict[str, Any]


class _Dumper(yaml.SafeDumper):
    """Writes queries of several lines as they are read best."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def to_yaml() -> str:
    """The text of the rules file."""
    groups = [group for objective in OBJECTIVES for group in _groups(objective)]
    return HEADER + yaml.dump({"groups": groups}, Dumper=_Dumper, sort_keys=False, width=400, allow_unicode=True)


def _groups(objective: Objective) -> list[dict[str, Any]]:
    recent = [_error_ratio(objective, window) for window in RECENT]
    budget = {"record": BUDGET, "expr": f"vector({_budget_of(objective)})", "labels": {"slo": objective.slo}}
    longer = [_error_ratio(objective, window) for window in LONG]
    alerts = [_alert(objective, "critical", PAGE), _alert(objective, "warning", TICKET)]
    return [
        {"name": f"slo-{objective.slo}", "rules": [budget, *recent, *alerts]},
        {"name": f"slo-{objective.slo}-long", "interval": SLOWLY, "rules": [*longer, _remaining(objective)]},
    ]


def _error_ratio(objective: Objective, window: str) -> Rule:
    """The share of bad ones; nothing while there are none at all, so that silence is neither good nor bad."""
    bad, total = objective.bad.format(window=window), objective.total.format(window=window)
    return {
        "record": f"{RECORDED}{window}",
        "expr": f"({bad})\n/ ({total} > 0)\n",
        "labels": {"slo": objective.slo},
    }


def _remaining(objective: Objective) -> Rule:
    return {
        "record": "slo:error_budget:remaining_ratio",
        "expr": f'1 - {RECORDED}30d{{slo="{objective.slo}"}} / {_budget_of(objective)}',
        "labels": {"slo": objective.slo},
    }


def _budget_of(objective: Objective) -> str:
    return f"{1 - objective.target:.4g}"


def _alert(objective: Objective, severity: str, windows: tuple[tuple[str, str, float], ...]) -> Rule:
    def burns(window: str, factor: float) -> str:
        return f'{RECORDED}{window}{{slo="{objective.slo}"}} > {factor:g} * {_budget_of(objective)}'

    either = "\nor ".join(f"({burns(short, factor)} and {burns(long, factor)})" for short, long, factor in windows)
    urgency = "so fast that it will be gone within days" if severity == "critical" else "faster than it is given"
    return {
        "alert": objective.alert,
        "expr": either + "\n",
        "labels": {"severity": severity},
        "annotations": {
            "summary": f"The error budget of {objective.slo} burns {urgency}.",
            "description": (
                f"Promised: {objective.promise}. Of late {{{{ $value | humanizePercentage }}}} failed that, "
                f"and {100 * (1 - objective.target):.2g} % may."
            ),
            "runbook_url": f"docs/runbooks/{objective.alert}.md",
        },
    }

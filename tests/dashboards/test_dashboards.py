"""The committed dashboards are those that are generated, and keep the rules of Grafana's dashboard-linter.

The rules are those of https://github.com/grafana/dashboard-linter; dashboards/grafana/.lint holds the exceptions, each
with its reason, in that program's own form.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import queries
from dashboards.__main__ import BOARDS, HERE, generated
from dashboards.objectives import OBJECTIVES
from dashboards.queries import FOLDER, Json, metric_names
from tests.dashboards.test_alerts import rules

COMMITTED = queries.boards()
PANELS = [(uid, panel) for uid, board in COMMITTED.items() for panel in queries.panels(board)]
TARGETS = [(uid, panel["title"], target) for uid, panel in PANELS for target in panel["targets"]]
EXCEPTIONS: dict[str, dict[str, Any]] = yaml.safe_load((FOLDER / ".lint").read_text())["exclusions"]
RATES = re.compile(r"\b(rate|irate|increase|delta|deriv|changes)\(")
COUNTER = re.compile(r"\b(ringback_\w+_total)\b")
SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\s*(\{[^}]*\})?")

register_default_plugins()


def excused(rule: str, board: Json, panel: str) -> bool:
    entries = EXCEPTIONS.get(rule, {}).get("entries", [])
    return any(entry["dashboard"] == board["title"] and entry["panel"] == panel for entry in entries)


@pytest.mark.parametrize("path", sorted(generated()), ids=lambda path: path.name)
def test_what_is_committed_is_what_is_generated(path: Any) -> None:
    assert path.read_text() == generated()[path], "run `python -m dashboards`"


def test_no_dashboard_is_left_over() -> None:
    assert set(COMMITTED) == {board.uid for board in BOARDS}


@pytest.mark.parametrize("uid", COMMITTED)
def test_grafanas_own_schema_knows_every_field(uid: str) -> None:
    board = Dashboard.from_json(COMMITTED[uid])
    # The schema has an empty object where a panel has no options of its own.
    again = json.dumps(board, cls=JSONEncoder, sort_keys=True).replace('"custom": {}, ', "")
    assert json.loads(again) == COMMITTED[uid]


@pytest.mark.parametrize("uid", COMMITTED)
def test_panels_are_numbered_and_lie_side_by_side(uid: str) -> None:
    panels = COMMITTED[uid]["panels"]
    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        where = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(where["x"], where["x"] + where["w"])
            for y in range(where["y"], where["y"] + where["h"])
        }
        assert not cells & taken, panel["title"]
        assert where["x"] + where["w"] <= 24
        taken |= cells


def test_the_overview_fits_on_one_screen() -> None:
    bottom = max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in COMMITTED["ringback-overview"]["panels"])
    # A row of the grid is 38 pixels high, and a screen leaves some 1,000 of its 1,080 to the dashboard.
    assert 38 * bottom <= 1000


@pytest.mark.parametrize(
    ("uid", "panel"), PANELS, ids=lambda value: value if isinstance(value, str) else value["title"]
)
def test_a_panel_says_what_it_shows_and_in_which_unit(uid: str, panel: Json) -> None:
    assert panel["title"][0].isupper()
    assert not panel["title"].endswith(".")
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["targets"]
    assert panel["datasource"]["uid"] == "${datasource}"
    assert [target["refId"] for target in panel["targets"]] == [chr(65 + i) for i in range(len(panel["targets"]))]
    assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])


def test_titles_are_unique_on_a_dashboard() -> None:
    for uid, board in COMMITTED.items():
        titles = [panel["title"] for panel in queries.panels(board)]
        assert len(titles) == len(set(titles)), uid


def test_a_legend_can_be_read() -> None:
    """Where a query gives several series, their legend names the labels that tell them apart."""
    for uid, title, target in TARGETS:
        labels = {
            name.strip()
            for found in re.findall(r"^(?:60 \* |3600 \* )?\w+ by \(([^)]*)\)", target["expr"])
            for name in found.split(",")
        } - {"le"}
        assert labels <= set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])), (uid, title, target["expr"])


@pytest.mark.parametrize("uid", COMMITTED)
def test_dashboards_have_the_same_variables_links_and_annotations(uid: str) -> None:
    board = COMMITTED[uid]
    assert not board["editable"]
    names = [variable["name"] for variable in board["templating"]["list"]]
    assert names == ["datasource", "job", "campaign", "instance"]
    for variable in board["templating"]["list"][1:]:
        assert variable["refresh"] == 2
        assert variable["datasource"]["uid"] == "${datasource}"
        assert variable["multi"]
        assert variable["includeAll"]
    assert [annotation["name"] for annotation in board["annotations"]["list"]] == ["Deploys", "Model promotions"]
    (link,) = board["links"]
    assert link["tags"] == board["tags"] == ["ringback"]
    assert link["includeVars"]
    assert link["keepTime"]


@pytest.mark.parametrize(("uid", "title", "target"), TARGETS, ids=lambda v: v if isinstance(v, str) else v["refId"])
def test_a_query_asks_for_the_chosen_processes(uid: str, title: str, target: Json) -> None:
    for selector in selectors(target["expr"]):
        for rule, matcher in (("target-job-rule", 'job=~"$job"'), ("target-instance-rule", 'instance=~"$instance"')):
            assert matcher in selector or excused(rule, COMMITTED[uid], title), selector


@pytest.mark.parametrize(("uid", "title", "target"), TARGETS, ids=lambda v: v if isinstance(v, str) else v["refId"])
def test_counters_are_asked_for_their_rate_over_an_interval_that_fits(uid: str, title: str, target: Json) -> None:
    expr = target["expr"]
    for found in COUNTER.finditer(expr):
        assert re.search(r"\b(rate|irate|increase)\($", expr[: found.start()]), expr
    for found in RATES.finditer(expr):
        window = re.search(r"\[(.*?)\]", expr[found.end() :])
        assert window is not None
        fits = window[1] == "$__rate_interval"
        assert fits or excused("target-rate-interval-rule", COMMITTED[uid], title), expr


def test_every_exception_is_needed_and_has_a_reason() -> None:
    needed = {
        "target-job-rule": 'job=~"$job"',
        "target-instance-rule": 'instance=~"$instance"',
        "target-rate-interval-rule": "$__rate_interval",
    }
    for rule, exception in EXCEPTIONS.items():
        assert exception["reason"].endswith("."), rule
        without = {
            (COMMITTED[uid]["title"], title) for uid, title, target in TARGETS if needed[rule] not in target["expr"]
        }
        assert {(entry["dashboard"], entry["panel"]) for entry in exception["entries"]} <= without, rule


def test_a_query_names_only_metrics_that_exist(exported: frozenset[str]) -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    for uid, board in COMMITTED.items():
        for asked in queries.asked(board):
            assert not metric_names(asked.expr) - exported - recorded, (uid, asked.panel)
        for variable in queries.label_values(board):
            assert metric_names(variable.selector) <= exported, (uid, variable.name)


def test_limits_come_from_the_objectives() -> None:
    """A histogram has an edge at each of them, or no query could tell whether it is kept."""
    edges = {edge for rule in rules() for edge in re.findall(r'_bucket\{le="([\d.]+)"\}', rule["expr"])}
    assert edges == {"5.0", "0.025", "300.0"}
    assert {objective.slo for objective in OBJECTIVES} == {
        *("ingest-availability", "decision-freshness", "scoring-latency", "first-dial"),
    }


def test_the_names_of_metrics_are_found_in_a_query() -> None:
    query = 'sum by (le) (rate(a_bucket{b="c{d"}[$__rate_interval])) / on (e) group_left (f) g:h:i offset 1m > 1e3'
    assert metric_names(query) == {"a_bucket", "g:h:i"}


def selectors(expr: str) -> Iterator[str]:
    names = metric_names(expr)
    for found in SELECTOR.finditer(expr):
        if found[1] in names:
            yield found[0]


def test_every_board_is_provisioned() -> None:
    provider = yaml.safe_load((HERE.parent / "deploy/grafana/provisioning/dashboards/ringback.yml").read_text())
    compose = yaml.safe_load((HERE.parent / "docker-compose.yml").read_text())
    (one,) = provider["providers"]
    assert f"./dashboards/grafana:{one['options']['path']}:ro" in compose["services"]["grafana"]["volumes"]

"""Every alert fires when it should and is silent when it should be, says what is wrong and has a page of what to do."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.__main__ import HERE
from dashboards.queries import metric_names
from tests.conftest import ROOT
from tests.dashboards.case import Case
from tests.dashboards.cases import CASES
from tests.servers.prometheus import tool

FOLDER = HERE / "prometheus"
RULES = sorted(FOLDER.glob("*.yml"))
Rule = dict[str, Any]


def rules() -> list[Rule]:
    return [rule for path in RULES for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


ALERTS = [rule for rule in rules() if "alert" in rule]
NAMES = sorted({rule["alert"] for rule in ALERTS})


def as_promtool(case: Case) -> dict[str, Any]:
    """The case as a test of promtool; the annotations that are the same whenever the alert fires are the rule's."""
    expected = [
        {
            "exp_labels": {**case.labels, "severity": rule["labels"]["severity"]},
            "exp_annotations": {**rule["annotations"], "description": case.description},
        }
        for rule in ALERTS
        if rule["alert"] == case.alert and rule["labels"]["severity"] in case.severities
    ]
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
        "alert_rule_test": [{"eval_time": f"{case.minute}m", "alertname": case.alert, "exp_alerts": expected}],
    }


@pytest.mark.parametrize("file", ["alerts.yml", "slo.yml"])
def test_alerts_fire_when_they_should_and_at_no_other_time(
    file: str, promtool: tuple[str, ...], tmp_path: Path
) -> None:
    text = (FOLDER / file).read_text()
    tests = [as_promtool(case) for case in CASES if f"alert: {case.alert}\n" in text]
    loaded = [str(FOLDER / "recording.yml"), str(FOLDER / file)]
    written = tmp_path / "tests.yml"
    written.write_text(yaml.safe_dump({"rule_files": loaded, "evaluation_interval": "1m", "tests": tests}, width=400))
    done = tool(promtool, "test", "rules", written)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", NAMES)
def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not(alert: str) -> None:
    fires = {case.description is not None for case in CASES if case.alert == alert}
    assert fires == {True, False}


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: f"{rule['alert']}-{rule['labels']['severity']}")
def test_every_alert_says_what_is_wrong_and_where_its_page_is(rule: Rule) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning"}
    notes = rule["annotations"]
    assert set(notes) == {"summary", "description", "runbook_url"}
    assert notes["summary"].endswith(".")
    assert "{{" not in notes["summary"]
    assert notes["runbook_url"] == f"docs/runbooks/{rule['alert']}.md"


@pytest.mark.parametrize("alert", NAMES)
def test_every_alert_has_a_page_that_says_what_it_means_how_to_confirm_it_and_what_to_do(alert: str) -> None:
    page = (ROOT / "docs" / "runbooks" / f"{alert}.md").read_text()
    assert page.startswith(f"# {alert}\n")
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == ["Meaning", "Confirm", "Do"]


def test_every_page_is_about_an_alert() -> None:
    pages = {path.stem for path in (ROOT / "docs" / "runbooks").glob("*.md")} - {"README"}
    assert pages == set(NAMES)


def test_a_rule_names_only_metrics_that_exist(exported: frozenset[str]) -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    unknown = {name for rule in rules() for name in metric_names(rule["expr"])} - exported - recorded
    assert not unknown


def test_every_recorded_series_is_asked_for_somewhere() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    asked = {name for rule in rules() for name in metric_names(rule["expr"])}
    asked |= {
        name for path in (HERE / "grafana").glob("*.json") for name in re.findall(r"[\w:]+:[\w:]+", path.read_text())
    }
    assert recorded <= asked

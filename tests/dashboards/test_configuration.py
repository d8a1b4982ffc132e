"""Prometheus' and Alertmanager's own tools find no fault with the configuration that is deployed."""

import shutil
from pathlib import Path

from dashboards.__main__ import HERE
from tests.conftest import ROOT
from tests.servers.prometheus import tool

RULES = sorted((HERE / "prometheus").glob("*.yml"))


def test_promtool_finds_no_fault_with_the_rules(promtool: tuple[str, ...]) -> None:
    done = tool(promtool, "check", "rules", "--lint=all", "--lint-fatal", *RULES)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_finds_no_fault_with_the_configuration(promtool: tuple[str, ...], tmp_path: Path) -> None:
    """The files lie as docker-compose.yml mounts them."""
    shutil.copy(ROOT / "deploy" / "prometheus" / "prometheus.yml", tmp_path)
    shutil.copytree(HERE / "prometheus", tmp_path / "rules")
    done = tool(promtool, "check", "config", "--lint=all", "--lint-fatal", tmp_path / "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(RULES)} rule files found" in done.stdout


def test_amtool_finds_no_fault_with_the_configuration(amtool: tuple[str, ...]) -> None:
    done = tool(amtool, "check-config", ROOT / "deploy" / "alertmanager" / "alertmanager.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_critical_alerts_page_and_others_do_not(amtool: tuple[str, ...]) -> None:
    configuration = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
    for severity, receiver in (("critical", "page"), ("warning", "ticket")):
        done = tool(amtool, "config", "routes", "test", f"--config.file={configuration}", f"severity={severity}")
        assert done.stdout.strip() == receiver, done.stderr

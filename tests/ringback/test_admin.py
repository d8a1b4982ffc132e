"""The admin listener: health with its reasons, on loopback unless it is set otherwise."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from urllib.parse import urlsplit

import pytest
from prometheus_client import CollectorRegistry, Gauge

from ringback.admin import USUAL_PORTS, AdminServer
from ringback.errors import SettingsError
from ringback.metrics import PROCESSES, ProcessMetrics
from ringback.settings import AdminSettings, is_loopback
from tests.servers.process import free_port


@pytest.fixture
def holds() -> dict[str, bool]:
    """What is ready."""
    return {"kafka": True, "redis": True}


@pytest.fixture
def admin(holds: dict[str, bool]) -> Iterator[str]:
    checks = {name: partial(holds.__getitem__, name) for name in holds}
    registry = ProcessMetrics().registry
    server = AdminServer(AdminSettings(port=free_port()), "stream", registry, live={}, ready=checks)
    server.start()
    yield server.url
    server.stop()


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - loopback
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read().decode()


def test_it_listens_on_loopback_only(admin: str) -> None:
    assert is_loopback(urlsplit(admin).hostname or "")
    assert is_loopback(AdminSettings().host)


def test_every_process_has_a_port_of_its_own() -> None:
    assert PROCESSES.keys() - USUAL_PORTS.keys() == {"demo"}
    assert len(set(USUAL_PORTS.values())) == len(USUAL_PORTS)


def test_health_says_what_does_not_hold(admin: str, holds: dict[str, bool]) -> None:
    assert get(f"{admin}/readyz") == (200, json.dumps({"ok": True, "checks": {"kafka": True, "redis": True}}))
    holds["redis"] = False
    status, body = get(f"{admin}/readyz")
    assert (status, json.loads(body)) == (503, {"ok": False, "checks": {"kafka": True, "redis": False}})
    assert get(f"{admin}/livez") == (200, json.dumps({"ok": True, "checks": {}}))


def test_there_is_nothing_else(admin: str) -> None:
    assert get(f"{admin}/")[0] == get(f"{admin}/metrics/x")[0] == 404
    assert get(f"{admin}/metrics?x=1")[0] == 200


def test_a_gauge_that_fails_is_said(caplog: pytest.LogCaptureFixture) -> None:
    registry = CollectorRegistry()
    Gauge("ringback_broken", "Never told.", registry=registry).set_function(lambda: 1 / 0)
    server = AdminServer(AdminSettings(port=free_port()), "stream", registry, live={}, ready={})
    server.start()
    try:
        assert get(f"{server.url}/metrics")[0] == 500
        assert get(f"{server.url}/livez")[0] == 200
    finally:
        server.stop()
    assert "ZeroDivisionError" in caplog.text


def test_a_port_that_is_taken_is_said(admin: str) -> None:
    port = urlsplit(admin).port or 0
    with pytest.raises(SettingsError, match="RINGBACK_ADMIN__PORT"):
        AdminServer(AdminSettings(port=port), "stream", ProcessMetrics().registry, live={}, ready={})

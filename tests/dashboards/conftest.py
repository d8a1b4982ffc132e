"""What the tests of dashboards, rules and alerts share."""

import pytest
from prometheus_client import PROCESS_COLLECTOR

from ringback.metrics import PROCESSES
from tests.servers import alertmanager, prometheus
from tests.servers.install import services_required
from tests.servers.process import UnavailableError

SUFFIXES = {"counter": ("",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}
# Prometheus makes these itself.
OWN = frozenset({"up", "ALERTS"})


@pytest.fixture(scope="session")
def promtool() -> tuple[str, ...]:
    try:
        return prometheus.install().promtool
    except UnavailableError as reason:
        return _missing(reason)


@pytest.fixture(scope="session")
def amtool() -> tuple[str, ...]:
    try:
        return alertmanager.install().amtool
    except UnavailableError as reason:
        return _missing(reason)


def _missing(reason: UnavailableError) -> tuple[str, ...]:
    if services_required():
        pytest.fail(str(reason))
    pytest.skip(str(reason))


@pytest.fixture(scope="session")
def exported() -> frozenset[str]:
    """Every series that Ringback's processes, or Prometheus itself, can have."""
    names = {
        definition.name + suffix
        for process in PROCESSES.values()
        for definition in process().definitions
        for suffix in SUFFIXES[definition.kind]
    }
    names |= {sample.name for family in PROCESS_COLLECTOR.collect() for sample in family.samples}
    return frozenset(names) | OWN

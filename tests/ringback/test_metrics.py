"""The metrics as they are defined and as they are shown; docs/metrics.md; and that each of them is set somewhere."""

import ast
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families as plain

from ringback.admin import AdminServer
from ringback.metric_family import Definition, Family, Tallies, Tally
from ringback.metric_labels import RecordTopic
from ringback.metrics import PROCESSES, DialerMetrics, ProcessMetrics, StreamMetrics
from ringback.metrics_doc import Watching, text
from ringback.settings import AdminSettings
from tests.servers import prometheus
from tests.servers.apt import environment_of_unpacked
from tests.servers.install import services_required
from tests.servers.process import UnavailableError, free_port

ROOT = Path(__file__).parents[2]
# Who sets the metrics of a process.
ROOMS = {
    "ingest": ("ingest",),
    "stream": ("stream", "scoring"),
    "dialer": ("dialer",),
    "outreach": ("outreach",),
    "demo": ("simulation",),
}
METRIC = (Counter, Gauge, Histogram, Tally, Tallies)
# Set by the module itself; and what not every process can notice.
ELSEWHERE = {"build_info", "never_events"}
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
# What would be another value for each person, cart or call.
UNBOUNDED = {
    "shopper",
    "person",
    "phone",
    "phone_ref",
    "agent",
    "agent_id",
    "cart",
    "cart_id",
    "lead",
    "call_id",
    "sku",
}
ALL = [pytest.param(definition, id=definition.name) for kind in PROCESSES.values() for definition in kind().definitions]


@pytest.fixture(params=PROCESSES)
def metrics(request: pytest.FixtureRequest) -> ProcessMetrics:
    return PROCESSES[request.param]()


@pytest.fixture
def admin(metrics: ProcessMetrics) -> Iterator[str]:
    server = AdminServer(AdminSettings(port=free_port()), "stream", metrics.registry, live={}, ready={})
    server.start()
    yield server.url
    server.stop()


def openmetrics(body: str) -> list[Metric]:
    return list(openmetrics_parser.text_string_to_metric_families(body))  # type: ignore[no-untyped-call] # it has no types


def scrape(url: str, accept: str = "text/plain") -> tuple[str, str]:
    request = urllib.request.Request(f"{url}/metrics", headers={"Accept": accept})  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - loopback
        return answer.headers["Content-Type"], answer.read().decode()


@pytest.mark.parametrize("definition", ALL)
def test_names_say_what_and_in_which_unit(definition: Definition) -> None:
    assert re.fullmatch(r"ringback(_[a-z0-9]+)+", definition.name)
    assert definition.name.endswith("_total") == (definition.kind == "counter")
    assert definition.meaning.endswith(".")
    assert len(definition.meaning) > 10
    assert not UNBOUNDED & definition.labels.keys()
    if definition.kind == "histogram":
        assert definition.unit in {"seconds", "ratio"}


def test_no_name_is_defined_twice_with_another_meaning() -> None:
    known: dict[str, Definition] = {}
    for kind in PROCESSES.values():
        own = kind().definitions
        assert len({definition.name for definition in own}) == len(own)
        for definition in own:
            assert known.setdefault(definition.name, definition) == definition


def test_what_can_be_known_beforehand_reads_zero(metrics: ProcessMetrics) -> None:
    families = {family.name: family for family in metrics.registry.collect()}
    for definition in metrics.definitions:
        family = families[definition.name.removesuffix("_total")]
        values = definition.labels.values()
        if any(isinstance(one, str) for one in values):
            continue
        shown = {tuple(sample.labels[label] for label in definition.labels) for sample in family.samples}
        assert shown == set(product(*values)), definition.name


def test_there_are_edges_at_the_objectives() -> None:
    assert 2.0 in _edges(DialerMetrics(), "ringback_answer_to_agent_seconds")
    assert {0.001, 0.002, 0.005, 0.01, 0.025} <= _edges(StreamMetrics(), "ringback_scoring_duration_seconds")
    assert 5.0 in _edges(StreamMetrics(), "ringback_due_to_decision_seconds")


def _edges(metrics: ProcessMetrics, name: str) -> set[float]:
    (family,) = (family for family in metrics.registry.collect() if family.name == name)
    return {float(sample.labels["le"]) for sample in family.samples if "le" in sample.labels}


def test_a_tally_is_shown_as_a_histogram_is() -> None:
    edges, values = (0.001, 0.01, 2.0), (0.0005, 0.001, 0.0011, 2.0, 2.1, 99.0)
    registry = CollectorRegistry()
    histogram = Histogram("ringback_x_seconds", "What.", buckets=edges, registry=registry)
    tallied = Family()
    tally = tallied._tally("x_seconds", "What.", edges)
    for value in values:
        histogram.observe(value)
        tally.observe(value)
    assert generate_latest(tallied.registry) == generate_latest(registry)


def test_tallies_have_labels() -> None:
    metrics = StreamMetrics()
    metrics.processing.labels(RecordTopic.CONTACTS).observe(0.3)
    for topic, count in ((RecordTopic.CONTACTS, 1.0), (RecordTopic.CART_EVENTS, 0.0)):
        found = metrics.registry.get_sample_value("ringback_stream_processing_seconds_count", {"topic": topic.value})
        assert found == count


def test_both_formats_are_served_and_can_be_read(admin: str, metrics: ProcessMetrics) -> None:
    kind, body = scrape(admin)
    assert kind.startswith("text/plain")
    names = {family.name for family in plain(body)}
    kind, body = scrape(admin, OPENMETRICS)
    assert kind.startswith("application/openmetrics-text")
    assert names == {family.name for family in openmetrics(body)}
    assert {one.name.removesuffix("_total") for one in metrics.definitions} <= names
    assert "_created" not in body


def test_a_slow_decision_can_be_found_by_its_exemplar() -> None:
    metrics = StreamMetrics()
    metrics.due_to_decision.observe(7.0, {"decision_id": "0123456789abcdef0123456789abcdef"})
    server = AdminServer(AdminSettings(port=free_port()), "stream", metrics.registry, live={}, ready={})
    server.start()
    try:
        found = [
            sample.exemplar.labels
            for family in openmetrics(scrape(server.url, OPENMETRICS)[1])
            for sample in family.samples
            if sample.exemplar
        ]
        assert found == [{"decision_id": "0123456789abcdef0123456789abcdef"}]
        assert "decision_id" not in scrape(server.url)[1]
    finally:
        server.stop()


def test_promtool_finds_no_fault(admin: str) -> None:
    try:
        promtool = prometheus.install().promtool
    except UnavailableError as error:
        if services_required():
            pytest.fail(str(error))
        pytest.skip(str(error))
    checked = subprocess.run(
        [*promtool, "check", "metrics"],
        input=scrape(admin)[1],
        env=environment_of_unpacked(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_the_page_of_metrics_is_up_to_date() -> None:
    file = ROOT / "docs" / "metrics.md"
    assert file.read_text() == text(ROOT / "dashboards"), "run: ringback metrics > docs/metrics.md"


def test_the_page_tells_who_looks(tmp_path: Path) -> None:
    grafana, rules = tmp_path / "grafana", tmp_path / "prometheus"
    grafana.mkdir()
    rules.mkdir()
    (grafana / "a.json").write_text(r'{"title": "Ringback / A", "expr": "ringback:of_a{slo=\"a\"}"}')
    (grafana / "b.json").write_text('{"title": "B", "expr": "rate(ringback_b_seconds_bucket[5m]) + ringback_ab"}')
    (rules / "rules.yml").write_text(
        "rules:\n"
        "- record: ringback:of_a\n  expr: ringback_a\n  labels:\n    slo: a\n"
        "- record: ringback:of_a\n  expr: ringback_other\n  labels:\n    slo: other\n"
        "- record: ringback:of_of_a\n  expr: ringback:of_a\n"
        "- alert: ATooHigh\n  expr: ringback:of_of_a > 1\n"
    )
    watching = Watching.read(tmp_path)
    assert watching.of("ringback_a") == (["A"], ["ATooHigh"])
    assert watching.of("ringback_b_seconds") == (["B"], [])
    assert watching.of("ringback_other") == ([], ["ATooHigh"])
    assert watching.of("ringback_of_a") == ([], [])


@pytest.mark.parametrize(("process", "rooms"), ROOMS.items())
def test_every_metric_is_set_by_what_runs(process: str, rooms: tuple[str, ...]) -> None:
    set_here = {
        node.attr
        for room in rooms
        for file in (ROOT / room).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value).endswith("metrics")
    }
    defined = {name for name, one in vars(PROCESSES[process]()).items() if isinstance(one, METRIC)}
    assert defined - set_here <= ELSEWHERE, f"defined in ringback/metrics.py, and not set in {rooms}"

"""The running demo on real dashboards' queries, rules and alerts: every query answers, and what breaks is heard of."""

import asyncio
import math
import os
import re
import signal
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from dashboards import preview, queries
from ringback import kafka
from ringback.metrics import PROCESSES, ModelRole, NeverEvent
from ringback.records import CartEvent, EventKind, Item, Topic, encode
from ringback.settings import KafkaSettings
from scoring import manifest
from scoring.model import default_model_folder
from scoring.registry import Registry
from tests.conftest import ROOT
from tests.dashboards.test_alerts import ALERTS
from tests.scoring.models import make
from tests.servers.ami import AmiSession
from tests.servers.install import services_required
from tests.servers.monitored import LISTED, Monitored
from tests.servers.process import UnavailableError
from tests.servers.prometheus import PromqlError

pytestmark = pytest.mark.timeout(300)

# As Grafana would fill them in, with a scrape each second.
VARIABLES = {"__rate_interval": "20s", "__range": "5m", "job": ".+", "instance": ".+", "campaign": ".+"}
EVERYTHING_ANSWERS_WITHIN_S = 75.0
# Enough for the gauges of drift, which say nothing of fewer.
STRANGE_CARTS = 1200
HEAVY_CARTS = 6000
# What rightly has no answer in a demo of a minute, by the beginning of the panel's title.
EMPTY = {
    "annotation Deploys": "no process was started again",
    "Dead letters: in the stream: {{reason}}": "the simulated shop sends nothing that cannot be used",
    "What must an agent's time bring?": "the demo judges calls by fixed thresholds",
    "Log-loss of matured decisions": "it takes 1,000 of the holdout, whose outcome is known after a day",
}
# What rightly stays 0, or unknown, while all is well and a minute has passed; the rest must move.
STILL = {
    "nothing is wrong": """
        never_events_total ingest_bugs_total ingest_spooled_requests_total ingest_spool_requests ingest_spool_bytes
        stream_dead_letters_total stream_repeated_events_total stream_model_refused_total stream_model_failures_total
        simulation_nameless_contacts_total outbox_messages stream_lag_records stream_recovering leads_refused_total
        contacts_blocked_total stream_feature_unseen_ratio
    """,
    "no process was started again": "stream_states_read_total calls_reconciled_total",
    "it takes longer than a minute": """
        stream_matured_rows stream_matured_log_loss_nats lift_ratio lift_low_ratio lift_high_ratio
    """,
    "agents are there in time": "abandoned_call_ratio",
    "the simulated shop takes nothing back": "revenue_returned_total",
    "not set in a demo: decide.voice_from = auto, compliance.max_spend_per_day": "agent_time_price spend_cap_ratio",
}


@pytest.fixture(scope="module")
def demo() -> Iterator[Monitored]:
    with ExitStack() as stack:
        try:
            monitored = stack.enter_context(Monitored())
        except UnavailableError as reason:
            if services_required():
                pytest.fail(str(reason))
            pytest.skip(str(reason))
        _promote_a_drifting_model(monitored)
        asyncio.run(_publish_strange_carts(monitored, STRANGE_CARTS))
        yield monitored


def _promote_a_drifting_model(demo: Monitored) -> None:
    """One that was trained, as its manifest says, on carts that look otherwise than those to come."""
    trained, _ = manifest.read(default_model_folder())
    registry = Registry(demo.fleet.folder / "models")
    registry.promote(make(registry.root, 1, reference=trained.reference), forced="a test")
    registry.promote(make(registry.root, 2), ModelRole.SHADOW)


async def _publish_strange_carts(demo: Monitored, count: int, things: int = 1) -> None:
    """Carts of cheap things, from shoppers who did nothing else and cannot be called."""
    producer = await kafka.producer(KafkaSettings(bootstrap=demo.fleet.bootstrap))
    try:
        for number in range(count):
            shopper = f"stranger-{things}-{number}"
            event = CartEvent(
                event_id=shopper,
                source="test",
                shopper_id=shopper,
                kind=EventKind.ITEM_ADDED,
                time=demo.fleet.shop_time(),
                cart_id=shopper,
                items=tuple(Item(product_id=f"pin-{pin}", unit_price=1) for pin in range(things)),
                currency="USD",
                received_wall=time.time(),
            )
            await producer.send(Topic.CART_EVENTS.value, encode(event), key=shopper.encode())
    finally:
        await kafka.close(producer)


def unanswered(demo: Monitored) -> dict[str, str]:
    """What is wrong with the answers to the queries of all panels, annotations and variables, by where they are."""
    wrong: dict[str, str] = {}
    for board in queries.boards().values():
        for asked in queries.asked(board):
            where = f"{asked.panel}: {asked.legend}".removesuffix(": ")
            if any(where.startswith(name) for name in EMPTY):
                continue
            expr = queries.substituted(asked.expr, VARIABLES)
            if asked.panel.startswith("annotation"):
                # A mark stays where it was set.
                expr = f"max_over_time(({expr})[5m:2s])"
            if complaint := _complaint(demo, expr):
                wrong[f"{asked.board} / {where}"] = complaint
        for variable in queries.label_values(board):
            selector = queries.substituted(variable.selector, VARIABLES)
            if not demo.prometheus.ask(f"label/{variable.label}/values", **{"match[]": selector}):
                wrong[f"{variable.board} / ${variable.name}"] = f"no values: {selector}"
    return wrong


def _complaint(demo: Monitored, expr: str) -> str | None:
    try:
        series = demo.prometheus.query(expr)
    except PromqlError as error:
        return f"{error}: {expr}"
    if not series:
        return f"empty: {expr}"
    if all(math.isnan(float(one["value"][1])) for one in series):
        return f"NaN: {expr}"
    return None


def test_every_query_of_every_dashboard_has_an_answer(demo: Monitored) -> None:
    deadline = time.monotonic() + EVERYTHING_ANSWERS_WITHIN_S
    while (wrong := unanswered(demo)) and time.monotonic() < deadline:
        demo.fleet.check()
        demo.fleet.browse(20)
    assert not wrong, "\n".join(f"{where}: {complaint}" for where, complaint in wrong.items())


def test_every_rule_is_evaluated_without_an_error(demo: Monitored) -> None:
    groups = demo.prometheus.ask("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert {rule["name"] for rule in rules if rule["type"] == "alerting"} == {rule["alert"] for rule in ALERTS}
    assert not {rule["name"]: rule.get("lastError") for rule in rules if rule["health"] != "ok"}


def test_what_every_alert_compares_is_there(demo: Monitored) -> None:
    """Each metric of an alert's expression has series, so that silence means that all is well."""
    absent = {
        (rule["alert"], name)
        for rule in ALERTS
        for name in queries.metric_names(rule["expr"])
        if not demo.prometheus.query(f"count({name})")
    }
    assert not absent


def test_every_metric_is_set_by_what_runs(demo: Monitored) -> None:
    still = {f"ringback_{name}" for names in STILL.values() for name in names.split()}
    deadline = time.monotonic() + EVERYTHING_ANSWERS_WITHIN_S
    while (unset := _unset(demo, still)) and time.monotonic() < deadline:
        demo.fleet.check()
        demo.fleet.browse(20)
    assert not unset


def _unset(demo: Monitored, still: Collection[str]) -> list[str]:
    """The metrics that are not there, or do not move though they are not among the ``still`` ones."""
    found = []
    for one in {one.name: one for process in PROCESSES.values() for one in process().definitions}.values():
        name = f"{one.name}_count" if one.kind == "histogram" else one.name
        series = demo.prometheus.query(f"max(max_over_time({name}[10m]))")
        value = float(series[0]["value"][1]) if series else 0.0
        if not series or (one.name not in still and (value == 0 or math.isnan(value))):
            found.append(one.name)
    return found


def test_every_query_of_every_runbook_is_understood(demo: Monitored) -> None:
    pages = sorted((ROOT / "docs" / "runbooks").glob("Ringback*.md"))
    asked = [query for page in pages for query in re.findall(r"ask '(.+?)'", page.read_text())]
    assert len(asked) > len(pages)
    for query in asked:
        demo.prometheus.query(query)


def test_exemplars_lead_from_a_slow_decision_to_its_cart(demo: Monitored) -> None:
    found = demo.prometheus.ask(
        "query_exemplars", query="ringback_due_to_decision_seconds_bucket", start=time.time() - 300, end=time.time()
    )
    assert any(one["exemplars"] for one in found)


def test_a_picture_of_each_dashboard_is_drawn_from_its_own_queries(demo: Monitored, tmp_path: Path) -> None:
    arguments = f"--prometheus {demo.prometheus.url} --minutes 2 --scrape-seconds 1 --into {tmp_path}"
    assert preview.main(arguments.split()) == 0
    pictures = sorted(tmp_path.iterdir())
    assert [path.name for path in pictures] == [
        f"dashboard-{uid.removeprefix('ringback-')}.png" for uid in queries.boards()
    ]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)


def test_a_drifting_model_is_heard_of(demo: Monitored) -> None:
    alert = demo.wait_for_alert("RingbackModelDrift")
    assert alert["labels"]["job"] == "stream"
    assert alert["annotations"]["runbook_url"] == "docs/runbooks/RingbackModelDrift.md"


def test_a_never_event_is_heard_of_at_once(demo: Monitored) -> None:
    """Somebody else than the dialer has one number dialled twice at once, past all that would forbid it."""
    asyncio.run(_dial_twice(demo, "12125550100"))
    alert = demo.wait_for_alert("RingbackNeverEvent")
    assert alert["labels"]["severity"] == "critical"
    assert alert["labels"]["event"] == NeverEvent.SECOND_CALL_AT_ONCE.value


async def _dial_twice(demo: Monitored, number: str) -> None:
    settings = demo.fleet.environment
    reader, writer = await asyncio.open_connection("127.0.0.1", int(settings["RINGBACK_AMI__PORT"]))
    session = AmiSession(reader, writer)
    try:
        await session.action("Login", Username="simulation", Secret=settings["RINGBACK_AMI__SECRET"], Events="off")
        for _ in range(2):
            call = uuid4().hex
            where = {"Context": "ringback-answered", "Exten": "s", "Priority": 1}
            channel = f"Local/{number}@shoppers"
            await session.action("Originate", Channel=channel, ChannelId=call, Async="true", **where)
    finally:
        await session.close()


def test_a_do_not_call_list_that_ends_is_heard_of(demo: Monitored) -> None:
    """Of Canada's 31 days three are left."""
    demo.fleet.load_list(demo.fleet.shop_time() - 28 * 86400)
    alert = demo.wait_for_alert("RingbackNationalListEnds")
    assert alert["labels"]["country"] == LISTED
    assert alert["annotations"]["description"].startswith(f"The list of {LISTED} may be called by for 2d 23h")


def test_a_redis_that_hangs_and_the_lag_that_grows_are_heard_of(demo: Monitored) -> None:
    redis = demo.fleet.child("redis")
    os.kill(redis.pid, signal.SIGSTOP)
    try:
        alert = demo.wait_for_alert("RingbackHopperUnreachable")
        assert alert["labels"]["severity"] == "critical"
        # More than the worker holds while it waits.
        asyncio.run(_publish_strange_carts(demo, HEAVY_CARTS, things=100))
        lag = demo.wait_for_alert("RingbackConsumerLagGrowing")
        assert lag["labels"]["topic"] == "cart_events"
    finally:
        os.kill(redis.pid, signal.SIGCONT)


def test_a_broker_and_an_asterisk_that_are_gone_are_heard_of(demo: Monitored) -> None:
    """The last test of this demo: neither comes back."""
    demo.fleet.child("kafka").stop()
    demo.fleet.browse(1)
    spool = demo.wait_for_alert("RingbackIngestSpooling")
    assert spool["labels"]["job"] == "ingest"
    demo.fleet.child("world").stop()
    ami = demo.wait_for_alert("RingbackAmiDown")
    assert ami["labels"]["job"] == "dialer"

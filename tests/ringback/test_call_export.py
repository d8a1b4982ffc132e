"""`ringback calls export`: from the topic to lines that somebody can be shown."""

import asyncio
import csv
import io
import json
from hashlib import sha256
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ringback import kafka
from ringback.call_export import COLUMNS, export_calls
from ringback.call_records import CallRecord, ReportRecord
from ringback.cli import app
from ringback.errors import RingbackError
from ringback.records import Disposition, Outcome, Topic, encode
from ringback.settings import Settings
from tests.servers.embedded import EmbeddedKafka

runner = CliRunner()
MAY = 1_777_593_600.0  # 2026-05-01T00:00:00Z
HOUR = 3600.0


def call(n: int, ended: float, **more: object) -> CallRecord:
    fields = {
        "call_id": f"{n:032x}",
        "campaign": "main",
        "seller": "Acme",
        "purpose": "offer to complete an abandoned cart",
        "calling_number": "+12125550199",
        "called_number": "+12125550101",
        "country": "US",
        "shopper_id": f"shopper-{n}",
        "lead_id": f"lead-{n}",
        "cart_id": f"cart-{n}",
        "placed": ended - 30.5,
        "ended": ended,
        "duration": 30.5,
        "outcome": Outcome.CONNECTED,
        **more,
    }
    return CallRecord(**fields)  # type: ignore[arg-type]  # the fields are those of CallRecord


def said(n: int, at: float) -> ReportRecord:
    return ReportRecord(
        call_id=f"{n:032x}",
        campaign="main",
        called_number="+12125550101",
        shopper_id=f"shopper-{n}",
        lead_id=f"lead-{n}",
        time=at,
        disposition=Disposition.SALE,
        agent="7",
    )


async def filled(broker: EmbeddedKafka, *entries: CallRecord | ReportRecord | bytes) -> Settings:
    settings = Settings(kafka=broker.kafka_settings(partitions=2))
    await kafka.create_topics(settings.kafka)
    producing = await kafka.producer(settings.kafka)
    for entry in entries:
        key = b"nobody" if isinstance(entry, bytes) else entry.shopper_id.encode()
        await producing.send_and_wait(Topic.CALLS, entry if isinstance(entry, bytes) else encode(entry), key=key)
    await kafka.close(producing)
    return settings


async def lines(settings: Settings, form: str, begin: float = 0.0, end: float = 4e9) -> tuple[str, str]:
    written = io.BytesIO()
    done = await export_calls(settings, written.write, form, begin, end)  # type: ignore[arg-type]  # one of the forms
    assert done.sha256 == sha256(written.getvalue()).hexdigest()
    return written.getvalue().decode(), f"{done.calls} {done.reports} {done.unreadable}"


async def test_calls_and_what_was_said_of_them(embedded_kafka: EmbeddedKafka) -> None:
    first = call(1, MAY + HOUR, agent="7", talk_seconds=12.25, consent_evidence="=1+1")
    settings = await filled(embedded_kafka, first, first, said(1, MAY + 2 * HOUR), call(2, MAY), b"no record")
    text, counted = await lines(settings, "jsonl")
    rows = [json.loads(line) for line in text.splitlines()]
    assert counted == "2 1 1"
    of_first = [row for row in rows if row["call_id"] == first.call_id]
    assert [row["entry"] for row in of_first] == ["call", "report"]
    assert of_first[0]["ended"] == "2026-05-01T01:00:00.000Z"
    assert of_first[0]["placed"] == "2026-05-01T00:59:29.500Z"
    assert of_first[0]["called_number"] == "+12125550101"
    assert of_first[0]["consent_evidence"] == "=1+1"

    text, counted = await lines(settings, "csv")
    assert counted == "2 1 1"
    table = list(csv.DictReader(io.StringIO(text)))
    assert tuple(table[0]) == COLUMNS
    (row,) = (row for row in table if row["call_id"] == first.call_id and row["entry"] == "call")
    assert (row["called_number"], row["talk_seconds"], row["outcome"]) == ("+12125550101", "12.25", "connected")
    # No spreadsheet computes what a shop has sent.
    assert row["consent_evidence"] == "'=1+1"
    assert row["disposition"] == ""


async def test_only_what_ended_in_the_time(embedded_kafka: EmbeddedKafka) -> None:
    settings = await filled(
        embedded_kafka, call(1, MAY - 0.001), call(2, MAY), call(3, MAY + HOUR), said(3, MAY + HOUR)
    )
    assert (await lines(settings, "jsonl", MAY, MAY + HOUR))[1] == "1 0 0"
    assert (await lines(settings, "jsonl", MAY, MAY + HOUR + 1))[1] == "2 1 0"
    assert (await lines(settings, "jsonl", MAY + 2 * HOUR, MAY + 3 * HOUR)) == ("", "0 0 0")


async def test_a_cluster_without_calls(embedded_kafka: EmbeddedKafka) -> None:
    settings = Settings(kafka=embedded_kafka.kafka_settings())
    with pytest.raises(RingbackError, match=r"no topic ringback\.calls"):
        await lines(settings, "csv")


async def test_calls_outlive_another_number_of_partitions(embedded_kafka: EmbeddedKafka) -> None:
    settings = await filled(embedded_kafka, call(1, MAY))
    counts = await kafka.partition_counts(settings.kafka, patience=10.0)
    assert counts[Topic.CALLS] == 2
    assert kafka.fits(Topic.CALLS, 7, settings.kafka)
    assert not kafka.fits(Topic.CONTACTS, 7, settings.kafka)


def test_it_is_written_as_a_whole(embedded_kafka: EmbeddedKafka, tmp_path: Path) -> None:
    asyncio.run(filled(embedded_kafka, call(1, MAY)))
    out = tmp_path / "may.csv"
    flags = ["--bootstrap", embedded_kafka.bootstrap]
    command = ["calls", "export", "--from", "2026-05-01", "--to", "2026-06-01", *flags]
    result = runner.invoke(app, [*command, "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert f"1 calls and 0 reports, SHA-256 {sha256(out.read_bytes()).hexdigest()}" in result.output
    assert out.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["may.csv"]
    assert runner.invoke(app, [*command, "--format", "jsonl"]).stdout_bytes.count(b"\n") >= 1
    missing = runner.invoke(app, [*command, "--out", str(tmp_path / "none" / "x.csv")])
    assert missing.exit_code != 0
    assert "can't be written" in str(missing.output) + str(missing.exception)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--from", "yesterday"], "expected a day such as"),
        (["--from", "2026-05-02", "--to", "2026-05-01"], "is not after"),
    ],
)
def test_a_wrong_time_is_told(given: list[str], told: str) -> None:
    result = runner.invoke(app, ["calls", "export", *given])
    assert result.exit_code != 0
    assert told in str(result.output) + str(result.exception)

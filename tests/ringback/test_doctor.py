"""``ringback doctor`` on servers that are there, are missing, or are wrong."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis
from typer.testing import CliRunner

from ringback import doctor
from ringback.cli import app
from ringback.doctor import Finding, clock_skew, examine
from ringback.embedded import start_redis
from ringback.errors import ModelRefused
from ringback.kafka import create_topics
from ringback.redis_client import NATIONAL_LISTS
from ringback.scoring_settings import ScoringSettings
from ringback.settings import RedisSettings, Settings, load
from tests.servers.embedded import EmbeddedKafka

NOWHERE = {"kafka.bootstrap": "127.0.0.1:1", "redis.url": "redis://127.0.0.1:1/0", "ami.port": 1}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PATIENCE", 0.5)


def good_model(_: ScoringSettings) -> str:
    return "intent-1"


def no_model(_: ScoringSettings) -> str:
    raise ModelRefused("model.txt was changed")


async def look(settings: Settings) -> dict[str, Finding]:
    return {finding.check: finding for finding in await examine(settings, good_model, {})}


@asynccontextmanager
async def manager(banner: bytes, answer: bytes) -> AsyncIterator[int]:
    """A listener that says hello as Asterisk does, and gives its answer to the login."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(banner)
        if await reader.readline():
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def test_all_is_well(embedded_kafka: EmbeddedKafka, tmp_path: Path) -> None:
    redis = await asyncio.to_thread(start_redis, tmp_path)
    try:
        async with manager(b"Asterisk Call Manager/9.0.0\r\n", b"Response: Success\r\n\r\n") as port:
            settings = load(
                {
                    "kafka.bootstrap": embedded_kafka.bootstrap,
                    "redis.url": f"redis://{redis.address}/0",
                    "ami.port": port,
                    "privacy.phone_key": "long and random",
                    "decide.holdout_salt": "long and random, too",
                }
            )
            await create_topics(settings.kafka)
            findings = await look(settings)
    finally:
        redis.stop()
    assert all(finding.ok for finding in findings.values()), findings
    assert findings["topic ringback.cart-events"].seen == "6 partitions"
    assert findings["asterisk"].seen.startswith("Asterisk Call Manager/9.0.0")
    assert "clock" in findings


async def test_nothing_is_there() -> None:
    findings = await look(load(NOWHERE))
    for check in ("kafka", "redis", "asterisk", "privacy.phone_key", "decide.holdout_salt"):
        assert not findings[check].ok
        assert findings[check].do


async def test_another_number_of_partitions(embedded_kafka: EmbeddedKafka) -> None:
    await create_topics(embedded_kafka.kafka_settings(partitions=3))
    findings = await look(load({**NOWHERE, "kafka.bootstrap": embedded_kafka.bootstrap}))
    assert findings["kafka"].ok
    assert findings["topic ringback.dead-letters"].ok
    assert "set kafka.partitions = 3" in (findings["topic ringback.decisions"].do or "")


@pytest.mark.parametrize(
    ("banner", "answer", "words"),
    [
        (
            b"Asterisk Call Manager/9.0.0\r\n",
            b"Response: Error\r\nMessage: Authentication failed\r\n\r\n",
            "manager.conf",
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n", b"", "ami.port"),
        (b"Asterisk Call Manager/9.0.0\r\n", b"", "start Asterisk"),
    ],
)
async def test_an_asterisk_that_does_not_let_us_in(banner: bytes, answer: bytes, words: str) -> None:
    async with manager(banner, answer) as port:
        finding = (await look(load({**NOWHERE, "ami.port": port})))["asterisk"]
    assert not finding.ok
    assert words in (finding.do or "")


async def test_a_model_that_is_refused() -> None:
    findings = await examine(load(NOWHERE), no_model, {})
    (model,) = [finding for finding in findings if finding.check == "model"]
    assert not model.ok
    assert "model.txt was changed" in model.seen


@pytest.mark.parametrize(("theirs", "ok"), [(100.0, True), (100.1, True), (99.5, True), (102.5, False), (97.0, False)])
def test_clock_skew(theirs: float, ok: bool) -> None:
    assert clock_skew(theirs, asked=100.0, answered=100.2).ok is ok


def test_the_command_tells_and_exits_with_1(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    flags = [part for key, value in NOWHERE.items() for part in ("--set", f"{key}={value}")]
    plain = CliRunner().invoke(app, ["doctor", *flags])
    assert plain.exit_code == 1
    assert "WRONG kafka: no answer from 127.0.0.1:1\n      start Kafka" in plain.stdout
    listed = CliRunner().invoke(app, ["doctor", "--json", *flags])
    assert listed.exit_code == 1
    first = json.loads(listed.stdout)[0]
    assert (first["check"], first["ok"]) == ("kafka", False)


def test_a_shop_without_a_secret_is_told(tmp_path: Path) -> None:
    kept = tmp_path / "secrets"
    kept.write_text("one\n\ntwo\n")
    shops = {
        "shopify:open": {},
        "segment:example": {"secrets": ["three"], "secret_file": str(kept)},
        "woocommerce:lost": {"secrets": ["four"], "secret_file": str(tmp_path / "nowhere")},
    }
    found = {one.check: one for one in doctor.shops(load({"ingest.shops": shops}).ingest)}
    assert not found["ingest.shops.shopify:open"].ok
    assert found["ingest.shops.segment:example"].seen == "/v1/segment/example, 3 secrets"
    assert "nowhere" in found["ingest.shops.woocommerce:lost"].seen
    assert not found["ingest.shops.woocommerce:lost"].ok


def test_a_national_list_that_is_missing_or_too_old_is_told() -> None:
    day = 86_400.0
    ages = {"US": 31 * day, "GB": 28 * day, "CA": 31 * day}
    found = doctor.national_lists({"US": 70 * day, "GB": 70 * day, "FR": 0.0}, ages, now=100 * day)
    assert [(one.check[-2:], one.ok) for one in found] == [("CA", False), ("GB", False), ("US", True)]
    assert [one.seen.partition(":")[0] for one in found] == ["not loaded", "obtained 1970-03-12", "obtained 1970-03-12"]
    assert "--country CA" in (found[0].do or "")


async def test_the_lists_are_looked_up_in_redis(redis: Redis, redis_settings: RedisSettings) -> None:
    await redis.hset(NATIONAL_LISTS, "US", repr(time.time() - 86_400))
    settings = load({**NOWHERE, "redis.url": redis_settings.url.get_secret_value()})
    found = {one.check: one.ok for one in await examine(settings, good_model, {"US": 2 * 86_400, "CA": 2 * 86_400})}
    assert found["do-not-call list of US"]
    assert not found["do-not-call list of CA"]

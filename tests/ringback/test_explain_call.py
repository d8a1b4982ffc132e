"""`ringback explain PHONE|CART`: the trace of the rules, read from Redis."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from typer.testing import CliRunner

from dialer.compliance.book import book
from dialer.hopper import Hopper
from ringback.cli import app
from ringback.redis_client import NATIONAL_LISTS, connect
from ringback.settings import RedisSettings, Settings
from tests.dialer.leads import fictional, lead
from tests.dialer.test_dossier import HERE, NOW

AT = "2026-07-07T11:00:00-04:00"


@pytest.fixture
def run(redis_settings: RedisSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    monkeypatch.chdir(tmp_path)
    do(redis_settings, lambda redis: redis.flushall())

    def explain(*arguments: str) -> Any:
        url = redis_settings.url.get_secret_value()
        return CliRunner().invoke(app, ["explain", *arguments, "--redis", url], env={"COLUMNS": "200"})

    return explain


def do(redis_settings: RedisSettings, what: Callable[[Redis], Awaitable[Any]]) -> None:
    async def once() -> None:
        redis = connect(redis_settings)
        await what(redis)
        await redis.aclose()

    asyncio.run(once())


def offer(redis_settings: RedisSettings) -> None:
    do(redis_settings, lambda redis: Hopper.of(redis, Settings()).offer(lead(1, **HERE), NOW))
    do(redis_settings, lambda redis: redis.hset(NATIONAL_LISTS, "US", repr(NOW - 86400)))


def test_a_cart_that_may_be_called(run: Callable[..., Any], redis_settings: RedisSettings) -> None:
    offer(redis_settings)
    found = json.loads(run("cart-1", "--at", AT, "--json").stdout)
    assert found["allowed"]
    assert (found["at"], found["rules"], found["lead"], found["state"]) == (NOW, book().version, "lead-1", "queued")
    assert all(finding["passed"] and finding["source"] for finding in found["trace"])
    shown = run("cart-1", "--at", AT).stdout
    assert "may be called at 2026-07-07 15:00:00 UTC" in shown
    assert "47 CFR 64.1200(c)(1)" in shown
    assert "the list of US is of 2026-07-06" in shown
    assert "16 CFR 310.4(b)(3)(iv)" in shown


def test_a_number_is_found_by_its_lead(run: Callable[..., Any], redis_settings: RedisSettings) -> None:
    offer(redis_settings)
    written = f"{fictional(1)[:5]} {fictional(1)[5:8]}-{fictional(1)[8:]}"
    assert json.loads(run(written, "--at", AT, "--json").stdout)["allowed"]
    early = json.loads(run(written, "--at", str(NOW - 4 * 3600), "--json").stdout)
    assert {finding["rule"] for finding in early["trace"] if not finding["passed"]} == {
        "US-hours",
        "compliance.hours.US",
    }


def test_what_forbids_comes_first_and_no_number_is_shown(run: Callable[..., Any]) -> None:
    shown = run(fictional(1), "--at", AT).stdout
    assert "may not be called" in shown
    assert shown.index(" no ") < shown.index(" yes ")
    assert "unknown is no" in shown
    assert fictional(1)[1:] not in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cart-9"], ["cart-9", "no such file", "no lead", "begins with +"]),
        (["+12125550123", "--at", "noon"], ["--at noon", "offset"]),
        (["+12125550123", "--at", "2026-07-07T11:00"], ["--at", "offset"]),
        (["+12125550123", "--cart", "c"], ["no such file", "--cart"]),
    ],
)
def test_what_is_missing_is_said(run: Callable[..., Any], arguments: list[str], words: list[str]) -> None:
    refused = run(*arguments)
    assert refused.exit_code == 2
    assert all(word in refused.stderr for word in words), refused.stderr


def test_without_redis_it_says_what_to_do() -> None:
    refused = CliRunner().invoke(app, ["explain", "+12125550123", "--redis", "redis://127.0.0.1:1/0"])
    assert refused.exit_code == 2
    assert "--redis" in refused.stderr

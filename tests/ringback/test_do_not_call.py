"""`ringback do-not-call`: whoever is on a list is neither called nor offered."""

import asyncio
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from typer.testing import CliRunner

from dialer.hopper import Hopper, Offer
from ringback.cli import app
from ringback.redis_client import NATIONAL_LISTS, connect
from ringback.settings import RedisSettings
from tests.dialer.leads import KEY, NOON, fictional, lead

DAY = 86400.0


@pytest.fixture
def load(redis_settings: RedisSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    monkeypatch.chdir(tmp_path)
    on(redis_settings, lambda redis: redis.flushall())

    def run(text: str, *flags: str) -> Any:
        (tmp_path / "list.txt").write_text(text)
        url = redis_settings.url.get_secret_value()
        flags = ("list.txt", "--redis", url, "--set", f"privacy.phone_key={KEY}", *flags)
        return CliRunner().invoke(app, ["do-not-call", *flags])

    return run


def on(redis_settings: RedisSettings, what: Callable[[Redis], Any]) -> Any:
    async def once() -> Any:
        redis = connect(redis_settings)
        try:
            return await what(redis)
        finally:
            await redis.aclose()

    return asyncio.run(once())


def offered(redis_settings: RedisSettings, n: int) -> Offer:
    found = on(redis_settings, lambda redis: Hopper(redis, "main").offer(lead(n), NOON))
    assert isinstance(found, Offer)
    return found


def test_the_own_list_grows(load: Callable[..., Any], redis_settings: RedisSettings) -> None:
    assert "2 numbers are new" in load(f"{fictional(1)}\n\n+1 (212) 555-0102\n").stdout
    assert "1 numbers are new" in load(f"{fictional(1)}\n{fictional(3)}\n").stdout
    assert [offered(redis_settings, n) for n in (1, 2, 3, 4)] == [Offer.DO_NOT_CALL] * 3 + [Offer.QUEUED]


def test_a_national_list_is_replaced(load: Callable[..., Any], redis_settings: RedisSettings) -> None:
    assert (
        "2 numbers are on the list of US" in load("212,5550101\n212,5550102\n", "--national", "--country", "US").stdout
    )
    assert "1 numbers are on the list of GB" in load("020 7946 0123\n", "--national", "--country", "GB").stdout
    assert "1 numbers are on the list of US" in load("2125550102\n", "--national", "--country", "US").stdout
    assert offered(redis_settings, 1) is Offer.QUEUED
    assert offered(redis_settings, 2) is Offer.DO_NOT_CALL
    british = lead(5, phone="+442079460123", country="GB")
    found = on(redis_settings, lambda redis: Hopper(redis, "main").offer(british, NOON))
    assert found is Offer.DO_NOT_CALL


def age_of(redis_settings: RedisSettings) -> float:
    at = on(redis_settings, lambda redis: redis.hget(NATIONAL_LISTS, "US"))
    return time.time() - float(at)


def test_a_national_list_is_as_old_as_its_file(
    load: Callable[..., Any], redis_settings: RedisSettings, tmp_path: Path
) -> None:
    us = ("--national", "--country", "US")
    load("2125550101\n", *us)
    assert age_of(redis_settings) < DAY
    os.utime(tmp_path / "list.txt", (0, time.time() - 40 * DAY))
    url = redis_settings.url.get_secret_value()
    CliRunner().invoke(app, ["do-not-call", "list.txt", "--redis", url, *us])
    assert 40 * DAY <= age_of(redis_settings) < 41 * DAY
    day = f"{datetime.now(UTC) - timedelta(days=5):%F}"
    assert f"obtained {day}" in load("2125550101\n", *us, "--obtained", day).stdout
    assert 5 * DAY <= age_of(redis_settings) < 6 * DAY


@pytest.mark.parametrize(
    ("text", "flags", "words"),
    [
        ("+12125550123\n12\n", (), ["line 2", "no phone number"]),
        ("2125550123\n", (), ["line 1", "--country"]),
        ("\n", (), ["no number in it"]),
        ("+12125550123\n", ("--national",), ["--national", "--country"]),
        ("+12125550123\n", ("--obtained", "2026-11-01"), ["--obtained 2026-11-01", "--national"]),
        (
            "+12125550123\n",
            ("--national", "--country", "US", "--obtained", "today"),
            ["--obtained today", "2026-11-01"],
        ),
        ("+12125550123\n", ("--national", "--country", "US", "--obtained", "2999-01-01"), ["still to come"]),
        ("+12125550123\n", ("--country", "usa"), ["--country usa", "ISO 3166"]),
    ],
)
def test_a_list_that_can_not_be_used(
    load: Callable[..., Any], redis_settings: RedisSettings, text: str, flags: tuple[str, ...], words: list[str]
) -> None:
    refused = load(text, *flags)
    assert refused.exit_code == 2
    assert all(word in refused.stderr for word in words), refused.stderr
    assert on(redis_settings, lambda redis: redis.dbsize()) == 0

"""What is read of a person is what the hopper's scripts have written."""

import pytest
from redis.asyncio import Redis

from dialer.compliance.check import may_call, rules_of
from dialer.dossier import of_cart, of_phone
from dialer.hopper import Hopper
from ringback.privacy import phone_ref
from ringback.records import Outcome
from ringback.redis_client import NATIONAL_LISTS
from ringback.settings import Settings
from tests.dialer.leads import KEY, fictional, lead

# Tuesday 2026-07-07, 15:00 UTC: 11:00 in New York.
NOW = 1_783_436_400.0
DAY = 86400.0
HERE = {
    "jurisdictions": ("US", "US-NY"),
    "zones": ("America/New_York",),
    "consent_evidence": "checkout",
    "last_activity": NOW - 3600,
    "callable_from": NOW,
    "callable_until": NOW + 3600,
}


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> Settings:
    monkeypatch.chdir(str(tmp_path))
    prices = {"max_calls_per_hour": 1, "max_spend_per_day": 10, "price_per_call": 2}
    return Settings.model_validate({"privacy": {"phone_key": KEY}, "compliance": prices})


@pytest.fixture
async def hopper(redis: Redis, settings: Settings) -> Hopper:
    held = Hopper.of(redis, settings)
    assert await held.acquire_lease("token", 60)
    await redis.hset(NATIONAL_LISTS, "US", repr(NOW - DAY))
    return held


async def against(redis: Redis, settings: Settings, now: float = NOW) -> set[str]:
    found = await of_phone(redis, settings, fictional(1), now)
    return {
        finding.rule for finding in may_call(found.person, found.history, now, rules_of(settings), found.lists).against
    }


async def test_of_a_stranger_neither_consent_nor_cart_are_known(redis: Redis, settings: Settings) -> None:
    assert await against(redis, settings, NOW + 3 * 3600) == {"consent", "cart_age", "national_list_age"}


async def test_a_lead_that_waits_may_be_called(redis: Redis, settings: Settings, hopper: Hopper) -> None:
    await hopper.offer(lead(1, **HERE), NOW)
    assert await against(redis, settings) == set()
    found = await of_cart(redis, settings, "cart-1", NOW)
    assert found is not None
    assert found.lead == lead(1, **HERE)
    assert found.state == "queued"
    assert await of_cart(redis, settings, "cart-2", NOW) is None


async def test_a_lead_without_evidence_of_consent_may_not(redis: Redis, settings: Settings, hopper: Hopper) -> None:
    await hopper.offer(lead(1, **HERE | {"consent_evidence": None}), NOW)
    assert await against(redis, settings) == {"consent"}


async def test_a_call_in_progress_and_its_cost_are_seen(redis: Redis, settings: Settings, hopper: Hopper) -> None:
    await hopper.offer(lead(1, **HERE), NOW)
    await hopper.reserve(["call-1"], NOW, "token", 30.0)
    assert await against(redis, settings) == {"in_call", "campaign_rate"}
    found = await of_phone(redis, settings, fictional(1), NOW)
    assert list(found.history.to_number) == list(found.history.to_person) == [NOW]
    assert (found.history.about_cart, found.history.campaign_calls, found.history.campaign_spent) == (1, 1, 2.0)
    assert found.state == "calling"


async def test_a_lockout_is_seen(redis: Redis, settings: Settings, hopper: Hopper) -> None:
    await hopper.offer(lead(1, **HERE), NOW)
    await hopper.reserve(["call-1"], NOW, "token", 30.0)
    await hopper.settle("call-1", Outcome.ABANDONED, None, lockout_until=NOW + 72 * 3600)
    assert {"lockout", "consent"} <= await against(redis, settings, NOW + 71 * 3600)


@pytest.mark.parametrize(
    ("key", "rule"),
    [
        ("ringback:opted-out:phones", "opt_out"),
        ("ringback:do-not-call", "internal_do_not_call"),
        ("ringback:do-not-call:national", "national_do_not_call"),
    ],
)
async def test_lists_are_seen(redis: Redis, settings: Settings, hopper: Hopper, key: str, rule: str) -> None:
    await hopper.offer(lead(1, **HERE), NOW)
    await redis.sadd(key, phone_ref(fictional(1), KEY))
    assert await against(redis, settings) == {rule}


async def test_a_list_that_is_too_old_is_seen(redis: Redis, settings: Settings, hopper: Hopper) -> None:
    await hopper.offer(lead(1, **HERE), NOW)
    await redis.hset(NATIONAL_LISTS, "US", repr(NOW - 31 * DAY))
    assert await against(redis, settings) == {"national_list_age"}


async def test_a_purchase_is_seen(redis: Redis, settings: Settings, hopper: Hopper) -> None:
    await hopper.offer(lead(1, **HERE), NOW)
    await redis.set("ringback:bought:shopper-1", repr(NOW))
    assert await against(redis, settings) == {"bought"}

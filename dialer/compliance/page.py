"""docs/compliance.md: every rule with its source and its file, written from the data.

Write it anew after a change of the data: ``python -m dialer.compliance.page > docs/compliance.md``.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import date

from dialer.abandonment import LIMITS
from dialer.compliance.book import (
    EVERYWHERE,
    CapRule,
    ClosedDays,
    HoursRule,
    Jurisdiction,
    NationalList,
    Rule,
    SpacingRule,
    Stated,
    book,
)
from dialer.compliance.destination import special_numbers
from dialer.compliance.places import areas

DATA = "dialer/compliance/data"

INTRODUCTION = """\
# Who may be called, and when

One function answers: `may_call(person, history, now, rules)` in `dialer/compliance/check.py`. Its answer has a trace:
each rule, whether it was kept, why, and its source. A call is made only when every rule was kept. These are engineering
inputs, not legal advice: have them read by whoever answers for your calls.

```
ringback explain +12125550123                               # may this number be called now? each rule says
ringback explain cart-1017 --at 2026-11-27T10:00-05:00      # the shopper of a cart, at another time
ringback explain cart-1017 --json
```

The rules are asked three times: when a cart is routed (`stream/decide.py`), before the dialer reserves a lead
(`forbidden`), and in the script that reserves it (`dialer/lua/reserve.lua`: opt-outs, do-not-call, the age of the
national list, purchase, caps, lockouts, calls in progress, the campaign's rate and spending, in one atomic step). What
can't be reached forbids.

## What an operator sets

| setting or command | what it does |
|---|---|
| `compliance.destinations` | the countries whose people may be called; empty: nobody |
| `compliance.hours`, `compliance.closed_days` | a country's hours, and days without calls, within the law's |
| `compliance.max_attempts_per_day`, `…_week`, `…_month`, `…_lead` | calls to one person or number, about one cart |
| `compliance.max_calls_per_hour`, `max_spend_per_day` | what the campaign may do at most |
| `compliance.clock_skew` | by how many seconds clocks may be wrong |
| `ringback do-not-call FILE` | puts numbers on the own list, for ever |
| `ringback do-not-call FILE --national --country US` | replaces the copy of a national list; do it weekly, see below |
| `compliance.scrubbed_elsewhere` | countries whose list is heeded before leads come here, so that none need be loaded |

A call needs a yes to calls *and* the evidence of where it was given (`shopper.consent.evidence`): ingest writes it for
the platforms, a native event brings its own.

## How the rules are put together

- **Data.** Rules of law are TOML files in `dialer/compliance/data/`, one for each country and state, with the day from
  which each holds, and its source. They are checked when they are loaded. The version of the data is in every trace and
  in the record of every call.
- **The strictest holds.** Of country, states and settings all must agree. `compliance.hours`, `compliance.closed_days`
  and the caps in the settings can only take away. *Not verified* is what neither the text of the law nor two
  publications that agree have confirmed; where readings differ the strictest is in the file.
- **Where somebody is** (`places.py`): the zones of the number by libphonenumber and by our own table of area codes, of
  the address, and of the network; the hours must be open in all of them. What each platform tells of address and
  network is in [connect-a-shop.md](connect-a-shop.md#where-a-shopper-is). Numbers move with people, so where neither
  address nor network is known, all zones of the country count too. State law is that of the area code and of the
  address; somebody whose address lies in other zones than the number may be in any state there; an area code that is
  not in the table is in all states.
- **Clocks.** `compliance.clock_skew` seconds are taken off at both ends of all hours, and added to every cap and every
  spacing. When the clocks are changed, an hour that comes twice or not at all is never used.
- **Attempts in the future** count as made just now.
- **National lists age.** Where the law says how old one may be (`max_age_days`), nobody of that country is called while
  its list is missing or older: the script that reserves a lead looks, and the one that launches it. Such leads stay
  queued, refused as `no_current_list`, and are looked at again every five minutes. A list is as old as its file, or as
  `--obtained` says. A register that can only be asked about numbers, as Italy's, is asked before leads come here.
- **Exemptions are not made use of**: consent does not lengthen hours, and a purchase does not overrule a list.
- A simulation may leave out the law's hours (`simulation.any_hour`); it reaches no carrier.

Property tests judge generated cases against an independent reading of the same files, over changes of the clocks, split
area codes, leap days and clocks that are wrong:

```
RINGBACK_COMPLIANCE_CASES=1000000 pytest tests/dialer/compliance/test_never.py
```
"""

ELSEWHERE = """\
## Rules that are kept elsewhere

| rule | where |
|---|---|
| an agent or a message with the seller's name within two seconds of an answer | `deploy/asterisk/extensions.conf` |
| a phone rings for at least 15 seconds | `dialer.ring_timeout` in `ringback/dialer_settings.py` |
| the record of each call, kept for five years | `dialer/ledger.py` |
| spacing, as a lockout of number and person that outlives the lead | `dialer/recycling.py`, `dialer/lua/common.lua` |
| messages: consent, hours, opt-outs and lists | `outreach/rules.py`, `outreach/lua/claim.lua` |
"""

UPKEEP = """\
## Keeping it right

1. Change the file, set `reviewed`, and give a new rule its `since`; end an old one with `until` rather than deleting
   it, so that old calls can still be explained.
2. `python -m dialer.compliance.page > docs/compliance.md`; a test fails while this page is stale.
3. `pytest tests/dialer/compliance`.

Days that a governor closes (Louisiana does, in emergencies) need no new data: `compliance.closed_days`.
"""


def text() -> str:
    """The page."""
    rules = book()
    places = sorted(one for one in rules.jurisdictions if one != EVERYWHERE)
    return "\n".join(
        [
            INTRODUCTION,
            f"The data below are version {rules.version}.",
            "",
            *_section(rules.jurisdictions[EVERYWHERE]),
            *_limits(),
            ELSEWHERE,
            *(line for code in places for line in _section(rules.jurisdictions[code])),
            *_numbers(),
            *_areas(),
            UPKEEP,
        ]
    )


def _section(one: Jurisdiction) -> Iterator[str]:
    yield f"## {one.name}"
    yield ""
    yield f"`{DATA}/{one.code}.toml`, reviewed {one.reviewed}."
    if one.zones:
        yield f"Zones where nothing is known but the number: {', '.join(one.zones)}."
    yield ""
    yield from _table(("rule", "what", "since", "source"), (_row(rule) for rule in one.rules))


def _row(rule: Rule) -> tuple[str, ...]:
    since = (f"{rule.since}" if rule.since > date.min else "") + (f" to {rule.until}" if rule.until else "")
    return f"`{rule.id}`", _what(rule), since, rule.source if rule.verified else f"{rule.source} *(not verified)*"


def _what(rule: Rule) -> str:
    match rule:
        case Stated():
            return rule.text
        case NationalList():
            days = rule.max_age_days
            age = f"; by one more than {days} days old, or by none, nobody is" if days else ""
            return f"numbers on this list are not called: {rule.name}{age}"
        case HoursRule():
            week = "; ".join(f"{days} {', '.join(spans)}" for days, spans in rule.open.items())
            return f"calls {week}" + (f" (only on {', '.join(rule.on)})" if rule.on else "")
        case ClosedDays():
            kept = {"nearest": "nearest weekday", "next": "next weekday", "saturday": "Saturday", "monday": "Monday"}
            moved = f"; one on a weekend also on the {kept[rule.observed]}" if rule.observed else ""
            return f"no calls on {', '.join(rule.days)}{moved}"
        case CapRule():
            return f"at most {rule.calls} calls in {rule.days * 24:g} h to one person, and to one number"
        case SpacingRule():
            return f"no call for {rule.hours:g} h after a call that ended *{rule.after}*"
        case _:
            return "consent, as everywhere"


def _limits() -> Iterator[str]:
    yield "## Abandoned calls"
    yield ""
    yield "`dialer/abandonment.py`; which of them a campaign keeps is a setting."
    yield ""
    rows = (
        (f"`{one.name}`", f"{one.share:.0%} in {one.period}, of {one.formula}", one.source) for one in LIMITS.values()
    )
    yield from _table(("limit", "what", "source"), rows)


def _numbers() -> Iterator[str]:
    yield "## Numbers that are never dialled"
    yield ""
    yield f"`{DATA}/special_numbers.toml`, beside what libphonenumber takes for premium, shared-cost and the like."
    yield ""
    rows = (
        (one.why, ", ".join((*one.prefixes, one.pattern or "")).rstrip(", "), one.source) for one in special_numbers()
    )
    yield from _table(("kind", "numbers", "source"), rows)


def _areas() -> Iterator[str]:
    table = areas()
    split = sorted(code for code, zones in table.zones.items() if len(zones) > 1)
    yield "## Area codes"
    yield ""
    yield f"`{DATA}/area_codes.toml`: {len(table.zones)} area codes of the United States and Canada, of which "
    yield f"{len(split)} reach into several time zones: {', '.join(split)}."
    yield ""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
    yield ""


if __name__ == "__main__":
    sys.stdout.write(text())

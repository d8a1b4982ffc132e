"""What the shopper behind a number does: the rule of `asterisk/extensions_shoppers.conf` and of `carrier_scenario`."""

from dataclasses import dataclass
from enum import StrEnum

PATIENT_AREA = "1907"
AT_ONCE_AREA = "1404"
# Who rings for six seconds; the second kind is patient as well.
LATE_AREAS = ("1505", "1575")
LATE_RING_MS = 6000
PATIENT_AREAS = (PATIENT_AREA, LATE_AREAS[1])
# Over SIP only: the carrier says that it is under way (183) where others say that it rings (180).
PROGRESS_AREA = "1216"
# Over Local only: the key 9 is pressed three seconds after the answer.
OPTS_OUT_AREA = "1615"
# What is heard after the answer, by area; nothing elsewhere.
GREETING_BY_AREA = {"1303": "machine", "1312": "slow-hello", "1704": "hello"}
PATIENT_TALK_MS = 30_000
EARLY_HANGUP_MS = 500


class Kind(StrEnum):
    """How a call to a number goes."""

    HUMAN = "human"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    CONGESTION = "congestion"
    INVALID = "invalid"
    DECLINED = "declined"
    HANGS_UP_EARLY = "hangs_up_early"


_KIND_BY_LAST_DIGIT = {
    "4": Kind.BUSY,
    "5": Kind.NO_ANSWER,
    "6": Kind.CONGESTION,
    "7": Kind.INVALID,
    "8": Kind.DECLINED,
    "9": Kind.HANGS_UP_EARLY,
}
_CAUSE = {
    Kind.HUMAN: 16,
    Kind.BUSY: 17,
    Kind.NO_ANSWER: 19,
    Kind.CONGESTION: 34,
    Kind.INVALID: 1,
    Kind.DECLINED: 21,
    Kind.HANGS_UP_EARLY: 16,
}


@dataclass(frozen=True)
class Behaviour:
    """What a call to a number meets.

    `ring_ms` is None when it is refused without ringing, `talk_ms` (from the answer to the shopper's hanging up) when
    it is not answered. `greeting` is what is said then, of `voices.GREETINGS`. `cause` is the Q.850 cause of the
    Hangup; that of `no_answer` comes from the dialer's time-out.
    """

    kind: Kind
    cause: int
    ring_ms: int | None = None
    talk_ms: int | None = None
    greeting: str | None = None

    @property
    def answers(self) -> bool:
        return self.talk_ms is not None


def behaviour(number: str) -> Behaviour:
    """What happens when this number (E.164, the plus sign is optional) is dialled.

    Through Local/<number>@shoppers, or through PJSIP/<number>@carrier to a `Carrier`.
    """
    digits = number.removeprefix("+")
    if len(digits) < 2 or not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"not a number in E.164 form: {number!r}")
    step = int(digits[-2])
    kind = _KIND_BY_LAST_DIGIT.get(digits[-1], Kind.HUMAN)
    rings = kind in {Kind.HUMAN, Kind.DECLINED, Kind.HANGS_UP_EARLY}
    talk_ms = None
    if kind is Kind.HANGS_UP_EARLY:
        talk_ms = 0 if digits.startswith(AT_ONCE_AREA) else EARLY_HANGUP_MS
    elif kind is Kind.HUMAN:
        patient = digits.startswith((*PATIENT_AREAS, OPTS_OUT_AREA, *GREETING_BY_AREA))
        talk_ms = PATIENT_TALK_MS if patient else 1000 + 200 * step
    greeting = GREETING_BY_AREA.get(digits[:4]) if kind is Kind.HUMAN else None
    ring_ms = LATE_RING_MS if digits.startswith(LATE_AREAS) else 200 + 80 * step
    return Behaviour(kind, _CAUSE[kind], ring_ms if rings else None, talk_ms, greeting)

"""What the shopper behind a number does in the test Asterisk: the rule of `asterisk/extensions_shoppers.conf`."""

from dataclasses import dataclass
from enum import StrEnum

PATIENT_AREA = "1907"
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
    it is not answered. `cause` is the Q.850 cause of the Hangup; that of `no_answer` comes from the dialer's time-out.
    """

    kind: Kind
    cause: int
    ring_ms: int | None = None
    talk_ms: int | None = None

    @property
    def answers(self) -> bool:
        return self.talk_ms is not None


def behaviour(number: str) -> Behaviour:
    """What happens when this number (E.164, the plus sign is optional) is dialled through Local/<number>@shoppers."""
    digits = number.removeprefix("+")
    if len(digits) < 2 or not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"not a number in E.164 form: {number!r}")
    step = int(digits[-2])
    kind = _KIND_BY_LAST_DIGIT.get(digits[-1], Kind.HUMAN)
    rings = kind in {Kind.HUMAN, Kind.DECLINED, Kind.HANGS_UP_EARLY}
    talk_ms = None
    if kind is Kind.HUMAN:
        talk_ms = PATIENT_TALK_MS if digits.startswith(PATIENT_AREA) else 1000 + 200 * step
    elif kind is Kind.HANGS_UP_EARLY:
        talk_ms = EARLY_HANGUP_MS
    return Behaviour(kind, _CAUSE[kind], ring_ms=200 + 80 * step if rings else None, talk_ms=talk_ms)

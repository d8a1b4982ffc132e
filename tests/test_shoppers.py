"""The rule by which a test computes what the shopper behind a number does."""

import pytest

from tests.servers.shoppers import Behaviour, Kind, behaviour


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("12125550100", Behaviour(Kind.HUMAN, 16, ring_ms=200, talk_ms=1000)),
        ("+12125550193", Behaviour(Kind.HUMAN, 16, ring_ms=920, talk_ms=2800)),
        ("19075550193", Behaviour(Kind.HUMAN, 16, ring_ms=920, talk_ms=30_000)),
        ("12125550124", Behaviour(Kind.BUSY, 17)),
        ("12125550135", Behaviour(Kind.NO_ANSWER, 19)),
        ("12125550146", Behaviour(Kind.CONGESTION, 34)),
        ("12125550157", Behaviour(Kind.INVALID, 1)),
        ("442079460068", Behaviour(Kind.DECLINED, 21, ring_ms=680)),
        ("13035550101", Behaviour(Kind.HUMAN, 16, ring_ms=200, talk_ms=30_000, greeting="machine")),
        ("13035550104", Behaviour(Kind.BUSY, 17)),
        ("15055550110", Behaviour(Kind.HUMAN, 16, ring_ms=6000, talk_ms=1200)),
        ("15755550119", Behaviour(Kind.HANGS_UP_EARLY, 16, ring_ms=6000, talk_ms=500)),
        ("14045550109", Behaviour(Kind.HANGS_UP_EARLY, 16, ring_ms=200, talk_ms=0)),
        ("19075550179", Behaviour(Kind.HANGS_UP_EARLY, 16, ring_ms=760, talk_ms=500)),
    ],
)
def test_the_last_two_digits_and_the_area_decide(number: str, expected: Behaviour) -> None:
    assert behaviour(number) == expected


@pytest.mark.parametrize("number", ["", "7", "+1 212 555 0123", "shopper"])
def test_what_is_not_a_number_is_refused(number: str) -> None:
    with pytest.raises(ValueError, match="not a number"):
        behaviour(number)

from itertools import pairwise

import pytest

from ringback.records import Channel
from simulation.persuasion import probability
from simulation.shop import Shop
from simulation.shopper import Doubt, Shopper

ROUNDS = 40


@pytest.fixture(scope="module")
def left() -> list[Shopper]:
    """Shoppers who left something in their carts."""
    shop = Shop(3, visits_per_hour=300, shoppers=300)
    shop.events_until(6 * 3600)
    everyone = (shop.shopper(f"s{number:06d}") for number in range(300))
    found = [who for who in everyone if who.has_open_cart and who.need and not who.visiting]
    assert len(found) > 50
    return found


def test_a_call_adds_more_than_a_message_and_a_message_more_than_nothing(left: list[Shopper]) -> None:
    sums = [sum(probability(who, how, 1, ROUNDS) for who in left) for how in (None, Channel.SMS, Channel.VOICE)]
    assert all(more > less * 1.05 for less, more in pairwise(sums))
    assert sums[-1] < len(left)


def test_it_is_the_same_again_and_changes_nobody(left: list[Shopper]) -> None:
    before = [(who.cart, who.need and (who.need.intent, who.need.help)) for who in left]
    first = [probability(who, Channel.VOICE, 1, ROUNDS) for who in left]
    assert [probability(who, Channel.VOICE, 1, ROUNDS) for who in left] == first
    assert [(who.cart, who.need and (who.need.intent, who.need.help)) for who in left] == before


def test_a_question_is_answered_best_by_talking(left: list[Shopper]) -> None:
    asks = [who for who in left if who.need and who.need.doubt in (Doubt.SHIPPING, Doubt.SIZE)]
    compares = [who for who in left if who.need and who.need.doubt is Doubt.COMPARING]

    def gain(some: list[Shopper]) -> float:
        return sum(
            probability(who, Channel.VOICE, 1, ROUNDS) - probability(who, None, 1, ROUNDS) for who in some
        ) / len(some)

    assert gain(asks) > gain(compares)


def test_without_a_cart_there_is_nothing_to_win() -> None:
    assert probability(Shop(3, shoppers=1).shopper("s000000"), Channel.VOICE, 1, ROUNDS) == 0.0

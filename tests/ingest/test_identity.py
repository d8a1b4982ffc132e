"""Who is one person with whom."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.identity import STRONGEST_FIRST, Known, Merge, Names, Repoint, Resolution, erased, names, resolve
from ringback.records import Refs
from tests.ingest.references import KEY, SHOP, Groups, merged, named, partition, refs_of

ANYBODY = refs_of({"email", "phone", "anonymous", "cart", "session"})
CUSTOMERS = refs_of({"customer", "email", "anonymous", "cart"})


def fresh(*events: Names) -> Resolution:
    """Where events belong when nothing is known."""
    return resolve(events, {ref: Known() for one in events for ref in one.refs})


def whose(found: Resolution) -> list[str]:
    """Each event's shopper when all is merged."""
    groups = merged(found.merges)
    return [groups.find(place.shopper) for place in found.placed]


def the_id(**refs: str) -> str:
    (ref,) = named(**refs).refs
    return ref


def test_every_kind_of_reference_has_its_strength() -> None:
    assert set(STRONGEST_FIRST) == set(Refs.__struct_fields__)
    every = named(**dict.fromkeys(STRONGEST_FIRST, "x"))
    assert every == Names(tuple(the_id(**{kind: "x"}) for kind in STRONGEST_FIRST), customer=True)


def test_a_new_shopper_is_named_after_the_strongest_reference() -> None:
    found = fresh(named(cart="k", email="a@example.com"))
    assert [place.shopper for place in found.placed] == [the_id(email="a@example.com")]
    assert set(found.claims) == {the_id(email="a@example.com"), the_id(cart="k")}
    assert found.claiming


@pytest.mark.parametrize(
    "other",
    [
        names(Refs(cart="1"), "another-shop", KEY.encode()),
        names(Refs(cart="1"), SHOP, b"another key"),
        named(order="1"),
        named(cart="2"),
    ],
)
def test_a_hash_is_of_shop_kind_value_and_key(other: Names) -> None:
    assert other != named(cart="1")


def test_an_email_address_is_the_same_however_it_is_written() -> None:
    assert named(email=" Ann@Example.com ") == named(email="ann@example.com")


def test_a_link_that_comes_late_merges_and_the_smallest_id_wins() -> None:
    found = fresh(named(cart="k"), named(anonymous="n"), named(cart="k", anonymous="n"), named(anonymous="n"))
    small, large = sorted([the_id(cart="k"), the_id(anonymous="n")])
    assert found.merges == [Merge(small, large)]
    assert [place.merges for place in found.placed] == [(), (), (Merge(small, large),), ()]
    assert {place.shopper for place in found.placed[2:]} == {small}


def test_what_is_known_asks_for_nothing_to_be_remembered() -> None:
    known = {ref: Known("s", "s") for ref in named(cart="k", email="e").refs}
    found = resolve([named(cart="k", email="e")], known)
    assert not found.claiming
    assert found.placed[0].shopper == "s"


def test_two_customers_are_two_people() -> None:
    shared = "a library's computer"
    ann, bob = {"customer": "ann", "anonymous": shared}, {"customer": "bob", "anonymous": shared}
    found = fresh(named(**ann), named(**bob), named(anonymous=shared))
    assert [place.shopper for place in found.placed] == [
        the_id(customer="ann"),
        the_id(customer="bob"),
        the_id(customer="bob"),
    ]
    assert not found.merges
    assert found.repoints == [Repoint(the_id(anonymous=shared), the_id(customer="ann"), the_id(customer="bob"))]


def test_between_two_customers_the_strongest_reference_decides() -> None:
    ann, bob = named(customer="ann", cart="k"), named(customer="bob", email="b@example.com")
    found = fresh(ann, bob, named(email="b@example.com", cart="k"))
    assert found.placed[2].shopper == the_id(customer="bob")
    assert not found.merges


def test_a_shopper_without_customer_becomes_the_customer() -> None:
    found = fresh(named(cart="k"), named(cart="k", customer="ann"))
    assert {place.shopper for place in found.placed} == {the_id(cart="k")}
    assert found.customers == {the_id(cart="k"): the_id(customer="ann")}


def test_a_merge_that_was_not_settled_is_published_again_once() -> None:
    merge = Merge("a", "b")
    known = {the_id(cart="k"): Known("b", "a", None, (merge,)), the_id(order="o"): Known("b", "a", None, (merge,))}
    found = resolve([named(cart="k"), named(order="o", cart="k")], known)
    assert [place.merges for place in found.placed] == [(merge,), ()]
    assert found.unsettled == [merge]
    assert not found.claiming


def test_a_forgotten_reference_still_leads_to_whom_its_shopper_was_merged_into() -> None:
    cart = the_id(cart="k")
    found = resolve([named(cart="k")], {cart: Known(None, "a")})
    assert found.placed[0].shopper == "a"
    assert found.claims == {cart: "a"}
    assert found.expected == {"a": None}


def test_an_erasure_is_about_all_but_another_customer() -> None:
    asked = named(customer="ann", email="e", phone="p", cart="k")
    customer, email, phone, cart = asked.refs
    known = {
        customer: Known("ann", "ann", customer),
        email: Known("bob", "bob", "bob's"),
        phone: Known("old", "new", None, (Merge("new", "old"),)),
        cart: Known(),
    }
    assert erased(asked, known) == ["old", "ann", "new", cart]


@given(st.lists(ANYBODY, min_size=1, max_size=9).flatmap(lambda all_: st.tuples(st.just(all_), st.permutations(all_))))
def test_the_order_of_arrival_changes_only_ids(orders: tuple[list[dict[str, str]], list[dict[str, str]]]) -> None:
    groups = Groups()
    for refs in orders[0]:
        groups.join(named(**refs).refs)
    expected = partition({repr(sorted(refs.items())): groups.find(named(**refs).refs[0]) for refs in orders[0]})
    for order in orders:
        shoppers = whose(fresh(*(named(**refs) for refs in order)))
        told = {repr(sorted(refs.items())): shopper for refs, shopper in zip(order, shoppers, strict=True)}
        assert partition(told) == expected


@given(st.lists(CUSTOMERS, min_size=1, max_size=12))
def test_a_shopper_has_one_customer_at_most(all_refs: list[dict[str, str]]) -> None:
    shoppers = whose(fresh(*(named(**refs) for refs in all_refs)))
    pairs = [
        (refs["customer"], shopper) for refs, shopper in zip(all_refs, shoppers, strict=True) if "customer" in refs
    ]
    assert len({shopper for _, shopper in pairs}) == len({customer for customer, _ in pairs}) == len(set(pairs))


@given(st.lists(CUSTOMERS, min_size=1, max_size=12))
def test_merges_go_to_smaller_ids(all_refs: list[dict[str, str]]) -> None:
    found = fresh(*(named(**refs) for refs in all_refs))
    assert all(merge.winner < merge.loser for merge in found.merges)
    assert len({merge.loser for merge in found.merges}) == len(found.merges)


def test_a_resolution_without_changes_is_empty() -> None:
    assert resolve([], {}) == Resolution()
    assert not any(getattr(Resolution(), one.name) for one in fields(Resolution))

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outreach.text import OPT_OUT, SMS_SEPTETS, septets, text
from ringback.records import Channel, Item
from tests.outreach.messages import message


def item(title: str | None, price: int = 100, quantity: int = 1) -> Item:
    return Item(product_id="p", title=title, unit_price=price, quantity=quantity)


def test_a_message_says_who_writes_what_is_left_and_how_to_answer() -> None:
    assert text(message(), "Acme") == (
        "Hi Ada, this is Acme. You left Blue mug and 1 more in your cart. "
        "Any questions? Just reply and we will help. Reply STOP to opt out."
    )


def test_the_dearest_line_is_named() -> None:
    items = (item("Pen", 500), item("Lamp", 300, quantity=2), item("Cup", 100))
    assert "You left Lamp and 2 more in" in text(message(items=items), "Acme")


def test_without_a_title_pieces_are_counted() -> None:
    assert "You left 3 items in your cart" in text(message(items=(item(None, quantity=3),)), "Acme")
    assert "You left 1 item in your cart" in text(message(items=(item(None),)), "Acme")
    assert "your cart is still here" in text(message(items=()), "Acme")


@pytest.mark.parametrize(
    "name", ["Win at evil.example", "evil.example", "http://evil", "+12125550100", "a" * 21, "", "  ", "<b>", None]
)
def test_a_name_that_is_no_name_is_left_out(name: str | None) -> None:
    said = text(message(name=name), "Acme")
    assert said.startswith(("Hi, this is Acme.", "Hi Win, this is Acme."))
    assert "evil" not in said


@pytest.mark.parametrize("name", ["Jean-Luc Picard", "D'Arcy", "Zoé", "Ørjan"])
def test_the_first_name_greets(name: str) -> None:
    assert f"Hi {name.split(maxsplit=1)[0]}, this is" in text(message(name=name, channel=Channel.CHAT), "Acme")


@pytest.mark.parametrize(
    "title", ["Buy at shop.example", "https://x", "a@b", "call 212 555-0100", "call +1 (212) 555-0100", "v1.evil"]
)
def test_a_title_that_leads_elsewhere_is_left_out(title: str) -> None:
    assert "You left 1 item in" in text(message(items=(item(title),)), "Acme")


def test_an_ordinary_title_is_kept() -> None:
    for title in ("TV 42.5 in, 2024 model", "No. 5 soap", "Tea 2 x 250 g"):
        assert f"You left {title} in" in text(message(items=(item(title),)), "Acme")


def test_typography_becomes_gsm() -> None:
    said = text(message(items=(item("Baker\N{RIGHT SINGLE QUOTATION MARK}s\ndozen \N{EN DASH} 13"),)), "Acme")
    assert "You left Baker's dozen - 13 in" in said


def test_a_name_that_gsm_does_not_have_is_left_out_of_an_sms_but_not_of_a_chat() -> None:
    assert text(message(name="Łucja"), "Acme").startswith("Hi, this is Acme.")
    assert text(message(name="Łucja", channel=Channel.CHAT), "Acme").startswith("Hi Łucja, this is Acme.")


def test_a_shop_that_gsm_does_not_have_still_says_how_to_opt_out() -> None:
    said = text(message(), "Łódź")
    assert said == f"Łódź: your cart is still here. Questions? Just reply. {OPT_OUT}"


def test_septets_count_escaped_characters_twice() -> None:
    assert septets("abc") == 3
    assert septets("10 €") == 5
    assert septets("Ł") is None


items = st.lists(
    st.builds(item, st.none() | st.text(max_size=120), st.integers(0, 10**13), st.integers(1, 100_000)),
    max_size=5,
)


@given(name=st.none() | st.text(max_size=60), items=items, shop=st.text("ABCdef 'é&-", min_size=1, max_size=40))
def test_an_sms_fits_in_one_part_and_has_its_opt_out(name: str | None, items: list[Item], shop: str) -> None:
    said = text(message(name=name, items=tuple(items)), shop)
    length = septets(said)
    assert length is not None
    assert length <= SMS_SEPTETS
    assert said.endswith(OPT_OUT)
    assert " ".join(shop.split()) in said
    assert "\n" not in said


@given(name=st.text(max_size=60), title=st.text(max_size=120))
def test_no_message_holds_an_address(name: str, title: str) -> None:
    said = text(message(name=f"evil.example {name}", items=(item(f"{title} http://x"),), channel=Channel.CHAT), "Acme")
    assert "evil.example" not in said
    assert "//" not in said

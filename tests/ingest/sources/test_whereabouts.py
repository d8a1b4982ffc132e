"""Where a shopper is, as each platform tells it: by the address, and by the network where the platform looked it up."""

from typing import Any

import pytest

from ingest.source import Shop
from ingest.sources import SOURCES
from ringback.records import CartEvent, Shopper
from tests.ingest.sources.samples import fixture, parsed

Where = tuple[str | None, str | None, str | None]

NEW_YORK = {"country_code": "US", "province_code": "NY"}
MIAMI = {"country_code": "US", "province_code": "FL"}
LONDON = {"country_code": "GB", "province_code": "ENG"}


def told(platform: str, name: str, /, **changes: Any) -> Shopper:
    """The shopper of a fixture with some of its body's fields changed."""
    sample = fixture(platform, name)
    headers = {header.lower(): value for header, value in sample["headers"].items()}
    shop = Shop(platform, "example", currency="USD", country="US")
    one, *_ = parsed(SOURCES[platform], shop, headers, {**sample["body"], **changes})
    assert isinstance(one, CartEvent)
    return one.shopper or Shopper()


def where(shopper: Shopper) -> Where:
    return shopper.country, shopper.region, shopper.ip_timezone


@pytest.mark.parametrize(
    ("shipping", "billing", "default", "country", "region"),
    [
        (MIAMI, NEW_YORK, LONDON, "US", "US-FL"),
        (None, NEW_YORK, MIAMI, "US", "US-NY"),
        (None, None, MIAMI, "US", "US-FL"),
        (LONDON, NEW_YORK, None, "GB", "GB-ENG"),
        ({"country_code": "US", "province": "Florida"}, NEW_YORK, None, "US", "US-NY"),
        ({"country_code": "GB"}, NEW_YORK, None, "GB", None),
        ({"province_code": "FL"}, None, None, "US", None),
        ({"country_code": "us", "province_code": "fl"}, None, None, "US", "US-FL"),
        ({"country_code": "JP", "province_code": "JP-13"}, None, None, "JP", "JP-13"),
        ({"country_code": "US", "province_code": ["FL"]}, None, None, "US", None),
        ({"country_code": "US", "province_code": "F" * 9000}, None, None, "US", None),
    ],
)
def test_shopify(shipping: object, billing: object, default: object, country: str, region: str | None) -> None:
    customer = {"default_address": default}
    shopper = told("shopify", "checkouts-update", shipping_address=shipping, billing_address=billing, customer=customer)
    assert where(shopper) == (country, region, None)


def test_shopifys_customers_live_at_their_default_address() -> None:
    assert where(told("shopify", "customers-update", default_address=MIAMI)) == ("US", "US-FL", None)


@pytest.mark.parametrize(
    ("shipping", "billing", "country", "region"),
    [
        ({"country": "US", "state": "FL"}, {"country": "US", "state": "NY"}, "US", "US-FL"),
        ({}, {"country": "US", "state": "NY"}, "US", "US-NY"),
        ([], {"country": "US", "state": "NY"}, "US", "US-NY"),
        ({"country": "US", "state": ""}, {"country": "US", "state": "NY"}, "US", "US-NY"),
        ({"country": "GB", "state": ""}, {"country": "US", "state": "NY"}, "GB", None),
        ({"country": "GB", "state": "Greater London"}, {}, "GB", None),
        ({"country": "JP", "state": "JP13"}, {}, "JP", None),
        ({"country": "BG", "state": "BG-01"}, {}, "BG", "BG-01"),
        ({"country": "US", "state": 12}, {}, "US", "US-12"),
    ],
)
@pytest.mark.parametrize("name", ["order-created", "customer-updated"])
def test_woocommerce(name: str, shipping: object, billing: object, country: str, region: str | None) -> None:
    assert where(told("woocommerce", name, shipping=shipping, billing=billing)) == (country, region, None)


@pytest.mark.parametrize(
    ("address", "country", "region"),
    [
        ({"country": "US", "state": "FL"}, "US", "US-FL"),
        ({"country": "USA", "state": "fl"}, "US", "US-FL"),
        ({"country": "United States", "state": "FL"}, "US", "US-FL"),
        ({"country": "can", "state": "ON"}, "CA", "CA-ON"),
        ({"country": "US", "state": "Florida"}, "US", None),
        ({"country": "Utopia", "state": "FL"}, "US", None),
        ({"state": "FL"}, "US", None),
        ("Miami, FL", "US", None),
    ],
)
def test_segment(address: object, country: str, region: str | None) -> None:
    shopper = told("segment", "identify", traits={"phone": "+12125550123", "address": address})
    assert where(shopper) == (country, region, None)
    assert shopper.timezone == "America/New_York"


@pytest.mark.parametrize("channel", ["web", "mobile"])
def test_rudderstacks_network_of_a_shoppers_own_device(channel: str) -> None:
    context = {"geo": {"country": "US", "region": "Illinois", "timezone": "America/Chicago"}}
    shopper = told("segment", "product-viewed", context=context, channel=channel)
    assert shopper == Shopper(ip_timezone="America/Chicago")


@pytest.mark.parametrize("geo", [{"timezone": "Lake Michigan"}, {"timezone": 7}, {}, [], None, "America/Chicago"])
def test_what_rudderstack_did_not_find(geo: object) -> None:
    assert told("segment", "product-viewed", context={"geo": geo}, channel="web") == Shopper()


@pytest.mark.parametrize("channel", [None, "server", "sources", ["web"], {}])
def test_the_network_of_a_shops_server_is_nobodys(channel: object) -> None:
    context = {"geo": {"timezone": "America/Chicago"}}
    assert told("segment", "product-viewed", context=context, channel=channel) == Shopper()
    assert told("snowplow", "add-to-cart", platform="srv") == Shopper()


@pytest.mark.parametrize(("zone", "found"), [("America/Chicago", "America/Chicago"), ("CST", None), (None, None)])
def test_snowplow(zone: str | None, found: str | None) -> None:
    assert told("snowplow", "add-to-cart", geo_timezone=zone) == Shopper(ip_timezone=found)


@pytest.mark.parametrize(
    ("given", "region", "network"),
    [
        ({"country": "US", "region": "US-FL", "ip_timezone": "America/Chicago"}, "US-FL", "America/Chicago"),
        ({"country": "US", "region": " us-fl"}, "US-FL", None),
        ({"region": "US-FL"}, "US-FL", None),
        ({"country": "GB", "region": "US-FL"}, None, None),
        ({"country": "US", "region": "Florida", "ip_timezone": "Eastern"}, None, None),
        ({"country": "US", "region": "", "ip_timezone": ""}, None, None),
        ({"country": "US", "region": "US-FL" * 9000, "ip_timezone": "A/" * 9000}, None, None),
    ],
)
@pytest.mark.parametrize(("platform", "name"), [("native", "identified"), ("cloudevents", "binary")])
def test_our_own_events(
    platform: str, name: str, given: dict[str, str], region: str | None, network: str | None
) -> None:
    assert where(told(platform, name, shopper=given)) == (given.get("country"), region, network)

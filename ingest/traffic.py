"""Where a visit came from, as far as platforms tell: in their own words, which `scoring.traffic` sorts. Pure.

Of addresses only a campaign's source and medium and the host of the referring page are kept: the rest of a URL may hold
whatever a shop or another site puts into it.
"""

from urllib.parse import parse_qs, urlsplit

from ingest.fields import Json, text

LONGEST = 64
_LONGEST_URL = 4096
_MOST_PARAMETERS = 64


def campaign(node: Json, source: str, medium: str) -> str | None:
    """``google / cpc``, of the fields for source and medium; None where neither is there."""
    given = [told[:LONGEST] for name in (source, medium) if (told := text(node, name))]
    return " / ".join(given) or None


def tagged(url: str | None) -> str | None:
    """The campaign in a landing page's address: Urchin's tags, or Google's own for an advert."""
    try:
        query = urlsplit((url or "")[:_LONGEST_URL]).query
        told = {name: values[0] for name, values in parse_qs(query, max_num_fields=_MOST_PARAMETERS).items()}
    except ValueError:
        return None
    return campaign(told, "utm_source", "utm_medium") or ("google / cpc" if "gclid" in told else None)


def referral(referrer: str | None, page: str | None = None) -> str | None:
    """``blog.example / referral``; None where the referring page is of the shop itself, or unknown."""
    host = _host(referrer)
    return f"{host[:LONGEST]} / referral" if host and host != _host(page) else None


def _host(url: str | None) -> str | None:
    try:
        return urlsplit((url or "")[:_LONGEST_URL]).hostname
    except ValueError:
        return None

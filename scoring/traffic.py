"""Where a visit came from, by the words that platforms use for it (``google / cpc``, ``paid_search``, ``(none)``)."""

from functools import lru_cache

from scoring.words import table, words

LONGEST = 200
SOURCES = ("direct", "search", "advert", "email", "social", "referral")

WORDS = {
    "advert": """
        paid ppc cpc cpm cpv cpa ad ads adwords advert advertising advertisement banner display retargeting remarketing
        sponsored
    """,
    "email": "email mail newsletter mailchimp klaviyo",
    "social": """
        social facebook fb instagram ig tiktok pinterest twitter snapchat linkedin reddit youtube whatsapp messenger
    """,
    "search": "search organic seo google bing yahoo duckduckgo ecosia baidu yandex",
    "referral": "referral referrer referring affiliate partner influencer link",
    "direct": "direct none typein",
}
TABLE = table(WORDS)
# The first of these that a text names holds: paid search is an advert, organic social is social.
_FIRST = tuple(WORDS)


def source(told: str) -> str | None:
    """The traffic source that a platform tells in its own words, one of `SOURCES`; None for an unknown one.

    Each of `SOURCES` is its own source.
    """
    return _source(told[:LONGEST])


@lru_cache(maxsize=1024)
def _source(told: str) -> str | None:
    found = {TABLE[word] for word in words(told) if word in TABLE}
    return min(found, key=_FIRST.index, default=None)

"""The endpoints: which shops may send, and by which platform's rules each is understood."""

from collections.abc import Mapping
from dataclasses import dataclass

from ingest.secrets import Secrets
from ingest.source import Shop, Source
from ringback.errors import SettingsError
from ringback.settings import IngestSettings, ShopSettings

# POST /v1/events: events in Ringback's own JSON that name their source themselves, signed with ingest.secret.
DEFAULT = "native:default"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One shop on one platform. ``window`` is how far a signed timestamp may be from the clock, seconds; 0: any."""

    shop: Shop
    source: Source
    secrets: Secrets
    window: float


def endpoints(settings: IngestSettings, sources: Mapping[str, Source]) -> dict[str, Endpoint]:
    """Every endpoint by ``platform:name``, `DEFAULT` among them. Raises `SettingsError`."""
    shops = {DEFAULT: ShopSettings(), **settings.shops}
    found = {key: _endpoint(key, shop, sources) for key, shop in shops.items()}
    default = shops[DEFAULT]
    secrets = Secrets((settings.secret, *default.secrets), default.secret_file)
    found[DEFAULT] = Endpoint(found[DEFAULT].shop, found[DEFAULT].source, secrets, default.replay_window)
    return found


def _endpoint(key: str, settings: ShopSettings, sources: Mapping[str, Source]) -> Endpoint:
    platform, _, name = key.partition(":")
    consent = {str(channel): path for channel, path in settings.consent.items()}
    shop = Shop(platform, name, settings.currency, settings.country, consent)
    try:
        secrets = Secrets(settings.secrets, settings.secret_file)
    except SettingsError as error:
        raise SettingsError(f"ingest.shops.{key}.secret_file: {error}") from None
    return Endpoint(shop, sources[platform], secrets, settings.replay_window)

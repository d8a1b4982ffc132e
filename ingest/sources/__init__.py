"""The platforms whose events are taken as they come, one module each."""

from ingest.source import Source
from ingest.sources import cloudevents, ga4, native, segment, shopify, snowplow, woocommerce

SOURCES: dict[str, Source] = {
    module.SOURCE.name: module.SOURCE for module in (native, shopify, segment, woocommerce, cloudevents, ga4, snowplow)
}

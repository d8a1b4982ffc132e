"""Webhooks and logs in: one module a source, each parsed by pure code into canonical cart events."""

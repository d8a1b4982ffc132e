"""Outreach: SMS and chat messages, each sent at most once, to people who may have it."""

"""Ringback calls shoppers back while they can still be won."""

__version__ = "0.1.0"

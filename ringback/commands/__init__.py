"""The commands that are about one subject, each in a file; `ringback.cli` puts them together."""

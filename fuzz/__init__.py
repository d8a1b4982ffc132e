"""Bodies that nobody would send on purpose, for all that reads what shops send: `make fuzz`."""

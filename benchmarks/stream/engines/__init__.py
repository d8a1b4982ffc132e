"""One module an engine, each a program of its own; `benchmarks.stream.engine` says what it is called with."""

"""The same stream job in Ringback and in its peers, on one Apache Kafka, in turn: `python -m benchmarks.stream`."""

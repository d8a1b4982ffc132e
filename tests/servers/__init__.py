"""The real servers that the tests talk to: Apache Kafka, Redis and Asterisk, each on a free loopback port."""

"""The real servers that the tests talk to, such as Apache Kafka, Redis and Asterisk, each on a free loopback port."""

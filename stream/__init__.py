"""Follows every cart on Kafka, judges abandonment by event time, and decides what each due cart is worth."""

"""A shop full of shoppers and a telephone network, for the demo and for tests."""

"""The dialer: from the hopper of leads to an agent who talks."""

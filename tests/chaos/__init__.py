"""Helpers of the chaos test: what is fed, who disturbs, and the ledger that is drawn up at the end."""

"""One command a claim: ``make bench-NAME`` runs ``benchmarks/NAME.py``."""

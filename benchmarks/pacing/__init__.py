"""How close the pacer comes to the best that is possible, and to what other dialers do: `make bench-pacing`."""

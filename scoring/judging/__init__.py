"""How good a model is: metrics, comparisons, the report."""

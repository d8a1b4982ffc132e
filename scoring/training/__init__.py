"""From rows to a model folder."""

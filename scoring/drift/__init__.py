"""How far today is from what a model was trained on."""

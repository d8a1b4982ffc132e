"""The intent model: features, training, serving."""

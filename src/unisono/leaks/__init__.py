"""Finding what a benchmark shares with the data that a model is trained on."""

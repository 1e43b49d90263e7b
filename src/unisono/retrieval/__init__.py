"""Spaces in which text and music meet: models, checkpoints, metrics, training, evaluation."""

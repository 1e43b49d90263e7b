"""Evaluation: a model and held-out embeddings -> metrics with their protocol."""

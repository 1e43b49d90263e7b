"""Captions from what is known about a track: the vocabulary of tags, and one module for each way to word them."""

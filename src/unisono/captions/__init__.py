"""Captions made from what is known about a track: the ways to caption, and the language models that some of them ask."""

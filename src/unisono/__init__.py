"""One training set out of any mix of music-caption datasets, and models that find music by description."""

__version__ = "0.1.0"

"""Tracks and captions, the files that hold them, and what their fields mean: licences, vocabulary."""

"""Bring releases from their official sources to the disk. Names no dataset."""

"""The published datasets, one module each. Being in this folder registers a dataset."""

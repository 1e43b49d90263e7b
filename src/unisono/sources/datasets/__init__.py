"""The datasets of the family, one module each. Being in this folder registers a dataset."""

"""The quality of a unified file: what of its audio and its captions cannot be meant so."""

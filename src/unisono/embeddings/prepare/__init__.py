"""prepare: a unified file -> `embeddings.h5`."""

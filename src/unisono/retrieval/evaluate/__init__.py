"""evaluate: a checkpoint and held-out embeddings -> numbers with their protocol."""

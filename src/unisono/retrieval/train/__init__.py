"""Training: `embeddings.h5` -> a checkpoint that maps text to where the music is."""

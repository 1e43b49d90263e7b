"""train: `embeddings.h5` -> a checkpoint that puts text where the music is."""

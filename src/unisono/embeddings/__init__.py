"""embeddings.h5: its layout, the encoders that fill it, and the stage that writes it."""

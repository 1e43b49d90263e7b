"""The encoders: `audio` turns windows of music into embeddings, `text` turns captions into them."""

"""The layouts of the official releases, one module each: audio where upstream puts it, metadata as upstream writes it."""

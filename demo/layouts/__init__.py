"""The layouts of the official releases, one module each: upstream's folders for audio, upstream's format of metadata."""

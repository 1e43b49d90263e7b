"""Where tracks come from: published datasets, the user's own music, and their downloads."""

"""Where tracks come from: datasets, a person's own music, and downloads."""

"""download: official sources -> releases on disk. Knows no dataset."""

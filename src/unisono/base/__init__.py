"""What knows nothing of music: errors, files, logging, counts, seeded choices."""

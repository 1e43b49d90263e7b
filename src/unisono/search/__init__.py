"""search: a description -> the tracks that fit it best."""

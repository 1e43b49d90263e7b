"""What is decided over many tracks: completing, filtering, sampling, grouping, splitting, matching, statistics."""

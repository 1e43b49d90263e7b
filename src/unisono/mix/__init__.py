"""What happens to tracks between parsing and writing: filters, sampling, identities, splits. Pure functions on lists."""

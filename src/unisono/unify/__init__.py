"""unify: official releases on disk -> one unified file."""

"""`unisono export`: a trained model as files that other programs read."""

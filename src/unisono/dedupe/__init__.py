"""One record a recording: captions merged with their origins, the best audio kept."""

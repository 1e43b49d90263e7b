"""Search: conditions, playlists, and the web page."""

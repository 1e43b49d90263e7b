"""A person's own music: a catalogue that follows the disk or a media server, and playlists."""

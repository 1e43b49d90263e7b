"""The web page and the HTTP API: searching by description and listening, from a browser or another program."""

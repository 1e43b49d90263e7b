"""`unisono convert`: unified files to and from the formats of other tools, audio included where they can hold it."""

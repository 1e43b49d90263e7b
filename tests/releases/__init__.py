"""Small releases in their official layouts, warts included: one module for each dataset, each with

- `build(root)`: write the release into `root`, the dataset's folder;
- `GOOD`: ids of the tracks whose audio is there and sound;
- `BAD_AUDIO`: id -> what is wrong with its audio (`missing`, `empty`, `truncated`, `not audio`);
- `DROPPED`: reasons that the parser gives for rows that yield no track, with their number.
"""

"""Compositions made up for the tests, so that they need not read music21's corpus."""

from demo.scores import Mode, Note, Work


def tune(mode: Mode = "major") -> Work:
    """A scale up and down in G, in quarter notes of 4/4, 64 of them."""
    steps = {"major": (0, 2, 4, 5, 7, 9, 11, 12), "minor": (0, 2, 3, 5, 7, 8, 10, 12)}[mode]
    pitches = [67 + step for step in (*steps, *reversed(steps))] * 4
    melody = tuple(Note(float(beat), 1.0, pitch) for beat, pitch in enumerate(pitches))
    return Work(
        source=f"made-up/{mode}.abc",
        title="Scale",
        form="reel",
        parts=(melody,),
        bars=tuple(float(bar) for bar in range(0, 64, 4)),
        beat=1.0,
        length=64.0,
        tonic=7,
        mode=mode,
    )


def chorale() -> Work:
    """Triads in C, in quarter notes of 4/4, 40 of them."""
    parts = tuple(
        tuple(Note(float(beat), 1.0, pitch + (0, 5, 7, 0)[beat % 4]) for beat in range(40))
        for pitch in (72, 67, 64, 48)
    )
    return Work("made-up/chorale.mxl", "Triads", "chorale", parts, tuple(range(0, 40, 4)), 1.0, 40.0, 0, "major")

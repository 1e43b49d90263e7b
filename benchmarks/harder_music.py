"""Make music that is harder than the demo's, for benchmarks/experiments.py.

    python -m benchmarks.harder_music [--root data/harder] [--clips 2000] [--soundfont FluidR3_GM.sf2]

The demo's compositions and arrangements, with what real recordings vary in: twice as many instruments, each in several
presets of one or more soundfonts; detuning, balance and panning; rooms, equalization, narrow bands and noise. Four clips of
9 s are made of each composition. Held out: every fifth composition (split `test`), every tenth (`val`); and `UNHEARD`
instruments, which only some clips of the test compositions feature (`UNHEARD_TAG` among a record's tags). Writes
`<root>/unified.json` and mp3 files. Finished files are not made again; the same settings make the same music.
"""

import argparse
import json
import re
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from demo import captions, render
from demo.arrange import DRUM_TRACK, Clip, Facts, arrange, plan
from demo.instruments import ENSEMBLES, INSTRUMENTS, LEADS, Instrument
from demo.render import DRUM_CHANNEL, MAX_ATTEMPTS, PEAK, TICKS_PER_SECOND, near_silent, read_works, soundfont
from demo.scores import Work, sources
from unisono.base.cores import available_cores
from unisono.base.files import whole_file, write_whole
from unisono.base.progress import progress
from unisono.base.seeded import rank_key, rng
from unisono.commands import console

SEED, SECONDS, RATE_HZ, CLIPS_PER_WORK, TAIL = 7, 9.0, 22_050, 4, 2.0
BATCH = 24
"""Clips that one call of the synthesizer plays, one after the other: it reads the soundfont at each call."""
MORE = (
    Instrument("electric piano", 4, 36, 84), Instrument("celesta", 8, 60, 96), Instrument("glockenspiel", 9, 67, 96),
    Instrument("vibraphone", 11, 53, 89), Instrument("xylophone", 13, 65, 96), Instrument("dulcimer", 15, 52, 83),
    Instrument("harmonica", 22, 60, 84), Instrument("piccolo", 72, 74, 98), Instrument("recorder", 74, 60, 86),
    Instrument("pan flute", 75, 60, 86), Instrument("ocarina", 79, 60, 84), Instrument("synthesizer", 81, 48, 84),
    Instrument("English horn", 69, 52, 81), Instrument("sitar", 104, 48, 77), Instrument("shamisen", 106, 50, 79),
    Instrument("koto", 107, 55, 84), Instrument("kalimba", 108, 60, 84), Instrument("bagpipe", 109, 55, 86),
    Instrument("steel drum", 114, 60, 84), Instrument("bass guitar", 33, 28, 55),
)  # fmt: skip
INSTRUMENTS.update({each.name: each for each in MORE})
IN_PARTS = (
    "electric piano",
    "vibraphone",
    "string orchestra",
    "marimba",
    "recorder",
    "synthesizer",
    "koto",
    "dulcimer",
)
ENSEMBLES.update({name: (name,) * 4 for name in IN_PARTS})
PRESETS: dict[str, tuple[int, ...]] = {
    "piano": (0, 1, 3), "organ": (16, 17, 18, 19, 20), "accordion": (21, 23), "acoustic guitar": (24, 25),
    "electric guitar": (29, 30), "violin": (40, 110), "string orchestra": (48, 49, 44), "choir": (52, 53),
    "trumpet": (56, 59), "saxophone": (64, 65, 66, 67), "electric piano": (4, 5), "synthesizer": (80, 81, 87, 90),
    "bass guitar": (32, 33, 34, 36),
}  # fmt: skip
"""General MIDI programs by which an instrument sounds, where there are several."""
PLAIN = {
    "church organ": "organ", "pipe organ": "organ", "classical guitar": "acoustic guitar", "alto saxophone": "saxophone",
    "nylon-string guitar": "acoustic guitar",
}  # fmt: skip
"""Names that are true of one preset only -> the name to write."""
UNHEARD = ("harpsichord", "banjo", "xylophone", "pan flute", "harmonica", "harp")
"""Instruments that no clip of train and val features, and no caption of theirs names."""
UNHEARD_TAG = "unheard instrument"

Audio = NDArray[np.float32]


@dataclass(frozen=True)
class Wanted:
    """A clip to make."""

    work: Work
    number: int
    lead: str
    path: Path
    font: Path

    @property
    def facts_path(self) -> Path:
        """The file of its facts; written last."""
        return self.path.with_suffix(".json")


def cast(works: Sequence[Work], root: Path, fonts: Sequence[Path]) -> list[Wanted]:
    """List the clips: split by composition, leads dealt from shuffled decks; one in four of the test is unheard."""
    decks: dict[tuple[bool, bool], list[str]] = {}
    found = []
    for at, work in enumerate(works):
        for number in range(CLIPS_PER_WORK):
            in_parts, unheard = len(work.parts) > 1, split_of(at) == "test" and number == 0
            deck = decks.setdefault((in_parts, unheard), [])
            if not deck:
                names = ENSEMBLES if in_parts else (*LEADS, *(each.name for each in MORE))
                deck += [name for name in names if (name in UNHEARD) == unheard]
                rng(SEED, "deck", in_parts, unheard, at).shuffle(deck)
            font = fonts[rank_key(SEED, "font", work.source, number) % len(fonts)]
            found.append(Wanted(work, number, deck.pop(), root / f"audio/{at:04d}_{number}.mp3", font))
    return found


def midi(clips: Sequence[tuple[Wanted, Clip]]) -> bytes:
    """Encode clips one after the other, each with presets, balance, panning and tuning of its own."""
    import mido

    timed: list[tuple[int, int, mido.Message]] = []  # at the same time: settings, then note ends, then note starts
    for at, (wanted, clip) in enumerate(clips):
        began, random_ = at * (SECONDS + TAIL), rng(SEED, "mix", wanted.work.source, wanted.number)
        free = iter(channel for channel in range(16) if channel != DRUM_CHANNEL)
        channels: dict[str, int] = {}
        for sound in clip.sounds:
            if sound.track not in channels:
                drums = sound.track == DRUM_TRACK
                channel = channels[sound.track] = DRUM_CHANNEL if drums else next(free)
                setting = round(began * TICKS_PER_SECOND)
                for control, value in ((7, random_.randint(70, 127)), (10, random_.randint(24, 104)), (91, 0)):
                    message = mido.Message("control_change", channel=channel, control=control, value=value)
                    timed.append((setting, 0, message))
                if not drums:
                    program = random_.choice(PRESETS.get(sound.track, (INSTRUMENTS[sound.track].program,)))
                    timed.append((setting, 0, mido.Message("program_change", channel=channel, program=program)))
                    bend = random_.randint(-800, 800)  # 20 hundredths of a semitone
                    timed.append((setting, 0, mido.Message("pitchwheel", channel=channel, pitch=bend)))
            note = {"channel": channels[sound.track], "note": sound.pitch}
            start = round((began + 0.01 + sound.start) * TICKS_PER_SECOND)
            end = start + max(1, round(sound.length * TICKS_PER_SECOND))
            timed.append((start, 2, mido.Message("note_on", velocity=sound.velocity, **note)))
            timed.append((end, 1, mido.Message("note_off", **note)))
    return render.midi_file(timed)


def play(clips: Sequence[tuple[Wanted, Clip]]) -> list[Audio]:
    """Synthesize clips that share a soundfont: each [samples], mono."""
    import midirenderer
    import soundfile
    import soxr

    wave = midirenderer.render_wave_from(_bytes(clips[0][0].font), midi(clips))
    rendered, rate_hz = soundfile.read(BytesIO(wave), dtype="float32", always_2d=True)
    mono = soxr.resample(rendered.mean(axis=1), rate_hz, RATE_HZ)
    length = round(SECONDS * RATE_HZ)
    found = []
    for at in range(len(clips)):
        begin = round(at * (SECONDS + TAIL) * RATE_HZ)
        audio = np.zeros(length, np.float32)
        audio[: len(mono[begin : begin + length])] = mono[begin : begin + length]
        found.append(audio)
    return found


def record(audio: Audio, wanted: Wanted) -> Audio:
    """Put a clip into a room, in front of a microphone: reverberation, equalization, a narrow band, noise, a level."""
    random_ = rng(SEED, "room", wanted.work.source, wanted.number)
    noise = np.random.default_rng(rank_key(SEED, "noise", wanted.work.source, wanted.number))
    size = 2 * len(audio)
    spectrum = np.fft.rfft(audio, size)
    if random_.random() < 0.8:
        seconds, wet = random_.uniform(0.2, 2.0), random_.uniform(0.1, 0.6)
        times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
        tail = noise.standard_normal(len(times)) * 10 ** (-3 * times / seconds)  # down by 60 dB at the end
        spectrum = spectrum * ((1 - wet) + wet * np.fft.rfft(tail / np.linalg.norm(tail), size))
    hz = np.fft.rfftfreq(size, 1 / RATE_HZ)
    points = np.log2([20, 100, 400, 1600, 6400, 11025])
    gains_db = np.interp(np.log2(hz + 20), points, [random_.uniform(-7, 7) for _ in points])
    if random_.random() < 0.3:
        gains_db -= 24 * np.maximum(0, np.log2((hz + 1) / random_.uniform(3000, 7000)))
    audio = np.fft.irfft(spectrum * 10 ** (gains_db / 20), size)[: len(audio)].astype(np.float32)
    level = float(np.sqrt(np.mean(audio**2)))
    if random_.random() < 0.6:
        pink = np.fft.irfft(
            np.fft.rfft(noise.standard_normal(len(audio))) / np.sqrt(np.arange(len(audio) // 2 + 1) + 50)
        )
        pink = np.resize(pink, len(audio))
        audio = audio + (pink / pink.std() * level * 10 ** (-random_.uniform(15, 45) / 20)).astype(np.float32)
    return (audio * np.float32(PEAK * 10 ** (-random_.uniform(0, 12) / 20) / np.abs(audio).max())).astype(np.float32)


def make(batch: Sequence[Wanted]) -> None:
    """Make clips that share a soundfont; another arrangement of those that are near silent."""
    import soundfile

    for attempt in range(MAX_ATTEMPTS):
        clips = []
        for wanted in batch:
            random_ = rng(SEED, wanted.work.source, wanted.number, attempt)
            clips.append((wanted, arrange(wanted.work, plan(wanted.work, wanted.lead, random_), SECONDS, random_)))
        again = []
        for (wanted, clip), audio in zip(clips, play(clips), strict=True):
            peak = float(np.abs(audio).max())
            if peak == 0 or near_silent(audio[None] * np.float32(PEAK / peak), RATE_HZ):
                again.append(wanted)
                continue
            with whole_file(wanted.path) as partial:
                soundfile.write(partial, record(audio / np.float32(peak), wanted), RATE_HZ, format="MP3")
            write_whole(wanted.facts_path, json.dumps(asdict(clip.facts)))
        if not (batch := again):
            return
    raise RuntimeError(f"No audible arrangement of {batch[0].work.source} for {batch[0].lead} was found.")


def split_of(composition: int) -> str:
    """Return the split of a composition, by its number."""
    return "test" if composition % 5 == 0 else "val" if composition % 10 == 1 else "train"


def described(facts_path: Path) -> dict[str, Any]:
    """Return the record of a finished clip: two captions as by people, one as by a model."""
    facts = json.loads(facts_path.read_text())
    heard = Facts(**{**facts, "players": tuple(facts["players"])})
    random_ = rng(SEED, "captions", facts_path.stem)
    texts = [*captions.human_captions(heard, 2, random_), captions.model_caption(heard, random_)]
    texts = [_plain(text) for text in texts]
    composition, _, number = facts_path.stem.partition("_")
    return {
        "id": f"harder_{facts_path.stem}",
        "audio_path": str(facts_path.with_suffix(".mp3").resolve()),
        "caption": texts[0],
        "duration": SECONDS,
        "alt_captions": texts[1:],
        "caption_origins": ["human"] * (len(texts) - 1) + ["model"],
        "dataset": "harder",
        "artist": f"Composition {int(composition)}",
        "artist_id": f"harder-artist:{int(composition)}",
        "title": f"{heard.form}, arrangement {number}",
        "genre": "Classical" if heard.form == "chorale" else "Folk",
        "tags": [*captions.tags(heard), *([UNHEARD_TAG] if heard.lead in UNHEARD else [])],
        "split": split_of(int(composition)),
    }


def unify(root: Path) -> int:
    """Write the unified file of all compositions whose clips are finished; return the number of clips."""
    finished: dict[str, list[Path]] = {}
    for path in sorted((root / "audio").glob("*.json")):
        finished.setdefault(path.stem.partition("_")[0], []).append(path)
    records = [described(path) for found in finished.values() if len(found) == CLIPS_PER_WORK for path in found]
    write_whole(root / "unified.json", json.dumps(records, indent=0))
    return len(records)


def _plain(text: str) -> str:
    """Write the names that are true of all presets, with their articles."""
    for name, plain in PLAIN.items():
        article = "an" if plain[0] in "aeiou" else "a"
        text = re.sub(rf"\b([Aa])n? {name}", rf"\g<1>{article[1:]} {plain}", text)
        text = re.sub(rf"\b{name}", plain, re.sub(rf"^{name.capitalize()}", plain.capitalize(), text))
    return text


@cache
def _bytes(font: Path) -> bytes:
    return font.read_bytes()


def _batches(wanted: list[Wanted], fonts: Sequence[Path]) -> list[list[Wanted]]:
    """Cut what is missing into batches that share a soundfont."""
    missing = [each for each in wanted if not each.facts_path.exists()]
    found = []
    for font in fonts:
        its = [each for each in missing if each.font == font]
        found += [its[at : at + BATCH] for at in range(0, len(its), BATCH)]
    return sorted(found, key=lambda batch: batch[0].path)  # so that compositions are finished in turn


def main() -> None:
    """Make the music and its unified file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path("data/harder"))
    parser.add_argument("--clips", type=int, default=2000)
    parser.add_argument("--soundfont", type=Path, nargs="*", default=[], help="more soundfonts (.sf2) to draw from")
    parser.add_argument("--workers", type=int, default=available_cores())
    args = parser.parse_args()
    fonts = [soundfont(), *args.soundfont]
    count = args.clips // CLIPS_PER_WORK
    tunes, chorales = sources(SEED)
    works = read_works(chorales, count // 3, args.workers, "Reading chorales")
    works += read_works(tunes, count - count // 3, args.workers, "Reading fiddle tunes")
    works.sort(key=lambda work: rank_key(SEED, work.source))
    wanted = cast(works, args.root, fonts)
    batches = _batches(wanted, fonts)
    with ProcessPoolExecutor(args.workers, mp_context=get_context("spawn")) as pool, progress("clips") as bar:
        task = bar.add_task("Rendering", total=sum(map(len, batches)))
        for batch, _ in zip(batches, pool.map(make, batches), strict=True):
            bar.advance(task, len(batch))
    console.out.print(f"{unify(args.root)} clips of {len(works)} compositions: {args.root / 'unified.json'}")


if __name__ == "__main__":
    console.configure()
    main()

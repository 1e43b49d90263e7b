"""MusicCaps: ten-second clips of YouTube described by musicians, 2023.

What:       5,521 clips of 10 s from AudioSet, one of each video.
Captions:   one for each clip, written by ten musicians, with a list of aspects that become tags here.
Licences:   captions CC BY-SA 4.0; audio: from YouTube, no licence stated.
Splits:     `is_audioset_eval` marks 2,858 clips, the usual test set, as `test` here; the others are `train`. 1,000 of the
            test clips are balanced by genre: field `is_balanced_subset`.
Source:     https://huggingface.co/datasets/google/MusicCaps (paper: https://arxiv.org/abs/2301.11325)
Known defects:
- No audio is distributed, and videos disappear: tracks without audio on disk are dropped. Files are found as `<id>.wav`,
  `[<id>]-[30-40].wav`, `<id>_30.wav` or `<id>_30_40.wav`, also as flac, mp3, ogg and opus.
- All clips are in MusicBench too; `recording` identifies them. 107 ids begin with a hyphen.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from unisono.base.tally import Dropped
from unisono.sources.base import Dataset, HubFiles, ParseOptions
from unisono.sources.cells import list_literal, seconds, tidy_tags
from unisono.sources.datasets._youtube import audio_names, is_youtube_id
from unisono.sources.readers import CsvTable
from unisono.tracks.track import Track, captions_of

TABLE = "musiccaps-public.csv"
_COLUMNS = ("ytid", "start_s", "end_s", "aspect_list", "caption")


FILES = (
    HubFiles(
        repo="google/MusicCaps",
        revision="main",
        patterns=(TABLE,),
        checksums={TABLE: "md5:a9e402b1c2620cd1f72a5729777ea9a7"},
        size=2_933_962,
    ),
)


def parse(root: Path, options: ParseOptions) -> Iterator[Track | Dropped]:
    """Read `musiccaps-public.csv`."""
    table = CsvTable(root / "musiccaps-public.csv", root, _COLUMNS, optional=("is_balanced_subset", "is_audioset_eval"))
    for row in table:
        if isinstance(row, Dropped):
            yield row
            continue
        number, (youtube_id, start, end, aspects, caption, is_balanced, is_eval) = row
        start_s, end_s = seconds(start), seconds(end)
        if not is_youtube_id(youtube_id):
            yield table.malformed(
                number, f"field 'ytid': expected the 11 characters of a YouTube id, found {youtube_id!r}"
            )
            continue
        if start_s >= end_s:
            yield table.malformed(number, f"expected start_s < end_s, found {start!r} and {end!r}")
            continue
        try:
            tags = list_literal(aspects)
        except ValueError as error:
            yield table.malformed(number, f"field 'aspect_list': {error}")
            continue
        caption = caption.strip()
        yield Track(
            id=f"musiccaps_{youtube_id}",
            audio_path=f"{youtube_id}.wav",
            captions=captions_of([caption], "human"),
            duration=end_s - start_s,
            dataset="musiccaps",
            tags=tidy_tags(tags),
            recording=f"youtube:{youtube_id}",
            split="test" if is_eval == "True" else "train" if is_eval == "False" else None,
            url=f"https://www.youtube.com/watch?v={youtube_id}&t={start_s:g}",
            extra={"is_balanced_subset": True} if is_balanced == "True" else {},
        )


def _audio_names(track: Track) -> Iterable[str]:
    start_s = float(track.url.rpartition("=")[2])
    return audio_names(track.audio_path.removesuffix(".wav"), start_s, start_s + track.duration)


DATASET = Dataset(
    name="musiccaps",
    title="MusicCaps",
    homepage="https://huggingface.co/datasets/google/MusicCaps",
    parse=parse,
    marker_files=("musiccaps-public.csv",),
    audio_folders=("audio", "wav", ".", "audio/**"),
    audio_names=_audio_names,
    captions={"human": 5521},
    tracks=5521,
    caption_license="CC BY-SA 4.0",
    audio_license="not given (YouTube)",
    files=FILES,
    not_fetched="MusicCaps has no audio. Put the clips that you have into data/raw/musiccaps/audio/, named <id>.wav.",
)

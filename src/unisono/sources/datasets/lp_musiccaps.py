"""LP-MusicCaps: several machine captions for each track of three sets of music, 2023. Text only.

What:       MC (the clips of MusicCaps), MTT (22,000 clips of MagnaTagATune) and MSD (500,000 songs of the Million Song
            Dataset).
Captions:   by a model (GPT-3.5), from tags: `caption_writing`, `caption_summary` and `caption_paraphrase`. The
            fourth, `caption_attribute_prediction`, is left out, as its authors do not recommend it.
Licences:   captions MIT; those of MC build on MusicCaps' (CC BY-SA 4.0); audio: none, bring your own.
Splits:     those of the file names: train, valid and test.
Source:     https://github.com/seungheondoh/lp-music-caps (paper: https://arxiv.org/abs/2307.16372)
Known defects:
- Some 4,000 rows of MTT have neither tags nor captions.
- MC's clips are those of MusicCaps and MusicBench; `recording` identifies them.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from unisono.base.tally import Dropped
from unisono.sources.base import Dataset, ParseOptions
from unisono.sources.cells import tidy_tags, year_field
from unisono.sources.datasets._youtube import audio_names, is_youtube_id
from unisono.sources.readers import parquet_rows
from unisono.tracks.track import Split, Track, captions_of

SPLITS: dict[str, Split] = {"train": "train", "valid": "val", "validation": "val", "test": "test"}
_CAPTIONS = ("caption_writing", "caption_summary", "caption_paraphrase")
_FACTS = ("fname", "ytid", "start_s", "end_s", "track_id", "path", "title", "artist_name", "tag", "aspect_list")
_CLIP = re.compile(r"\[(?P<ytid>[\w-]{11})\]-\[(?P<start>[\d.]+)-(?P<end>[\d.]+)\]")


def parse(root: Path, options: ParseOptions) -> Iterator[Track | Dropped]:
    """Read all Parquet files in the folder, at any depth."""
    for path in sorted(root.glob("**/*.parquet")):
        split = SPLITS.get(re.split(r"[-_.]", path.name)[0])
        for where, row in parquet_rows(path, root, (*_CAPTIONS, *_FACTS, *(("year",) if options.years else ()))):
            yield _track(where, row, split)


def _track(where: str, row: dict[str, Any], split: Split | None) -> Track | Dropped:
    captions = list(dict.fromkeys(text for name in _CAPTIONS if (text := str(row.get(name) or "").strip())))
    clip = _CLIP.fullmatch(str(row.get("fname") or ""))
    youtube_id = str(row.get("ytid") or "") or (clip["ytid"] if clip else "")
    upstream_id = youtube_id or str(row.get("track_id") or "")
    if not upstream_id:
        return Dropped(id=where, reason="no id", detail="expected ytid, fname or track_id")
    artist = str(row.get("artist_name") or "")
    tags = row.get("tag") or row.get("aspect_list") or []
    path = str(row.get("path") or "") or (f"{clip[0]}.wav" if clip else f"{upstream_id}.mp3")
    return Track(
        id=f"lp_musiccaps_{upstream_id}",
        audio_path=path.lstrip("/"),
        captions=captions_of(captions, "model"),
        duration=float(clip["end"]) - float(clip["start"]) if clip else 0,
        dataset="lp_musiccaps",
        artist=artist,
        title=str(row.get("title") or ""),
        tags=tidy_tags([str(tag) for tag in tags] if isinstance(tags, list) else [], artist=artist),
        recording=_recording(upstream_id),
        split=split,
        extra=year_field(row.get("year")),
    )


def _recording(upstream_id: str) -> str:
    """Return the recording's identity, by the form of the id."""
    if is_youtube_id(upstream_id):
        return f"youtube:{upstream_id}"
    return f"msd:{upstream_id}" if upstream_id.startswith("TR") else f"magnatagatune:{upstream_id}"


def _audio_names(track: Track) -> Iterator[str]:
    stem = PurePosixPath(track.audio_path).stem
    if clip := _CLIP.fullmatch(stem):
        yield from audio_names(clip["ytid"], float(clip["start"]), float(clip["end"]))
    name = track.id.removeprefix("lp_musiccaps_")
    yield from (f"{name}.{ending}" for ending in ("mp3", "wav", "flac", "ogg"))


DATASET = Dataset(
    name="lp_musiccaps",
    title="LP-MusicCaps",
    homepage="https://github.com/seungheondoh/lp-music-caps",
    parse=parse,
    marker_files=("**/*.parquet",),
    audio_folders=("audio", ".", "audio/**"),
    audio_names=_audio_names,
    captions={"model": 2_310_000},
    tracks=527_000,
    caption_license="MIT",
    audio_license="none: bring your own",
    not_fetched="LP-MusicCaps has no audio. Put what you have into data/raw/lp_musiccaps/audio/.",
)

"""A description of a converted dataset in Croissant 1.0, the JSON-LD vocabulary for datasets of MLCommons.

What it is is described at https://docs.mlcommons.org/croissant/docs/croissant-spec.html.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from unisono.base.errors import UsageError
from unisono.tracks.record import Entry, to_fields
from unisono.tracks.track import UNKNOWN_LICENSE

CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
REQUIRED = ("@context", "@type", "name", "conformsTo", "description", "license", "url", "creator", "datePublished")
_ASKED = {"url": "--url", "creator": "--creator", "published": "--published"}
_FORMATS = {
    ".json": "application/json",
    ".jsonl": "application/jsonlines",
    ".csv": "text/csv",
    ".parquet": "application/x-parquet",
    ".tar": "application/x-tar",
}
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_FIELDS: dict[str, str] = {
    "id": "Unique in the dataset.",
    "audio_path": "Where the audio was when this was written.",
    "caption": "The primary description.",
    "duration": "Seconds of audio that the record stands for.",
    "alt_captions": "Further descriptions of the same audio.",
    "dataset": "The dataset that it is from.",
    "artist": "Who made the music.",
    "title": "What the music is called.",
    "genre": "The main genre.",
    "tags": "Tags, without the genre.",
    "license": "The licence of the audio.",
    "start": "Seconds into the file where the described excerpt begins.",
    "recording": "Identity of the recording across datasets.",
    "artist_id": "Identity of the artist across datasets.",
    "split": "train, val or test.",
    "caption_origin": "Who wrote the captions: human, model or tags.",
    "attribution": "The line that the licence asks to be shown.",
    "url": "Where the track is from.",
    "sha256": "Hash of the audio file.",
}
_REPEATED = ("alt_captions", "tags")
_NUMBERS = ("duration", "start")


@dataclass
class Seen:
    """What passed by: counts for the description."""

    tracks: int = 0
    seconds: float = 0.0
    datasets: Counter[str] = field(default_factory=Counter)
    licenses: Counter[str] = field(default_factory=Counter)
    fields: Counter[str] = field(default_factory=Counter)
    """How many records hold a field."""

    def add(self, track: Entry) -> None:
        """Count a track."""
        self._count(track, 1)

    def remove(self, track: Entry) -> None:
        """Take back a track that could not go on."""
        self._count(track, -1)

    def _count(self, track: Entry, sign: int) -> None:
        self.tracks += sign
        self.seconds += sign * track.duration
        self.datasets[track.dataset] += sign
        self.licenses[track.license] += sign
        for name in to_fields(track):
            self.fields[name] += sign


@dataclass(frozen=True, kw_only=True)
class About:
    """What a Croissant description says that no record tells.

    Raises:
        UsageError: something that Croissant requires is missing.
    """

    url: str = ""
    """The page of the dataset."""
    creator: str = ""
    published: str = ""
    """The day it was published, as YYYY-MM-DD."""
    name: str = ""
    """Name of the dataset; the output's by default."""
    description: str = ""
    """What it is; by default its counts and sources."""

    def __post_init__(self) -> None:
        missing = [option for name, option in _ASKED.items() if not getattr(self, name).strip()]
        if missing:
            raise UsageError(f"A Croissant description requires {', '.join(missing)}.")
        try:
            date.fromisoformat(self.published)
        except ValueError as error:
            raise UsageError(
                f"published: expected a day as YYYY-MM-DD, found {self.published!r}.", parameter="published"
            ) from error


def describe(target: Path, written: Path, seen: Seen, about: About) -> str:
    """Return the description of a file or folder that will be called `target` and lies at `written` while it is hashed."""
    files = sorted(path for path in written.rglob("*") if path.suffix in _FORMATS) if written.is_dir() else [written]
    files = [path for path in files if path.name != "index.json"]
    names = [path.relative_to(written).as_posix() if written.is_dir() else target.name for path in files]
    objects = [_file_object(name, path) for name, path in zip(names, files, strict=True)]
    suffix = Path(names[0]).suffix
    sets, place = _place(names, suffix)
    document = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": about.name or target.stem,
        "description": about.description or _describe(seen),
        "url": about.url,
        "creator": {"@type": "sc:Organization", "name": about.creator},
        "datePublished": about.published,
        "license": _licenses(seen),
        "version": "1.0.0",
        "distribution": [*objects, *sets],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "tracks",
                "name": "tracks",
                "description": "One record a track, or an excerpt of one.",
                "field": _fields(seen, place, suffix),
            }
        ],
    }
    validate(document)
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def validate(document: dict[str, Any]) -> None:
    """Refuse a description that lacks something that Croissant requires.

    Raises:
        ValueError: names the first thing that is missing.
    """
    for name in REQUIRED:
        if not document.get(name):
            raise ValueError(f"{name!r} is missing")
    ids = {item["@id"] for item in document["distribution"]}
    for item in document["distribution"]:
        needed = ("contentUrl", "encodingFormat", "sha256") if item["@type"] == "cr:FileObject" else ("includes",)
        for name in needed:
            if not item.get(name):
                raise ValueError(f"{name!r} of {item['@id']!r} is missing")
    for records in document["recordSet"]:
        for each in records["field"]:
            source = each["source"].get("fileObject") or each["source"].get("fileSet")
            if source["@id"] not in ids:
                raise ValueError(f"the field {each['@id']!r} is taken from {source['@id']!r}, which is not there")


def _file_object(name: str, path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": _FORMATS[Path(name).suffix],
        "sha256": sha256,
    }


def _place(names: Sequence[str], suffix: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Say where the records are: in one file, in shards that are archives, or in the files of a folder."""
    if suffix == ".tar":
        records: dict[str, Any] = {"containedIn": [{"@id": name} for name in names], "includes": "*.json"}
    elif len(names) > 1:
        records = {"includes": f"{Path(names[0]).parent.as_posix()}/*{suffix}"}
    else:
        return [], {"fileObject": {"@id": names[0]}}
    format_ = _FORMATS[".json" if suffix == ".tar" else suffix]
    file_set = {"@type": "cr:FileSet", "@id": "records", "name": "records", "encodingFormat": format_, **records}
    return [file_set], {"fileSet": {"@id": "records"}}


def _fields(seen: Seen, place: dict[str, Any], suffix: str) -> list[dict[str, Any]]:
    """Describe the fields that can be taken from every record: JSON leaves out what a record does not have."""
    if suffix == ".tar":  # the vocabulary cannot look into a file of a set
        about = "The record as JSON, with the fields " + ", ".join(_FIELDS) + "."
        return [_field("record", about, "sc:Text", {**place, "extract": {"fileProperty": "content"}})]
    least = {".csv": 0, ".parquet": 0, ".jsonl": 1, ".json": seen.tracks}[suffix]
    fields = []
    for name, about in _FIELDS.items():
        if seen.fields[name] >= least:
            extract = {"jsonPath": f"$[*].{name}"} if suffix == ".json" else {"column": name}
            described = _field(
                name, about, "sc:Float" if name in _NUMBERS else "sc:Text", {**place, "extract": extract}
            )
            if name in _REPEATED and suffix != ".csv":  # in a table they are one JSON text
                described["repeated"] = True
            fields.append(described)
    return fields


def _field(name: str, about: str, type_: str, source: dict[str, Any]) -> dict[str, Any]:
    names = {"@id": f"tracks/{name}", "name": f"tracks/{name}"}
    return {"@type": "cr:Field", **names, "description": about, "dataType": type_, "source": source}


def _describe(seen: Seen) -> str:
    sources = ", ".join(f"{name or 'unnamed'} ({count:,})" for name, count in sorted(seen.datasets.items()) if count)
    return f"{seen.tracks:,} described pieces of music, {seen.seconds / 3600:.1f} hours of audio, from: {sources}."


def _licenses(seen: Seen) -> list[str]:
    """List the licences of the tracks, the most frequent first; where several, each track's is in its record."""
    ordered = sorted(+seen.licenses, key=lambda name: (-seen.licenses[name], name))
    return [name for name in ordered if name] or [UNKNOWN_LICENSE]

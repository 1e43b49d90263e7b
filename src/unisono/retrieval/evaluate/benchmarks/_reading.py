"""Read a benchmark from its release: its music, its texts and what belongs together, with its counts checked."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unisono.audio.faults import MISSING
from unisono.audio.probe import probe_all
from unisono.base.errors import DataError
from unisono.curation.read import read_dataset
from unisono.curation.releases import Parsing, Release
from unisono.retrieval.evaluate.benchmarks import BenchmarkCard, JudgedFiles
from unisono.tracks.files import write_tracks
from unisono.tracks.track import Caption, Track
from unisono.tracks.unpacked import AudioFolder
from unisono.tracks.workspace import Workspace

TABLES = ("queries", "corpus", "qrels")
"""The three tables of a judged release, by a folder or the beginning of a file of that name."""


@dataclass(frozen=True)
class Judgements:
    """What judges said: how well each piece of music answers each text."""

    texts: list[str]
    text: NDArray[np.int64]
    """[J]: the text of each judgement."""
    music: list[str]
    """[J]: the id of its track."""
    grade: NDArray[np.float64]
    """[J]: from 0, not relevant, on."""


@dataclass(frozen=True)
class BenchmarkContent:
    """A benchmark on disk."""

    file: Path
    """Unified file of the tracks that have audio."""
    missing: tuple[str, ...]
    """Ids of the tracks that have none, or none that can be read."""
    judgements: Judgements | None


def read(card: BenchmarkCard, workspace: Workspace) -> BenchmarkContent:
    """Read a benchmark, check its counts, and write its music as a unified file.

    Raises:
        UsageError: its release is not there; the hint says how to get it.
        DataError: it has other counts than its card states, a table is missing, or a judgement names an unknown id.
    """
    file = workspace.root / "benchmarks" / f"{card.name}.json"
    release = Parsing(
        workspace=workspace, options={card.dataset: card.options}, unpack_to=file.with_name(f"{card.name}_audio")
    ).release(card.dataset)
    release.refuse_absent()
    if card.judged:
        tracks, listed, judgements = _judged(card, card.judged, release)
        _check(card, len(judgements.texts), len(listed), release.root)
    else:
        judgements = None
        _check_lines(card, release.root)
        listed, texts = described(card, release)
        _check(card, len(texts), len(listed), release.root)
        tracks = card.choose(release.root, read_dataset(release).tracks)
    there = {track.id for track in tracks}
    missing = tuple(id for id in listed if id not in there)
    if not tracks:
        raise DataError(f"{card.name}: none of its {len(listed):,} tracks has audio in {release.root}.")
    write_tracks(file, tracks)
    return BenchmarkContent(file, missing, judgements)


def described(card: BenchmarkCard, release: Release) -> tuple[list[str], set[str]]:
    """Return the ids of the tracks and the distinct captions that a release has for a benchmark, with audio or without."""
    tracks = card.choose(release.root, [item for item in release.parse(planning=True) if isinstance(item, Track)])
    return [track.id for track in tracks], {text for track in tracks for text in track.texts}


def is_there(card: BenchmarkCard, workspace: Workspace) -> bool:
    """Return whether the release of a benchmark is on disk."""
    return Parsing(workspace=workspace).release(card.dataset).is_there


def _check_lines(card: BenchmarkCard, root: Path) -> None:
    """Refuse a release whose file has another number of lines than the card states."""
    if card.lines is None:
        return
    names, stated = card.lines
    path = next((root / name for name in names if (root / name).is_file()), None)
    if path is None:
        raise DataError(
            f"{card.name}: its file is missing: there is no {names[0]} in {root}.",
            hint=f"Fetch it with: unisono download {card.dataset}",
        )
    with path.open("rb") as file:
        _refuse(card, {"rows": (stated, sum(bool(line.strip()) for line in file))}, path)


def _check(card: BenchmarkCard, queries: int, candidates: int, root: Path) -> None:
    """Refuse a release with other counts than the card states."""
    _refuse(card, {"captions": (card.queries, queries), "tracks": (card.candidates, candidates)}, root)


def _refuse(card: BenchmarkCard, found: Mapping[str, tuple[int | None, int]], where: Path) -> None:
    """Refuse what has other counts: what is counted -> (as stated, as found)."""
    differ = [
        f"{stated:,} {what} by its card, {counted:,} in {where}"
        for what, (stated, counted) in found.items()
        if stated is not None and stated != counted
    ]
    if differ:
        raise DataError(
            f"This is not the benchmark {card.name}: {'; '.join(differ)}.",
            hint=f"Its numbers could not be compared with any. Fetch revision {card.revision}, or evaluate on what is there "
            "with --dataset-file.",
        )


def _judged(card: BenchmarkCard, columns: JudgedFiles, release: Release) -> tuple[list[Track], list[str], Judgements]:
    """Read queries, music and judgements; return the tracks that have audio, the ids of all, and the judgements."""
    found = {name: _tables(card, release.root, name) for name in TABLES}
    texts = {
        str(row[columns.query_id]): str(row[columns.query_text])
        for _, row in _rows(found["queries"], release.root, (columns.query_id, columns.query_text))
    }
    paths: dict[str, str] = {}
    unpack_to = release.parsing.unpack_to
    assert unpack_to is not None
    with closing(AudioFolder(unpack_to)) as unpacked:
        for _, row in _rows(found["corpus"], release.root, (columns.music_id, "audio")):
            sound = row["audio"] if isinstance(row["audio"], dict) else {"bytes": row["audio"], "path": None}
            id = str(row[columns.music_id])
            name = unpacked.put(sound["bytes"], str(sound.get("path") or id)) if sound.get("bytes") else MISSING
            paths[id] = str(unpacked.folder / name)
    probed = probe_all(paths.values(), None, None)
    tracks = [
        Track(
            id=_track_id(card, id),
            audio_path=path,
            duration=probed[path].duration_s,
            captions=(Caption(f"{card.title}, {id}", "tags"),),
            dataset=card.name,
            split="test",
        )
        for id, path in paths.items()
        if not probed[path].fault
    ]
    return tracks, [_track_id(card, id) for id in paths], _judgements(card, found["qrels"], release.root, texts, paths)


def _track_id(card: BenchmarkCard, id: str) -> str:
    return f"{card.music.replace('-', '_')}_{id}"


def _judgements(
    card: BenchmarkCard, tables: Sequence[Path], root: Path, texts: dict[str, str], music: Iterable[str]
) -> Judgements:
    """Read the judgements.

    Raises:
        DataError: one names a text or a track that is not there, or its grade is not a number from 0 on.
    """
    place, known = {id: at for at, id in enumerate(texts)}, set(music)
    asked, judged, grades, unknown = [], [], [], []
    for where, row in _rows(tables, root, ("query-id", "corpus-id", "score")):
        query, track, grade = str(row["query-id"]), str(row["corpus-id"]), row["score"]
        if query not in place or track not in known:
            unknown.append(f"{where}: query {query!r}, music {track!r}")
            continue
        if not isinstance(grade, (int, float)) or not 0 <= grade < np.inf:
            raise DataError(f"{where}: field 'score': expected a grade from 0 on, found {grade!r}.")
        asked.append(place[query])
        judged.append(_track_id(card, track))
        grades.append(float(grade))
    if unknown:
        raise DataError(
            f"{card.name}: {len(unknown):,} judgements name a query or music that is not in the release (first: "
            f"{unknown[0]}).",
            hint="Part of the release is missing, or of another revision: fetch it again.",
        )
    return Judgements(list(texts.values()), np.array(asked, np.int64), judged, np.array(grades))


def _tables(card: BenchmarkCard, root: Path, name: str) -> list[Path]:
    """Return the Parquet files of one of the three tables."""
    paths = [
        path
        for path in sorted(root.glob("**/*.parquet"))
        if any(part.startswith(name) for part in path.relative_to(root).parts)
    ]
    if not paths:
        raise DataError(
            f"{card.name}: its table {name!r} is missing: there is no Parquet file of that name in {root}.",
            hint=f"Fetch it with: unisono download {card.dataset}",
        )
    return paths


def _rows(paths: Sequence[Path], root: Path, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the rows of tables, each with all the columns; the column `id` may be called `_id`.

    Raises:
        DataError: a column is missing.
    """
    from unisono.sources import arrow

    for path in paths:
        there = arrow.column_names(path)
        names = {column: column if column in there or column != "id" else "_id" for column in columns}
        if absent := [column for column, name in names.items() if name not in there]:
            raise DataError(f"{path}: the column {absent[0]!r} is missing; found {', '.join(there)}.")
        for where, row in arrow.rows(path, root, list(names.values())):
            yield where, {column: row[name] for column, name in names.items()}

"""JamendoMaxCaps as the hub serves it: `final_caption30sec.jsonl`, dated metadata files, `audio/NN/<id>.mp3`.

A caption describes the excerpt of its file between two times.
"""

import json
from pathlib import Path
from typing import Any

from demo.captions import model_caption, tags
from demo.casting import Item
from demo.layouts.song_describer import INSTRUMENT_TAGS
from unisono.base.files import write_whole
from unisono.base.seeded import rank_key, rng

DATES = ("2015-03-29", "2018-07-01", "2021-03-27")


def write(folder: Path, items: list[Item], seed: int, seconds: float) -> int:
    """Write the metadata, add broken tracks like upstream's, and return their number."""
    captions: list[dict[str, Any]] = []
    metadata: dict[str, list[dict[str, Any]]] = {date: [] for date in DATES}
    for item in items:
        random_ = rng(seed, "jamendo_max_caps", item.track_id)
        for index, facts in enumerate(item.facts):
            start, end = index * seconds, (index + 1) * seconds
            is_last = index == len(item.facts) - 1
            overshoot = 2.0 if is_last and random_.random() < 0.1 else 0.0  # as some of upstream's last segments
            captions.append(_caption(item.track_id, model_caption(facts, random_), start, end + overshoot))
            if random_.random() < 0.03:
                captions.append(captions[-1])  # upstream repeats some rows
        metadata[DATES[item.track_id % len(DATES)]].append(_metadata(item))
    broken = 0
    if items:
        page, cut, missing = 1_900_001, 1_900_002, 1_900_003
        for track_id, text in ((page, "A web page"), (cut, "The first bytes of a song"), (missing, "No file at all")):
            captions.append(_caption(track_id, f"{text} instead of music.", 0.0, seconds))
            metadata[DATES[0]].append({**_metadata(items[0]), "id": str(track_id), "name": text})
        _write_audio(folder, page, b"<!DOCTYPE html><title>403 Forbidden</title>\n")
        _write_audio(folder, cut, items[0].recording.path.read_bytes()[:300])
        broken = 3
    captions.sort(key=lambda caption: rank_key(seed, "order", caption["id"], caption["start_time"]))
    write_whole(folder / "final_caption30sec.jsonl", _lines(captions))
    for date, rows in metadata.items():
        write_whole(folder / f"{date}.jsonl", _lines([*rows, *rows[:2]]))  # upstream repeats some of these as well
    return broken


def _lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _write_audio(folder: Path, track_id: int, content: bytes) -> None:
    path = folder / "audio" / f"{track_id % 100:02d}" / f"{track_id}.mp3"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _caption(track_id: int, text: str, start: float, end: float) -> dict[str, Any]:
    return {"id": str(track_id), "caption": text, "start_time": start, "end_time": end}


def _metadata(item: Item) -> dict[str, Any]:
    facts = item.facts[0]
    players = list(dict.fromkeys(name for one in item.facts for name in one.players))
    moods = (
        [tag for tag in tags(facts) if tag in ("solemn", "gentle", "lively", "calm")] if len(item.facts) == 1 else []
    )
    speeds = {one.tempo for one in item.facts}
    speed = {"slow": "low", "medium": "medium", "fast": "high"}.get(facts.tempo or "", "") if len(speeds) == 1 else ""
    share = f"https://www.jamendo.com/track/{item.track_id}"
    return {
        "id": str(item.track_id),
        "name": item.title,
        "duration": round(item.song_s),
        "artist_id": str(item.artist_id),
        "artist_name": item.artist,
        "artist_idstr": Path(item.work.source).stem,
        "album_name": item.work.title,
        "album_id": str(item.artist_id + 1000),
        "license_ccurl": "",  # Jamendo leaves it empty for some; the scores name no Creative Commons licence
        "position": item.number + 1,
        "releasedate": DATES[item.track_id % len(DATES)],
        "album_image": "",
        "audio": "",
        "audiodownload": "",
        "prourl": "",
        "shorturl": "",
        "shareurl": share,
        "waveform": '{"peaks":[20,12,22,17,18]}',
        "image": "",
        "musicinfo": {
            "vocalinstrumental": "" if "choir" in players else "instrumental",
            "lang": "",
            "gender": "",
            "acousticelectric": "electric" if "electric guitar" in players else "acoustic",
            "speed": speed,
            "tags": {
                "genres": ["classical" if item.work.form == "chorale" else "folk"],
                "instruments": [INSTRUMENT_TAGS.get(name, name.replace(" ", "")) for name in players],
                "vartags": moods,
            },
        },
        "audiodownload_allowed": False,
    }

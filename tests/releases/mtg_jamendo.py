"""MTG-Jamendo: a checkout of its repository (tables with CRLF and as many columns as tags), and `audio-low` files."""

from pathlib import Path

from tests.releases import audio

HEADER = "TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS"
# id -> artist, duration, tags, part of split 0, part of split 1
SONGS: dict[int, tuple[int, float, list[str], str, str]] = {
    214: (14, 124.6, ["genre---punkrock"], "test", "train"),
    215: (14, 151.4, ["genre---metal", "instrument---electricguitar", "mood/theme---dark"], "test", "train"),
    948: (87, 212.7, ["genre---easylistening", "genre---lounge", "mood/theme---background"], "train", "validation"),
    1001: (90, 180.0, ["instrument---piano", "mood/theme---sad"], "validation", "test"),
    1002: (91, 99.5, ["genre---rnb"], "train", "train"),
    1003: (91, 99.5, ["genre---techno"], "", ""),
}
GOOD = ["mtg_jamendo_214", "mtg_jamendo_215", "mtg_jamendo_948", "mtg_jamendo_1001"]
BAD_AUDIO = {"mtg_jamendo_1002": "missing", "mtg_jamendo_1003": "empty"}
DROPPED: dict[str, int] = {}


def row(track_id: int, tags: list[str]) -> str:
    artist, duration, *_ = SONGS[track_id]
    path = f"{track_id % 100:02}/{track_id}.mp3"
    return "\t".join([f"track_{track_id:07}", f"artist_{artist:06}", "album_000031", path, str(duration), *tags])


def build(root: Path) -> None:
    """Write the release."""
    data = root / "data"
    write(data / "raw_30s_cleantags_50artists.tsv", [row(track_id, song[2]) for track_id, song in SONGS.items()])
    (data / "autotagging.tsv").write_text("raw_30s_cleantags_50artists.tsv")  # a link that became a text file
    genres = [row(n, [tag for tag in song[2] if "genre" in tag]) for n, song in SONGS.items() if "genre" in song[2][0]]
    write(data / "autotagging_genre.tsv", genres)
    for split in (0, 1):
        for part in ("train", "validation", "test"):
            rows = [row(track_id, song[2]) for track_id, song in SONGS.items() if song[3 + split] == part]
            write(data / "splits" / f"split-{split}" / f"autotagging-{part}.tsv", rows)
    names = [
        f"track_{n:07}\tartist_000014\talbum_000031\tSong {n}\tDavid TMX\tAlbum\t2004-12-28\thttp://x" for n in SONGS
    ]
    write(
        data / "raw.meta.tsv",
        names,
        "TRACK_ID\tARTIST_ID\tALBUM_ID\tTRACK_NAME\tARTIST_NAME\tALBUM_NAME\tRELEASEDATE\tURL",
    )
    blocks = [
        f"{n % 100:02}/{n}.mp3\nSong {n} by David TMX from Jamendo: http://www.jamendo.com/track/{n}\n"
        "Available under a Creative Commons Attribution license: http://creativecommons.org/licenses/by-nc-sa/2.0/\n"
        for n in SONGS
        if n != 1001
    ]
    (root / "audio_licenses.txt").write_text("--\n".join(blocks))
    for number, track_id in enumerate(SONGS):
        path = root / "audio-low" / f"{track_id % 100:02}" / f"{track_id}.low.mp3"
        if how := BAD_AUDIO.get(f"mtg_jamendo_{track_id}"):
            audio.broken(path, how)
        else:
            audio.tone(path, 3, 300 + 30 * number)


def write(path: Path, rows: list[str], header: str = HEADER) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(line + "\r\n" for line in [header, *rows]).encode())

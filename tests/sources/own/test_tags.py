"""Tags of files as people have them: several values, numbers, other formats, wrong encodings, placeholders."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from tests.releases import audio
from tests.sources.own.test_folder import id3, read, synchsafe
from unisono.base.tally import Dropped
from unisono.sources.own.encodings import repaired
from unisono.sources.own.ratings import rating_of
from unisono.sources.own.tags import read_tags
from unisono.tracks.track import Track


def frame(name: str, content: bytes, encoding: int = 0) -> bytes:
    body = bytes([encoding]) + content
    return name.encode() + synchsafe(len(body)) + b"\x00\x00" + body


def tag(*frames: bytes) -> bytes:
    content = b"".join(frames)
    return b"ID3\x04\x00\x00" + synchsafe(len(content)) + content


def mp3(path: Path, before: bytes = b"", behind: bytes = b"") -> Path:
    audio.tone(path, 1, 300)
    path.write_bytes(before + path.read_bytes() + behind)
    return path


def only(folder: Path) -> Track:
    (item,) = read(folder).values()
    assert isinstance(item, Track)
    return item


def ape(**fields: str | bytes) -> bytes:
    items = b""
    for name, text in fields.items():
        content = text if isinstance(text, bytes) else text.encode()
        items += len(content).to_bytes(4, "little") + bytes(4) + name.encode() + b"\0" + content
    footer = b"APETAGEX" + (2000).to_bytes(4, "little") + (len(items) + 32).to_bytes(4, "little")
    return items + footer + len(fields).to_bytes(4, "little") + bytes(12)


def version_1(genre: int, artist: str = "", title: str = "") -> bytes:
    return b"TAG" + title.encode().ljust(30, b"\0") + artist.encode().ljust(30, b"\0") + bytes(64) + bytes([genre])


NUMBERS = {0: "Blues", 17: "Rock", 137: "Heavy Metal", 138: "Black Metal", 139: "Crossover", 140: "Contemporary Christian",
           143: "Salsa", 144: "Thrash Metal", 147: "Synthpop", 152: "Big Beat", 155: "Downtempo", 163: "Garage",
           164: "Global", 165: "IDM", 166: "Illbient", 175: "Post-Punk", 189: "Dubstep", 191: "Psybient"}  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS)
def test_genres_by_number(tmp_path: Path, number: int) -> None:
    for written in (f"({number})", str(number)):
        mp3(tmp_path / "x.mp3", id3({"TCON": written}))
        assert only(tmp_path).genre == NUMBERS[number]
    mp3(tmp_path / "x.mp3", behind=version_1(number, "Ann", "Alpha"))
    track = only(tmp_path)
    assert (track.genre, track.artist, track.title) == (NUMBERS[number], "Ann", "Alpha")


@pytest.mark.parametrize(
    ("written", "genre", "tags"),
    [
        ("(4)Eurodisco", "Disco", ["Eurodisco"]), ("(51)(39)", "Techno-Industrial", ["Noise"]), ("(17)Rock", "Rock", []),
        ("17\x0020", "Rock", ["Alternative"]), ("Jazz\x00Reggae\x00Techno", "Jazz", ["Reggae", "Techno"]),
        ("Jazz; Reggae", "Jazz", ["Reggae"]), ("Jazz / Reggae", "Jazz", ["Reggae"]), ("(RX)", "Remix", []),
        ("Jazz\\\\Reggae", "Jazz", ["Reggae"]), ("(None)", "", []), ("<Unknown>", "", []), ("N/A", "", []),
        ("Unknown\x00Jazz", "Jazz", []),
    ],
)  # fmt: skip
def test_genres_of_id3(tmp_path: Path, written: str, genre: str, tags: list[str]) -> None:
    mp3(tmp_path / "x.mp3", id3({"TCON": written}))
    track = only(tmp_path)
    assert (track.genre, track.tags) == (genre, tags)


def test_a_number_in_the_tag_of_a_wav_file(tmp_path: Path) -> None:
    audio.tone(tmp_path / "x.wav", 1, 300)
    chunk = id3({"TCON": "(144)"})
    chunk += bytes(len(chunk) % 2)
    content = (tmp_path / "x.wav").read_bytes() + b"id3 " + len(chunk).to_bytes(4, "little") + chunk
    (tmp_path / "x.wav").write_bytes(content[:4] + (len(content) - 8).to_bytes(4, "little") + content[8:])
    assert only(tmp_path).genre == "Thrash Metal"


def comments(*texts: bytes) -> bytes:
    """Make the metadata block of Vorbis comments."""
    body = (
        bytes(4) + len(texts).to_bytes(4, "little") + b"".join(len(text).to_bytes(4, "little") + text for text in texts)
    )
    return b"\x04" + len(body).to_bytes(3, "big") + body


@pytest.mark.parametrize(
    ("written", "genre", "tags"),
    [("(8)", "Jazz", []), ("(4)Eurodisco", "Disco", ["Eurodisco"]), ("80", "80", []), ("(80s)", "(80s)", [])],
)
def test_numbers_that_converters_leave_in_other_tags(tmp_path: Path, written: str, genre: str, tags: list[str]) -> None:
    mp3(tmp_path / "x.mp3", behind=ape(Genre=written))
    assert (only(tmp_path).genre, only(tmp_path).tags) == (genre, tags)
    (tmp_path / "x.mp3").unlink()
    soundfile.write(str(tmp_path / "x.flac"), np.zeros(16000), 16000)
    content = (tmp_path / "x.flac").read_bytes()
    (tmp_path / "x.flac").write_bytes(content[:42] + comments(b"GENRE=" + written.encode()) + content[42:])
    assert (only(tmp_path).genre, only(tmp_path).tags) == (genre, tags)


def test_all_values_of_all_fields(tmp_path: Path) -> None:
    soundfile.write(str(tmp_path / "x.flac"), np.zeros(16000), 16000)
    content = (tmp_path / "x.flac").read_bytes()
    block = comments(
        b"GENRE=Jazz", b"GENRE=Reggae", b"COMMENT=slow", b"COMMENT=piano", b"ARTIST=Ann", b"ARTIST=Bob", b"MOOD=sad",
        b"MOOD=calm",
    )  # fmt: skip
    (tmp_path / "x.flac").write_bytes(content[:42] + block + content[42:])
    track = only(tmp_path)
    assert (track.genre, track.tags) == ("Jazz", ["Reggae", "sad", "calm", "slow", "piano"])
    assert (track.artist, track.artist_id, track.extra["comment"]) == ("Ann, Bob", "folder-artist:ann", "slow; piano")


def test_moods_as_other_programs_write_them(tmp_path: Path) -> None:
    mp3(tmp_path / "x.mp3", tag(frame("TMOO", b"calm\x00sad", 3)))
    assert only(tmp_path).tags == ["calm", "sad"]


@pytest.mark.parametrize("behind", [b"", version_1(255)])
def test_ape_tags(tmp_path: Path, behind: bytes) -> None:
    fields = {"Artist": "Zoë", "Genre": "Jazz\0Reggae", "Mood": "calm", "Title": "Alpha", "Year": "1999"}
    mp3(tmp_path / "x.mp3", behind=ape(**fields) + behind)
    track = only(tmp_path)
    assert (track.artist, track.title, track.genre, track.tags) == ("Zoë", "Alpha", "Jazz", ["Reggae", "calm"])
    assert track.extra["year"] == "1999"


@given(st.binary(max_size=80), st.integers(0, 1 << 32))
def test_damaged_ape_tags_end(content: bytes, count: int) -> None:
    from unisono.sources.own.tags import _ape_items

    assert isinstance(_ape_items(content, min(count, 1000)), dict)


@pytest.mark.parametrize("name", ["x.flac", "x.ogg", "x.wav", "x.m4a", "x.caf", "x.wma"])
def test_tags_are_read_by_content_and_not_by_ending(tmp_path: Path, name: str) -> None:
    mp3(tmp_path / "real.mp3", id3({"TCON": "Jazz"}))
    shutil.move(tmp_path / "real.mp3", tmp_path / name)
    assert only(tmp_path).genre == "Jazz"


@pytest.mark.parametrize(("ending", "kind"), [("caf", "CAF"), ("aifc", "AIFF"), ("au", "AU"), ("w64", "W64")])
def test_what_libsndfile_reads_is_used(tmp_path: Path, ending: str, kind: str) -> None:
    with soundfile.SoundFile(str(tmp_path / f"x.{ending}"), "w", 16000, 1, format=kind) as file:
        file.write(np.zeros(16000))
    assert only(tmp_path).duration == pytest.approx(1)


FOREIGN = {"ape": b"MAC ", "wv": b"wvpk", "mpc": b"MPCK", "dsf": b"DSD ", "webm": b"\x1a\x45\xdf\xa3", "tta": b"TTA1",
           "tak": b"tBaK", "ac3": b"\x0b\x77", "mka": b"\x1a\x45\xdf\xa3", "wma": b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
           "mp4": b"\0\0\0\x20ftypisom", "m4b": b"\0\0\0\x20ftypM4B ", "aac": b"\xff\xf1\x50\x80", "amr": b"#!AMR\n",
           "spx": b"OggS" + bytes(24) + b"Speex   "}  # fmt: skip


def test_every_ending_that_people_have_is_listed_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unisono.audio.probe import probe

    monkeypatch.setenv("PATH", "")
    for ending, start in FOREIGN.items():
        (tmp_path / f"x.{ending}").write_bytes(start + bytes(300))
        (tmp_path / f"Y.{ending.upper()}").write_bytes(start + bytes(300))
    items = read(tmp_path)
    assert len(items) == 2 * len(FOREIGN)
    for item in items.values():
        assert isinstance(item, Track), item
        probed = probe(str(tmp_path / item.audio_path))
        assert probed.fault.endswith(": needs ffmpeg") and "install ffmpeg" in probed.detail, item.id


@pytest.mark.parametrize("text", ["Björk", "Jóga", "Motörhead", "Сплин", "群星", "Ünïcode – été", "naïve ’90s"])
def test_utf_8_that_was_read_as_another_encoding_is_repaired(text: str) -> None:
    for encoding in ("latin-1", "windows-1252"):
        try:
            assert repaired(text.encode().decode(encoding)) == text
        except UnicodeDecodeError:
            continue
    assert repaired(text) == text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [("Джаз", "cp1251"), ("Кино", "cp1251"), ("Группа крови", "cp1251"), ("Русский рок", "koi8-r"), ("Кино", "koi8-r"),
     ("ジャズ", "cp932"), ("音楽", "cp932"), ("爵士", "gbk"), ("摇滚音乐", "gbk"), ("It’s “fine”", "cp1252"),
     ("流行", "big5"), ("愛你一萬年", "big5"), ("古典音樂", "big5"), ("ロック", "euc-jp"), ("浜崎あゆみ", "euc-jp"),
     ("Λαϊκά", "iso8859-7"), ("Μίκης Θεοδωράκης", "iso8859-7"), ("Άλκηστις", "cp1253"),
     ("שלום עולם", "cp1255"), ("עידן רייכל", "iso8859-8"), ("белая ночь", "cp1251"), ("тихий дом", "cp1251"),
     ("летний ветер", "cp1251"), ("август", "cp1251")],
)  # fmt: skip
def test_bytes_of_old_code_pages_are_repaired(text: str, encoding: str) -> None:
    assert repaired(text.encode(encoding).decode("latin-1")) == text


@pytest.mark.parametrize(
    "text",
    ["Björk", "Sigur Rós", "Ágætis byrjun", "Mötley Crüe", "Beyoncé", "Señor", "Où est-il ?", "¿Qué?", "Øl på Ås", "Æ",
     "São Tomé", "Café «Été»", "ÄÖ", "Čechomor", "Ελληνικά", "שלום", "日本", "Þórr", "50°", "½ of ¾"],
)  # fmt: skip
def test_what_is_right_is_left_alone(text: str) -> None:
    assert repaired(text) == text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [("김광석", "euc-kr"), ("演歌", "euc-jp"), ("فيروز", "cp1256"), ("רוק", "cp1255"), ("Ροκ", "greek"),
     ("เพลง", "tis-620"), ("Джаз", "cp866")],
)  # fmt: skip
def test_bytes_that_several_code_pages_know_are_doubtful(text: str, encoding: str) -> None:
    assert repaired(text.encode(encoding).decode("latin-1")) is None


@pytest.mark.parametrize("content", [b"\xff\xfe", b"\xff\xfe0", b"\xfe\xff"])
def test_the_mark_of_utf_16_is_no_text(content: bytes) -> None:
    assert not repaired(content.decode("latin-1"))
    assert repaired((b"\xff\xfe" + "Jazz".encode("utf-16-le")).decode("latin-1")) == "Jazz"


@given(st.text(max_size=12))
def test_any_text_is_repaired_left_or_doubtful(text: str) -> None:
    found = repaired(text)
    assert found is None or isinstance(found, str)


def unsynchronised(content: bytes) -> bytes:
    """Put a zero after each byte that could begin a frame of sound, as old programs did."""
    return re.sub(rb"\xff(?=[\xe0-\xff\0]|$)", b"\xff\0", content)


@pytest.mark.parametrize("version", [3, 4])
def test_unsynchronised_tags(tmp_path: Path, version: int) -> None:
    """With UTF-16, whose mark looks like sound; version 4 has it frame by frame, with the size before it."""
    fields = {b"TIT2": "Café del Mar", b"TCON": "Jazz", b"TALB": "Ｊａｚｚ！ １９５９"}
    frames = b""
    for name, text in fields.items():
        body = b"\1" + text.encode("utf-16")
        if version == 4:
            inner = unsynchronised(body)
            frames += name + bytes([0, 0, 0, len(inner) + 4, 0, 3, 0, 0, 0, len(body)]) + inner
        else:
            frames += name + len(body).to_bytes(4, "big") + b"\0\0" + body
    content = frames if version == 4 else unsynchronised(frames)
    audio.tone(tmp_path / "x.mp3", 1, 300)
    head = b"ID3" + bytes([version, 0, 0x80, 0, 0, len(content) >> 7, len(content) & 127])
    (tmp_path / "x.mp3").write_bytes(head + content + (tmp_path / "x.mp3").read_bytes())
    track = only(tmp_path)
    assert (track.title, track.genre, track.extra["album"]) == ("Café del Mar", "Jazz", "Ｊａｚｚ！ １９５９")
    assert track.duration == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(("version", "begin"), [(3, b"\0\0\0\6" + bytes(6)), (4, b"\0\0\0\6\1\0")])
@pytest.mark.parametrize("flags", [0x40, 0xC0])
def test_extended_headers(tmp_path: Path, version: int, begin: bytes, flags: int) -> None:
    body = b"\0Jazz"
    content = begin + b"TCON" + len(body).to_bytes(4, "big") + b"\0\0" + body
    mp3(tmp_path / "x.mp3", b"ID3" + bytes([version, 0, flags]) + synchsafe(len(content)) + content)
    assert only(tmp_path).genre == "Jazz"


def chunk(name: bytes, content: bytes, order: Literal["little", "big"]) -> bytes:
    return name + len(content).to_bytes(4, order) + content + bytes(len(content) % 2)


def listed(content: bytes, *comments: bytes) -> bytes:
    """Put Vorbis comments into a FLAC file."""
    inner = b"".join(len(each).to_bytes(4, "little") + each for each in comments)
    block = bytes(4) + len(comments).to_bytes(4, "little") + inner
    return content[:42] + b"\4" + len(block).to_bytes(3, "big") + block + content[42:]


@pytest.mark.parametrize(
    ("artist", "encoding"), [("Кино и группа", "cp1251"), ("Björk", "latin-1"), ("Björk", "utf-8")]
)
@pytest.mark.parametrize("kind", ["flac", "wav", "aiff", "ape"])
def test_texts_of_other_tags_in_old_code_pages(tmp_path: Path, artist: str, encoding: str, kind: str) -> None:
    text, path = artist.encode(encoding), tmp_path / f"x.{kind}"
    if kind == "ape":
        path = mp3(tmp_path / "x.mp3", behind=ape(Artist=text, Genre=b"Jazz"))
    else:
        soundfile.write(path, np.zeros(8000), 8000)
        content = path.read_bytes()
        info = b"INFO" + chunk(b"IART", text + b"\0", "little") + chunk(b"IGNR", b"Jazz\0", "little")
        path.write_bytes(
            {
                "flac": lambda: listed(content, b"Artist=" + text, b"GENRE=Jazz"),
                "wav": lambda: content + chunk(b"LIST", info, "little"),
                "aiff": lambda: content + chunk(b"AUTH", text, "big") + chunk(b"ID3 ", id3({"TCON": "Jazz"}), "big"),
            }[kind]()
        )
    track = only(tmp_path)
    assert (track.artist, track.genre) == (artist, "Jazz")


@pytest.mark.parametrize("kind", ["flac", "ogg", "wav", "aiff"])
def test_tags_behind_an_id3_tag(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"x.{kind}"
    with soundfile.SoundFile(path, "w", 8000, 1) as sound:
        sound.title, sound.genre = "One", "Jazz"
        sound.write(np.zeros(8000))
    path.write_bytes(id3({"TPE1": "Alpha"}) + path.read_bytes())
    track = only(tmp_path)
    assert (track.artist, track.title, track.genre) == ("Alpha", "One", "Jazz" if kind != "aiff" else "")


def test_fields_of_a_free_name_as_ffmpeg_writes_them(tmp_path: Path) -> None:
    mp3(tmp_path / "x.mp3", tag(frame("TXXX", b"comment\0so calm"), frame("TXXX", b"GENRE\0Jazz")))
    assert (only(tmp_path).genre, only(tmp_path).extra["comment"]) == ("Jazz", "so calm")


@pytest.mark.parametrize("ending", ["mka", "webm", "tta"])
def test_formats_whose_tags_ffmpeg_reads(tmp_path: Path, with_ffmpeg: None, ending: str) -> None:
    audio.tone(tmp_path / "x.wav", 1, 300)
    words = ["-metadata", "artist=Björk", "-metadata", "genre=Trip Hop", *(["-c:a", "flac"] if ending == "mka" else [])]
    command = [
        "ffmpeg",
        "-nostdin",
        "-v",
        "error",
        "-i",
        str(tmp_path / "x.wav"),
        *words,
        str(tmp_path / f"x.{ending}"),
    ]
    subprocess.run(command, check=True)
    (tmp_path / "x.wav").unlink()
    assert (only(tmp_path).artist, only(tmp_path).genre) == ("Björk", "Trip Hop")


def test_two_backslashes_separate_values(tmp_path: Path) -> None:
    mp3(tmp_path / "x.mp3", id3({"TCON": r"Jazz\\Funk", "TPE1": r"Alpha\\Beta"}))
    track = only(tmp_path)
    assert (track.genre, track.tags, track.artist) == ("Jazz", ["Funk"], "Alpha, Beta")


def test_doubtful_values_are_kept_but_in_no_caption(tmp_path: Path) -> None:
    mp3(tmp_path / "x.mp3", tag(frame("TCON", "áéíóúñüç".encode("latin-1")), frame("TPE1", b"Ann")))
    track = only(tmp_path)
    assert (track.genre, track.artist) == ("", "Ann")
    assert track.extra == {"genre_as_tagged": "áéíóúñüç"}


@pytest.mark.parametrize("text", ["(None)", "<Unknown>", "nan", "N/A", "null", "Unknown Artist", "unknown", "NULL"])
def test_placeholders_are_empty(tmp_path: Path, text: str) -> None:
    mp3(tmp_path / "x.mp3", id3({"TPE1": text, "TIT2": "Track 01", "TALB": text, "TCON": text, "TMOO": text}))
    track = only(tmp_path)
    assert (track.artist, track.artist_id, track.title, track.genre, track.tags, track.extra) == (
        "",
        "",
        "",
        "",
        [],
        {},
    )


def test_various_artists_are_not_one_artist(tmp_path: Path) -> None:
    mp3(tmp_path / "x.mp3", id3({"TPE1": "Various Artists"}))
    track = only(tmp_path)
    assert (track.artist, track.artist_id) == ("Various Artists", "")


def test_folders_of_systems_are_left_out_and_said(tmp_path: Path) -> None:
    mp3(tmp_path / "a.mp3")
    for folder in ("@eaDir", "#recycle", "$RECYCLE.BIN", "lost+found", ".AppleDouble", "sub/@eaDir", "__MACOSX"):
        mp3(tmp_path / folder / "x.mp3")
    (tmp_path / "._a.mp3").write_bytes(b"x")
    (tmp_path / ".hidden.mp3").write_bytes(b"x")
    items = list(read(tmp_path).values())
    assert [item.audio_path for item in items if isinstance(item, Track)] == ["a.mp3"]
    said = {
        item.id.rpartition("_")[2] if "._" not in item.id else "._*": item
        for item in items
        if isinstance(item, Dropped)
    }
    assert set(said) == {"@eaDir", "#recycle", "$RECYCLE.BIN", "lost+found", ".AppleDouble", "MACOSX", "._*", ".*"}
    assert not any(item.fault for item in said.values()) and said["@eaDir"].detail.startswith("2 ")


def test_hidden_files_and_parts_of_downloads_are_said(tmp_path: Path) -> None:
    names = (
        "a.mp3",
        "b.mp3 ",
        "c.MP3.",
        ".d.mp3",
        "e.mp3.part",
        "f.flac.part",
        ".g.m4a.icloud",
        "notes.part",
        "h.mp3.txt",
    )
    for name in names:
        audio.tone(tmp_path / "x.mp3", 1, 300)
        (tmp_path / "x.mp3").rename(tmp_path / name)
    items = read(tmp_path).values()
    assert {item.audio_path for item in items if isinstance(item, Track)} == {"a.mp3", "b.mp3 ", "c.MP3."}
    left_out = {(item.id.rpartition("_")[2], item.reason): item for item in items if isinstance(item, Dropped)}
    assert {named: (item.detail[0], item.fault) for named, item in left_out.items()} == {
        (".*", "hidden file"): ("1", False),
        ("*.part", "download that is not finished"): ("2", False),
        ("*.icloud", "download that is not finished"): ("1", False),
    }


def test_links_to_folders_are_followed_once_and_circles_end(tmp_path: Path) -> None:
    mp3(tmp_path / "music" / "z" / "a.mp3")
    mp3(tmp_path / "disk" / "b.mp3")
    (tmp_path / "music" / "again").symlink_to("z")
    (tmp_path / "music" / "other").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "back").symlink_to(tmp_path / "music")
    items = read(tmp_path / "music").values()
    assert [item.audio_path for item in items if isinstance(item, Track)] == ["z/a.mp3", "other/b.mp3"]


def test_unreadable_folders_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    mp3(tmp_path / "a.mp3")
    mp3(tmp_path / "locked" / "b.mp3")
    scan = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    track, dropped = read(tmp_path).values()
    assert isinstance(track, Track) and isinstance(dropped, Dropped)
    assert dropped.fault and dropped.reason == "folder unreadable" and "locked: Permission denied" in dropped.detail


def test_blanks_and_odd_letters_in_names(tmp_path: Path) -> None:
    names = ["two  blanks.mp3", "全角　空白.mp3", " front.mp3", "back .mp3", "line\nbreak.mp3", "no\u00a0break.MP3"]
    for name in names:
        mp3(tmp_path / "in  side" / "x.mp3").rename(tmp_path / "in  side" / name)
    assert {item.audio_path for item in read(tmp_path).values() if isinstance(item, Track)} == {
        f"in  side/{name}" for name in names
    }


def popularimeter(number: int, version: int = 4) -> bytes:
    body = b"no@email\0" + bytes([number, 0, 0, 0, 7])
    size = len(body).to_bytes(3 if version == 2 else 4, "big")
    found = b"POP" + size + body if version == 2 else b"POPM" + size + b"\0\0" + body
    content = (b"PIC\0\0\4abcd" if version == 2 else b"APIC\0\0\0\4\0\0abcd") + found
    return b"ID3" + bytes([version, 0, 0]) + synchsafe(len(content) + 20) + content + bytes(20)


@pytest.mark.parametrize(
    ("before", "behind", "stars"),
    [
        *((popularimeter(number), b"", stars) for number, stars in {0: None, 1: 1, 13: 0.5, 54: 1.5, 64: 2, 196: 4}.items()),
        (popularimeter(255, 3), b"", 5),
        (popularimeter(186, 2), b"", 3.5),
        (tag(frame("TXXX", b"FMPS_RATING\x000.8")), b"", 4),
        (tag(frame("TXXX", b"RATING\x004")), b"", 4),
        (b"", ape(FMPS_Rating="0.6"), 3),
        (b"", ape(Rating="80"), 4),
        (b"", ape(Rating="unknown"), None),
    ],
)  # fmt: skip
def test_ratings_are_stars(tmp_path: Path, before: bytes, behind: bytes, stars: float | None) -> None:
    assert read_tags(mp3(tmp_path / "x.mp3", before, behind)).rating == stars


@pytest.mark.parametrize(
    ("field", "value", "stars"),
    [("rating", "1", 1), ("rating", "5", 5), ("rating", "7", 3.5), ("rating", "255", 5), ("fmps_rating", "1.0", 5),
     ("fmps_rating", "7", None), ("rating:me@here", "0.5", 2.5), ("rate", "80", 4), ("shareduserrating", "25", 2),
     ("fmps_rating_user", "me::0.5", None)],
)  # fmt: skip
def test_ratings_have_the_scale_of_their_field(field: str, value: str, stars: float | None) -> None:
    assert rating_of({field: [value]}) == stars

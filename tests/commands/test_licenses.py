"""`unisono licenses`: what a mix allows, and attributions that name what CC BY asks for."""

import io
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests import synthetic
from tests.making import make_track
from unisono.cli import main
from unisono.curation.license_terms import attribution_line, license_url, report_of
from unisono.retrieval import checkpoint as checkpoints
from unisono.tracks.files import write_tracks
from unisono.tracks.licenses import normalise
from unisono.tracks.track import Track


def track(name: str, **fields) -> Track:
    return make_track(**{"id": name, "audio_path": f"/{name}.mp3", "caption": "a", "duration": 1.0} | fields)


def licenses(*options: str | Path, code: int = 0) -> str:
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said), pytest.raises(SystemExit) as end:
        main(["licenses", *map(str, options)])
    assert (end.value.code or 0) == code, said.getvalue()
    return said.getvalue()


@pytest.mark.parametrize(
    ("license", "url"),
    [
        ("CC-BY-3.0", "https://creativecommons.org/licenses/by/3.0/"),
        ("CC-BY-NC-SA-2.0-FR", "https://creativecommons.org/licenses/by-nc-sa/2.0/fr/"),
        ("CC-BY", "https://creativecommons.org/licenses/"),
        ("CC0-1.0", "https://creativecommons.org/publicdomain/zero/1.0/"),
        ("LAL", "https://artlibre.org/licence/lal/"),
        ("LAL-1.2", "https://artlibre.org/licence/lal/licence-art-libre-12/"),
        ("CC-NC-Sampling-Plus-1.0", "https://creativecommons.org/licenses/nc-sampling+/1.0/"),
        ("CC-Sampling-Plus-1.0-BR", "https://creativecommons.org/licenses/sampling+/1.0/br/"),
        ("unknown", ""),
        ("all-rights-reserved", ""),
    ],
)
def test_addresses_of_licences(license: str, url: str) -> None:
    assert license_url(license) == url
    if url.count("/") > 4:
        assert normalise(url) == license


def test_a_line_names_title_author_source_and_licence() -> None:
    full = track("a", title="One*", artist="Zoë [x]", url="https://www.jamendo.com/track/1", license="CC-BY-3.0")
    assert attribution_line(full) == (
        "“One\\*” by Zoë \\[x\\], <https://www.jamendo.com/track/1>, "
        "licensed under [CC-BY-3.0](https://creativecommons.org/licenses/by/3.0/)"
    )
    assert "title and artist not named, licence unknown" in attribution_line(track("b"))
    assert attribution_line(track("c", attribution="C by D")).startswith("C by D, ")


def test_what_has_no_address_is_named_by_its_dataset_and_excerpts_are_noted(tmp_path: Path) -> None:
    path = tmp_path / "unified.json"
    tracks = [
        track("fma_2", title="Food", artist="AWOL", dataset="fma", license="CC-BY-NC-SA-3.0-US"),
        track(
            "jamendo_max_caps_1_30-60", title="One", artist="B", dataset="jamendo_max_caps", url="https://j/1", start=30
        ),
        track("mine_1", title="Mine", artist="Me", dataset="mine"),
    ]
    write_tracks(path, tracks)
    said = licenses(path, "--attribution", tmp_path / "A.md")
    assert "Captions of FMA (Free Music Archive): CC BY 4.0" in said
    written = (tmp_path / "A.md").read_text()
    assert (
        "- “Food” by AWOL, fma\\_2 of FMA (Free Music Archive), <https://github.com/mdeff/fma>, licensed under"
        in written
    )
    assert "- “Mine” by Me, licence unknown\n" in written
    assert "“One” by B, <https://j/1>, licence unknown, only excerpts used\n" in written
    assert written.index("## Captions and metadata") < written.index("- JamendoMaxCaps, <https://")


def test_the_command(tmp_path: Path) -> None:
    path = tmp_path / "unified.json"
    write_tracks(
        path,
        [
            track("a", title="One", artist="A", recording="r:1", license="CC-BY-NC-3.0"),
            track("b", title="One", artist="A", recording="r:1", license="CC-BY-NC-3.0", start=30.0),
            track("c", license="CC-BY-ND-3.0"),
            track("d"),
        ],
    )
    said = licenses(path, "--attribution", tmp_path / "ATTRIBUTION.md")
    for part in (
        "CC-BY-NC-3.0",
        "non-commercial: 2 of 4",
        "no derivatives: 1 of 4",
        "licence unknown: 1 of 4",
        "2 of them",
    ):
        assert part in said
    assert len([line for line in (tmp_path / "ATTRIBUTION.md").read_text().splitlines() if line.startswith("- ")]) == 3
    licenses(tmp_path / "none.json", code=2)
    licenses(tmp_path / "none.pt", code=2)


def test_song_describer_is_mostly_non_commercial(shared_data: Path) -> None:
    lines = (shared_data / "song_describer/audio_licenses.txt").read_text(encoding="utf-8").splitlines()
    found = Counter(normalise(line) for line in lines if line.startswith("Available under"))
    assert found.total() == 706
    assert report_of(found, []).totals == {"non-commercial": 497, "no derivatives": 209, "licence unknown": 0}


def test_a_checkpoint_tells_what_it_was_trained_on_and_with(tmp_path: Path) -> None:
    path, record = tmp_path / "model.pt", synthetic.RECORD
    synthetic.write_checkpoint(path, np.zeros((384, record.dim), np.float32), [])
    checkpoint = checkpoints.load(path)
    counts = {"CC-BY-4.0": 3, "CC-BY-NC-4.0": 2}
    checkpoints.save(path, replace(checkpoint, trained_on=replace(checkpoint.trained_on, licenses=counts)))
    said = licenses(path)
    assert f"Weights of the audio encoder {record.name}: {record.license}" in said
    assert (
        f"Weights of the text encoder {checkpoint.text_encoder.name}: {checkpoint.text_encoder.weights_license}" in said
    )
    assert "non-commercial: 2 of 5" in said
    licenses(path, "--attribution", tmp_path / "A.md", code=2)

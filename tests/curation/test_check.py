"""`check` as a function: a report to work with, and captions by their own origins."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from unisono.base.errors import UsageError
from unisono.curation.check import CheckReport, check
from unisono.tracks.track import Caption, Track


def track(name: str, *captions: Caption, **fields: Any) -> Track:
    known: dict[str, Any] = {
        "audio_path": f"/{name}.wav",
        "duration": 2.0,
        "captions": captions or (Caption(f"The song {name}"),),
    }
    return Track(id=name, **known | fields)


def test_a_report_holds_what_was_found(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "loud.wav", np.clip(np.sin(np.arange(16_000) / 9) * 9, -1, 1), 8000)
    soundfile.write(tmp_path / "silent.wav", np.zeros(16_000), 8000)
    tracks = [
        track("loud", audio_path=str(tmp_path / "loud.wav")),
        track("silent", Caption("Calm"), audio_path=str(tmp_path / "silent.wav")),
        track("gone <i>", audio_path=str(tmp_path / "gone.wav")),
    ]
    report = check(tracks)
    assert isinstance(report, CheckReport) and report.records == 3
    assert report.findings == check(tracks, workers=3).findings
    assert {name: list(found) for name, found in report.findings.items()} == {
        "unreadable": ["gone <i>"],
        "silent": ["silent"],
        "clipped": ["loud"],
        "short-caption": ["silent"],
    }
    assert "audio file missing" in report.findings["unreadable"]["gone <i>"]
    assert report.ids("silent", "unreadable") == {"silent", "gone <i>"}
    assert report.ids() == {"loud", "silent", "gone <i>"}
    assert repr(report) == "<CheckReport: 3 tracks; unreadable 1, silent 1, clipped 1, short-caption 1>"
    assert "gone &lt;i&gt;" in report._repr_html_() and "<i>" not in report._repr_html_()
    assert list(check(tracks, audio=False).findings) == ["short-caption"]
    assert "nothing found" in repr(check([track("a")], audio=False))


def test_captions_made_from_tags_are_not_counted_wherever_they_stand() -> None:
    common, own = "A calm rock track", "Words of somebody about"
    tracks = [track(f"{n}", Caption(f"{own} {n}", "human"), Caption(common, "tags")) for n in range(12)]
    assert not check(tracks, audio=False).findings
    tracks = [track(f"{n}", Caption(f"{own} {n}", "tags"), Caption(common, "human")) for n in range(12)]
    assert len(check(tracks, audio=False).findings["shared-caption"]) == 12
    assert not check(tracks, audio=False, shared_from=13).findings
    tracks = [
        track("made", Caption("A piece", "human"), Caption("Without any vocals", "tags"), tags=("female vocals",)),
        track("written", Caption("A piece", "tags"), Caption("Without any vocals", "model"), tags=("female vocals",)),
    ]
    assert list(check(tracks, audio=False).findings["contradiction"]) == ["written"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [({"shared_from": 0}, "shared_from must be at least 1"), ({"workers": -1}, "workers"), ({"audi": True}, "audio")],
)
def test_wrong_arguments(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check([track("a")], **arguments)
    with pytest.raises(UsageError, match="tracks"):
        check("unified.json", audio=False)  # type: ignore[arg-type]

"""Licence rules keep what they say, and refuse what is not known."""

import pytest

from tests.making import make_track
from unisono.base.errors import UsageError
from unisono.curation.licensing import LicenseRule, by_license

LICENSES = ["CC-BY", "CC-BY-3.0", "CC-BY-3.0-FR", "CC-BY-SA-2.0", "CC-BY-NC-3.0", "CC-BY-NC-ND-3.0", "CC-BY-ND-3.0",
            "CC0-1.0", "LAL", "LAL-1.3", "public-domain", "FMA-Limited", "all-rights-reserved", "unknown"]  # fmt: skip
FREE = {"CC-BY", "CC-BY-3.0", "CC-BY-3.0-FR", "CC-BY-SA-2.0", "CC0-1.0", "LAL", "LAL-1.3", "public-domain"}


@pytest.mark.parametrize(
    ("names", "more", "kept"),
    [
        ([], {}, set(LICENSES)),
        (["cc-by"], {}, {"CC-BY", "CC-BY-3.0", "CC-BY-3.0-FR"}),
        (["CC BY 3.0"], {}, {"CC-BY-3.0"}),
        (["cc-by", "cc-by-sa", "lal"], {}, {"CC-BY", "CC-BY-3.0", "CC-BY-3.0-FR", "CC-BY-SA-2.0", "LAL", "LAL-1.3"}),
        (["cc0", "unknown"], {}, {"CC0-1.0", "unknown"}),
        ([], {"commercial": True}, FREE | {"CC-BY-ND-3.0"}),
        ([], {"derivatives": True}, FREE | {"CC-BY-NC-3.0"}),
        ([], {"commercial": True, "derivatives": True}, FREE),
        ([], {"commercial": True, "derivatives": True, "allow_unknown": True}, FREE | {"unknown"}),
    ],
)
def test_rules(names: list[str], more: dict, kept: set[str]) -> None:
    tracks = [make_track(id=name, audio_path="/a", caption="a", duration=1, license=name) for name in LICENSES]
    good, dropped = by_license(tracks, LicenseRule.of(names, **more))
    assert {track.license for track in good} == kept
    assert {item.detail for item in dropped} == set(LICENSES) - kept
    assert all(item.reason.startswith("licence") and not item.fault for item in dropped)


@pytest.mark.parametrize("name", ["cc-by-xx", "mit", ""])
def test_what_is_no_licence_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="not a known licence"):
        LicenseRule.of([name])

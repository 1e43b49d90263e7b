"""Licence rules keep what they say, and refuse what is not known."""

import pytest

from unisono.base.errors import UsageError
from unisono.curation.licensing import LicenseRule

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
    objections = {name: LicenseRule.of(names, **more).objection(name) for name in LICENSES}
    assert {name for name, objection in objections.items() if not objection} == kept
    assert all(objection.startswith("licence") for objection in objections.values() if objection)


@pytest.mark.parametrize("name", ["cc-by-xx", "mit", ""])
def test_what_is_no_licence_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="not a known licence"):
        LicenseRule.of([name])

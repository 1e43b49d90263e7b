import csv
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unisono.licenses import normalise, terms

SPELLINGS = {
    # FMA's free texts
    "Attribution-Noncommercial-Share Alike 3.0 United States": "CC-BY-NC-SA-3.0-US",
    "Attribution-NonCommercial-NoDerivatives (aka Music Sharing) 3.0 International": "CC-BY-NC-ND-3.0",
    "Attribution-NonCommercial-ShareAlike 3.0 International": "CC-BY-NC-SA-3.0",
    "Attribution-Noncommercial-No Derivative Works 2.0 UK: England ": "CC-BY-NC-ND-2.0-UK",
    "Attribution-Noncommercial-No Derivative Works 2.0 UK: England & Wales": "CC-BY-NC-ND-2.0-UK",
    "Attribution": "CC-BY",
    "Attribution-ShareAlike 2.5 Canada": "CC-BY-SA-2.5-CA",
    "FMA-Limited: Download Only": "FMA-Limited",
    "CC0 1.0 Universal": "CC0-1.0",
    "Public Domain": "public-domain",
    "Public Domain Mark 1.0": "PDM-1.0",
    # URLs
    "http://creativecommons.org/licenses/by-nc-sa/3.0/": "CC-BY-NC-SA-3.0",
    "https://creativecommons.org/licenses/by-sa/2.0/fr/": "CC-BY-SA-2.0-FR",
    "http://creativecommons.org/licenses/by-nc-sa/2.0/uk/": "CC-BY-NC-SA-2.0-UK",
    "http://creativecommons.org/licenses/by-nd-nc/1.0/": "CC-BY-NC-ND-1.0",
    "https://creativecommons.org/licenses/by/4.0/legalcode": "CC-BY-4.0",
    "https://creativecommons.org/licenses/by/3.0/deed.fr": "CC-BY-3.0",
    "http://creativecommons.org/licenses/by/3.0": "CC-BY-3.0",
    "http://creativecommons.org/licenses/sampling+/1.0/": "CC-Sampling-Plus-1.0",
    "http://creativecommons.org/licenses/nc-sampling+/1.0/": "CC-NC-Sampling-Plus-1.0",
    "http://creativecommons.org/publicdomain/zero/1.0/": "CC0-1.0",
    "http://creativecommons.org/publicdomain/mark/1.0/": "PDM-1.0",
    "http://creativecommons.org/licenses/publicdomain/": "public-domain",
    "http://artlibre.org/licence/lal/": "LAL",
    "Available under License Art Libre: http://artlibre.org/licence/lal/": "LAL",
    "Free Art License 1.3": "LAL-1.3",
    "Available under a Creative Commons Attribution license: http://creativecommons.org/licenses/by/2.5/es/": "CC-BY-2.5-ES",
    # ids
    "CC BY-NC-SA 3.0": "CC-BY-NC-SA-3.0",
    "cc-by-4.0": "CC-BY-4.0",
    "by-nc": "CC-BY-NC",
    # none, or not one
    "": "unknown",
    "   ": "unknown",
    "unknown": "unknown",
    "YouTube": "unknown",
    "No attribution required": "unknown",
    "Attribution required, ask first": "unknown",
    "Attribution-ShareAlike-NoDerivatives 3.0": "unknown",
    "Attribution 2.0 3.0": "unknown",
    "http://creativecommons.org/licenses/foo/3.0/": "unknown",
    "ShareAlike 3.0": "unknown",
    "3.0": "unknown",
    "United States": "unknown",
}


@pytest.mark.parametrize(("text", "expected"), SPELLINGS.items())
def test_every_spelling_has_one_id(text: str, expected: str) -> None:
    assert normalise(text) == expected


@pytest.mark.parametrize("text", SPELLINGS)
def test_an_id_is_its_own_spelling(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


elements = st.sampled_from(["by", "by-nc", "by-sa", "by-nd", "by-nc-sa", "by-nc-nd"])
versions = st.sampled_from(["1.0", "2.0", "2.1", "2.5", "3.0", "4.0"])
ports = st.sampled_from([("fr", "France"), ("us", "United States"), ("uk", "UK: England & Wales"), ("at", "Austria")])
WORDS = {
    "by": ["Attribution"],
    "nc": ["NonCommercial", "Noncommercial", "Non-Commercial", "non commercial"],
    "nd": ["NoDerivatives", "No Derivative Works", "NoDerivs", "No Derivatives"],
    "sa": ["ShareAlike", "Share Alike", "Share-Alike"],
}


@given(elements, versions, ports, st.booleans(), st.data())
def test_url_words_and_id_agree(
    parts: str, version: str, port: tuple[str, str], is_ported: bool, data: st.DataObject
) -> None:
    code, name = port
    url = f"http://creativecommons.org/licenses/{parts}/{version}/" + (f"{code}/" if is_ported else "")
    words = "-".join(data.draw(st.sampled_from(WORDS[part])) for part in parts.split("-"))
    ending = (
        f"{version} {name if is_ported else data.draw(st.sampled_from(['International', 'Unported', 'Generic', '']))}"
    )
    expected = f"CC-{parts.upper()}-{version}" + (f"-{code.upper()}" if is_ported else "")
    assert normalise(url) == expected
    assert normalise(f"{words} {ending}") == expected
    assert normalise(f"Creative Commons {words} {ending} License") == expected
    assert normalise(expected) == expected


@given(st.text(max_size=80))
def test_any_text_gives_a_stable_id(text: str) -> None:
    license = normalise(text)
    assert license
    assert normalise(license) == license


@given(elements, versions)
def test_terms_are_what_the_elements_say(parts: str, version: str) -> None:
    allowed = terms(f"CC-{parts.upper()}-{version}")
    assert allowed.commercial_use is ("nc" not in parts)
    assert allowed.derivatives is ("nd" not in parts)
    assert allowed.share_alike is ("sa" in parts)


def test_nothing_is_known_of_an_unknown_licence() -> None:
    assert terms("unknown").commercial_use is None
    assert terms("unknown").derivatives is None
    assert terms("anything else").family == "unknown"


def test_terms_of_the_others() -> None:
    assert terms("CC0-1.0").derivatives is True
    assert terms("LAL-1.3").share_alike is True
    assert terms("FMA-Limited").derivatives is False
    assert terms("CC-NC-Sampling-Plus-1.0").commercial_use is False


def test_all_real_licences_are_known(shared_data: Path) -> None:
    blocks = (shared_data / "song_describer" / "audio_licenses.txt").read_text(encoding="utf-8").split("--\n")
    song_describer = [normalise(block.strip().splitlines()[2]) for block in blocks]
    assert len(song_describer) == 706
    assert sum(terms(license).commercial_use is False for license in song_describer) == 497
    assert sum(terms(license).derivatives is False for license in song_describer) == 209
    assert song_describer.count("LAL") == 8
    with (shared_data / "jamendo_max_caps" / "2021-03-27.jsonl").open(encoding="utf-8") as file:
        jamendo = [normalise(json.loads(line)["license_ccurl"]) for line in file]
    assert "unknown" not in jamendo and jamendo.count("LAL") == 9
    with (shared_data / "fma" / "fma_metadata" / "tracks.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    column = next(i for i, pair in enumerate(zip(rows[0], rows[1], strict=True)) if pair == ("track", "license"))
    assert "unknown" not in {normalise(row[column]) for row in rows[3:]}

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unisono.tracks.licenses import _PORTS as PORTS
from unisono.tracks.licenses import normalise, terms

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
    # more of FMA's, Freesound's and ccMixter's spellings, as they stand in public code that reads them
    "Attribution-Noncommercial-Share Alike 2.5 UK: Scotland": "CC-BY-NC-SA-2.5-SCOTLAND",
    "Attribution-NonCommercial-NoDerivs 2.5 Israel": "CC-BY-NC-ND-2.5-IL",
    "Noncommercial Sampling Plus": "CC-NC-Sampling-Plus",
    "Attribution-NonCommercial-NoDerivs 3.0 Italy": "CC-BY-NC-ND-3.0-IT",
    "Music Sharing": "CC-BY-NC-ND",
    "Attribution-Noncommercial-NoDerivatives 2.0 Generic": "CC-BY-NC-ND-2.0",
    "Attribution-NonCommercial-ShareAlike 3.0 Italy": "CC-BY-NC-SA-3.0-IT",
    "Attribution-Noncommercial-NoDerivatives 2.1 Japan": "CC-BY-NC-ND-2.1-JP",
    "Attribution-NonCommercial 2.5": "CC-BY-NC-2.5",
    "Attribution-Noncommercial-No Derivative Works 2.5 Mexico": "CC-BY-NC-ND-2.5-MX",
    "Attribution-NonCommercial 2.0 Chile": "CC-BY-NC-2.0-CL",
    "Attribution-Noncommercial-Share Alike 2.0 Germany": "CC-BY-NC-SA-2.0-DE",
    "Attribution-Noncommercia-Share Alike 2.5 Mexico": "CC-BY-NC-SA-2.5-MX",
    "Attribution-Noncommercial-No Derivative Works 3.0 Spain": "CC-BY-NC-ND-3.0-ES",
    "Attribution-Noncommercial-No Derivative Works 3.0 Netherlands": "CC-BY-NC-ND-3.0-NL",
    "Attribution-NonCommercial 3.0 France": "CC-BY-NC-3.0-FR",
    "Attribution-Noncommercial-NoDerivatives 2.5 Australia": "CC-BY-NC-ND-2.5-AU",
    "Attribution NonCommercial 2.5": "CC-BY-NC-2.5",
    "Attribution-Noncommercial 3.0 New Zealand": "CC-BY-NC-3.0-NZ",
    "Attribution-Noncommercial 2.0 France": "CC-BY-NC-2.0-FR",
    "Attribution-NonCommercial-ShareAlike 3.0 France": "CC-BY-NC-SA-3.0-FR",
    "Attribution-NonCommercial-NoDerivs 3.0 Portugal": "CC-BY-NC-ND-3.0-PT",
    "Attribution-Noncommercial-No Derivative Works 2.5 Switzerland": "CC-BY-NC-ND-2.5-CH",
    "Attribution-Noncommercial-Share Alike 2.5 Israel": "CC-BY-NC-SA-2.5-IL",
    "Attribution-Noncommercial 2.5 Canada": "CC-BY-NC-2.5-CA",
    "Attribution-Noncommercial 2.0 UK: England": "CC-BY-NC-2.0-UK",
    "Attribution-Noncommercial-No Derivative Works 3.0 Croatia": "CC-BY-NC-ND-3.0-HR",
    "Attribution-Noncommercial-Share Alike 2.0 Generic": "CC-BY-NC-SA-2.0",
    "Attribution-Noncommercial-No Derivative Works 2.5 Sweden": "CC-BY-NC-ND-2.5-SE",
    "Attribution-NonCommercial-NoDerivs 2.5 Colombia": "CC-BY-NC-ND-2.5-CO",
    "Attribution-NonCommercial-NoDerivs 3.0 Poland": "CC-BY-NC-ND-3.0-PL",
    "Attribution-Noncommercial-No Derivative Works 2.5 Denmark": "CC-BY-NC-ND-2.5-DK",
    "Attribution-Noncommercial-No Derivative Works 2.5 Portugal": "CC-BY-NC-ND-2.5-PT",
    "Attribution-Noncommercial 2.5 Brazil": "CC-BY-NC-2.5-BR",
    "Attribution-Noncommercial 3.0 Austria": "CC-BY-NC-3.0-AT",
    "Attribution-Noncommercial-NoDerivatives 2.0 Belgium": "CC-BY-NC-ND-2.0-BE",
    "Creative Commons Attribution-NonCommercial-NoDerivatives 4.0": "CC-BY-NC-ND-4.0",
    "Attribution 1.0 Finland": "CC-BY-1.0-FI",
    "Attribution 3.0 Netherlands": "CC-BY-3.0-NL",
    "Attribution 2.0 UK: England": "CC-BY-2.0-UK",
    "Attribution-Share Alike 3.0 Netherlands": "CC-BY-SA-3.0-NL",
    "Attribution-NonCommercial-ShareAlike 2.0 UK: England & Wales": "CC-BY-NC-SA-2.0-UK",
    "Attribution-NonCommercial-ShareAlike 2.0 UK: England &amp; Wales": "CC-BY-NC-SA-2.0-UK",
    "Creative Commons Attribution-Sharealike 2.0 Generic": "CC-BY-SA-2.0",
    "Creative Commons Attribution": "CC-BY",
    "Public Domain / Sound Recording Common Law Protection": "sound-recording-common-law",
    "Sound Recording Common Law Copyright": "sound-recording-common-law",
    "FMA Sound Recording Common Law": "sound-recording-common-law",
    "http://freemusicarchive.org/FMA_License": "FMA-Limited",
    "Orphan Work": "orphan-work",
    "EFF Open Audio License": "EFF-OAL",
    "Free Music Philosophy (FMP)": "FMP",
    "Free Music Philosophy": "FMP",
    "Free Art License": "LAL",
    "Licence Art Libre": "LAL",
    "Licence Art Libre 1.3": "LAL-1.3",
    "Art Libre": "LAL",
    "Free Art License (FAL)": "LAL",
    "http://artlibre.org/licence/lal/en/": "LAL",
    "https://artlibre.org/licence/lal/licence-art-libre-12/": "LAL-1.2",
    "http://creativecommons.org/licenses/by-nc-sa/2.0/fr/deed.en": "CC-BY-NC-SA-2.0-FR",
    "http://creativecommons.org/licenses/by-nc-nd/3.0/deed.fr_CA": "CC-BY-NC-ND-3.0",
    "https://creativecommons.org/licenses/by-nc-sa/2.5/scotland/": "CC-BY-NC-SA-2.5-SCOTLAND",
    "creativecommons.org/licenses/by/3.0/us": "CC-BY-3.0-US",
    "http://www.creativecommons.org/licenses/by/3.0/": "CC-BY-3.0",
    "HTTP://CREATIVECOMMONS.ORG/LICENSES/BY-SA/2.5/": "CC-BY-SA-2.5",
    "http://creativecommons.org/licenses/by-nc/3.0/igo/": "CC-BY-NC-3.0-IGO",
    "http://creativecommons.org/licenses/sampling+/1.0/br/": "CC-Sampling-Plus-1.0-BR",
    "http://creativecommons.org/licenses/sampling+/1.0": "CC-Sampling-Plus-1.0",
    "Sampling+": "CC-Sampling-Plus",
    "Sampling Plus 1.0": "CC-Sampling-Plus-1.0",
    "CC-NC-Sampling+ 1.0": "CC-NC-Sampling-Plus-1.0",
    "CC-Sampling+ 1.0": "CC-Sampling-Plus-1.0",
    "NonCommercial Sampling Plus 1.0": "CC-NC-Sampling-Plus-1.0",
    "Creative Commons 0": "CC0-1.0",
    "Creative Commons Zero (CC0)": "CC0-1.0",
    "CC0 (CC Zero)": "CC0-1.0",
    "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication": "CC0-1.0",
    "https://creativecommons.org/publicdomain/zero/1.0/legalcode": "CC0-1.0",
    "http://creativecommons.org/publicdomain/mark/1.0/deed.de": "PDM-1.0",
    "Public Domain Mark": "PDM-1.0",
    "Attribution Noncommercial (3.0)": "CC-BY-NC-3.0",
    "Attribution Noncommercial Share-Alike  (3.0)": "CC-BY-NC-SA-3.0",
    "CC BY-NC-SA 4.0 International": "CC-BY-NC-SA-4.0",
    "CC BY 4.0 DEED": "CC-BY-4.0",
    "CC-BY-SA 3.0 Unported": "CC-BY-SA-3.0",
    "CC BY-NC-ND 3.0 US": "CC-BY-NC-ND-3.0-US",
    "cc-by-sa-3.0-de": "CC-BY-SA-3.0-DE",
    "cc_by_nc_4.0": "CC-BY-NC-4.0",
    "CC BY, NC, ND": "CC-BY-NC-ND",
    "PennSound": "unknown",
    "ideology.de": "unknown",
    "CopyrightPlus": "unknown",
    "nan": "unknown",
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
ports = st.sampled_from(
    [(code, name) for code, name in sorted(PORTS.items()) if code not in ("igo", "scotland", "uk")]
    + [("uk", "UK: England & Wales"), ("uk", "UK: England "), ("scotland", "UK: Scotland"), ("uk", "United Kingdom")]
)
WORDS = {
    "by": ["Attribution"],
    "nc": ["NonCommercial", "Noncommercial", "Non-Commercial", "non commercial"],
    "nd": ["NoDerivatives", "No Derivative Works", "NoDerivs", "No Derivatives", "No-Derivs"],
    "sa": ["ShareAlike", "Share Alike", "Share-Alike", "Sharealike"],
}
cases: st.SearchStrategy[Callable[[str], str]] = st.sampled_from([str, str.lower, str.upper, str.title])


@given(elements, versions, ports, st.booleans(), st.data())
def test_urls_words_and_ids_agree(
    parts: str, version: str, port: tuple[str, str], is_ported: bool, data: st.DataObject
) -> None:
    code, name = port
    draw = data.draw
    expected = f"CC-{parts.upper()}-{version}" + (f"-{code.upper()}" if is_ported else "")
    site = draw(st.sampled_from(["http://", "https://", "https://www.", ""])) + "creativecommons.org"
    ending = draw(st.sampled_from(["", "/", "/legalcode", "/deed", "/deed.en", "/deed.fr_CA", "/legalcode.txt"]))
    url = f"{site}/licenses/{parts}/{version}{f'/{code}' if is_ported else ''}{ending}"
    between = draw(st.sampled_from(["-", " ", ", ", " - "]))
    words = between.join(draw(st.sampled_from(WORDS[part])) for part in parts.split("-"))
    kind = name if is_ported else draw(st.sampled_from(["International", "Unported", "Generic", ""]))
    text = f"{draw(st.sampled_from(['', 'Creative Commons ', 'CC ', 'Licensed under a Creative Commons ']))}{words}"
    text += f" {draw(st.sampled_from([version, f'v{version}', f'({version})']))} {kind}"
    text += draw(st.sampled_from(["", " License", " Licence", " license."]))
    id = draw(st.sampled_from(["-", " ", "_"])).join(expected.split("-"))
    for spelling in (url, text, id, expected, f"Available under a Creative Commons license: {url}"):
        assert normalise(draw(cases)(spelling)) == expected, spelling
        assert normalise(f"  {spelling.replace(' ', '  ').replace('&', '&amp;')} ") == expected, spelling


@given(elements, versions, ports, st.sampled_from(["ask first", "not", "or", "except for resale", "parts are", "GPL"]))
def test_a_text_with_other_words_is_no_licence(parts: str, version: str, port: tuple[str, str], more: str) -> None:
    words = "-".join(WORDS[part][0] for part in parts.split("-"))
    assert normalise(f"{words} {version} {port[1]} {more}") == "unknown"
    assert normalise(f"{more} CC-{parts}-{version}") == "unknown"


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
    assert terms("sound-recording-common-law").commercial_use is False
    assert terms("orphan-work").derivatives is False
    assert terms("EFF-OAL").share_alike is True
    assert terms("FMP").family == "unknown"
    assert terms("CC-Sampling-Plus-1.0-BR").derivatives is True
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

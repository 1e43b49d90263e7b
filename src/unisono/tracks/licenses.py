"""Licences: every upstream spelling -> one canonical id, and what that id allows.

The ids follow SPDX where SPDX has one:

- Creative Commons: `CC-BY-NC-SA-3.0` for the unported or international text, `CC-BY-NC-SA-2.0-FR` for a port, named by
  the jurisdiction code of Creative Commons' own URLs in capitals. A licence named without a version keeps none: `CC-BY`.
- `CC0-1.0`, `PDM-1.0` (the public domain mark), `public-domain` (said in other words), `LAL` and `LAL-1.3` (Licence Art
  Libre, Free Art License), `EFF-OAL` (EFF Open Audio License), `CC-Sampling-Plus-1.0` and its relatives, `FMA-Limited`,
  `sound-recording-common-law`, `orphan-work`, `all-rights-reserved`; `FMP` (Free Music Philosophy) is a name whose terms
  are not known here.
- `unknown` for everything else, the empty string included. No spelling is ever taken for a licence that it does not
  name in full: a text with one word too many is unknown.
"""

import html
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from unisono.tracks.track import UNKNOWN_LICENSE

Family = Literal["cc", "cc-sampling", "public-domain", "free-art", "reserved", "unknown"]

# Jurisdictions as Creative Commons codes them, with the names that stand in free texts.
_PORTS = {
    "am": "armenia", "ar": "argentina", "at": "austria", "au": "australia", "az": "azerbaijan", "be": "belgium",
    "bg": "bulgaria", "br": "brazil", "ca": "canada", "ch": "switzerland", "cl": "chile", "cn": "china mainland",
    "co": "colombia", "cr": "costa rica", "cz": "czech republic", "de": "germany", "dk": "denmark", "ec": "ecuador",
    "ee": "estonia", "eg": "egypt", "es": "spain", "fi": "finland", "fr": "france", "ge": "georgia", "gr": "greece",
    "gt": "guatemala", "hk": "hong kong", "hr": "croatia", "hu": "hungary", "ie": "ireland", "igo": "igo",
    "il": "israel", "in": "india", "it": "italy", "jp": "japan", "kr": "south korea", "lu": "luxembourg",
    "mk": "macedonia", "mt": "malta", "mx": "mexico", "my": "malaysia", "nl": "netherlands", "no": "norway",
    "nz": "new zealand", "pe": "peru", "ph": "philippines", "pl": "poland", "pr": "puerto rico", "pt": "portugal",
    "ro": "romania", "rs": "serbia", "scotland": "scotland", "se": "sweden", "sg": "singapore", "si": "slovenia",
    "th": "thailand", "tw": "taiwan", "ua": "ukraine", "ug": "uganda", "uk": "uk", "us": "united states",
    "ve": "venezuela", "vn": "vietnam", "za": "south africa",
}  # fmt: skip
_PORT_NAMES = {name: code for code, name in _PORTS.items()} | {
    "uk: scotland": "scotland",
    "united kingdom": "uk",
    "wales": "uk",
    "england": "uk",
    "united states of america": "us",
    "usa": "us",
    "korea": "kr",
    "the netherlands": "nl",
    "intergovernmental organizations": "igo",
}

_CC_URL = re.compile(
    r"creativecommons\.org/licen[sc]es?/(?P<elements>[a-z+-]+)(?:/(?P<version>\d\.\d)(?:/(?P<port>[a-z]+))?)?(?![\w.])"
)
_CC_SHORT = re.compile(
    r"(?:cc[ -]?)?(?P<elements>(?:by|nc|nd|sa)(?:(?:[ -]|, ?)(?:by|nc|nd|sa))*)(?:[ -]?v?(?P<version>\d\.\d))?"
    r"(?: (?:international|unported|generic|deed|legal code|licen[sc]e)|[ -](?P<port>[a-z]+))?"
)
_WORDS = re.compile(
    r"(?P<by>attribution)|(?P<nc>non[ -]?commercial?)|(?P<nd>no[ -]?deriv(?:ative|ate)?s?(?: works?)?)|"
    r"(?P<sa>share[ -]?alike)|v?(?P<version>\d\.\d)|"
    r"(?P<port>" + "|".join(sorted(map(re.escape, _PORT_NAMES), key=len, reverse=True)) + r")\b|"
    r"(?P<filler>available under|aka music sharing|creative commons|cc|licensed under|under|licen[sc]e|the|an?|"
    r"international|unported|generic|version|and|works?)\b|(?P<gap>[ \-:,.&()/]+)"
)
_PLAIN = {
    "cc0": "CC0-1.0", "cc zero": "CC0-1.0", "cc0 1 0": "CC0-1.0", "cc0 1 0 universal": "CC0-1.0",
    "creative commons 0": "CC0-1.0", "creative commons zero": "CC0-1.0", "cc0 universal": "CC0-1.0",
    "cc0 1 0 universal public domain dedication": "CC0-1.0", "cc0 public domain dedication": "CC0-1.0",
    "cc0 1 0 universal cc0 1 0 public domain dedication": "CC0-1.0", "creative commons cc0": "CC0-1.0",
    "creative commons zero cc0": "CC0-1.0", "cc0 cc zero": "CC0-1.0",
    "public domain mark": "PDM-1.0", "public domain mark 1 0": "PDM-1.0", "pdm 1 0": "PDM-1.0",
    "public domain": "public-domain", "public domain dedication": "public-domain", "no rights reserved": "public-domain",
    "no known copyright": "public-domain", "creative commons public domain": "public-domain",
    "music sharing": "CC-BY-NC-ND",  # Creative Commons' own nickname for it
    "fma limited download only": "FMA-Limited", "fma limited": "FMA-Limited",
    "all rights reserved": "all-rights-reserved", "copyright": "all-rights-reserved",
    "http freemusicarchive org fma license": "FMA-Limited", "orphan work": "orphan-work",
    "public domain sound recording common law protection": "sound-recording-common-law",
    "sound recording common law copyright": "sound-recording-common-law",
    "sound recording common law": "sound-recording-common-law",
    "fma sound recording common law": "sound-recording-common-law",
    "eff open audio license": "EFF-OAL", "eff oal": "EFF-OAL",
    "free music philosophy": "FMP", "free music philosophy fmp": "FMP", "fmp": "FMP",
}  # fmt: skip
_SAMPLING = re.compile(
    r"(?:cc[ -]|creative commons )?(?P<nc>(?:nc|non[ -]?commercial)[ -])?sampling(?P<plus>\+|[ -]plus)?"
    r"(?:[ -](?P<version>\d\.\d)(?:[ -](?P<port>[a-z]+))?)?"
)
_ART_LIBRE = re.compile(
    r"(?:available under )?(?:the )?(?:(?:licen[sc]e )?art libre|free art licen[sc]e|lal|fal)(?: \((?:lal|fal)\))?"
    r"[ -]?(?:v?(\d\.\d))?\.?"
)
_ART_LIBRE_URL = re.compile(r"artlibre\.org/licen[sc]e/lal(?:/(?:licen[sc]e-art-libre-)?(\d)-?(\d))?(?![\w.])")


@lru_cache(maxsize=4096)
def normalise(text: str) -> str:
    """Return the canonical id of a licence as an upstream spells it: free text, URL or id; `unknown` if it names none."""
    plain = " ".join(html.unescape(text).casefold().split())
    return _from_url(plain) or _plain(plain) or _from_short_form(plain) or _from_words(plain) or UNKNOWN_LICENSE


@dataclass(frozen=True)
class Terms:
    """What a licence allows; None where that is not known."""

    family: Family
    commercial_use: bool | None
    derivatives: bool | None
    share_alike: bool | None
    """Derivatives must carry the same licence."""


@lru_cache(maxsize=4096)
def terms(license: str) -> Terms:
    """Return what a canonical licence id allows."""
    if license in ("CC0-1.0", "PDM-1.0", "public-domain"):
        return Terms("public-domain", True, True, False)
    if license.startswith("LAL") or license == "EFF-OAL":
        return Terms("free-art", True, True, True)
    if license in ("FMA-Limited", "all-rights-reserved", "sound-recording-common-law", "orphan-work"):
        return Terms("reserved", False, False, False)
    if "Sampling" in license:
        # Pieces may be used in new works, also for money except in advertising; the NC form allows no money at all.
        return Terms("cc-sampling", "NC" not in license, True, False)
    elements = license.split("-")
    if elements[0] == "CC":
        return Terms("cc", "NC" not in elements, "ND" not in elements, "SA" in elements)
    return Terms("unknown", None, None, None)


def _from_url(plain: str) -> str:
    if match := _CC_URL.search(plain):
        elements, version, port = match["elements"], match["version"], match["port"]
        if elements == "publicdomain":
            return "public-domain"
        if "sampling" in elements:
            return _from_sampling(f"{elements} {version}{f' {port}' if port in _PORTS else ''}" if version else "")
        if port not in _PORTS:
            port = None  # "deed" and "legalcode" follow where a port may stand
        return _creative_commons(set(elements.split("-")), version, port)
    if match := re.search(r"creativecommons\.org/publicdomain/(zero|mark)/(\d\.\d)", plain):
        return f"{'CC0' if match[1] == 'zero' else 'PDM'}-{match[2]}"
    if match := _ART_LIBRE_URL.search(plain):
        return f"LAL-{match[1]}.{match[2]}" if match[1] else "LAL"
    return ""


def _plain(plain: str) -> str:
    if match := _ART_LIBRE.fullmatch(plain):
        return f"LAL-{match[1]}" if match[1] else "LAL"
    return _PLAIN.get(" ".join(re.split(r"[^a-z0-9]+", plain)).strip(), "") or _from_sampling(plain)


def _from_sampling(plain: str) -> str:
    match = _SAMPLING.fullmatch(plain)
    if not match or (match["port"] and match["port"] not in _PORTS):
        return ""
    names = ["CC", match["nc"] and "NC", "Sampling", match["plus"] and "Plus", match["version"]]
    return "-".join(filter(None, [*names, match["port"] and match["port"].upper()]))


def _from_short_form(plain: str) -> str:
    match = _CC_SHORT.fullmatch(plain.replace("_", "-"))
    if not match or (match["port"] and match["port"] not in _PORTS):
        return ""
    return _creative_commons(set(re.findall("[a-z]+", match["elements"])), match["version"], match["port"])


def _from_words(plain: str) -> str:
    """Read a text made only of the words that name Creative Commons licences, e.g. `Attribution 3.0 United States`."""
    elements: set[str] = set()
    versions: set[str] = set()
    ports: set[str] = set()
    position = 0
    while position < len(plain):
        match = _WORDS.match(plain, position)
        if not match:
            return ""
        position = match.end()
        kind, word = match.lastgroup, match[0]
        if kind == "version":
            versions.add(match["version"])
        elif kind == "port":
            ports.add(_PORT_NAMES[word])
        elif kind in ("by", "nc", "nd", "sa"):
            elements.add(kind)
    if len(versions) > 1 or len(ports) > 1:
        return ""
    return _creative_commons(elements, next(iter(versions), None), next(iter(ports), None))


def _creative_commons(elements: set[str], version: str | None, port: str | None) -> str:
    if not elements or not elements <= {"by", "nc", "nd", "sa"} or {"nd", "sa"} <= elements:
        return ""
    if "by" not in elements and version not in (None, "1.0"):
        return ""  # only the first versions had licences without attribution
    names = [name.upper() for name in ("by", "nc", "nd", "sa") if name in elements]
    return "-".join(filter(None, ["CC", *names, version, port and version and port.upper()]))
